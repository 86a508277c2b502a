"""Measure how wrong the label of a tile looks to a network that has not seen it. Knows arrays only.

A pixel on which label and network differ counts by how sure the network is, the logarithm of its odds: a hard
tile, where the network wavers, is then less suspicious than one where it is sure of something else.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, labelled_pixels

MAX_PROBABILITY = 0.99
"""Nothing is surer than this: a single pixel must not decide."""
TYPICAL_SHARE = 0.1
"""Disagreement of this share of a usual positive tile's weight makes a tile half suspicious."""
SHIFT_REACH = 16
"""A mask is tried at this many pixels to each side."""
DUPLICATE_CORRELATION = 0.98
"""Two pictures that correlate so well are one; neighbouring slices of a tomogram stay below."""
OUTLIER_FACTOR = 1.5
"""A contrast that differs from the usual one by less is not odd, however alike the others are."""
OUTLIER_DEVIATIONS = 4.0
"""Nor one within so many standard deviations, found robustly."""
MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def format_percent(part: NDArray[np.bool_], total: NDArray[np.bool_]) -> str:
    """Return a share in percent, with a digit behind the point where there would be nothing before it."""
    share = 100 * int(np.count_nonzero(part)) / max(int(np.count_nonzero(total)), 1)
    return f"{share:.0f} %" if share >= 1 else f"{share:.1f} %"


class LossEvidence(NamedTuple):
    """Pixels of tiles weighed by how sure the network is, each of shape (n,)."""

    agreed: NDArray[np.float64]
    """On the feature, where label and network both see it."""
    disagreed: NDArray[np.float64]
    """Where they differ."""


def loss_evidence(outputs: NDArray[np.float32], layers: NDArray[np.uint8]) -> LossEvidence:
    """Weigh where labels and network agree on the feature, and where they differ.

    Parameters
    ----------
    outputs : ndarray of float32, shape (n, y, x)
        Probabilities, 0 to 1, of a network that has not seen the tile.
    layers : ndarray of uint8, shape (n, y, x)
        0 not looked at, 1 not feature, 2 feature, 3 ignore. 0 and 3 count for nothing.

    Returns
    -------
    Weights
        Sums of |log(p / (1 - p))| over pixels, with p held between 1 - `MAX_PROBABILITY` and `MAX_PROBABILITY`.

    Examples
    --------
    >>> weigh(np.array([[[0.5, 0.9]]], np.float32), np.array([[[2, 1]]], np.uint8)).against.round(3)
    array([2.197])
    """
    clipped = np.clip(outputs.astype(np.float64), 1 - MAX_PROBABILITY, MAX_PROBABILITY)
    log_odds = np.log(clipped / (1 - clipped))
    is_feature, is_decided = layers == FEATURE, labelled_pixels(layers)
    confidence = np.abs(log_odds) * is_decided
    agrees = (log_odds > 0) == is_feature
    return LossEvidence((confidence * (agrees & is_feature)).sum(axis=(1, 2)), (confidence * ~agrees).sum(axis=(1, 2)))


def label_error_score(evidence: LossEvidence, signs: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return how suspicious each tile is.

    Parameters
    ----------
    evidence : Weights
        Of n tiles.
    signs : ndarray of int8, shape (n,)
        1 placed for the feature, -1 holds none, 0 unknown.

    Returns
    -------
    ndarray of float64, shape (n,)
        From 0, label and network agree, to below 1, they agree nowhere. Independent of the order of tiles.

    Notes
    -----
    against / (2 agreed + against + c): one minus a Dice in which sure pixels count more. The constant c is
    `TYPICAL_SHARE` of the median weight of positive tiles, so that specks on an empty tile weigh little.
    """
    total = 2 * evidence.agreed + evidence.disagreed
    positive = total[signs > 0] if (signs > 0).any() else total
    typical = TYPICAL_SHARE * max(float(np.median(positive)) if len(positive) else 0.0, 1.0)
    return np.asarray(evidence.disagreed / (total + typical), np.float64)


class MaskShift(NamedTuple):
    """Where a mask would fit the network better."""

    dy: int
    dx: int
    """Pixels by which the mask is to be moved; y upwards, as pictures are shown."""
    overlap_before: float
    """Dice of mask and probabilities as they are, 0 to 1."""
    overlap_after: float
    """The same after moving."""

    @property
    def gain(self) -> float:
        """How much is won."""
        return self.overlap_after - self.overlap_before

    @property
    def distance(self) -> float:
        """Length of the way."""
        return float(np.hypot(self.dy, self.dx))


def best_shift(output: NDArray[np.float32], layer: NDArray[np.uint8], *, max_shift: int = SHIFT_REACH) -> MaskShift:
    """Find where a mask overlaps best with what the network sees.

    Parameters
    ----------
    output : ndarray of float32, shape (y, x)
        Probabilities.
    layer : ndarray of uint8, shape (y, x)
        Values as for `loss_evidence`.
    max_shift : int
        Pixels tried to each side.

    Returns
    -------
    Shift
        Of equally good ones the shortest. Dice counts the pixels that both pictures still share.
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
    """Return the sums of still times moved for all shifts of the latter, (2 reach + 1, 2 reach + 1) as (dy, dx)."""
    shape = [edge + max_shift for edge in fixed.shape]
    product = np.fft.rfft2(fixed, shape) * np.conj(np.fft.rfft2(moved, shape))
    sums = np.fft.irfft2(product, shape)
    rows = np.arange(-max_shift, max_shift + 1)
    return np.asarray(sums[np.ix_(rows % shape[0], rows % shape[1])], np.float64)


def duplicate_images(images: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each picture the first one before or after it that is the same, itself left out; -1 for none.

    Parameters
    ----------
    images : ndarray of float32, shape (n, y, x)
        Scale and mean play no part; flat pictures are like no other.
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
    """Return the contrast of each picture over the usual one.

    Parameters
    ----------
    images : ndarray of float32, shape (n, y, x)

    Returns
    -------
    ndarray of float64, shape (n,)
        Standard deviations over their median; 1 where that is 0.
    """
    spread = images.reshape(len(images), -1).astype(np.float64).std(axis=1)
    typical = float(np.median(spread)) if len(spread) else 0.0
    return np.asarray(spread / typical if typical > 0 else np.ones(len(images)), np.float64)


def contrast_outliers(factors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which contrasts stand out from the others, on a logarithmic scale.

    Parameters
    ----------
    factors : ndarray of float64, shape (n,)
        As from `contrast_factors`.
    """
    logs = np.log(np.maximum(factors, 1e-6))
    if not len(logs):
        return np.zeros(0, np.bool_)
    deviations = np.abs(logs - np.median(logs))
    spread = MAD_TO_SIGMA * float(np.median(deviations))
    return np.asarray((deviations > np.log(OUTLIER_FACTOR)) & (deviations > OUTLIER_DEVIATIONS * spread), np.bool_)
