"""Compare a segmentation with the truth: Dice, IoU, precision, recall, at one or at all thresholds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.errors import ShapeError

THRESHOLDS = np.arange(MAX_MAP_VALUE + 1) / MAX_MAP_VALUE
"""The thresholds k / 127 that a map of 0..127 can distinguish."""


@dataclass(frozen=True)
class Confusion:
    """Counts of right and wrong predictions; the sum of two is that of all their pixels."""

    tp: int
    """True positives: predicted and true."""
    fp: int
    """False positives: predicted, not true."""
    fn: int
    """False negatives: true, not predicted."""

    def __add__(self, other: "Confusion") -> "Confusion":
        return Confusion(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def dice(self) -> float:
        """2 tp / (2 tp + fp + fn), 0 to 1; 1 if nothing is true and nothing predicted."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn, empty=1.0)

    @property
    def iou(self) -> float:
        """Intersection over union, tp / (tp + fp + fn), 0 to 1; 1 if both are empty."""
        return _ratio(self.tp, self.tp + self.fp + self.fn, empty=1.0)

    @property
    def precision(self) -> float:
        """Share of predicted pixels that are true, 0 to 1; if nothing is predicted, 1 if nothing is true, else 0."""
        return _ratio(self.tp, self.tp + self.fp, empty=float(self.fn == 0))

    @property
    def recall(self) -> float:
        """Share of true pixels that are predicted, 0 to 1; if nothing is true, 1 if nothing is predicted, else 0."""
        return _ratio(self.tp, self.tp + self.fn, empty=float(self.fp == 0))


def _ratio(part: int, total: int, *, empty: float) -> float:
    return part / total if total else empty


def confusion(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], mask: NDArray[np.bool_] | None = None
) -> Confusion:
    """Count the pixels on which a prediction and the truth agree and differ.

    Parameters
    ----------
    predicted, truth : ndarray of bool, one shape
        True is feature. Left unchanged.
    mask : ndarray of bool, the same shape, optional
        True where a pixel counts; by default all do.

    Returns
    -------
    Confusion
        Counts of pixels.

    Raises
    ------
    ShapeError
        If the arrays differ in shape.

    Examples
    --------
    >>> confusion(np.array([True, True, False]), np.array([True, False, True])).dice
    0.5
    """
    _check_shapes(predicted, truth, mask)
    if mask is not None:
        predicted, truth = predicted & mask, truth & mask
    true_positives = int(np.count_nonzero(predicted & truth))
    return Confusion(
        true_positives, int(np.count_nonzero(predicted)) - true_positives, int(np.count_nonzero(truth)) - true_positives
    )


def _check_shapes(values: NDArray[np.generic], truth: NDArray[np.bool_], mask: NDArray[np.bool_] | None) -> None:
    if values.shape != truth.shape or (mask is not None and mask.shape != truth.shape):
        expected = f"{truth.shape}" if mask is None else f"{truth.shape}, the mask {mask.shape}"
        raise ShapeError(
            f"The prediction has shape {values.shape}, the truth {expected}.", "Compare volumes on one grid."
        )


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Counts of probabilities from which every threshold k / 127 can be scored exactly."""

    positives: NDArray[np.int64]
    """Shape (129,): number of true pixels by how many of the 128 thresholds their probability exceeds."""
    negatives: NDArray[np.int64]
    """Shape (129,): the same for pixels that are not feature."""

    @staticmethod
    def empty() -> "ScoreHistogram":
        """Return a histogram without pixels."""
        return ScoreHistogram(np.zeros(THRESHOLDS.size + 1, np.int64), np.zeros(THRESHOLDS.size + 1, np.int64))

    def add(
        self, probabilities: NDArray[np.floating], truth: NDArray[np.bool_], mask: NDArray[np.bool_] | None = None
    ) -> "ScoreHistogram":
        """Return a histogram with these pixels added.

        Parameters
        ----------
        probabilities : ndarray of float, any shape
            Finite, 0 to 1.
        truth : ndarray of bool, the same shape
            True is feature.
        mask : ndarray of bool, the same shape, optional
            True where a pixel counts; by default all do.

        Returns
        -------
        ScoreHistogram
            A new histogram; this one is unchanged.

        Raises
        ------
        ShapeError
            If the arrays differ in shape.
        """
        _check_shapes(probabilities, truth, mask)
        included = np.ones(truth.shape, bool) if mask is None else mask
        bins = np.searchsorted(THRESHOLDS, probabilities[included])  # number of thresholds below each
        is_feature = truth[included]
        return ScoreHistogram(
            self.positives + np.bincount(bins[is_feature], minlength=THRESHOLDS.size + 1),
            self.negatives + np.bincount(bins[~is_feature], minlength=THRESHOLDS.size + 1),
        )

    def __add__(self, other: "ScoreHistogram") -> "ScoreHistogram":
        return ScoreHistogram(self.positives + other.positives, self.negatives + other.negatives)

    def confusions(self) -> list[Confusion]:
        """Return the confusion at each of the 128 thresholds, in ascending order."""
        true_positives = _counts_above(self.positives)
        false_positives = _counts_above(self.negatives)
        total = int(self.positives.sum())
        return [
            Confusion(int(tp), int(fp), total - int(tp)) for tp, fp in zip(true_positives, false_positives, strict=True)
        ]


def _counts_above(histogram: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each threshold the number of counted pixels above it."""
    sums: NDArray[np.int64] = np.cumsum(histogram[::-1])[::-1]  # (129,): pixels above at least k thresholds
    return sums[1:]
