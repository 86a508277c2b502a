"""Draw a picture as half-blocks: two square pixels per cell, one above the other, in the colours of the terminal.

A row of cells is one string. Colours are set only when they change, and each cell is a space, a full block, or the
upper or lower half, whichever needs fewer changes.
"""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render.cells import PIXELS_PER_CELL_XY, Letters, brightness, join_rows, pad_to_cells
from tomoseg_tui.render.greys import dither
from tomoseg_tui.render.terminal_colours import RESET, are_dark, background_escape, colour_keys, foreground_escape

_BLACK_AND_WHITE = np.array([[" ", "▄"], ["▀", "█"]])
"""Character by whether the upper and the lower pixel is white."""
_NO_COLOUR = -1
"""Key of the colour at the start of a row, different from all keys in a picture."""


def encode(rgb: NDArray[np.uint8], *, letters: Letters | None = None, depth: str = "truecolor") -> list[str]:
    """Draw a picture in half-blocks.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first, square pixels. An odd last row is repeated. Left unchanged.
    letters : ndarray of str, shape (ceil(y / 2), x), optional
        Letters to put on cells, which then have the mean of their two colours; empty strings leave the cell.
    depth : str
        "truecolor", "256", "16", or "none": a black and white dither without escapes.

    Returns
    -------
    list of str
        One line per row of cells; with colours each ends by resetting them.
    """
    rgb = pad_to_cells(rgb, PIXELS_PER_CELL_XY["halfblock"])
    if depth == "none":
        lit = dither(brightness(rgb)).astype(np.intp)
        return join_rows(_BLACK_AND_WHITE[lit[::2], lit[1::2]], letters)
    if letters is None:
        keys = colour_keys(rgb, depth).tolist()
        return [_encode_row(upper, lower, depth) for upper, lower in zip(keys[::2], keys[1::2], strict=True)]
    return _lettered_rows(rgb, letters, depth)


def _encode_row(uppers: list[int], lowers: list[int], depth: str) -> str:
    parts: list[str] = []
    foreground_key = background_key = _NO_COLOUR
    for upper, lower in zip(uppers, lowers, strict=True):
        new_foreground, new_background, character = _cell(upper, lower, foreground_key, background_key)
        if new_foreground != foreground_key:
            foreground_key = new_foreground
            parts.append(foreground_escape(foreground_key, depth))
        if new_background != background_key:
            background_key = new_background
            parts.append(background_escape(background_key, depth))
        parts.append(character)
    return "".join(parts) + RESET


def _cell(upper: int, lower: int, foreground_key: int, background_key: int) -> tuple[int, int, str]:
    """Return foreground, background and character for a cell, with as few colour changes as possible."""
    if upper == lower:
        return (foreground_key, background_key, "█") if upper == foreground_key else (foreground_key, upper, " ")
    if upper == background_key or lower == foreground_key:
        return lower, upper, "▄"
    return upper, lower, "▀"


def _lettered_rows(rgb: NDArray[np.uint8], letters: Letters, depth: str) -> list[str]:
    """Draw as without letters, then replace the cells of the letters in each row."""
    means = ((rgb[::2].astype(np.uint16) + rgb[1::2]) // 2).astype(np.uint8)  # (rows, columns, 3)
    background_keys = colour_keys(means, depth).tolist()
    white, black = colour_keys(np.array([[[255] * 3, [0] * 3]], dtype=np.uint8), depth)[0].tolist()
    is_dark = are_dark(means, depth)
    rows = []
    keys = colour_keys(rgb, depth).tolist()
    for row, (upper, lower) in enumerate(zip(keys[::2], keys[1::2], strict=True)):
        parts, start = [], 0
        for column in np.flatnonzero(letters[row] != "").tolist():
            parts.append(_encode_row(upper[start:column], lower[start:column], depth))
            letter_key = white if is_dark[row, column] else black
            parts.append(
                foreground_escape(letter_key, depth)
                + background_escape(background_keys[row][column], depth)
                + str(letters[row, column])
            )
            start = column + 1
        rows.append("".join([*parts, _encode_row(upper[start:], lower[start:], depth)]))
    return rows
