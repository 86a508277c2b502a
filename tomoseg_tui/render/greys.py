"""Map densities to 8-bit greys by a window, and greys to those of a terminal. Leaves drawing to the encoders."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import UsageError

MIDDLE_GREY = 128
"""Grey of NaN, which counts as the mean."""

XTERM_GREYS: NDArray[np.uint8] = np.array([16, *range(232, 256), 231], dtype=np.uint8)
"""Indices of the 26 greys among xterm's 256 colours, from black to white."""
XTERM_GREY_VALUES: NDArray[np.uint8] = np.array([0, *range(8, 239, 10), 255], dtype=np.uint8)
"""Brightness of each, 0 to 255, from xterm's 256colres.pl."""

_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])
"""Order in which the pixels of a 4 x 4 block light up: Bayer (1973), IEEE Int. Conf. Communications 1, 11-15."""


@dataclass(frozen=True)
class GreyWindow:
    """The densities shown black and white."""

    low: float
    """This density and lower ones are black; in the unit of the densities."""
    high: float
    """This density and higher ones are white; greater than low."""

    def __post_init__(self) -> None:
        if not self.high > self.low:
            raise UsageError(
                f"The grey window is {self.low} to {self.high}.", "Give an upper limit greater than the lower."
            )


def window_from_sample(values: NDArray[np.generic], low_percent: float = 0.5, high_percent: float = 99.5) -> GreyWindow:
    """Return a window that shows most of a sample of densities.

    Parameters
    ----------
    values : ndarray of any real dtype and shape
        A slice or a sample; NaN and infinity are ignored.
    low_percent, high_percent : float
        Percentiles that become black and white, 0 to 100.

    Returns
    -------
    GreyWindow
        Between the percentiles; if these are equal, from the least to the greatest value; if all values are equal,
        around that value; if none is finite, from 0 to 1.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if finite.size == 0:
        return GreyWindow(0.0, 1.0)
    low, high = (float(end) for end in np.percentile(finite, (low_percent, high_percent)))
    if low == high:
        low, high = float(finite.min()), float(finite.max())
    if low == high:
        margin = max(1.0, abs(low) * 1e-6)
        low, high = low - margin, high + margin
    return GreyWindow(low, high)


def to_grey(values: NDArray[np.generic], window: GreyWindow) -> NDArray[np.uint8]:
    """Return densities as greys.

    Parameters
    ----------
    values : ndarray of any real dtype, shape (y, x)
        Densities. Left unchanged.
    window : GreyWindow
        The densities shown black and white.

    Returns
    -------
    ndarray of uint8, shape (y, x)
        0 (black) to 255 (white). NaN becomes 128, infinities black and white.
    """
    with np.errstate(all="ignore"):  # values far outside a narrow window overflow to black or white
        steps = values.astype(np.result_type(values.dtype, np.float32)) - window.low
        steps = steps / (window.high - window.low) * 255
    steps = np.nan_to_num(np.clip(steps, 0, 255), copy=False, nan=MIDDLE_GREY)
    return np.asarray(np.rint(steps), dtype=np.uint8)


def restore_contrast(shrunk: NDArray[np.uint8], original: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Restore the range of greys of an averaged picture, which averaging of noise reduced.

    Parameters
    ----------
    shrunk, original : ndarray of uint8, any shape
        The picture after and before averaging. Left unchanged.

    Returns
    -------
    ndarray of uint8, shape of `shrunk`
        The picture with the 0.5 and 99.5 percentiles of the original. Unchanged if they are equal, or if either
        picture is flat.
    """
    (low, high), (old_low, old_high) = (np.percentile(grey, (0.5, 99.5)).tolist() for grey in (shrunk, original))
    if low >= high or old_low >= old_high or (low, high) == (old_low, old_high):
        return shrunk
    scale = (high - low) / (old_high - old_low)
    black = low - old_low * scale
    return to_grey(shrunk, GreyWindow(black, black + 255 * scale))


def quantise(grey: NDArray[np.uint8], levels: int) -> NDArray[np.uint8]:
    """Round greys to a few levels, so that more neighbours are equal and fewer bytes are sent.

    Parameters
    ----------
    grey : ndarray of uint8, any shape
        0 to 255. Left unchanged.
    levels : int
        Number of levels, 2 to 256; black and white are among them.

    Returns
    -------
    ndarray of uint8, same shape
        The nearest level of each value.
    """
    return np.asarray(grey_levels(levels)[_nearest_level(levels)[grey]], dtype=np.uint8)


def grey_levels(levels: int) -> NDArray[np.uint8]:
    """Return evenly spaced greys from black to white: uint8, shape (levels,)."""
    return np.asarray(np.rint(np.linspace(0, 255, levels)), dtype=np.uint8)


def _nearest_level(levels: int) -> NDArray[np.intp]:
    return np.asarray(np.rint(np.arange(256) * ((levels - 1) / 255)), dtype=np.intp)


def nearest_xterm_greys() -> NDArray[np.uint8]:
    """Return for each grey from 0 to 255 the index of the nearest of xterm's 26: uint8, shape (256,)."""
    distance = np.abs(np.arange(256)[:, np.newaxis] - XTERM_GREY_VALUES.astype(int))  # (256, 26)
    return np.asarray(XTERM_GREYS[distance.argmin(axis=1)], dtype=np.uint8)


def bayer_thresholds(shape_yx: tuple[int, int]) -> NDArray[np.float32]:
    """Return the thresholds of an ordered dither for a picture of this shape.

    Returns
    -------
    ndarray of float32, shape (y, x)
        16 values between 0 and 1, both excluded, in blocks of 4 x 4; the mean of a block is one half.
    """
    repeats = [-(-length // 4) for length in shape_yx]
    thresholds = ((_BAYER + 0.5) / 16).astype(np.float32)
    return np.tile(thresholds, repeats)[: shape_yx[0], : shape_yx[1]]


def dither(grey: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Dither greys to black and white.

    Parameters
    ----------
    grey : ndarray of uint8, shape (y, x)
        0 to 255. Left unchanged.

    Returns
    -------
    ndarray of bool, shape (y, x)
        True is white. The share of white pixels is that of the grey: none for 0, all for 255.
    """
    return np.asarray(grey > bayer_thresholds((grey.shape[0], grey.shape[1])) * 255)
