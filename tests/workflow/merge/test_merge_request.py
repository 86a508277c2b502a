"""Merging: the checks of a request, and the labels of the result."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import Listener, bring, digest_of, make_card, noise, put_card, write_map
from numpy.typing import NDArray

from tomoseg_tui.errors import ProjectError, TomosegError, UsageError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.job_interface import StopRequested
from tomoseg_tui.workflow.merge.merge_request import MapChoice, MergeRequest, merge_request, run_merge

SHAPE = (8, 128, 128)


def full(value: int) -> NDArray[np.int8]:
    return np.full(SHAPE, value, np.int8)


@pytest.fixture
def mapped(cell: Project) -> Project:
    """A cell whose map of tube is high in rows 0-63, and of wall low everywhere and higher in rows 32-95."""
    tube, wall = full(0), full(70)
    tube[:, :64], wall[:, 32:96] = 100, 120
    write_map(cell, "run.tube", tube)
    write_map(cell, "run.wall", wall, threshold=0.8)
    write_map(cell, "other.tube", full(127))
    return cell


def ask(
    project: Project, *options: str, name: str = "merged", output: Path | None = None, force: bool = False
) -> MergeRequest:
    return merge_request(project, "cell", options, name=name, output=output, force=force)


def test_a_map_is_given_as_run_feature_and_threshold(mapped: Project) -> None:
    request = ask(mapped, "run:tube=0.25", "run:wall=card", "other=1")
    assert request.maps == (
        MapChoice("run", "tube", 0.25),
        MapChoice("run", "wall", 0.8),
        MapChoice("other", "tube", 1.0),
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("run:tube", "is not understood"),
        ("=0.5", "is not understood"),
        ("run=0.5", "has several maps of cell: run:tube, run:wall"),
        ("run:tube=1.1", "is not a threshold"),
        ("run:tube=-0.1", "is not a threshold"),
        ("run:tube=nan", "is not a threshold"),
        ("run:tube=cards", "is not a threshold"),
        ("run:actin=0.5", "no map of cell by run:actin"),
        ("lost=0.5", "no network 'lost'"),
    ],
)
def test_an_invalid_map_is_refused(mapped: Project, option: str, message: str) -> None:
    before = digest_of(mapped.layout.root)
    with pytest.raises(TomosegError) as caught:
        ask(mapped, option)
    assert message in caught.value.fault
    assert digest_of(mapped.layout.root) == before


def test_the_fix_for_a_missing_map_is_the_apply_command(mapped: Project) -> None:
    put_card(mapped, make_card("third"))
    with pytest.raises(ProjectError) as caught:
        ask(mapped, "third=card")
    assert caught.value.fix == "Make it: tomoseg apply third cell"


def test_no_maps_odd_names_and_names_of_maps_are_refused(mapped: Project) -> None:
    with pytest.raises(UsageError, match="0 maps"):
        ask(mapped)
    with pytest.raises(ProjectError, match="label volume"):
        ask(mapped, "other=card", name="a/b")
    with pytest.raises(ProjectError, match="is a map already"):
        ask(mapped, "other=card", name="run.tube")


def test_an_output_that_exists_or_is_not_an_mrc_file_is_refused(mapped: Project, tmp_path: Path) -> None:
    target = tmp_path / "out.mrc"
    target.with_suffix(".json").write_text("{}")
    with pytest.raises(ProjectError, match=r"out.json exists"):
        ask(mapped, "other=card", output=target)
    target.touch()
    with pytest.raises(ProjectError, match=r"out.mrc exists"):
        ask(mapped, "other=card", output=target)
    assert ask(mapped, "other=card", output=target, force=True).output == str(target)
    with pytest.raises(UsageError, match="not the name of an MRC file"):
        ask(mapped, "other=card", output=tmp_path / "out.hdf")


def merge(project: Project, request: MergeRequest, listener: Listener) -> dict[str, object]:
    return run_merge(project, msgspec.to_builtins(request), listener)


def test_the_greatest_claim_wins_and_losses_are_counted(mapped: Project, tmp_path: Path) -> None:
    """The claim of tube is (100/127 - .5) / .5 = .575, that of wall (120/127 - .8) / .2 = .724 in rows 32-95."""
    listener = Listener(tmp_path / "partial")
    done = merge(mapped, ask(mapped, "run:tube=0.5", "run:wall=card"), listener)
    row = 8 * 128
    assert done == {
        "file": "labels/cell/merged.mrc",
        "labels": {
            "1": {"feature": "tube", "run": "run", "threshold": 0.5, "voxels": 32 * row},
            "2": {"feature": "wall", "run": "run", "threshold": 0.8, "voxels": 64 * row},
        },
        "conflicts": [{"winner": 2, "loser": 1, "voxels": 32 * row}],
    }
    with open_volume(mapped.layout.label_file("cell", "merged")) as labels:
        values = labels.read_slices(0, 8)
        assert labels.dtype == np.int8
    assert [int(values[3, at, 5]) for at in (0, 31, 32, 95, 96)] == [1, 1, 2, 2, 0]
    sidecar = json.loads(mapped.layout.label_file("cell", "merged").with_suffix(".json").read_text())
    assert sidecar["labels"]["2"]["voxels"] == 64 * row
    assert listener.done[-1] == 1


def test_the_earlier_map_wins_a_tie_and_threshold_1_selects_nothing(mapped: Project, tmp_path: Path) -> None:
    write_map(mapped, "twin.tube", full(127))
    done = merge(mapped, ask(mapped, "twin=0.2", "other=0.9", "run:tube=1"), Listener(tmp_path / "partial"))
    voxels = [label["voxels"] for label in done["labels"].values()]  # type: ignore[attr-defined]
    assert voxels == [8 * 128 * 128, 0, 0]


def test_slices_that_a_map_lacks_are_logged(mapped: Project, tmp_path: Path) -> None:
    write_map(mapped, "part.tube", full(0), slices=[(2, 4), (4, 6)])
    listener = Listener(tmp_path / "partial")
    merge(mapped, ask(mapped, "part=0.5", "other=0.5"), listener)
    assert any("Slices filled in all maps: 2-5;" in line for line in listener.lines)


def test_a_second_merge_replaces_the_first_and_a_copy_is_written_to_the_output(mapped: Project, tmp_path: Path) -> None:
    merge(mapped, ask(mapped, "run:tube=0.5"), Listener(tmp_path / "one"))
    out = tmp_path / "out.mrc"
    done = merge(mapped, ask(mapped, "other=0.5", output=out), Listener(tmp_path / "two"))
    assert done["file"] == str(out)
    written = out.read_bytes()
    assert written[1024:] == mapped.layout.label_file("cell", "merged").read_bytes()[1024:]
    assert b"1 = " in written[224:1024], "the header of a copy says what its numbers mean"
    with open_volume(out) as labels:
        assert (labels.read_slices(0, 8) == 1).all()


def test_a_stopped_merge_continues_with_the_same_bytes(cell: Project, tmp_path: Path) -> None:
    bring(cell, "tall", noise((20, 64, 64)))
    values = noise((20, 64, 64), seed=3) & 127
    write_map(cell, "run.tube", values, tomogram="tall")
    request = merge_request(cell, "tall", ["run=0.3"], name="merged", output=None, force=False)
    whole = merge(cell, request, Listener(tmp_path / "whole"))
    expected = cell.layout.label_file("tall", "merged").read_bytes()
    with pytest.raises(StopRequested):
        merge(cell, request, Listener(tmp_path / "halves", patience=2))
    assert cell.layout.label_file("tall", "merged").read_bytes() == expected
    again = Listener(tmp_path / "halves")
    assert merge(cell, request, again) == whole
    assert len(again.done) == 1
    assert cell.layout.label_file("tall", "merged").read_bytes() == expected
