"""Scores of a map or label volume against the truth, with values worked by hand."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import write_mrc

from tomoseg_tui.errors import ProjectError, ShapeError, UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import LabelEntry, LabelSidecar, MapSidecar, write_record
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


def test_a_label_that_is_nowhere_is_refused_with_the_values_that_are_there(tmp_path: Path, truth: str) -> None:
    mask = str(write_mrc(tmp_path / "mask.mrc", (PREDICTED == 2).astype(np.int8)))
    with pytest.raises(UsageError, match=r"mask.mrc has no voxel of label 2 .*: 0 \(15\), 1 \(1\)") as caught:
        evaluate(None, mask, truth, [2])
    assert "--label K=J" in caught.value.fix
    assert evaluate(None, mask, truth, {2: 1})[2].tp == 1
    with pytest.raises(UsageError, match=r"truth.mrc has no voxel of label 3"):
        evaluate(None, truth, truth, [1, 3])


@pytest.mark.parametrize(
    ("high", "low", "dtype"),
    [(255, 80, "u1"), (255, 80, "i2"), (127, 40, "i1"), (1, 0, "i2"), (0.9, 0.1, "f4"), (250.0, 80.5, "f4")],
)
def test_foreign_maps_are_read_by_the_range_of_their_values(
    tmp_path: Path, truth: str, high: float, low: float, dtype: str
) -> None:
    """Bytes above 127 are written with the signed flag, so they are read as negative."""
    values = np.where(PREDICTED == 1, high, low).astype(dtype)
    path = str(write_mrc(tmp_path / "map.mrc", values.view("i1") if dtype == "u1" else values))
    said: list[str] = []
    score = evaluate(None, path, truth, [1], threshold="0.5", on_remark=said.append)[1]
    assert (score.tp, score.fp, score.fn) == (3, 2, 1)
    assert bool(said) == (high != 0.9)
    assert ("If they are times 255 or percent" in "".join(said)) == (high == 127)


def test_values_that_are_no_probabilities_are_refused(tmp_path: Path, truth: str) -> None:
    for values in (np.where(PREDICTED == 1, 3.5, -2.5).astype("f4"), np.where(PREDICTED == 1, 4000, 0).astype("i2")):
        path = str(write_mrc(tmp_path / "map.mrc", values))
        with pytest.raises(UsageError, match="no probabilities"):
            evaluate(None, path, truth, [1], threshold="0.5")


def test_a_map_of_ours_that_another_program_has_scaled_is_refused(tmp_path: Path, truth: str) -> None:
    path = map_file(tmp_path, slices=[(0, 2)])
    write_mrc(path, np.where(PREDICTED == 1, 255, 0).astype(np.int16))
    with pytest.raises(UsageError, match="0 to 255, a map of tomoseg contains 0 to 127"):
        evaluate(None, str(path), truth, [1])


def test_a_truth_of_imod_is_read_as_it_was_meant(tmp_path: Path) -> None:
    signed = str(write_mrc(tmp_path / "signed.mrc", (TRUTH.astype(np.int16) - 128).astype(np.int8)))
    predicted = str(write_mrc(tmp_path / "predicted.mrc", PREDICTED))
    assert evaluate(None, predicted, signed, [1])[1].tp == 3


def test_labels_of_different_features_are_told(tmp_path: Path) -> None:
    paths = []
    for name, feature in (("one", "tube"), ("two", "wall")):
        paths.append(write_mrc(tmp_path / f"{name}.mrc", TRUTH))
        labels = {"1": LabelEntry(feature, "run", 0.5, 4)}
        write_record(
            sidecar_of(paths[-1]), LabelSidecar(tomogram="c", name=name, labels=labels, conflicts=[], slices=[(0, 2)])
        )
    said: list[str] = []
    evaluate(None, str(paths[0]), str(paths[1]), [1], on_remark=said.append)
    assert "is wall" in said[0]
    assert "is tube" in said[0]
