"""Strips of escape sequences, and their segments when cropped. Pins private parts of Textual."""

import inspect
import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.strip import Strip

from tomoseg_tui.render import blocks
from tomoseg_tui.tui.canvas.ansi_strip import AnsiStrip, segments_from_ansi

USUAL = Style(color="#ffffff", bgcolor="#000000")
ROW = "\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m▀▀\x1b[48;5;240m▄\x1b[0mab"


def test_a_strip_is_sent_as_it_was_drawn() -> None:
    assert AnsiStrip(ROW, 5, USUAL).render(Console()) == ROW


def test_an_uncropped_strip_makes_no_segments() -> None:
    strip = AnsiStrip(ROW, 5, USUAL)
    assert strip
    assert strip.cell_length == 5
    assert list(strip.divide([5])) == [strip]
    assert strip.crop(0, 5) is strip
    assert isinstance(strip.crop(1, 3), AnsiStrip)
    assert strip._cached_segments is None


def test_a_cropped_strip_keeps_characters_and_colours() -> None:
    left, right = AnsiStrip(ROW, 5, USUAL).divide([2, 5])
    assert (left.text, right.text) == ("▀▀", "▄ab")
    first = next(iter(right)).style
    assert first is not None
    assert first.color == Color.from_rgb(1, 2, 3)
    assert first.bgcolor == Color.from_ansi(240)


def test_every_segment_has_both_colours_for_textuals_filters() -> None:
    segments = segments_from_ansi("plain" + ROW, USUAL)
    assert all(segment.style and segment.style.color and segment.style.bgcolor for segment in segments)


def test_the_first_sixteen_colours_are_parsed() -> None:
    dark, bright = segments_from_ansi("\x1b[31;42mx\x1b[97;100my", USUAL)
    assert dark.style is not None
    assert bright.style is not None
    assert (dark.style.color, dark.style.bgcolor) == (Color.from_ansi(1), Color.from_ansi(2))
    assert (bright.style.color, bright.style.bgcolor) == (Color.from_ansi(15), Color.from_ansi(8))


@given(st.integers(0, 2**32 - 1), st.sampled_from(["truecolor", "256", "16"]))
def test_segments_match_the_escape_sequences(seed: int, depth: str) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (2, 7, 3), dtype=np.uint8)
    row = blocks.encode(rgb, depth=depth)[0]
    segments = segments_from_ansi(row, USUAL)
    assert "".join(segment.text for segment in segments) == re.sub(r"\x1b\[[\d;]*m", "", row)
    if depth == "truecolor":
        drawn = [pair for segment in segments for pair in _pixels(segment.text, segment.style or USUAL)]
        assert drawn == [(tuple(rgb[0, x].tolist()), tuple(rgb[1, x].tolist())) for x in range(7)]


@given(st.integers(0, 2**32 - 1), st.sampled_from(["truecolor", "256", "16"]), st.integers(0, 8), st.integers(0, 9))
def test_a_cropped_strip_matches_its_segments(seed: int, depth: str, start: int, end: int) -> None:
    rgb = np.random.default_rng(seed).integers(0, 3, (2, 7, 3), dtype=np.uint8) * 100
    letters = np.array([["", "", "M", "", "", "", ""]])
    strip = AnsiStrip("pl" + blocks.encode(rgb, letters=letters, depth=depth)[0], 9, USUAL)
    cropped, wanted = strip.crop(start, end), Strip(strip._segments, 9).crop(start, end)
    cells = [[(cell, segment.style) for segment in part for cell in segment.text] for part in (cropped, wanted)]
    assert cells[0] == cells[1]
    assert cropped.render(Console()) == "" or cropped.render(Console()).endswith("\x1b[0m")


def _pixels(text: str, style: Style) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    assert style.color is not None
    assert style.bgcolor is not None
    ink, ground = tuple(style.color.triplet or ()), tuple(style.bgcolor.triplet or ())
    halves = {" ": (ground, ground), "█": (ink, ink), "▀": (ink, ground), "▄": (ground, ink)}
    return [halves[character] for character in text]


def test_the_private_parts_of_textual_still_exist() -> None:
    """The canvas uses `Strip._segments`, `render`, the compositor's use of them, and the driver's write."""
    assert "_segments" in Strip.__slots__
    assert list(inspect.signature(Strip.render).parameters)[1:] == ["console"]
    assert "strip.render(console)" in inspect.getsource(ChopsUpdate.render_segments)
    assert "XTermParser(self._debug)" in inspect.getsource(LinuxDriver.run_input_thread)
    assert hasattr(App(), "_driver")
    assert "self.post_display_hook()" in inspect.getsource(App._display)
    assert list(inspect.signature(LinuxDriver.write).parameters) == ["self", "data"]
