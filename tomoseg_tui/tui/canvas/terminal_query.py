"""Query what the terminal can show, before the app reads the keyboard. Imports neither numpy nor Textual.

Begin as early as possible, finish just before the app runs: the replies arrive while the program loads.

>>> query = TerminalQuery.begin(os.environ)      # doctest: +SKIP
>>> app.capabilities = query.finish()            # doctest: +SKIP

Later replies would be read as keys; `ignore_late_answers` filters them out.
"""

import codecs
import fcntl
import locale
import os
import re
import select
import struct
import subprocess
import sys
import termios
import tty
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from time import monotonic
from typing import TYPE_CHECKING, Any, Self, final

if TYPE_CHECKING:
    from textual.message import Message

TIMEOUT_SECONDS = 0.3
"""Longest wait from query to reply; on slower connections, pictures are made of cells."""

_DA1, _CELL_PIXELS, _SIXEL_GEOMETRY, _NAME = "\x1b[c", "\x1b[16t", "\x1b[?2;1;0S", "\x1b[>q"
_KITTY = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"
_BLOCK_WIDTHS = "".join(f"\r{character}\x1b[6n" for character in "\U0001fb00\U0001cd00") + "\r\x1b[K"
"""A sextant, an octant, and where the cursor is after each: tmux drops characters that are new to its C library."""
_QUERIES = _CELL_PIXELS + _SIXEL_GEOMETRY + _NAME + _DA1
"""Every terminal replies to DA1, so this query is sent last: no reply follows it."""

_DA1_ANSWER = re.compile(r"\x1b\[\?([\d;]*)c")
_KITTY_ANSWER = re.compile(r"\x1b_Gi=31;([^\x1b]*)\x1b\\")
_CELL_ANSWER = re.compile(r"\x1b\[6;(\d+);(\d+)t")
_GEOMETRY_ANSWER = re.compile(r"\x1b\[\?2;0;(\d+);(\d+)S")
_ANY_ANSWER = re.compile(
    r"\x1b\[\?[\d;]*c|\x1b_Gi=31;[^\x1b]*\x1b\\|\x1b\[6;\d+;\d+t|\x1b\[\?2;\d+(?:;\d+)*S|\x1bP>\|[^\x1b]*\x1b\\"
)
_WIDTH_QUERY = "\r\u00e9\x1b[6n\r\x1b[K"
"""One letter of two bytes, where the cursor is then, and away with it: no terminal of UTF-8 moves by two columns."""
_NAME_ANSWER = re.compile(r"\x1bP>\|([^\x1b]*)\x1b\\")
_CURSOR_ANSWER = re.compile(r"\x1b\[\d+;(\d+)R")
_OCTANT_VERSIONS = {"ghostty": (1, 2), "foot": (1, 20), "kitty": (0, 40), "vte(": (7800,)}
_SEXTANT_FAMILIES = ("wezterm", "alacritty", "rio", "contour")
_SIXEL_ATTRIBUTE = "4"
"""The code for sixels in a reply to DA1, as in the VT340."""


@dataclass(frozen=True)
class TerminalCapabilities:
    """The picture capabilities of a terminal."""

    sixel: bool = False
    """Whether its reply to DA1 contains 4."""
    kitty: bool = False
    """Whether it understood a query of kitty's graphics protocol."""
    tmux_features: frozenset[str] = frozenset()
    """Inside tmux: the capabilities of the outer terminal."""
    cell_pixels_xy: tuple[int, int] | None = None
    """Size of a cell, pixels; None if unknown."""
    max_pixels_xy: tuple[int, int] | None = None
    """The largest sixel picture; None if unknown."""
    name: str = ""
    """Its name and version, such as ``foot(1.20.2)``; inside tmux those of the outer terminal; empty if unknown."""
    has_sextants: bool = False
    """Whether a sextant moved the cursor by one cell."""
    has_octants: bool = False
    """The same for an octant."""
    is_utf8: bool = True
    """False if it shows each byte of UTF-8 as a character; asked only in another locale."""


def parse_answers(
    answers: str, *, tmux_features: frozenset[str] = frozenset(), tmux_name: str = ""
) -> TerminalCapabilities:
    """Parse the replies of a terminal; missing or incomplete ones count as no."""
    attributes, kitty = _DA1_ANSWER.search(answers), _KITTY_ANSWER.search(answers)
    cell, geometry = _CELL_ANSWER.search(answers), _GEOMETRY_ANSWER.search(answers)
    name = _NAME_ANSWER.search(answers)
    columns = _CURSOR_ANSWER.findall(answers)  # one in a locale that is not UTF-8, else two
    sextant, octant = columns if len(columns) == 2 else ("", "")
    return TerminalCapabilities(
        sixel=attributes is not None and _SIXEL_ATTRIBUTE in attributes[1].split(";"),
        kitty=kitty is not None and kitty[1] == "OK",
        tmux_features=tmux_features,
        cell_pixels_xy=(int(cell[2]), int(cell[1])) if cell is not None and int(cell[1]) else None,
        max_pixels_xy=(int(geometry[1]), int(geometry[2])) if geometry is not None else None,
        name=tmux_name or (name[1] if name is not None else ""),
        has_sextants=sextant == "2",
        has_octants=octant == "2",
        is_utf8=len(columns) != 1 or columns[0] == "2",
    )


