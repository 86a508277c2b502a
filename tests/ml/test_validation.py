"""Thresholds and scores from validation tiles."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.patches import TilePatches
from tomoseg_tui.ml.validation import FeatureMetrics, evaluate_features


def truth_of(tiles: TilePatches) -> NDArray[np.float32]:
    """Return the truth, shape (m, position, s, s, feature), with one position."""
    truth: NDArray[np.float32] = np.moveaxis(tiles.layers[tiles.held_out] == 2, 1, -1)[:, np.newaxis].astype(np.float32)
    return truth


def score_of(predictions: NDArray[np.float32], tiles: TilePatches) -> FeatureMetrics:
    judged = evaluate_features(predictions, tiles, calibrate=False)["sphere"]
    assert judged is not None
    assert judged.best_dice >= judged.score.dice
    return judged.score


def test_the_truth_itself_scores_1_at_one_half(make_tiles: Callable[..., TilePatches]) -> None:
    tiles = make_tiles(count=6, held_out=3)
    score = score_of(truth_of(tiles), tiles)
    assert (score.dice, score.precision, score.recall, score.held_out_tiles) == (1, 1, 1, 3)
    assert score.threshold == pytest.approx(0.5, abs=1 / 127)


def test_the_threshold_adapts_to_low_probabilities(make_tiles: Callable[..., TilePatches]) -> None:
    tiles = make_tiles(count=6, held_out=3)
    score = score_of(np.float32(0.2) * truth_of(tiles), tiles)
    assert score.dice == 1
    assert score.threshold < 0.2


def test_unlabelled_and_ignored_pixels_are_not_evaluated(make_tiles: Callable[..., TilePatches]) -> None:
    tiles = make_tiles(count=6, held_out=3)
    wrong = truth_of(tiles)
    wrong[:, :, :4] = 1
    tiles.layers[:, :, :2] = 0
    tiles.layers[:, :, 2:4] = 3
    score = score_of(wrong, tiles)
    assert score.dice == 1


def test_a_feature_on_no_held_out_tile_has_no_score(make_tiles: Callable[..., TilePatches]) -> None:
    tiles = make_tiles(count=6, held_out=3)
    tiles.layers[tiles.held_out] = 1
    assert evaluate_features(np.zeros((3, 1, 16, 16, 1), np.float32), tiles, calibrate=True) == {"sphere": None}


def test_the_curve_has_dice_precision_and_recall_by_threshold(
    make_tiles: Callable[..., TilePatches],
) -> None:
    tiles = make_tiles(count=6, held_out=3)
    curve = score_of(np.float32(0.52) * truth_of(tiles), tiles).curve
    assert [round(point.threshold, 1) for point in curve[1::2]] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert [point.dice for point in curve[1::2]] == [1, 1, 1, 1, 1, 0, 0, 0, 0]
    assert [point.recall for point in curve[1::2]] == [1, 1, 1, 1, 1, 0, 0, 0, 0]


def test_an_overconfident_network_is_calibrated(make_tiles: Callable[..., TilePatches]) -> None:
    """Its output is 0.98 where one pixel in five is wrong; the calibrated output is lower."""
    tiles = make_tiles(count=6, held_out=3)
    wrong = np.random.default_rng(0).random(truth_of(tiles).shape) < 0.2
    sure = np.where((truth_of(tiles) > 0) ^ wrong, 0.98, 0.02).astype(np.float32)
    judged = evaluate_features(sure, tiles, calibrate=True)["sphere"]
    assert judged is not None
    assert judged.calibration.scale < 0.6
