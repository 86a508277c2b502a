import re
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError, UsageError
from tomoseg_tui.render.colours import Palette
from tomoseg_tui.render.renderer import (
    RENDERERS,
    GraphicsSupport,
    Picture,
    arrange_pictures,
    choose_renderer,
    colour_depth,
    render_picture,
    to_rgb,
)

XTERM = {"TERM": "xterm-256color", "LANG": "de_DE.UTF-8"}
TMUX = XTERM | {"TERM": "tmux-256color", "TMUX": "/tmp/tmux-1000/default,1,0"}
NOTHING = GraphicsSupport()
SIXEL = GraphicsSupport(sixel=True)
KITTY = GraphicsSupport(kitty=True)
BOTH = GraphicsSupport(sixel=True, kitty=True)
SIXEL_AROUND_TMUX = GraphicsSupport(sixel=True, tmux_features=frozenset({"RGB", "sixel"}))


@pytest.mark.parametrize(
    ("requested", "environment", "answers", "expected"),
    [
        ("auto", XTERM, NOTHING, "quadrant"),
        ("auto", XTERM, GraphicsSupport(blocks="octant"), "octant"),
        ("auto", XTERM, SIXEL, "sixel"),
        ("auto", XTERM, KITTY, "kitty"),
        ("auto", XTERM, BOTH, "kitty"),
        ("auto", TMUX, BOTH, "quadrant"),
        ("auto", TMUX, SIXEL_AROUND_TMUX, "sixel"),
        ("auto", XTERM | {"TERM": "dumb"}, SIXEL, "ascii"),
        ("auto", XTERM | {"TERM": "linux"}, NOTHING, "ascii"),
        ("auto", XTERM | {"TERM": ""}, NOTHING, "ascii"),
        ("auto", {"LANG": "C.UTF-8"}, NOTHING, "ascii"),
        ("auto", {"TERM": "xterm"}, NOTHING, "ascii"),
        ("auto", {}, BOTH, "ascii"),
        ("auto", XTERM | {"LANG": "de_DE.ISO-8859-1"}, SIXEL, "ascii"),
        ("auto", XTERM | {"LANG": "C.utf8"}, NOTHING, "quadrant"),
        ("auto", XTERM | {"LC_CTYPE": "C"}, NOTHING, "ascii"),
        ("auto", XTERM | {"LC_ALL": "C"}, NOTHING, "ascii"),
        ("auto", XTERM | {"LC_ALL": "", "LC_CTYPE": "UTF-8", "LANG": "C"}, NOTHING, "quadrant"),
        ("auto", XTERM | {"TOMOSEG_RENDERER": "braille"}, KITTY, "braille"),
        ("auto", {"TOMOSEG_RENDERER": "sixel"}, NOTHING, "sixel"),
        ("auto", XTERM | {"TOMOSEG_RENDERER": "auto"}, KITTY, "kitty"),
        ("auto", XTERM | {"TOMOSEG_RENDERER": ""}, KITTY, "kitty"),
        ("ascii", XTERM | {"TOMOSEG_RENDERER": "braille"}, KITTY, "ascii"),
        ("kitty", {"TERM": "dumb"}, NOTHING, "kitty"),
    ],
)
def test_the_renderer_depends_on_the_request_and_the_terminal(
    requested: str, environment: dict[str, str], answers: GraphicsSupport, expected: str
) -> None:
    assert choose_renderer(requested, environment, answers) == expected


def test_the_configuration_is_used_after_the_environment_and_before_the_terminal() -> None:
    assert choose_renderer("auto", XTERM, KITTY, configured="braille") == "braille"
    assert choose_renderer("auto", XTERM | {"TOMOSEG_RENDERER": "ascii"}, KITTY, configured="braille") == "ascii"


@pytest.mark.parametrize(("requested", "environment"), [("vga", {}), ("auto", {"TOMOSEG_RENDERER": "vga"})])
def test_an_unknown_renderer_is_refused_with_a_clear_error(requested: str, environment: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"'vga'.*Choose one of auto, halfblock"):
        choose_renderer(requested, environment, NOTHING)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "truecolor"),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, "truecolor"),
        ({"TERM": "xterm-direct"}, "truecolor"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "tmux-256color", "COLORTERM": ""}, "256"),
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "linux"}, "16"),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, "none"),
        ({}, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "256"),
    ],
)
def test_the_colour_depth_depends_on_the_environment(environment: dict[str, str], expected: str) -> None:
    assert colour_depth(environment) == expected


def bare(text: str) -> list[str]:
    return re.sub(r"\x1b\[[\d;]*m", "", text).split("\n")


@pytest.mark.parametrize(
    ("renderer", "columns", "size"),
    [
        ("halfblock", 32, (32, 12)),
        ("halfblock", 70, (64, 24)),
        ("halfblock", 16, (16, 6)),
        ("braille", 32, (32, 12)),
        ("braille", 16, (16, 6)),
        ("ascii", 32, (32, 12)),
        ("ascii", 63, (32, 12)),
        ("ascii", 64, (64, 24)),
        ("ascii", 10, (10, 4)),
    ],
)
def test_a_picture_keeps_its_aspect_and_is_enlarged_by_integer_factors(
    noise: NDArray[np.uint8], renderer: str, columns: int, size: tuple[int, int]
) -> None:
    rows = bare(render_picture(Picture(noise), columns=columns, renderer=renderer, colours="256"))
    assert ({len(row) for row in rows}, len(rows)) == ({size[0]}, size[1])


