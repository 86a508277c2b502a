"""Calibrate probabilities, so that of the pixels with 0.5 about half are the feature; and choose the threshold."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.metrics import Confusion
from tomoseg_tui.errors import ShapeError

PRIOR_WEIGHT = 0.01
"""Weight of the quadratic penalty towards (1, 0), divided by the number of tiles."""
MAX_NEWTON_STEPS = 50
"""Newton steps of the fit; two parameters converge in far fewer."""
SCALE_RANGE = (0.25, 2.0)
"""Limits of the scale; values beyond reflect the few tiles more than the network."""
MAX_SHIFT = 3.0
"""Largest absolute shift, for the same reason."""
TILE_DICE_DEVIATION = 0.1
"""Random deviation of the Dice of single tiles; for n tiles divided by the root of n."""
FALSE_POSITIVE_FACTOR = 2
"""False positives in an unseen tomogram over those on the tiles, which cannot show all of its contents."""
_BINS = np.linspace(-12, 12, 481)  # logits within 0.05 are counted together


class Calibration(NamedTuple):
    """Linear map of logits: logit * scale + shift."""

    scale: float = 1.0
    shift: float = 0.0


def fit_calibration(
    logits: NDArray[np.floating], truth: NDArray[np.bool_], *, negative_weight: float, tiles: int
) -> Calibration:
    """Fit the calibration of logits to the truth.

    Parameters
    ----------
    logits : ndarray of float, any shape
        Logarithm of the odds of each pixel; clipped at ±12.
    truth : ndarray of bool, the same shape
        True is feature.
    negative_weight : float
        Number of pixels that each pixel that is not feature stands for; above 0.
    tiles : int
        Tiles that show the feature, above 0. With fewer tiles the fit stays closer to (1, 0).

    Returns
    -------
    Calibration
        Scale within `SCALE_RANGE`, shift within ±`MAX_SHIFT`; (1, 0) leaves logits unchanged.

    Raises
    ------
    ShapeError
        If the arrays differ in shape.

    Notes
    -----
    Platt's logistic fit [1]_ of two parameters, with a quadratic penalty on the distance from (1, 0).

    References
    ----------
    .. [1] Platt (1999), in: Advances in Large Margin Classifiers, MIT Press, 61-74.

    Examples
    --------
    >>> sure = np.repeat([-4.0, 4.0], 500)
    >>> right = np.tile(np.arange(500) < 100, 2) ^ (sure > 0)  # one in five is wrong
    >>> fit_calibration(sure, right, negative_weight=1.0, tiles=50).scale < 0.5
    True
    """
    if logits.shape != truth.shape:
        raise ShapeError(f"Logits have shape {logits.shape}, the truth {truth.shape}.", "Pass arrays of one shape.")
    bins = np.searchsorted(_BINS, logits)
    positives = np.bincount(bins[truth], minlength=_BINS.size + 1).astype(np.float64)
    negatives = np.bincount(bins[~truth], minlength=_BINS.size + 1) * negative_weight
    total = max(positives.sum() + negatives.sum(), 1.0)
    bin_logits = np.concatenate([_BINS[:1], (_BINS[1:] + _BINS[:-1]) / 2, _BINS[-1:]])
    prior_weight = PRIOR_WEIGHT / tiles
    parameters = np.array([1.0, 0.0])
    for _ in range(MAX_NEWTON_STEPS):
        step = _newton_step(bin_logits, positives / total, negatives / total, parameters, prior_weight)
        parameters = np.clip(
            parameters - np.clip(step, -0.5, 0.5), [SCALE_RANGE[0], -MAX_SHIFT], [SCALE_RANGE[1], MAX_SHIFT]
        )
    return Calibration(float(parameters[0]), float(parameters[1]))


def _newton_step(
    bin_logits: NDArray[np.float64],
    positives: NDArray[np.float64],
    negatives: NDArray[np.float64],
    parameters: NDArray[np.float64],
    prior_weight: float,
) -> NDArray[np.float64]:
    """Return the Newton step (scale, shift) on cross entropy plus penalty, from shares of pixels at each logit."""
    probability = 1 / (1 + np.exp(-(parameters[0] * bin_logits + parameters[1])))
    derivative = negatives * probability - positives * (1 - probability)
    second_derivative = (positives + negatives) * probability * (1 - probability)
    gradient = np.array([(derivative * bin_logits).sum(), derivative.sum()]) + prior_weight * (parameters - [1.0, 0.0])
    cross_term = (second_derivative * bin_logits).sum()
    hessian = np.array(
        [
            [(second_derivative * bin_logits**2).sum() + prior_weight, cross_term],
            [cross_term, second_derivative.sum() + prior_weight],
        ]
    )
    return np.asarray(np.linalg.solve(hessian, gradient))


def choose_threshold(confusions: list[Confusion], *, tiles: int) -> int:
    """Choose the threshold for whole tomograms from the scores on a few tiles.

    Parameters
    ----------
    confusions : list of Confusion
        Confusion at each of the thresholds k / 127.
    tiles : int
        Tiles that show the feature; above 0.

    Returns
    -------
    int
        The middle of the k whose Dice is within random deviation of the greatest.

    Notes
    -----
    The Dice is an estimate for unseen tomograms: false positives count `FALSE_POSITIVE_FACTOR` times. With few tiles
    it is nearly constant over a wide range, and its exact maximum is random: on simulated tomograms, thresholds at the
    uncorrected maximum lost up to 0.37 of the best Dice.
    """
    dice = np.array([_expected_dice(confusion) for confusion in confusions])
    good_levels = np.flatnonzero(dice >= dice.max() - TILE_DICE_DEVIATION / np.sqrt(tiles))
    return int(good_levels[0] + good_levels[-1]) // 2


def _expected_dice(confusion: Confusion) -> float:
    return Confusion(confusion.tp, FALSE_POSITIVE_FACTOR * confusion.fp, confusion.fn).dice
