"""The editor: what keys and mouse do to the tile that lies on the desk."""

from typing import Any, ClassVar, final

from textual import on
from textual.binding import BindingType
from textual.message import Message

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.tiles import FeatureState
from tomoseg_tui.tui.annotate.editor.editor_bindings import PAINT_BINDINGS
from tomoseg_tui.tui.annotate.editor.strokes import StrokeEditor, copy_nearest_slice, interpolate_slices
from tomoseg_tui.tui.annotate.editor.tool_state import Tool
from tomoseg_tui.tui.annotate.editor.toolbox import Toolbox
from tomoseg_tui.tui.annotate.tile_view import OVERLAY_MODES
from tomoseg_tui.tui.canvas.paint_canvas import PaintCanvas

PEN_SAVE_SECONDS = 2.0
"""Rest with the pen down after which the stroke in hand is kept; the pen stays down."""


@final
class PaintEditor(StrokeEditor):
    """A tile that is painted by keyboard and mouse."""

    BINDINGS: ClassVar[list[BindingType]] = [*PAINT_BINDINGS]

    class EditorLeft(Message):
        """The painter goes back to the list."""

    class TileStepped(Message):
        """Another tile is wanted: 1 the next, -1 the one before."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._pen_timer: Any = None

    def on_hide(self) -> None:
        """Keep the stroke in hand when another tab is opened."""
        if self._open_tile is not None:
            self._apply(self.tool_state.end_stroke())

    def _save_pen_stroke(self) -> None:
        """Keep the stroke in hand: the pen has rested for a while."""
        self._pen_timer = None
        self._apply(self.tool_state.end_stroke(stay_down=True))

    # Keys

    def action_move(self, up: int, right: int) -> None:
        """Move the cursor by pixels."""
        self.tool_state.move(up, right)
        self._after_move()

    def action_jump(self, up: int, right: int) -> None:
        """Move the cursor to a border of the tile."""
        self.tool_state.jump(up, right)
        self._after_move()

    def _after_move(self) -> None:
        self.canvas.follows_cursor = True
        if self.tool_state.pen_down:
            if self._pen_timer is not None:
                self._pen_timer.stop()
            self._pen_timer = self.set_timer(PEN_SAVE_SECONDS, self._save_pen_stroke)
        self._draw()

    def action_press(self) -> None:
        """Do at the cursor what the tool does."""
        tool_input = self._tool_input
        if tool_input is None or self._refuse_if_locked():
            return
        output = self.tool_state.press(tool_input)
        if output is None and self.tool_state.tool is Tool.NETWORK:
            self.notify(f"No network has an opinion on {self.feature} here.", severity="warning")
        elif output is not None and self.tool_state.tool is Tool.FILL and not output.mask.any():
            self.notify("The cursor is not inside a closed outline.", severity="warning")
        self._apply(output)

    def action_pen(self) -> None:
        """Put the pen down, or lift it."""
        if not self._refuse_if_locked():
            self._apply(self.tool_state.toggle_pen())

    def action_tool(self, tool: str) -> None:
        """Take another tool."""
        self._apply(self.tool_state.select_tool(Tool(tool)))

    def action_wider(self, step: int) -> None:
        """Make the tool wider or narrower."""
        self.tool_state.adjust_setting(step)
        self._draw()

    def action_reach(self, step: int) -> None:
        """Let the wand reach farther or less far."""
        self.tool_state.adjust_radius(step)
        self._draw()

    def action_value(self, step: int) -> None:
        """Paint another value."""
        self._apply(self.tool_state.next_value(step))

    def action_feature(self, step: int) -> None:
        """Paint another feature."""
        if self._open_tile is not None and self._request is not None:
            self._apply(self.tool_state.end_stroke(stay_down=True))
            features = [feature for feature in self._request.features if feature in self._open_tile.session.layers]
            self.feature = features[(features.index(self.feature) + step) % len(features)]
            self._reset_threshold()
            self._draw()

    def action_grow(self, by: int) -> None:
        """Grow or shrink what holds the value that is painted."""
        if self._tool_input is not None:
            self._apply(self.tool_state.end_stroke(stay_down=True))
            self._apply(self.tool_state.grow(self._tool_input.layer, by))

    def action_undo(self) -> None:
        """Take back: the last point of an open shape, else the last stroke."""
        if self.tool_state.points:
            self.tool_state.points.pop()
            self._draw()
        elif self.tool_state.pending_output is not None:
            self.tool_state.cancel()
            self._draw()
        elif self._open_tile is not None and not self._refuse_if_locked():
            self._show_change(self._open_tile.session.undo(), "There is nothing to take back.")

    def action_redo(self) -> None:
        """Do again what was taken back."""
        if self._open_tile is not None and not self._refuse_if_locked():
            self._show_change(self._open_tile.session.redo(), "There is nothing to do again.")

    def _show_change(self, change: Any, message: str) -> None:
        """Show a change, with the feature that it is of."""
        if change is None:
            self.notify(message, timeout=2)
            return
        self.feature = change.feature
        self._after_change(change)

    # The eye

    def action_overlay(self) -> None:
        """Show the paint as an overlay, as an outline, or not."""
        self._overlay = OVERLAY_MODES[(OVERLAY_MODES.index(self._overlay) + 1) % len(OVERLAY_MODES)]
        self._draw()

    def action_filter(self) -> None:
        """Look through the next filter."""
        self._view_settings = self._view_settings.next_filter()
        self._update_view()

    def action_contrast(self) -> None:
        """Look with the next contrast."""
        self._view_settings = self._view_settings.next_contrast()
        self._update_view()

    def action_beside(self, step: int) -> None:
        """Look at the slice below or above."""
        self._view_settings = self._view_settings.step_z(step)
        self._update_view()

    def action_zoom(self, steps: int) -> None:
        """Enlarge or shrink."""
        self.canvas.zoom_by(steps)
        self.update_status()

    def action_half(self) -> None:
        """Let the mouse mean the other half of a cell."""
        self.canvas.lower_half = not self.canvas.lower_half
        self.notify(f"The mouse means the {'lower' if self.canvas.lower_half else 'upper'} pixel of a cell.", timeout=2)

    # Other slices

    def action_copy(self) -> None:
        """Copy the paint of the nearest slice of this place that has any."""
        self._fetch("copy", copy_nearest_slice)

    def action_between(self) -> None:
        """Paint what lies between the slices below and above."""
        self._fetch("between", interpolate_slices)

    # The mouse

    @on(PaintCanvas.Pressed)
    def start_drag(self, event: PaintCanvas.Pressed) -> None:
        """Begin a stroke, or do what the tool does."""
        tool_input, self.canvas.follows_cursor = self._tool_input, False
        if tool_input is not None and not self._refuse_if_locked():
            self._apply(self.tool_state.start_drag(event.y, event.x, tool_input, erase=event.erase))

    @on(PaintCanvas.Dragged)
    def drag(self, event: PaintCanvas.Dragged) -> None:
        """Go on with the stroke."""
        if self.tool_state.is_dragging:
            self.tool_state.drag(event.y, event.x)
            self._draw()

    @on(PaintCanvas.Released)
    def release(self) -> None:
        """End the stroke."""
        self._apply(self.tool_state.release())

    @on(PaintCanvas.Scrolled)
    def zoom_by_wheel(self, event: PaintCanvas.Scrolled) -> None:
        """Enlarge or shrink what is under the mouse."""
        if not self.tool_state.pen_down and not self.tool_state.is_dragging:
            self.tool_state.go_to(event.y, event.x)
            self._draw()
        self.action_zoom(event.steps)

    def select_tool(self, event: Toolbox.ToolChosen) -> None:
        """Take the tool that was clicked."""
        self.action_tool(event.tool)

    def select_value(self, event: Toolbox.ValueChosen) -> None:
        """Paint the value that was clicked."""
        while self.tool_state.value != event.value:
            self.action_value(1)

    # Leaving and marking

    def action_leave(self) -> None:
        """Drop the open shape; with none, go back to the list."""
        if self.tool_state.cancel():
            self._draw()
        else:
            self.post_message(self.EditorLeft())

    def action_step(self, step: int) -> None:
        """Go to another tile."""
        self.post_message(self.TileStepped(step))

    def action_finish(self) -> None:
        """End the open shape; with none, mark the tile done."""
        if self.tool_state.is_open:
            self._apply(self.tool_state.finish())
        elif self._open_tile is not None and not self._refuse_if_locked():
            features = self._features_to_finish()
            warnings = [warning for feature in features for warning in self._warnings(feature, FeatureState.ANNOTATED)]
            self._confirm("Mark it done all the same?", warnings, "Mark done", lambda: self._mark(features, "--done"))

    def action_none_here(self) -> None:
        """Mark that the tile holds none of the feature."""
        if self._open_tile is None or self._refuse_if_locked():
            return
        self.tool_state.cancel()
        feature = self.feature
        warnings = self._warnings(feature, FeatureState.NONE_HERE)
        pixels = int((self._open_tile.session.layers[feature] == FEATURE).sum())
        if pixels and not any("paint" in warning for warning in warnings):
            warnings.insert(0, f"{pixels} pixels of {feature} are painted on it; they go, and u brings them back.")
        self._confirm(
            f"Mark that it holds no {feature}?", warnings, "None here", lambda: self._mark([feature], "--none")
        )
