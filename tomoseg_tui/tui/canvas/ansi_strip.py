"""A line of the screen that is ready to be sent: escape sequences first, segments only when somebody asks.

Textual renders a `Strip` from its segments, one style after the other, which takes longer than drawing a slice.
A `PixelStrip` hands out its escape sequences as they are. When something lies over a part of the line (a toast, a
dialog) or a picture of the screen is taken, Textual cuts the line, and then segments are made.

`render` and `_segments` are Textual's own and not promised to stay; tests/tui/canvas/test_ansi_strip.py pins them.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import final

from rich.color import Color
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

_SGR = re.compile(r"\x1b\[([\d;]*)m")


@final
class PixelStrip(Strip):
    """A line of cells as text with colours switched by escape sequences.

    Parameters
    ----------
    ansi : str
        Characters one cell wide, with no escape sequences but those that choose colours (SGR).
    width : int
        Cells.
    style : Style
        What stands where the escapes choose nothing; names both colours, since Textual's filters expect them.
    """

    __slots__ = ["_ansi", "_made", "_usual"]

    def __init__(self, ansi: str, width: int, style: Style) -> None:
        super().__init__((), width)
        self._ansi, self._usual = ansi, style
        self._made: list[Segment] | None = None

    @property
    def ansi(self) -> str:
        """What is sent to the terminal."""
        return self._ansi

    @property
    def _segments(self) -> list[Segment]:
        if self._made is None:
            self._made = segments_of(self._ansi, self._usual)
        return self._made

    @_segments.setter
    def _segments(self, segments: Iterable[Segment]) -> None:
        """Take no notice: `Strip` begins by setting its list."""

    def __bool__(self) -> bool:
        return bool(self._cell_length)

    def render(self, console: Console) -> str:  # noqa: ARG002  # Textual's signature
        """Return the escape sequences as they are."""
        return self._ansi

    def crop(self, start: int, end: int | None = None) -> Strip:
        """Return the cells between two columns, as escape sequences too."""
        end = self.cell_length if end is None else min(end, self.cell_length)
        start = max(0, start)
        if start == 0 and end == self.cell_length:
            return self
        if end <= start:
            return Strip((), 0)
        return PixelStrip(cells_between(self._ansi, start, end), end - start, self._usual)


def cells_between(ansi: str, start: int, end: int) -> str:
    """Cut text with colour escapes.

    Parameters
    ----------
    ansi : str
        As `PixelStrip` takes it.
    start, end : int
        The first cell that stays and the first after it that does not.

    Returns
    -------
    str
        The cells with the escapes in force where they begin; ends by resetting the colours.
    """
    parts: list[str] = []
    column, sent = 0, ("", "")
    for text, colours in _stretches(ansi):
        inside = text[max(0, start - column) : max(0, end - column)]
        column += len(text)
        if inside:
            parts += (_switch(sent, colours), inside)
            sent = colours
    return "".join((*parts, "\x1b[0m"))


def _stretches(ansi: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the text between escapes, each with the codes of its ink and its ground, empty for the usual ones."""
    ink, ground, place = "", "", 0
    for escape in _SGR.finditer(ansi):
        if escape.start() > place:
            yield ansi[place : escape.start()], (ink, ground)
        ink, ground = _coded(escape[1], ink, ground)
        place = escape.end()
    if place < len(ansi):
        yield ansi[place:], (ink, ground)


@lru_cache(maxsize=8192)
def _coded(codes: str, ink: str, ground: str) -> tuple[str, str]:
    """Return the codes of ink and ground after one SGR sequence."""
    numbers = codes.split(";")
    while numbers:
        length = {"2": 5, "5": 3}.get(numbers[1], 1) if numbers[0] in {"38", "48"} and len(numbers) > 1 else 1
        colour, numbers = ";".join(numbers[:length]), numbers[length:]
        code = int(colour.partition(";")[0] or 0)
        if code == 0:
            ink = ground = ""
        elif 30 <= code < 40 or 90 <= code < 100:
            ink = colour
        elif code >= 40:
            ground = colour
    return ink, ground


def _switch(sent: tuple[str, str], wanted: tuple[str, str]) -> str:
    """Write the escape sequence from one pair of colours to another."""
    is_reset = any(before and not after for before, after in zip(sent, wanted, strict=True))
    codes = [after for before, after in zip(sent, wanted, strict=True) if after and (is_reset or after != before)]
    codes = ["0", *codes] if is_reset else codes
    return f"\x1b[{';'.join(codes)}m" if codes else ""


def segments_of(ansi: str, usual: Style) -> list[Segment]:
    """Read text with colour escapes as segments.

    Parameters
    ----------
    ansi : str
        As `PixelStrip` takes it.
    usual : Style
        The style before the first escape and after each reset.

    Returns
    -------
    list of Segment
        One a run of equal colours.
    """
    segments, style, place = [], usual, 0
    for escape in _SGR.finditer(ansi):
        if escape.start() > place:
            segments.append(Segment(ansi[place : escape.start()], style))
        style, place = _restyled(style, escape[1], usual), escape.end()
    if place < len(ansi):
        segments.append(Segment(ansi[place:], style))
    return segments


@lru_cache(maxsize=8192)
def _restyled(style: Style, codes: str, usual: Style) -> Style:
    """Return the style after one SGR sequence; what is neither a reset nor a colour is passed over."""
    numbers = [int(code or 0) for code in codes.split(";")]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            style = usual
        elif code >= 30:
            colour, is_ink = _colour(code, numbers), code < 40 or 90 <= code < 100
            style += Style(color=colour) if is_ink else Style(bgcolor=colour)
    return style


def _colour(code: int, numbers: list[int]) -> Color:
    """Read a colour, taking what belongs to it from the numbers that follow its code."""
    if code in {38, 48}:
        if numbers.pop(0) == 5:
            return Color.from_ansi(numbers.pop(0))
        red, green, blue = (numbers.pop(0) for _ in range(3))
        return Color.from_rgb(red, green, blue)
    return Color.from_ansi(code % 10 + 8 if code >= 90 else code % 10)
