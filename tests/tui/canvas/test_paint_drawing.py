"""Pixels of a tile as blocks of cells: positions, patterns without colour, and the cells that a dab changes."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE
from tomoseg_tui.core.paint_tools import brush_mask
from tomoseg_tui.render.colours import LabelStyle
from tomoseg_tui.tui.canvas.paint_drawing import (
    PixelView,
    Scene,
    default_zoom,
    draw_scene,
    encode_cells,
    pixel_view_around,
    zooms_for,
)
from tomoseg_tui.tui.canvas.slice_drawing import DrawStyle
from tomoseg_tui.tui.canvas.tile_boxes import CURSOR_RGB

SIZE = 64
HALVES, PLAIN, ASCII = DrawStyle("halfblock", "truecolor"), DrawStyle("halfblock", "none"), DrawStyle("ascii", "none")
ORANGE = LabelStyle(1, "microtubule", "M", (230, 159, 0))
BLUE = LabelStyle(2, "membrane", "E", (86, 180, 233))
GREEN = LabelStyle(3, "ignore", "I", (0, 158, 115))


def scene(*, value: int = FEATURE, at: tuple[int, int] | None = None, fill: int = 0) -> Scene:
    """Return a grey tile with a painted square of 8 pixels in its middle."""
    layer = np.full((SIZE, SIZE), fill, np.uint8)
    layer[28:36, 28:36] = value
    footprint = None if at is None else brush_mask((SIZE, SIZE), at, 1)
    grey = np.full((SIZE, SIZE), 128, np.uint8)
    return Scene(grey, ((ORANGE, layer), (BLUE, np.zeros_like(layer))), GREEN, cursor_yx=at, footprint=footprint)


def port(
    zoom: int, cells: tuple[int, int] = (80, 24), at: tuple[int, int] = (32, 32), style: DrawStyle = HALVES
) -> PixelView:
    return pixel_view_around(at, None, size=SIZE, cells_xy=cells, style=style, zoom=zoom)


@given(
    st.sampled_from(zooms_for(HALVES)),
    st.tuples(st.integers(10, 200), st.integers(5, 60)),
    st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)),
    st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1)),
)
def test_the_pixel_of_the_cursor_is_visible_and_at_the_position_of_the_mouse(
    zoom: int, cells: tuple[int, int], first: tuple[int, int], at: tuple[int, int]
) -> None:
    before = pixel_view_around(first, None, size=SIZE, cells_xy=cells, style=HALVES, zoom=zoom)
    there = pixel_view_around(at, before, size=SIZE, cells_xy=cells, style=HALVES, zoom=zoom)
    ys, xs = there.indices()
    assert at[0] in ys
    assert at[1] in xs
    row, column = int(np.flatnonzero(ys == at[0])[0]), int(np.flatnonzero(xs == at[1])[0])
    left, top = there.corner_xy
    assert there.pixel_at(left + column + 0.5, top + row / 2 + 0.25) == at
    assert (np.diff(ys) <= 0).all()  # y points up


def test_a_pixel_is_two_columns_by_one_row_if_they_fit() -> None:
    assert default_zoom(SIZE, (128, 64), HALVES) == 2
    assert default_zoom(SIZE, (132, 55), HALVES) == 2
    assert default_zoom(SIZE, (64, 19), HALVES) == 1
    assert default_zoom(SIZE, (64, 19), ASCII) == 2


@pytest.mark.parametrize("zoom", [1, 2, 3, 4, 6, 8])
def test_each_pixel_is_a_square_of_points(zoom: int) -> None:
    values = np.arange(SIZE * SIZE, dtype=np.uint32).reshape(SIZE, SIZE)
    there = port(zoom)
    ys, xs = there.indices()
    points = values[np.ix_(ys, xs)]
    whole = points[: len(ys) // zoom * zoom, : len(xs) // zoom * zoom]
    blocks = whole.reshape(len(ys) // zoom, zoom, len(xs) // zoom, zoom)
    assert (blocks == blocks[:, :1, :, :1]).all()


def test_the_values_differ_without_hue() -> None:
    looks = []
    for value in (FEATURE, NOT_FEATURE, IGNORED):
        rgb = draw_scene(scene(value=value), port(1), HALVES).rgb.astype(int).sum(axis=2)
        ys, xs = port(1).indices()
        looks.append(rgb[np.ix_((ys >= 28) & (ys < 36), (xs >= 28) & (xs < 36))])
    even, diagonal, chequer = looks
    assert len(np.unique(even)) == 1
    assert np.unique(diagonal, return_counts=True)[1].min() == 16
    assert np.unique(chequer, return_counts=True)[1].tolist() == [32, 32]


def test_in_a_fully_labelled_tile_background_is_unmarked() -> None:
    drawn = draw_scene(scene(fill=NOT_FEATURE), port(1), HALVES)
    ys, xs = port(1).indices()
    outside = drawn.rgb[np.ix_(ys < 28, xs < 28)]
    assert (outside == outside[0, 0]).all()
    assert len(set(outside[0, 0].tolist())) == 1


def test_only_paint_has_letters() -> None:
    for style in (HALVES, PLAIN, ASCII, replace(HALVES, colours="16")):
        drawn = draw_scene(scene(), port(2, style=style), style)
        assert set(np.unique(drawn.letters)) == {"", "M"}
    ignored = draw_scene(scene(value=IGNORED), port(2), HALVES)
    assert set(np.unique(ignored.letters)) == {"", "I"}
    assert "-" in draw_scene(scene(value=NOT_FEATURE), port(2), HALVES).letters


def test_paint_can_be_an_outline_or_off() -> None:
    outline = draw_scene(replace(scene(), mode="outline"), port(1), HALVES).rgb
    off = draw_scene(replace(scene(), mode="off"), port(1), HALVES)
    assert (outline == ORANGE.rgb).all(axis=2).sum() == 28
    assert len(np.unique(off.rgb)) == 1
    assert not (off.letters != "").any()


@pytest.mark.parametrize("grey", [0, 80, 128, 150, 255])
def test_the_cursor_is_visible_on_any_grey(grey: int) -> None:
    tile = replace(scene(at=(32, 32)), grey=np.full((SIZE, SIZE), grey, np.uint8))
    plain = draw_scene(replace(tile, footprint=None), port(1), HALVES).rgb.astype(int)
    with_cursor = draw_scene(tile, port(1), HALVES).rgb.astype(int)
    difference = np.abs(with_cursor - plain).sum(axis=2)
    assert 4 <= (difference > 150).sum() <= 8
    assert (with_cursor == CURSOR_RGB).all(axis=2).sum() == 4


def test_without_colours_four_arrows_mark_the_cursor() -> None:
    letters = draw_scene(scene(at=(50, 10)), port(2, at=(50, 10), style=ASCII), ASCII).letters
    row, column = np.argwhere(letters == ">")[0]
    assert letters[row, column + 1 : column + 4].tolist()[-1] == "<"
    assert "v" in letters[row - 1]
    assert "^" in letters[row + 1]


@pytest.mark.parametrize(
    "style", [HALVES, PLAIN, ASCII, DrawStyle("braille", "truecolor"), replace(HALVES, colours="16")]
)
def test_every_row_is_as_wide_as_the_picture(style: DrawStyle) -> None:
    drawn = draw_scene(scene(at=(32, 32)), port(2, style=style), style)
    rows = encode_cells(drawn.rgb, drawn.letters, style)
    assert len(rows) == drawn.letters.shape[0]
    assert {len(re.sub(r"\x1b\[[\d;]*m", "", row)) for row in rows} == {drawn.letters.shape[1]}


def test_the_preview_is_transparent() -> None:
    tried: NDArray[np.bool_] = brush_mask((SIZE, SIZE), (20, 20), 7)
    plain = draw_scene(replace(scene(), mode="off"), port(1), HALVES).rgb
    tile = draw_scene(replace(scene(), mode="off", preview=tried, preview_rgb=(255, 0, 0)), port(1), HALVES).rgb
    changed = (tile != plain).any(axis=2)
    assert changed.sum() == tried.sum()
    assert "o" in draw_scene(replace(scene(), preview=tried), port(2, style=PLAIN, at=(20, 20)), PLAIN).letters
