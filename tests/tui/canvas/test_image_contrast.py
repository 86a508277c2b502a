"""A picture that leaves half a cell free keeps its contrast: the black beside it is not density."""

import numpy as np

from tomoseg_tui.render.viewport import Viewport
from tomoseg_tui.tui.canvas.still_canvas import _viewport_greys


def test_pixels_beside_a_picture_do_not_change_its_contrast() -> None:
    grey = np.random.default_rng(1).normal(128, 30, (320, 320)).clip(0, 255).astype(np.uint8)
    port = Viewport.fit((320, 320), (57, 29), (1, 2))  # 57 of 58 points along y belong to the picture
    drawn = _viewport_greys(grey, port)
    inside = port.raster(np.full_like(grey, 255)) > 0
    assert not inside.all()
    assert abs(float(drawn[inside].mean()) - float(grey.mean())) < 10
    assert float(drawn[inside].std()) > 20
