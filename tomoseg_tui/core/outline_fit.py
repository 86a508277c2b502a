"""Measure how well the outlines of masks fit densities, to notice a mask volume that is flipped. Arrays only."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.image_matching import AS_EXPORTED

RIM_PIXELS = 3
"""Width of the rims on either side of an outline."""
_CELL_PIXELS = 32
_MIN_PIXELS = 8
"""Least pixels of both rims in a cell."""
MIN_CELLS, MIN_T, MIN_CONTRAST, MIN_RATIO = 6, 6.0, 0.2, 3.0
"""A direction fits much better if its contrast is this often the standard error, in sigmas, and of the present one."""


def rims_of(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the pixels within `RIM_PIXELS` of the outline of a mask (y, x): inside and outside it."""
    from scipy.ndimage import binary_dilation  # noqa: PLC0415  # slow to import, and few commands need it

    inside = mask & binary_dilation(~mask, iterations=RIM_PIXELS)
    return inside, ~mask & binary_dilation(mask, iterations=RIM_PIXELS)


def outline_contrasts(
    densities: NDArray[np.generic], inside: NDArray[np.bool_], outside: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the mean density inside minus outside an outline, for each cell of 32 x 32 pixels that it crosses.

    Parameters
    ----------
    densities : ndarray, shape (y, x)
        NaN and infinity count as 0.
    inside, outside : ndarray of bool, shape (y, x)
        The rims of the outline.
    """
    rows, columns = (np.arange(length) // _CELL_PIXELS for length in densities.shape)
    cells = (rows[:, None] * (columns[-1] + 1) + columns).ravel()
    values = np.nan_to_num(densities.astype(np.float64), posinf=0, neginf=0).ravel()
    sums = [np.bincount(cells, values * rim.ravel()) for rim in (inside, outside)]
    counts = [np.bincount(cells, rim.ravel()) for rim in (inside, outside)]
    is_crossed = np.minimum(*counts) >= _MIN_PIXELS
    inner, outer = (total[is_crossed] / count[is_crossed] for total, count in zip(sums, counts, strict=True))
    return np.asarray(inner - outer, np.float64)


def better_orientation(contrasts: Mapping[str, Iterable[float]]) -> tuple[str, float, float] | None:
    """Return the orientation in which outlines fit the densities much better than as they are; None without one.

    Parameters
    ----------
    contrasts : mapping of str to iterable of float
        By orientation: the contrasts of all cells, in sigmas.

    Returns
    -------
    tuple of str, float, float, or None
        The orientation, its contrast, and the present one, in sigmas.
    """
    cells = {orientation: np.array(list(values)) for orientation, values in contrasts.items()}
    means = {name: abs(float(values.mean())) if values.size else 0.0 for name, values in cells.items()}
    best = max(means, key=lambda name: means[name])
    size = cells[best].size
    if size < MIN_CELLS:
        return None
    error = float(cells[best].std()) / size**0.5
    is_clear = means[best] >= max(MIN_T * error, MIN_CONTRAST, MIN_RATIO * means[AS_EXPORTED])
    return (best, means[best], means[AS_EXPORTED]) if is_clear and best != AS_EXPORTED else None
