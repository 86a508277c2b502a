"""Preprocessing: names of versions, recorded filters, binned grids."""

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import Listener, bring, digest_of, noise

from tomoseg_tui.core import filters
from tomoseg_tui.errors import ProjectError, TomogramError, TomosegError, UsageError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FilterStep
from tomoseg_tui.workflow.job_interface import StopRequested
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest, check_preprocess, run_preprocess


@pytest.mark.parametrize(
    ("name", "changes", "made"),
    [
        ("cell", {}, "cell__preproc"),
        ("cell", {"factor": 2}, "cell__bin2_preproc"),
        ("cell", {"factor": 2, "filtered": False}, "cell__bin2"),
        ("cell", {"tag": "soft"}, "cell__soft"),
        ("cell__bin2", {}, "cell__bin2_preproc"),
        ("cell__bin2", {"factor": 3, "filtered": False}, "cell__bin2_bin3"),
    ],
)
def test_versions_are_named_by_their_processing(name: str, changes: dict[str, object], made: str) -> None:
    assert msgspec.structs.replace(PreprocessRequest((name,)), **changes).target(name) == made


def run(project: Project, folder: Path, request: PreprocessRequest) -> Listener:
    check_preprocess(project, request)
    listener = Listener(folder / "partial")
    run_preprocess(project, msgspec.to_builtins(request), listener)
    return listener


def test_a_version_has_mean_0_and_sigma_1_its_chain_and_its_source(cell: Project, tmp_path: Path) -> None:
    run(cell, tmp_path, PreprocessRequest(("cell",)))
    record = catalog.load_tomogram(cell.layout, "cell__preproc")
    assert record.chain == (FilterStep(0.25, 5.0, 3.0),)
    assert (record.made_from, record.voxel_size_angstrom, record.shape_zyx) == ("cell", 10.0, (8, 128, 128))
    assert record.mean == pytest.approx(0, abs=0.02)
    assert record.sigma == pytest.approx(1, abs=0.02)
    assert record.chain_angstrom[0]
    with open_volume(catalog.volume_path(cell.layout, "cell__preproc", record)) as volume:
        values = volume.read_slices(0, 8)
    assert np.isfinite(values).all()
    assert abs(values).max() < 4


def test_binning_multiplies_the_voxel_size_and_averages(cell: Project, tmp_path: Path) -> None:
    run(cell, tmp_path, PreprocessRequest(("cell",), factor=2, filtered=False))
    record = catalog.load_tomogram(cell.layout, "cell__bin2")
    assert (record.voxel_size_angstrom, record.shape_zyx, record.chain, record.binned) == (20.0, (4, 64, 64), (), 2)
    mean = noise((8, 128, 128)).astype(np.float64).reshape(4, 2, 64, 2, 64, 2).mean(axis=(1, 3, 5))
    with open_volume(catalog.volume_path(cell.layout, "cell__bin2", record)) as volume:
        values = volume.read_slices(0, 4)
    assert np.corrcoef(values.ravel(), mean.ravel())[0, 1] > 0.999999


def test_a_chain_grows_with_each_run(cell: Project, tmp_path: Path) -> None:
    run(cell, tmp_path, PreprocessRequest(("cell",), highpass=0, clamp=0))
    run(cell, tmp_path, PreprocessRequest(("cell__preproc",), lowpass=0, highpass=0, tag="clamped"))
    record = catalog.load_tomogram(cell.layout, "cell__preproc_clamped")
    assert record.chain == (FilterStep(lowpass=0.25), FilterStep(clamp=3.0))


def test_polarity_is_preserved(cell: Project, tmp_path: Path) -> None:
    bring(cell, "light", noise((8, 64, 64)), polarity="bright")
    run(cell, tmp_path, PreprocessRequest(("light",)))
    assert catalog.load_tomogram(cell.layout, "light__preproc").polarity == "bright"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filtered": False}, "--no-filter without --bin does nothing"),
        ({"tag": "a b"}, "cannot be the name"),
        ({"factor": 9}, "too small for binning by 9"),
        ({"tomograms": ("cell", "lost")}, "no tomogram 'lost'"),
        ({"tomograms": ("cell", "cell")}, "The name cell__preproc is taken"),
    ],
)
def test_an_impossible_request_is_refused_before_a_job_is_created(
    cell: Project, changes: dict[str, object], message: str
) -> None:
    before = digest_of(cell.layout.root)
    with pytest.raises(TomosegError) as caught:
        check_preprocess(cell, msgspec.structs.replace(PreprocessRequest(("cell",)), **changes))
    assert message in caught.value.fault
    assert digest_of(cell.layout.root) == before


