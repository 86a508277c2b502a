"""Draw a picture as plain ASCII characters, without escapes or colours."""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.render.cells import Letters, brightness, join_rows

RAMP = " .:-=+*#%@"
"""Characters from dark to bright; letters and digits are left for labels."""


def encode(rgb: NDArray[np.uint8], *, letters: Letters | None = None) -> list[str]:
    """Draw a picture in characters, denser for brighter pixels.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (rows, columns, 3)
        One pixel per cell, the top row first; pixels are twice as high as wide. Left unchanged.
    letters : ndarray of str, shape (rows, columns), optional
        Letters that replace characters; empty strings leave them.

    Returns
    -------
    list of str
        One line per row, each as long as the picture is wide.
    """
    steps = brightness(rgb).astype(np.intp) * len(RAMP) // 256
    return join_rows(np.array(list(RAMP))[steps], letters)
