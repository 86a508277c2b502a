"""Draw a picture in block characters: 1 x 2, 2 x 2, 2 x 3 or 2 x 4 pixels per cell, in two colours of the terminal.

The pixels of a cell are split into a bright and a dark group, such that the squared differences from the means of the
groups are least. A row of cells is one string; colours are set only when they change, and a cell is drawn with its
pattern or with the opposite one, whichever needs fewer changes.
"""

from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render.cells import PIXELS_PER_CELL_XY, Letters, brightness, join_rows, pad_to_cells
from tomoseg_tui.render.greys import dither, quantise
from tomoseg_tui.render.terminal_colours import RESET, are_dark, background_escape, colour_keys, foreground_escape

Value = TypeVar("Value", bound=np.generic)

BLOCK_RENDERERS = ("halfblock", "quadrant", "sextant", "octant")
"""From the coarsest to the finest. Nearly every font has the first two, terminals of recent years the third, those
with Unicode 16 the last."""
_QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
_OCTANTS_ELSEWHERE = {
    0b00000001: 0x1CEA8, 0b00000010: 0x1CEAB, 0b01000000: 0x1CEA3, 0b10000000: 0x1CEA0, 0b00000011: 0x1FB82,
    0b11000000: 0x2582, 0b00111111: 0x1FB85, 0b11111100: 0x2586, 0b00010100: 0x1FBE6, 0b00101000: 0x1FBE7,
}  # fmt: skip
"""Octants that are characters of other blocks of Unicode, besides quadrants."""
_NO_COLOUR = -1
"""Key of the colour at the start of a row, different from all keys in a picture."""


@lru_cache(maxsize=len(BLOCK_RENDERERS))
def characters_of(renderer: str) -> tuple[str, ...]:
    """Return the character for each pattern of a renderer of blocks.

    Returns
    -------
    tuple of str
        Bit 0 of the index is the upper left pixel, bit 1 the next one to the right or below; set bits are bright.
        Source: the Unicode Standard 16.0, blocks Block Elements, Symbols for Legacy Computing and its Supplement.
    """
    if renderer == "halfblock":
        return (" ", "▀", "▄", "█")
    if renderer == "quadrant":
        return tuple(_QUADRANTS)
    if renderer == "sextant":
        others = iter(range(0x1FB00, 0x1FB3C))
        halves = {0: " ", 0b010101: "▌", 0b101010: "▐", 0b111111: "█"}
        return tuple(halves.get(pattern) or chr(next(others)) for pattern in range(64))
    doubled = (0b0101, 0b1010, 0b0101 << 4, 0b1010 << 4)  # the octants that make up each quadrant
    known = {
        sum(doubled[bit] for bit in range(4) if pattern >> bit & 1): character
        for pattern, character in enumerate(_QUADRANTS)
    }
    known |= {pattern: chr(code) for pattern, code in _OCTANTS_ELSEWHERE.items()}
    octants = iter(range(0x1CD00, 0x1CDE6))
    return tuple(known.get(pattern) or chr(next(octants)) for pattern in range(256))


