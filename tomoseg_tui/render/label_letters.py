"""Draw letters of labels in pixels: a small font, and the positions of the letters.

For pictures in files or sent as pixels; text renderers put letters on cells (`overlay.letter_cells`).
"""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render.colours import Palette

GLYPH_SHAPE = (7, 5)
"""Rows and columns of a letter of the font."""

_FONT = {
    "A": "0E 11 11 1F 11 11 11", "B": "1E 11 11 1E 11 11 1E", "C": "0E 11 10 10 10 11 0E", "D": "1E 11 11 11 11 11 1E",
    "E": "1F 10 10 1E 10 10 1F", "F": "1F 10 10 1E 10 10 10", "G": "0E 11 10 17 11 11 0F", "H": "11 11 11 1F 11 11 11",
    "I": "0E 04 04 04 04 04 0E", "J": "07 02 02 02 02 12 0C", "K": "11 12 14 18 14 12 11", "L": "10 10 10 10 10 10 1F",
    "M": "11 1B 15 15 11 11 11", "N": "11 19 19 15 13 13 11", "O": "0E 11 11 11 11 11 0E", "P": "1E 11 11 1E 10 10 10",
    "Q": "0E 11 11 11 15 12 0D", "R": "1E 11 11 1E 14 12 11", "S": "0F 10 10 0E 01 01 1E", "T": "1F 04 04 04 04 04 04",
    "U": "11 11 11 11 11 11 0E", "V": "11 11 11 11 11 0A 04", "W": "11 11 11 15 15 1B 11", "X": "11 11 0A 04 0A 11 11",
    "Y": "11 11 0A 04 04 04 04", "Z": "1F 01 02 04 08 10 1F", "0": "0E 11 13 15 19 11 0E", "1": "04 0C 04 04 04 04 0E",
    "2": "0E 11 01 06 08 10 1F", "3": "1F 02 04 02 01 11 0E", "4": "02 06 0A 12 1F 02 02", "5": "1F 10 1E 01 01 11 0E",
    "6": "06 08 10 1E 11 11 0E", "7": "1F 01 02 04 04 08 08", "8": "0E 11 11 0E 11 11 0E", "9": "0E 11 11 0F 01 02 0C",
}  # fmt: skip
"""Rows of each letter from the top, five bits each, the leftmost bit highest."""
_MAX_DEPTH = 12
"""Erosion steps after which a letter, 7 pixels high, fits anywhere."""
_MIN_SPACING = 40
"""Least distance between two letters of one label, in pixels of the font."""


def glyph(letter: str, scale: int = 1) -> NDArray[np.bool_]:
    """Return the pixels of one letter.

    Parameters
    ----------
    letter : str
        One of A-Z and 0-9.
    scale : int
        Pixels of the picture per pixel of the font.

    Returns
    -------
    ndarray of bool, shape (7 * scale, 5 * scale)
        True for the strokes; the top row first.
    """
    rows = np.array([int(row, 16) for row in _FONT[letter].split()], dtype=np.uint8)
    pixels = np.unpackbits(rows[:, np.newaxis], axis=1)[:, -GLYPH_SHAPE[1] :].astype(bool)
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def draw_label_letters(
    rgb: NDArray[np.uint8], labels: NDArray[np.uint8], palette: Palette, scale: int = 1
) -> NDArray[np.uint8]:
    """Draw the letters of labels into a picture, white with a black rim, where each label is widest.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first. Left unchanged.
    labels : ndarray of uint8, shape (y, x)
        Label of each pixel.
    palette : tuple of LabelStyle
        Letters; labels that are not in it get none.
    scale : int
        Pixels of the picture per pixel of the font, which is 5 wide and 7 high.

    Returns
    -------
    ndarray of uint8, shape (y, x, 3)
        A new picture; letters are cropped only if the picture is smaller.
    """
    lettered = rgb.copy()
    for style in palette:
        ink = glyph(style.letter, scale)
        for y, x in _letter_positions(labels[::scale, ::scale] == style.label):
            _draw_glyph(lettered, ink, (y * scale, x * scale), rim=scale)
    return lettered


def _letter_positions(region: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return points deep inside a region, none within `_MIN_SPACING` of another."""
    depth = _erosion_depth(region)
    min_depth = min(2, int(depth.max(initial=0)))  # specks get no letter if there is a larger region
    positions: list[tuple[int, int]] = []
    while min_depth and depth.max() >= min_depth:
        y, x = divmod(int(depth.argmax()), depth.shape[1])
        positions.append((y, x))
        depth[max(0, y - _MIN_SPACING) : y + _MIN_SPACING, max(0, x - _MIN_SPACING) : x + _MIN_SPACING] = 0
    return positions


def _erosion_depth(region: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return for each pixel the number of erosions that remove it, at most `_MAX_DEPTH`."""
    depth = np.zeros(region.shape, dtype=np.uint8)
    for _ in range(_MAX_DEPTH):
        depth += region
        padded = np.pad(region, 1)
        region = region & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return depth


def _draw_glyph(out: NDArray[np.uint8], ink: NDArray[np.bool_], centre_yx: tuple[int, int], *, rim: int) -> None:
    """Draw a letter around a point, shifted to lie within the picture."""
    ink = np.pad(ink, rim)
    outline = np.zeros_like(ink)
    for shift_y in (-rim, 0, rim):
        for shift_x in (-rim, 0, rim):
            outline |= np.roll(ink, (shift_y, shift_x), axis=(0, 1))
    top, left = (
        max(0, min(centre - length // 2, extent - length))
        for centre, length, extent in zip(centre_yx, ink.shape, out.shape, strict=False)
    )
    window = out[top : top + ink.shape[0], left : left + ink.shape[1]]
    window[outline[: window.shape[0], : window.shape[1]]] = 0
    window[ink[: window.shape[0], : window.shape[1]]] = 255
