"""Judge a network on held-out tiles: how to make it honest, a threshold for each feature, and what it reaches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.calibration import Calibration, fit_calibration
from tomoseg_tui.core.metrics import GRID, Confusion, ScoreHistogram
from tomoseg_tui.core.patches import TilePatches
from tomoseg_tui.ml.losses import FEATURE, NOT_FEATURE

ONE_TILES_CHANCE = 0.1
"""How far the Dice of one tile lies from that of another by chance; of n tiles, by that over the root of n."""
UNSEEN_FACTOR = 2
"""An unseen tomogram shows what no tile has shown, and has about so many times the false positives."""
CURVE = tuple(round(127 * twentieth / 20) for twentieth in range(1, 20))
"""Numbers k of the thresholds k / 127 at which a feature's curve is kept."""
SMALLEST_CHANCE = 1e-6
"""Probabilities are held so far from 0 and 1 before their logits are taken."""


@dataclass(frozen=True)
class CurvePoint:
    """What the held-out tiles give at one threshold."""

    threshold: float
    dice: float
    precision: float
    recall: float


@dataclass(frozen=True)
class FeatureScore:
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
    curve: tuple[CurvePoint, ...]
    """The same at thresholds from 0.05 to 0.95."""


@dataclass(frozen=True)
class Judgement:
    """What the held-out tiles say of one feature."""

    best_dice: float
    """Dice at the threshold where it is greatest, by which epochs are compared."""
    calibration: Calibration
    """What makes the network's logits honest."""
    score: FeatureScore
    """What is reached, with honest probabilities, at the threshold to use."""


def judge(predictions: NDArray[np.float32], patches: TilePatches, *, calibrated: bool) -> dict[str, Judgement | None]:
    """Score predictions of the held-out tiles.

    Parameters
    ----------
    predictions : ndarray of float32, shape (m, place, s, s, feature)
        Probabilities of the m held-out tiles, in the order of `patches`, each at every place among the slices
        that are segmented at once.
    patches : TilePatches
        Their layers tell the truth; values 0 and 3 are skipped.
    calibrated : bool
        Whether the network's outputs will be calibrated; those of EMAN2's network stay as they are.

    Returns
    -------
    dict of str to Judgement or None
        By feature; None where no held-out pixel is the feature.
    """
    layers = patches.layers[patches.held_out]  # (m, f, s, s)
    return {
        feature: _judged(predictions[..., number], layers[:, number], calibrated=calibrated)
        if (layers[:, number] == FEATURE).any()
        else None
        for number, feature in enumerate(patches.features)
    }


def _judged(predictions: NDArray[np.float32], layer: NDArray[np.uint8], *, calibrated: bool) -> Judgement:
    """Judge one feature by predictions (m, place, s, s) and its layer (m, s, s)."""
    at_each_place = np.broadcast_to(layer[:, np.newaxis], predictions.shape)
    counts = (at_each_place == FEATURE) | (at_each_place == NOT_FEATURE)
    found, truth = predictions[counts], at_each_place[counts] == FEATURE
    tiles = int((layer == FEATURE).any(axis=(1, 2)).sum())
    calibration = Calibration()
    if calibrated:
        calibration = fit_calibration(_logits(found), truth, other_weight=UNSEEN_FACTOR, tiles=tiles)
        found = 1 / (1 + np.exp(-(calibration.scale * _logits(found) + calibration.shift)))
    confusions = ScoreHistogram.empty().add(found, truth).confusions()
    chosen = _point(confusions, steadiest_threshold(confusions, tiles=tiles))
    score = FeatureScore(
        threshold=chosen.threshold,
        dice=chosen.dice,
        precision=chosen.precision,
        recall=chosen.recall,
        held_out_tiles=int(((layer == FEATURE) | (layer == NOT_FEATURE)).any(axis=(1, 2)).sum()),
        curve=tuple(_point(confusions, number) for number in CURVE),
    )
    return Judgement(max(confusion.dice for confusion in confusions), calibration, score)


def _logits(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    held = np.clip(probabilities, SMALLEST_CHANCE, 1 - SMALLEST_CHANCE)
    return np.asarray(np.log(held / (1 - held)), np.float32)


def _point(confusions: list[Confusion], number: int) -> CurvePoint:
    one = confusions[number]
    return CurvePoint(float(GRID[number]), one.dice, one.precision, one.recall)


def steadiest_threshold(confusions: list[Confusion], *, tiles: int) -> int:
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
    The Dice is that expected of an unseen tomogram: false positives count `UNSEEN_FACTOR` times. With a
    few tiles it is nearly flat over a wide range, and its very maximum is an accident: on simulated
    tomograms the maximum on the tiles as they are lost up to 0.37 of the best Dice.
    """
    dice = np.array([_expected_dice(confusion) for confusion in confusions])
    as_good = np.flatnonzero(dice >= dice.max() - ONE_TILES_CHANCE / np.sqrt(tiles))
    return int(as_good[0] + as_good[-1]) // 2


def _expected_dice(tiles: Confusion) -> float:
    return Confusion(tiles.tp, UNSEEN_FACTOR * tiles.fp, tiles.fn).dice
