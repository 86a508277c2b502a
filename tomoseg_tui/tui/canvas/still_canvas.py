"""A picture that fills a widget: a tile, a triple, before and after."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render.greys import restore_contrast
from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.render.viewport import Viewport
from tomoseg_tui.tui.canvas.draw_style import style_of
from tomoseg_tui.tui.canvas.frame_pacing import CREDITS, LOST_SECONDS, SETTLE_SECONDS, pacer_of
from tomoseg_tui.tui.canvas.pixel_widget import NO_FRAME, PixelWidget
from tomoseg_tui.tui.canvas.slice_drawing import Overlay, View, paint, points_of


@final
class StillCanvas(PixelWidget):
    """Shows one picture as large as it goes."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes=classes)
        self.picture: Picture | None = None

    def show(self, picture: Picture | None) -> None:
        """Show a picture as it is stored, y pointing up; None shows nothing."""
        self.picture = picture
        self._draw()

    def on_resize(self) -> None:
        """Draw in the new size."""
        self._draw()

    def _draw(self) -> None:
        """Draw cells as soon as the way is free, and pixels when the picture has stood for a moment."""
        if not self.is_mounted:
            return
        pacer = pacer_of(self.app)
        if not pacer.may_send(spare=CREDITS - 1):  # slices come first
            pacer.when_free(self._draw)
            self.set_timer(LOST_SECONDS, pacer.wake)
            return
        self._paint(at_rest=False)
        if self.picture is not None and style_of(self.app).still:
            shown = self.picture
            self.set_timer(SETTLE_SECONDS, lambda: self._paint(at_rest=True) if shown is self.picture else None)

    def _paint(self, *, at_rest: bool) -> None:
        picture = self.picture
        if picture is None or not self.size:
            self.show_frame(NO_FRAME)
            return
        style = style_of(self.app)
        shape = picture.grey.shape[0], picture.grey.shape[1]
        viewport = Viewport.fit(shape, (self.size.width, self.size.height), points_of(style))
        overlay = None if picture.labels is None else Overlay(lambda _z: np.zeros(shape, np.uint8), picture.palette)
        view = View(0, viewport, style, overlay=overlay, outlined=picture.outlined, at_rest=at_rest)
        self.show_frame(paint(view, lambda port: _greys(picture.grey, port), picture.labels))


def _greys(grey: NDArray[np.uint8], viewport: Viewport) -> NDArray[np.uint8]:
    """Return the points of a viewport, with the contrast that averaging takes given back."""
    raster = viewport.raster(grey)
    is_shrunk = viewport.zoom * viewport.pixels_a_cell_xy[0] < 1
    if is_shrunk:
        inside = viewport.raster(np.ones(grey.shape, np.uint8), labels=True) > 0  # what is beside it is black
        raster[inside] = restore_contrast(raster[inside], grey)
    return raster
