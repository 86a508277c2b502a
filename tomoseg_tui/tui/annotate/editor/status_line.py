"""Lines that say where one is: of a line that changes only the changed cells are sent."""

from typing import final

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

StyledText = tuple[str, str]
"""A text and how it looks: a Rich style such as ``bold``, or empty."""


@final
class StatusLine(Widget):
    """One line: something on its left, something on its right. What has no room is cut in the middle."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._left: tuple[StyledText, ...] = ()
        self._right: tuple[StyledText, ...] = ()
        self._shown: list[tuple[str, str]] = []

    def set_text(self, left: tuple[StyledText, ...], right: tuple[StyledText, ...] = ()) -> None:
        """Say something else."""
        self._left, self._right = left, right
        cells = self._cells()
        previous, self._shown = self._shown, cells
        if len(previous) != len(cells):
            self.refresh()
            return
        changed = [column for column, (old, new) in enumerate(zip(previous, cells, strict=True)) if old != new]
        if changed:
            self.refresh(Region(changed[0], 0, changed[-1] - changed[0] + 1, 1))

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(character for character, _ in self._cells())

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the line."""
        self._shown = self._cells()
        base_style = self.rich_style
        segments: list[Segment] = []
        for character, style_name in self._shown:
            style = base_style + Style.parse(style_name)
            if segments and segments[-1].style == style:
                segments[-1] = Segment(segments[-1].text + character, style)
            else:
                segments.append(Segment(character, style))
        strip = Strip(segments, len(self._shown))
        for line_filter in self.app.get_line_filters():
            strip = strip.apply_filter(line_filter, self.background_colors[1])
        blank = Strip.blank(crop.width, base_style)
        return [strip.crop(crop.x, crop.right), *[blank] * (crop.height - 1)][: crop.height]

    def _cells(self) -> list[tuple[str, str]]:
        width = self.size.width
        left, right = (
            [(character, style_name) for text, style_name in parts for character in text]
            for parts in (self._left, self._right)
        )
        right = right[:width]
        free_width = width - len(right)
        return [*left[:free_width], *[(" ", "")] * (free_width - len(left)), *right]
