"""The unfinished output of an apply job: kept slices and finished slabs."""

from pathlib import Path

import msgspec
import pytest
from helpers.cli_runner import bring, noise
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.network_settings import NETWORKS
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import TomogramRecord, write_record
from tomoseg_tui.workflow.apply.output import SLAB, ApplyOutputHeader, apply_task, running_task

RECORD = TomogramRecord(
    file="cell.mrc", shape_zyx=(20, 8, 8), voxel_size_angstrom=10.0, origin_xyz_angstrom=(0, 0, 0),
    nstart_xyz=(0, 0, 0), polarity="dark", type="MRC", mean=0.0, sigma=1.0, imported="",
)  # fmt: skip


@given(depth=st.integers(1, 70), data=st.data())
def test_slabs_cover_the_requested_slices_and_begin_at_multiples(depth: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, depth - 1))
    stop = data.draw(st.integers(start + 1, depth))
    record = msgspec.structs.replace(RECORD, shape_zyx=(depth, 8, 8))
    slabs = apply_task(record, "cell", Path(), f"{start}:{stop}").slabs
    assert [z for a, b in slabs for z in range(a, b)] == list(range(start, stop))
    assert all(a % SLAB == 0 for a, _ in slabs[1:])


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    (tmp_path / "partial" / "digest" / "cell").mkdir(parents=True)
    return tmp_path / "partial"


def test_a_job_without_output_has_no_task(partial: Path) -> None:
    assert running_task(partial, RECORD, "cell", None) is None
    assert running_task(partial.parent / "gone", RECORD, "cell", None) is None


def test_only_finished_slabs_and_kept_slices_are_filled(partial: Path) -> None:
    write_record(partial / "digest" / "cell" / "prepared.json", ApplyOutputHeader({"tube": [(0, 2)]}))
    task = running_task(partial, RECORD, "cell", "4:20")
    assert task is not None
    assert (task.filled("tube"), task.filled("wall")) == ([(0, 2)], [])
    task.finished.add(3)
    task.finished.add(0)
    assert task.filled("tube") == [(0, 2), (4, 6), (18, 20)]
    assert task.filled("wall") == [(4, 6), (18, 20)]
    assert task.draft("tube") == partial / "digest" / "cell" / "tube.mrc"


def test_published_maps_are_no_longer_unfinished(partial: Path) -> None:
    write_record(partial / "digest" / "cell" / "prepared.json", ApplyOutputHeader())
    task = running_task(partial, RECORD, "cell", None)
    assert task is not None
    task.published_mark.touch()
    assert running_task(partial, RECORD, "cell", None) is None


def test_an_imported_tomogram_gives_a_task(project: Project, tmp_path: Path) -> None:
    bring(project, "cell", noise((9, 64, 64)))
    task = apply_task(catalog.load_tomogram(project.layout, "cell"), "cell", tmp_path, None)
    assert task.slabs == [(0, 6), (6, 9)]


def test_slabs_divide_no_group_of_slices_of_any_network() -> None:
    assert [name for name, network in NETWORKS.items() if SLAB % network.slices_out] == []
