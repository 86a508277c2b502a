"""A picture as the bytes of a PNG file."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray


def encode(rgb: NDArray[np.uint8], *, compression: int = 6) -> bytes:
    """Write a picture as PNG, without loss.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first. Left unchanged.
    compression : int
        zlib level, 0 (none) to 9 (slowest).

    Returns
    -------
    bytes
        A whole PNG file; grey pictures are stored with one channel.
    """
    from PIL import Image  # noqa: PLC0415  # the first screen needs no PNG and should not wait for it

    grey = bool((rgb == rgb[..., :1]).all())
    pixels = np.ascontiguousarray(rgb[..., 0] if grey else rgb)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=compression)
    return stream.getvalue()
