"""Draw a picture as sixels: bands of six rows, one pass per colour, at most 256 colours.

The format is that of the VT330/VT340 Programmer Reference Manual, volume 2, chapter 14. All runs of a picture are
written at once, as a byte matrix with one run per row, from which unused bytes are dropped.
"""

import numpy as np
from numpy.typing import NDArray

BAND = 6
"""Rows of pixels per band."""
MAX_COLOURS = 256
"""Colour registers of common terminals."""

_COARSER_STEPS = (1, 2, 4, 5, 10, 20, 25, 50)
"""Steps in percent to which channels are rounded until the colours suffice; 50 leaves 27 colours."""
_REGISTER_BYTES = 5
"""Bytes before the runs of one colour: ``-`` or ``$``, ``#``, three digits."""
_RUN_BYTES = 6
"""Bytes of one run: ``!``, four digits and the sixel, or up to three sixels."""
_LONGEST_RUN = 9999


def encode(rgb: NDArray[np.uint8], *, max_colours: int = MAX_COLOURS) -> str:
    """Return a picture as one sixel string.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first, square pixels. Left unchanged.
    max_colours : int
        Colour registers available, 27 to 256. Sixel channels have 101 steps; colours are rounded to coarser steps
        until the registers suffice.

    Returns
    -------
    str
        From the introducer ESC P to the terminator ESC and backslash; ASCII.
    """
    height, width = rgb.shape[:2]
    registers, indices = _choose_registers(rgb, max_colours)
    colours = "".join(
        f"#{number};2;{red};{green};{blue}" for number, (red, green, blue) in enumerate(registers.tolist())
    )
    body = _write_runs(_sixels(indices, len(registers)))
    return f'\x1bP0;1;0q"1;1;{width};{height}{colours}{body}\x1b\\'


def _choose_registers(rgb: NDArray[np.uint8], max_colours: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return the colours in percent, shape (n, 3), and the register of each pixel, shape (y, x)."""
    percent = np.rint(np.arange(256) / 2.55)
    for step in _COARSER_STEPS:
        coarse = (np.rint(percent / step) * step).astype(np.int64)[rgb]
        keys = (coarse[..., 0] * 101 + coarse[..., 1]) * 101 + coarse[..., 2]
        used = np.bincount(keys.ravel(), minlength=101**3) > 0
        if used.sum() <= max_colours:
            break
    register_of_key = np.cumsum(used) - 1
    registers = np.flatnonzero(used)
    return np.stack([registers // 101**2, registers // 101 % 101, registers % 101], axis=1), register_of_key[keys]


def _sixels(indices: NDArray[np.intp], count: int) -> NDArray[np.uint8]:
    """Return the bits of each band, colour and column: uint8, shape (band, colour, x)."""
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
    is_drawn = (values > 0) | (column + lengths < passes.shape[1])  # empty sixels at the end of a pass are left out
    output = np.zeros((len(values), _REGISTER_BYTES + _RUN_BYTES), dtype=np.uint8)
    output[column == 0, :_REGISTER_BYTES] = _write_registers(band, colour)
    output[0, 0] = 0  # no return before the first pass
    output[is_drawn, _REGISTER_BYTES:] = _encode_runs(values[is_drawn] + ord("?"), lengths[is_drawn])
    return output[output > 0].tobytes().decode("ascii")


def _find_runs(passes: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return pass, first column and length of every run of equal sixels."""
    width = passes.shape[1]
    starts = np.ones(passes.shape, dtype=bool)
    starts[:, 1:] = passes[:, 1:] != passes[:, :-1]
    starts[:, ::_LONGEST_RUN] = True
    positions = np.flatnonzero(starts)
    return positions // width, positions % width, np.diff(positions, append=starts.size)


def _write_registers(band: NDArray[np.intp], colour: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return the bytes before each pass: return to the left of the same or the next band, select the register."""
    is_new_band = np.diff(band, prepend=0) > 0
    output = np.empty((len(band), _REGISTER_BYTES), dtype=np.uint8)
    output[:, 0] = np.where(is_new_band, ord("-"), ord("$"))
    output[:, 1] = ord("#")
    output[:, 2:] = _digits(colour, 3)
    return output


def _encode_runs(sixels: NDArray[np.uint8], lengths: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Return the bytes of each run, with a repeat count if that is shorter."""
    output = np.zeros((len(sixels), _RUN_BYTES), dtype=np.uint8)
    has_count = lengths > 3
    output[has_count, 0] = ord("!")
    output[has_count, 1:5] = _digits(lengths[has_count], 4)
    output[:, 5] = sixels
    for offset in (1, 2):
        is_repeated = ~has_count & (lengths > offset)
        output[is_repeated, 5 - offset] = sixels[is_repeated]
    return output


def _digits(numbers: NDArray[np.intp], digit_count: int) -> NDArray[np.uint8]:
    """Return numbers as ASCII digits, with 0 bytes for leading zeros, which are dropped later."""
    powers = 10 ** np.arange(digit_count - 1, -1, -1)
    digits = numbers[:, np.newaxis] // powers % 10 + ord("0")
    is_leading = (numbers[:, np.newaxis] < powers) & (powers > 1)
    return np.where(is_leading, 0, digits).astype(np.uint8)
