"""The view of a tile being painted: the image between two lines, the tools, the slices beside the tile."""

from collections.abc import Mapping
from typing import final

import numpy as np
from numpy.typing import NDArray
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED
from tomoseg_tui.core.names import IGNORE
from tomoseg_tui.render.colours import LabelStyle
from tomoseg_tui.tui.annotate.editor.edit_session import EditRequest, EditSession, OpenTile
from tomoseg_tui.tui.annotate.editor.editor_bindings import PAINT_BINDINGS
from tomoseg_tui.tui.annotate.editor.status_line import StatusLine, lower_text, upper_text
from tomoseg_tui.tui.annotate.editor.tool_state import Tool
from tomoseg_tui.tui.annotate.editor.toolbox import Toolbox
from tomoseg_tui.tui.annotate.tile_view import TileContext
from tomoseg_tui.tui.canvas.draw_style import draw_style_for
from tomoseg_tui.tui.canvas.paint_canvas import PaintCanvas
from tomoseg_tui.tui.canvas.paint_drawing import Scene
from tomoseg_tui.tui.images.tile_images import TileImages

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
        colours = _colours(styles, session.feature).items()
        has_network = session.open_tile is not None and session.feature in session.open_tile.predictions
        self._toolbox.show(
            session.tool_state,
            self._key_for,
            {value: f"rgb({red},{green},{blue})" for value, (red, green, blue) in colours},
            ascii_only=draw_style_for(self.app).renderer == "ascii",
            available={Tool.NETWORK: has_network},
        )

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
