"""Score a prediction against the truth, slab by slab."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.core.metrics import Confusion, confusion
from tomoseg_tui.errors import ShapeError, UsageError
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.job_interface import slab_ranges
from tomoseg_tui.workflow.merge.merge_request import parse_threshold
from tomoseg_tui.workflow.volume_names import NamedVolume, ZRanges, find_volume, intersect_ranges, parse_z_range

SLAB_VOXELS = 2**24
"""Voxels compared at a time."""


def evaluate(
    project: Project | None,
    predicted: str,
    truth: str,
    labels: Sequence[int],
    *,
    threshold: str | None = None,
    z: str | None = None,
    on_remark: Callable[[str], None] = lambda _line: None,
) -> dict[int, Confusion]:
    """Compare a map or label volume with the truth.

    Parameters
    ----------
    predicted, truth : str
        Names or files on one grid. A map is compared at a threshold, a label volume label by label.
    labels : sequence of int
        Labels of the truth; the same numbers in a predicted label volume.
    threshold : str or None
        A number, or "card" for the network's threshold, which is the default for a map.
    z : str or None
        Range of slices ``A:B``; None for all.

    Returns
    -------
    dict of int to Confusion
        By label.

    Raises
    ------
    ShapeError
        If the volumes differ in shape.
    UsageError
        If there are no labels, or the threshold is invalid or unknown.
    """
    if not labels:
        raise UsageError("No label was given.", "Give the labels to score: --label 1 --label 2")
    predicted_volume, truth_volume = find_volume(project, predicted), find_volume(project, truth)
    cutoff = _cutoff(predicted_volume, threshold)
    counts = dict.fromkeys(labels, Confusion(0, 0, 0))
    with predicted_volume.open() as predicted_reader, truth_volume.open() as truth_reader:
        if predicted_reader.grid.shape_zyx != truth_reader.grid.shape_zyx:
            raise ShapeError(
                f"{predicted} has shape {predicted_reader.grid.shape_zyx}, {truth} has {truth_reader.grid.shape_zyx} "
                "(z, y, x).",
                "Compare volumes on one grid.",
            )
        for start, stop in _slabs(predicted_volume, truth_volume, predicted_reader, z, on_remark):
            predicted_values, truth_values = (
                predicted_reader.read_slices(start, stop),
                np.rint(truth_reader.read_slices(start, stop)),
            )
            for label in counts:
                counts[label] += confusion(_predicted_mask(predicted_values, label, cutoff), truth_values == label)
    return counts


def _cutoff(predicted_volume: NamedVolume, threshold: str | None) -> float | None:
    """Return the probability above which a map's voxel is predicted; None for label volumes."""
    if threshold is None or threshold == "card":
        if predicted_volume.map is not None:
            return predicted_volume.map.threshold
        if threshold == "card":
            raise UsageError(
                f"{predicted_volume.name} is not a map with a threshold.", "Give a number: --threshold 0.5"
            )
        return None
    if predicted_volume.labels is not None:
        raise UsageError(f"{predicted_volume.name} is a label volume and has no threshold.", "Leave --threshold out.")
    return parse_threshold(threshold)


def _slabs(
    predicted_volume: NamedVolume,
    truth_volume: NamedVolume,
    reader: VolumeReader,
    z: str | None,
    on_remark: Callable[[str], None],
) -> ZRanges:
    nz, ny, nx = reader.grid.shape_zyx
    requested = [parse_z_range(z, nz)]
    filled = intersect_ranges(requested, predicted_volume.filled if predicted_volume.filled is not None else requested)
    filled = intersect_ranges(filled, truth_volume.filled if truth_volume.filled is not None else filled)
    if not filled:
        raise UsageError(
            f"{predicted_volume.name} has no data in these slices.", "Apply the network there, or choose others."
        )
    if filled != requested:
        on_remark(f"Scored in slices {', '.join(f'{a}-{b - 1}' for a, b in filled)}, the only ones with data.")
    thickness = max(1, SLAB_VOXELS // (ny * nx))
    return [slab for start, stop in filled for slab in slab_ranges(start, stop, thickness)]


def _predicted_mask(values: NDArray[np.generic], label: int, cutoff: float | None) -> NDArray[np.bool_]:
    if cutoff is None:
        return np.asarray(np.rint(values.astype(np.float64)) == label)
    if np.issubdtype(values.dtype, np.integer):
        # A table avoids a float64 copy; byte maps have 0..127 for 0..1.
        is_above = np.arange(256) / MAX_MAP_VALUE > cutoff
        return is_above[np.clip(values.astype(np.int16), 0, 255)]
    return np.asarray(values.astype(np.float64) > cutoff)


def scores_as_json(counts: dict[int, Confusion]) -> dict[str, dict[str, dict[str, float]]]:
    """Return scores as printed by `evaluate --json`."""
    return {
        "labels": {
            str(label): {"dice": score.dice, "iou": score.iou, "precision": score.precision, "recall": score.recall}
            for label, score in counts.items()
        }
    }
