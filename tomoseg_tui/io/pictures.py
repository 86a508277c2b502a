"""Write pictures as PNG. What is in them is canvas's business."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tomoseg_tui.errors import ShapeError
from tomoseg_tui.io.drafts import draft_of
from tomoseg_tui.io.raw import file_faults


def png_bytes(rgb: NDArray[np.uint8]) -> bytes:
    """Encode a picture as PNG.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        Red, green, blue; row 0 is the top of the picture.

    Returns
    -------
    bytes
        The PNG file, lossless.

    Raises
    ------
    ShapeError
        If the array has another shape or type, or no pixels.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0 or rgb.dtype != np.uint8:
        raise ShapeError(
            f"A picture has shape {rgb.shape} and type {rgb.dtype}, expected (y, x, 3) of uint8.",
            "Give red, green and blue from 0 to 255 for each pixel.",
        )
    stream = BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(stream, format="PNG")
    return stream.getvalue()


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write a picture, uint8 of shape (y, x, 3), as a PNG file; replaces one that is there.

    Raises
    ------
    ShapeError
        If the array has another shape or type, or no pixels.
    TomogramError
        If the file cannot be written.
    """
    content = png_bytes(rgb)
    with draft_of(path) as draft, file_faults(path):
        draft.write_bytes(content)
