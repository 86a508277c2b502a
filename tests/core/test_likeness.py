"""Whether two images show the same, and how one is turned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.likeness import SAME, likeness, turn_between


def image(seed: int = 7) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(0, 1, (24, 24))


@given(st.floats(0.01, 100), st.floats(-100, 100), st.sampled_from([1, -1]))
def test_contrast_and_its_sign_do_not_matter(scale: float, offset: float, sign: int) -> None:
    assert likeness(image(), image() * sign * scale + offset) == pytest.approx(1)


def test_other_noise_and_a_shift_are_not_alike() -> None:
    assert likeness(image(), image(8)) < 0.3
    assert likeness(image(), np.roll(image(), 1, 0)) < SAME


def test_flat_images_are_alike_only_among_themselves() -> None:
    flat = np.ones((4, 4))
    assert likeness(flat, 2 * flat) == 1
    assert likeness(flat, np.eye(4)) == 0
    assert likeness(np.eye(4), np.full((4, 4), np.nan)) == 0
    assert likeness(flat, flat, np.zeros((4, 4), np.bool_)) == 0


def test_only_pixels_inside_count() -> None:
    outside = image().copy()
    outside[:5] = 0
    inside = np.ones(outside.shape, np.bool_)
    inside[:5] = False
    assert likeness(outside, image()) < SAME
    assert likeness(outside, image(), inside) == pytest.approx(1)


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (np.flipud, "flipped in y"),
        (np.fliplr, "flipped in x"),
        (np.transpose, "transposed"),
        (np.rot90, "turned by 270 degrees"),
    ],
)
def test_a_turn_is_named(turn: object, words: str) -> None:
    assert callable(turn)
    assert turn_between(turn(image()), image()) == words
    assert turn_between(image(8), image()) is None
