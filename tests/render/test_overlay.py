import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError
from tomoseg_tui.render.colours import Palette, legend, make_palette
from tomoseg_tui.render.overlay import blend_labels, image_grid, letter_cells, outlines


def test_a_feature_gets_the_first_free_letter_of_its_name() -> None:
    names = {1: "microtubule", 2: "membrane", 3: "me", 4: "m", 5: "2nd"}
    assert [style.letter for style in make_palette(names)] == ["M", "E", "A", "B", "2"]


@given(st.lists(st.text(max_size=8), max_size=36))
def test_letters_are_unique_for_any_names(names: list[str]) -> None:
    letters = [style.letter for style in make_palette(dict(enumerate(names, start=1)))]
    assert len(set(letters)) == len(names)
    assert all(letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" for letter in letters)


def test_more_labels_than_letters_get_one_each() -> None:
    assert len(make_palette(dict.fromkeys(range(1, 128), "x"))) == 127


def test_the_first_seven_colours_differ() -> None:
    assert len({style.rgb for style in make_palette(dict.fromkeys(range(1, 8), "x"))}) == 7


def test_labels_mix_their_colour_with_the_grey() -> None:
    palette = make_palette({1: "microtubule"})
    painted = blend_labels(np.array([[100, 100]], dtype=np.uint8), np.array([[0, 1]], dtype=np.uint8), palette)
    assert painted.tolist() == [[[100, 100, 100], [172, 132, 45]]]  # 0.45 * 100 + 0.55 * (230, 159, 0), rounded


def test_labels_outside_the_palette_stay_grey(noise: NDArray[np.uint8], palette: Palette) -> None:
    painted = blend_labels(noise, np.full_like(noise, 9), palette)
    assert (painted == noise[..., np.newaxis]).all()


def test_blending_labels_of_another_shape_is_refused(noise: NDArray[np.uint8], palette: Palette) -> None:
    with pytest.raises(ShapeError, match=r"shape \(2, 2\).*shape \(24, 32\)"):
        blend_labels(noise, np.zeros((2, 2), dtype=np.uint8), palette)


def test_an_outline_is_the_rim_inside_each_region() -> None:
    labels = np.zeros((7, 7), dtype=np.uint8)
    labels[1:6, 1:6] = 3
    expected = labels.copy()
    expected[2:5, 2:5] = 0
    assert (outlines(labels) == expected).all()


def test_a_region_at_the_edge_has_no_rim_there() -> None:
    assert not outlines(np.full((4, 4), 5, dtype=np.uint8)).any()


def test_every_labelled_cell_gets_its_letter_where_letters_are_dense(
    band_labels: NDArray[np.uint8], palette: Palette
) -> None:
    letters = letter_cells(band_labels, (24, 32), palette, sparse=False)
    assert (letters == np.array(["", "M", "E"])[band_labels]).all()


@given(st.integers(0, 4), st.integers(0, 4), st.sampled_from([(0, 1), (1, 0), (1, 1), (1, -1)]))
def test_sparse_letters_are_on_every_line_of_five_cells_once(row: int, column: int, step: tuple[int, int]) -> None:
    palette = make_palette({1: "microtubule"})
    letters = letter_cells(np.ones((20, 20), dtype=np.uint8), (20, 20), palette)
    line = [letters[row + 5 + step[0] * place, column + 5 + step[1] * place] for place in range(5)]
    assert line.count("M") == 1


def test_a_legend_without_colours_is_plain(palette: Palette) -> None:
    assert legend(palette) == "M microtubule   E membrane"


@pytest.mark.parametrize("colours", ["truecolor", "256", "16"])
def test_a_legend_in_colours_has_the_letters_too(palette: Palette, colours: str) -> None:
    line = legend(palette, colours)
    assert " M \x1b[0m microtubule" in line
    assert " E \x1b[0m membrane" in line


def test_a_grid_has_every_picture_with_gaps_and_no_margin() -> None:
    one, two, three = (
        np.full(shape, value, dtype=np.uint8) for shape, value in (((2, 3), 1), ((2, 2), 2), ((1, 3), 3))
    )
    assert image_grid([[one, two], [three]], gap=1, fill_value=9).tolist() == [
        [1, 1, 1, 9, 2, 2],
        [1, 1, 1, 9, 2, 2],
        [9, 9, 9, 9, 9, 9],
        [3, 3, 3, 9, 9, 9],
    ]


def test_a_grid_of_colour_pictures_has_three_channels() -> None:
    picture = np.full((2, 2, 3), 5, dtype=np.uint8)
    assert image_grid([[picture, picture]], gap=2).shape == (2, 6, 3)


def test_a_grid_of_no_pictures_is_refused_with_a_clear_error() -> None:
    with pytest.raises(ShapeError, match="no picture"):
        image_grid([])
