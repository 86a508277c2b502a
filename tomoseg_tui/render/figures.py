"""Pictures of slices and triples, and their size in files. Arrays only."""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, labelled_pixels
from tomoseg_tui.render.colours import Palette
from tomoseg_tui.render.greys import to_grey, window_from_sample
from tomoseg_tui.render.renderer import Picture, to_rgb

FILE_PIXELS = 960
"""Width to which smaller pictures are enlarged in files, by integer factors."""
_UNDECIDED_GREY = 96
"""For pixels that are unlabelled or ignored; neither white nor black."""


def render_slice(
    values: NDArray[np.float32], labels: NDArray[np.uint8] | None = None, palette: Palette = ()
) -> Picture:
    """Return densities (y, x) as greys in their own window, with labels over them."""
    return Picture(to_grey(values, window_from_sample(values)), labels, palette)


def render_triple(
    image: NDArray[np.float32], annotation: NDArray[np.uint8], output: NDArray[np.float32]
) -> list[Picture]:
    """Return image, annotation and output of one tile, each (y, x), as pictures."""
    annotated = np.where(annotation == FEATURE, np.uint8(255), np.uint8(0))
    annotated[~labelled_pixels(annotation)] = _UNDECIDED_GREY
    return [render_slice(image), Picture(annotated), Picture(np.rint(output * 255).astype(np.uint8))]


def enlarge_for_file(picture: Picture) -> NDArray[np.uint8]:
    """Return a picture, shape (y, x, 3), in the size for files."""
    return to_rgb(picture, FILE_PIXELS if picture.grey.shape[1] <= FILE_PIXELS else None)
