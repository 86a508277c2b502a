"""How a layer is written for other tools, and read again: a background that is 0, so that painting starts on black.

::

    0  not the feature        1  the feature        2  ignore        3  not looked at

A layer that nobody has begun is written as all 0, an empty canvas. EMAN2 knows 0 and 1 only; what numbers
cannot say goes along as runs.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED, Layer
from tomoseg_tui.core.mask_decoding import COLOUR_OFFSET

CODES: Mapping[str, int] = MappingProxyType({"not feature": 0, "feature": 1, "ignore": 2, "not looked at": 3})
"""What each number means, in words."""
PALETTE = ((0, 0, 0), (230, 159, 0), (86, 180, 233), (204, 121, 167))
"""Red, green, blue of each code where a format has colours (Okabe and Ito's); none but black is grey."""

_CODE_OF_LAYER = np.zeros(4, np.uint8)
_CODE_OF_LAYER[[NOT_FEATURE, FEATURE, IGNORED, UNLABELLED]] = [0, 1, 2, 3]
_LAYER_OF_CODE = np.argsort(_CODE_OF_LAYER).astype(np.uint8)

Codes = NDArray[np.uint8]
"""Shape (y, x) or (n, y, x), values of `CODES`."""


def encode_layer(layer: Layer) -> Codes:
    """Return a layer as it is written; one that is nowhere looked at is an empty canvas."""
    if not layer.any():
        return np.zeros(layer.shape, np.uint8)
    return np.asarray(_CODE_OF_LAYER[layer], np.uint8)


def decode_layer(codes: Codes) -> Layer:
    """Return the layer that codes say."""
    return np.asarray(_LAYER_OF_CODE[codes], np.uint8)


def are_layer_codes(values: NDArray[np.generic]) -> bool:
    """Tell whether an array holds nothing but codes."""
    return bool(np.isin(values, list(CODES.values())).all())


def decode_colours(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Turn colours of the palette back into codes, where there are no other colours."""
    colours = [0, *(COLOUR_OFFSET + (red << 16) + (green << 8) + blue for red, green, blue in PALETTE[1:])]
    if values.dtype.kind not in "iu" or not np.isin(values, colours).all():
        return values
    return np.asarray(sum(code * (values == colour) for code, colour in enumerate(colours)), np.uint8)


def encode_runs(mask: NDArray[np.bool_]) -> str:
    """Write where a mask is True, row by row: ``12+3 70+2`` are 3 pixels from the 12th on and 2 from the 70th on.

    Examples
    --------
    >>> runs_of(np.array([[False, True], [True, False]]))
    '1+2'
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask.ravel(), [False]]).astype(np.int8)))
    return " ".join(f"{start}+{stop - start}" for start, stop in edges.reshape(-1, 2).tolist())


def decode_runs(text: str, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Read what `encode_runs` wrote; a text of another form is a ValueError."""
    mask = np.zeros(int(np.prod(shape)), np.bool_)
    for run in text.split():
        start, length = (int(number) for number in run.split("+"))
        mask[start : start + length] = True
    return mask.reshape(shape)
