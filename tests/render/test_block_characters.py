import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.render import blocks
from tomoseg_tui.render.cells import PIXELS_PER_CELL_XY
from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.render.greys import to_grey, window_from_sample
from tomoseg_tui.render.overlay import blend_labels
from tomoseg_tui.render.viewport import Viewport

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
    decoded = np.array(decode(blocks.encode(rgb)), dtype=np.uint8)
    assert (decoded[: len(rgb)] == rgb).all()


@given(few_colours | any_colours)
def test_an_odd_last_row_is_repeated(rgb: NDArray[np.uint8]) -> None:
    decoded = np.array(decode(blocks.encode(rgb)), dtype=np.uint8)
    assert len(decoded) == len(rgb) + len(rgb) % 2
    assert (decoded[-1] == rgb[-1]).all()


@given(arrays(np.uint8, (4, 6)))
def test_greys_in_256_colours_are_the_nearest_of_26(grey: NDArray[np.uint8]) -> None:
    rgb = np.repeat(grey[..., np.newaxis], 3, axis=2)
    indices = np.array(decode(blocks.encode(rgb, depth="256")))[..., 0]
    values = np.where(indices == 16, 0, np.where(indices == 231, 255, 8 + 10 * (indices - 232)))
    assert np.abs(values - grey.astype(int)).max() <= 9


@pytest.mark.parametrize("depth", ["256", "16"])
@given(few_colours)
def test_rows_have_the_width_of_the_picture_at_every_depth(depth: str, rgb: NDArray[np.uint8]) -> None:
    for row in blocks.encode(rgb, depth=depth):
        assert len(re.sub(r"\x1b\[[\d;]+m", "", row)) == rgb.shape[1]


def test_equal_neighbours_cost_one_character_each() -> None:
    rgb = np.full((2, 50, 3), 77, dtype=np.uint8)
    assert blocks.encode(rgb) == ["\x1b[48;2;77;77;77m" + " " * 50 + "\x1b[0m"]


def test_without_colours_black_and_white_are_drawn_without_escapes() -> None:
    rgb = np.zeros((4, 2, 3), dtype=np.uint8)
    rgb[0, 0] = rgb[3, 0] = rgb[2, 1] = rgb[3, 1] = 255
    assert blocks.encode(rgb, depth="none") == ["▀ ", "▄█"]


@pytest.mark.parametrize("depth", ["truecolor", "256", "16", "none"])
def test_letters_are_drawn_at_their_cells(depth: str, noise: NDArray[np.uint8]) -> None:
    rgb = np.repeat(noise[..., np.newaxis], 3, axis=2)
    letters = np.full((12, 32), "", dtype="<U1")
    letters[3, 0] = letters[3, 31] = "M"
    rows = [re.sub(r"\x1b\[[\d;]+m", "", row) for row in blocks.encode(rgb, letters=letters, depth=depth)]
    assert [row.count("M") for row in rows] == [0] * 3 + [2] + [0] * 8
    assert (rows[3][0], rows[3][31]) == ("M", "M")


