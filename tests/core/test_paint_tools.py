"""The pixels of each paint tool."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED
from tomoseg_tui.core.paint_tools import (
    BRUSH_WIDTHS,
    Pixel,
    brush_mask,
    dilate,
    erode,
    filament_mask,
    fill_mask,
    interpolate_masks,
    magic_wand_mask,
    polygon_mask,
    polyline_mask,
    rectangle_mask,
    replace_feature_pixels,
    threshold_mask,
)

SHAPE = (24, 31)
PIXELS = st.tuples(st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1))
ANYWHERE = st.tuples(st.integers(-40, 60), st.integers(-40, 60))
WIDTHS = st.integers(1, 15)
MASKS = arrays.arrays(np.bool_, SHAPE)


def rows(*lines: str) -> NDArray[np.bool_]:
    return np.array([[sign == "#" for sign in line] for line in lines])


@pytest.mark.parametrize(
    ("width", "picture"),
    [
        (1, [".....", ".....", "..#..", ".....", "....."]),
        (2, [".....", ".....", "..##.", "..##.", "....."]),
        (3, [".....", ".###.", ".###.", ".###.", "....."]),
        (4, ["..##.", ".####", ".####", "..##.", "....."]),
        (5, [".###.", "#####", "#####", "#####", ".###."]),
    ],
)
def test_a_brush_mask_is_a_disc_of_its_width(width: int, picture: list[str]) -> None:
    shift = 1 if width == 4 else 0
    np.testing.assert_array_equal(brush_mask((5, 5), (2 - shift, 2), width), rows(*picture))


@given(at=ANYWHERE, width=WIDTHS)
def test_pixels_outside_the_tile_are_left_out(at: Pixel, width: int) -> None:
    canvas = brush_mask((140, 140), (at[0] + 50, at[1] + 50), width)
    np.testing.assert_array_equal(brush_mask(SHAPE, at, width), canvas[50 : 50 + SHAPE[0], 50 : 50 + SHAPE[1]])


@pytest.mark.parametrize("width", BRUSH_WIDTHS)
def test_a_brush_mask_has_its_width(width: int) -> None:
    mask = brush_mask((40, 40), (20, 20), width)
    assert mask.any(axis=0).sum() == mask.any(axis=1).sum() == width


@given(points=st.lists(ANYWHERE, min_size=1, max_size=5), width=WIDTHS)
def test_a_polyline_contains_the_discs_at_its_points(points: list[Pixel], width: int) -> None:
    mask = polyline_mask(SHAPE, points, width)
    for point in points:
        assert (mask | ~brush_mask(SHAPE, point, width)).all()


@given(start=PIXELS, end=PIXELS)
def test_a_polyline_of_width_1_has_no_gap(start: Pixel, end: Pixel) -> None:
    mask = polyline_mask(SHAPE, [start, end], 1)
    assert mask.sum() == max(abs(start[0] - end[0]), abs(start[1] - end[1])) + 1
    assert mask[start]
    assert mask[end]


@given(start=PIXELS, end=PIXELS, width=WIDTHS)
def test_a_band_extends_the_line_between_its_points(start: Pixel, end: Pixel, width: int) -> None:
    """Except for the round ends of the line."""
    joined, on = polyline_mask(SHAPE, [start, end], width), filament_mask(SHAPE, start, end, width)
    if start == end:
        np.testing.assert_array_equal(joined, on)
    else:
        missed = joined & ~dilate(on, 1.5)
        assert not missed.any()


def test_a_band_reaches_the_borders_and_has_its_width() -> None:
    mask = filament_mask((20, 20), (8, 5), (8, 6), 5)
    assert mask[6:11].all()
    assert mask.sum() == 5 * 20
    assert filament_mask((20, 20), (8, 5), (8, 6), 4)[7:11].all()


def test_a_polygon_includes_its_edge() -> None:
    mask = polygon_mask((7, 9), [(1, 1), (1, 6), (5, 6), (5, 1)])
    np.testing.assert_array_equal(mask, rectangle_mask((7, 9), (1, 1), (5, 6)))
    assert not polygon_mask((7, 9), []).any()
    assert polygon_mask((7, 9), [(3, 3)]).sum() == 1


@given(points=st.lists(ANYWHERE, min_size=1, max_size=6))
def test_a_polygon_has_holes_only_where_it_winds_twice(points: list[Pixel]) -> None:
    mask = polygon_mask(SHAPE, points)
    assert (mask | ~polyline_mask(SHAPE, [*points, points[0]], 1)).all()
    if len(points) <= 3:
        for at in np.argwhere(~mask)[:5]:
            assert not fill_mask(mask, (int(at[0]), int(at[1]))).any() or len(points) > 3


def test_an_enclosed_region_is_filled_and_an_open_one_is_not() -> None:
    ring = rectangle_mask((9, 9), (1, 1), (7, 7)) & ~rectangle_mask((9, 9), (2, 2), (6, 6))
    np.testing.assert_array_equal(fill_mask(ring, (4, 4)), rectangle_mask((9, 9), (2, 2), (6, 6)))
    assert not fill_mask(ring, (0, 0)).any()
    assert not fill_mask(ring, (1, 1)).any()
    assert not fill_mask(ring, (40, 4)).any()
    ring[1, 4] = False
    assert not fill_mask(ring, (4, 4)).any()


@given(one=ANYWHERE, other=ANYWHERE)
def test_a_rectangle_lies_between_its_corners_in_any_order(one: Pixel, other: Pixel) -> None:
    mask = rectangle_mask(SHAPE, one, other)
    np.testing.assert_array_equal(mask, rectangle_mask(SHAPE, other, one))
    inside = [
        [min(one[0], other[0]) <= y <= max(one[0], other[0]) and min(one[1], other[1]) <= x <= max(one[1], other[1])
         for x in range(SHAPE[1])] for y in range(SHAPE[0])
    ]  # fmt: skip
    np.testing.assert_array_equal(mask, inside)


def test_the_wand_selects_one_connected_region_of_similar_pixels_nearby() -> None:
    grey = np.zeros((30, 30), np.float32)
    grey[5:25, 5:10] = -3  # the selected region
    grey[5:25, 15:20] = -3  # a similar region apart from it
    found = magic_wand_mask(grey, (8, 7), tolerance=1, radius=10, smoothing=0)
    rows_of, columns_of = np.nonzero(found)
    assert (columns_of.min(), columns_of.max()) == (5, 9)
    assert rows_of.max() == 18  # ten below the seed
    assert magic_wand_mask(grey, (8, 7), tolerance=4, radius=50, smoothing=0).all()
    assert not magic_wand_mask(grey, (40, 7), tolerance=4, radius=50).any()


@given(seed=PIXELS, tolerance=st.floats(0, 3), radius=st.floats(0, 20), smoothing=st.sampled_from([0.0, 1.0]))
def test_the_wand_contains_its_seed_and_grows_with_tolerance_and_radius(
    seed: Pixel, tolerance: float, radius: float, smoothing: float
) -> None:
    grey = np.random.default_rng(7).standard_normal(SHAPE).astype(np.float32)
    found = magic_wand_mask(grey, seed, tolerance=tolerance, radius=radius, smoothing=smoothing)
    more = magic_wand_mask(grey, seed, tolerance=tolerance + 0.5, radius=radius + 1, smoothing=smoothing)
    assert found[seed]
    assert (more | ~found).all()


@given(mask=MASKS, by=st.sampled_from([1.0, 1.5, 3.0]))
def test_dilation_and_erosion_are_dual(mask: NDArray[np.bool_], by: float) -> None:
    np.testing.assert_array_equal(erode(mask, by), ~dilate(~mask, by))
    assert (dilate(mask, by) | ~mask).all()
    assert (mask | ~erode(mask, by)).all()
    assert (erode(dilate(mask, by), by) | ~mask).all()  # a closing loses nothing


def test_a_dilated_disc_is_a_larger_disc() -> None:
    np.testing.assert_array_equal(
        dilate(brush_mask((21, 21), (10, 10), 1), 3), np.hypot(*np.ogrid[-10:11, -10:11]) <= 3
    )
    assert not dilate(np.zeros(SHAPE, np.bool_), 3).any()
    assert erode(np.ones(SHAPE, np.bool_), 3).all()


@given(one=MASKS, other=MASKS)
def test_interpolation_at_its_ends_gives_the_two_masks(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(interpolate_masks(one, one, 0.3), one)
    if one.any() and other.any():
        np.testing.assert_array_equal(interpolate_masks(one, other, 0), one)
        np.testing.assert_array_equal(interpolate_masks(one, other, 1), other)


def test_interpolating_two_discs_gives_a_disc_of_size_between() -> None:
    small, large = brush_mask((41, 41), (20, 20), 9), brush_mask((41, 41), (20, 20), 29)
    between = interpolate_masks(small, large, 0.5) ^ brush_mask((41, 41), (20, 20), 19)
    assert between.sum() <= 8  # of 293: distances end at the middle of pixels


def test_a_mask_shrinks_towards_an_empty_slice() -> None:
    disc, empty = brush_mask((41, 41), (20, 20), 25), np.zeros((41, 41), np.bool_)
    sizes = [int(interpolate_masks(empty, disc, fraction).sum()) for fraction in (0, 0.25, 0.5, 0.75, 1)]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 5
    assert (sizes[0], sizes[-1]) == (0, int(disc.sum()))
    np.testing.assert_array_equal(interpolate_masks(disc, empty, 0.25), interpolate_masks(empty, disc, 0.75))
    assert not interpolate_masks(empty, empty, 0.5).any()


def test_replacing_feature_pixels_keeps_ignored_ones() -> None:
    layer = np.array([[UNLABELLED, NOT_FEATURE, FEATURE, IGNORED]] * 2, np.uint8)
    mask = np.array([[True] * 4, [False] * 4])
    result = replace_feature_pixels(layer, mask)
    assert result.tolist() == [
        [FEATURE, FEATURE, FEATURE, IGNORED],
        [UNLABELLED, NOT_FEATURE, UNLABELLED, IGNORED],
    ]


def test_a_network_mask_is_above_its_threshold() -> None:
    assert threshold_mask(np.array([[0.4, 0.5, 0.6]], np.float32), 0.5).tolist() == [[False, False, True]]
