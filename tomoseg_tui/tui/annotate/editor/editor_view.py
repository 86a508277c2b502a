"""The view of a tile being painted: the image between two lines, the tools, the slices beside the tile."""

from collections.abc import Mapping
from typing import final

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED
from tomoseg_tui.core.names import IGNORE
from tomoseg_tui.render.colours import LabelStyle
from tomoseg_tui.tui.annotate.editor.edit_session import EditRequest, EditSession, OpenTile
from tomoseg_tui.tui.annotate.editor.editor_bindings import PAINT_BINDINGS
from tomoseg_tui.tui.annotate.editor.tool_state import VALUE_LABELS
from tomoseg_tui.tui.annotate.editor.toolbox import Toolbox
from tomoseg_tui.tui.annotate.tile_list import STATE_LABELS
from tomoseg_tui.tui.annotate.tile_view import TileContext
from tomoseg_tui.tui.canvas.draw_style import draw_style_for
from tomoseg_tui.tui.canvas.paint_canvas import PaintCanvas
from tomoseg_tui.tui.canvas.paint_drawing import Scene
from tomoseg_tui.tui.images.tile_images import TileImages

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
    view, place = session.view_settings.description, session.place
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


NOT_FEATURE_RGB = (96, 96, 96)
"""Colour of pixels marked as not the feature; on the tile they are dark."""
UNLABELLED_RGB = (255, 255, 255)
"""Colour of the eraser."""


@final
class EditorView(Horizontal):
    """Shows an `EditSession`."""

    def __init__(self, session: EditSession) -> None:
        super().__init__()
        self._session = session
        self.canvas = PaintCanvas(id="paint-canvas")
        self._above, self._below = StatusLine(id="paint-above"), StatusLine(id="paint-below")
        self._toolbox, self._tile_context = Toolbox(id="annotate-tools"), TileContext()
        self._grey: NDArray[np.uint8] = np.zeros((1, 1), np.uint8)
        self._grey_of: object = None
        self._shown_tools: object = None

    def compose(self) -> ComposeResult:
        yield Vertical(self._above, self.canvas, self._below)
        yield self._toolbox
        yield self._tile_context

    def clear(self, text: str = "") -> None:
        """Show a text instead of the tile."""
        self.canvas.show(None, text=text)
        self._tile_context.show(None, ())
        self.draw_status()

    def draw(self) -> None:
        """Show the changes."""
        session, open_tile = self._session, self._session.open_tile
        if session.request is not None and open_tile is not None:
            if (open_tile, session.view_settings) != self._grey_of:
                self._grey_of = open_tile, session.view_settings
                self._grey = session.view_settings.greys(open_tile.slices)
                self._show_context(session.request, open_tile)
            self.canvas.show(self._scene(session.request, open_tile))
        self.draw_status()

    def _show_context(self, request: EditRequest, open_tile: OpenTile) -> None:
        """Show the slices beside the tile with the same filter, and the prediction of a network."""
        below, above = self._session.view_settings.neighbour_greys(open_tile.slices)
        prediction = next((open_tile.predictions[f] for f in request.chosen if f in open_tile.predictions), None)
        images = TileImages(open_tile.tile, below, self._grey, above, {}, prediction)
        self._tile_context.show(images, request.features)

    def _scene(self, request: EditRequest, open_tile: OpenTile) -> Scene:
        """Return the tile with its layers, the painted feature first, and the tool."""
        feature, tool_state, tool_input = self._session.feature, self._session.tool_state, self._session.tool_input
        styles, layers = request.styles, dict(open_tile.strokes.layers)
        painted, pending = layers.pop(feature), tool_state.pending_output
        if pending is not None:
            painted = np.where(pending.mask, np.uint8(pending.value), painted)
        preview = tool_state.preview(tool_input) if tool_input is not None else None
        return Scene(
            self._grey,
            ((styles[feature], painted), *((styles[name], layers[name]) for name in layers if name in styles)),
            styles[IGNORE],
            mode=self._session.view_settings.overlay,
            preview=None if preview is None else preview.mask,
            preview_rgb=_colours(styles, feature)[tool_state.paint_value],
            cursor_yx=tool_state.cursor_yx,
            footprint=tool_state.footprint,
            vertices=tuple(tool_state.points),
            focused=self.canvas.has_focus,
        )

    def draw_status(self) -> None:
        """Show the two lines and the tools."""
        session = self._session
        if session.request is None or not self.is_mounted:
            return
        styles = session.request.styles
        style, zoom = styles[session.feature], self.canvas.zoom
        self._above.set_text(*upper_text(session, style, zoom))
        self._below.set_text(*lower_text(session, style))
        self._draw_toolbox(_colours(styles, session.feature))

    def _draw_toolbox(self, colours: dict[int, tuple[int, int, int]]) -> None:
        """Show the tools, if anything of them has changed."""
        tool_state, open_tile, toolbox = self._session.tool_state, self._session.open_tile, self._toolbox
        ascii_only = draw_style_for(self.app).renderer == "ascii"
        has_network = open_tile is not None and self._session.feature in open_tile.predictions
        tools = (
            tool_state.tool,
            tool_state.value,
            tool_state.setting(),
            colours,
            ascii_only,
            has_network,
            toolbox.size,
        )
        if tools == self._shown_tools or not toolbox.size.width:
            return
        self._shown_tools = tools
        styles = {value: f"rgb({red},{green},{blue})" for value, (red, green, blue) in colours.items()}
        toolbox.show(tool_state, self._key_for, styles, ascii_only=ascii_only, has_network=has_network)

    def on_resize(self) -> None:
        """Show the tools in the new size."""
        self.draw_status()

    def _key_for(self, name: str) -> str:
        """Return the current key of an action of the editor."""
        active = [active.binding for active in self.screen.active_bindings.values()]
        binding = next(binding for binding in (*active, *PAINT_BINDINGS) if binding.id == f"paint.{name}")
        return self.app.get_key_display(binding)


def _colours(styles: Mapping[str, LabelStyle], feature: str) -> dict[int, tuple[int, int, int]]:
    """Return the colour of each value."""
    return {
        FEATURE: styles[feature].rgb,
        NOT_FEATURE: NOT_FEATURE_RGB,
        IGNORED: styles[IGNORE].rgb,
        UNLABELLED: UNLABELLED_RGB,
    }
