"""Judge a network on held-out tiles: how to make it honest, a threshold for each feature, and what it reaches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, labelled_pixels
from tomoseg_tui.core.calibration import Calibration, fit_calibration
from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.core.metrics import THRESHOLDS, Confusion, ScoreHistogram
from tomoseg_tui.core.patches import TilePatches

TILE_DICE_DEVIATION = 0.1
"""How far the Dice of one tile lies from that of another by chance; of n tiles, by that over the root of n."""
FALSE_POSITIVE_FACTOR = 2
"""An unseen tomogram shows what no tile has shown, and has about so many times the false positives."""
CURVE_LEVELS = tuple(round(MAX_MAP_VALUE * twentieth / 20) for twentieth in range(1, 20))
"""Numbers k of the thresholds k / 127 at which a feature's curve is kept."""
MIN_PROBABILITY = 1e-6
"""Probabilities are held so far from 0 and 1 before their logits are taken."""


@dataclass(frozen=True)
class ThresholdMetrics:
    """What the held-out tiles give at one threshold."""

    threshold: float
    dice: float
    precision: float
    recall: float


@dataclass(frozen=True)
class FeatureMetrics:
    """How well one feature is found on the held-out tiles, all their pixels taken together."""

    threshold: float
    """Pixels with a higher probability are taken for the feature; k / 127."""
    dice: float
    """2 TP / (2 TP + FP + FN) at the threshold."""
    precision: float
    """TP / (TP + FP) at the threshold."""
    recall: float
    """TP / (TP + FN) at the threshold."""
    held_out_tiles: int
    """Held-out tiles that were looked at for this feature."""
    curve: tuple[ThresholdMetrics, ...]
    """The same at thresholds from 0.05 to 0.95."""


@dataclass(frozen=True)
class FeatureEvaluation:
    """What the held-out tiles say of one feature."""

    best_dice: float
    """Dice at the threshold where it is greatest, by which epochs are compared."""
    calibration: Calibration
    """What makes the network's logits honest."""
    score: FeatureMetrics
    """What is reached, with honest probabilities, at the threshold to use."""


def evaluate_features(
    predictions: NDArray[np.float32], patches: TilePatches, *, calibrate: bool
) -> dict[str, FeatureEvaluation | None]:
    """Score predictions of the held-out tiles.

    Parameters
    ----------
    predictions : ndarray of float32, shape (m, place, s, s, feature)
        Probabilities of the m held-out tiles, in the order of `patches`, each at every place among the slices
        that are segmented at once.
    patches : TilePatches
        Their layers tell the truth; values 0 and 3 are skipped.
    calibrate : bool
        Whether the network's outputs will be calibrated; those of EMAN2's network stay as they are.

    Returns
    -------
    dict of str to Judgement or None
        By feature; None where no held-out pixel is the feature.
    """
    layers = patches.layers[patches.held_out]  # (m, f, s, s)
    return {
        feature: _evaluate_feature(predictions[..., index], layers[:, index], calibrate=calibrate)
        if (layers[:, index] == FEATURE).any()
        else None
        for index, feature in enumerate(patches.features)
    }


def _evaluate_feature(
    predictions: NDArray[np.float32], layer: NDArray[np.uint8], *, calibrate: bool
) -> FeatureEvaluation:
    """Judge one feature by predictions (m, place, s, s) and its layer (m, s, s)."""
    truth_layers = np.broadcast_to(layer[:, np.newaxis], predictions.shape)
    labelled = labelled_pixels(truth_layers)
    probabilities, truth = predictions[labelled], truth_layers[labelled] == FEATURE
    tiles = int((layer == FEATURE).any(axis=(1, 2)).sum())
    calibration = Calibration()
    if calibrate:
        calibration = fit_calibration(_logits(probabilities), truth, negative_weight=FALSE_POSITIVE_FACTOR, tiles=tiles)
        probabilities = 1 / (1 + np.exp(-(calibration.scale * _logits(probabilities) + calibration.shift)))
    confusions = ScoreHistogram.empty().add(probabilities, truth).confusions()
    chosen = _threshold_metrics(confusions, choose_threshold(confusions, tiles=tiles))
    score = FeatureMetrics(
        threshold=chosen.threshold,
        dice=chosen.dice,
        precision=chosen.precision,
        recall=chosen.recall,
        held_out_tiles=int(labelled_pixels(layer).any(axis=(1, 2)).sum()),
        curve=tuple(_threshold_metrics(confusions, level) for level in CURVE_LEVELS),
    )
    return FeatureEvaluation(max(confusion.dice for confusion in confusions), calibration, score)


def _logits(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    clipped = np.clip(probabilities, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float32)


def _threshold_metrics(confusions: list[Confusion], level: int) -> ThresholdMetrics:
    confusion = confusions[level]
    return ThresholdMetrics(float(THRESHOLDS[level]), confusion.dice, confusion.precision, confusion.recall)


def choose_threshold(confusions: list[Confusion], *, tiles: int) -> int:
    """Choose the threshold to use, from a few tiles for whole tomograms.

    Parameters
    ----------
    confusions : list of Confusion
        At each of the thresholds k / 127.
    tiles : int
        Tiles that show the feature; above 0.

    Returns
    -------
    int
        The k in the middle of those whose Dice is not worse than the best by more than chance explains.

    Notes
    -----
    The Dice is that expected of an unseen tomogram: false positives count `FALSE_POSITIVE_FACTOR` times. With a
    few tiles it is nearly flat over a wide range, and its very maximum is an accident: on simulated
    tomograms the maximum on the tiles as they are lost up to 0.37 of the best Dice.
    """
    dice = np.array([_expected_dice(confusion) for confusion in confusions])
    good_levels = np.flatnonzero(dice >= dice.max() - TILE_DICE_DEVIATION / np.sqrt(tiles))
    return int(good_levels[0] + good_levels[-1]) // 2


def _expected_dice(confusion: Confusion) -> float:
    return Confusion(confusion.tp, FALSE_POSITIVE_FACTOR * confusion.fp, confusion.fn).dice
