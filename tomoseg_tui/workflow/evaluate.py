"""Score a prediction against the truth, slab by slab."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.core.label_map import find_numbers
from tomoseg_tui.core.mask_decoding import ValueTally, format_value_counts
from tomoseg_tui.core.metrics import Confusion, confusion
from tomoseg_tui.errors import ShapeError, UsageError
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.job_interface import slab_ranges
from tomoseg_tui.workflow.merge.merge_request import parse_threshold
from tomoseg_tui.workflow.volume_names import NamedVolume, ZRanges, find_volume, intersect_ranges, parse_z_range

SLAB_VOXELS = 2**24
"""Voxels compared at a time."""
MANY_LABELS = 64
"""A predicted volume with more values than this is rather a map."""


def evaluate(
    project: Project | None,
    predicted: str,
    truth: str,
    labels: Sequence[int] | Mapping[int, int],
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
    labels : sequence of int, or mapping of int to int
        Labels of the truth; a mapping gives the label of each in a predicted label volume.
    threshold : str or None
        A number, or "card" for the network's threshold, which is the default for a map.
    z : str or None
        Range of slices ``A:B``; None for all.

    Returns
    -------
    dict of int to Confusion
        By label of the truth.

    Raises
    ------
    ShapeError
        If the volumes differ in shape.
    UsageError
        If there are no labels, a label is nowhere in its file, or the threshold is invalid or unknown.
    """
    if not labels:
        raise UsageError("No label was given.", "Give the labels to score: --label 1 --label 2")
    predicted_volume, truth_volume = find_volume(project, predicted), find_volume(project, truth)
    for volume in (predicted_volume, truth_volume):
        if volume.change:
            on_remark(volume.change)
    cutoff = _cutoff(predicted_volume, threshold)
    with predicted_volume.open() as predicted_reader, truth_volume.open() as truth_reader:
        if predicted_reader.grid.shape_zyx != truth_reader.grid.shape_zyx:
            raise ShapeError(
                f"{predicted} has shape {predicted_reader.grid.shape_zyx}, {truth} has {truth_reader.grid.shape_zyx} "
                "(z, y, x).",
                "Compare volumes on one grid.",
            )
        slabs = _slabs(predicted_volume, truth_volume, predicted_reader, z, on_remark)
        true_numbers = _stored_labels(truth_volume, _tally(truth_reader, slabs), tuple(labels), on_remark)
        tally = _tally(predicted_reader, slabs)
        if cutoff is None:
            counterparts = labels if isinstance(labels, Mapping) else {label: label for label in labels}
            _compare_names(predicted_volume, truth_volume, counterparts, on_remark)
            numbers = _predicted_numbers(predicted_volume, tally, counterparts, on_remark)
            is_above = None
        else:
            numbers, is_above = {}, _above(predicted_volume, tally, cutoff, on_remark)
        counts = dict.fromkeys(labels, Confusion(0, 0, 0))
        for start, stop in slabs:
            values, truth_values = predicted_reader.read_slices(start, stop), _rounded(truth_reader, start, stop)
            for label in counts:
                mask = is_above(values) if is_above is not None else np.rint(values) == numbers[label]
                counts[label] += confusion(np.asarray(mask), truth_values == true_numbers[label])
    return counts


def _rounded(reader: VolumeReader, start: int, stop: int) -> NDArray[np.generic]:
    return np.asarray(np.rint(reader.read_slices(start, stop)))


def _tally(reader: VolumeReader, slabs: ZRanges) -> ValueTally:
    tally = ValueTally()
    for start, stop in slabs:
        tally.add(reader.read_slices(start, stop))
    return tally


def _stored_labels(
    volume: NamedVolume, tally: ValueTally, labels: Collection[int], on_remark: Callable[[str], None]
) -> Mapping[int, int]:
    """Return how labels are stored in a file; raise UsageError if one of them is nowhere in the slices."""
    found = find_numbers(tally, labels)
    if found is None:
        absent = [str(label) for label in labels if find_numbers(tally, [label]) is None]
        if not tally.numbers:
            low, high = tally.value_range
            contents = f"It contains fractions from {low:g} to {high:g}"
        else:
            contents = f"Its values, with their voxels: {format_value_counts(tally.numbers)}"
        raise UsageError(
            f"{volume.name} has no voxel of label {', '.join(absent)} in these slices. {contents}.",
            "Name labels that are there: --label K. Where label K of the truth is J in the prediction: --label K=J",
        )
    numbers, remark = found
    if remark:
        on_remark(f"{volume.name}: {remark.rstrip('; ')}.")
    return numbers


