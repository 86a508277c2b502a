"""A picture as sixels: bands of six rows, one pass a colour, at most 256 colours.

The format is that of the VT330/VT340 Programmer Reference Manual, volume 2, chapter 14. All runs of a
picture are written at once, as a matrix of bytes with one run a row, from which the unused bytes are dropped.
"""

import numpy as np
from numpy.typing import NDArray

BAND = 6
"""Rows of pixels that one pass draws."""
MOST_COLOURS = 256
"""Colour registers that terminals commonly have."""

_COARSER_STEPS = (1, 2, 4, 5, 10, 20, 25, 50)
"""Steps, in percent, to which channels are rounded until the colours suffice; 50 leaves 27."""
_REGISTER_BYTES = 5
"""Room for what precedes the runs of one colour: ``-`` or ``$``, ``#``, three digits."""
_RUN_BYTES = 6
"""Room for one run: ``!``, four digits and the sixel, or up to three sixels as they are."""
_LONGEST_RUN = 9999


def encode(rgb: NDArray[np.uint8], *, most_colours: int = MOST_COLOURS) -> str:
    """Write a picture as one sixel string.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first, square pixels. Left unchanged.
    most_colours : int
        Colour registers that may be used, 27 to 256. Sixel channels have 101 steps; they are made coarser
        until the colours suffice.

    Returns
    -------
    str
        From the introducer ESC P to the terminator ESC and backslash; ASCII.
    """
    height, width = rgb.shape[:2]
    registers, indices = _choose_registers(rgb, most_colours)
    colours = "".join(f"#{n};2;{r};{g};{b}" for n, (r, g, b) in enumerate(registers.tolist()))
    body = _write_runs(_sixels(indices, len(registers)))
    return f'\x1bP0;1;0q"1;1;{width};{height}{colours}{body}\x1b\\'


def _choose_registers(rgb: NDArray[np.uint8], most_colours: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return the colours in percent, shape (n, 3), and the register of each pixel, shape (y, x)."""
    percent = np.rint(np.arange(256) / 2.55)
    for step in _COARSER_STEPS:
        coarse = (np.rint(percent / step) * step).astype(np.int64)[rgb]
        keys = (coarse[..., 0] * 101 + coarse[..., 1]) * 101 + coarse[..., 2]
        used = np.bincount(keys.ravel(), minlength=101**3) > 0
        if used.sum() <= most_colours:
            break
    register_of_key = np.cumsum(used) - 1
    registers = np.flatnonzero(used)
    return np.stack([registers // 101**2, registers // 101 % 101, registers % 101], axis=1), register_of_key[keys]


def _sixels(indices: NDArray[np.intp], count: int) -> NDArray[np.uint8]:
    """Set the bit of each pixel in its band, colour and column: uint8, shape (band, colour, x)."""
    height, width = indices.shape
    bands = -(-height // BAND)
    sixels = np.zeros((bands, count, width), dtype=np.uint8)
    columns = np.arange(width)
    for bit in range(BAND):
        rows = indices[bit::BAND]
        sixels[np.arange(len(rows))[:, np.newaxis], rows, columns] |= np.uint8(1 << bit)
    return sixels


def _write_runs(sixels: NDArray[np.uint8]) -> str:
    band, colour = np.nonzero(sixels.any(axis=2))
    passes = sixels[band, colour]  # (pass, x)
    pass_of_run, column, lengths = _find_runs(passes)
    values = passes[pass_of_run, column]
    drawn = (values > 0) | (column + lengths < passes.shape[1])  # a pass may end before the picture does
    written = np.zeros((len(values), _REGISTER_BYTES + _RUN_BYTES), dtype=np.uint8)
    written[column == 0, :_REGISTER_BYTES] = _selections(band, colour)
    written[0, 0] = 0  # the first pass need not go back
    written[drawn, _REGISTER_BYTES:] = _runs(values[drawn] + ord("?"), lengths[drawn])
    return written[written > 0].tobytes().decode("ascii")


def _find_runs(passes: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the pass, the first column and the length of every run of equal sixels."""
    width = passes.shape[1]
    starts = np.ones(passes.shape, dtype=bool)
    starts[:, 1:] = passes[:, 1:] != passes[:, :-1]
    starts[:, ::_LONGEST_RUN] = True
    positions = np.flatnonzero(starts)
    return positions // width, positions % width, np.diff(positions, append=starts.size)


def _selections(band: NDArray[np.intp], colour: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Write what precedes each pass: return to the left of the same band or the next, choose the register."""
    down = np.diff(band, prepend=0) > 0
    written = np.empty((len(band), _REGISTER_BYTES), dtype=np.uint8)
    written[:, 0] = np.where(down, ord("-"), ord("$"))
    written[:, 1] = ord("#")
    written[:, 2:] = _digits(colour, 3)
    return written


def _runs(sixels: NDArray[np.uint8], lengths: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Write each run, with a repeat count where that is shorter."""
    written = np.zeros((len(sixels), _RUN_BYTES), dtype=np.uint8)
    counted = lengths > 3
    written[counted, 0] = ord("!")
    written[counted, 1:5] = _digits(lengths[counted], 4)
    written[:, 5] = sixels
    for place in (1, 2):
        repeated = ~counted & (lengths > place)
        written[repeated, 5 - place] = sixels[repeated]
    return written


def _digits(numbers: NDArray[np.intp], places: int) -> NDArray[np.uint8]:
    """Write numbers in ASCII, 0 in place of leading zeros, which is left out later."""
    powers = 10 ** np.arange(places - 1, -1, -1)
    digits = numbers[:, np.newaxis] // powers % 10 + ord("0")
    leading = (numbers[:, np.newaxis] < powers) & (powers > 1)
    return np.where(leading, 0, digits).astype(np.uint8)
