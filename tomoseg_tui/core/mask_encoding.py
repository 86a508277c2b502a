"""Encode layers as numbers for other tools, and decode them. The background is 0, so that painting starts on black.

::

    0  not the feature        1  the feature        2  ignore        3  not looked at

A layer without any label is written as all 0, an empty mask. EMAN2 knows 0 and 1 only; pixels of the
other codes are stored separately, as runs.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED, Layer
from tomoseg_tui.core.mask_decoding import COLOUR_OFFSET

CODES: Mapping[str, int] = MappingProxyType({"not feature": 0, "feature": 1, "ignore": 2, "not looked at": 3})
"""The number of each meaning; the keys are written to manifests."""
PALETTE = ((0, 0, 0), (230, 159, 0), (86, 180, 233), (204, 121, 167))
"""Red, green, blue of each code for formats with colours (Okabe and Ito's palette); only black is grey."""

_CODE_OF_LAYER = np.zeros(4, np.uint8)
_CODE_OF_LAYER[[NOT_FEATURE, FEATURE, IGNORED, UNLABELLED]] = [0, 1, 2, 3]
_LAYER_OF_CODE = np.argsort(_CODE_OF_LAYER).astype(np.uint8)

Codes = NDArray[np.uint8]
"""Shape (y, x) or (n, y, x), values of `CODES`."""


def encode_layer(layer: Layer) -> Codes:
    """Return the codes of a layer; all 0 for a layer without any label."""
    if not layer.any():
        return np.zeros(layer.shape, np.uint8)
    return np.asarray(_CODE_OF_LAYER[layer], np.uint8)


def decode_layer(codes: Codes) -> Layer:
    """Return the layer that codes stand for."""
    return np.asarray(_LAYER_OF_CODE[codes], np.uint8)


def are_layer_codes(values: NDArray[np.generic]) -> bool:
    """Return whether an array holds only values of `CODES`."""
    return bool(np.isin(values, list(CODES.values())).all())


def decode_colours(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the codes of an array of palette colours; return an array with other colours unchanged."""
    colours = [0, *(COLOUR_OFFSET + (red << 16) + (green << 8) + blue for red, green, blue in PALETTE[1:])]
    if values.dtype.kind not in "iu" or not np.isin(values, colours).all():
        return values
    return np.asarray(sum(code * (values == colour) for code, colour in enumerate(colours)), np.uint8)


def encode_runs(mask: NDArray[np.bool_]) -> str:
    """Return the True pixels of a mask as text, row by row: ``12+3 70+2`` is 3 pixels from index 12, 2 from index 70.

    Examples
    --------
    >>> encode_runs(np.array([[False, True], [True, False]]))
    '1+2'
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask.ravel(), [False]]).astype(np.int8)))
    return " ".join(f"{start}+{stop - start}" for start, stop in edges.reshape(-1, 2).tolist())


def decode_runs(text: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask that `encode_runs` wrote; raise ValueError for text of another form."""
    mask = np.zeros(int(np.prod(shape)), np.bool_)
    for run in text.split():
        start, length = (int(number) for number in run.split("+"))
        mask[start : start + length] = True
    return mask.reshape(shape)
