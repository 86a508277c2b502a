"""Marks over a slice: tiles as boxes with their letter, and the cursor; characters where there is no colour.

Marks are drawn into the points of a renderer and the letters of its cells, both with the top row first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render.cells import Letters
from tomoseg_tui.render.label_letters import GLYPH_SHAPE, glyph
from tomoseg_tui.render.viewport import CELL_HEIGHT, Viewport

MAX_BOX_DISTANCE = 2
"""Number of slices above and below its own in which a box is visible."""
CURSOR_RGB, IDLE_CURSOR_RGB = (0, 255, 0), (200, 200, 200)
"""Colour of the cursor with and without the focus; no label uses either."""
_ARM_CELLS = 3
"""Length of the cursor's arms, columns."""
_DASH_LENGTH = 2
"""Points, or cells, of a dash and of the gap after it."""


@dataclass(frozen=True)
class Box:
    """A square in one slice, drawn as an outline with a letter."""

    z: int
    """Slice of its centre; in up to two adjacent slices the outline is dotted."""
    y: int
    x: int
    """Centre voxel as in `core.tiles.TileLocation`: the box covers x - size/2 .. x + size/2 - 1."""
    size: int
    """Edge, voxels."""
    letter: str
    """A character at its upper left corner."""
    rgb: tuple[int, int, int]
    """Colour of the outline, 0 to 255 each."""
    selected: bool = False
    """Whether the outline is twice as thick."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The arrays that marks are drawn on, in place."""

    rgb: NDArray[np.uint8]
    """Points of the renderer, shape (y, x, 3)."""
    letters: Letters
    """Letters, shape (rows, columns)."""
    viewport: Viewport
    """Maps voxels to the cells of these arrays."""
    is_plain: bool
    """Whether colours are not visible, so that marks are characters."""

    @property
    def is_pixels(self) -> bool:
        """Whether points are pixels of the terminal, so that letters are drawn as pixels too."""
        return self.viewport.pixels_per_cell_xy[0] > 2  # braille has two points along x; more are pixels


def boxes_near(boxes: Iterable[Box], z: int) -> list[Box]:
    """Return the boxes that are visible in a slice: those of the slice last, so that they are on top."""
    near = [box for box in boxes if abs(box.z - z) <= MAX_BOX_DISTANCE]
    return sorted(near, key=lambda box: (box.selected, box.z == z))


def draw_box_into(surface: Surface, box: Box, *, z: int) -> None:
    """Draw the outline of a box and its letter."""
    left, bottom = box.x - box.size // 2, box.y - box.size // 2
    first = surface.viewport.cell_at_pixel(bottom + box.size, left)
    last = surface.viewport.cell_at_pixel(bottom, left + box.size)
    columns, rows = surface.viewport.cells_xy
    if last[0] <= 0 or last[1] <= 0 or first[0] >= columns or first[1] >= rows:
        return
    if surface.is_plain:
        _draw_character_outline(surface.letters, first, last, box, dotted=box.z != z)
    else:
        _draw_outline(surface, first, last, box, dotted=box.z != z)
    _draw_letter(surface, floor(first[0]), floor(first[1]), box)


