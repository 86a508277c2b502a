"""The canvas on which a tile is painted: shows a scene, sends what has changed of it, and tells where the mouse is."""

from dataclasses import replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from textual.events import MouseDown, MouseEvent, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.geometry import Region
from textual.message import Message

from tomoseg_tui.tui.canvas.draw_style import style_of
from tomoseg_tui.tui.canvas.frame_pacing import LOST_SECONDS, pacer_of
from tomoseg_tui.tui.canvas.paint_drawing import Drawn, Port, Scene, draw, encode, port_around, usual_zoom, zooms_for
from tomoseg_tui.tui.canvas.pixel_widget import NO_FRAME, PixelWidget
from tomoseg_tui.tui.canvas.slice_drawing import Frame, Style

BAND_ROWS = 2
"""Rows of cells that are encoded together: dithered colours repeat after so many."""
GAP_CELLS = 2
"""Between changed cells, up to which what lies between is sent too: going there costs as much."""
UPPER, LOWER = 0.25, 0.75
"""Where in a cell the mouse is taken to be, where the terminal tells only the cell."""
RIGHT_BUTTON = 3


@final
class PaintCanvas(PixelWidget, can_focus=True):
    """A tile, pixel by pixel."""

    class Held(Message):
        """A button of the mouse was pressed on a pixel; it may lie outside of the tile."""

        def __init__(self, y: int, x: int, *, erase: bool) -> None:
            super().__init__()
            self.y, self.x, self.erase = y, x, erase

    class Dragged(Message):
        """The mouse was moved to a pixel with a button held."""

        def __init__(self, y: int, x: int) -> None:
            super().__init__()
            self.y, self.x = y, x

    class Released(Message):
        """The button was released."""

    class Wheeled(Message):
        """The wheel was turned over a pixel: 1 up, -1 down."""

        def __init__(self, y: int, x: int, steps: int) -> None:
            super().__init__()
            self.y, self.x, self.steps = y, x, steps

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self.lower_half = False
        """Where the mouse tells only the cell and two pixels share it: whether the lower one is meant."""
        self._scene: Scene | None = None
        self._zoom: int | None = None
        self._port: Port | None = None
        self._drawn: Drawn | None = None
        self._drawn_for: tuple[Port, Style] | None = None
        self._rows: list[str] = []
        self._is_fine = self._is_held = False
        self.follows = True
        """Whether the view moves with the cursor; not while the mouse paints, or the tile would slip from under it."""

    # What is shown

    def show(self, scene: Scene | None, *, words: str = "") -> None:
        """Show a scene, or words where there is none."""
        is_other = scene is None or self._scene is None or self._scene.grey.shape != scene.grey.shape
        self._scene = scene
        if is_other:
            self._port = self._drawn = None
        if scene is None:
            self.show_frame(NO_FRAME, words=words)
        else:
            self._draw()

    @property
    def zoom(self) -> int:
        """Columns that a pixel is wide."""
        zooms = zooms_for(style_of(self.app))
        if self._zoom in zooms:
            return self._zoom or zooms[0]
        size = self._scene.grey.shape[0] if self._scene is not None else 1
        return usual_zoom(size, (self.size.width, self.size.height), style_of(self.app))

    def zoom_by(self, steps: int) -> None:
        """Enlarge or shrink around the cursor; 0 chooses what shows most of the tile."""
        zooms = zooms_for(style_of(self.app))
        place = zooms.index(self.zoom) + steps
        self._zoom = zooms[min(max(0, place), len(zooms) - 1)] if steps else None
        self._draw()

    def on_resize(self) -> None:
        """Draw in the new size."""
        self._draw()

    def _draw(self) -> None:
        """Draw as soon as the way to the terminal is free: what changes meanwhile is one frame."""
        if self._scene is None or not self.is_mounted or not self.size:
            return
        pacer = pacer_of(self.app)
        if not pacer.may_send():
            pacer.when_free(self._draw)
            self.set_timer(LOST_SECONDS, pacer.wake)
            return
        style, size = style_of(self.app), self._scene.grey.shape[0]
        at = self._scene.cursor_yx or (size // 2, size // 2)
        cells = self.size.width, self.size.height
        port = port_around(at, self._port, size=size, cells_xy=cells, style=style, zoom=self.zoom)
        if not self.follows and self._port is not None and replace(port, top_left=self._port.top_left) == self._port:
            port = self._port
        self._port = port
        self._send(draw(self._scene, port, style), port, style)

    def _send(self, drawn: Drawn, port: Port, style: Style) -> None:
        """Encode and show the rows that have changed."""
        rows, columns = drawn.letters.shape
        before = self._drawn if self._drawn_for is not None and self._drawn_for[1] == style else None
        if before is None or before.rgb.shape != drawn.rgb.shape or before.corner_xy != drawn.corner_xy:
            self._rows = encode(drawn.rgb, drawn.letters, style)
            self._keep(drawn, port, style)
            self.show_frame(Frame(tuple(self._rows), drawn.corner_xy, columns))
            return
        changed = _changed_cells(before, drawn, port.points_xy)
        for first in range(0, rows, BAND_ROWS):
            if changed[first : first + BAND_ROWS].any():
                points = port.points_xy[1]
                band = slice(first * points, (first + BAND_ROWS) * points)
                fresh = encode(drawn.rgb[band], drawn.letters[first : first + BAND_ROWS], style)
                self._rows[first : first + BAND_ROWS] = fresh
        self._keep(drawn, port, style)
        self.show_cells(Frame(tuple(self._rows), drawn.corner_xy, columns), _regions(changed))

    def _keep(self, drawn: Drawn, port: Port, style: Style) -> None:
        self._drawn, self._drawn_for = drawn, (port, style)

    # The mouse

    def on_mouse_down(self, event: MouseDown) -> None:
        """Begin to paint, or to erase with the right button."""
        if self._scene is None or event.button not in {1, RIGHT_BUTTON}:
            return
        self._is_held = True
        self.capture_mouse()
        self.post_message(self.Held(*self._pixel(event), erase=event.button == RIGHT_BUTTON))

    def on_mouse_move(self, event: MouseMove) -> None:
        """Go on; stop if the button was released outside of the terminal."""
        self._look_how_fine(event)
        if self._is_held and event.button:
            self.post_message(self.Dragged(*self._pixel(event)))
        elif self._is_held:
            self._let_go()

    def on_mouse_up(self, _event: MouseUp) -> None:
        """Stop."""
        if self._is_held:
            self._let_go()

    def _let_go(self) -> None:
        self._is_held = False
        self.release_mouse()
        self.post_message(self.Released())

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Enlarge."""
        event.stop()
        self.post_message(self.Wheeled(*self._pixel(event), 1))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Shrink."""
        event.stop()
        self.post_message(self.Wheeled(*self._pixel(event), -1))

    def _look_how_fine(self, event: MouseEvent) -> None:
        """Take note whether the terminal tells where in a cell the mouse is: then a place without fraction is exact."""
        self._is_fine = self._is_fine or event.pointer_x % 1 != 0 or event.pointer_y % 1 != 0

    def _pixel(self, event: MouseEvent) -> tuple[int, int]:
        self._look_how_fine(event)
        if self._port is None:
            return 0, 0
        if self._is_fine:
            return self._port.pixel_at(event.pointer_x, event.pointer_y)
        return self._port.pixel_at(event.x + 0.5, event.y + (LOWER if self.lower_half else UPPER))


def _changed_cells(before: Drawn, after: Drawn, points_xy: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which cells differ, shape (rows, columns)."""
    rows, columns = after.letters.shape
    points = (before.rgb != after.rgb).any(axis=2)
    cells = points.reshape(rows, points_xy[1], columns, points_xy[0]).any(axis=(1, 3))
    return np.asarray(cells | (before.letters != after.letters), np.bool_)


def _regions(changed: NDArray[np.bool_]) -> list[Region]:
    """Return the changed stretches of each row."""
    found: list[Region] = []
    for row in np.flatnonzero(changed.any(axis=1)).tolist():
        columns = np.flatnonzero(changed[row])
        stretches = np.split(columns, np.flatnonzero(np.diff(columns) > GAP_CELLS) + 1)
        found += [Region(int(part[0]), row, int(part[-1] - part[0]) + 1, 1) for part in stretches]
    return found
