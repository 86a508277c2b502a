"""The canvas for painting a tile: shows a scene, sends changed cells, and reports the mouse position."""

from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray
from textual.events import MouseDown, MouseEvent, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.geometry import Region
from textual.message import Message

from tomoseg_tui.tui.canvas.draw_style import draw_style_for
from tomoseg_tui.tui.canvas.frame_pacing import ANSWER_TIMEOUT_SECONDS, pacer_for
from tomoseg_tui.tui.canvas.paint_drawing import (
    DrawnCells,
    PixelView,
    Scene,
    default_zoom,
    draw_scene,
    encode_cells,
    pixel_view_around,
    zooms_for,
)
from tomoseg_tui.tui.canvas.pixel_widget import NO_FRAME, PixelWidget
from tomoseg_tui.tui.canvas.slice_drawing import DrawStyle, Frame

BAND_ROWS = 2
"""Rows of cells that are encoded together: the pattern of dithered colours repeats after so many."""
MAX_GAP_CELLS = 2
"""Unchanged cells between changed ones that are sent too: moving the cursor costs as much."""
UPPER_HALF, LOWER_HALF = 0.25, 0.75
"""Assumed position of the mouse in its cell, if the terminal reports cells only."""
RIGHT_BUTTON = 3


@final
class PaintCanvas(PixelWidget, can_focus=True):
    """A tile, pixel by pixel."""

    @dataclass
    class Pressed(Message):
        """A mouse button was pressed on a pixel, which may lie outside the tile."""

        y: int
        x: int
        erase: bool

    @dataclass
    class Dragged(Message):
        """The mouse was moved to a pixel with a button held."""

        y: int
        x: int

    class Released(Message):
        """The button was released."""

    @dataclass
    class Scrolled(Message):
        """The wheel was turned over a pixel."""

        y: int
        x: int
        steps: int
        """1 up, -1 down."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self.lower_half = False
        """If the mouse reports cells only and two pixels share a cell: whether it selects the lower one."""
        self.scene: Scene | None = None
        """The shown scene."""
        self._zoom: int | None = None
        self.pixel_view: PixelView | None = None
        """The shown part of the tile and its place on the widget."""
        self._drawn_cells: DrawnCells | None = None
        self._drawn_for: tuple[PixelView, DrawStyle] | None = None
        self._rows: list[str] = []
        self._has_subcell_mouse = self._is_dragging = False
        self.follows_cursor = True
        """Whether the view follows the cursor; not during mouse strokes, which would move the tile."""

    # Drawing

    def show(self, scene: Scene | None, *, text: str = "") -> None:
        """Show a scene, or a text if there is none."""
        is_new_shape = scene is None or self.scene is None or self.scene.grey.shape != scene.grey.shape
        self.scene = scene
        if is_new_shape:
            self.pixel_view = self._drawn_cells = None
        if scene is None:
            self.show_frame(NO_FRAME, text=text)
        else:
            self._draw()

    @property
    def zoom(self) -> int:
        """Columns per pixel."""
        zooms = zooms_for(draw_style_for(self.app).for_painting)
        if self._zoom in zooms:
            return self._zoom or zooms[0]
        size = self.scene.grey.shape[0] if self.scene is not None else 1
        return default_zoom(size, (self.size.width, self.size.height), draw_style_for(self.app).for_painting)

    def zoom_by(self, steps: int) -> None:
        """Zoom in or out around the cursor; 0 chooses the zoom that shows most of the tile."""
        zooms = zooms_for(draw_style_for(self.app).for_painting)
        index = zooms.index(self.zoom) + steps
        self._zoom = zooms[min(max(0, index), len(zooms) - 1)] if steps else None
        self._draw()

    def on_resize(self) -> None:
        """Draw at the new size."""
        self._draw()

    def _draw(self) -> None:
        """Draw as soon as a frame may be sent: changes until then are one frame."""
        if self.scene is None or not self.is_mounted or not self.size:
            return
        pacer = pacer_for(self.app)
        if not pacer.can_send():
            pacer.call_when_free(self._draw)
            self.set_timer(ANSWER_TIMEOUT_SECONDS, pacer.run_callbacks)
            return
        style, size = draw_style_for(self.app).for_painting, self.scene.grey.shape[0]
        centre_yx = self.scene.cursor_yx or (size // 2, size // 2)
        cells_xy = self.size.width, self.size.height
        pixel_view = pixel_view_around(
            centre_yx, self.pixel_view, size=size, cells_xy=cells_xy, style=style, zoom=self.zoom
        )
        if (
            not self.follows_cursor
            and self.pixel_view is not None
            and replace(pixel_view, top_left=self.pixel_view.top_left) == self.pixel_view
        ):
            pixel_view = self.pixel_view
        self.pixel_view = pixel_view
        self._send(draw_scene(self.scene, pixel_view, style), pixel_view, style)

    def _send(self, drawn: DrawnCells, pixel_view: PixelView, style: DrawStyle) -> None:
        """Encode and show the changed rows."""
        rows, columns = drawn.letters.shape
        previous = self._drawn_cells if self._drawn_for is not None and self._drawn_for[1] == style else None
        if previous is None or previous.rgb.shape != drawn.rgb.shape or previous.corner_xy != drawn.corner_xy:
            self._rows = encode_cells(drawn.rgb, drawn.letters, style)
            self._store_drawn(drawn, pixel_view, style)
            self.show_frame(Frame(tuple(self._rows), drawn.corner_xy, columns))
            return
        changed = _changed_cells(previous, drawn, pixel_view.points_xy)
        for first in range(0, rows, BAND_ROWS):
            if changed[first : first + BAND_ROWS].any():
                points = pixel_view.points_xy[1]
                band = slice(first * points, (first + BAND_ROWS) * points)
                encoded = encode_cells(drawn.rgb[band], drawn.letters[first : first + BAND_ROWS], style)
                self._rows[first : first + BAND_ROWS] = encoded
        self._store_drawn(drawn, pixel_view, style)
        self.show_cells(Frame(tuple(self._rows), drawn.corner_xy, columns), _changed_regions(changed))

    def _store_drawn(self, drawn: DrawnCells, pixel_view: PixelView, style: DrawStyle) -> None:
        self._drawn_cells, self._drawn_for = drawn, (pixel_view, style)

    # The mouse

    def on_mouse_down(self, event: MouseDown) -> None:
        """Start a stroke; the right button erases."""
        if self.scene is None or event.button not in {1, RIGHT_BUTTON}:
            return
        self._is_dragging = True
        self.capture_mouse()
        self.post_message(self.Pressed(*self._pixel_at(event), erase=event.button == RIGHT_BUTTON))

    def on_mouse_move(self, event: MouseMove) -> None:
        """Continue the stroke; end it if the button was released outside the terminal."""
        self._detect_subcell_mouse(event)
        if self._is_dragging and event.button:
            self.post_message(self.Dragged(*self._pixel_at(event)))
        elif self._is_dragging:
            self._end_drag()

    def on_mouse_up(self, _event: MouseUp) -> None:
        """End the stroke."""
        if self._is_dragging:
            self._end_drag()

    def _end_drag(self) -> None:
        self._is_dragging = False
        self.release_mouse()
        self.post_message(self.Released())

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Zoom in."""
        event.stop()
        self.post_message(self.Scrolled(*self._pixel_at(event), 1))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Zoom out."""
        event.stop()
        self.post_message(self.Scrolled(*self._pixel_at(event), -1))

    def _detect_subcell_mouse(self, event: MouseEvent) -> None:
        """Detect whether the terminal reports positions within cells: then a position without a fraction is exact."""
        self._has_subcell_mouse = self._has_subcell_mouse or event.pointer_x % 1 != 0 or event.pointer_y % 1 != 0

    def _pixel_at(self, event: MouseEvent) -> tuple[int, int]:
        self._detect_subcell_mouse(event)
        if self.pixel_view is None:
            return 0, 0
        if self._has_subcell_mouse:
            return self.pixel_view.pixel_at(event.pointer_x, event.pointer_y)
        return self.pixel_view.pixel_at(event.x + 0.5, event.y + (LOWER_HALF if self.lower_half else UPPER_HALF))


def _changed_cells(previous: DrawnCells, current: DrawnCells, points_xy: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which cells differ, shape (rows, columns)."""
    rows, columns = current.letters.shape
    points = (previous.rgb != current.rgb).any(axis=2)
    cells = points.reshape(rows, points_xy[1], columns, points_xy[0]).any(axis=(1, 3))
    return np.asarray(cells | (previous.letters != current.letters), np.bool_)


def _changed_regions(changed: NDArray[np.bool_]) -> list[Region]:
    """Return the changed spans of each row."""
    regions: list[Region] = []
    for row in np.flatnonzero(changed.any(axis=1)).tolist():
        columns = np.flatnonzero(changed[row])
        runs = np.split(columns, np.flatnonzero(np.diff(columns) > MAX_GAP_CELLS) + 1)
        regions += [Region(int(run[0]), row, int(run[-1] - run[0]) + 1, 1) for run in runs]
    return regions
