"""Score how likely the annotation of a tile is wrong, from the output of a network not trained on it. Arrays only.

A pixel on which label and network differ counts by the network's confidence, the absolute log-odds. A hard tile, on
which the network is unsure, thus scores lower than a tile on which the network is confident of another label.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, labelled_pixels

MAX_PROBABILITY = 0.99
"""Probabilities are clipped to 1 - this .. this, so that a single pixel cannot decide."""
TYPICAL_SHARE = 0.1
"""Disagreement of this share of a typical positive tile's weight gives a tile without agreement a score of one half."""
SHIFT_REACH = 16
"""Largest shift of a mask that is tried to each side, pixels."""
DUPLICATE_CORRELATION = 0.98
"""Images that correlate this well are duplicates; neighbouring slices of a tomogram stay below."""
OUTLIER_FACTOR = 1.5
"""A contrast within this factor of the median is no outlier, however similar the others are."""
OUTLIER_DEVIATIONS = 4.0
"""Nor is a contrast within this many robust standard deviations."""
MAD_TO_SIGMA = 1.4826
"""Ratio of standard deviation and median absolute deviation of a normal distribution."""


def format_percent(part: NDArray[np.bool_], total: NDArray[np.bool_]) -> str:
    """Return a share in percent as text, with one decimal below 1 %."""
    share = 100 * int(np.count_nonzero(part)) / max(int(np.count_nonzero(total)), 1)
    return f"{share:.0f} %" if share >= 1 else f"{share:.1f} %"


class LossEvidence(NamedTuple):
    """Agreement and disagreement of label and network, in sums of confidence; each of shape (n,) for n tiles."""

    agreed: NDArray[np.float64]
    """Over pixels that both label and network call the feature."""
    disagreed: NDArray[np.float64]
    """Over pixels on which they differ."""


def loss_evidence(outputs: NDArray[np.float32], layers: NDArray[np.uint8]) -> LossEvidence:
    """Sum the network's confidence where it agrees with the labels on the feature, and where it differs.

    Parameters
    ----------
    outputs : ndarray of float32, shape (n, y, x)
        Probabilities, 0 to 1, of a network that was not trained on the tile.
    layers : ndarray of uint8, shape (n, y, x)
        0 unlabelled, 1 not feature, 2 feature, 3 ignore. 0 and 3 are left out.

    Returns
    -------
    LossEvidence
        Sums of |log(p / (1 - p))| over pixels, with p clipped to 1 - `MAX_PROBABILITY` .. `MAX_PROBABILITY`.

    Examples
    --------
    >>> outputs, layers = np.array([[[0.5, 0.9]]], np.float32), np.array([[[2, 1]]], np.uint8)
    >>> loss_evidence(outputs, layers).disagreed.round(3)
    array([2.197])
    """
    clipped = np.clip(outputs.astype(np.float64), 1 - MAX_PROBABILITY, MAX_PROBABILITY)
    log_odds = np.log(clipped / (1 - clipped))
    is_feature, is_decided = layers == FEATURE, labelled_pixels(layers)
    confidence = np.abs(log_odds) * is_decided
    agrees = (log_odds > 0) == is_feature
    return LossEvidence((confidence * (agrees & is_feature)).sum(axis=(1, 2)), (confidence * ~agrees).sum(axis=(1, 2)))


