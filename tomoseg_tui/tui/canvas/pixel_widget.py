"""The base of canvases: encoded cells, row by row, and the picture at rest in pixels."""

import textwrap
from collections.abc import Sequence
from functools import lru_cache

from rich.console import COLOR_SYSTEMS
from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.dom import NoScreen
from textual.errors import NoWidget
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tomoseg_tui.tui.canvas.ansi_strip import AnsiStrip
from tomoseg_tui.tui.canvas.frame_pacing import CURSOR_QUERY, pacer_for, write_to_terminal
from tomoseg_tui.tui.canvas.slice_drawing import Frame

NO_FRAME = Frame((), (0, 0), 0)
KITTY_DELETE = "\x1b_Ga=d,q=2\x1b\\"
"""Delete all kitty pictures, which would stay over the text."""
_PLAIN_STYLE = RichStyle(color="#e4e4e4", bgcolor="#000000")
"""Colours of pictures in characters: bright on dark in every theme, because the reverse would be a negative."""


class PixelWidget(Widget):
    """The base of widgets that show frames; subclasses draw them."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "PixelWidget { width: 1fr; height: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes=classes)
        self._frame, self._message = NO_FRAME, ""
        self._strips: list[Strip] = []
        self._strips_style = RichStyle.null()
        self._still_region: Region | None = None
        self._is_displayed = True

    def on_mount(self) -> None:
        """Watch for widgets that cover or uncover the picture."""
        self.screen.screen_layout_refresh_signal.subscribe(self, self._update_still)
        self.watch(self.screen, "stack_updates", self._update_still, init=False)

    def on_unmount(self) -> None:
        """Remove the picture."""
        self._remove_still()

    def on_hide(self) -> None:
        """Remove the picture, because other widgets are shown here."""
        self._remove_still()

    # Cells

    def show_frame(self, frame: Frame, *, text: str = "") -> bool:
        """Show a frame, or a text if there is none; return whether a row has changed."""
        if self._still_region is not None and frame.still and frame.still == self._frame.still:
            return False
        previous, had_still = self._strips, self._still_region is not None
        self._remove_still()
        self._frame, self._message = frame, text
        self._build_strips()
        changed = [row for row, strip in enumerate(self._strips) if had_still or not _is_same(strip, previous, row)]
        if changed:
            self._is_displayed = False
            self.refresh(*(Region(0, row, self.size.width, 1) for row in changed))
        elif self._is_displayed and frame.still:
            self._finish_frame()
        return bool(changed)

    def show_cells(self, frame: Frame, changed: Sequence[Region]) -> None:
        """Show a frame of the same size and place in which only some cells have changed."""
        self._frame, self._message = frame, ""
        self._build_strips()
        if changed:
            self._is_displayed = False
            column, row = frame.corner_xy
            self.refresh(*(region.translate((column, row)) for region in changed))

    def _finish_frame(self) -> None:
        """Send what follows the cells, and request a reply from the terminal after it."""
        self._send_still()
        if not self.app.is_headless and pacer_for(self.app).record_sent():
            write_to_terminal(self.app, CURSOR_QUERY)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows without converting them to segments."""
        if self._strips_style != self._base_style or len(self._strips) != self.size.height:
            self._build_strips()
        if not self._is_displayed:
            self._is_displayed = True
            pacer_for(self.app).call_when_displayed(self._finish_frame)
        strips = self._strips[crop.y : crop.bottom]
        blank = Strip.blank(crop.width, self._strips_style)
        strips += [blank] * (crop.height - len(strips))
        if crop.x == 0 and crop.width == self.size.width:
            return strips
        return [strip.crop(crop.x, crop.right) for strip in strips]

    @property
    def _base_style(self) -> RichStyle:
        """The style of the widget after Textual's filters."""
        strip = Strip([Segment(" ", self.rich_style)], 1)
        for line_filter in self.app.get_line_filters():
            strip = strip.apply_filter(line_filter, self.background_colors[1])
        return next(iter(strip)).style or self.rich_style

    def _build_strips(self) -> None:
        """Build the rows of the widget, with blanks around the frame."""
        width, height = self.size
        base_style = self._strips_style = self._base_style
        column, first_row = self._frame.corner_xy
        right_columns = max(0, width - column - self._frame.columns)
        fits = column + self._frame.columns <= width
        blank = Strip.blank(width, base_style)
        rows = self._frame.rows if fits else ()
        strips: list[Strip] = [blank] * first_row
        left_blank, right_blank = self._sgr(" " * column, base_style), self._sgr(" " * right_columns, base_style)
        strips += [AnsiStrip(left_blank + self._sgr_row(row) + right_blank, width, base_style) for row in rows]
        strips += [blank] * (height - len(strips))
        self._strips = strips[:height]
        text_lines = [
            line for paragraph in self._message.splitlines() for line in textwrap.wrap(paragraph, max(1, width - 2))
        ][:height]
        for row, line in enumerate(text_lines, start=max(0, (height - len(text_lines)) // 2)):
            self._strips[row] = Strip([Segment(line.center(width), base_style)], width)

    def _sgr_row(self, row: str) -> str:
        return row if "\x1b" in row else self._sgr(row, _PLAIN_STYLE)

    def _sgr(self, text: str, style: RichStyle) -> str:
        """Return a text with a style as SGR sequences, in the colours of the terminal."""
        system = None if self.app.is_headless else self.app.console.color_system
        return _sgr(text, style, system or "truecolor")

    # The picture at rest

    def _send_still(self) -> None:
        """Write the picture in pixels over its cells, if all of them are visible."""
        if not self._frame.still or self._is_covered():
            return
        column, row = self._frame.corner_xy
        move_cursor = f"\x1b[{self.region.y + row + 1};{self.region.x + column + 1}H"
        write_to_terminal(self.app, f"\x1b7{move_cursor}{self._frame.still}\x1b8")
        self._still_region = self.region

    def _remove_still(self) -> None:
        """Forget the picture: writing cells removes sixels, kitty pictures must be deleted."""
        if self._still_region is not None and self._frame.still.startswith("\x1b_G"):
            write_to_terminal(self.app, KITTY_DELETE)
        self._still_region = None

    def _is_covered(self) -> bool:
        try:
            screen, geometry = self.screen, self.screen.find_widget(self)
        except (NoScreen, NoWidget):
            return True
        is_cut = geometry.visible_region != geometry.region
        would_scroll = geometry.region.bottom >= self.app.size.height  # a sixel on the last line scrolls the screen
        return is_cut or would_scroll or self.app.screen is not screen or bool(screen.query("Toast"))

    def _update_still(self, *_event: object) -> None:
        """Remove the picture if something covers it or it has moved; show it again when all of it is visible."""
        if not self._frame.still:
            return
        if self._is_covered():
            self._remove_still()
        elif self._still_region != self.region:
            self._remove_still()
            self.call_after_refresh(self._send_still)


def _is_same(strip: Strip, previous: list[Strip], row: int) -> bool:
    if row >= len(previous):
        return False
    if isinstance(strip, AnsiStrip):
        previous_strip = previous[row]
        return isinstance(previous_strip, AnsiStrip) and previous_strip.ansi == strip.ansi and len(strip.ansi) > 0
    return strip is previous[row]


@lru_cache(maxsize=1024)
def _sgr(text: str, style: RichStyle, system: str) -> str:
    colours = COLOR_SYSTEMS[system]
    codes: list[str] = []
    for colour, is_foreground in ((style.color, True), (style.bgcolor, False)):
        codes += colour.downgrade(colours).get_ansi_codes(foreground=is_foreground) if colour is not None else ()
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if text else ""
