"""Tiles are recognised by their densities after rotation, filtering and reordering."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tomoseg_tui.core.image_matching import (
    AS_EXPORTED,
    FLIPPED_Y,
    ORIENTATIONS,
    correlation,
    find_orientation,
    match_images,
)
from tomoseg_tui.errors import ShapeError

NAMES = [f"tile {number}" for number in range(5)]


def tiles(seed: int = 7) -> NDArray[np.float32]:
    values = gaussian_filter(np.random.default_rng(seed).normal(size=(5, 32, 32)), (0, 1, 1))
    return np.asarray(values, np.float32)


@pytest.mark.parametrize("turn", ORIENTATIONS)
def test_every_orientation_is_recognised(turn: str) -> None:
    steps = {"rotated by 90 degrees": 1, "rotated by -90 degrees": -1}
    images = np.rot90(tiles(), steps[turn], (1, 2)) if turn in steps else ORIENTATIONS[turn].undo(tiles())
    assert match_images(images, tiles(), NAMES, label="the stack").orientation == turn
    np.testing.assert_array_equal(ORIENTATIONS[turn].undo(images), tiles())


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.1, 10), st.floats(-50, 50), st.sampled_from([1, -1]), st.floats(0, 1.5), st.sampled_from([1, -1]),
)  # fmt: skip
def test_contrast_and_a_filter_do_not_matter(scale: float, shift: float, sign: int, blur: float, step: int) -> None:
    images = gaussian_filter(tiles(), (0, blur, blur)) * scale * sign + shift
    found = match_images(images[:, ::step].astype(np.float32), tiles(), NAMES, label="the stack")
    assert found.orientation == (AS_EXPORTED if step == 1 else FLIPPED_Y)
    assert found.matched_count == 5


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(5)), st.sampled_from([1, -1]))
def test_another_order_is_refused_with_the_differences(order: list[int], step: int) -> None:
    assume(order != sorted(order))
    first = next(place for place, tile in enumerate(order) if place != tile)
    with pytest.raises(ShapeError, match=rf"image {first + 1} is tile {order[first]}, not tile {first}"):
        match_images(tiles()[order][:, ::step], tiles(), NAMES, label="the stack")


def test_neighbouring_slices_are_told_apart() -> None:
    volume = gaussian_filter(np.random.default_rng(3).normal(size=(5, 32, 32)), (2, 1, 1)).astype(np.float32)
    assert correlation(volume[2], volume[3]) > 0.8
    with pytest.raises(ShapeError, match="image 3 is tile 3, not tile 2; image 4 is tile 2"):
        match_images(volume[[0, 1, 3, 2, 4]], volume, NAMES, label="the stack")


def test_images_of_something_else_are_refused() -> None:
    with pytest.raises(ShapeError, match="5 of 5 images that do not match their tiles: image 1 is not tile 0"):
        match_images(tiles(8), tiles(7), NAMES, label="the stack")


def test_flat_tiles_are_left_out_and_identical_tiles_not_confused() -> None:
    some = tiles()
    some[1] = 0.0
    some[4] = some[3]
    found = match_images(some, some, NAMES, label="the stack")
    assert (found.orientation, found.matched_count) == (AS_EXPORTED, 4)
    nothing = np.zeros_like(some)
    assert match_images(nothing, some, NAMES, label="the stack").matched_count == 0
    assert np.isnan(correlation(some[1], some[0]))


def test_the_orientation_of_a_volume_is_that_of_its_windows() -> None:
    found = find_orientation({AS_EXPORTED: [0.7, float("nan")], FLIPPED_Y: [0.99, float("nan")]})
    assert found is not None
    assert (found.orientation, found.matched_count) == (FLIPPED_Y, 1)
    assert find_orientation({AS_EXPORTED: [0.1, 0.2], FLIPPED_Y: [0.99, 0.1]}) is None
    unknown = find_orientation({AS_EXPORTED: [float("nan")], FLIPPED_Y: [float("nan")]})
    assert unknown is not None
    assert unknown.matched_count == 0
