"""What the mouse does to a canvas: pulls the picture along, goes through slices, zooms."""

from abc import abstractmethod

from textual.events import MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.geometry import Offset

from tomoseg_tui.tui.canvas.pixel_widget import PixelWidget


class MouseWidget(PixelWidget):
    """Tells by how many cells the picture is pulled while the left button is held, and what the wheel asks for."""

    _drag_position: Offset | None = None
    """Where on the screen the picture is held; None while it is not."""
    was_dragged = False
    """Whether the last press of the button has moved the picture: then it was no click."""

    @abstractmethod
    def pan(self, columns: int, rows: int) -> None:
        """Move the picture right and down by cells."""

    @abstractmethod
    def action_slice(self, step: int) -> None:
        """Go to another slice."""

    @abstractmethod
    def action_zoom(self, steps: int) -> None:
        """Enlarge or shrink."""

    def on_mouse_down(self, event: MouseDown) -> None:
        """Take hold."""
        self.was_dragged = False
        if event.button == 1:
            self._drag_position = event.screen_offset
            self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Pull the picture along; let go if the button was released outside of the terminal."""
        if self._drag_position is None:
            return
        if event.button != 1:
            self._end_drag()
            return
        offset, self._drag_position = event.screen_offset - self._drag_position, event.screen_offset
        if offset:
            self.was_dragged = True
            self.pan(offset.x, offset.y)

    def on_mouse_up(self, _event: MouseUp) -> None:
        """Let go."""
        self._end_drag()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Go up a slice; with ctrl, enlarge."""
        event.stop()
        self.action_zoom(1) if event.ctrl else self.action_slice(1)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Go down a slice; with ctrl, shrink."""
        event.stop()
        self.action_zoom(-1) if event.ctrl else self.action_slice(-1)

    def _end_drag(self) -> None:
        self._drag_position = None
        self.release_mouse()
