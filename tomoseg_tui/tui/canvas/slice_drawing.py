"""From a view of a slice to rows of cells: what is visible, painted, marked and encoded. No widget, no file.

`paint` takes greys and labels as they are stored; where they come from is for `slices`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render import ascii_text, braille, halfblock, kitty, sixel
from tomoseg_tui.render.cells import PIXELS_A_CELL_XY, Letters
from tomoseg_tui.render.greys import quantise
from tomoseg_tui.render.label_letters import burn_letters
from tomoseg_tui.render.overlay import Palette, letter_cells, outlines, paint_over
from tomoseg_tui.render.viewport import Viewport
from tomoseg_tui.tui.canvas.tile_boxes import Box, Surface, boxes_at, draw_box_into, draw_cursor_into

FINE_GREYS, COARSE_GREYS, STILL_GREYS = 64, 16, 32
"""Greys of a picture of cells at rest and on a slow way, and of one in pixels."""
_LETTER_PIXELS = 480
"""Width in pixels at which letters over a picture grow by one step."""


@dataclass(frozen=True)
class Style:
    """How a terminal is drawn on."""

    renderer: str
    """Of pictures in motion: ``halfblock``, ``braille`` or ``ascii``."""
    colours: str
    """``truecolor``, ``256``, ``16`` or ``none``; only half-blocks heed it."""
    still: str = ""
    """Of the picture at rest, where that is pixels: ``sixel`` or ``kitty``; else empty."""
    cell_pixels_xy: tuple[int, int] = (10, 20)
    """Pixels of a cell; of use with `still` only."""
    most_pixels_xy: tuple[int, int] | None = None
    """The largest sixel picture that the terminal shows; None where it did not say."""

    @property
    def is_plain(self) -> bool:
        """Whether no colours are seen."""
        return self.renderer != "halfblock" or self.colours == "none"


@dataclass(frozen=True, eq=False)
class Overlay:
    """Labels that lie over a volume."""

    compute: Callable[[int], NDArray[np.uint8]]
    """From z to labels of the whole slice, shape (y, x), as stored; called in a thread."""
    palette: Palette


@dataclass(frozen=True, eq=False)
class View:
    """All that decides what a frame looks like."""

    z: int
    viewport: Viewport
    """For the cells of the whole widget, with the points of the renderer in motion."""
    style: Style
    contrast: int = 0
    """Which of the contrasts of `slices`."""
    overlay: Overlay | None = None
    outlined: bool = False
    boxes: tuple[Box, ...] = ()
    cursor_yx: tuple[int, int] | None = None
    focused: bool = True
    coarseness: int = 0
    """0 fine, 1 few greys, 2 also half the resolution."""
    at_rest: bool = True
    """Whether there is time for all rows of a large slice, and for a picture in pixels."""
    ahead: int = 0
    """Slices from this to the one that is likely wanted next; 0 reads nothing ahead."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Encoded cells and where they stand in the widget."""

    rows: tuple[str, ...]
    """One a row of cells."""
    corner_xy: tuple[int, int]
    """Column and row of the first cell."""
    columns: int
    """Cells of each row."""
    still: str = ""
    """The same in pixels, as one escape sequence; empty for none."""


Greys = Callable[[Viewport], NDArray[np.uint8]]
"""From a viewport to its points: uint8, shape (points along y, points along x), the top row first."""


def paint(view: View, greys: Greys, labels: NDArray[np.uint8] | None) -> Frame:
    """Draw a view.

    Parameters
    ----------
    view : View
        What is wanted.
    greys : callable
        Gives the greys of the points of a viewport.
    labels : ndarray of uint8, shape (y, x), or None
        Labels of the whole slice as stored.

    Returns
    -------
    Frame
        Only the cells on which the slice lies. Without any, an empty frame.
    """
    part, corner = visible_part(view.viewport)
    if 0 in part.cells_xy:
        return Frame((), (0, 0), 0)
    surface = _surface(view, part, greys, labels)
    letters = surface.letters if (surface.letters != "").any() else None
    rows = _encode(surface.rgb, letters, _on_the_way(view))
    still = _still(view, part, greys, labels) if view.at_rest and view.style.still else ""
    return Frame(tuple(rows), corner, part.cells_xy[0], still)