@pytest.mark.parametrize(("renderer", "colours"), [("ascii", "truecolor"), ("braille", "256"), ("halfblock", "none")])
def test_text_without_colours_has_no_escapes_and_a_letter_on_every_labelled_cell(
    noise: NDArray[np.uint8], band_labels: NDArray[np.uint8], palette: Palette, renderer: str, colours: str
) -> None:
    text = render_picture(Picture(noise, band_labels, palette), columns=32, renderer=renderer, colours=colours)
    assert "\x1b" not in text
    rows = text.split("\n")
    assert len([row for row in rows if set(row) == {"M"}]) in {3, 4}
    assert rows[0].endswith("E" * 12)


def test_small_y_is_at_the_bottom_of_every_picture(
    noise: NDArray[np.uint8], band_labels: NDArray[np.uint8], palette: Palette
) -> None:
    picture = Picture(noise, band_labels, palette)
    for renderer, colours in product(("halfblock", "braille", "ascii"), ("truecolor", "none")):
        rows = bare(render_picture(picture, columns=32, renderer=renderer, colours=colours))
        assert any("M" in row for row in rows[-5:])
        assert not any("M" in row for row in rows[:7])
    assert (to_rgb(Picture(noise))[-1] == noise[0][:, np.newaxis]).all()


@pytest.mark.parametrize(("renderer", "start"), [("sixel", "\x1bP"), ("kitty", "\x1b_G")])
def test_pixel_renderers_send_pixels(
    noise: NDArray[np.uint8], band_labels: NDArray[np.uint8], palette: Palette, renderer: str, start: str
) -> None:
    text = render_picture(Picture(noise, band_labels, palette), columns=20, renderer=renderer, colours="none")
    assert text.startswith(start)
    assert text.endswith("\x1b\\")
    assert text.isascii()


def test_a_picture_for_a_file_is_the_slice_upright_without_a_margin(noise: NDArray[np.uint8]) -> None:
    rgb = to_rgb(Picture(noise))
    assert (rgb == noise[::-1, :, np.newaxis]).all()
    assert to_rgb(Picture(noise), 100).shape == (72, 96, 3)
    assert to_rgb(Picture(noise), 16).shape == (12, 16, 3)


def test_labels_have_colours_and_letters_in_a_file(
    noise: NDArray[np.uint8], band_labels: NDArray[np.uint8], palette: Palette
) -> None:
    plain = to_rgb(Picture(noise))
    painted = to_rgb(Picture(noise, band_labels, palette))
    changed = (plain != painted).any(axis=2)
    assert changed[band_labels[::-1] > 0].mean() > 0.9
    assert changed[band_labels[::-1] == 0].mean() < 0.1


def test_an_outlined_picture_is_grey_inside_its_labels(
    noise: NDArray[np.uint8], band_labels: NDArray[np.uint8], palette: Palette
) -> None:
    outlined = to_rgb(Picture(noise, band_labels, palette, outlined=True))
    clear = (outlined == noise[::-1, :, np.newaxis]).all(axis=2)
    assert clear[band_labels[::-1] > 0].mean() > 0.4
    assert not clear[-3, 6]  # the rim of the band, y = 2


def test_arranged_rows_are_drawn_from_the_top_with_their_labels(palette: Palette) -> None:
    def flat(grey: int, label: int | None = None) -> Picture:
        labels = None if label is None else np.full((2, 3), label, dtype=np.uint8)
        return Picture(np.full((2, 3), grey, dtype=np.uint8), labels, palette if labels is not None else ())

    picture = arrange_pictures([[flat(10), flat(20, 1)], [flat(30), flat(40, 2)]], gap=1)
    assert picture.grey[::-1][:, [0, 4]].tolist() == [[10, 20], [10, 20], [0, 0], [30, 40], [30, 40]]
    assert picture.labels is not None
    assert picture.labels[::-1][:, [0, 4]].tolist() == [[0, 1], [0, 1], [0, 0], [0, 2], [0, 2]]
    assert picture.palette == palette


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 5)])
def test_a_picture_that_is_not_a_slice_is_refused_with_a_clear_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="two axes"):
        Picture(np.zeros(shape, dtype=np.uint8))


def test_labels_of_another_shape_are_refused(noise: NDArray[np.uint8]) -> None:
    with pytest.raises(ShapeError, match="do not fit"):
        Picture(noise, np.zeros((2, 2), dtype=np.uint8))


@pytest.mark.parametrize(
    ("columns", "renderer", "colours"), [(0, "ascii", "none"), (80, "auto", "none"), (80, "ascii", "many")]
)
def test_invalid_drawing_options_are_refused_with_a_clear_error(
    noise: NDArray[np.uint8], columns: int, renderer: str, colours: str
) -> None:
    with pytest.raises(UsageError):
        render_picture(Picture(noise), columns=columns, renderer=renderer, colours=colours)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_a_single_pixel_can_be_drawn(renderer: str) -> None:
    assert render_picture(Picture(np.zeros((1, 1), dtype=np.uint8)), columns=1, renderer=renderer, colours="16")
