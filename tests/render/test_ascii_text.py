import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tomoseg_tui.render import ascii_text


@given(arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3))))
def test_a_picture_is_printable_ascii_without_escapes(rgb: NDArray[np.uint8]) -> None:
    rows = ascii_text.encode(rgb)
    assert [len(row) for row in rows] == [rgb.shape[1]] * rgb.shape[0]
    assert all(" " <= character <= "~" for row in rows for character in row)


def test_characters_give_the_greys_to_a_tenth() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    rows = ascii_text.encode(np.repeat(grey[..., np.newaxis], 3, axis=2))
    steps = np.array([[ascii_text.RAMP.index(character) for character in row] for row in rows])
    assert np.abs((steps + 0.5) / len(ascii_text.RAMP) * 256 - grey).max() <= 13


def test_letters_are_in_place_and_distinct_from_the_picture() -> None:
    letters = np.array([["", "M"], ["E", ""]])
    assert ascii_text.encode(np.full((2, 2, 3), 255, dtype=np.uint8), letters=letters) == ["@M", "E@"]
    assert not any(character.isalnum() for character in ascii_text.RAMP)