def test_a_taken_name_and_a_lost_link_are_refused(cell: Project) -> None:
    bring(cell, "cell__preproc", noise())
    with pytest.raises(ProjectError, match="cell__preproc is taken"):
        check_preprocess(cell, PreprocessRequest(("cell",)))
    (cell.layout.tomogram_folder("cell") / "cell.mrc").unlink()
    with pytest.raises(ProjectError, match="The file of tomogram cell is missing"):
        check_preprocess(cell, PreprocessRequest(("cell",), tag="other"))


def test_a_stopped_run_leaves_no_version_and_a_second_one_finishes(cell: Project, tmp_path: Path) -> None:
    request = PreprocessRequest(("cell",))
    with pytest.raises(StopRequested):
        run_preprocess(cell, msgspec.to_builtins(request), Listener(tmp_path / "partial", patience=1))
    assert catalog.tomogram_names(cell.layout) == ["cell"]
    run(cell, tmp_path, request)
    assert catalog.tomogram_names(cell.layout) == ["cell", "cell__preproc"]


class Impatient(Listener):
    """A reporter that stops as soon as a number of blocks is written."""

    def __init__(self, partial: Path, pieces: int) -> None:
        super().__init__(partial)
        self._pieces = pieces

    def should_stop(self) -> bool:
        return sum(len(path.read_bytes().splitlines()) for path in self.partial.rglob("*.jsonl")) >= self._pieces


def stop_after_three_pieces(project: Project, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Stop after three blocks of a few slices; return the volume of an uninterrupted job."""
    monkeypatch.setattr(filters, "BLOCK_VOXELS", 80_000)
    run(project, folder / "undisturbed", PreprocessRequest(("cell",), tag="whole"))
    whole = (project.layout.tomogram_folder("cell__whole") / "cell__whole.mrc").read_bytes()
    with pytest.raises(StopRequested):
        run_preprocess(project, msgspec.to_builtins(PreprocessRequest(("cell",))), Impatient(folder / "partial", 3))
    return whole


def test_a_stopped_run_resumes_with_the_next_block(
    cell: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stop_after_three_pieces(cell, tmp_path, monkeypatch)
    half_written = tmp_path / "partial" / "cell__preproc" / "version" / ".tomogram.json.z9aw6aia"
    half_written.write_text("{")
    listener = run(cell, tmp_path, PreprocessRequest(("cell",)))
    assert listener.lines == ["cell__preproc is resumed: 2 passes over cell and 3 blocks are finished."]
    assert listener.done[0] >= 2 / 3
    made = cell.layout.tomogram_folder("cell__preproc")
    assert (made / "cell__preproc.mrc").read_bytes() == whole
    assert sorted(path.name for path in made.iterdir()) == ["cell__preproc.mrc", "tomogram.json"]
    assert list((tmp_path / "partial").iterdir()) == []


def test_stored_results_of_another_file_are_not_used(
    cell: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stop_after_three_pieces(cell, tmp_path, monkeypatch)
    record = catalog.load_tomogram(cell.layout, "cell")
    os.utime(catalog.volume_path(cell.layout, "cell", record), ns=(1, 1))
    listener = run(cell, tmp_path, PreprocessRequest(("cell",)))
    assert "is started again" in listener.lines[0]
    assert listener.done[0] < 1 / 3
    assert (cell.layout.tomogram_folder("cell__preproc") / "cell__preproc.mrc").read_bytes() == whole


def test_listed_blocks_of_a_lost_file_are_computed_again(
    cell: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = stop_after_three_pieces(cell, tmp_path, monkeypatch)
    next((tmp_path / "partial").rglob("*.mrc")).unlink()
    run(cell, tmp_path, PreprocessRequest(("cell",)))
    assert (cell.layout.tomogram_folder("cell__preproc") / "cell__preproc.mrc").read_bytes() == whole


def test_existing_versions_are_skipped_when_a_job_resumes(cell: Project, tmp_path: Path) -> None:
    bring(cell, "b", noise())
    run(cell, tmp_path, PreprocessRequest(("b",)))
    before = digest_of(cell.layout.tomogram_folder("b__preproc"))
    run_preprocess(cell, msgspec.to_builtins(PreprocessRequest(("b", "cell"))), Listener(tmp_path / "partial"))
    assert digest_of(cell.layout.tomogram_folder("b__preproc")) == before
    assert "cell__preproc" in catalog.tomogram_names(cell.layout)


def test_errors_have_the_right_type(cell: Project) -> None:
    with pytest.raises(UsageError):
        check_preprocess(cell, PreprocessRequest(("cell",), filtered=False))
    with pytest.raises(TomogramError):
        check_preprocess(cell, PreprocessRequest(("cell",), factor=9))
