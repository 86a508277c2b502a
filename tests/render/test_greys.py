import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from tomoseg_tui.errors import UsageError
from tomoseg_tui.render.greys import (
    XTERM_GREY_VALUES,
    XTERM_GREYS,
    GreyWindow,
    dither,
    grey_levels,
    nearest_xterm_greys,
    quantise,
    restore_contrast,
    to_grey,
    window_from_sample,
)

densities = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(width=32))


@given(densities)
def test_any_sample_gives_a_usable_window(values: NDArray[np.float32]) -> None:
    window = window_from_sample(values)
    assert window.high > window.low
    assert to_grey(values, window).shape == values.shape


def test_the_window_ignores_nan_and_infinity() -> None:
    ramp = np.arange(1001, dtype=np.float32)
    spoiled = np.concatenate([ramp, [np.nan, np.inf, -np.inf]]).astype(np.float32)
    assert window_from_sample(spoiled) == window_from_sample(ramp) == GreyWindow(5.0, 995.0)


def test_a_flat_sample_is_shown_as_middle_grey() -> None:
    flat = np.full((4, 4), 12.5, dtype=np.float32)
    assert set(to_grey(flat, window_from_sample(flat)).ravel().tolist()) == {128}


def test_a_few_bright_pixels_on_a_flat_background_are_visible() -> None:
    values = np.zeros((100, 100), dtype=np.int8)
    values[3, 3] = 100
    grey = to_grey(values, window_from_sample(values))
    assert (grey[3, 3], grey[0, 0]) == (255, 0)


def test_greys_run_from_black_at_low_to_white_at_high() -> None:
    values = np.array([[-5, 0, 127, 255, 300]], dtype=np.int16)
    assert to_grey(values, GreyWindow(0, 255)).tolist() == [[0, 0, 127, 255, 255]]


def test_nan_is_middle_grey_and_infinities_are_black_and_white() -> None:
    values = np.array([[np.nan, np.inf, -np.inf]])
    assert to_grey(values, GreyWindow(0, 1)).tolist() == [[128, 255, 0]]


def test_the_values_given_are_left_unchanged() -> None:
    values = np.array([[np.nan, 2.0]], dtype=np.float32)
    to_grey(values, GreyWindow(0, 1))
    assert np.isnan(values[0, 0])
    assert values[0, 1] == 2.0


def test_a_reversed_window_is_refused_with_a_clear_error() -> None:
    with pytest.raises(UsageError, match=r"is 3 to 1.*greater than the lower"):
        GreyWindow(3, 1)


@given(st.integers(2, 256))
def test_quantising_keeps_black_and_white_and_rounds_to_the_nearest_level(levels: int) -> None:
    every_grey = np.arange(256, dtype=np.uint8)
    rounded = quantise(every_grey, levels).astype(int)
    assert set(rounded.tolist()) == set(grey_levels(levels).tolist())
    assert (rounded[0], rounded[-1]) == (0, 255)
    assert np.abs(rounded - every_grey).max() <= 255 / (levels - 1) / 2 + 1


def test_the_26_greys_of_xterm_are_their_own_nearest() -> None:
    assert nearest_xterm_greys()[XTERM_GREY_VALUES].tolist() == XTERM_GREYS.tolist()
    assert XTERM_GREYS.tolist() == [16, *range(232, 256), 231]


@given(st.integers(0, 255))
def test_the_share_of_white_points_is_the_grey(grey: int) -> None:
    lit = dither(np.full((16, 16), grey, dtype=np.uint8))
    assert lit.mean() == pytest.approx(grey / 255, abs=1 / 16)


def test_dithering_keeps_black_and_white() -> None:
    picture = np.array([[0, 255] * 4] * 8, dtype=np.uint8)
    assert (dither(picture) == (picture == 255)).all()


def test_the_contrast_of_averaged_noise_is_restored() -> None:
    original = np.random.default_rng(7).normal(128, 40, (64, 64)).clip(0, 255).astype(np.uint8)
    shrunk = original.reshape(32, 2, 32, 2).mean(axis=(1, 3)).astype(np.uint8)
    restored = restore_contrast(shrunk, original)
    assert shrunk.std() < 0.6 * original.std()
    assert restored.std() == pytest.approx(original.std(), rel=0.15)


@given(arrays(np.uint8, (6, 6)))
def test_a_picture_with_its_full_contrast_is_unchanged(picture: NDArray[np.uint8]) -> None:
    assert (restore_contrast(picture, picture) == picture).all()
