"""Draw a picture for kitty's graphics protocol: PNG in chunks of base64.

The protocol: https://sw.kovidgoyal.net/kitty/graphics-protocol/
"""

from base64 import standard_b64encode

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render import png_encoder

CHUNK = 4096
"""Most base64 bytes in one escape sequence, by the protocol."""


def encode(rgb: NDArray[np.uint8], *, cells_xy: tuple[int, int] | None = None) -> str:
    """Return escape sequences that show a picture at the cursor.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        The top row first. Left unchanged.
    cells_xy : tuple of int, optional
        Columns and rows to which the terminal scales the picture; without it one pixel of the picture is one pixel
        of the screen.

    Returns
    -------
    str
        ASCII. The terminal is told not to answer.
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
