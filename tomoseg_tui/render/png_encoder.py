"""Encode a picture as PNG."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray


def encode(rgb: NDArray[np.uint8], *, compression: int = 6) -> bytes:
    """Return a picture as PNG, lossless.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first. Left unchanged.
    compression : int
        zlib level, 0 (none) to 9 (slowest).

    Returns
    -------
    bytes
        A complete PNG file; grey pictures are stored with one channel.
    """
    from PIL import Image  # noqa: PLC0415  # slow to import, and the first screen needs no PNG

    grey = bool((rgb == rgb[..., :1]).all())
    pixels = np.ascontiguousarray(rgb[..., 0] if grey else rgb)
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=compression)
    return stream.getvalue()
