import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tomoseg_tui.render import braille
from tomoseg_tui.render.greys import dither

DOTS_YX = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (3, 1)]
"""Position of dots 1 to 8 in a cell."""


def decode(rows: list[str]) -> NDArray[np.bool_]:
    lit = np.zeros((4 * len(rows), 2 * len(rows[0])), dtype=bool)
    for row, line in enumerate(rows):
        for column, character in enumerate(line):
            for bit, (y, x) in enumerate(DOTS_YX):
                lit[4 * row + y, 2 * column + x] = (ord(character) - 0x2800) >> bit & 1
    return lit


def as_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 255])))
def test_dots_give_the_black_and_white_picture(picture: NDArray[np.uint8]) -> None:
    height, width = picture.shape
    assert (decode(braille.encode(as_rgb(picture)))[:height, :width] == (picture == 255)).all()


def test_greys_become_the_dither_of_the_picture(noise: NDArray[np.uint8]) -> None:
    assert (decode(braille.encode(as_rgb(noise))) == dither(noise)).all()


def test_only_braille_and_letters_are_written(noise: NDArray[np.uint8]) -> None:
    letters = np.full((6, 16), "", dtype="<U1")
    letters[2, 4] = "M"
    rows = braille.encode(as_rgb(noise), letters=letters)
    assert rows[2][4] == "M"
    others = {character for row in rows for character in row} - {"M"}
    assert all(0x2800 <= ord(character) < 0x2900 for character in others)