def label_error_score(evidence: LossEvidence, signs: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return the label-error score of each tile.

    Parameters
    ----------
    evidence : LossEvidence
        Sums for n tiles.
    signs : ndarray of int8, shape (n,)
        1 placed for the feature, -1 contains none, 0 unknown.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 0 (label and network agree) to below 1 (they agree nowhere). Independent of the order of tiles.

    Notes
    -----
    The score is disagreed / (2 agreed + disagreed + c): one minus a Dice weighted by confidence. The constant c is
    `TYPICAL_SHARE` of the median weight of positive tiles, so that specks on an empty tile count little.
    """
    total = 2 * evidence.agreed + evidence.disagreed
    positive = total[signs > 0] if (signs > 0).any() else total
    typical = TYPICAL_SHARE * max(float(np.median(positive)) if len(positive) else 0.0, 1.0)
    return np.asarray(evidence.disagreed / (total + typical), np.float64)


class MaskShift(NamedTuple):
    """A shift of a mask, and its overlap with the network's output before and after."""

    dy: int
    dx: int
    """Shift of the mask along y and x, pixels; y points up, as images are shown."""
    overlap_before: float
    """Dice of mask and probabilities without the shift, 0 to 1."""
    overlap_after: float
    """The same with the shift."""

    @property
    def gain(self) -> float:
        """Increase of the overlap."""
        return self.overlap_after - self.overlap_before

    @property
    def distance(self) -> float:
        """Length of the shift, pixels."""
        return float(np.hypot(self.dy, self.dx))


def best_shift(output: NDArray[np.float32], layer: NDArray[np.uint8], *, max_shift: int = SHIFT_REACH) -> MaskShift:
    """Find the shift at which a mask overlaps best with the network's output.

    Parameters
    ----------
    output : ndarray of float32, shape (y, x)
        Probabilities.
    layer : ndarray of uint8, shape (y, x)
        Values as for `loss_evidence`.
    max_shift : int
        Largest shift to each side, pixels.

    Returns
    -------
    MaskShift
        The best shift; the shortest of equally good ones. Dice counts only pixels within both images after the shift.
    """
    is_decided = labelled_pixels(layer)
    mask = (layer == FEATURE).astype(np.float64)
    probabilities = np.where(is_decided, output, 0).astype(np.float64)
    intersections = _shifted_sums(probabilities, mask, max_shift)
    output_sums = _shifted_sums(probabilities, np.ones_like(mask), max_shift)
    mask_sums = _shifted_sums(np.ones_like(mask), mask, max_shift)
    dice = 2 * intersections / np.maximum(output_sums + mask_sums, 1.0)
    offsets = np.arange(-max_shift, max_shift + 1)
    distances = np.hypot(offsets[:, np.newaxis], offsets)
    best = np.lexsort((distances.ravel(), -dice.round(6).ravel()))[0]
    row, column = divmod(int(best), len(offsets))
    return MaskShift(
        int(offsets[row]), int(offsets[column]), float(dice[max_shift, max_shift]), float(dice[row, column])
    )


def _shifted_sums(fixed: NDArray[np.float64], moved: NDArray[np.float64], max_shift: int) -> NDArray[np.float64]:
    """Return the sums of fixed * moved over all shifts of `moved`, (2 max_shift + 1, 2 max_shift + 1) as (dy, dx)."""
    shape = [edge + max_shift for edge in fixed.shape]
    product = np.fft.rfft2(fixed, shape) * np.conj(np.fft.rfft2(moved, shape))
    sums = np.fft.irfft2(product, shape)
    rows = np.arange(-max_shift, max_shift + 1)
    return np.asarray(sums[np.ix_(rows % shape[0], rows % shape[1])], np.float64)


def duplicate_images(images: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each image the index of the first other image that is a duplicate of it; -1 if there is none.

    Parameters
    ----------
    images : ndarray of float32, shape (n, y, x)
        Compared without regard to scale and mean; flat images have no duplicates.
    """
    vectors = images.reshape(len(images), -1).astype(np.float64)
    vectors = vectors - vectors.mean(axis=1, keepdims=True)
    norms = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    duplicates = np.full(len(images), -1, np.int64)
    for index in range(len(images)):
        similar = np.flatnonzero(vectors @ vectors[index] >= DUPLICATE_CORRELATION)
        matches = similar[similar != index]
        duplicates[index] = matches[0] if len(matches) else -1
    return duplicates


def contrast_factors(images: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the standard deviation of each image (n, y, x) over their median, shape (n,); all 1 if the median is 0."""
    spread = images.reshape(len(images), -1).astype(np.float64).std(axis=1)
    typical = float(np.median(spread)) if len(spread) else 0.0
    return np.asarray(spread / typical if typical > 0 else np.ones(len(images)), np.float64)


def contrast_outliers(factors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which factors (n,) of `contrast_factors` are outliers on a logarithmic scale."""
    logs = np.log(np.maximum(factors, 1e-6))
    if not len(logs):
        return np.zeros(0, np.bool_)
    deviations = np.abs(logs - np.median(logs))
    spread = MAD_TO_SIGMA * float(np.median(deviations))
    return np.asarray((deviations > np.log(OUTLIER_FACTOR)) & (deviations > OUTLIER_DEVIATIONS * spread), np.bool_)