def encode(
    rgb: NDArray[np.uint8],
    *,
    renderer: str = "halfblock",
    letters: Letters | None = None,
    depth: str = "truecolor",
    levels: int = 256,
) -> list[str]:
    """Draw a picture in blocks.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first. Extended at the lower and right edge to whole cells. Left unchanged.
    renderer : str
        One of `BLOCK_RENDERERS`.
    letters : ndarray of str, shape (rows, columns), optional
        Letters to put on cells, which then have the mean of their colours; empty strings leave the cell.
    depth : str
        "truecolor", "256", "16", or "none": a black and white dither without escapes.
    levels : int
        Levels of each channel: fewer make fewer changes of colour. Without effect on half-blocks.

    Returns
    -------
    list of str
        One line per row of cells; with colours each ends by resetting them.
    """
    width, height = PIXELS_PER_CELL_XY[renderer]
    rgb = pad_to_cells(rgb, (width, height))
    if depth == "none":
        patterns = _by_cell(dither(brightness(rgb)), width, height) @ (1 << np.arange(width * height))
        return join_rows(np.array(characters_of(renderer))[patterns], letters)
    pixels = _by_cell(rgb, width, height)  # (row, column, pixel, 3)
    if renderer == "halfblock":
        patterns, bright, dark = np.ones(pixels.shape[:2], np.intp), pixels[:, :, 0], pixels[:, :, 1]
    else:
        patterns, bright, dark = _split(pixels)
        bright, dark = quantise(bright, levels), quantise(dark, levels)
    cells = np.stack([patterns, colour_keys(bright, depth), colour_keys(dark, depth)], axis=-1).tolist()
    if letters is None:
        return [_encode_row(row, renderer, depth) for row in cells]
    means = (pixels.sum(axis=2, dtype=np.uint16) // (width * height)).astype(np.uint8)
    return _lettered_rows(cells, means, letters, renderer, depth)


def _by_cell(picture: NDArray[Value], width: int, height: int) -> NDArray[Value]:
    """Return the pixels of each cell, shape (row, column, pixel, ...), row by row within a cell."""
    rows, columns = picture.shape[0] // height, picture.shape[1] // width
    cells = picture.reshape(rows, height, columns, width, *picture.shape[2:]).swapaxes(1, 2)
    return cells.reshape(rows, columns, height * width, *picture.shape[2:])


def _split(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.uint8], NDArray[np.uint8]]:
    """Split the pixels of each cell into a bright and a dark group: patterns, and the mean colours of the groups."""
    count = pixels.shape[2]
    is_grey = bool((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all())
    values = pixels[..., 0].astype(np.int32)
    if not is_grey:  # colours are split from greys that are as bright
        values = brightness(pixels) + 2 * (pixels.max(axis=-1).astype(np.int32) - pixels.min(axis=-1))
    ascending = np.sort(values, axis=-1)
    sums = ascending.cumsum(axis=-1)
    dark_sums, sizes = sums[..., :-1], np.arange(1, count)
    scores = dark_sums**2 / sizes + (sums[..., -1:] - dark_sums) ** 2 / (count - sizes)  # sum of squares less the error
    cuts = scores.argmax(axis=-1)[..., np.newaxis]
    is_bright = values > np.take_along_axis(ascending, cuts, axis=-1)
    patterns = is_bright @ (1 << np.arange(count))
    channels = pixels[..., :1] if is_grey else pixels
    bright_count = is_bright.sum(axis=-1, keepdims=True)
    bright_total = (channels * is_bright[..., np.newaxis]).sum(axis=2, dtype=np.int32)
    dark_total = channels.sum(axis=2, dtype=np.int32) - bright_total
    groups = ((bright_total, bright_count), (dark_total, count - bright_count))
    bright, dark = (
        np.broadcast_to((total / np.maximum(size, 1) + 0.5).astype(np.uint8), (*patterns.shape, 3))
        for total, size in groups
    )
    return patterns, bright, dark


def _encode_row(cells: list[tuple[int, int, int]], renderer: str, depth: str) -> str:
    """Encode the pattern, bright and dark colour of each cell."""
    characters = characters_of(renderer)
    full = len(characters) - 1
    parts: list[str] = []
    foreground = background = _NO_COLOUR
    for pattern, bright, dark in cells:
        if pattern == 0 or bright == dark:
            if dark == foreground:
                parts.append("█")
                continue
            pattern, bright = 0, foreground  # noqa: PLW2901  # no pixel shows it
        elif bright == background or dark == foreground:
            pattern, bright, dark = full - pattern, dark, bright  # noqa: PLW2901
        if bright != foreground:
            foreground = bright
            parts.append(foreground_escape(foreground, depth))
        if dark != background:
            background = dark
            parts.append(background_escape(background, depth))
        parts.append(characters[pattern])
    return "".join(parts) + RESET


def _lettered_rows(
    cells: list[list[tuple[int, int, int]]], means: NDArray[np.uint8], letters: Letters, renderer: str, depth: str
) -> list[str]:
    """Draw as without letters, then replace the cells of the letters in each row."""
    background_keys = colour_keys(means, depth).tolist()
    white, black = colour_keys(np.array([[[255] * 3, [0] * 3]], dtype=np.uint8), depth)[0].tolist()
    is_dark = are_dark(means, depth)
    rows = []
    for row, row_cells in enumerate(cells):
        parts, start = [], 0
        for column in np.flatnonzero(letters[row] != "").tolist():
            parts.append(_encode_row(row_cells[start:column], renderer, depth))
            letter_key = white if is_dark[row, column] else black
            parts.append(
                foreground_escape(letter_key, depth)
                + background_escape(background_keys[row][column], depth)
                + str(letters[row, column])
            )
            start = column + 1
        rows.append("".join([*parts, _encode_row(row_cells[start:], renderer, depth)]))
    return rows
