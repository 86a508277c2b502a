"""Shared by the text renderers: extend pictures to whole cells, put letters on cells, join rows to lines."""

import numpy as np
from numpy.typing import NDArray

Letters = NDArray[np.str_]
"""One letter per cell, shape (rows, columns); an empty string for none."""

PIXELS_PER_CELL_XY = {
    "halfblock": (1, 2), "quadrant": (2, 2), "sextant": (2, 3), "octant": (2, 4), "braille": (2, 4), "ascii": (1, 1),
    "sixel": (10, 20), "kitty": (10, 20),
}  # fmt: skip
"""Points along x and y of a cell that each renderer draws; for the last two a typical cell size."""

_BRIGHTNESS = np.array([77, 150, 29], dtype=np.uint16)
"""Weights of red, green and blue in 1/256, ITU-R BT.601."""


def brightness(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the perceived brightness of colours (..., 3) as uint8 (...); a grey has its own value."""
    return np.asarray((rgb @ _BRIGHTNESS) >> 8, dtype=np.uint8)


def pad_to_cells(picture: NDArray[np.uint8], pixels_per_cell_xy: tuple[int, int]) -> NDArray[np.uint8]:
    """Repeat the last row and column of a picture to fill whole cells.

    Parameters
    ----------
    picture : ndarray of uint8, shape (y, x) or (y, x, 3)
        Left unchanged.
    pixels_per_cell_xy : tuple of int
        Points along x and y of a cell.

    Returns
    -------
    ndarray of uint8, shape (y, x) or (y, x, 3)
        The picture itself if it fills whole cells.
    """
    missing_y, missing_x = -picture.shape[0] % pixels_per_cell_xy[1], -picture.shape[1] % pixels_per_cell_xy[0]
    if not (missing_y or missing_x):
        return picture
    margins = [(0, missing_y), (0, missing_x), (0, 0)][: picture.ndim]
    return np.pad(picture, margins, mode="edge")


def join_rows(characters: NDArray[np.str_], letters: Letters | None) -> list[str]:
    """Join characters to lines, with letters in place of some.

    Parameters
    ----------
    characters : ndarray of str, shape (rows, columns)
        One character per cell.
    letters : ndarray of str, shape (rows, columns), or None
        Empty strings leave the character.

    Returns
    -------
    list of str
        One line per row, without line ends.
    """
    if letters is not None:
        characters = np.where(letters != "", letters, characters)
    return ["".join(row) for row in characters.tolist()]
