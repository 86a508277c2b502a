"""Map pictures to the screen: fit, pan, zoom, and resample.

Arithmetic only. Stored pictures have y pointing up, as in IMOD and EMAN2; screens have their first row on top. Only
`upright` and `Viewport` convert between them. A terminal cell is taken to be twice as high as wide.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

CELL_HEIGHT = 2.0
"""Height of a cell in cell widths."""
MIN_ZOOM, MAX_ZOOM = 1 / 1024, 64.0
"""Limits of the zoom, columns per pixel of the picture."""


def upright(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a stored picture with the top row first.

    Parameters
    ----------
    picture : ndarray of uint8, shape (y, x) or (y, x, 3)
        Row 0 is y = 0.

    Returns
    -------
    ndarray of uint8, same shape
        A view with the greatest y first.
    """
    return picture[::-1]


def resample(picture: NDArray[np.uint8], shape_yx: tuple[int, int], *, labels: bool = False) -> NDArray[np.uint8]:
    """Resample a picture to another shape.

    Parameters
    ----------
    picture : ndarray of uint8, shape (y, x)
        Greys or labels. Left unchanged.
    shape_yx : tuple of int
        The new shape, pixels; each at least 1.
    labels : bool
        The values are labels, which must not be averaged.

    Returns
    -------
    ndarray of uint8, shape `shape_yx`
        Greys are averaged by area along an axis that shrinks; otherwise the nearest pixel is used.
    """
    height, width = picture.shape
    edges_y = np.linspace(0, height, shape_yx[0] + 1)
    edges_x = np.linspace(0, width, shape_yx[1] + 1)
    return _sample(picture, edges_y, edges_x, labels=labels)


def _sample(
    picture: NDArray[np.uint8], edges_y: NDArray[np.float64], edges_x: NDArray[np.float64], *, labels: bool
) -> NDArray[np.uint8]:
    if labels:
        return _nearest(_nearest(picture, edges_y, axis=0), edges_x, axis=1)
    narrow = _average(picture, edges_x, axis=1)  # along x first, which is contiguous in memory
    return _average(narrow, edges_y, axis=0)


def _nearest(values: NDArray[np.uint8], edges: NDArray[np.float64], *, axis: int) -> NDArray[np.uint8]:
    centres = np.floor((edges[1:] + edges[:-1]) / 2).astype(np.intp)
    return values.take(np.clip(centres, 0, values.shape[axis] - 1), axis=axis)


def _average(values: NDArray[np.uint8], edges: NDArray[np.float64], *, axis: int) -> NDArray[np.uint8]:
    """Average by area between edges; if they are at most a pixel apart, take the nearest pixel."""
    if edges[1] - edges[0] <= 1.0:
        return _nearest(values, edges, axis=axis)
    edges = np.clip(edges, 0, values.shape[axis])
    widths = np.maximum(np.diff(edges), 1e-9)
    means = _sums_between(values, edges, axis=axis) / np.expand_dims(widths, 1 - axis)
    return np.asarray(np.rint(means), dtype=np.uint8)


