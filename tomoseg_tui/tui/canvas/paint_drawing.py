"""Draw a tile for painting: each pixel is a block of cells, with paint, cursor and open shapes over it.

Uses arrays and cells, no widgets. Paint differs in pattern as well as colour: the feature is solid,
ignored pixels have a chequer, background pixels dark diagonals; where cells are large enough, also in letters.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED, Layer
from tomoseg_tui.render import ascii_text, blocks, braille
from tomoseg_tui.render.cells import Letters
from tomoseg_tui.render.colours import LabelStyle, Palette
from tomoseg_tui.render.greys import quantise
from tomoseg_tui.render.overlay import outlines
from tomoseg_tui.tui.canvas.slice_drawing import FINE_GREYS, DrawStyle, points_per_cell
from tomoseg_tui.tui.canvas.tile_boxes import CURSOR_RGB, IDLE_CURSOR_RGB

ZOOMS = (1, 2, 3, 4, 6, 8)
"""Columns per pixel; a pixel has half as many rows."""
MIN_SHOWN_SHARE = 0.5
"""Fraction of a tile that is visible at the automatic zoom."""
COLOUR_STRENGTH = 0.55
"""Opacity of the colour of a feature."""
NOT_FEATURE_LETTER = "-"
"""Letter of pixels that are marked as not the feature."""
_RIM_STRENGTH, _INSIDE_STRENGTH = 0.9, 0.3
"""Opacity of the preview: at its border and inside."""
_LETTER_SPACING = 5


@dataclass(frozen=True)
class PixelView:
    """The visible part of a tile and its place: whole pixels, starting at the upper left cell."""

    size: int
    """Edge of the tile, pixels."""
    cells_xy: tuple[int, int]
    """Size of the widget."""
    points_xy: tuple[int, int]
    """Points per cell of the renderer."""
    zoom: int
    """One of `ZOOMS`."""
    top_left: tuple[int, int]
    """Row, counted from the top of the tile, and column of the pixel in the first cell."""

    @property
    def visible_pixels(self) -> tuple[float, float]:
        """Number of pixels that fit into the widget along y and x."""
        return self.cells_xy[1] * 2 / self.zoom, self.cells_xy[0] / self.zoom

    @property
    def used_cells(self) -> tuple[int, int]:
        """Columns and rows that the tile covers."""
        top, left = self.top_left
        columns = min(self.cells_xy[0], (self.size - left) * self.zoom)
        return columns, min(self.cells_xy[1], ceil((self.size - top) * self.zoom / 2))

    @property
    def corner_xy(self) -> tuple[int, int]:
        """First column and row of the tile: centred if it is smaller than the widget."""
        columns, rows = self.used_cells
        return (self.cells_xy[0] - columns) // 2, (self.cells_xy[1] - rows) // 2

    def pixel_at(self, column: float, row: float) -> tuple[int, int]:
        """Return the pixel (y, x) at a position in cells; it may lie outside the tile."""
        left, top = self.corner_xy
        x = self.top_left[1] + (column - left) // self.zoom
        from_top = self.top_left[0] + (row - top) * 2 // self.zoom
        return self.size - 1 - int(from_top), int(x)

    def indices(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return row y and column x of the pixel under each point of the used cells, clamped to the tile."""
        columns, rows = self.used_cells
        points_x, points_y = self.points_xy
        from_top = self.top_left[0] + (np.arange(rows * points_y) * 2) // (self.zoom * points_y)
        xs = self.top_left[1] + np.arange(columns * points_x) // (self.zoom * points_x)
        last = self.size - 1
        return last - np.minimum(from_top, last), np.minimum(xs, last)


def zooms_for(style: DrawStyle) -> tuple[int, ...]:
    """Return the zooms at which each pixel has its own points."""
    return tuple(zoom for zoom in ZOOMS if zoom * points_per_cell(style)[1] % 2 == 0)


def default_zoom(size: int, cells_xy: tuple[int, int], style: DrawStyle) -> int:
    """Return the largest zoom that shows all columns and at least half of the rows; else the smallest."""
    columns, rows = cells_xy
    zooms = zooms_for(style)
    fitting = [zoom for zoom in zooms if zoom * size <= columns and rows * 2 >= zoom * size * MIN_SHOWN_SHARE]
    return max(fitting, default=zooms[0])


