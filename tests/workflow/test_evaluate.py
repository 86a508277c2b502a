"""Scores of a map or label volume against the truth, with values worked by hand."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import write_mrc

from tomoseg_tui.errors import ProjectError, ShapeError, UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import MapSidecar, write_record
from tomoseg_tui.workflow.evaluate import evaluate, scores_as_json

TRUTH = np.array([[[1, 1, 1, 0], [0, 2, 2, 0]], [[1, 0, 0, 0], [0, 0, 0, 0]]], np.int8)
PREDICTED = np.array([[[1, 1, 0, 1], [0, 2, 0, 1]], [[1, 0, 0, 0], [0, 0, 0, 0]]], np.int8)


@pytest.fixture
def truth(tmp_path: Path) -> str:
    return str(write_mrc(tmp_path / "truth.mrc", TRUTH))


def map_file(folder: Path, name: str = "map.mrc", *, threshold: float = 0.5, slices: list[tuple[int, int]]) -> Path:
    """Write a map of 127 where PREDICTED is 1 and 40 elsewhere, with a sidecar."""
    path = write_mrc(folder / name, np.where(PREDICTED == 1, 127, 40).astype(np.int8))
    sidecar = MapSidecar(
        tomogram="cell", run="run", feature="tube", network="default", weights_digest="", threshold=threshold, sign=1,
        mean=0.0, sigma=1.0, chain=(), voxel_size_angstrom=10.0, slices=slices,
    )  # fmt: skip
    write_record(sidecar_of(path), sidecar)
    return path


def test_labels_are_scored_one_by_one(tmp_path: Path, truth: str) -> None:
    """Label 1: 3 right, 2 too many, 1 missed. Label 2: 1 right, 1 missed."""
    predicted = str(write_mrc(tmp_path / "predicted.mrc", PREDICTED))
    scores = scores_as_json(evaluate(None, predicted, truth, [1, 2]))["labels"]
    assert scores["1"] == pytest.approx({"dice": 6 / 9, "iou": 3 / 6, "precision": 3 / 5, "recall": 3 / 4})
    assert scores["2"] == pytest.approx({"dice": 2 / 3, "iou": 1 / 2, "precision": 1.0, "recall": 1 / 2})
    assert list(scores["1"]) == ["dice", "iou", "precision", "recall"]


def test_a_map_is_compared_above_its_threshold(tmp_path: Path, truth: str) -> None:
    path = str(map_file(tmp_path, slices=[(0, 2)]))
    assert evaluate(None, path, truth, [1])[1].dice == pytest.approx(6 / 9)
    assert evaluate(None, path, truth, [1], threshold="card")[1].dice == pytest.approx(6 / 9)
    everything = evaluate(None, path, truth, [1], threshold="0.3")[1]
    assert (everything.tp, everything.fp, everything.fn) == (4, 12, 0)
    nothing = evaluate(None, path, truth, [1], threshold="1")[1]
    assert (nothing.tp, nothing.fp, nothing.fn) == (0, 0, 4)


def test_a_value_on_the_threshold_does_not_exceed_it(tmp_path: Path, truth: str) -> None:
    path = str(map_file(tmp_path, slices=[(0, 2)], threshold=40 / 127))
    assert evaluate(None, path, truth, [1])[1].fp == 2


def test_unsigned_and_float_maps_are_scored_alike(tmp_path: Path, truth: str) -> None:
    floats = write_mrc(tmp_path / "float.mrc", np.where(PREDICTED == 1, 0.9, 0.1).astype(np.float32))
    assert evaluate(None, str(floats), truth, [1], threshold="0.5")[1].dice == pytest.approx(6 / 9)


def test_only_filled_slices_are_scored_with_a_remark(tmp_path: Path, truth: str) -> None:
    remarks: list[str] = []
    counts = evaluate(None, str(map_file(tmp_path, slices=[(1, 2)])), truth, [1], on_remark=remarks.append)
    assert (counts[1].tp, counts[1].fp, counts[1].fn) == (1, 0, 0)
    assert remarks == ["Scored in slices 1-1, the only ones with data."]


def test_slices_can_be_selected(tmp_path: Path, truth: str) -> None:
    path = str(write_mrc(tmp_path / "p.mrc", PREDICTED))
    assert evaluate(None, path, truth, [1], z="0:1")[1].tp == 2
    with pytest.raises(ProjectError, match="0 to 1"):
        evaluate(None, path, truth, [1], z="0:3")


def test_names_of_the_project_are_found(project: Project, truth: str) -> None:
    folder = project.layout.maps / "cell"
    folder.mkdir()
    map_file(folder, "run.tube.mrc", slices=[(0, 2)])
    assert evaluate(project, "cell/run.tube", truth, [1])[1].dice == pytest.approx(6 / 9)


def test_volumes_that_cannot_be_compared_are_refused(tmp_path: Path, truth: str) -> None:
    predicted = str(write_mrc(tmp_path / "predicted.mrc", PREDICTED))
    with pytest.raises(UsageError, match="No label"):
        evaluate(None, predicted, truth, [])
    with pytest.raises(UsageError, match="not a map with a threshold"):
        evaluate(None, predicted, truth, [1], threshold="card")
    with pytest.raises(UsageError, match="is not a threshold"):
        evaluate(None, predicted, truth, [1], threshold="1.5")
    with pytest.raises(ShapeError, match=r"\(2, 2, 3\)"):
        evaluate(None, str(write_mrc(tmp_path / "small.mrc", PREDICTED[:, :, :3])), truth, [1])
    with pytest.raises(ProjectError, match="no tomogram, map, label volume or file 'lost'"):
        evaluate(None, "lost", truth, [1])


def test_a_foreign_sidecar_is_ignored(tmp_path: Path, truth: str) -> None:
    path = write_mrc(tmp_path / "predicted.mrc", PREDICTED)
    sidecar_of(path).write_bytes(msgspec.json.encode({"camera": "K3"}))
    assert evaluate(None, str(path), truth, [1])[1].tp == 3
