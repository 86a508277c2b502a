"""Pictures of what there is to see: a slice, a triple, and how large they are in a file. Knows arrays only."""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, labelled_pixels
from tomoseg_tui.render.greys import to_grey, window_from_sample
from tomoseg_tui.render.overlay import Palette
from tomoseg_tui.render.renderer import Picture, to_rgb

FILE_PIXELS = 960
"""Width to which small pictures are enlarged in files, by whole factors."""
_UNDECIDED_GREY = 96
"""Neither white nor black: not looked at, or ignored."""


def render_slice(
    values: NDArray[np.float32], labels: NDArray[np.uint8] | None = None, palette: Palette = ()
) -> Picture:
    """Return densities of shape (y, x) as greys of their own window, with labels over them."""
    return Picture(to_grey(values, window_from_sample(values)), labels, palette)


def render_triple(
    image: NDArray[np.float32], annotation: NDArray[np.uint8], output: NDArray[np.float32]
) -> list[Picture]:
    """Return image, annotation and output of one tile, each (y, x); the third should look like the second."""
    annotated = np.where(annotation == FEATURE, np.uint8(255), np.uint8(0))
    annotated[~labelled_pixels(annotation)] = _UNDECIDED_GREY
    return [render_slice(image), Picture(annotated), Picture(np.rint(output * 255).astype(np.uint8))]


def enlarge_for_file(picture: Picture) -> NDArray[np.uint8]:
    """Return a picture, shape (y, x, 3), as it is written into a file."""
    return to_rgb(picture, FILE_PIXELS if picture.grey.shape[1] <= FILE_PIXELS else None)
