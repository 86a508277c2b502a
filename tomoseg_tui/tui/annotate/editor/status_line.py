"""Lines that say where one is: of a line that changes only the changed cells are sent."""

from typing import final

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

Words = tuple[str, str]
"""A text and how it looks: a Rich style such as ``bold``, or empty."""


@final
class Bar(Widget):
    """One line: something on its left, something on its right. What has no room is cut in the middle."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._left: tuple[Words, ...] = ()
        self._right: tuple[Words, ...] = ()
        self._shown: list[tuple[str, str]] = []

    def say(self, left: tuple[Words, ...], right: tuple[Words, ...] = ()) -> None:
        """Say something else."""
        self._left, self._right = left, right
        cells = self._cells()
        before, self._shown = self._shown, cells
        if len(before) != len(cells):
            self.refresh()
            return
        changed = [place for place, (old, new) in enumerate(zip(before, cells, strict=True)) if old != new]
        if changed:
            self.refresh(Region(changed[0], 0, changed[-1] - changed[0] + 1, 1))

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(character for character, _ in self._cells())

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the line."""
        self._shown = self._cells()
        ground = self.rich_style
        segments: list[Segment] = []
        for character, look in self._shown:
            style = ground + Style.parse(look)
            if segments and segments[-1].style == style:
                segments[-1] = Segment(segments[-1].text + character, style)
            else:
                segments.append(Segment(character, style))
        strip = Strip(segments, len(self._shown))
        for line_filter in self.app.get_line_filters():
            strip = strip.apply_filter(line_filter, self.background_colors[1])
        blank = Strip.blank(crop.width, ground)
        return [strip.crop(crop.x, crop.right), *[blank] * (crop.height - 1)][: crop.height]

    def _cells(self) -> list[tuple[str, str]]:
        width = self.size.width
        left, right = (
            [(character, look) for text, look in words for character in text] for words in (self._left, self._right)
        )
        right = right[:width]
        room = width - len(right)
        return [*left[:room], *[(" ", "")] * (room - len(left)), *right]