def visible_part(viewport: Viewport) -> tuple[Viewport, tuple[int, int]]:
    """Leave out the cells beside the picture.

    Parameters
    ----------
    viewport : Viewport
        Cells of a whole widget.

    Returns
    -------
    Viewport
        The rectangle of cells on which the picture lies, every voxel where it was; it may have no cells.
    tuple of int
        Column and row of its first cell.
    """
    height, width = viewport.image_shape_yx
    (left, top), (right, bottom) = viewport.cell_at_pixel(height, 0), viewport.cell_at_pixel(0, width)
    columns, rows = viewport.cells_xy
    slack = 0.01  # rounding must not add a row with next to nothing in it
    first = max(0, floor(left + slack)), max(0, floor(top + slack))
    last = min(columns, ceil(right - slack)), min(rows, ceil(bottom - slack))
    cells = max(0, last[0] - first[0]), max(0, last[1] - first[1])
    centre = viewport.pixel_at_cell(first[0] + cells[0] / 2, first[1] + cells[1] / 2)
    return replace(viewport, cells_xy=cells, centre_yx=centre), first


def _surface(view: View, part: Viewport, greys: Greys, labels: NDArray[np.uint8] | None) -> Surface:
    """Paint greys, labels and marks into the points of a viewport."""
    grey = _coarsened(greys(part), view)
    columns, rows = part.cells_xy
    over = None if labels is None or view.overlay is None else part.raster(labels, labels=True)
    rgb = _coloured(grey, over, view)
    letters: Letters = np.full((rows, columns), "", dtype="<U1")
    surface = Surface(rgb, letters, part, plain=view.style.is_plain)
    if over is not None and view.overlay is not None and not surface.is_pixels:
        lettered = outlines(over) if view.outlined and surface.plain else over
        letters[...] = letter_cells(lettered, (rows, columns), view.overlay.palette, sparse=not surface.plain)
    for box in boxes_at(view.boxes, view.z):
        draw_box_into(surface, box, z=view.z)
    if view.cursor_yx is not None:
        draw_cursor_into(surface, *view.cursor_yx, focused=view.focused)
    return surface


def _coarsened(grey: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    if view.coarseness > 1:
        grey = grey[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)[: grey.shape[0], : grey.shape[1]]
    if view.style.is_plain:
        return grey
    if view.coarseness:
        return quantise(grey, COARSE_GREYS)
    return quantise(grey, FINE_GREYS) if view.style.colours == "truecolor" else grey


def _coloured(grey: NDArray[np.uint8], over: NDArray[np.uint8] | None, view: View) -> NDArray[np.uint8]:
    """Give greys the colours of their labels: uint8, shape (y, x, 3), not shared."""
    if over is None or view.overlay is None or view.style.is_plain:
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    if view.outlined:
        return paint_over(grey, outlines(over), view.overlay.palette, strength=1.0)
    return paint_over(grey, over, view.overlay.palette)


def _on_the_way(view: View) -> Style:
    """Take the shorter escapes of 256 colours while frames are coarse: every terminal of more colours knows them."""
    shortens = view.coarseness and view.style.colours == "truecolor"
    return replace(view.style, colours="256") if shortens else view.style


def _encode(rgb: NDArray[np.uint8], letters: Letters | None, style: Style) -> list[str]:
    if style.renderer == "halfblock":
        return halfblock.encode(rgb, letters=letters, depth=style.colours)
    encode = braille.encode if style.renderer == "braille" else ascii_text.encode
    return encode(rgb, letters=letters)


def _still(view: View, part: Viewport, greys: Greys, labels: NDArray[np.uint8] | None) -> str:
    """Draw the same cells in pixels; nothing if the terminal cannot show so many."""
    style = view.style
    pixels = replace(part, pixels_a_cell_xy=style.cell_pixels_xy)
    size = part.cells_xy[0] * style.cell_pixels_xy[0], part.cells_xy[1] * style.cell_pixels_xy[1]
    most = style.most_pixels_xy
    if style.still == "sixel" and most is not None and (size[0] > most[0] or size[1] > most[1]):
        return ""
    coloured = replace(view, style=replace(style, renderer="halfblock", colours="256"), coarseness=0)
    surface = _surface(coloured, pixels, lambda port: quantise(greys(port), STILL_GREYS), labels)
    rgb = surface.rgb
    if labels is not None and view.overlay is not None:
        over = pixels.raster(labels, labels=True)
        rgb = burn_letters(rgb, over, view.overlay.palette, max(1, round(rgb.shape[1] / _LETTER_PIXELS)))
    if style.still == "kitty":
        return kitty.encode(rgb, cells_xy=part.cells_xy)
    return sixel.encode(rgb)


def points_of(style: Style) -> tuple[int, int]:
    """Tell how many points along x and y the renderer in motion draws in a cell."""
    return PIXELS_A_CELL_XY[style.renderer]
