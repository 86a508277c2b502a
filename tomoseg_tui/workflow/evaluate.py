"""Score a prediction against the truth, slab by slab."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.metrics import Confusion, confusion
from tomoseg_tui.errors import ShapeError, UsageError
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.job_interface import slab_ranges
from tomoseg_tui.workflow.merge.merge_request import threshold_of
from tomoseg_tui.workflow.volume_names import NamedVolume, Ranges, common_ranges, find_volume, z_range

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
    remark: Callable[[str], None] = lambda _line: None,
) -> dict[int, Confusion]:
    """Count agreements of a map or label volume with the truth.

    Parameters
    ----------
    project : Project or None
        Where names are looked up.
    predicted, truth : str
        Names or files on one grid. A map is compared at a threshold, a label volume label by label.
    labels : sequence of int
        Labels of the truth to look for; in a predicted label volume the same numbers.
    threshold : str or None
        A number, or `card`: the network's own. A map without it takes `card`.
    z : str or None
        Only the slices ``A:B``.
    remark : callable
        Told what the user should know.

    Returns
    -------
    dict of Confusion by label

    Raises
    ------
    ShapeError
        If the volumes differ in shape.
    UsageError
        If no label is named, or a threshold is asked for that nobody knows.
    """
    if not labels:
        raise UsageError("No label is named.", "Name those to score: --label 1 --label 2")
    found, known = find_volume(project, predicted), find_volume(project, truth)
    limit = _limit(found, threshold)
    counts = dict.fromkeys(labels, Confusion(0, 0, 0))
    with found.open() as ours, known.open() as theirs:
        if ours.grid.shape_zyx != theirs.grid.shape_zyx:
            raise ShapeError(
                f"{predicted} has shape {ours.grid.shape_zyx}, {truth} has {theirs.grid.shape_zyx} (z, y, x).",
                "Compare volumes on one grid.",
            )
        for start, stop in _slabs(found, known, ours, z, remark):
            mine, true = ours.read_slices(start, stop), np.rint(theirs.read_slices(start, stop))
            for label in counts:
                counts[label] += confusion(_predicted(mine, label, limit), true == label)
    return counts


def _limit(found: NamedVolume, threshold: str | None) -> float | None:
    """Return the probability above which a map's voxel counts; None for label volumes."""
    if threshold is None or threshold == "card":
        if found.map is not None:
            return found.map.threshold
        if threshold == "card":
            raise UsageError(f"{found.name} is no map that tells its threshold.", "Give a number: --threshold 0.5")
        return None
    if found.labels is not None:
        raise UsageError(f"{found.name} is a label volume and needs no threshold.", "Leave --threshold out.")
    return threshold_of(threshold)


def _slabs(
    found: NamedVolume, known: NamedVolume, ours: VolumeReader, z: str | None, remark: Callable[[str], None]
) -> Ranges:
    nz, ny, nx = ours.grid.shape_zyx
    asked = [z_range(z, nz)]
    filled = common_ranges(asked, found.filled if found.filled is not None else asked)
    filled = common_ranges(filled, known.filled if known.filled is not None else filled)
    if not filled:
        raise UsageError(f"{found.name} holds nothing in these slices.", "Apply the network there, or choose others.")
    if filled != asked:
        remark(f"Scored in slices {', '.join(f'{a}-{b - 1}' for a, b in filled)}, all that is filled.")
    thickness = max(1, SLAB_VOXELS // (ny * nx))
    return [slab for start, stop in filled for slab in slab_ranges(start, stop, thickness)]


def _predicted(values: NDArray[np.generic], label: int, limit: float | None) -> NDArray[np.bool_]:
    if limit is None:
        return np.asarray(np.rint(values.astype(np.float64)) == label)
    if np.issubdtype(values.dtype, np.integer):
        # A table spares a float64 copy: byte maps hold 0..127 for 0..1.
        above = np.arange(256) / 127 > limit
        return above[np.clip(values.astype(np.int16), 0, 255)]
    return np.asarray(values.astype(np.float64) > limit)


def as_json(counts: dict[int, Confusion]) -> dict[str, dict[str, dict[str, float]]]:
    """Return scores as `evaluate --json` prints them."""
    return {
        "labels": {
            str(label): {"dice": c.dice, "iou": c.iou, "precision": c.precision, "recall": c.recall}
            for label, c in counts.items()
        }
    }
