"""From a tile that is painted to cells: every pixel a block of cells, paint over it, cursor and open shapes on top.

Knows arrays and cells, no widget. Beside colour, what is painted is told apart by pattern: the feature is even,
ignored pixels are a chequer, those said not to be the feature are dark diagonals; and by letters where cells allow.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, NOT_LOOKED_AT, Layer
from tomoseg_tui.render import ascii_text, braille, halfblock
from tomoseg_tui.render.cells import Letters
from tomoseg_tui.render.greys import quantise
from tomoseg_tui.render.overlay import LabelStyle, Palette, outlines
from tomoseg_tui.tui.canvas.slice_drawing import FINE_GREYS, Style, points_of
from tomoseg_tui.tui.canvas.tile_boxes import CURSOR_RGB, IDLE_CURSOR_RGB

ZOOMS = (1, 2, 3, 4, 6, 8)
"""Columns that a pixel is wide; it is half as many rows high."""
LEAST_SHOWN = 0.5
"""Share of a tile that is seen at once when its zoom is chosen."""
STRENGTH = 0.55
"""Share of a feature's colour in its pixels."""
NOT_LETTER = "-"
"""Stands on pixels that are said not to be the feature."""
_RIM, _INSIDE = 0.9, 0.3
"""Strength of what would be painted: at its rim and inside."""
_LETTER_SPACING = 5


