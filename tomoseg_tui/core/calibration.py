"""Make probabilities honest: of the pixels called one half, about half shall be the feature."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError

PRIOR_WEIGHT = 0.01
"""How strongly one tile holds on to what the network says; of n tiles, the n-th part."""
MAX_NEWTON_STEPS = 50
"""More of Newton's steps than a fit of two numbers ever needs."""
SCALE_RANGE = (0.25, 2.0)
"""A scale beyond these says more of the few tiles than of the network."""
MAX_SHIFT = 3.0
"""So is a shift."""
_BINS = np.linspace(-12, 12, 481)  # logits apart by 0.05 are alike


class Calibration(NamedTuple):
    """What logits are multiplied with, and what is then added."""

    scale: float = 1.0
    shift: float = 0.0


def fit_calibration(
    logits: NDArray[np.floating], truth: NDArray[np.bool_], *, negative_weight: float, tiles: int
) -> Calibration:
    """Find how logits become honest ones.

    Parameters
    ----------
    logits : ndarray of float, any shape
        Logarithm of the odds for each pixel; infinities are held at 12.
    truth : ndarray of bool, the same shape
        True is feature.
    negative_weight : float
        How many pixels a pixel that is not feature stands for; above 0.
    tiles : int
        Tiles that show the feature, above 0: the fewer, the nearer to no change.

    Returns
    -------
    Calibration
        Scale within `SCALE_RANGE`, shift within `MAX_SHIFT`; (1, 0) leaves logits as they are.

    Raises
    ------
    ShapeError
        If the arrays differ in shape.

    Notes
    -----
    Platt's logistic fit [1]_ of two numbers, with a quadratic penalty on what departs from (1, 0).

    References
    ----------
    .. [1] Platt (1999), in: Advances in Large Margin Classifiers, MIT Press, 61-74.

    Examples
    --------
    >>> sure = np.repeat([-4.0, 4.0], 500)
    >>> right = np.tile(np.arange(500) < 100, 2) ^ (sure > 0)  # one in five is wrong
    >>> fit_calibration(sure, right, other_weight=1.0, tiles=50).scale < 0.5
    True
    """
    if logits.shape != truth.shape:
        raise ShapeError(f"Logits have shape {logits.shape}, the truth {truth.shape}.", "Fit arrays of one shape.")
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
    """Return the step (scale, shift) towards the least cross entropy and penalty, from shares of pixels at logits."""
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
