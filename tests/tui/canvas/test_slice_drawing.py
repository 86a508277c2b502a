"""Frames of a view: cells are decoded back to the voxels that they show."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.pseudo_terminal import Screen
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.render.viewport import Viewport
from tomoseg_tui.tui.canvas.slice_drawing import (
    CanvasView,
    DrawStyle,
    Frame,
    Overlay,
    draw_frame,
    points_per_cell,
    visible_part,
)
from tomoseg_tui.tui.canvas.tile_boxes import CURSOR_RGB, IDLE_CURSOR_RGB, Box, boxes_near

TRUE = DrawStyle("halfblock", "truecolor")
BOX = Box(5, 8, 8, 8, "M", (230, 159, 0))


def view_of(shape_yx: tuple[int, int], cells_xy: tuple[int, int], style: DrawStyle = TRUE) -> CanvasView:
    """A whole picture, fitted."""
    return CanvasView(5, Viewport.fit(shape_yx, cells_xy, points_per_cell(style)), style)


def drawn(view: CanvasView, grey: NDArray[np.uint8], labels: NDArray[np.uint8] | None = None) -> Frame:
    return draw_frame(view, lambda viewport: viewport.raster(grey), labels)


def pixels_of(frame: Frame) -> NDArray[np.uint8]:
    """The display of a frame on a terminal."""
    screen = Screen((frame.columns, len(frame.rows)))
    screen.feed("\r\n".join(frame.rows))
    return screen.pixels()


def noise(shape_yx: tuple[int, int], seed: int = 7) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape_yx, dtype=np.uint8)


def test_a_slice_as_large_as_its_cells_is_shown_voxel_by_voxel_y_pointing_up() -> None:
    grey = noise((16, 16))
    frame = drawn(view_of((16, 16), (16, 8)), grey)
    shown = pixels_of(frame)
    assert (frame.columns, len(frame.rows), frame.corner_xy) == (16, 8, (0, 0))
    assert np.abs(shown[..., 0].astype(int) - grey[::-1]).max() <= 2  # the nearest of 64 greys
    assert (shown == shown[..., :1]).all()


def test_cells_beside_the_slice_are_not_drawn() -> None:
    frame = drawn(view_of((16, 16), (40, 8)), noise((16, 16)))
    assert (frame.columns, len(frame.rows), frame.corner_xy) == (16, 8, (12, 0))


@given(
    st.integers(4, 40), st.integers(4, 40), st.integers(3, 30), st.integers(3, 20),
    st.floats(0.1, 8), st.floats(-0.2, 1.2), st.floats(-0.2, 1.2),
)  # fmt: skip
def test_the_visible_part_shows_every_voxel_in_its_place(
    height: int, width: int, columns: int, rows: int, zoom: float, y: float, x: float
) -> None:
    whole = Viewport((height, width), (columns, rows), (1, 2), zoom, (y * height, x * width))
    part, corner = visible_part(whole)
    if 0 not in part.cells_xy:
        at = whole.cell_at_pixel(1.5, 2.5)
        moved = part.cell_at_pixel(1.5, 2.5)
        assert (moved[0] + corner[0], moved[1] + corner[1]) == pytest.approx(at, abs=1e-6)
        assert corner[0] + part.cells_xy[0] <= columns
        assert corner[1] + part.cells_xy[1] <= rows


def test_a_slice_panned_out_of_view_is_an_empty_frame() -> None:
    view = view_of((16, 16), (16, 8))
    far = replace(view, viewport=replace(view.viewport, centre_yx=(500.0, 500.0)))
    assert drawn(far, noise((16, 16))).rows == ()


def test_labels_have_colours_letters_and_outlines() -> None:
    labels = np.zeros((32, 32), np.uint8)
    labels[8:24, 8:24] = 1
    overlay = Overlay(lambda _z: labels, make_palette({1: "microtubule"}))
    view = replace(view_of((32, 32), (32, 16)), overlay=overlay)
    grey = np.full((32, 32), 128, np.uint8)
    full, rim = drawn(view, grey, labels), drawn(replace(view, outlined=True), grey, labels)
    assert any("M" in row for row in full.rows)
    coloured = [(np.ptp(pixels_of(frame).astype(int), axis=2) > 20).sum() for frame in (full, rim)]
    assert coloured[0] > 200
    assert coloured[1] < coloured[0] / 2


@pytest.mark.parametrize(
    "style", [DrawStyle("ascii", "none"), DrawStyle("braille", "none"), DrawStyle("halfblock", "none")]
)
def test_without_colours_labels_boxes_and_cursor_are_characters(style: DrawStyle) -> None:
    labels = np.zeros((32, 32), np.uint8)
    labels[:4, :4] = 1
    overlay = Overlay(lambda _z: labels, make_palette({1: "kinesin"}))
    box = Box(5, 16, 16, 16, "B", (1, 2, 3))
    view = replace(view_of((32, 32), (64, 32), style), overlay=overlay, boxes=(box,), cursor_yx=(28, 28))
    text = "\n".join(drawn(view, np.full((32, 32), 128, np.uint8), labels).rows)
    assert "\x1b" not in text
    assert all(character in text for character in "KB+-|><v^")


def test_the_cursor_leaves_its_voxel_visible_and_shows_the_focus() -> None:
    view = replace(view_of((32, 32), (32, 16)), cursor_yx=(10, 20))
    grey = np.zeros((32, 32), np.uint8)
    for focused, rgb in ((True, CURSOR_RGB), (False, IDLE_CURSOR_RGB)):
        shown = pixels_of(drawn(replace(view, focused=focused), grey))[::-1]
        green = (shown == rgb).all(axis=2)
        assert not green[10, 20]
        assert green[10, 21]
        assert green[10, 19]
        assert green[11, 20]
        assert green[9, 20]


def test_a_box_surrounds_the_voxels_of_its_tile() -> None:
    view = replace(view_of((32, 32), (32, 16)), boxes=(BOX,))
    shown = pixels_of(drawn(view, np.zeros((32, 32), np.uint8)))[::-1]
    rim = (shown == BOX.rgb).all(axis=2)
    assert rim[4, 4:12].all()
    assert rim[4:10, 4].all()
    assert rim[4:10, 11].all()
    assert not rim[5:10, 5:11].any()
    assert not rim[:4].any()
    assert not rim[:, 12:].any()


def test_a_box_in_a_nearby_slice_is_dotted_and_a_distant_one_is_hidden() -> None:
    counts = []
    for z in (5, 7, 8):
        view = replace(view_of((32, 32), (32, 16)), boxes=(BOX,), z=z)
        shown = pixels_of(drawn(view, np.zeros((32, 32), np.uint8)))
        counts.append(int((shown == BOX.rgb).all(axis=2).sum()))
    assert counts[0] > counts[1] > counts[2] == 0


def test_the_selected_box_is_drawn_last_and_thicker() -> None:
    chosen = replace(BOX, selected=True)
    assert boxes_near([chosen, BOX, replace(BOX, z=6)], 5)[-1] is chosen
    grey = np.zeros((32, 32), np.uint8)
    thin, thick = (
        (pixels_of(drawn(replace(view_of((32, 32), (32, 16)), boxes=(box,)), grey)) == BOX.rgb).all(axis=2).sum()
        for box in (BOX, chosen)
    )
    assert thick > thin


def test_a_coarser_frame_has_fewer_bytes() -> None:
    grey = noise((64, 64))
    sizes = [
        sum(len(row) for row in drawn(replace(view_of((64, 64), (64, 32)), coarseness=step), grey).rows)
        for step in (0, 1, 2)
    ]
    assert sizes[0] > sizes[1] > 2 * sizes[2]


@pytest.mark.parametrize(("still", "mark"), [("sixel", "\x1bP"), ("kitty", "\x1b_G")])
def test_at_rest_the_picture_is_also_in_pixels(still: str, mark: str) -> None:
    style = DrawStyle("halfblock", "truecolor", still, (8, 16))
    view = replace(view_of((16, 16), (16, 8), style), boxes=(BOX,), cursor_yx=(3, 3))
    frame = drawn(view, noise((16, 16)))
    assert frame.still.startswith(mark)
    assert drawn(replace(view, at_rest=False), noise((16, 16))).still == ""


def test_a_sixel_larger_than_the_terminal_allows_is_not_made() -> None:
    style = DrawStyle("halfblock", "truecolor", "sixel", (8, 16), max_pixels_xy=(100, 100))
    assert drawn(view_of((16, 16), (16, 8), style), noise((16, 16))).still == ""
