"""Layers survive being encoded for other tools."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tomoseg_tui.core.mask_decoding import COLOUR_OFFSET
from tomoseg_tui.core.mask_encoding import (
    CODES,
    PALETTE,
    are_layer_codes,
    decode_colours,
    decode_layer,
    decode_runs,
    encode_layer,
    encode_runs,
)

LAYERS = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))


@given(LAYERS)
def test_a_labelled_layer_survives(layer: NDArray[np.uint8]) -> None:
    codes = encode_layer(layer)
    assert are_layer_codes(codes)
    if layer.any():
        np.testing.assert_array_equal(decode_layer(codes), layer)
    else:
        assert not codes.any()


def test_each_code_has_its_meaning() -> None:
    layer = np.array([[1, 2, 3, 0]], np.uint8)
    assert encode_layer(layer).tolist() == [list(CODES.values())]


@given(LAYERS)
def test_codes_survive_as_colours(layer: NDArray[np.uint8]) -> None:
    codes = encode_layer(layer)
    red, green, blue = np.moveaxis(np.array(PALETTE, np.int64)[codes], -1, 0)
    rgb = (red << 16) + (green << 8) + blue
    np.testing.assert_array_equal(decode_colours(np.where(codes > 0, COLOUR_OFFSET + rgb, 0)), codes)


def test_other_colours_are_left_unchanged() -> None:
    values = np.array([[0, COLOUR_OFFSET + 1]])
    assert decode_colours(values) is values


@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_runs_give_the_pixels_of_a_mask(mask: NDArray[np.bool_]) -> None:
    np.testing.assert_array_equal(decode_runs(encode_runs(mask), mask.shape), mask)
