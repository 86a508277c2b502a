"""The paint editor: keys and mouse events that change a tile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.timer import Timer

from tomoseg_tui.core.annotation import FEATURE, Layer
from tomoseg_tui.core.paint_tools import Tool
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError, TomosegError
from tomoseg_tui.tui.annotate.editor.edit_session import (
    EditRequest,
    EditSession,
    LayerSource,
    copy_nearest_slice,
    interpolate_slices,
)
from tomoseg_tui.tui.annotate.editor.editor_bindings import PAINT_BINDINGS
from tomoseg_tui.tui.annotate.editor.editor_view import EditorView
from tomoseg_tui.tui.annotate.editor.tool_state import ToolOutput
from tomoseg_tui.tui.annotate.editor.toolbox import Toolbox
from tomoseg_tui.tui.annotate.editor.view_filters import ViewSettings
from tomoseg_tui.tui.canvas.paint_canvas import PaintCanvas
from tomoseg_tui.tui.dialogs.confirm import ask_first

PEN_SAVE_SECONDS = 2.0
"""Pause with the pen down after which the stroke so far is saved; the pen stays down, s."""
RETRY_SECONDS = 2.0
"""Time until strokes that could not be written are tried again, s."""


@final
class PaintEditor(Container):
    """A tile that is painted with keyboard and mouse."""

    BINDINGS: ClassVar[list[BindingType]] = [*PAINT_BINDINGS]

    class EditorLeft(Message):
        """The user returns to the list."""

    @dataclass
    class TileStepped(Message):
        """Another tile is requested."""

        step: int
        """1 for the next, -1 for the previous one."""

    @dataclass
    class TileFinished(Message):
        """A tile is marked; the next unfinished one is requested."""

        place: TileLocation

    class MarksSaved(Message):
        """The marks of a tile are on disk."""

    def __init__(self) -> None:
        super().__init__()
        self.session = EditSession(self.call_later, self._show_saved)
        self._view = EditorView(self.session)
        self._pen_timer: Timer | None = None
        self._retry_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        yield self._view

    @property
    def canvas(self) -> PaintCanvas:
        """The canvas with the tile."""
        return self._view.canvas

    # Opening and leaving

    def open(self, request: EditRequest) -> None:
        """Open a tile in place of the open one."""
        self.session.open(request, self._show_opened)
        self._view.clear(f"reading {request.tile.location.id}")

    def _show_opened(self, fault: TomosegError | None) -> None:
        if fault is not None:
            self._view.clear(f"{fault.fault}\n{fault.fix}")
        elif self.session.open_tile is not None:
            self.canvas.follows_cursor = True
            for remark in self.session.open_tile.strokes.remarks:
                self.notify(remark, severity="warning")
            self._view.draw()

    def leave(self) -> None:
        """Close the tile and show nothing."""
        self.session.leave()
        self._view.clear()

    def on_unmount(self) -> None:
        """Write unsaved changes before the program ends."""
        self.session.end()

    def on_hide(self) -> None:
        """Save the stroke so far when another tab is opened."""
        if self.session.open_tile is not None:
            self._apply(self.session.tool_state.end_stroke())

    def on_descendant_focus(self) -> None:
        """Show that the editor has the focus."""
        self._view.draw()

    def on_descendant_blur(self) -> None:
        """Show that the editor has no focus."""
        self._view.draw()

    # Changing the tile

    def _apply(self, output: ToolOutput | None) -> None:
        """Apply the output of a tool, and show it."""
        if output is not None and (output.replaces_feature or output.mask.any()):
            self._change(lambda: self.session.paint(output))
        else:
            self._view.draw()

    def _change(self, change: Callable[[], object]) -> None:
        """Change the tile; ask first if it is marked as having none of the feature."""
        open_tile, feature = self.session.open_tile, self.session.feature

        def change_after_all() -> None:
            if open_tile is not None and self.session.open_tile is open_tile:
                open_tile.strokes.mark_wanted(feature)
                change()
                self._view.draw()

        if open_tile is None or self._refuse_if_locked():
            pass
        elif self.session.state is FeatureState.NONE_HERE:
            text = f"{open_tile.strokes.place.id} is marked as having no {feature}. u undoes your paint."
            ask_first(self.app, f"Does it have {feature}?", text, "It does", change_after_all)
        else:
            change()
        self._view.draw()

    def _refuse_if_locked(self) -> bool:
        """Show who is painting the tile, if somebody else is."""
        if self.session.lock_owner and self.session.place is not None:
            self.notify(
                "It is shown as it was when you opened it; escape and p open it again.",
                title=f"{self.session.place.id} is being painted by {self.session.lock_owner}",
                severity="warning",
                timeout=8,
            )
        return bool(self.session.lock_owner)

    def _show_saved(self, fault: TomosegError | None) -> None:
        """Show that strokes are on disk; or show why they are not, and try again."""
        if self.session.unsaved_strokes and self._retry_timer is None:
            self._retry_timer = self.set_timer(RETRY_SECONDS, self._retry)
        if fault is None:
            self._view.draw_status()
        else:
            self.notify(fault.fix, title=fault.fault, severity="error", timeout=10)
            self._view.draw()

    def _retry(self) -> None:
        self._retry_timer = None
        self.session.retry()

    # Keys of the tools

    def action_move(self, up: int, right: int) -> None:
        self.session.tool_state.move(up, right)
        self._after_move()

    def action_jump(self, up: int, right: int) -> None:
        self.session.tool_state.jump(up, right)
        self._after_move()

    def _after_move(self) -> None:
        self.canvas.follows_cursor = True
        if self.session.tool_state.pen_down:
            if self._pen_timer is not None:
                self._pen_timer.stop()
            self._pen_timer = self.set_timer(PEN_SAVE_SECONDS, self._paint_pending)
        self._view.draw()

    def _paint_pending(self) -> None:
        """Apply the stroke so far; the pen stays down."""
        self._apply(self.session.tool_state.end_stroke(stay_down=True))

    def action_press(self) -> None:
        """Use the tool at the cursor."""
        tool_state, tool_input = self.session.tool_state, self.session.tool_input
        if tool_input is None or self._refuse_if_locked():
            return
        output = tool_state.press(tool_input)
        if output is None and tool_state.tool is Tool.NETWORK:
            self.notify(f"No prediction of {self.session.feature} is available for this tile.", severity="warning")
        elif output is not None and tool_state.tool is Tool.FILL and not output.mask.any():
            self.notify("The cursor is not inside a closed outline.", severity="warning")
        self._apply(output)

    def action_pen(self) -> None:
        if not self._refuse_if_locked():
            self._apply(self.session.tool_state.toggle_pen())

    def action_tool(self, tool: str) -> None:
        self._apply(self.session.tool_state.select_tool(Tool(tool)))

    def action_wider(self, step: int) -> None:
        self.session.tool_state.adjust_setting(step)
        self._view.draw()

    def action_reach(self, step: int) -> None:
        self.session.tool_state.adjust_radius(step)
        self._view.draw()

    def action_value(self, step: int) -> None:
        self._apply(self.session.tool_state.next_value(step))

    def action_feature(self, step: int) -> None:
        self._paint_pending()
        self.session.next_feature(step)
        self._view.draw()

    def action_grow(self, by: int) -> None:
        self._paint_pending()
        tool_input = self.session.tool_input
        if tool_input is not None:
            self._apply(self.session.tool_state.grow(tool_input.layer, by))

    def action_undo(self) -> None:
        """Undo: the last point of an open shape, else the stroke so far, else the last stroke."""
        tool_state = self.session.tool_state
        if tool_state.points:
            tool_state.points.pop()
            self._view.draw()
        elif tool_state.pending_output is not None:
            tool_state.cancel()
            self._view.draw()
        else:
            self._step_history(self.session.undo, "There is nothing to undo.")

    def action_redo(self) -> None:
        self._step_history(self.session.redo, "There is nothing to redo.")

    def _step_history(self, change: Callable[[], object], empty_text: str) -> None:
        if self.session.open_tile is not None and not self._refuse_if_locked():
            if change() is None:
                self.notify(empty_text, timeout=2)
            self._view.draw()

    # Keys of the view

    def _see(self, view_settings: ViewSettings) -> None:
        self.session.view_settings = view_settings
        self._view.draw()

    def action_overlay(self) -> None:
        self._see(self.session.view_settings.next_overlay())

    def action_filter(self) -> None:
        self._see(self.session.view_settings.next_filter())

    def action_contrast(self) -> None:
        self._see(self.session.view_settings.next_contrast())

    def action_beside(self, step: int) -> None:
        self._see(self.session.view_settings.step_z(step))

    def action_zoom(self, steps: int) -> None:
        self.canvas.zoom_by(steps)
        self._view.draw_status()

    def action_half(self) -> None:
        self.canvas.lower_half = not self.canvas.lower_half
        self.notify(
            f"The mouse selects the {'lower' if self.canvas.lower_half else 'upper'} pixel of cells.", timeout=2
        )

    # Keys for other slices

    def action_copy(self) -> None:
        self._fetch("copy", copy_nearest_slice)

    def action_between(self) -> None:
        self._fetch("between", interpolate_slices)

    def _fetch(self, tool: str, source: LayerSource) -> None:
        def on_fetched(result: tuple[Layer, str] | TomosegError) -> None:
            if isinstance(result, TomosegError):
                self.notify(result.fix, title=result.fault, severity="warning")
            else:
                self._change(lambda: self.session.replace_layer(result[0], tool))
                self.notify(result[1], timeout=4)

        if not self._refuse_if_locked():
            self.session.fetch_layer(source, on_fetched)

    # The mouse

    @on(PaintCanvas.Pressed)
    def start_drag(self, event: PaintCanvas.Pressed) -> None:
        """Start a stroke, or use the tool."""
        tool_input, self.canvas.follows_cursor = self.session.tool_input, False
        if tool_input is not None and not self._refuse_if_locked():
            self._apply(self.session.tool_state.start_drag(event.y, event.x, tool_input, erase=event.erase))

    @on(PaintCanvas.Dragged)
    def drag(self, event: PaintCanvas.Dragged) -> None:
        """Continue the stroke."""
        if self.session.tool_state.is_dragging:
            self.session.tool_state.drag(event.y, event.x)
            self._view.draw()

    @on(PaintCanvas.Released)
    def release(self) -> None:
        """End the stroke."""
        self._apply(self.session.tool_state.release())

    @on(PaintCanvas.Scrolled)
    def zoom_by_wheel(self, event: PaintCanvas.Scrolled) -> None:
        """Zoom in or out around the mouse."""
        if not self.session.tool_state.pen_down and not self.session.tool_state.is_dragging:
            self.session.tool_state.go_to(event.y, event.x)
            self._view.draw()
        self.action_zoom(event.steps)

    @on(Toolbox.ToolChosen)
    def choose_tool(self, event: Toolbox.ToolChosen) -> None:
        """Choose the clicked tool."""
        self.action_tool(event.tool)

    @on(Toolbox.ValueChosen)
    def choose_value(self, event: Toolbox.ValueChosen) -> None:
        """Paint the clicked value."""
        while self.session.tool_state.value != event.value:
            self.action_value(1)

    # Leaving and marking

    def action_leave(self) -> None:
        """Drop the open shape; if there is none, return to the list."""
        if self.session.tool_state.cancel():
            self._view.draw()
        else:
            self.post_message(self.EditorLeft())

    def action_step(self, step: int) -> None:
        self.post_message(self.TileStepped(step))

    def action_finish(self) -> None:
        """End the open shape; if there is none, mark the tile done."""
        session = self.session
        if session.tool_state.is_open:
            self._apply(session.tool_state.finish())
        elif session.open_tile is not None and not self._refuse_if_locked():
            features = session.features_to_finish()
            warnings = [text for feature in features for text in session.warnings(feature, FeatureState.ANNOTATED)]
            mark, text = partial(self._mark, features, "--done"), "\n".join(warnings)
            ask_first(self.app, "Mark it done anyway?", text, "Mark done", mark)

    def action_none_here(self) -> None:
        """Mark that the tile has none of the feature."""
        session, feature = self.session, self.session.feature
        if session.open_tile is None or self._refuse_if_locked():
            return
        session.tool_state.cancel()
        warnings = session.warnings(feature, FeatureState.NONE_HERE)
        pixels = int((session.open_tile.strokes.layers[feature] == FEATURE).sum())
        if pixels and not any("paint" in warning for warning in warnings):
            warnings.insert(0, f"{pixels} pixels of {feature} are painted on it. They are removed; u restores them.")
        mark, text = partial(self._mark, [feature], "--none"), "\n".join(warnings)
        ask_first(self.app, f"Mark that it has no {feature}?", text, "None here", mark)

    def _mark(self, features: Sequence[str], option: str) -> None:
        """Mark the tile for some features, and request the next tile."""
        if self.session.open_tile is None:
            return
        try:
            self.session.mark(features, option, lambda: self.post_message(self.MarksSaved()))
        except ProjectError as fault:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        self._view.draw()
        self.post_message(self.TileFinished(self.session.open_tile.strokes.place))
