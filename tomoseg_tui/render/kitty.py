"""A picture for terminals that speak kitty's graphics protocol: PNG in chunks of base64.

The protocol: https://sw.kovidgoyal.net/kitty/graphics-protocol/
"""

from base64 import standard_b64encode

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render import png_encoder

CHUNK = 4096
"""Most base64 bytes in one escape sequence, as the protocol asks."""


def encode(rgb: NDArray[np.uint8], *, cells_xy: tuple[int, int] | None = None) -> str:
    """Write a picture as escape sequences that show it at the cursor.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first. Left unchanged.
    cells_xy : tuple of int, optional
        Columns and rows that the terminal stretches the picture over; without it one pixel of the picture
        is one of the screen.

    Returns
    -------
    str
        ASCII. The terminal is asked not to answer, since nobody would read that.
    """
    payload = standard_b64encode(png_encoder.encode(rgb, compression=1)).decode("ascii")
    chunks = [payload[start : start + CHUNK] for start in range(0, len(payload), CHUNK)]
    cell_size = f",c={cells_xy[0]},r={cells_xy[1]}" if cells_xy else ""
    prefixes = [f"a=T,f=100,q=2{cell_size},"] + [""] * (len(chunks) - 1)
    more_flags = [1] * (len(chunks) - 1) + [0]
    return "".join(
        f"\x1b_G{prefix}m={flag};{chunk}\x1b\\"
        for prefix, flag, chunk in zip(prefixes, more_flags, chunks, strict=True)
    )
