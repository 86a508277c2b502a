"""The two lines around a tile being painted; only changed cells of a line are sent."""

from typing import final

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tomoseg_tui.core.annotation import FEATURE, UNLABELLED
from tomoseg_tui.render.colours import LabelStyle
from tomoseg_tui.tui.annotate.editor.edit_session import EditSession
from tomoseg_tui.tui.annotate.editor.tool_state import VALUE_LABELS
from tomoseg_tui.tui.annotate.tile_list import STATE_LABELS

StyledText = tuple[str, str]
"""A text and its style: a Rich style such as ``bold``, or empty."""
LineText = tuple[tuple[StyledText, ...], tuple[StyledText, ...]]
"""The left and the right part of a line."""


@final
class StatusLine(Widget):
    """One line with a left and a right part; the left part is cut if the line is too short."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._left: tuple[StyledText, ...] = ()
        self._right: tuple[StyledText, ...] = ()
        self._shown: list[tuple[str, str]] = []

    def set_text(self, left: tuple[StyledText, ...], right: tuple[StyledText, ...] = ()) -> None:
        """Replace the text."""
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
        """The shown line."""
        return "".join(character for character, _ in self._cells())

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the line as Textual draws it."""
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


def upper_text(session: EditSession, style: LabelStyle, zoom: int) -> LineText:
    """Return the feature and the tile being painted, and the view settings."""
    red, green, blue = style.rgb
    left = [(f" {style.letter} {session.feature} ", f"bold rgb(0,0,0) on rgb({red},{green},{blue})")]
    if session.open_tile is not None:
        pixels = int((session.open_tile.strokes.layers[session.feature] == FEATURE).sum())
        left.append((f" {STATE_LABELS[session.state]}, {pixels} px", ""))
    view, place = session.view_settings.describe(), session.place
    right = [(f" {view}  ", "bold")] if view else []
    if place is not None:
        right.append((f" {place.tomogram} {place.x},{place.y},{place.z}  x{zoom} ", ""))
    return tuple(left), tuple(right)


def lower_text(session: EditSession, style: LabelStyle) -> LineText:
    """Return the tool and its value, the cursor position, and whether everything is on disk."""
    tool_state, place = session.tool_state, session.place
    value = tool_state.paint_value
    painted = VALUE_LABELS[value] if value == UNLABELLED else f"{style.letter} {VALUE_LABELS[value]}"
    left = [(f" {tool_state.tool} {tool_state.setting()}", "bold"), (f"  {painted}", "")]
    points = len(tool_state.points)
    if tool_state.pen_down:
        left.append(("  PEN DOWN", "bold reverse"))
    elif points:
        left.append((f"  {points} point{'s' if points > 1 else ''}", "bold"))
    if place is None or session.open_tile is None:
        return tuple(left), ()
    _, top_edge, left_edge = place.corner_zyx
    position = f"{left_edge + tool_state.cursor_yx[1]},{top_edge + tool_state.cursor_yx[0]},{place.z}"
    return tuple(left), ((f"{position}  undo {session.open_tile.strokes.undo_depth}  ", ""), _save_text(session))


def _save_text(session: EditSession) -> StyledText:
    if session.lock_owner:
        return "READ ONLY ", "bold reverse"
    if session.unsaved_strokes:
        return f"NOT ON DISK: {session.unsaved_strokes} ", "bold reverse"
    unsaved = session.open_tile.strokes.unsaved_count if session.open_tile is not None else 0
    return (f"saving {unsaved} ", "") if unsaved else ("on disk ", "")
