"""From a view of a slice to rows of cells: cropped, drawn, marked and encoded. No widget, no file.

`draw_frame` takes greys and labels as stored; `slice_cache` reads them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render import ascii_text, blocks, braille, kitty, sixel
from tomoseg_tui.render.blocks import BLOCK_RENDERERS
from tomoseg_tui.render.cells import PIXELS_PER_CELL_XY, Letters
from tomoseg_tui.render.colours import Palette
from tomoseg_tui.render.greys import quantise
from tomoseg_tui.render.label_letters import draw_label_letters
from tomoseg_tui.render.overlay import blend_labels, letter_cells, outlines
from tomoseg_tui.render.viewport import Viewport
from tomoseg_tui.tui.canvas.tile_boxes import Box, Surface, boxes_near, draw_box_into, draw_cursor_into

FINE_GREYS, COARSE_GREYS, STILL_GREYS = 64, 16, 32
"""Grey levels of a picture in cells at rest and on a slow connection, and of one in pixels."""
_LETTER_PIXELS = 480
"""Picture width, in pixels, per step of the letter size."""


@dataclass(frozen=True)
class DrawStyle:
    """How a terminal is drawn on."""

    renderer: str
    """Renderer of pictures in motion: one of `BLOCK_RENDERERS`, ``braille`` or ``ascii``."""
    colours: str
    """``truecolor``, ``256``, ``16`` or ``none``; only blocks use it."""
    still_renderer: str = ""
    """Pixel format of the picture at rest: ``sixel`` or ``kitty``; else empty."""
    cell_pixels_xy: tuple[int, int] = (10, 20)
    """Size of a cell, pixels; only used with `still`."""
    max_pixels_xy: tuple[int, int] | None = None
    """The largest sixel picture that the terminal shows; None if unknown."""

    @property
    def is_plain(self) -> bool:
        """Whether colours are not visible."""
        return self.renderer not in BLOCK_RENDERERS or self.colours == "none"

    @property
    def for_painting(self) -> "DrawStyle":
        """The same with half-blocks in place of finer blocks, so that every pixel has its own colour."""
        return replace(self, renderer="halfblock") if self.renderer in BLOCK_RENDERERS else self


@dataclass(frozen=True, eq=False)
class Overlay:
    """Labels over a volume."""

    compute: Callable[[int], NDArray[np.uint8]]
    """From z to labels of the whole slice, shape (y, x), as stored; called in a thread."""
    palette: Palette


@dataclass(frozen=True, eq=False)
class CanvasView:
    """Everything that determines a frame."""

    z: int
    viewport: Viewport
    """For the cells of the whole widget, with the points of the renderer in motion."""
    style: DrawStyle
    contrast: int = 0
    """One of the contrasts of `slice_cache`."""
    overlay: Overlay | None = None
    outlined: bool = False
    boxes: tuple[Box, ...] = ()
    cursor_yx: tuple[int, int] | None = None
    focused: bool = True
    coarseness: int = 0
    """0 fine, 1 few greys, 2 also half the resolution."""
    at_rest: bool = True
    """Whether there is time to read all rows of a large slice, and for a picture in pixels."""
    next_z_step: int = 0
    """Slices from this one to the one that is likely needed next; 0 reads nothing ahead."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Encoded cells and their place in the widget."""

    rows: tuple[str, ...]
    """One per row of cells."""
    corner_xy: tuple[int, int]
    """Column and row of the first cell."""
    columns: int
    """Number of cells in each row."""
    still: str = ""
    """The same picture in pixels, as one escape sequence; empty for none."""


Greys = Callable[[Viewport], NDArray[np.uint8]]
"""From a viewport to its points: uint8, shape (points along y, points along x), the top row first."""


def draw_frame(view: CanvasView, greys: Greys, labels: NDArray[np.uint8] | None) -> Frame:
    """Draw a view.

    Parameters
    ----------
    greys : callable
        Returns the greys of the points of a viewport.
    labels : ndarray of uint8, shape (y, x), or None
        Labels of the whole slice as stored.

    Returns
    -------
    Frame
        Only the cells that the slice covers; an empty frame if there are none.
    """
    part, corner = visible_part(view.viewport)
    if 0 in part.cells_xy:
        return Frame((), (0, 0), 0)
    surface = _draw_surface(view, part, greys, labels)
    letters = surface.letters if (surface.letters != "").any() else None
    rows = _encode(surface.rgb, letters, _transfer_style(view), _grey_levels(view))
    still = _draw_still(view, part, greys, labels) if view.at_rest and view.style.still_renderer else ""
    return Frame(tuple(rows), corner, part.cells_xy[0], still)


