"""Draw a picture as braille dots, 2 x 4 per cell: the finest text rendering, in black and white."""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render.cells import PIXELS_PER_CELL_XY, Letters, brightness, join_rows, pad_to_cells
from tomoseg_tui.render.greys import dither

_DOT_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint16)
"""Bit of each dot of a cell, (y, x): the Unicode Standard, block Braille Patterns, U+2800."""
_PATTERNS = np.array([chr(0x2800 + bits) for bits in range(256)])


def encode(rgb: NDArray[np.uint8], *, letters: Letters | None = None) -> list[str]:
    """Draw a picture in dots, with greys by an ordered dither.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first, square pixels. Extended at the lower and right edge to whole cells. Left unchanged.
    letters : ndarray of str, shape (ceil(y / 4), ceil(x / 2)), optional
        Letters that replace dots; empty strings leave them.

    Returns
    -------
    list of str
        One line per row of cells.
    """
    lit = dither(pad_to_cells(brightness(rgb), PIXELS_PER_CELL_XY["braille"]))
    cells = lit.reshape(lit.shape[0] // 4, 4, lit.shape[1] // 2, 2)  # (row, y, column, x)
    bits = np.einsum("rycx,yx->rc", cells, _DOT_BITS)
    return join_rows(_PATTERNS[bits], letters)
