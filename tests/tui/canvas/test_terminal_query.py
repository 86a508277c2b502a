"""Replies of terminals, in time and late, and the resulting picture formats."""

import os
import pty
import sys
import termios
import time
import tty
from collections.abc import Iterator

import pytest
from helpers.pseudo_terminal import Terminal
from rich.color import ColorSystem
from textual import events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers import linux_driver

from tomoseg_tui.errors import UsageError
from tomoseg_tui.tui.canvas import terminal_query
from tomoseg_tui.tui.canvas.draw_style import choose_draw_style, draw_style_for
from tomoseg_tui.tui.canvas.slice_drawing import DrawStyle
from tomoseg_tui.tui.canvas.terminal_query import (
    TIMEOUT_SECONDS,
    TerminalCapabilities,
    TerminalQuery,
    finest_blocks,
    ignore_late_answers,
    parse_answers,
)

VT340 = "\x1b[?63;1;2;4;6c"
TERMINAL = {"TERM": "xterm-256color", "LANG": "C.UTF-8"}


def test_replies_are_parsed() -> None:
    capabilities = parse_answers(f"\x1b_Gi=31;OK\x1b\\\x1b[6;20;10t\x1b[?2;0;1000;800S{VT340}")
    assert capabilities == TerminalCapabilities(
        sixel=True, kitty=True, cell_pixels_xy=(10, 20), max_pixels_xy=(1000, 800)
    )


@pytest.mark.parametrize("answers", ["", "\x1b[?62;22c", "\x1b_Gi=31;EINVAL:no\x1b\\\x1b[?6c", "\x1b[6;0;0t\x1b[?64"])
def test_refused_or_incomplete_replies_count_as_no(answers: str) -> None:
    assert parse_answers(answers) == TerminalCapabilities()