def _predicted_numbers(
    volume: NamedVolume, tally: ValueTally, counterparts: Mapping[int, int], on_remark: Callable[[str], None]
) -> Mapping[int, int]:
    """Return how the labels of the truth are stored in a predicted label volume."""
    recorded = {int(number) for number in volume.labels.labels} if volume.labels is not None else set()
    wanted = [label for label in counterparts.values() if label not in recorded]
    if volume.labels is None and len(tally.numbers) > MANY_LABELS:
        on_remark(f"{volume.name} has {len(tally.numbers)} values, like a map; a map is scored with --threshold 0.5.")
    stored = _stored_labels(volume, tally, wanted, on_remark) if wanted else {}
    return {label: stored.get(number, number) for label, number in counterparts.items()}


def _compare_names(
    predicted: NamedVolume, truth: NamedVolume, counterparts: Mapping[int, int], on_remark: Callable[[str], None]
) -> None:
    """Tell if labels that are compared have different features in the records of the two volumes."""
    if predicted.labels is None or truth.labels is None:
        return
    for label, number in counterparts.items():
        entries = truth.labels.labels.get(str(label)), predicted.labels.labels.get(str(number))
        if entries[0] is not None and entries[1] is not None and entries[0].feature != entries[1].feature:
            on_remark(
                f"Label {label} of {truth.name} is {entries[0].feature}, label {number} of {predicted.name} is "
                f"{entries[1].feature}. If these are not the same, give --label K=J."
            )


def _above(
    volume: NamedVolume, tally: ValueTally, cutoff: float, on_remark: Callable[[str], None]
) -> Callable[[NDArray[Any]], NDArray[np.bool_]]:
    """Return the function that marks voxels of a map above a probability, by the range of the map's values."""
    low, high = tally.value_range
    if volume.map is not None:
        if low < 0 or high > MAX_MAP_VALUE:
            raise UsageError(
                f"{volume.name} contains values from {low:g} to {high:g}, a map of tomoseg contains 0 to "
                f"{MAX_MAP_VALUE}. Another program has changed it.",
                "Make the map again: tomoseg apply RUN TOMOGRAM",
            )
        return lambda values: _exceeds(values, cutoff, MAX_MAP_VALUE)
    is_wrapped = low < 0 and tally.are_bytes
    low, high = (0, 255) if is_wrapped else (low, high)
    scale = next((scale for scale in (1, MAX_MAP_VALUE, 255) if high <= scale * 1.001), None)
    if scale is None or low < -0.001:
        raise UsageError(
            f"{volume.name} contains values from {low:g} to {high:g}: no probabilities from 0 to 1, 127 or 255.",
            "Save it as probabilities from 0 to 1.",
        )
    if scale > 1 or not tally.has_fractions:
        on_remark(
            f"{volume.name}: its values from {low:g} to {high:g} are taken as probabilities times {scale}."
            + " If they are times 255 or percent, save them as 0 to 1 first." * (scale == MAX_MAP_VALUE)
        )
    return lambda values: _exceeds(values.view(np.uint8) if is_wrapped else values, cutoff, scale)


def _exceeds(values: NDArray[Any], cutoff: float, scale: int) -> NDArray[np.bool_]:
    if np.issubdtype(values.dtype, np.integer):  # a table avoids a float64 copy
        return np.asarray((np.arange(256) / scale > cutoff)[values.astype(np.uint8)])
    return np.asarray(values.astype(np.float64) / scale > cutoff)


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


def scores_as_json(counts: dict[int, Confusion]) -> dict[str, dict[str, dict[str, float]]]:
    """Return scores as printed by `evaluate --json`."""
    return {
        "labels": {
            str(label): {"dice": score.dice, "iou": score.iou, "precision": score.precision, "recall": score.recall}
            for label, score in counts.items()
        }
    }