def pixel_view_around(
    at_yx: tuple[int, int],
    previous: "PixelView | None",
    *,
    size: int,
    cells_xy: tuple[int, int],
    style: DrawStyle,
    zoom: int,
) -> PixelView:
    """Return the view that shows a pixel and its surroundings with the least movement."""
    points_x, points_y = points_per_cell(style)
    top_left_view = PixelView(size, cells_xy, (points_x, points_y), zoom, (0, 0))
    target = (size - 1 - at_yx[0], at_yx[1])
    is_same_layout = previous is not None and (previous.zoom, previous.size, previous.cells_xy) == (
        zoom,
        size,
        cells_xy,
    )
    corner = []
    for axis, (target_pixel, visible) in enumerate(zip(target, top_left_view.visible_pixels, strict=True)):
        visible_count = max(1, int(visible))
        margin = min(visible_count // 4, 8)
        first = (
            previous.top_left[axis] if is_same_layout and previous is not None else target_pixel - visible_count // 2
        )
        first = min(max(first, target_pixel - visible_count + 1 + margin), target_pixel - margin)
        corner.append(min(max(0, first), max(0, size - visible_count)))
    return PixelView(size, cells_xy, (points_x, points_y), zoom, (corner[0], corner[1]))


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that is drawn of a tile."""

    grey: NDArray[np.uint8]
    """As stored: row 0 is y = 0."""
    styled_layers: tuple[tuple[LabelStyle, Layer], ...]
    """Colour, letter and layer of each visible feature, the one being painted first."""
    ignored: LabelStyle
    """Style of ignored pixels."""
    mode: str = "overlay"
    """``overlay``, ``outline`` or ``off``."""
    preview: NDArray[np.bool_] | None = None
    """Preview: pixels that the tool would paint."""
    preview_rgb: tuple[int, int, int] = (255, 255, 255)
    """Colour of the preview."""
    cursor_yx: tuple[int, int] | None = None
    footprint: NDArray[np.bool_] | None = None
    """Pixels under the tool at the cursor."""
    vertices: tuple[tuple[int, int], ...] = ()
    """Points of the open shape."""
    focused: bool = True


@dataclass(frozen=True, eq=False)
class DrawnCells:
    """Points and letters of the used cells, before encoding."""

    rgb: NDArray[np.uint8]
    letters: Letters
    corner_xy: tuple[int, int]


def draw_scene(scene: Scene, pixel_view: PixelView, style: DrawStyle) -> DrawnCells:
    """Draw the visible part of a tile."""
    ys, xs = pixel_view.indices()
    labels, palette = _label_image(scene)
    rgb = _colour_pixels(scene, labels, palette, style)[np.ix_(ys, xs)]
    points_x, points_y = pixel_view.points_xy
    letters = _cell_letters(scene, labels, palette, pixel_view, style)
    if scene.cursor_yx is not None and scene.footprint is not None:
        if style.is_plain:
            _draw_cursor_characters(letters, scene, pixel_view)
        else:
            ring = _ring(scene.footprint[np.ix_(ys, xs)])
            cursor_from_top = pixel_view.size - 1 - scene.cursor_yx[0], scene.cursor_yx[1]
            _draw_ring(rgb, ring, pixel_view, cursor_from_top, focused=scene.focused)
            rows, columns = np.nonzero(ring)
            letters[rows // points_y, columns // points_x] = ""
    return DrawnCells(rgb, letters, pixel_view.corner_xy)


def encode_cells(rgb: NDArray[np.uint8], letters: Letters, style: DrawStyle) -> list[str]:
    """Encode rows of cells."""
    shown_letters = letters if (letters != "").any() else None
    if style.renderer == "halfblock":
        return blocks.encode(rgb, letters=shown_letters, depth=style.colours)
    encode_text = braille.encode if style.renderer == "braille" else ascii_text.encode
    return encode_text(rgb, letters=shown_letters)


def _label_image(scene: Scene) -> tuple[NDArray[np.uint8], Palette]:
    """Combine the visible layers into one label image: n for the n-th feature, n + 1 ignored, n + 2 not the feature."""
    count = len(scene.styled_layers)
    labels = np.zeros(scene.grey.shape, np.uint8)
    if scene.mode == "off":
        return labels, ()
    for number, (_, layer) in reversed(list(enumerate(scene.styled_layers, start=1))):
        if number == 1 and (layer == UNLABELLED).any():
            labels[(layer == NOT_FEATURE) & (labels == 0)] = count + 2
        labels[layer == IGNORED] = count + 1
        labels[layer == FEATURE] = number
    styles = [LabelStyle(number, style.name, style.letter, style.rgb) for number, (style, _) in _numbered_layers(scene)]
    ignored = LabelStyle(count + 1, scene.ignored.name, scene.ignored.letter, scene.ignored.rgb)
    return labels, (*styles, ignored, LabelStyle(count + 2, "not", NOT_FEATURE_LETTER, (0, 0, 0)))


def _numbered_layers(scene: Scene) -> list[tuple[int, tuple[LabelStyle, Layer]]]:
    return list(enumerate(scene.styled_layers, start=1))


def _colour_pixels(scene: Scene, labels: NDArray[np.uint8], palette: Palette, style: DrawStyle) -> NDArray[np.uint8]:
    """Return the pixels of the tile with paint over them: uint8, shape (y, x, 3)."""
    grey = quantise(scene.grey, FINE_GREYS) if style.colours == "truecolor" else scene.grey
    if style.is_plain:
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    shown_labels = outlines(labels) if scene.mode == "outline" else labels
    table = np.zeros((256, 3))
    for entry in palette:
        table[entry.label] = entry.rgb
    strength = np.where(shown_labels > 0, 1.0 if scene.mode == "outline" else COLOUR_STRENGTH, 0.0)
    if scene.mode == "overlay" and palette:
        _hatch(strength, shown_labels, ignored=palette[-2].label, negative=palette[-1].label)
    mixed = grey[..., np.newaxis] * (1 - strength[..., np.newaxis]) + table[shown_labels] * strength[..., np.newaxis]
    if scene.preview is not None and scene.preview.any():
        preview = scene.preview.astype(np.uint8)
        preview_strength = (
            np.where(outlines(np.pad(preview, 1))[1:-1, 1:-1] > 0, _RIM_STRENGTH, _INSIDE_STRENGTH) * preview
        )
        mixed = (
            mixed * (1 - preview_strength[..., np.newaxis])
            + np.array(scene.preview_rgb) * preview_strength[..., np.newaxis]
        )
    for y, x in scene.vertices:
        mixed[y, x] = CURSOR_RGB
    return np.asarray(np.rint(mixed), np.uint8)


def _hatch(strength: NDArray[np.float64], labels: NDArray[np.uint8], *, ignored: int, negative: int) -> None:
    """Draw a chequer on ignored pixels and diagonals on negative ones, in place."""
    rows, columns = np.indices(labels.shape)
    chequer = (rows + columns) % 2 == 0
    diagonal = (rows + columns) % 4 == 0
    strength[(labels == ignored) & chequer] = 0.85
    strength[(labels == ignored) & ~chequer] = 0.15
    strength[(labels == negative) & diagonal] = 0.75
    strength[(labels == negative) & ~diagonal] = 0.2


def _cell_letters(
    scene: Scene, labels: NDArray[np.uint8], palette: Palette, pixel_view: PixelView, style: DrawStyle
) -> Letters:
    """Return the letters of the cells that lie within one pixel, or within pixels of equal paint."""
    columns, rows = pixel_view.used_cells
    letters: Letters = np.full((rows, columns), "", dtype="<U1")
    if not palette:
        return letters
    table = np.full(256, "", dtype="<U1")
    for entry in palette:
        table[entry.label] = entry.letter
    shown_labels = outlines(labels) if scene.mode == "outline" else labels
    upper, lower = _half_cell_values(shown_labels, pixel_view)
    column_index, row_index = np.indices((rows, columns))[::-1]
    if style.is_plain:
        letters = np.where(upper > 0, table[upper], table[lower]) if pixel_view.zoom == 1 else table[upper]
        letters[(column_index + row_index) % 2 == 1] = ""  # half of the cells show the image
        _draw_preview_characters(letters, scene, pixel_view)
        return letters
    if scene.mode == "outline":
        return letters
    letters = np.where(upper == lower, table[upper], "")
    letters[~_letter_mask(pixel_view)] = ""
    return letters


def _letter_mask(pixel_view: PixelView) -> NDArray[np.bool_]:
    """Return which cells may have letters: the middle of every fifth pixel, or every fifth shared cell."""
    columns, rows = pixel_view.used_cells
    row_index, column_index = np.ogrid[:rows, :columns]
    if pixel_view.zoom == 1:
        return np.asarray((column_index + 2 * row_index) % _LETTER_SPACING == 0, np.bool_)
    within_x, within_y = column_index % pixel_view.zoom, (2 * row_index) % pixel_view.zoom
    is_middle = (within_x == (pixel_view.zoom - 1) // 2) & (within_y == (pixel_view.zoom // 2 - 1) // 2 * 2)
    x, from_top = (
        column_index // pixel_view.zoom + pixel_view.top_left[1],
        2 * row_index // pixel_view.zoom + pixel_view.top_left[0],
    )
    return np.asarray(is_middle & ((x + 2 * from_top) % _LETTER_SPACING == 0), np.bool_)


def _half_cell_values(values: NDArray[np.uint8], pixel_view: PixelView) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the values of the pixels in the upper and in the lower half of each used cell."""
    columns, rows = pixel_view.used_cells
    last = pixel_view.size - 1
    xs = np.minimum(pixel_view.top_left[1] + np.arange(columns) // pixel_view.zoom, last)
    halves = []
    for half in (0, 1):
        from_top = pixel_view.top_left[0] + (np.arange(rows) * 2 + half) // pixel_view.zoom
        halves.append(values[np.ix_(last - np.minimum(from_top, last), xs)])
    return halves[0], halves[1]


def _draw_preview_characters(letters: Letters, scene: Scene, pixel_view: PixelView) -> None:
    """Mark the preview with characters if colours are not visible."""
    marks = np.zeros(scene.grey.shape, np.uint8)
    if scene.preview is not None:
        marks[outlines(np.pad(scene.preview.astype(np.uint8), 1))[1:-1, 1:-1] > 0] = 1
    for y, x in scene.vertices:
        marks[y, x] = 2
    upper, lower = _half_cell_values(marks, pixel_view)
    cell_marks = np.maximum(upper, lower)
    letters[cell_marks == 1] = "o"
    letters[cell_marks == 2] = "x"


def _ring(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the points adjacent to others, corners included."""
    padded = np.pad(inside, 1)
    neighbours = np.zeros(inside.shape, np.bool_)
    for down in (0, 1, 2):
        for right in (0, 1, 2):
            neighbours |= padded[down : down + inside.shape[0], right : right + inside.shape[1]]
    return neighbours & ~inside


def _draw_ring(
    rgb: NDArray[np.uint8],
    ring: NDArray[np.bool_],
    pixel_view: PixelView,
    cursor_from_top: tuple[int, int],
    *,
    focused: bool,
) -> None:
    """Draw the cursor in alternating bright and black, so that it is visible on any grey and any paint."""
    rows, columns = np.indices(ring.shape)
    top, left = (
        (position - first) * pixel_view.zoom * points // step
        for position, first, points, step in zip(
            cursor_from_top, pixel_view.top_left, pixel_view.points_xy[::-1], (2, 1), strict=True
        )
    )
    is_bright = (rows - top + columns - left) % 2 == 1  # the four points beside a single one are bright
    rgb[ring] = 0
    rgb[ring & is_bright] = CURSOR_RGB if focused else IDLE_CURSOR_RGB


def _draw_cursor_characters(letters: Letters, scene: Scene, pixel_view: PixelView) -> None:
    """Mark the cursor with arrows on four sides, outside the area of the tool."""
    if scene.footprint is None or scene.cursor_yx is None or not scene.footprint.any():
        return
    is_covered = np.maximum(*_half_cell_values(scene.footprint.astype(np.uint8), pixel_view)) > 0
    if not is_covered.any():
        return
    covered_rows, covered_columns = np.flatnonzero(is_covered.any(axis=1)), np.flatnonzero(is_covered.any(axis=0))
    middle_row, middle_column = (
        (covered_rows[0] + covered_rows[-1]) // 2,
        (covered_columns[0] + covered_columns[-1]) // 2,
    )
    for row, column, arrow in (
        (middle_row, covered_columns[0] - 1, ">"),
        (middle_row, covered_columns[-1] + 1, "<"),
        (covered_rows[0] - 1, middle_column, "v"),
        (covered_rows[-1] + 1, middle_column, "^"),
    ):
        if 0 <= row < letters.shape[0] and 0 <= column < letters.shape[1]:
            letters[row, column] = arrow
