"""Losses and the pixels that they skip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoseg_tui.core.network_settings import NETWORKS
from tomoseg_tui.ml.losses import comparable_loss, compute_loss

BOTH = pytest.mark.parametrize("name", ["unet25d", "eman2"])
STEP = {"unet25d": 1, "eman2": 2}


@BOTH
@settings(max_examples=10, deadline=None)
@given(value=st.sampled_from([0, 3]), seed=st.integers(0, 1000))
def test_unlabelled_and_ignored_pixels_do_not_change_the_loss(name: str, value: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = rng.integers(1, 3, (2, 8, 8, 1, 1), dtype=np.uint8)
    layers[:, :4] = value
    outputs = rng.standard_normal((2, 8 // STEP[name], 8 // STEP[name], 1), dtype=np.float32)
    changed = outputs.copy()
    changed[:, : 4 // STEP[name]] += 5
    network = NETWORKS[name]
    assert float(compute_loss(network, outputs, layers)) == pytest.approx(
        float(compute_loss(network, changed, layers)), abs=1e-5
    )


def test_a_tile_unlabelled_for_a_feature_adds_nothing_to_its_loss() -> None:
    rng = np.random.default_rng(0)
    layers = rng.integers(1, 3, (2, 8, 8, 1, 2), dtype=np.uint8)
    logits = rng.standard_normal((2, 8, 8, 2), dtype=np.float32)
    layers[..., 1] = 0
    both = float(compute_loss(NETWORKS["unet25d"], logits, layers))
    alone = float(compute_loss(NETWORKS["unet25d"], logits[..., :1], layers[..., :1]))
    assert both == pytest.approx(alone)


def test_a_batch_without_labels_has_no_loss() -> None:
    nothing = np.zeros((1, 8, 8, 1, 1), np.uint8)
    assert float(compute_loss(NETWORKS["unet25d"], np.ones((1, 8, 8, 1), np.float32), nothing)) == 0


def test_a_right_output_has_a_smaller_loss_than_a_wrong_one() -> None:
    layers = np.ones((1, 8, 8, 1, 1), np.uint8)
    layers[:, 2:5, 2:5] = 2
    right = np.where(layers == 2, 6, -6).astype(np.float32)[..., 0]
    assert float(compute_loss(NETWORKS["unet25d"], right, layers)) < 0.05
    assert float(compute_loss(NETWORKS["unet25d"], -right, layers)) > 5


def test_eman2s_loss_is_the_logarithm_of_the_mean_squared_error_after_clipping_at_1() -> None:
    """By hand: four coarse pixels, labels 1, 0, 1/2, 0 against 3 (clipped to 1), 0.5, 0.5 and -1."""
    layers = np.ones((1, 4, 4, 1, 1), np.uint8)
    layers[0, :2, :2] = 2
    layers[0, 2:, :1] = 2
    amplitudes = np.array([[3, 0.5], [0.5, -1]], np.float32).reshape(1, 2, 2, 1)
    expected = np.log((0 + 0.25 + 0 + 1) / 4)
    assert float(compute_loss(NETWORKS["eman2"], amplitudes, layers)) == pytest.approx(expected, rel=1e-5)


def test_losses_are_compared_on_a_linear_scale() -> None:
    assert comparable_loss(NETWORKS["eman2"], -3.0) == pytest.approx(np.exp(-3.0))
    assert comparable_loss(NETWORKS["unet25d"], 0.7) == 0.7


def test_with_several_features_the_overlap_counts_less() -> None:
    """By hand: probability one half everywhere, half of 64 pixels true; entropy log 2, soft Dice 33 / 65."""
    layers = np.ones((1, 8, 8, 1, 1), np.uint8)
    layers[:, :4] = 2
    for features in (1, 2, 4):
        loss = float(
            compute_loss(NETWORKS["slabnet"], np.zeros((1, 8, 8, features), np.float32), layers.repeat(features, -1))
        )
        assert loss == pytest.approx(np.log(2) + (1 - 33 / 65) / features, rel=1e-5)


def test_a_feature_with_a_smaller_weight_adds_that_share_of_its_loss() -> None:
    rng = np.random.default_rng(0)
    layers = rng.integers(1, 3, (2, 8, 8, 1, 2), dtype=np.uint8)
    logits = rng.standard_normal((2, 8, 8, 2), dtype=np.float32)
    network = NETWORKS["slabnet"]
    each = [float(compute_loss(network, logits, layers, np.eye(2, dtype=np.float32)[feature])) for feature in range(2)]
    assert float(compute_loss(network, logits, layers, np.array([1, 0.2], np.float32))) == pytest.approx(
        each[0] + 0.2 * each[1], rel=1e-5
    )
