"""Snapshots of a project, and what is read again for the next one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.cli_runner import bring, make_card, noise, put_card, write_map
from msgspec.structs import replace

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.files.structured import read_json
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.jobs.job import create_job
from tomoseg_tui.project import catalog, file_state, records
from tomoseg_tui.project.catalog import Project, add_feature
from tomoseg_tui.project.records import write_record
from tomoseg_tui.tui.state import snapshot
from tomoseg_tui.tui.state.snapshot import SnapshotCache, read_snapshot
from tomoseg_tui.workflow.annotations.import_annotations import set_none_here
from tomoseg_tui.workflow.tiles.placing import remove_tiles
from tomoseg_tui.workflow.tomograms.renaming import rename_tomogram


def test_a_whole_project_is_read(small_project: Project) -> None:
    put_card(small_project, make_card("net"))
    write_map(small_project, "net.tube", np.zeros((24, 96, 96), np.int8), tomogram="beta")
    create_job(small_project.layout, "train", "net", {})
    facts = read_snapshot(small_project)
    assert facts.features == ("microtubule", "membrane")
    assert [(t.name, len(t.tiles), len(t.maps), len(t.labels)) for t in facts.tomograms] == [
        ("alpha", 3, 0, 0),
        ("beta", 1, 1, 0),
    ]
    assert [card.name for card in facts.networks] == ["net"]
    assert [(job["kind"], job["state"]) for job in facts.jobs] == [("train", "queued")]
    assert facts.running_count == 1


def test_an_empty_project_is_read(project: Project) -> None:
    facts = read_snapshot(project)
    assert (facts.tomograms, facts.networks, facts.jobs, facts.features, facts.running_count) == ((), (), (), (), 0)


def test_items_are_found_by_name_and_missing_ones_are_none(small_project: Project) -> None:
    put_card(small_project, make_card("net"))
    job = create_job(small_project.layout, "train", "net", {})
    facts = read_snapshot(small_project)
    assert facts.tomogram("beta") is facts.tomograms[1]
    assert facts.network("net") is facts.networks[0]
    assert facts.job(job.id) is facts.jobs[0]
    assert [facts.tomogram(None), facts.network("other"), facts.job("99")] == [None, None, None]


def test_versions_of_one_grid_share_tiles_and_each_counts_once(small_project: Project) -> None:
    bring(small_project, "alpha__preproc", noise((24, 96, 96), seed=3))
    bring(small_project, "alpha__bin2", noise((12, 48, 48), seed=4), voxel_size=20.0)
    facts = read_snapshot(small_project)
    tiles = {tomogram.name: len(tomogram.tiles) for tomogram in facts.tomograms}
    assert tiles == {"alpha": 3, "alpha__bin2": 0, "alpha__preproc": 3, "beta": 1}
    assert len(facts.all_tiles) == 4


def test_reading_twice_gives_equal_snapshots(small_project: Project) -> None:
    assert read_snapshot(small_project) == read_snapshot(small_project)


def test_every_drawn_property_is_noticed_with_and_without_a_cache(small_project: Project) -> None:
    layout, cache = small_project.layout, SnapshotCache(small_project.layout)
    changes: tuple[Callable[[], object], ...] = (
        lambda: add_feature(small_project, "actin"),
        lambda: set_none_here(small_project, TileLocation("beta", 12, 48, 48), "membrane"),
        lambda: put_card(small_project, make_card("net")),
        lambda: write_map(small_project, "net.tube", np.zeros((24, 96, 96), np.int8), tomogram="beta"),
        lambda: create_job(layout, "train", "net", {}),
        lambda: bring(small_project, "alpha__preproc", noise((24, 96, 96), seed=3)),
        lambda: remove_tiles(small_project, [TileLocation("alpha", 12, 50, 40)]),
        lambda: layout.tomogram_folder("alpha").joinpath("alpha.mrc").unlink(),
        lambda: rename_tomogram(small_project, "beta", "gamma"),
    )
    seen = [read_snapshot(small_project, cache)]
    for change in changes:
        change()
        seen.append(read_snapshot(small_project, cache))
        assert seen[-1] == read_snapshot(small_project)
        assert seen[-1] not in seen[:-1]


@pytest.fixture
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take files for settled that have changed just now."""
    monkeypatch.setattr(snapshot, "SETTLED_NS", -(10**18))


@pytest.mark.usefixtures("_settled")
def test_a_second_read_opens_no_file_of_tomograms_and_tiles(
    small_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = catalog.load_tomogram(small_project.layout, "alpha")
    write_record(small_project.layout.tomogram_record("alpha"), replace(record, file_state=None))  # of version 0.2
    opened: list[str] = []

    def read(path: Path | str, kind: type[Any]) -> Any:
        opened.append(str(path))
        return read_json(path, kind)

    def open_file(path: Path, **options: Any) -> Any:
        opened.append(str(path))
        return open_volume(path, **options)

    monkeypatch.setattr(records, "read_json", read)
    monkeypatch.setattr(file_state, "open_volume", open_file)
    cache = SnapshotCache(small_project.layout)
    first = read_snapshot(small_project, cache)
    assert len(opened) == 2 + 5 + 1  # records, states, and the file without a recorded state
    opened.clear()
    assert read_snapshot(small_project, cache) == first
    assert not opened


@pytest.mark.usefixtures("_settled")
def test_a_damaged_file_is_reported_by_each_read(small_project: Project) -> None:
    cache = SnapshotCache(small_project.layout)
    small_project.layout.tile_state(TileLocation("beta", 12, 48, 48), "microtubule").write_text("{")
    for _ in range(3):
        assert "microtubule.json" in read_snapshot(small_project, cache).damage[0].fault


def test_a_tomogram_that_vanishes_during_the_read_is_skipped(small_project: Project) -> None:
    small_project.layout.tomogram_record("beta").write_text("{")
    assert [tomogram.name for tomogram in read_snapshot(small_project).tomograms] == ["alpha"]


def test_a_snapshot_has_the_current_settings(small_project: Project, tmp_path: Path) -> None:
    add_feature(small_project, "actin")
    assert small_project.settings.features == ("microtubule", "membrane")
    assert read_snapshot(small_project).features == ("microtubule", "membrane", "actin")
