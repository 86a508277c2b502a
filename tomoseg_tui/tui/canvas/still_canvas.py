"""A picture that fills a widget: a tile, a triple, before and after."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render.greys import restore_contrast
from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.render.viewport import Viewport
from tomoseg_tui.tui.canvas.draw_style import draw_style_for
from tomoseg_tui.tui.canvas.frame_pacing import ANSWER_TIMEOUT_SECONDS, MAX_FRAMES_IN_FLIGHT, SETTLE_SECONDS, pacer_for
from tomoseg_tui.tui.canvas.pixel_widget import NO_FRAME, PixelWidget
from tomoseg_tui.tui.canvas.slice_drawing import CanvasView, Overlay, draw_frame, points_per_cell


@final
class StillCanvas(PixelWidget):
    """Shows one picture as large as possible."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes=classes)
        self.picture: Picture | None = None

    def show(self, picture: Picture | None) -> None:
        """Show a picture as stored, y pointing up; None shows nothing."""
        self.picture = picture
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        """Draw cells as soon as a frame may be sent, and pixels when the picture has been still for a moment."""
        if not self.is_mounted:
            return
        pacer = pacer_for(self.app)
        if not pacer.can_send(reserve=MAX_FRAMES_IN_FLIGHT - 1):  # slices come first
            pacer.call_when_free(self._draw)
            self.set_timer(ANSWER_TIMEOUT_SECONDS, pacer.run_callbacks)
            return
        self._draw_picture(at_rest=False)
        if self.picture is not None and draw_style_for(self.app).still_renderer:
            scheduled = self.picture
            self.set_timer(
                SETTLE_SECONDS, lambda: self._draw_picture(at_rest=True) if scheduled is self.picture else None
            )

    def _draw_picture(self, *, at_rest: bool) -> None:
        picture = self.picture
        if picture is None or not self.size:
            self.show_frame(NO_FRAME)
            return
        style = draw_style_for(self.app)
        shape = picture.grey.shape[0], picture.grey.shape[1]
        viewport = Viewport.fit(shape, (self.size.width, self.size.height), points_per_cell(style))
        overlay = None if picture.labels is None else Overlay(lambda _z: np.zeros(shape, np.uint8), picture.palette)
        view = CanvasView(0, viewport, style, overlay=overlay, outlined=picture.outlined, at_rest=at_rest)
        self.show_frame(draw_frame(view, lambda part: _viewport_greys(picture.grey, part), picture.labels))


def _viewport_greys(grey: NDArray[np.uint8], viewport: Viewport) -> NDArray[np.uint8]:
    """Return the points of a viewport, with the contrast that averaging removes restored."""
    raster = viewport.raster(grey)
    is_shrunk = viewport.zoom * viewport.pixels_per_cell_xy[0] < 1
    if is_shrunk:
        is_inside = viewport.raster(np.ones(grey.shape, np.uint8), labels=True) > 0  # outside the picture it is black
        raster[is_inside] = restore_contrast(raster[is_inside], grey)
    return raster