def visible_part(viewport: Viewport) -> tuple[Viewport, tuple[int, int]]:
    """Crop the viewport to the cells that the picture covers.

    Returns
    -------
    Viewport
        The rectangle of cells that the picture covers, with every voxel in place; it may have no cells.
    tuple of int
        Column and row of its first cell.
    """
    height, width = viewport.image_shape_yx
    (left, top), (right, bottom) = viewport.cell_at_pixel(height, 0), viewport.cell_at_pixel(0, width)
    columns, rows = viewport.cells_xy
    slack = 0.01  # rounding must not add a nearly empty row
    first_cell = max(0, floor(left + slack)), max(0, floor(top + slack))
    last_cell = min(columns, ceil(right - slack)), min(rows, ceil(bottom - slack))
    cells = max(0, last_cell[0] - first_cell[0]), max(0, last_cell[1] - first_cell[1])
    centre = viewport.pixel_at_cell(first_cell[0] + cells[0] / 2, first_cell[1] + cells[1] / 2)
    return replace(viewport, cells_xy=cells, centre_yx=centre), first_cell


def _draw_surface(view: CanvasView, part: Viewport, greys: Greys, labels: NDArray[np.uint8] | None) -> Surface:
    """Draw greys, labels and marks into the points of a viewport."""
    grey = _coarsen(greys(part), view)
    columns, rows = part.cells_xy
    label_raster = None if labels is None or view.overlay is None else part.raster(labels, labels=True)
    rgb = _colour_greys(grey, label_raster, view)
    letters: Letters = np.full((rows, columns), "", dtype="<U1")
    surface = Surface(rgb, letters, part, is_plain=view.style.is_plain)
    if label_raster is not None and view.overlay is not None and not surface.is_pixels:
        letter_labels = outlines(label_raster) if view.outlined and surface.is_plain else label_raster
        letters[...] = letter_cells(letter_labels, (rows, columns), view.overlay.palette, sparse=not surface.is_plain)
    for box in boxes_near(view.boxes, view.z):
        draw_box_into(surface, box, z=view.z)
    if view.cursor_yx is not None:
        draw_cursor_into(surface, *view.cursor_yx, focused=view.focused)
    return surface


def _coarsen(grey: NDArray[np.uint8], view: CanvasView) -> NDArray[np.uint8]:
    if view.coarseness > 1:
        grey = grey[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)[: grey.shape[0], : grey.shape[1]]
    return quantise(grey, _grey_levels(view))


def _grey_levels(view: CanvasView) -> int:
    if view.style.is_plain:
        return 256
    if view.coarseness:
        return COARSE_GREYS
    return FINE_GREYS if view.style.colours == "truecolor" else 256


def _colour_greys(
    grey: NDArray[np.uint8], label_raster: NDArray[np.uint8] | None, view: CanvasView
) -> NDArray[np.uint8]:
    """Colour greys by their labels: uint8, shape (y, x, 3), not shared."""
    if label_raster is None or view.overlay is None or view.style.is_plain:
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    if view.outlined:
        return blend_labels(grey, outlines(label_raster), view.overlay.palette, strength=1.0)
    return blend_labels(grey, label_raster, view.overlay.palette)


def _transfer_style(view: CanvasView) -> DrawStyle:
    """Use the shorter sequences of 256 colours while frames are coarse: every terminal with more colours knows them."""
    is_shortened = view.coarseness and view.style.colours == "truecolor"
    return replace(view.style, colours="256") if is_shortened else view.style


def _encode(rgb: NDArray[np.uint8], letters: Letters | None, style: DrawStyle, levels: int) -> list[str]:
    if style.renderer in BLOCK_RENDERERS:
        return blocks.encode(rgb, renderer=style.renderer, letters=letters, depth=style.colours, levels=levels)
    encode = braille.encode if style.renderer == "braille" else ascii_text.encode
    return encode(rgb, letters=letters)


def _draw_still(view: CanvasView, part: Viewport, greys: Greys, labels: NDArray[np.uint8] | None) -> str:
    """Draw the same cells in pixels; nothing if the terminal cannot show so many."""
    style = view.style
    pixels = replace(part, pixels_per_cell_xy=style.cell_pixels_xy)
    size_xy = part.cells_xy[0] * style.cell_pixels_xy[0], part.cells_xy[1] * style.cell_pixels_xy[1]
    max_size = style.max_pixels_xy
    if (
        style.still_renderer == "sixel"
        and max_size is not None
        and (size_xy[0] > max_size[0] or size_xy[1] > max_size[1])
    ):
        return ""
    still_view = replace(view, style=replace(style, renderer="halfblock", colours="256"), coarseness=0)
    surface = _draw_surface(still_view, pixels, lambda viewport: quantise(greys(viewport), STILL_GREYS), labels)
    rgb = surface.rgb
    if labels is not None and view.overlay is not None:
        label_raster = pixels.raster(labels, labels=True)
        rgb = draw_label_letters(rgb, label_raster, view.overlay.palette, max(1, round(rgb.shape[1] / _LETTER_PIXELS)))
    if style.still_renderer == "kitty":
        return kitty.encode(rgb, cells_xy=part.cells_xy)
    return sixel.encode(rgb)


def points_per_cell(style: DrawStyle) -> tuple[int, int]:
    """Return how many points along x and y the renderer in motion draws in a cell."""
    return PIXELS_PER_CELL_XY[style.renderer]