@dataclass(frozen=True)
class Port:
    """Which part of a tile stands where: whole pixels from the upper left cell on."""

    size: int
    """Edge of the tile, pixels."""
    cells_xy: tuple[int, int]
    """Of the widget."""
    points_xy: tuple[int, int]
    """Points that the renderer draws in a cell."""
    zoom: int
    """One of `ZOOMS`."""
    top_left: tuple[int, int]
    """Row counted from the top of the tile, and column, of the pixel in the first cell."""

    @property
    def pixels_seen(self) -> tuple[float, float]:
        """How many pixels go into the widget along y and x."""
        return self.cells_xy[1] * 2 / self.zoom, self.cells_xy[0] / self.zoom

    @property
    def used_cells(self) -> tuple[int, int]:
        """Columns and rows on which the tile lies."""
        top, left = self.top_left
        columns = min(self.cells_xy[0], (self.size - left) * self.zoom)
        return columns, min(self.cells_xy[1], ceil((self.size - top) * self.zoom / 2))

    @property
    def corner_xy(self) -> tuple[int, int]:
        """First column and row of the tile: in the middle, where it is smaller than the widget."""
        columns, rows = self.used_cells
        return (self.cells_xy[0] - columns) // 2, (self.cells_xy[1] - rows) // 2

    def pixel_at(self, column: float, row: float) -> tuple[int, int]:
        """Return the pixel (y, x) at a position in cells; it may lie outside of the tile."""
        left, top = self.corner_xy
        x = self.top_left[1] + (column - left) // self.zoom
        from_top = self.top_left[0] + (row - top) * 2 // self.zoom
        return self.size - 1 - int(from_top), int(x)

    def indices(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return row y and column x of the pixel under each point of the used cells; beyond the tile its border."""
        columns, rows = self.used_cells
        points_x, points_y = self.points_xy
        from_top = self.top_left[0] + (np.arange(rows * points_y) * 2) // (self.zoom * points_y)
        xs = self.top_left[1] + np.arange(columns * points_x) // (self.zoom * points_x)
        last = self.size - 1
        return last - np.minimum(from_top, last), np.minimum(xs, last)


def zooms_for(style: Style) -> tuple[int, ...]:
    """Return the zooms at which each pixel has points of its own."""
    return tuple(zoom for zoom in ZOOMS if zoom * points_of(style)[1] % 2 == 0)


def usual_zoom(size: int, cells_xy: tuple[int, int], style: Style) -> int:
    """Return the greatest zoom at which all columns and at least half of the rows are seen; else the least."""
    columns, rows = cells_xy
    zooms = zooms_for(style)
    fitting = [zoom for zoom in zooms if zoom * size <= columns and rows * 2 >= zoom * size * LEAST_SHOWN]
    return max(fitting, default=zooms[0])


def port_around(
    at_yx: tuple[int, int], before: "Port | None", *, size: int, cells_xy: tuple[int, int], style: Style, zoom: int
) -> Port:
    """Return the port that shows a pixel and some of its surroundings, moved as little as can be."""
    points_x, points_y = points_of(style)
    blank = Port(size, cells_xy, (points_x, points_y), zoom, (0, 0))
    wanted = (size - 1 - at_yx[0], at_yx[1])
    same = before is not None and (before.zoom, before.size, before.cells_xy) == (zoom, size, cells_xy)
    corner = []
    for axis, (at, seen) in enumerate(zip(wanted, blank.pixels_seen, strict=True)):
        whole = max(1, int(seen))
        margin = min(whole // 4, 8)
        first = before.top_left[axis] if same and before is not None else at - whole // 2
        first = min(max(first, at - whole + 1 + margin), at - margin)
        corner.append(min(max(0, first), max(0, size - whole)))
    return Port(size, cells_xy, (points_x, points_y), zoom, (corner[0], corner[1]))


@dataclass(frozen=True, eq=False)
class Scene:
    """All that is seen of a tile."""

    grey: NDArray[np.uint8]
    """As stored: row 0 is y = 0."""
    sheets: tuple[tuple[LabelStyle, Layer], ...]
    """Colour, letter and layer of each feature that is seen, the one painted first."""
    ignored: LabelStyle
    """How ignored pixels are marked."""
    mode: str = "overlay"
    """``overlay``, ``outline`` or ``off``."""
    tentative: NDArray[np.bool_] | None = None
    """What would be painted."""
    tentative_rgb: tuple[int, int, int] = (255, 255, 255)
    """In which colour."""
    cursor_yx: tuple[int, int] | None = None
    footprint: NDArray[np.bool_] | None = None
    """Pixels under the tool at the cursor."""
    points: tuple[tuple[int, int], ...] = ()
    """Of the open shape."""
    focused: bool = True


@dataclass(frozen=True, eq=False)
class Drawn:
    """Points and letters of the used cells, before they are encoded."""

    rgb: NDArray[np.uint8]
    letters: Letters
    corner_xy: tuple[int, int]


def draw(scene: Scene, port: Port, style: Style) -> Drawn:
    """Draw the part of a tile that is seen."""
    ys, xs = port.indices()
    labels, palette = _labels(scene)
    rgb = _coloured(scene, labels, palette, style)[np.ix_(ys, xs)]
    points_x, points_y = port.points_xy
    letters = _letters(scene, labels, palette, port, style)
    if scene.cursor_yx is not None and scene.footprint is not None:
        if style.is_plain:
            _cursor_in_characters(letters, scene, port)
        else:
            ring = _ring(scene.footprint[np.ix_(ys, xs)])
            at = port.size - 1 - scene.cursor_yx[0], scene.cursor_yx[1]
            _ink_ring(rgb, ring, port, at, focused=scene.focused)
            rows, columns = np.nonzero(ring)
            letters[rows // points_y, columns // points_x] = ""
    return Drawn(rgb, letters, port.corner_xy)


def encode(rgb: NDArray[np.uint8], letters: Letters, style: Style) -> list[str]:
    """Return rows of cells."""
    lettered = letters if (letters != "").any() else None
    if style.renderer == "halfblock":
        return halfblock.encode(rgb, letters=lettered, depth=style.colours)
    renderer = braille.encode if style.renderer == "braille" else ascii_text.encode
    return renderer(rgb, letters=lettered)


def _labels(scene: Scene) -> tuple[NDArray[np.uint8], Palette]:
    """Return what is seen of the layers as one picture: n-th feature n, ignored n + 1, not the feature n + 2."""
    count = len(scene.sheets)
    labels = np.zeros(scene.grey.shape, np.uint8)
    if scene.mode == "off":
        return labels, ()
    for place, (_, layer) in reversed(list(enumerate(scene.sheets, start=1))):
        if place == 1 and (layer == NOT_LOOKED_AT).any():
            labels[(layer == NOT_FEATURE) & (labels == 0)] = count + 2
        labels[layer == IGNORED] = count + 1
        labels[layer == FEATURE] = place
    styles = [LabelStyle(place, style.name, style.letter, style.rgb) for place, (style, _) in _numbered(scene)]
    ignored = LabelStyle(count + 1, scene.ignored.name, scene.ignored.letter, scene.ignored.rgb)
    return labels, (*styles, ignored, LabelStyle(count + 2, "not", NOT_LETTER, (0, 0, 0)))


def _numbered(scene: Scene) -> list[tuple[int, tuple[LabelStyle, Layer]]]:
    return list(enumerate(scene.sheets, start=1))


def _coloured(scene: Scene, labels: NDArray[np.uint8], palette: Palette, style: Style) -> NDArray[np.uint8]:
    """Return the pixels of the tile with paint over them: uint8, shape (y, x, 3)."""
    grey = quantise(scene.grey, FINE_GREYS) if style.colours == "truecolor" else scene.grey
    if style.is_plain:
        return np.repeat(grey[..., np.newaxis], 3, axis=2)
    seen = outlines(labels) if scene.mode == "outline" else labels
    table = np.zeros((256, 3))
    for entry in palette:
        table[entry.label] = entry.rgb
    strength = np.where(seen > 0, 1.0 if scene.mode == "outline" else STRENGTH, 0.0)
    if scene.mode == "overlay" and palette:
        _hatch(strength, seen, ignored=palette[-2].label, negative=palette[-1].label)
    mixed = grey[..., np.newaxis] * (1 - strength[..., np.newaxis]) + table[seen] * strength[..., np.newaxis]
    if scene.tentative is not None and scene.tentative.any():
        tried = scene.tentative.astype(np.uint8)
        share = np.where(outlines(np.pad(tried, 1))[1:-1, 1:-1] > 0, _RIM, _INSIDE) * tried
        mixed = mixed * (1 - share[..., np.newaxis]) + np.array(scene.tentative_rgb) * share[..., np.newaxis]
    for y, x in scene.points:
        mixed[y, x] = CURSOR_RGB
    return np.asarray(np.rint(mixed), np.uint8)


def _hatch(strength: NDArray[np.float64], labels: NDArray[np.uint8], *, ignored: int, negative: int) -> None:
    """Give ignored pixels a chequer and negative ones diagonals, in place."""
    rows, columns = np.indices(labels.shape)
    chequer = (rows + columns) % 2 == 0
    diagonal = (rows + columns) % 4 == 0
    strength[(labels == ignored) & chequer] = 0.85
    strength[(labels == ignored) & ~chequer] = 0.15
    strength[(labels == negative) & diagonal] = 0.75
    strength[(labels == negative) & ~diagonal] = 0.2


def _letters(scene: Scene, labels: NDArray[np.uint8], palette: Palette, port: Port, style: Style) -> Letters:
    """Return the letters of the cells that lie within one pixel, or within pixels that are painted alike."""
    columns, rows = port.used_cells
    letters: Letters = np.full((rows, columns), "", dtype="<U1")
    if not palette:
        return letters
    table = np.full(256, "", dtype="<U1")
    for entry in palette:
        table[entry.label] = entry.letter
    seen = outlines(labels) if scene.mode == "outline" else labels
    upper, lower = _cells_pixels(seen, port)
    places, ups = np.indices((rows, columns))[::-1]
    if style.is_plain:
        letters = np.where(upper > 0, table[upper], table[lower]) if port.zoom == 1 else table[upper]
        letters[(places + ups) % 2 == 1] = ""  # half of the cells show the picture
        _tentative_in_characters(letters, scene, port)
        return letters
    if scene.mode == "outline":
        return letters
    letters = np.where(upper == lower, table[upper], "")
    letters[~_lettered(port)] = ""
    return letters


def _lettered(port: Port) -> NDArray[np.bool_]:
    """Return which cells may bear letters: the middle of one pixel in five, or one cell in five where pixels share."""
    columns, rows = port.used_cells
    ups, places = np.ogrid[:rows, :columns]
    if port.zoom == 1:
        return np.asarray((places + 2 * ups) % _LETTER_SPACING == 0, np.bool_)
    within_x, within_y = places % port.zoom, (2 * ups) % port.zoom
    middle = (within_x == (port.zoom - 1) // 2) & (within_y == (port.zoom // 2 - 1) // 2 * 2)
    x, down = places // port.zoom + port.top_left[1], 2 * ups // port.zoom + port.top_left[0]
    return np.asarray(middle & ((x + 2 * down) % _LETTER_SPACING == 0), np.bool_)


def _cells_pixels(values: NDArray[np.uint8], port: Port) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the values of the pixels in the upper and in the lower half of each used cell."""
    columns, rows = port.used_cells
    last = port.size - 1
    xs = np.minimum(port.top_left[1] + np.arange(columns) // port.zoom, last)
    halves = []
    for half in (0, 1):
        from_top = port.top_left[0] + (np.arange(rows) * 2 + half) // port.zoom
        halves.append(values[np.ix_(last - np.minimum(from_top, last), xs)])
    return halves[0], halves[1]


def _tentative_in_characters(letters: Letters, scene: Scene, port: Port) -> None:
    """Mark what would be painted, where colours are not seen."""
    marks = np.zeros(scene.grey.shape, np.uint8)
    if scene.tentative is not None:
        marks[outlines(np.pad(scene.tentative.astype(np.uint8), 1))[1:-1, 1:-1] > 0] = 1
    for y, x in scene.points:
        marks[y, x] = 2
    upper, lower = _cells_pixels(marks, port)
    seen = np.maximum(upper, lower)
    letters[seen == 1] = "o"
    letters[seen == 2] = "x"


def _ring(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the points around others, corners too."""
    padded = np.pad(inside, 1)
    around = np.zeros(inside.shape, np.bool_)
    for down in (0, 1, 2):
        for right in (0, 1, 2):
            around |= padded[down : down + inside.shape[0], right : right + inside.shape[1]]
    return around & ~inside


def _ink_ring(
    rgb: NDArray[np.uint8], ring: NDArray[np.bool_], port: Port, at_top_left: tuple[int, int], *, focused: bool
) -> None:
    """Draw the cursor: bright and black in turn, so that it is seen on any grey and any paint."""
    rows, columns = np.indices(ring.shape)
    top, left = (
        (at - first) * port.zoom * points // step
        for at, first, points, step in zip(at_top_left, port.top_left, port.points_xy[::-1], (2, 1), strict=True)
    )
    bright = (rows - top + columns - left) % 2 == 1  # the four points beside a single one are bright
    rgb[ring] = 0
    rgb[ring & bright] = CURSOR_RGB if focused else IDLE_CURSOR_RGB


def _cursor_in_characters(letters: Letters, scene: Scene, port: Port) -> None:
    """Point at the cursor from four sides, beyond what the tool covers."""
    if scene.footprint is None or scene.cursor_yx is None or not scene.footprint.any():
        return
    covered = np.maximum(*_cells_pixels(scene.footprint.astype(np.uint8), port)) > 0
    if not covered.any():
        return
    ups, places = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    middle_row, middle_column = (ups[0] + ups[-1]) // 2, (places[0] + places[-1]) // 2
    for row, column, arrow in (
        (middle_row, places[0] - 1, ">"),
        (middle_row, places[-1] + 1, "<"),
        (ups[0] - 1, middle_column, "v"),
        (ups[-1] + 1, middle_column, "^"),
    ):
        if 0 <= row < letters.shape[0] and 0 <= column < letters.shape[1]:
            letters[row, column] = arrow
