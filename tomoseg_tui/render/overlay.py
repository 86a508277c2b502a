"""Labels drawn over greys: colours, outlines and letters; and pictures arranged in a grid.

The order of rows is that of the input throughout.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError
from tomoseg_tui.render.cells import Letters
from tomoseg_tui.render.colours import Palette
from tomoseg_tui.render.viewport import resample

_SPACING = 5
"""Distance of letters in a sparse pattern, cells. Rows are shifted by 2, so that every row, column and diagonal of the
screen has a letter in each 5 cells."""


def blend_labels(
    grey: NDArray[np.uint8], labels: NDArray[np.uint8], palette: Palette, strength: float = 0.55
) -> NDArray[np.uint8]:
    """Colour the labelled pixels of a picture.

    Parameters
    ----------
    grey, labels : ndarray of uint8, shape (y, x)
        The grey and the label of each pixel, 0 for none. Left unchanged.
    palette : tuple of LabelStyle
        Colours; labels that are not in it stay grey.
    strength : float
        Share of the label's colour, 0 to 1; the rest is the grey.

    Returns
    -------
    ndarray of uint8, shape (y, x, 3)
        Red, green, blue.

    Raises
    ------
    ShapeError
        If the two shapes differ.
    """
    check_same_shape(grey, labels)
    blend_indices = labels.astype(np.uint16) * 256 + grey
    return _blend_table(palette, strength).take(blend_indices, axis=0)


def check_same_shape(grey: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Raise ShapeError if labels and picture differ in shape."""
    if grey.shape != labels.shape:
        raise ShapeError(
            f"Labels of shape {labels.shape} do not fit a picture of shape {grey.shape} (y, x).",
            "Give labels that were made from this tomogram.",
        )


@lru_cache(maxsize=16)
def _blend_table(palette: Palette, strength: float) -> NDArray[np.uint8]:
    """Return the colour of each grey under each label, shape (label * 256 + grey, 3)."""
    greys = np.repeat(np.arange(256)[:, np.newaxis], 3, axis=1)  # (grey, 3)
    table = np.tile(greys, (256, 1, 1))  # (label, grey, 3)
    for style in palette:
        table[style.label] = np.rint(greys * (1 - strength) + np.array(style.rgb) * strength)
    colours = table.reshape(-1, 3).astype(np.uint8)
    colours.flags.writeable = False
    return colours


def outlines(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the labels of pixels at the rim of each labelled region.

    Parameters
    ----------
    labels : ndarray of uint8, shape (y, x)
        Left unchanged.

    Returns
    -------
    ndarray of uint8, shape (y, x)
        The label where a pixel's left, right, upper or lower neighbour has another label, else 0. The edge of the
        picture is not a rim.
    """
    padded = np.pad(labels, 1, mode="edge")
    neighbours = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    rim = np.zeros(labels.shape, dtype=bool)
    for neighbour in neighbours:
        rim |= neighbour != labels
    return labels * rim


def letter_cells(
    labels: NDArray[np.uint8], cells_shape: tuple[int, int], palette: Palette, *, sparse: bool = True
) -> Letters:
    """Return the letters to show on cells.

    Parameters
    ----------
    labels : ndarray of uint8, shape (y, x)
        In screen order, the top row first. Left unchanged.
    cells_shape : tuple of int
        Rows and columns of the screen.
    palette : tuple of LabelStyle
        Letters; labels that are not in it get none.
    sparse : bool
        Show letters on one labelled cell in five, so that the picture stays visible; else on all.

    Returns
    -------
    ndarray of str, shape `cells_shape`
        A letter or an empty string.
    """
    table = np.full(256, "", dtype="<U1")
    for style in palette:
        table[style.label] = style.letter
    letters = table[resample(labels, cells_shape, labels=True)]
    if sparse:
        rows, columns = np.indices(cells_shape)
        letters[(columns + 2 * rows) % _SPACING != 0] = ""
    return letters


def image_grid(rows: Sequence[Sequence[NDArray[np.uint8]]], gap: int = 4, *, fill_value: int = 0) -> NDArray[np.uint8]:
    """Arrange pictures in rows, with gaps between them and no margin.

    Parameters
    ----------
    rows : sequence of sequences of ndarray of uint8, shape (y, x) or (y, x, 3)
        All with the same number of axes; sizes and lengths of rows may differ. Left unchanged.
    gap : int
        Pixels between neighbours.
    fill_value : int
        Value of the gaps, and of the area beside smaller pictures.

    Returns
    -------
    ndarray of uint8, shape (y, x) or (y, x, 3)
        The first row first, each picture at the start of its cell.

    Raises
    ------
    ShapeError
        If there are no pictures.
    """
    pictures = [picture for row in rows for picture in row]
    if not pictures:
        raise ShapeError("There are no pictures to arrange.", "Name at least one tile.")
    heights = [max((picture.shape[0] for picture in row), default=0) for row in rows]
    column_count = max(len(row) for row in rows)
    widths = [max(row[column].shape[1] for row in rows if column < len(row)) for column in range(column_count)]
    shape = (sum(heights) + gap * (len(rows) - 1), sum(widths) + gap * (column_count - 1), *pictures[0].shape[2:])
    canvas = np.full(shape, fill_value, dtype=np.uint8)
    for row_number, row in enumerate(rows):
        top = sum(heights[:row_number]) + gap * row_number
        for column, picture in enumerate(row):
            left = sum(widths[:column]) + gap * column
            canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return canvas
