import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from tomoseg_tui.render.colours import Palette, make_palette
from tomoseg_tui.render.label_letters import draw_label_letters, glyph

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
M_AS_DRAWN = """
X...X
XX.XX
X.X.X
X.X.X
X...X
X...X
X...X
"""


def test_a_letter_has_its_shape() -> None:
    expected = [[character == "X" for character in line] for line in M_AS_DRAWN.split()]
    assert glyph("M").tolist() == expected


def test_all_letters_are_distinct() -> None:
    shapes = [glyph(letter) for letter in ALPHABET]
    differences = [int((one != two).sum()) for place, one in enumerate(shapes) for two in shapes[:place]]
    assert min(differences) >= 2


def test_a_letter_grows_by_its_scale() -> None:
    assert (glyph("R", 3)[::3, ::3] == glyph("R")).all()
    assert glyph("R", 3).shape == (21, 15)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_label_has_its_letter_in_the_middle(scale: int) -> None:
    labels = np.zeros((40, 60), dtype=np.uint8)
    labels[10:31, 20:41] = 1
    burnt = draw_label_letters(
        np.full((40, 60, 3), 99, dtype=np.uint8), labels, make_palette({1: "microtubule"}), scale
    )
    ys, xs = np.nonzero(burnt[..., 0] == 255)
    assert abs((ys.min() + ys.max()) / 2 - 20) <= scale
    assert abs((xs.min() + xs.max()) / 2 - 30) <= scale
    assert (burnt == 255).all(axis=2).sum() == glyph("M", scale).sum()


def test_each_label_shows_its_letter_and_the_input_is_unchanged(
    noise: NDArray[np.uint8], band_labels: NDArray[np.uint8], palette: Palette
) -> None:
    rgb = np.repeat((noise // 2)[..., np.newaxis], 3, axis=2)
    before = rgb.copy()
    burnt = draw_label_letters(rgb, band_labels, palette)
    assert (rgb == before).all()
    windows = np.lib.stride_tricks.sliding_window_view((burnt == 255).all(axis=2), (7, 5))  # (y, x, 7, 5)
    for style in palette:
        assert (windows == glyph(style.letter)).all(axis=(2, 3)).any()


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 3)))
def test_letters_can_be_drawn_on_any_small_picture(labels: NDArray[np.uint8]) -> None:
    rgb = np.full((*labels.shape, 3), 99, dtype=np.uint8)
    burnt = draw_label_letters(rgb, labels, make_palette({1: "a", 2: "b"}))
    has_room = labels.shape[0] >= 9 and labels.shape[1] >= 7
    if not np.isin(labels, (1, 2)).any():
        assert (burnt == rgb).all()
    elif has_room:
        assert (burnt == 255).any()
