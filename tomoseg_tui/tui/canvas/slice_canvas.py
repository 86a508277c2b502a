"""The slice canvas: the visible part of a slice, the cursor, the keys. `render_thread` reads and draws."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual import on
from textual.binding import BindingType
from textual.events import Click, MouseDown, MouseMove, MouseScrollDown, MouseScrollUp, MouseUp
from textual.geometry import Offset
from textual.message import Message
from textual.timer import Timer

from tomoseg_tui.core.grid import ByteSign
from tomoseg_tui.render.colours import Palette
from tomoseg_tui.render.viewport import Viewport
from tomoseg_tui.tui.canvas.canvas_bindings import CANVAS_BINDINGS
from tomoseg_tui.tui.canvas.draw_style import draw_style_for
from tomoseg_tui.tui.canvas.frame_pacing import ANSWER_TIMEOUT_SECONDS, SETTLE_SECONDS, pacer_for
from tomoseg_tui.tui.canvas.pixel_widget import NO_FRAME, PixelWidget
from tomoseg_tui.tui.canvas.render_thread import FrameReady, RenderThread, VolumeOpened, VolumeSource
from tomoseg_tui.tui.canvas.slice_cache import CONTRASTS
from tomoseg_tui.tui.canvas.slice_drawing import CanvasView, Overlay, points_per_cell
from tomoseg_tui.tui.canvas.tile_boxes import Box
from tomoseg_tui.tui.messages import LoadFailed, ThreadCrashed

__all__ = ["Box", "SliceCanvas"]

ZOOM_STEP = 2**0.5
"""Zoom factor of one key press."""
MOVED_INTERVAL_SECONDS = 0.05
"""Minimum time between two messages that the cursor moved, s."""
OVERLAY_MODES = ("on", "outline", "off")
"""How labels are shown, in the order of the key."""


class SliceCanvas(PixelWidget, can_focus=True):
    """Slices of one volume: pan, zoom, z, contrast, an overlay, boxes, a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [*CANVAS_BINDINGS]

    @dataclass
    class Moved(Message):
        """The cursor, z or zoom changed."""

        canvas: "SliceCanvas"
        z: int
        y: int
        x: int
        zoom: float

        @property
        def control(self) -> "SliceCanvas":
            """The canvas, for ``@on`` with a selector."""
            return self.canvas

    @dataclass
    class Picked(Message):
        """A voxel was clicked; the cursor is on it."""

        canvas: "SliceCanvas"
        z: int
        y: int
        x: int

        @property
        def control(self) -> "SliceCanvas":
            """The canvas, for ``@on`` with a selector."""
            return self.canvas

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes=classes)
        self.shape_zyx: tuple[int, int, int] | None = None
        """Shape of the volume; None until its header is read."""
        self.z, self.cursor_yx, self.zoom = 0, (0, 0), 1.0
        self.volume_name = ""
        self.overlay_mode = OVERLAY_MODES[0]
        """``on``, ``outline`` or ``off``."""
        self._render_thread = RenderThread(self.post_message)
        self._source: VolumeSource | None = None
        self._volume_count, self._contrast_index = 0, 0
        self._centre_yx, self._is_fitted = (0.0, 0.0), True
        self._overlay: Overlay | None = None
        self._boxes: tuple[Box, ...] = ()
        self._pending_position: dict[str, float] = {}
        self._last_z_step = 0
        self._needs_frame = self._is_rendering = False
        self._shown_view: CanvasView | None = None
        self._settle_timer: Timer | None = None
        self._moved_timer: Timer | None = None
        self._moved_posted_at = 0.0
        self._drag_position: Offset | None = None
        """Where the mouse holds the picture; None if it does not."""
        self._was_dragged = False
        """Whether the last press of the button moved the picture: then it was not a click."""

    # Volume, overlay and boxes

    def open_volume(
        self,
        path: Path | None,
        *,
        name: str = "",
        byte_sign: ByteSign | None = None,
        z: int | None = None,
        text: str = "",
    ) -> None:
        """Show a volume, fitted, with the cursor in its middle; `Moved` follows when its header is read.

        Parameters
        ----------
        path : Path or None
            A file that `io.formats` opens; None closes the shown volume.
        byte_sign : {"signed", "unsigned"}, optional
            Interpretation of bytes of MRC mode 0.
        z : int, optional
            The first slice to show; the middle one by default.
        """
        self._volume_count += 1
        self._source = None if path is None else VolumeSource(self._volume_count, path, byte_sign)
        self.volume_name, self.shape_zyx = name, None
        self._overlay, self._boxes, self._shown_view = None, (), None
        self._pending_position = {} if z is None else {"z": z}
        self._is_fitted, self._is_rendering, self._needs_frame = True, False, False
        self._render_thread.open(self._source)
        self.show_frame(NO_FRAME, text=f"reading {name}" if path is not None else text)

    def go_to(self, *, z: int | None = None, y: int | None = None, x: int | None = None) -> None:
        """Move the cursor to a voxel; coordinates that are not given stay. Pan so that it is visible."""
        if self.shape_zyx is None:
            self._pending_position.update(
                {axis: position for axis, position in (("z", z), ("y", y), ("x", x)) if position is not None}
            )
            return
        depth, height, width = self.shape_zyx
        target = (self.z if z is None else z, *self.cursor_yx)
        target = (target[0], target[1] if y is None else y, target[2] if x is None else x)
        position = tuple(
            min(max(0, coordinate), length - 1)
            for coordinate, length in zip(target, (depth, height, width), strict=True)
        )
        if position == (self.z, *self.cursor_yx):
            return
        self._last_z_step = position[0] - self.z
        self.z, self.cursor_yx = position[0], (position[1], position[2])
        self._pan_to_cursor()
        self._redraw(moved=True)

    def set_zoom(self, zoom: float) -> None:
        """Set the width of a voxel in columns; the cursor keeps its place on the screen."""
        if self.shape_zyx is None:
            self._pending_position["zoom"] = zoom
            return
        viewport = self._viewport
        y, x = self.cursor_yx
        zoomed = viewport.zoom_about(*viewport.cell_at_pixel(y + 0.5, x + 0.5), zoom / viewport.zoom)
        self.zoom, self._centre_yx, self._is_fitted = zoomed.zoom, zoomed.centre_yx, False
        self._pan_to_cursor()
        self._redraw(moved=True)

    def set_overlay(self, compute: Callable[[int], NDArray[np.uint8]] | None, palette: Palette = ()) -> None:
        """Set the labels over the slices.

        Parameters
        ----------
        compute : callable or None
            From z to labels of the whole slice, uint8, shape (y, x), as stored. Called in a thread, once per
            slice; a `TomosegError` is shown. None removes the overlay.
        palette : tuple of LabelStyle
            Colours and letters of the labels.
        """
        self._overlay = None if compute is None else Overlay(compute, palette)
        self._redraw()

    @property
    def visible_overlay(self) -> Overlay | None:
        """The labels over the slices; None if there are none or they are switched off."""
        return None if self.overlay_mode == "off" else self._overlay

    def set_boxes(self, boxes: Sequence[Box]) -> None:
        """Draw tiles as outlines with their letter, in their slice and dotted in nearby ones."""
        if tuple(boxes) != self._boxes:
            self._boxes = tuple(boxes)
            self._redraw()

    @property
    def contrast(self) -> str:
        """Name of the contrast: ``usual``, ``strong`` or ``soft``."""
        return CONTRASTS[self._contrast_index][0]

    # Keys and mouse

    def action_move(self, up: int, right: int) -> None:
        y, x = self.cursor_yx
        self.go_to(y=y + up, x=x + right)

    def action_slice(self, step: int) -> None:
        self.go_to(z=self.z + step)

    def action_zoom(self, steps: int) -> None:
        if self.shape_zyx is not None:
            self.set_zoom(self.zoom * ZOOM_STEP**steps)

    def action_fit(self) -> None:
        """Show the whole slice, also after the widget is resized."""
        self._is_fitted = True
        self._fit()
        self._redraw(moved=True)

    def action_contrast(self) -> None:
        self._contrast_index = (self._contrast_index + 1) % len(CONTRASTS)
        self._redraw(moved=True)

    def action_overlay(self) -> None:
        self.overlay_mode = OVERLAY_MODES[(OVERLAY_MODES.index(self.overlay_mode) + 1) % len(OVERLAY_MODES)]
        self._redraw(moved=True)

    def action_recentre(self) -> None:
        self._centre_yx, self._is_fitted = (self.cursor_yx[0] + 0.5, self.cursor_yx[1] + 0.5), False
        self._redraw(moved=True)

    def on_click(self, event: Click) -> None:
        if self.shape_zyx is None or self._was_dragged:
            return
        column, row = int(event.x) + 0.5, int(event.y) + 0.5
        y, x = (int(coordinate // 1) for coordinate in self._viewport.pixel_at_cell(column, row))
        if 0 <= y < self.shape_zyx[1] and 0 <= x < self.shape_zyx[2]:
            self.go_to(y=y, x=x)
            self.post_message(self.Picked(self, self.z, y, x))

    def on_mouse_down(self, event: MouseDown) -> None:
        self._was_dragged = False
        if event.button == 1:
            self._drag_position = event.screen_offset
            self.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        """Move the picture; release it if the button was released outside the terminal."""
        if self._drag_position is None:
            return
        if event.button != 1:
            self._end_drag()
            return
        offset, self._drag_position = event.screen_offset - self._drag_position, event.screen_offset
        if offset:
            self._was_dragged = True
            self.pan(offset.x, offset.y)

    def on_mouse_up(self, _event: MouseUp) -> None:
        self._end_drag()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.action_zoom(1) if event.ctrl else self.action_slice(1)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.action_zoom(-1) if event.ctrl else self.action_slice(-1)

    def _end_drag(self) -> None:
        self._drag_position = None
        self.release_mouse()

    def pan(self, columns: int, rows: int) -> None:
        """Pan, unless the whole slice is visible."""
        if self.shape_zyx is not None and not self._is_fitted:
            self._centre_yx = self._viewport.pan(-columns, -rows).centre_yx
            self._redraw()

    def on_focus(self) -> None:
        self._redraw()

    def on_blur(self) -> None:
        self._redraw()

    # The visible part

    @property
    def _viewport(self) -> Viewport:
        _, height, width = self.shape_zyx or (1, 1, 1)
        cells = max(1, self.size.width), max(1, self.size.height)
        return Viewport((height, width), cells, points_per_cell(draw_style_for(self.app)), self.zoom, self._centre_yx)

    def _fit(self) -> None:
        if self.shape_zyx is not None:
            viewport = self._viewport
            fitted = Viewport.fit(viewport.image_shape_yx, viewport.cells_xy, viewport.pixels_per_cell_xy)
            self.zoom, self._centre_yx = fitted.zoom, fitted.centre_yx

    def _pan_to_cursor(self) -> None:
        """Pan by the least amount that shows the cursor and its surroundings."""
        viewport = self._viewport
        y, x = self.cursor_yx
        column, row = viewport.cell_at_pixel(y + 0.5, x + 0.5)
        (columns, rows), (margin_x, margin_y) = viewport.cells_xy, (viewport.cells_xy[0] / 8, viewport.cells_xy[1] / 8)
        right = min(0.0, column - margin_x) + max(0.0, column - (columns - margin_x))
        down = min(0.0, row - margin_y) + max(0.0, row - (rows - margin_y))
        if not self._is_fitted and (right or down):
            self._centre_yx = viewport.pan(right, down).centre_yx

    def on_resize(self) -> None:
        if self._is_fitted:
            self._fit()
        self._redraw()

    # Frames

    def _redraw(self, *, moved: bool = False) -> None:
        """Draw again, coarse if necessary, and at full quality when nothing has changed for a moment."""
        if moved:
            self._schedule_moved()
        if self.shape_zyx is None or not self.size or not self.is_mounted:
            return
        if self._settle_timer is not None:
            self._settle_timer.stop()
        self._settle_timer = self.set_timer(SETTLE_SECONDS, self._draw_at_rest)
        self._needs_frame = True
        self._request_frame()

    def _request_frame(self) -> None:
        """Request a frame if one is needed, none is being drawn, and a frame may be sent."""
        if not self._needs_frame or self._is_rendering or self.shape_zyx is None:
            return
        pacer = pacer_for(self.app)
        if not pacer.can_send():
            pacer.call_when_free(self._request_frame)
            self.set_timer(ANSWER_TIMEOUT_SECONDS, pacer.run_callbacks)
            return
        self._needs_frame, self._is_rendering = False, True
        self._render_thread.draw(self._build_view(at_rest=False, coarseness=pacer.coarseness))

    def _draw_at_rest(self) -> None:
        """Draw at full quality what was drawn in motion, if that makes a difference."""
        shown_view = self._shown_view
        if self._needs_frame or self._is_rendering or shown_view is None:
            self._settle_timer = self.set_timer(SETTLE_SECONDS, self._draw_at_rest)
            return
        self._settle_timer = None
        view_at_rest = self._build_view(at_rest=True, coarseness=0)
        was_sparse = shown_view.viewport.zoom * shown_view.viewport.pixels_per_cell_xy[0] * 4 < 1
        if shown_view.coarseness or was_sparse or view_at_rest.style.still_renderer:
            self._is_rendering = True
            self._render_thread.draw(view_at_rest)

    def _build_view(self, *, at_rest: bool, coarseness: int) -> CanvasView:
        return CanvasView(
            self.z,
            self._viewport,
            draw_style_for(self.app),
            contrast=self._contrast_index,
            overlay=self.visible_overlay,
            outlined=self.overlay_mode == "outline",
            boxes=self._boxes,
            cursor_yx=self.cursor_yx,
            focused=self.has_focus,
            coarseness=coarseness,
            at_rest=at_rest,
            next_z_step=self._last_z_step,
        )

    @on(VolumeOpened)
    def show_opened_volume(self, event: VolumeOpened) -> None:
        """Start in the middle of the volume, or where `open_volume` was told to."""
        if event.source is not self._source:
            return
        self.shape_zyx = event.shape_zyx
        depth, height, width = event.shape_zyx
        self.z, self.cursor_yx, self._last_z_step = depth // 2, (height // 2, width // 2), 0
        self._fit()
        pending, self._pending_position = self._pending_position, {}
        if "zoom" in pending:
            self.set_zoom(pending.pop("zoom"))
        self.go_to(**{axis: int(coordinate) for axis, coordinate in pending.items()})
        self._redraw(moved=True)

    @on(FrameReady)
    def show_ready_frame(self, event: FrameReady) -> None:
        """Show a frame, and request the next if more has changed meanwhile."""
        if event.source is not self._source:
            return
        self._is_rendering, self._shown_view = False, event.view
        self.show_frame(event.frame)
        if event.fault is not None:
            self._overlay = None
            self.notify(event.fault.fix, title=event.fault.fault, severity="warning")
        self._request_frame()

    @on(LoadFailed)
    def show_load_error(self, event: LoadFailed) -> None:
        """Show why the volume cannot be read."""
        if event.request is self._source:
            self.shape_zyx, self._is_rendering = None, False
            self.show_frame(NO_FRAME, text=f"{event.fault.fault}\n{event.fault.fix}")

    @on(ThreadCrashed)
    def raise_crash(self, event: ThreadCrashed) -> None:
        """Raise an internal error of the thread on the UI thread."""
        raise event.error

    def on_unmount(self) -> None:
        self._render_thread.stop()
        super().on_unmount()

    def _schedule_moved(self) -> None:
        """Report that the cursor moved: immediately, then at most twenty times a second."""
        if self._moved_timer is not None or not self.is_mounted:
            return
        wait = self._moved_posted_at + MOVED_INTERVAL_SECONDS - monotonic()
        if wait <= 0:
            self._post_moved()
        else:
            self._moved_timer = self.set_timer(wait, self._post_moved)

    def _post_moved(self) -> None:
        self._moved_timer, self._moved_posted_at = None, monotonic()
        self.post_message(self.Moved(self, self.z, *self.cursor_yx, self.zoom))
