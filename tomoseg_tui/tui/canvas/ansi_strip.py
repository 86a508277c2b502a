"""A screen line stored as escape sequences; segments are only made when needed.

Textual renders a `Strip` segment by segment, which takes longer than drawing a slice.
An `AnsiStrip` returns its escape sequences unchanged. When something covers a part of the line (a toast, a
dialog) or a screenshot is taken, Textual crops the line, and segments are made.

`render` and `_segments` are private to Textual and may change; tests/tui/canvas/test_ansi_strip.py pins them.
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
class AnsiStrip(Strip):
    """A line of cells as text with SGR colour sequences.

    Parameters
    ----------
    ansi : str
        Characters one cell wide; the only escape sequences are colours (SGR).
    width : int
        Number of cells.
    style : Style
        Style of cells without escape sequences; it has both colours, because Textual's filters expect them.
    """

    __slots__ = ["_ansi", "_cached_segments", "_default_style"]

    def __init__(self, ansi: str, width: int, style: Style) -> None:
        super().__init__((), width)
        self._ansi, self._default_style = ansi, style
        self._cached_segments: list[Segment] | None = None

    @property
    def ansi(self) -> str:
        """The text that is sent to the terminal."""
        return self._ansi

    @property
    def _segments(self) -> list[Segment]:
        if self._cached_segments is None:
            self._cached_segments = segments_from_ansi(self._ansi, self._default_style)
        return self._cached_segments

    @_segments.setter
    def _segments(self, segments: Iterable[Segment]) -> None:
        """Do nothing: `Strip` sets its list in the constructor."""

    def __bool__(self) -> bool:
        return bool(self._cell_length)

    def render(self, console: Console) -> str:  # noqa: ARG002  # Textual's signature
        """Return the escape sequences unchanged."""
        return self._ansi

    def crop(self, start: int, end: int | None = None) -> Strip:
        """Return the cells between two columns, as an `AnsiStrip`."""
        end = self.cell_length if end is None else min(end, self.cell_length)
        start = max(0, start)
        if start == 0 and end == self.cell_length:
            return self
        if end <= start:
            return Strip((), 0)
        return AnsiStrip(crop_ansi(self._ansi, start, end), end - start, self._default_style)


def crop_ansi(ansi: str, start: int, end: int) -> str:
    """Crop text with colour sequences.

    Parameters
    ----------
    start, end : int
        The first cell to keep, and the first one after it to drop.

    Returns
    -------
    str
        The cells, with the colours in force at their start; ends with a reset.
    """
    parts: list[str] = []
    column, current = 0, ("", "")
    for text, colours in _colour_runs(ansi):
        visible_text = text[max(0, start - column) : max(0, end - column)]
        column += len(text)
        if visible_text:
            parts += (_sgr_between(current, colours), visible_text)
            current = colours
    return "".join((*parts, "\x1b[0m"))


def _colour_runs(ansi: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the text between sequences, each with its foreground and background codes; empty for the defaults."""
    foreground, background, position = "", "", 0
    for escape in _SGR.finditer(ansi):
        if escape.start() > position:
            yield ansi[position : escape.start()], (foreground, background)
        foreground, background = _apply_sgr(escape[1], foreground, background)
        position = escape.end()
    if position < len(ansi):
        yield ansi[position:], (foreground, background)


@lru_cache(maxsize=8192)
def _apply_sgr(codes: str, foreground: str, background: str) -> tuple[str, str]:
    """Return the foreground and background codes after one SGR sequence."""
    numbers = codes.split(";")
    while numbers:
        length = {"2": 5, "5": 3}.get(numbers[1], 1) if numbers[0] in {"38", "48"} and len(numbers) > 1 else 1
        colour, numbers = ";".join(numbers[:length]), numbers[length:]
        code = int(colour.partition(";")[0] or 0)
        if code == 0:
            foreground = background = ""
        elif 30 <= code < 40 or 90 <= code < 100:
            foreground = colour
        elif code >= 40:
            background = colour
    return foreground, background


def _sgr_between(current: tuple[str, str], target: tuple[str, str]) -> str:
    """Return the escape sequence from one pair of colours to another."""
    is_reset = any(before and not after for before, after in zip(current, target, strict=True))
    codes = [after for before, after in zip(current, target, strict=True) if after and (is_reset or after != before)]
    codes = ["0", *codes] if is_reset else codes
    return f"\x1b[{';'.join(codes)}m" if codes else ""


def segments_from_ansi(ansi: str, default_style: Style) -> list[Segment]:
    """Convert text with colour sequences to segments.

    Returns
    -------
    list of Segment
        One for each run of equal colours.
    """
    segments, style, position = [], default_style, 0
    for escape in _SGR.finditer(ansi):
        if escape.start() > position:
            segments.append(Segment(ansi[position : escape.start()], style))
        style, position = _apply_sgr_to_style(style, escape[1], default_style), escape.end()
    if position < len(ansi):
        segments.append(Segment(ansi[position:], style))
    return segments


@lru_cache(maxsize=8192)
def _apply_sgr_to_style(style: Style, codes: str, default_style: Style) -> Style:
    """Return the style after one SGR sequence; codes other than resets and colours are ignored."""
    numbers = [int(code or 0) for code in codes.split(";")]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            style = default_style
        elif code >= 30:
            colour, is_foreground = _parse_colour(code, numbers), code < 40 or 90 <= code < 100
            style += Style(color=colour) if is_foreground else Style(bgcolor=colour)
    return style


def _parse_colour(code: int, numbers: list[int]) -> Color:
    """Parse a colour; consumes the numbers after its code that belong to it."""
    if code in {38, 48}:
        if numbers.pop(0) == 5:
            return Color.from_ansi(numbers.pop(0))
        red, green, blue = (numbers.pop(0) for _ in range(3))
        return Color.from_rgb(red, green, blue)
    return Color.from_ansi(code % 10 + 8 if code >= 90 else code % 10)