def draw_cursor_into(surface: Surface, y: int, x: int, *, focused: bool) -> None:
    """Draw a cross, or four arrows, around a voxel, which stays visible."""
    column, row = surface.viewport.cell_at_pixel(y + 0.5, x + 0.5)
    if surface.is_plain:
        for offset, character in (((0, -1), ">"), ((0, 1), "<"), ((-1, 0), "v"), ((1, 0), "^")):
            _set_letter(surface.letters, floor(row) + offset[0], floor(column) + offset[1], character)
        return
    points_x, points_y = surface.viewport.pixels_per_cell_xy
    zoom = surface.viewport.zoom
    rgb = CURSOR_RGB if focused else IDLE_CURSOR_RGB
    thickness = max(1, points_x // 6)
    horizontal_arms = _arm_ranges(column * points_x, points_x * zoom, _ARM_CELLS * points_x)
    vertical_arms = _arm_ranges(
        row * points_y, points_y * zoom / CELL_HEIGHT, round(_ARM_CELLS * points_y / CELL_HEIGHT)
    )
    at_x, at_y = floor(column * points_x) - thickness // 2, floor(row * points_y) - thickness // 2
    for start, stop in horizontal_arms:
        _fill(surface.rgb, (at_y, at_y + thickness), (start, stop), rgb)
    for start, stop in vertical_arms:
        _fill(surface.rgb, (start, stop), (at_x, at_x + thickness), rgb)


def _arm_ranges(centre: float, voxel: float, length: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the ranges of the two arms of the cross along one axis, in points."""
    first, last = floor(centre - max(voxel, 1) / 2 + 0.01), ceil(centre + max(voxel, 1) / 2 - 0.01)
    return (first - length, first), (last, last + length)


def _fill(
    rgb: NDArray[np.uint8], rows: tuple[int, int], columns: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """Fill the part of a rectangle that lies inside."""
    rgb[max(0, rows[0]) : max(0, rows[1]), max(0, columns[0]) : max(0, columns[1])] = colour


def _set_letter(letters: Letters, row: int, column: int, character: str) -> None:
    """Set the character of a cell if it is inside."""
    if 0 <= row < letters.shape[0] and 0 <= column < letters.shape[1]:
        letters[row, column] = character


def _draw_outline(
    surface: Surface, first: tuple[float, float], last: tuple[float, float], box: Box, *, dotted: bool
) -> None:
    points_x, points_y = surface.viewport.pixels_per_cell_xy
    thickness = max(1, points_x // 5) * (2 if box.selected else 1)
    left, top = floor(first[0] * points_x), floor(first[1] * points_y)
    right, bottom = max(left + 1, ceil(last[0] * points_x)), max(top + 1, ceil(last[1] * points_y))
    height, width = surface.rgb.shape[:2]
    rim = np.zeros((height, width), dtype=bool)
    for band in ((top, top + thickness), (bottom - thickness, bottom)):
        rim[max(0, band[0]) : max(0, band[1]), max(0, left) : max(0, right)] = True
    for band in ((left, left + thickness), (right - thickness, right)):
        rim[max(0, top) : max(0, bottom), max(0, band[0]) : max(0, band[1])] = True
    if dotted:
        step = _DASH_LENGTH * max(1, points_x // 2)
        y, x = np.ogrid[:height, :width]
        rim &= (y // step + x // step) % 2 == 0
    surface.rgb[rim] = box.rgb


def _draw_character_outline(
    letters: Letters, first: tuple[float, float], last: tuple[float, float], box: Box, *, dotted: bool
) -> None:
    left, top = floor(first[0]), floor(first[1])
    right, bottom = max(left, ceil(last[0]) - 1), max(top, ceil(last[1]) - 1)
    horizontal, vertical, corner = ("=", "#", "#") if box.selected else ("-", "|", "+")
    step = _DASH_LENGTH if dotted else 1
    for column in range(max(left, 0), min(right, letters.shape[1] - 1) + 1, step):
        _set_letter(letters, top, column, horizontal)
        _set_letter(letters, bottom, column, horizontal)
    for row in range(max(top, 0), min(bottom, letters.shape[0] - 1) + 1, step):
        _set_letter(letters, row, left, vertical)
        _set_letter(letters, row, right, vertical)
    for row in (top, bottom):
        for column in (left, right):
            _set_letter(letters, row, column, corner)


def _draw_letter(surface: Surface, column: int, row: int, box: Box) -> None:
    """Draw the letter in the cell of the upper left corner, with the colour of the box behind it."""
    rows, columns = surface.letters.shape
    if not (0 <= row < rows and 0 <= column < columns):
        return
    points_x, points_y = surface.viewport.pixels_per_cell_xy
    if not surface.is_plain:
        _fill(
            surface.rgb,
            (row * points_y, (row + 1) * points_y),
            (column * points_x, (column + 1) * points_x),
            box.rgb,
        )
    if surface.is_pixels:
        _draw_glyph(surface.rgb, column * points_x, row * points_y, box.letter)
    else:
        surface.letters[row, column] = box.letter


def _draw_glyph(rgb: NDArray[np.uint8], left: int, top: int, letter: str) -> None:
    """Draw a letter in black pixels, if the font has it and it lies inside."""
    try:
        glyph_mask = np.pad(glyph(letter.upper()), 1)
    except KeyError:
        return
    target = rgb[top : top + GLYPH_SHAPE[0] + 2, left : left + GLYPH_SHAPE[1] + 2]
    target[glyph_mask[: target.shape[0], : target.shape[1]]] = 0