def test_a_letter_changes_no_other_cell(noise: NDArray[np.uint8]) -> None:
    rgb = np.repeat(noise[..., np.newaxis], 3, axis=2)
    letters = np.full((12, 32), "", dtype="<U1")
    letters[5, 7] = "M"
    decoded = np.array(decode(blocks.encode(rgb, letters=letters)))
    elsewhere = np.ones((24, 32), dtype=bool)
    elsewhere[10:12, 7] = False
    assert (decoded[elsewhere] == rgb[elsewhere]).all()
    assert (decoded[10, 7] == (rgb[10, 7].astype(int) + rgb[11, 7]) // 2).all()


@pytest.mark.parametrize(("grey", "ink"), [(20, "255;255;255"), (230, "0;0;0")])
def test_a_letter_contrasts_with_its_background(grey: int, ink: str) -> None:
    rgb = np.full((2, 1, 3), grey, dtype=np.uint8)
    assert f"\x1b[38;2;{ink}m" in blocks.encode(rgb, letters=np.array([["M"]]))[0]


@pytest.mark.parametrize(("label", "index"), [(1, 43), (2, 44), (3, 46), (4, 41)])
def test_the_first_label_colours_are_distinct_in_16_colours(label: int, index: int) -> None:
    palette = make_palette({1: "microtubule", 2: "membrane", 3: "ribosome", 4: "actin"})
    grey = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    rgb = blend_labels(grey, np.full_like(grey, label), palette)
    assert blocks.encode(rgb, depth="16") == [f"\x1b[{index}m" + " " * 256 + "\x1b[0m"]


# Finer blocks

FINE = ("quadrant", "sextant", "octant")


def seen(rows: list[str], renderer: str) -> NDArray[np.uint8]:
    """Return the pixels of rows in truecolor as a terminal draws them: red, green and blue of shape (y, x, 3)."""
    width, height = PIXELS_PER_CELL_XY[renderer]
    patterns = {character: pattern for pattern, character in enumerate(blocks.characters_of(renderer))}
    pixels = []
    for row in rows:
        ink: RGB = ()
        ground: RGB = ()
        cells = []
        for codes, character in TOKEN.findall(row):
            if codes:
                ink, ground = switched([int(code) for code in codes.split(";")], ink, ground)
            else:
                pattern = patterns[character]
                cell = [ink if pattern >> bit & 1 else ground for bit in range(width * height)]
                cells.append(np.array(cell).reshape(height, width, 3))
        pixels.append(np.concatenate(cells, axis=1))
    return np.concatenate(pixels).astype(np.uint8)


def grey_to_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def test_sextants_have_the_pixels_of_their_names() -> None:
    for pattern, character in enumerate(blocks.characters_of("sextant")):
        name = unicodedata.name(character)
        if name.startswith("BLOCK SEXTANT-"):
            assert sum(1 << (int(digit) - 1) for digit in name.removeprefix("BLOCK SEXTANT-")) == pattern


@pytest.mark.parametrize(
    ("pixels", "code"),
    [("3", 0x1CD00), ("23", 0x1CD01), ("14", 0x1CD04), ("5", 0x1CD09), ("2345678", 0x1CDE5),
     ("1", 0x1CEA8), ("8", 0x1CEA0), ("35", 0x1FBE6), ("12", 0x1FB82), ("78", 0x2582), ("345678", 0x2586),
     ("1234", 0x2580), ("1357", 0x258C), ("13", 0x2598)],
)  # fmt: skip
def test_octants_are_those_of_unicode_16(pixels: str, code: int) -> None:
    characters = blocks.characters_of("octant")
    assert len(set(characters)) == 256
    assert ord(characters[sum(1 << (int(pixel) - 1) for pixel in pixels)]) == code


@pytest.mark.parametrize("renderer", FINE)
@given(data=st.data())
def test_a_cell_has_the_two_greys_with_the_least_error(renderer: str, data: st.DataObject) -> None:
    width, height = PIXELS_PER_CELL_XY[renderer]
    grey = data.draw(arrays(np.uint8, (height, width)))
    drawn = seen(blocks.encode(grey_to_rgb(grey), renderer=renderer), renderer)[..., 0]
    values = np.sort(grey.ravel()).astype(float)
    errors = [
        sum(part.var() * part.size for part in np.split(values, [cut]) if part.size) for cut in range(values.size)
    ]
    assert ((drawn - grey.astype(float)) ** 2).sum() <= min(errors) + 0.26 * values.size  # means are whole numbers


@pytest.mark.parametrize("renderer", FINE)
@given(rgb=few_colours)
def test_two_colours_in_a_cell_survive(renderer: str, rgb: NDArray[np.uint8]) -> None:
    width, height = PIXELS_PER_CELL_XY[renderer]
    orange, grey = np.array([230, 159, 0], np.uint8), np.array([166, 166, 166], np.uint8)  # of the same brightness
    picture = np.where(rgb[..., :1] > 0, orange, grey)
    drawn = seen(blocks.encode(picture, renderer=renderer), renderer)
    assert (drawn[: rgb.shape[0], : rgb.shape[1]] == picture).all()
    assert (drawn.shape[0] % height, drawn.shape[1] % width) == (0, 0)


@pytest.mark.parametrize("renderer", FINE)
def test_without_colours_finer_blocks_have_no_escapes(renderer: str) -> None:
    white = np.full((12, 8, 3), 255, np.uint8)
    white[:, :4] = 0
    for row in blocks.encode(white, renderer=renderer, depth="none"):
        columns = 4 // PIXELS_PER_CELL_XY[renderer][0]
        assert row == " " * columns + "█" * columns


@pytest.mark.parametrize(
    ("renderer", "least"), [("halfblock", 0.35), ("quadrant", 0.43), ("sextant", 0.48), ("octant", 0.51)]
)
def test_finer_blocks_show_more_of_a_slice(renderer: str, least: float, sample_data: Path) -> None:
    """At 18 rows, slice 24 of cell_b, the mean of 5 slices, compared with the slice smoothed by 0.8 pixels."""
    with open_volume(sample_data / "cell_b.mrc") as volume:
        slab = volume.read_region((22, 0, 0), (5, *volume.grid.shape_zyx[1:])).mean(axis=0, dtype=np.float32)
    grey = to_grey(slab, window_from_sample(slab))
    raster = Viewport.fit(slab.shape, (36, 18), PIXELS_PER_CELL_XY[renderer]).raster(grey)
    shown = seen(blocks.encode(grey_to_rgb(raster), renderer=renderer, levels=64), renderer)[..., 0].astype(float)
    factors = [full / drawn for full, drawn in zip(slab.shape, shown.shape, strict=True)]
    enlarged = zoom(shown, factors, order=0, mode="nearest", grid_mode=True)
    assert np.corrcoef(enlarged.ravel(), gaussian_filter(slab, 0.8)[::-1].ravel())[0, 1] > least