def _sums_between(values: NDArray[np.uint8], edges: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    """Return the sum from each edge to the next: whole pixels, corrected by the parts that edges cut off."""
    edge_pixels = np.minimum(edges.astype(np.intp), values.shape[axis] - 1)  # pixels that contain edges
    partial_sums = values.take(edge_pixels, axis=axis) * np.expand_dims(edges - edge_pixels, 1 - axis)
    sums = np.add.reduceat(values, edge_pixels, axis=axis, dtype=np.uint32).take(
        np.arange(len(edge_pixels) - 1), axis=axis
    )
    sums = sums * np.expand_dims(np.diff(edge_pixels) > 0, 1 - axis)  # reduceat gives a pixel for an empty range
    return np.asarray(sums + np.diff(partial_sums, axis=axis), dtype=np.float64)


@dataclass(frozen=True)
class Viewport:
    """A rectangle of cells that shows part of a picture.

    Positions on the screen are (column, row) in cells, floats, from the upper left corner of the first
    cell, whose centre is (0.5, 0.5). Positions in the picture are (y, x) in pixels, floats, from the outer corner
    of the first stored pixel, with y pointing up.
    """

    image_shape_yx: tuple[int, int]
    """Shape of the picture, pixels."""
    cells_xy: tuple[int, int]
    """Columns and rows to draw in."""
    pixels_per_cell_xy: tuple[int, int]
    """Points along x and y of a cell that the renderer draws, (1, 2) for half-blocks."""
    zoom: float
    """Width of a pixel of the picture in columns; its height is half as many rows."""
    centre_yx: tuple[float, float]
    """Position in the picture at the centre of the cells."""

    @classmethod
    def fit(
        cls, image_shape_yx: tuple[int, int], cells_xy: tuple[int, int], pixels_per_cell_xy: tuple[int, int]
    ) -> "Viewport":
        """Return the viewport that shows the whole picture, centred and as large as possible."""
        height, width = image_shape_yx
        zoom = min(cells_xy[0] / width, cells_xy[1] * CELL_HEIGHT / height)
        return cls(image_shape_yx, cells_xy, pixels_per_cell_xy, zoom, (height / 2, width / 2))

    def pan(self, columns: float, rows: float) -> "Viewport":
        """Move the view right by columns and down by rows; the centre stays within the picture."""
        (y, x), (height, width) = self.centre_yx, self.image_shape_yx
        y, x = y - rows * CELL_HEIGHT / self.zoom, x + columns / self.zoom
        return replace(self, centre_yx=(min(max(y, 0.0), height), min(max(x, 0.0), width)))

    def zoom_about(self, column: float, row: float, factor: float) -> "Viewport":
        """Change the zoom by a factor; the position at (column, row) stays there.

        Parameters
        ----------
        column, row : float
            Position on the screen, cells.
        factor : float
            Above 1 enlarges, below 1 shrinks; the zoom stays between 1/1024 and 64 columns per pixel.
        """
        y, x = self.pixel_at_cell(column, row)
        zoom = min(max(self.zoom * factor, MIN_ZOOM), MAX_ZOOM)
        ratio = self.zoom / zoom
        centre = (y + (self.centre_yx[0] - y) * ratio, x + (self.centre_yx[1] - x) * ratio)
        return replace(self, zoom=zoom, centre_yx=centre)

    def pixel_at_cell(self, column: float, row: float) -> tuple[float, float]:
        """Return the position (y, x) in the picture at (column, row); it may lie outside the picture."""
        down = (row - self.cells_xy[1] / 2) * CELL_HEIGHT / self.zoom
        right = (column - self.cells_xy[0] / 2) / self.zoom
        return self.centre_yx[0] - down, self.centre_yx[1] + right

    def cell_at_pixel(self, y: float, x: float) -> tuple[float, float]:
        """Return the (column, row) of a position in the picture; it may lie outside the cells."""
        column = (x - self.centre_yx[1]) * self.zoom + self.cells_xy[0] / 2
        row = (self.centre_yx[0] - y) * self.zoom / CELL_HEIGHT + self.cells_xy[1] / 2
        return column, row

    def raster(self, picture: NDArray[np.uint8], *, labels: bool = False) -> NDArray[np.uint8]:
        """Resample the visible part of a picture to the points of the renderer.

        Parameters
        ----------
        picture : ndarray of uint8, shape `image_shape_yx`
            Greys or labels as stored, row 0 being y = 0. Left unchanged.
        labels : bool
            The values are labels, which must not be averaged.

        Returns
        -------
        ndarray of uint8, shape (rows * points along y, columns * points along x)
            The top row first; 0 outside the picture.
        """
        edges_y, edges_x = self._edges_from_top()
        raster = _sample(upright(picture), edges_y, edges_x, labels=labels)
        for axis, edges in enumerate((edges_y, edges_x)):
            centres = (edges[1:] + edges[:-1]) / 2
            inside = (centres >= 0) & (centres < picture.shape[axis])
            raster = raster * np.expand_dims(inside, 1 - axis)
        return raster

    def _edges_from_top(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the positions in the upright picture between which the points of the screen lie, along y and x."""
        columns, rows = self.cells_xy
        top, left = self.pixel_at_cell(0, 0)
        bottom, right = self.pixel_at_cell(columns, rows)
        height = self.image_shape_yx[0]
        points_x, points_y = columns * self.pixels_per_cell_xy[0], rows * self.pixels_per_cell_xy[1]
        return np.linspace(height - top, height - bottom, points_y + 1), np.linspace(left, right, points_x + 1)
