import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tomoseg_tui.render import halfblock
from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.render.overlay import blend_labels

RGB = tuple[int, ...]
TOKEN = re.compile(r"\x1b\[([\d;]+)m|(.)")
few_colours = arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)), elements=st.sampled_from([0, 9, 255])
)
any_colours = arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3)))


def switched(codes: list[int], ink: RGB, ground: RGB) -> tuple[RGB, RGB]:
    if codes == [0]:
        return (), ()
    assert codes[1] in {2, 5}
    return (tuple(codes[2:]), ground) if codes[0] == 38 else (ink, tuple(codes[2:]))


def halves(character: str, ink: RGB, ground: RGB) -> tuple[RGB, RGB]:
    return {" ": (ground, ground), "█": (ink, ink), "▀": (ink, ground), "▄": (ground, ink)}.get(
        character, (ground, ground)
    )


def decode(rows: list[str]) -> list[list[RGB]]:
    """Read pixels from escape sequences as a terminal does; each row stands alone."""
    pixels: list[list[RGB]] = []
    for row in rows:
        ink: RGB = ()
        ground: RGB = ()
        cells: list[tuple[RGB, RGB]] = []
        for codes, character in TOKEN.findall(row):
            if codes:
                ink, ground = switched([int(code) for code in codes.split(";")], ink, ground)
            else:
                cells.append(halves(character, ink, ground))
        pixels += [[upper for upper, _ in cells], [lower for _, lower in cells]]
    return pixels


@given(few_colours | any_colours)
def test_a_picture_survives_truecolor(rgb: NDArray[np.uint8]) -> None:
    decoded = np.array(decode(halfblock.encode(rgb)), dtype=np.uint8)
    assert (decoded[: len(rgb)] == rgb).all()


@given(few_colours | any_colours)
def test_an_odd_last_row_is_repeated(rgb: NDArray[np.uint8]) -> None:
    decoded = np.array(decode(halfblock.encode(rgb)), dtype=np.uint8)
    assert len(decoded) == len(rgb) + len(rgb) % 2
    assert (decoded[-1] == rgb[-1]).all()


@given(arrays(np.uint8, (4, 6)))
def test_greys_in_256_colours_are_the_nearest_of_26(grey: NDArray[np.uint8]) -> None:
    rgb = np.repeat(grey[..., np.newaxis], 3, axis=2)
    indices = np.array(decode(halfblock.encode(rgb, depth="256")))[..., 0]
    values = np.where(indices == 16, 0, np.where(indices == 231, 255, 8 + 10 * (indices - 232)))
    assert np.abs(values - grey.astype(int)).max() <= 9


@pytest.mark.parametrize("depth", ["256", "16"])
@given(few_colours)
def test_rows_have_the_width_of_the_picture_at_every_depth(depth: str, rgb: NDArray[np.uint8]) -> None:
    for row in halfblock.encode(rgb, depth=depth):
        assert len(re.sub(r"\x1b\[[\d;]+m", "", row)) == rgb.shape[1]


def test_equal_neighbours_cost_one_character_each() -> None:
    rgb = np.full((2, 50, 3), 77, dtype=np.uint8)
    assert halfblock.encode(rgb) == ["\x1b[48;2;77;77;77m" + " " * 50 + "\x1b[0m"]


def test_without_colours_black_and_white_are_drawn_without_escapes() -> None:
    rgb = np.zeros((4, 2, 3), dtype=np.uint8)
    rgb[0, 0] = rgb[3, 0] = rgb[2, 1] = rgb[3, 1] = 255
    assert halfblock.encode(rgb, depth="none") == ["▀ ", "▄█"]


@pytest.mark.parametrize("depth", ["truecolor", "256", "16", "none"])
def test_letters_are_drawn_at_their_cells(depth: str, noise: NDArray[np.uint8]) -> None:
    rgb = np.repeat(noise[..., np.newaxis], 3, axis=2)
    letters = np.full((12, 32), "", dtype="<U1")
    letters[3, 0] = letters[3, 31] = "M"
    rows = [re.sub(r"\x1b\[[\d;]+m", "", row) for row in halfblock.encode(rgb, letters=letters, depth=depth)]
    assert [row.count("M") for row in rows] == [0] * 3 + [2] + [0] * 8
    assert (rows[3][0], rows[3][31]) == ("M", "M")


def test_a_letter_changes_no_other_cell(noise: NDArray[np.uint8]) -> None:
    rgb = np.repeat(noise[..., np.newaxis], 3, axis=2)
    letters = np.full((12, 32), "", dtype="<U1")
    letters[5, 7] = "M"
    decoded = np.array(decode(halfblock.encode(rgb, letters=letters)))
    elsewhere = np.ones((24, 32), dtype=bool)
    elsewhere[10:12, 7] = False
    assert (decoded[elsewhere] == rgb[elsewhere]).all()
    assert (decoded[10, 7] == (rgb[10, 7].astype(int) + rgb[11, 7]) // 2).all()


@pytest.mark.parametrize(("grey", "ink"), [(20, "255;255;255"), (230, "0;0;0")])
def test_a_letter_contrasts_with_its_background(grey: int, ink: str) -> None:
    rgb = np.full((2, 1, 3), grey, dtype=np.uint8)
    assert f"\x1b[38;2;{ink}m" in halfblock.encode(rgb, letters=np.array([["M"]]))[0]


@pytest.mark.parametrize(("label", "index"), [(1, 43), (2, 44), (3, 46), (4, 41)])
def test_the_first_label_colours_are_distinct_in_16_colours(label: int, index: int) -> None:
    palette = make_palette({1: "microtubule", 2: "membrane", 3: "ribosome", 4: "actin"})
    grey = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    rgb = blend_labels(grey, np.full_like(grey, label), palette)
    assert halfblock.encode(rgb, depth="16") == [f"\x1b[{index}m" + " " * 256 + "\x1b[0m"]
