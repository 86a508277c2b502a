"""Judge a network on held-out tiles: a threshold for each feature, and what it reaches there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.patches import TilePatches
from tomoseg_tui.core.scores import GRID, Confusion, ScoreHistogram
from tomoseg_tui.learn.losses import FEATURE, NOT_FEATURE

ONE_TILES_CHANCE = 0.1
"""How far the Dice of one tile lies from that of another by chance; of n tiles, by that over the root of n."""
UNSEEN_FACTOR = 4
"""An unseen tomogram shows what no tile has shown, and has about so many times the false positives."""


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


@dataclass(frozen=True)
class Judgement:
    """What the held-out tiles say of one feature."""

    best_dice: float
    """Dice at the threshold where it is greatest, by which epochs are compared."""
    score: FeatureScore
    """What is reached at the threshold to use."""


def judge(predictions: NDArray[np.float32], patches: TilePatches) -> dict[str, Judgement | None]:
    """Score predictions of the held-out tiles.

    Parameters
    ----------
    predictions : ndarray of float32, shape (m, place, s, s, feature)
        Probabilities of the m held-out tiles, in the order of `patches`, each at every place among the slices
        that are segmented at once.
    patches : TilePatches
        Their layers tell the truth; values 0 and 3 are skipped.

    Returns
    -------
    dict of str to Judgement or None
        By feature; None where no held-out pixel is the feature.
    """
    layers = patches.layers[patches.held_out]  # (m, f, s, s)
    return {
        feature: _judged(predictions[..., number], layers[:, number]) if (layers[:, number] == FEATURE).any() else None
        for number, feature in enumerate(patches.features)
    }


def _judged(predictions: NDArray[np.float32], layer: NDArray[np.uint8]) -> Judgement:
    counts = (layer == FEATURE) | (layer == NOT_FEATURE)
    at_each_place = np.broadcast_to(layer[:, np.newaxis], predictions.shape)  # (m, place, s, s)
    confusions = (
        ScoreHistogram.empty()
        .add(predictions, at_each_place == FEATURE, np.broadcast_to(counts[:, np.newaxis], predictions.shape))
        .confusions()
    )
    chosen = steadiest_threshold(confusions, tiles=int((layer == FEATURE).any(axis=(1, 2)).sum()))
    score = FeatureScore(
        threshold=float(GRID[chosen]),
        dice=confusions[chosen].dice,
        precision=confusions[chosen].precision,
        recall=confusions[chosen].recall,
        held_out_tiles=int(counts.any(axis=(1, 2)).sum()),
    )
    return Judgement(max(confusion.dice for confusion in confusions), score)


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
    few tiles it is nearly flat over a wide range, and its very maximum is an accident. On simulated
    tomograms with known truth the middle of that range lost 0.01 of the best Dice (20 cases, 0.04 at
    worst); the maximum on the tiles as they are lost 0.37 at worst.
    """
    dice = np.array([_expected_dice(confusion) for confusion in confusions])
    as_good = np.flatnonzero(dice >= dice.max() - ONE_TILES_CHANCE / np.sqrt(tiles))
    return int(as_good[0] + as_good[-1]) // 2


def _expected_dice(tiles: Confusion) -> float:
    return Confusion(tiles.tp, UNSEEN_FACTOR * tiles.fp, tiles.fn).dice
