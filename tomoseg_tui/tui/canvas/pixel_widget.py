"""What canvases share: cells that are ready to be sent, row by row, and the picture at rest in pixels."""

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

from tomoseg_tui.tui.canvas.ansi_strip import PixelStrip
from tomoseg_tui.tui.canvas.frame_pacing import ASK, pacer_of, write_to_terminal
from tomoseg_tui.tui.canvas.slice_drawing import Frame

NO_FRAME = Frame((), (0, 0), 0)
KITTY_DELETE = "\x1b_Ga=d,q=2\x1b\\"
"""Take all pictures away: kitty keeps them over the text."""
_PLAIN = RichStyle(color="#e4e4e4", bgcolor="#000000")
"""Of pictures in characters: bright on dark in every theme, or they would be negatives."""


class PixelWidget(Widget):
    """A widget that shows frames; what they show is for those that derive from it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "PixelWidget { width: 1fr; height: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes=classes)
        self._frame, self._words = NO_FRAME, ""
        self._strips: list[Strip] = []
        self._strips_style = RichStyle.null()
        self._still_region: Region | None = None
        self._is_displayed = True

    def on_mount(self) -> None:
        """Hear when something comes to lie over the picture, and when it goes."""
        self.screen.screen_layout_refresh_signal.subscribe(self, self._look_whether_covered)
        self.watch(self.screen, "stack_updates", self._look_whether_covered, init=False)

    def on_unmount(self) -> None:
        """Leave no picture behind."""
        self._take_still_away()

    def on_hide(self) -> None:
        """Leave no picture over what is shown instead."""
        self._take_still_away()

    # Cells

    def show_frame(self, frame: Frame, *, words: str = "") -> bool:
        """Show a frame, or words where there is none; tell whether a row has changed."""
        if self._still_region is not None and frame.still and frame.still == self._frame.still:
            return False
        old, covered = self._strips, self._still_region is not None
        self._take_still_away()
        self._frame, self._words = frame, words
        self._lay_strips()
        changed = [row for row, strip in enumerate(self._strips) if covered or not _is_same(strip, old, row)]
        if changed:
            self._is_displayed = False
            self.refresh(*(Region(0, row, self.size.width, 1) for row in changed))
        elif self._is_displayed and frame.still:
            self._finish_frame()
        return bool(changed)

    def show_cells(self, frame: Frame, changed: Sequence[Region]) -> None:
        """Show a frame of the same size in the same place, of which only some cells have changed."""
        self._frame, self._words = frame, ""
        self._lay_strips()
        if changed:
            self._is_displayed = False
            column, row = frame.corner_xy
            self.refresh(*(region.translate((column, row)) for region in changed))

    def _finish_frame(self) -> None:
        """Send what follows the cells, and ask the terminal to say when all of it has come."""
        self._send_still()
        if not self.app.is_headless and pacer_of(self.app).sent():
            write_to_terminal(self.app, ASK)

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows as they are, without Textual's detour over segments."""
        if self._strips_style != self._ground or len(self._strips) != self.size.height:
            self._lay_strips()
        if not self._is_displayed:
            self._is_displayed = True
            pacer_of(self.app).when_displayed(self._finish_frame)
        strips = self._strips[crop.y : crop.bottom]
        blank = Strip.blank(crop.width, self._strips_style)
        strips += [blank] * (crop.height - len(strips))
        if crop.x == 0 and crop.width == self.size.width:
            return strips
        return [strip.crop(crop.x, crop.right) for strip in strips]

    @property
    def _ground(self) -> RichStyle:
        """The widget's style as Textual's filters leave it."""
        strip = Strip([Segment(" ", self.rich_style)], 1)
        for line_filter in self.app.get_line_filters():
            strip = strip.apply_filter(line_filter, self.background_colors[1])
        return next(iter(strip)).style or self.rich_style

    def _lay_strips(self) -> None:
        """Put the frame's rows between blanks."""
        width, height = self.size
        ground = self._strips_style = self._ground
        column, first = self._frame.corner_xy
        right = max(0, width - column - self._frame.columns)
        fits = column + self._frame.columns <= width
        blank = Strip.blank(width, ground)
        rows = self._frame.rows if fits else ()
        strips: list[Strip] = [blank] * first
        left, end = self._sgr(" " * column, ground), self._sgr(" " * right, ground)
        strips += [PixelStrip(left + self._sgr_row(row) + end, width, ground) for row in rows]
        strips += [blank] * (height - len(strips))
        self._strips = strips[:height]
        said = [line for words in self._words.splitlines() for line in textwrap.wrap(words, max(1, width - 2))][:height]
        for row, line in enumerate(said, start=max(0, (height - len(said)) // 2)):
            self._strips[row] = Strip([Segment(line.center(width), ground)], width)

    def _sgr_row(self, row: str) -> str:
        return row if "\x1b" in row else self._sgr(row, _PLAIN)

    def _sgr(self, text: str, style: RichStyle) -> str:
        """Write text in a style, in the terminal's colours."""
        system = None if self.app.is_headless else self.app.console.color_system
        return _sgr(text, style, system or "truecolor")

    # The picture at rest

    def _send_still(self) -> None:
        """Write the picture in pixels over its cells, if they are all seen."""
        if not self._frame.still or self._is_covered():
            return
        column, row = self._frame.corner_xy
        place = f"\x1b[{self.region.y + row + 1};{self.region.x + column + 1}H"
        write_to_terminal(self.app, f"\x1b7{place}{self._frame.still}\x1b8")
        self._still_region = self.region

    def _take_still_away(self) -> None:
        """Forget the picture; sixels go when cells are written over them, kitty's must be taken away."""
        if self._still_region is not None and self._frame.still.startswith("\x1b_G"):
            write_to_terminal(self.app, KITTY_DELETE)
        self._still_region = None

    def _is_covered(self) -> bool:
        try:
            screen, place = self.screen, self.screen.find_widget(self)
        except (NoScreen, NoWidget):
            return True
        is_cut = place.visible_region != place.region
        scrolls = place.region.bottom >= self.app.size.height  # a sixel on the last line moves the screen up
        return is_cut or scrolls or self.app.screen is not screen or bool(screen.query("Toast"))

    def _look_whether_covered(self, *_event: object) -> None:
        """Take the picture away where something lies over it or it has moved; bring it back when all is seen."""
        if not self._frame.still:
            return
        if self._is_covered():
            self._take_still_away()
        elif self._still_region != self.region:
            self._take_still_away()
            self.call_after_refresh(self._send_still)


def _is_same(strip: Strip, old: list[Strip], row: int) -> bool:
    if row >= len(old):
        return False
    if isinstance(strip, PixelStrip):
        before = old[row]
        return isinstance(before, PixelStrip) and before.ansi == strip.ansi and len(strip.ansi) > 0
    return strip is old[row]


@lru_cache(maxsize=1024)
def _sgr(text: str, style: RichStyle, system: str) -> str:
    colours = COLOR_SYSTEMS[system]
    codes: list[str] = []
    for colour, is_ink in ((style.color, True), (style.bgcolor, False)):
        codes += colour.downgrade(colours).get_ansi_codes(foreground=is_ink) if colour is not None else ()
    return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if text else ""
