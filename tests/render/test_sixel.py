import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tomoseg_tui.render import sixel

TOKEN = re.compile(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|(\$)|(-)")
pictures = arrays(
    np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 20), st.just(3)), elements=st.sampled_from([0, 128, 255])
)


def decode(text: str) -> NDArray[np.float64]:
    """Read a picture in percent, by the manual instead of the encoder; -1 for pixels not drawn."""
    head = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL)
    assert head is not None
    width, height = int(head[1]), int(head[2])
    picture = np.full((height + 6, width, 3), -1.0)
    registers: dict[int, list[int]] = {}
    colour, top, x = [0, 0, 0], 0, 0
    assert TOKEN.sub("", head[3]) == ""
    for register, red, green, blue, count, run, single, back, down in TOKEN.findall(head[3]):
        if red:
            registers[int(register)] = [int(red), int(green), int(blue)]
        elif register:
            colour = registers[int(register)]
        elif back or down:
            x, top = 0, top + 6 * bool(down)
        else:
            length = int(count or 1)
            bits = ord(run or single) - 63
            for bit in range(6):
                if bits >> bit & 1:
                    assert (picture[top + bit, x : x + length] == -1).all()
                    picture[top + bit, x : x + length] = colour
            x += length
            assert x <= width
    assert (picture[height:] == -1).all()
    return picture[:height]


@given(pictures)
def test_a_picture_survives_sixels_to_a_percent(rgb: NDArray[np.uint8]) -> None:
    assert (decode(sixel.encode(rgb)) == np.rint(rgb / 2.55)).all()


@pytest.mark.parametrize("width", [1, 3, 4, 9999, 10_000, 25_000])
def test_runs_of_any_length_are_drawn_completely(width: int) -> None:
    rgb = np.full((7, width, 3), 255, dtype=np.uint8)
    rgb[3, width // 2 :] = 0
    assert (decode(sixel.encode(rgb)) == np.rint(rgb / 2.55)).all()


def test_a_flat_picture_is_a_few_bytes() -> None:
    assert sixel.encode(np.zeros((6, 500, 3), dtype=np.uint8)) == '\x1bP0;1;0q"1;1;500;6#0;2;0;0;0#0!500~\x1b\\'


@pytest.mark.parametrize(("most", "error"), [(256, 13), (27, 26)])
def test_more_colours_than_registers_are_rounded(most: int, error: int) -> None:
    rgb = np.random.default_rng(7).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    text = sixel.encode(rgb, max_colours=most)
    assert len(re.findall(r"#\d+;2;", text)) <= most
    assert np.abs(decode(text) - rgb / 2.55).max() <= error
