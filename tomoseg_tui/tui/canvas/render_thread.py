"""The thread of a canvas: it opens the volume, reads, computes overlays, draws, and reads ahead.

It holds one request at a time: a newer one replaces an older one that has not started. Results come back as
messages with the number of their volume, so that late ones can be ignored.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from textual.message import Message

from tomoseg_tui.core.grid import ByteSign
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.tui.canvas.slice_cache import SliceCache
from tomoseg_tui.tui.canvas.slice_drawing import CanvasView, Frame, draw_frame, visible_part
from tomoseg_tui.tui.messages import LoadFailed, ThreadCrashed


@dataclass(frozen=True)
class VolumeSource:
    """A volume that a canvas shows."""

    number: int
    """Counts the volumes of a canvas."""
    path: Path
    byte_sign: ByteSign | None = None


@dataclass
class VolumeOpened(Message, bubble=False):
    """The header of a volume was read."""

    source: VolumeSource
    shape_zyx: tuple[int, int, int]


@dataclass
class FrameReady(Message, bubble=False):
    """A frame is ready."""

    source: VolumeSource
    view: CanvasView
    frame: Frame
    fault: TomosegError | None
    """Why the overlay is missing, if it is."""


@final
class RenderThread:
    """Draws views of one volume after the other. The thread starts with the first volume."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._source: VolumeSource | None = None
        self._view: CanvasView | None = None
        self._is_stopped = False

    def open(self, source: VolumeSource | None) -> None:
        """Replace the shown volume by another, or by none."""
        with self._changed:
            self._source, self._view = source, None
            if self._thread is None and source is not None:
                self._thread = threading.Thread(target=self._run, name="painter", daemon=True)
                self._thread.start()
            self._changed.notify()

    def draw(self, view: CanvasView) -> None:
        """Request a view; a request that has not started is dropped."""
        with self._changed:
            self._view = view
            self._changed.notify()

    def stop(self) -> None:
        """Stop the thread after its current task."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()

    def _run(self) -> None:
        try:
            while (source := self._next_source()) is not None:
                self._render_volume(source)
        except Exception as error:  # noqa: BLE001  # the canvas raises it again
            self._post(ThreadCrashed(error))

    def _next_source(self) -> VolumeSource | None:
        """Wait for a volume; None ends the thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped or self._source is not None)
            return None if self._is_stopped else self._source

    def _render_volume(self, source: VolumeSource) -> None:
        """Draw one volume until another is requested."""
        try:
            with open_volume(source.path, byte_sign=source.byte_sign, flat=True) as reader:
                slice_cache = SliceCache(reader)
                self._post(VolumeOpened(source, slice_cache.shape_zyx))
                while (view := self._next_view(source)) is not None:
                    self._draw(source, slice_cache, view)
        except TomosegError as fault:
            self._post(LoadFailed(fault, source))
            self._drop_source(source)

    def _drop_source(self, source: VolumeSource) -> None:
        """Drop a volume that cannot be read."""
        with self._changed:
            if self._source is source:
                self._source = None

    def _next_view(self, source: VolumeSource) -> CanvasView | None:
        """Wait for a request; None if another volume or none is requested."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_stopped or self._source is not source or self._view is not None)
            if self._is_stopped or self._source is not source:
                return None
            view, self._view = self._view, None
            return view

    def _draw(self, source: VolumeSource, slice_cache: SliceCache, view: CanvasView) -> None:
        fault = None
        try:
            labels = slice_cache.labels(view)
        except TomosegError as error:
            labels, fault = None, error
        frame = draw_frame(view, lambda viewport: slice_cache.greys(view, viewport), labels)
        self._post(FrameReady(source, view, frame, fault))
        self._read_ahead(source, slice_cache, replace(view, at_rest=False))

    def _read_ahead(self, source: VolumeSource, slice_cache: SliceCache, view: CanvasView) -> None:
        for part in slice_cache.parts_ahead(view, visible_part(view.viewport)[0]):
            if self._has_newer_request(source):
                return
            slice_cache.values(part)

    def _has_newer_request(self, source: VolumeSource) -> bool:
        with self._changed:
            return self._is_stopped or self._view is not None or self._source is not source
