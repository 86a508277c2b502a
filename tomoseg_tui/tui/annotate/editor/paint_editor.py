"""The editor: what keys and mouse do to the tile that lies on the desk."""

from typing import Any, ClassVar, final

from textual import on
from textual.binding import BindingType
from textual.message import Message

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.tiles import FeatureState
from tomoseg_tui.tui.annotate.editor.editor_bindings import PAINT_KEYS
from tomoseg_tui.tui.annotate.editor.strokes import Strokes, between, copied
from tomoseg_tui.tui.annotate.editor.tool_state import Tool
from tomoseg_tui.tui.annotate.editor.toolbox import Toolbox
from tomoseg_tui.tui.annotate.tile_view import OVERLAYS
from tomoseg_tui.tui.canvas.paint_canvas import PaintCanvas

PEN_SECONDS = 2.0
"""Rest with the pen down after which the stroke in hand is kept; the pen stays down."""


@final
class Easel(Strokes):
    """A tile that is painted by keyboard and mouse."""

    BINDINGS: ClassVar[list[BindingType]] = [*PAINT_KEYS]

    class Left(Message):
        """The painter goes back to the list."""

    class Stepped(Message):
        """Another tile is wanted: 1 the next, -1 the one before."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._pen_timer: Any = None

    def on_hide(self) -> None:
        """Keep the stroke in hand when another tab is opened."""
        if self._open is not None:
            self._apply(self.hand.lift())

    def _pen_rests(self) -> None:
        """Keep the stroke in hand: the pen has rested for a while."""
        self._pen_timer = None
        self._apply(self.hand.lift(keep_down=True))

    # Keys

    def action_move(self, up: int, right: int) -> None:
        """Move the cursor by pixels."""
        self.hand.move(up, right)
        self._moved()

    def action_jump(self, up: int, right: int) -> None:
        """Move the cursor to a border of the tile."""
        self.hand.jump(up, right)
        self._moved()

    def _moved(self) -> None:
        self.canvas.follows = True
        if self.hand.pen_down:
            if self._pen_timer is not None:
                self._pen_timer.stop()
            self._pen_timer = self.set_timer(PEN_SECONDS, self._pen_rests)
        self._draw()

    def action_press(self) -> None:
        """Do at the cursor what the tool does."""
        ground = self._ground
        if ground is None or self._is_refused():
            return
        paint = self.hand.press(ground)
        if paint is None and self.hand.tool is Tool.NETWORK:
            self.notify(f"No network has an opinion on {self.feature} here.", severity="warning")
        elif paint is not None and self.hand.tool is Tool.FILL and not paint.mask.any():
            self.notify("The cursor is not inside a closed outline.", severity="warning")
        self._apply(paint)

    def action_pen(self) -> None:
        """Put the pen down, or lift it."""
        if not self._is_refused():
            self._apply(self.hand.toggle_pen())

    def action_tool(self, tool: str) -> None:
        """Take another tool."""
        self._apply(self.hand.choose(Tool(tool)))

    def action_wider(self, step: int) -> None:
        """Make the tool wider or narrower."""
        self.hand.wider(step)
        self._draw()

    def action_reach(self, step: int) -> None:
        """Let the wand reach farther or less far."""
        self.hand.reach(step)
        self._draw()

    def action_value(self, step: int) -> None:
        """Paint another value."""
        self._apply(self.hand.next_value(step))

    def action_feature(self, step: int) -> None:
        """Paint another feature."""
        if self._open is not None and self._subject is not None:
            self._apply(self.hand.lift(keep_down=True))
            features = [feature for feature in self._subject.features if feature in self._open.painting.layers]
            self.feature = features[(features.index(self.feature) + step) % len(features)]
            self._take_threshold()
            self._draw()

    def action_grow(self, by: int) -> None:
        """Grow or shrink what holds the value that is painted."""
        if self._ground is not None:
            self._apply(self.hand.lift(keep_down=True))
            self._apply(self.hand.grow(self._ground.layer, by))

    def action_undo(self) -> None:
        """Take back: the last point of an open shape, else the last stroke."""
        if self.hand.points:
            self.hand.points.pop()
            self._draw()
        elif self.hand.held is not None:
            self.hand.cancel()
            self._draw()
        elif self._open is not None and not self._is_refused():
            self._shown(self._open.painting.undo(), "There is nothing to take back.")

    def action_redo(self) -> None:
        """Do again what was taken back."""
        if self._open is not None and not self._is_refused():
            self._shown(self._open.painting.redo(), "There is nothing to do again.")

    def _shown(self, change: Any, nothing: str) -> None:
        """Show a change, with the feature that it is of."""
        if change is None:
            self.notify(nothing, timeout=2)
            return
        self.feature = change.feature
        self._changed(change)

    # The eye

    def action_overlay(self) -> None:
        """Show the paint as an overlay, as an outline, or not."""
        self._overlay = OVERLAYS[(OVERLAYS.index(self._overlay) + 1) % len(OVERLAYS)]
        self._draw()

    def action_filter(self) -> None:
        """Look through the next filter."""
        self._sight = self._sight.next_filter()
        self._look()

    def action_contrast(self) -> None:
        """Look with the next contrast."""
        self._sight = self._sight.next_contrast()
        self._look()

    def action_beside(self, step: int) -> None:
        """Look at the slice below or above."""
        self._sight = self._sight.towards(step)
        self._look()

    def action_zoom(self, steps: int) -> None:
        """Enlarge or shrink."""
        self.canvas.zoom_by(steps)
        self.say()

    def action_half(self) -> None:
        """Let the mouse mean the other half of a cell."""
        self.canvas.lower_half = not self.canvas.lower_half
        self.notify(f"The mouse means the {'lower' if self.canvas.lower_half else 'upper'} pixel of a cell.", timeout=2)

    # Other slices

    def action_copy(self) -> None:
        """Copy the paint of the nearest slice of this place that has any."""
        self._fetch("copy", copied)

    def action_between(self) -> None:
        """Paint what lies between the slices below and above."""
        self._fetch("between", between)

    # The mouse

    @on(PaintCanvas.Held)
    def take_hold(self, event: PaintCanvas.Held) -> None:
        """Begin a stroke, or do what the tool does."""
        ground, self.canvas.follows = self._ground, False
        if ground is not None and not self._is_refused():
            self._apply(self.hand.take_hold(event.y, event.x, ground, erase=event.erase))

    @on(PaintCanvas.Dragged)
    def drag(self, event: PaintCanvas.Dragged) -> None:
        """Go on with the stroke."""
        if self.hand.is_dragging:
            self.hand.drag(event.y, event.x)
            self._draw()

    @on(PaintCanvas.Released)
    def release(self) -> None:
        """End the stroke."""
        self._apply(self.hand.release())

    @on(PaintCanvas.Wheeled)
    def turn_wheel(self, event: PaintCanvas.Wheeled) -> None:
        """Enlarge or shrink what is under the mouse."""
        if not self.hand.pen_down and not self.hand.is_dragging:
            self.hand.go_to(event.y, event.x)
            self._draw()
        self.action_zoom(event.steps)

    def choose_tool(self, event: Toolbox.ToolChosen) -> None:
        """Take the tool that was clicked."""
        self.action_tool(event.tool)

    def choose_value(self, event: Toolbox.ValueChosen) -> None:
        """Paint the value that was clicked."""
        while self.hand.value != event.value:
            self.action_value(1)

    # Leaving and marking

    def action_leave(self) -> None:
        """Drop the open shape; with none, go back to the list."""
        if self.hand.cancel():
            self._draw()
        else:
            self.post_message(self.Left())

    def action_step(self, step: int) -> None:
        """Go to another tile."""
        self.post_message(self.Stepped(step))

    def action_finish(self) -> None:
        """End the open shape; with none, mark the tile done."""
        if self.hand.is_open:
            self._apply(self.hand.finish())
        elif self._open is not None and not self._is_refused():
            features = self._to_finish()
            asked = [words for feature in features for words in self._doubts(feature, FeatureState.ANNOTATED)]
            self._sure("Mark it done all the same?", asked, "Mark done", lambda: self._mark(features, "--done"))

    def action_none_here(self) -> None:
        """Mark that the tile holds none of the feature."""
        if self._open is None or self._is_refused():
            return
        self.hand.cancel()
        feature = self.feature
        asked = self._doubts(feature, FeatureState.NONE_HERE)
        pixels = int((self._open.painting.layers[feature] == FEATURE).sum())
        if pixels and not any("paint" in words for words in asked):
            asked.insert(0, f"{pixels} pixels of {feature} are painted on it; they go, and u brings them back.")
        self._sure(f"Mark that it holds no {feature}?", asked, "None here", lambda: self._mark([feature], "--none"))