@pytest.fixture
def line() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the terminal's end and the program's."""
    master, slave = pty.openpty()
    yield master, slave
    os.close(master)
    os.close(slave)


def test_a_terminal_is_queried_and_its_settings_are_restored(line: tuple[int, int]) -> None:
    master, slave = line
    before = termios.tcgetattr(slave)
    question = TerminalQuery.begin(TERMINAL, (slave, slave))
    os.write(master, VT340.encode())
    assert question.finish().sixel
    assert termios.tcgetattr(slave) == before
    query = os.read(master, 4096)
    assert query.endswith(b"\x1b[c")
    assert VT340.encode() not in query  # nothing is echoed


def test_a_silent_terminal_is_waited_for_no_longer_than_the_limit(line: tuple[int, int]) -> None:
    began = time.monotonic()
    assert TerminalQuery.begin(TERMINAL, (line[1], line[1])).finish() == TerminalCapabilities()
    assert TIMEOUT_SECONDS - 0.01 < time.monotonic() - began < TIMEOUT_SECONDS + 1


def test_a_pipe_or_a_dumb_terminal_is_not_queried(line: tuple[int, int]) -> None:
    reading, writing = os.pipe()
    assert TerminalQuery.begin(TERMINAL, (reading, writing)).finish() == TerminalCapabilities()
    assert TerminalQuery.begin({"TERM": "dumb"}, (line[1], line[1])).finish() == TerminalCapabilities()
    os.close(writing)
    assert os.read(reading, 10) == b""
    os.close(reading)


def test_late_replies_are_not_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux_driver, "XTermParser", linux_driver.XTermParser)  # type: ignore[attr-defined]
    ignore_late_answers()
    parser = linux_driver.XTermParser()  # type: ignore[attr-defined]
    found = [*parser.feed(f"x{VT340}y"), *parser.feed("\x1b[6;20;10t"), *parser.feed("\x1b[A\x1b[1;1R")]
    assert [event.key for event in found if isinstance(event, events.Key)] == ["x", "y", "up"]
    assert isinstance(found[-1], events.CursorPosition)
    assert list(parser.feed("")) == []


def test_without_the_filter_textual_reads_replies_as_keys() -> None:
    """If this fails, Textual ignores replies itself, and `ignore_late_answers` can be removed."""
    parser = XTermParser()
    list(parser.feed(VT340))
    time.sleep(0.15)
    assert any(isinstance(event, events.Key) for event in parser.tick())


def test_tmux_is_queried_only_inside_tmux(monkeypatch: pytest.MonkeyPatch, line: tuple[int, int]) -> None:
    calls = []

    def outer_terminal() -> tuple[frozenset[str], str]:
        calls.append(1)
        return frozenset({"sixel"}), "foot(1.20.2)"

    monkeypatch.setattr(terminal_query, "_outer_terminal", outer_terminal)
    for environment in (TERMINAL, {**TERMINAL, "TMUX": "/tmp/x,1,0"}):
        question = TerminalQuery.begin(environment, (line[1], line[1]))
        os.write(line[0], VT340.encode())
        capabilities = question.finish()
    assert calls == [1]
    assert capabilities.tmux_features == {"sixel"}
    assert capabilities.name == "foot(1.20.2)"


CELLS = (10, 20)
SIXEL = TerminalCapabilities(sixel=True, cell_pixels_xy=CELLS)
KITTY = TerminalCapabilities(kitty=True, cell_pixels_xy=CELLS)


@pytest.mark.parametrize(
    ("requested", "environment", "capabilities", "expected"),
    [
        ("auto", TERMINAL, TerminalCapabilities(), DrawStyle("quadrant", "256")),
        ("auto", TERMINAL, SIXEL, DrawStyle("quadrant", "256", "sixel", CELLS)),
        ("auto", TERMINAL, KITTY, DrawStyle("quadrant", "256", "kitty", CELLS)),
        ("auto", TERMINAL, TerminalCapabilities(sixel=True), DrawStyle("quadrant", "256")),
        ("auto", {**TERMINAL, "TMUX": "1"}, SIXEL, DrawStyle("quadrant", "256")),
        ("auto", {**TERMINAL, "TMUX": "1"},
         TerminalCapabilities(tmux_features=frozenset({"sixel"}), cell_pixels_xy=CELLS),
         DrawStyle("quadrant", "256", "sixel", CELLS)),
        ("halfblock", TERMINAL, SIXEL, DrawStyle("halfblock", "256")),
        ("auto", {**TERMINAL, "LANG": "C"}, TerminalCapabilities(), DrawStyle("ascii", "256")),
        ("braille", {**TERMINAL, "LANG": "C"}, TerminalCapabilities(), DrawStyle("braille", "256")),
        ("auto", {**TERMINAL, "TOMOSEG_RENDERER": "braille"}, TerminalCapabilities(), DrawStyle("braille", "256")),
    ],
)  # fmt: skip
def test_pictures_are_cells_in_motion_and_pixels_at_rest_if_supported(
    requested: str, environment: dict[str, str], capabilities: TerminalCapabilities, expected: DrawStyle
) -> None:
    assert choose_draw_style(requested, environment, capabilities, colours="256") == expected


def replies(name: str, *columns: int) -> str:
    return "".join(f"\x1b[3;{column}R" for column in columns) + f"\x1bP>|{name}\x1b\\" + VT340


@pytest.mark.parametrize(
    ("answers", "environment", "renderer"),
    [
        (replies("kitty(0.40.1)", 2, 2), {}, "octant"),
        (replies("kitty(0.39.0)", 2, 2), {}, "sextant"),
        (replies("foot(1.20.2)", 2, 1), {}, "sextant"),  # something between drops octants
        (replies("ghostty 1.2.0", 2, 2), {}, "octant"),
        (replies("VTE(7800)", 2, 2), {}, "octant"),
        (replies("VTE(7603)", 2, 2), {}, "sextant"),
        (replies("WezTerm 20240203-110809", 2, 2), {}, "sextant"),
        (replies("XTerm(390)", 2, 2), {}, "quadrant"),
        (replies("kitty(0.40.1)", 1, 1), {}, "quadrant"),
        (replies("kitty(0.40.1)", 3, 3), {}, "quadrant"),  # two cells wide
        ("\x1b[3;2R\x1b[3;2R" + VT340, {"TERM": "alacritty"}, "sextant"),
        ("\x1b[3;2R\x1b[3;2R" + VT340, {"TERM": "xterm-kitty"}, "sextant"),
        ("\x1b[3;2R\x1b[3;2R" + VT340, {"TERM": "xterm-256color"}, "quadrant"),
        (VT340, {"TERM": "alacritty"}, "quadrant"),
        ("", {}, "quadrant"),
    ],
)
def test_the_finest_blocks_are_those_that_the_terminal_is_known_to_draw(
    answers: str, environment: dict[str, str], renderer: str
) -> None:
    assert finest_blocks(parse_answers(answers), environment) == renderer


def test_the_settings_have_the_lowest_precedence() -> None:
    choose = {
        requested: choose_draw_style(
            requested, TERMINAL, TerminalCapabilities(), colours="256", configured="ascii"
        ).renderer
        for requested in ("auto", "braille")
    }
    assert choose == {"auto": "ascii", "braille": "braille"}


def test_a_renderer_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="oil"):
        choose_draw_style("oil", TERMINAL, TerminalCapabilities(), colours="256")


def test_an_app_without_a_request_uses_quadrants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    assert draw_style_for(App()).renderer == "quadrant"


@pytest.mark.parametrize(
    ("features", "no_color", "colours"),
    [({"256", "RGB"}, "", "truecolor"), ({"256"}, "", "256"), ({"RGB"}, "1", "none")],
)
def test_inside_tmux_the_colours_are_those_of_the_terminal_around_it(
    monkeypatch: pytest.MonkeyPatch, features: set[str], no_color: str, colours: str
) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "screen-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(App, "is_headless", False)
    app = App[None]()
    app.console._color_system = ColorSystem.EIGHT_BIT
    app.terminal_capabilities = TerminalCapabilities(tmux_features=frozenset(features))  # type: ignore[attr-defined]
    assert draw_style_for(app).colours == colours


def test_a_program_gets_replies_over_a_real_line() -> None:
    code = (
        "import os, sys, time; from tomoseg_tui.tui.canvas.terminal_query import TerminalQuery; "
        "print(TerminalQuery.begin(os.environ).finish(), 'numpy' in sys.modules)"
    )
    with Terminal([sys.executable, "-c", code], size=(200, 24), sixel=True, environment={"TMUX": ""}) as terminal:
        terminal.wait_for(lambda output: b"TerminalCapabilities(" in output and b"False\r\n" in output)
        printed = terminal.output
    assert b"TerminalCapabilities(sixel=True" in printed
    assert b"cell_pixels_xy=(10, 20)" in printed


def test_echo_is_off_between_query_and_reply(line: tuple[int, int]) -> None:
    question = TerminalQuery.begin(TERMINAL, (line[1], line[1]))
    assert not termios.tcgetattr(line[1])[tty.LFLAG] & termios.ECHO
    os.write(line[0], VT340.encode())
    question.finish()
