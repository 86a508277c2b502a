"""Measure how wrong the label of a tile looks to a network that has not seen it. Knows arrays only.

A pixel on which label and network differ counts by how sure the network is, the logarithm of its odds: a hard
tile, where the network wavers, is then less suspicious than one where it is sure of something else.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_LOOKED_AT

SURE = 0.99
"""Nothing is surer than this: a single pixel must not decide."""
USUAL_SHARE = 0.1
"""Disagreement of this share of a usual positive tile's weight makes a tile half suspicious."""
SHIFT_REACH = 16
"""A mask is tried at this many pixels to each side."""
SAME_PICTURE = 0.98
"""Two pictures that correlate so well are one; neighbouring slices of a tomogram stay below."""
ODD_FACTOR = 1.5
"""A contrast that differs from the usual one by less is not odd, however alike the others are."""
ODD_DEVIATIONS = 4.0
"""Nor one within so many standard deviations, found robustly."""
MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def seen_pixels(layers: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels somebody has decided on: neither not looked at nor to be ignored."""
    return np.asarray((layers != NOT_LOOKED_AT) & (layers != IGNORED), np.bool_)


def percent(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> str:
    """Return a share in percent, with a digit behind the point where there would be nothing before it."""
    share = 100 * int(np.count_nonzero(part)) / max(int(np.count_nonzero(whole)), 1)
    return f"{share:.0f} %" if share >= 1 else f"{share:.1f} %"


class Weights(NamedTuple):
    """Pixels of tiles weighed by how sure the network is, each of shape (n,)."""

    agreed: NDArray[np.float64]
    """On the feature, where label and network both see it."""
    against: NDArray[np.float64]
    """Where they differ."""


def weigh(outputs: NDArray[np.float32], layers: NDArray[np.uint8]) -> Weights:
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
        Sums of |log(p / (1 - p))| over pixels, with p held between 1 - `SURE` and `SURE`.

    Examples
    --------
    >>> weigh(np.array([[[0.5, 0.9]]], np.float32), np.array([[[2, 1]]], np.uint8)).against.round(3)
    array([2.197])
    """
    held = np.clip(outputs.astype(np.float64), 1 - SURE, SURE)
    odds = np.log(held / (1 - held))
    labelled, seen = layers == FEATURE, seen_pixels(layers)
    sure = np.abs(odds) * seen
    agrees = (odds > 0) == labelled
    return Weights((sure * (agrees & labelled)).sum(axis=(1, 2)), (sure * ~agrees).sum(axis=(1, 2)))


def suspicion(weights: Weights, signs: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return how suspicious each tile is.

    Parameters
    ----------
    weights : Weights
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
    `USUAL_SHARE` of the median weight of positive tiles, so that specks on an empty tile weigh little.
    """
    whole = 2 * weights.agreed + weights.against
    positive = whole[signs > 0] if (signs > 0).any() else whole
    usual = USUAL_SHARE * max(float(np.median(positive)) if len(positive) else 0.0, 1.0)
    return np.asarray(weights.against / (whole + usual), np.float64)


class Shift(NamedTuple):
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
    def pixels(self) -> float:
        """Length of the way."""
        return float(np.hypot(self.dy, self.dx))


def best_shift(output: NDArray[np.float32], layer: NDArray[np.uint8], *, reach: int = SHIFT_REACH) -> Shift:
    """Find where a mask overlaps best with what the network sees.

    Parameters
    ----------
    output : ndarray of float32, shape (y, x)
        Probabilities.
    layer : ndarray of uint8, shape (y, x)
        Values as for `weigh`.
    reach : int
        Pixels tried to each side.

    Returns
    -------
    Shift
        Of equally good ones the shortest. Dice counts the pixels that both pictures still share.
    """
    seen = seen_pixels(layer)
    mask = (layer == FEATURE).astype(np.float64)
    found = np.where(seen, output, 0).astype(np.float64)
    both = _moved_sums(found, mask, reach)
    of_found = _moved_sums(found, np.ones_like(mask), reach)
    of_mask = _moved_sums(np.ones_like(mask), mask, reach)
    dice = 2 * both / np.maximum(of_found + of_mask, 1.0)
    steps = np.arange(-reach, reach + 1)
    length = np.hypot(steps[:, np.newaxis], steps)
    best = np.lexsort((length.ravel(), -dice.round(6).ravel()))[0]
    row, column = divmod(int(best), len(steps))
    return Shift(int(steps[row]), int(steps[column]), float(dice[reach, reach]), float(dice[row, column]))


def _moved_sums(still: NDArray[np.float64], moved: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return the sums of still times moved for all shifts of the latter, (2 reach + 1, 2 reach + 1) as (dy, dx)."""
    shape = [edge + reach for edge in still.shape]
    product = np.fft.rfft2(still, shape) * np.conj(np.fft.rfft2(moved, shape))
    sums = np.fft.irfft2(product, shape)
    rows = np.arange(-reach, reach + 1)
    return np.asarray(sums[np.ix_(rows % shape[0], rows % shape[1])], np.float64)


def same_pictures(images: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each picture the first one before or after it that is the same, itself left out; -1 for none.

    Parameters
    ----------
    images : ndarray of float32, shape (n, y, x)
        Scale and mean play no part; flat pictures are like no other.
    """
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.sqrt((flat**2).sum(axis=1, keepdims=True))
    flat = np.divide(flat, length, out=np.zeros_like(flat), where=length > 0)
    twin = np.full(len(images), -1, np.int64)
    for index in range(len(images)):
        alike = np.flatnonzero(flat @ flat[index] >= SAME_PICTURE)
        others = alike[alike != index]
        twin[index] = others[0] if len(others) else -1
    return twin


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
    usual = float(np.median(spread)) if len(spread) else 0.0
    return np.asarray(spread / usual if usual > 0 else np.ones(len(images)), np.float64)


def odd_contrasts(factors: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which contrasts stand out from the others, on a logarithmic scale.

    Parameters
    ----------
    factors : ndarray of float64, shape (n,)
        As from `contrast_factors`.
    """
    logs = np.log(np.maximum(factors, 1e-6))
    if not len(logs):
        return np.zeros(0, np.bool_)
    away = np.abs(logs - np.median(logs))
    spread = MAD_TO_SIGMA * float(np.median(away))
    return np.asarray((away > np.log(ODD_FACTOR)) & (away > ODD_DEVIATIONS * spread), np.bool_)
