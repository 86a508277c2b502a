"""Evaluate a network on the held-out tiles: calibration, a threshold for each feature, and scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, labelled_pixels
from tomoseg_tui.core.calibration import FALSE_POSITIVE_FACTOR, Calibration, choose_threshold, fit_calibration
from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.core.metrics import THRESHOLDS, Confusion, ScoreHistogram
from tomoseg_tui.core.patches import TilePatches

CURVE_LEVELS = tuple(round(MAX_MAP_VALUE * twentieth / 20) for twentieth in range(1, 20))
"""Numbers k of the thresholds k / 127 in a feature's stored curve."""
MIN_PROBABILITY = 1e-6
"""Probabilities are clipped to this distance from 0 and 1 before the logit."""


@dataclass(frozen=True)
class ThresholdMetrics:
    """Scores on the validation tiles at one threshold."""

    threshold: float
    dice: float
    precision: float
    recall: float


@dataclass(frozen=True)
class FeatureMetrics:
    """Scores of one feature on all pixels of the validation tiles."""

    threshold: float
    """Pixels with a higher probability are the feature; k / 127."""
    dice: float
    """2 TP / (2 TP + FP + FN) at the threshold."""
    precision: float
    """TP / (TP + FP) at the threshold."""
    recall: float
    """TP / (TP + FN) at the threshold."""
    held_out_tiles: int
    """Validation tiles that are labelled for this feature."""
    curve: tuple[ThresholdMetrics, ...]
    """Scores at thresholds from 0.05 to 0.95."""


@dataclass(frozen=True)
class FeatureEvaluation:
    """Evaluation of one feature on the validation tiles."""

    best_dice: float
    """Greatest Dice over thresholds, by which epochs are compared."""
    calibration: Calibration
    """Calibration of the network's logits."""
    score: FeatureMetrics
    """Scores with calibrated probabilities at the chosen threshold."""


def evaluate_features(
    predictions: NDArray[np.float32], patches: TilePatches, *, calibrate: bool
) -> dict[str, FeatureEvaluation | None]:
    """Evaluate predictions of the held-out tiles.

    Parameters
    ----------
    predictions : ndarray of float32, shape (m, position, s, s, feature)
        Probabilities of the m held-out tiles, in the order of `patches`, at each position among the output slices.
    patches : TilePatches
        All tiles; their layers are the truth, values 0 and 3 are skipped.
    calibrate : bool
        Calibrate the network's outputs; not done for EMAN2's network.

    Returns
    -------
    dict of str to FeatureEvaluation or None
        By feature; None if no held-out pixel is the feature.
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
    """Evaluate one feature by predictions (m, position, s, s) and its layer (m, s, s)."""
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