@final
class TerminalQuery:
    """A query to the terminal and its replies.

    Parameters
    ----------
    descriptors : tuple of int, or None
        Where replies are read and queries written; None sends no query.
    environment : mapping of str to str
        If TMUX is set, tmux is asked about the outer terminal.
    """

    def __init__(
        self,
        descriptors: tuple[int, int] | None,
        environment: Mapping[str, str],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._descriptors, self._environment, self._clock = descriptors, environment, clock
        self._saved_attributes: list[Any] | None = None
        self._start_time = clock()

    @classmethod
    def begin(cls, environment: Mapping[str, str], descriptors: tuple[int, int] | None = None) -> Self:
        """Query the terminal of this process, if it has one.

        Uses standard input and standard error, as Textual does.
        """
        if descriptors is None and sys.__stdin__ is not None and sys.__stderr__ is not None:
            descriptors = sys.__stdin__.fileno(), sys.__stderr__.fileno()
        is_terminal = descriptors is not None and all(os.isatty(descriptor) for descriptor in descriptors)
        query = cls(descriptors if is_terminal else None, environment)
        query.send()
        return query

    def send(self) -> None:
        """Send the queries, with echo and line editing off until `finish`."""
        if self._descriptors is None or self._environment.get("TERM", "dumb") in {"", "dumb", "linux"}:
            self._descriptors = None
            return
        input_descriptor, output_descriptor = self._descriptors
        self._saved_attributes = termios.tcgetattr(input_descriptor)
        tty.setcbreak(input_descriptor, termios.TCSANOW)
        is_utf8_locale = codecs.lookup(locale.getencoding()).name == "utf-8"
        first = _BLOCK_WIDTHS if is_utf8_locale else _WIDTH_QUERY
        if not self._environment.get("TMUX"):  # tmux would take it for the title of its window
            first += _KITTY
        os.write(output_descriptor, (first + _QUERIES).encode())

    def finish(self) -> TerminalCapabilities:
        """Return the capabilities, waiting at most 0.3 s after the query; restore the terminal settings."""
        if self._descriptors is None:
            return TerminalCapabilities()
        ignore_late_answers()  # imports Textual, after the query
        input_descriptor = self._descriptors[0]
        try:
            answers = self._read_answers(input_descriptor)
        finally:
            termios.tcsetattr(
                input_descriptor, termios.TCSANOW, self._saved_attributes or termios.tcgetattr(input_descriptor)
            )
        features, name = _outer_terminal() if self._environment.get("TMUX") else (frozenset[str](), "")
        capabilities = parse_answers(answers, tmux_features=features, tmux_name=name)
        return (
            capabilities
            if capabilities.cell_pixels_xy
            else replace(capabilities, cell_pixels_xy=_cell_pixels(self._descriptors[1]))
        )

    def _read_answers(self, input_descriptor: int) -> str:
        answers = ""
        while not _DA1_ANSWER.search(answers):
            remaining_seconds = max(0.0, self._start_time + TIMEOUT_SECONDS - self._clock())
            if not select.select([input_descriptor], [], [], remaining_seconds)[0]:
                break
            chunk = os.read(input_descriptor, 4096)
            if not chunk:
                break
            answers += chunk.decode("ascii", "replace")
        return answers


def _cell_pixels(descriptor: int) -> tuple[int, int] | None:
    """Return the size of a cell from the system; xterm reports it there. None if unknown."""
    rows, columns, width, height = struct.unpack("HHHH", fcntl.ioctl(descriptor, termios.TIOCGWINSZ, b"\0" * 8))
    is_valid = rows and columns and width >= columns and height >= rows
    return (width // columns, height // rows) if is_valid else None


def _outer_terminal() -> tuple[frozenset[str], str]:
    """Ask tmux for features and name of the outer terminal; both are empty if tmux does not know the formats."""
    command = ["tmux", "display-message", "-p", "#{client_termfeatures} #{client_termtype} #{client_termname}"]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=1, check=True)  # noqa: S603  # no user's words
    except (OSError, subprocess.SubprocessError):
        return frozenset(), ""
    features, _, name = completed.stdout.strip().partition(" ")
    return frozenset(features.split(",")), name.strip()


def finest_blocks(capabilities: TerminalCapabilities, environment: Mapping[str, str]) -> str:
    """Return the finest renderer of blocks that a terminal is known to draw.

    Parameters
    ----------
    capabilities : TerminalCapabilities
        Its replies; without a name, the environment variable TERM names it.

    Returns
    -------
    str
        "octant" or "sextant" for terminals that draw these characters without a font, and only if the cursor moved
        by one cell; else "quadrant", which nearly every font has.

    Notes
    -----
    Octants: ghostty 1.2, foot 1.20, kitty 0.40 and VTE 0.78 (their release notes). Sextants: these in earlier versions,
    WezTerm, Alacritty, Rio and Contour.
    """
    name = (capabilities.name or environment.get("TERM", "")).lower()
    version = tuple(map(int, re.findall(r"\d+", name)[:2]))
    first_version = next((known for family, known in _OCTANT_VERSIONS.items() if family in name), None)
    if capabilities.has_octants and first_version is not None and version >= first_version:
        return "octant"
    is_known = first_version is not None or any(family in name for family in _SEXTANT_FAMILIES)
    return "sextant" if capabilities.has_sextants and is_known else "quadrant"


def strip_answers(data: str) -> str:
    """Return the typed text without replies of the terminal."""
    return _ANY_ANSWER.sub("", data)


def ignore_late_answers() -> None:
    """Make Textual's driver ignore replies that arrive when the app already reads the keyboard.

    The driver takes no parser as argument, so the name of its parser class is replaced.
    """
    from textual._xterm_parser import XTermParser  # noqa: PLC0415
    from textual.drivers import linux_driver  # noqa: PLC0415

    class AnswerFilteringParser(XTermParser):
        """Textual's parser of keys, without replies to our queries."""

        def feed(self, data: str) -> Iterable["Message"]:
            """Parse typed text; the empty text, which ends the input, passes unchanged."""
            typed = strip_answers(data)
            return super().feed(typed) if typed or not data else ()

    linux_driver.XTermParser = AnswerFilteringParser  # type: ignore[attr-defined]
