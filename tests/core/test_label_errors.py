import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tomoseg_tui.core.label_errors import (
    LossEvidence,
    best_shift,
    contrast_factors,
    contrast_outliers,
    duplicate_images,
    label_error_score,
    loss_evidence,
)

EDGE = 48
Floats = NDArray[np.float32]
Layers = NDArray[np.uint8]


def blob(top: int = 16, left: int = 18, height: int = 9, width: int = 14) -> Layers:
    """Return a layer with a rectangle of feature that no shift maps onto itself."""
    layer = np.ones((EDGE, EDGE), np.uint8)
    layer[top : top + height, left : left + width] = 2
    return layer


def sure_of(layer: Layers) -> Floats:
    """Return the output of a network that predicts exactly this layer."""
    return np.where(layer == 2, np.float32(0.97), np.float32(0.02))


EMPTY = np.ones((EDGE, EDGE), np.uint8)
outputs_and_layers = st.integers(1, 5).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.float32, (n, 4, 4), elements=st.floats(0, 1, width=32)),
        arrays.arrays(np.uint8, (n, 4, 4), elements=st.integers(0, 3)),
        arrays.arrays(np.int8, n, elements=st.integers(-1, 1)),
    )
)


@given(outputs_and_layers)
def test_a_label_error_score_is_from_0_to_1_and_independent_of_other_tiles(
    tiles: tuple[Floats, Layers, NDArray[np.int8]],
) -> None:
    outputs, layers, signs = tiles
    found = label_error_score(loss_evidence(outputs, layers), signs)
    assert ((found >= 0) & (found < 1)).all()
    back = label_error_score(loss_evidence(outputs[::-1], layers[::-1]), signs[::-1])
    np.testing.assert_allclose(back, found[::-1])


@given(outputs_and_layers)
def test_unlabelled_and_ignored_pixels_do_not_count(tiles: tuple[Floats, Layers, NDArray[np.int8]]) -> None:
    outputs, layers, _ = tiles
    changed = np.where(layers % 3 == 0, 1 - outputs, outputs)
    np.testing.assert_array_equal(loss_evidence(outputs, layers), loss_evidence(changed, layers))


def test_a_network_that_agrees_with_the_label_gives_score_0() -> None:
    layers = np.stack([blob(), EMPTY])
    found = label_error_score(
        loss_evidence(np.stack([sure_of(layer) for layer in layers]), layers), np.array([1, -1], np.int8)
    )
    np.testing.assert_array_equal(found, 0)


def test_a_tile_with_a_wrong_sign_scores_higher_than_one_with_an_unsure_network() -> None:
    layers = np.stack([blob(), EMPTY, blob(), blob()])
    outputs = np.stack([sure_of(EMPTY), sure_of(blob()), sure_of(blob()), np.where(blob() == 2, 0.45, 0.02)])
    found = label_error_score(loss_evidence(outputs.astype(np.float32), layers), np.array([1, -1, 1, 1], np.int8))
    assert min(found[:2]) > 0.8
    assert found[2] == 0
    assert found[3] < 0.5


def test_specks_on_an_empty_tile_count_little() -> None:
    speck = EMPTY.copy()
    speck[5, 5:7] = 2
    layers = np.stack([blob(), EMPTY])
    found = label_error_score(
        loss_evidence(np.stack([sure_of(blob()), sure_of(speck)]), layers), np.array([1, -1], np.int8)
    )
    assert found[1] < 0.25


def test_the_weight_of_a_pixel_is_the_logarithm_of_its_odds() -> None:
    """ln(0.9 / 0.1) = 2.197 by hand; 0.999 is clipped to 0.99: ln(99) = 4.595."""
    found = loss_evidence(np.array([[[0.9, 0.999, 0.1]]], np.float32), np.array([[[2, 1, 1]]], np.uint8))
    assert found.agreed == pytest.approx([2.1972], abs=1e-3)
    assert found.disagreed == pytest.approx([4.5951], abs=1e-3)


def test_no_positive_tile_is_no_error() -> None:
    assert label_error_score(LossEvidence(np.zeros(2), np.array([0.0, 9.0])), np.array([-1, -1], np.int8))[0] == 0


@given(st.integers(-12, 12), st.integers(-12, 12))
def test_a_shifted_mask_is_found(dy: int, dx: int) -> None:
    found = best_shift(sure_of(blob()), blob(16 + dy, 18 + dx))
    assert (found.dy, found.dx) == (-dy, -dx)
    assert found.overlap_after == pytest.approx(found.overlap_before + found.gain)
    assert found.overlap_after > 0.8


@given(arrays.arrays(np.float32, (12, 12), elements=st.floats(0, 1, width=32)), st.integers(0, 2**31))
def test_the_best_shift_is_never_worse_than_none(output: Floats, seed: int) -> None:
    layer = np.random.default_rng(seed).integers(0, 4, (12, 12)).astype(np.uint8)
    found = best_shift(output, layer, max_shift=4)
    assert -1e-9 <= found.overlap_before <= found.overlap_after + 1e-6 <= 1 + 1e-5


def test_an_empty_mask_is_not_shifted() -> None:
    found = best_shift(sure_of(blob()), EMPTY)
    assert (found.dy, found.dx) == (0, 0)
    assert found.overlap_after == pytest.approx(0, abs=1e-9)


def test_duplicates_are_found_at_any_scale_and_flat_images_have_none() -> None:
    rng = np.random.default_rng(7)
    one, other = rng.normal(size=(2, 16, 16))
    images = np.stack([one, other, 3 * one + 5, np.zeros_like(one), np.zeros_like(one)]).astype(np.float32)
    np.testing.assert_array_equal(duplicate_images(images), [2, -1, 0, -1, -1])


@given(st.integers(0, 19), st.sampled_from([0.2, 3.1]))
def test_a_tile_of_unusual_contrast_is_an_outlier(where: int, factor: float) -> None:
    images = np.random.default_rng(3).normal(size=(20, 32, 32))
    images[where] *= factor
    factors = contrast_factors(images.astype(np.float32))
    assert factors[where] == pytest.approx(factor, rel=0.1)
    np.testing.assert_array_equal(np.flatnonzero(contrast_outliers(factors)), [where])


@given(st.lists(st.floats(0.82, 1.22), max_size=20))
def test_contrasts_that_differ_by_less_than_half_are_no_outliers(factors: list[float]) -> None:
    assert not contrast_outliers(np.array(factors)).any()
