"""The colours of a terminal nearest to given ones, and the escape sequences for them.

A colour is stored as a number, its key: 0xRRGGBB in truecolor, else xterm's index.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render.cells import brightness
from tomoseg_tui.render.greys import bayer_thresholds, nearest_xterm_greys

COLOUR_DEPTHS = ("truecolor", "256", "16", "none")
"""From all colours to none."""
RESET = "\x1b[0m"

_CUBE_STEPS = np.array([0, 95, 135, 175, 215, 255])
"""Levels of each channel in xterm's 6 x 6 x 6 colours, indices 16 to 231 (256colres.pl)."""
_ANSI_GREYS = ((0, 0), (8, 127), (7, 229), (15, 255))
"""Index and brightness of the greys among the first 16 colours, XTerm-col.ad."""
_DARK_ANSI = (0, 1, 4, 5, 8)
"""Indices among the first 16 colours on which white letters are more legible than black ones."""
_HUE_SHARE = 0.66
"""In 16 colours a channel is on from this share of the strongest one, both less the weakest. It keeps the first four
label colours distinct: yellow, blue, cyan, red."""
_DITHER_REACH = 84
"""Twice the largest change of a grey by dithering: about the mean step between the four greys."""


def colour_keys(rgb: NDArray[np.uint8], depth: str) -> NDArray[np.int32]:
    """Return the colours of a terminal that are nearest to those of a picture.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        Left unchanged.
    depth : str
        "truecolor", "256" or "16".

    Returns
    -------
    ndarray of int32, shape (y, x)
        Keys for `foreground_escape` and `background_escape`. Greys stay grey: in 256 colours one of xterm's 26, in
        16 colours dithered between four. In 16 colours other pixels get a hue.
    """
    if depth == "truecolor":
        channels = rgb.astype(np.int32)
        return np.asarray(channels[..., 0] << 16 | channels[..., 1] << 8 | channels[..., 2])
    if depth == "256":
        return _xterm_keys(rgb)
    return _ansi_keys(rgb)


def are_dark(rgb: NDArray[np.uint8], depth: str) -> NDArray[np.bool_]:
    """Return where the colours (y, x) shown at a depth make white letters more legible than black ones."""
    if depth == "16":
        return np.isin(_ansi_keys(rgb), _DARK_ANSI)
    return np.asarray(brightness(rgb) < 128)


def _is_grey(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((rgb[..., 0] == rgb[..., 1]) & (rgb[..., 1] == rgb[..., 2]))


def _xterm_keys(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    steps = _nearest_cube_step()[rgb]  # (y, x, 3)
    cube = 16 + 36 * steps[..., 0] + 6 * steps[..., 1] + steps[..., 2]
    return np.where(_is_grey(rgb), _xterm_grey_table()[rgb[..., 0]], cube)


def _ansi_keys(rgb: NDArray[np.uint8]) -> NDArray[np.int32]:
    offsets = (bayer_thresholds((rgb.shape[0], rgb.shape[1])) - 0.5) * _DITHER_REACH
    dithered = np.clip(rgb[..., 0] + offsets, 0, 255).astype(np.uint8)
    excess = rgb - rgb.min(axis=-1, keepdims=True)  # the colour without its grey part
    is_lit = excess > excess.max(axis=-1, keepdims=True) * _HUE_SHARE
    hues = is_lit[..., 0] * 1 + is_lit[..., 1] * 2 + is_lit[..., 2] * 4
    return np.where(_is_grey(rgb), _ansi_grey_table()[dithered], hues).astype(np.int32)


@lru_cache(maxsize=1)
def _nearest_cube_step() -> NDArray[np.int32]:
    distance = np.abs(np.arange(256)[:, np.newaxis] - _CUBE_STEPS)  # (256, 6)
    return np.asarray(distance.argmin(axis=1), dtype=np.int32)


@lru_cache(maxsize=1)
def _xterm_grey_table() -> NDArray[np.int32]:
    return nearest_xterm_greys().astype(np.int32)


@lru_cache(maxsize=1)
def _ansi_grey_table() -> NDArray[np.int32]:
    keys, values = np.array(_ANSI_GREYS, dtype=np.int32).T
    return np.asarray(keys[np.abs(np.arange(256)[:, np.newaxis] - values).argmin(axis=1)], dtype=np.int32)


@lru_cache(maxsize=65536)
def foreground_escape(key: int, depth: str) -> str:
    """Return the escape sequence for the foreground colour with this key, made for this depth."""
    if depth == "truecolor":
        return f"\x1b[38;2;{key >> 16};{key >> 8 & 255};{key & 255}m"
    if depth == "256":
        return f"\x1b[38;5;{key}m"
    return f"\x1b[{30 + key if key < 8 else 82 + key}m"


@lru_cache(maxsize=65536)
def background_escape(key: int, depth: str) -> str:
    """Return the escape sequence for the background colour with this key, made for this depth."""
    if depth == "truecolor":
        return f"\x1b[48;2;{key >> 16};{key >> 8 & 255};{key & 255}m"
    if depth == "256":
        return f"\x1b[48;5;{key}m"
    return f"\x1b[{40 + key if key < 8 else 92 + key}m"
