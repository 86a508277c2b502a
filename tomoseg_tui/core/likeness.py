"""Tell whether two images show the same place, and how one would have to be turned to do so."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

SAME = 0.97
"""Correlation from which two images are taken for the same densities: bit reduction to 4 bits leaves 0.99 and more,
another filter or a shift by one pixel less than this in all but the smoothest tomograms."""

Image = NDArray[np.generic]
_TURNS: Mapping[str, Callable[[Image], Image]] = {
    "flipped in y": np.flipud,
    "flipped in x": np.fliplr,
    "turned by 180 degrees": lambda image: np.rot90(image, 2),
    "transposed": np.transpose,
    "turned by 90 degrees": np.rot90,
    "turned by 270 degrees": lambda image: np.rot90(image, 3),
    "transposed along the other diagonal": lambda image: np.rot90(image, 2).T,
}


def likeness(first: Image, second: Image, inside: NDArray[np.bool_] | None = None) -> float:
    """Return how alike two images are, whatever their contrast.

    Parameters
    ----------
    first, second : ndarray, shape (y, x)
        Densities of any real type, on any scale.
    inside : ndarray of bool, shape (y, x), optional
        Pixels that count; all if not given.

    Returns
    -------
    float
        The size of the correlation coefficient, 0 to 1: also 1 for an inverted image. Two flat images are alike (1), a
        flat one and another are not (0). 0 if a value is not finite or no pixel counts.
    """
    chosen = np.ones(first.shape, np.bool_) if inside is None else inside
    a, b = (image[chosen].astype(np.float64) for image in (first, second))
    if a.size == 0 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    lengths = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if min(lengths) == 0:
        return float(max(lengths) == 0)
    return min(abs(float(a @ b)) / (lengths[0] * lengths[1]), 1.0)


def turn_between(first: Image, second: Image) -> str | None:
    """Return in words how the first image is turned against the second, None if no turn makes them alike.

    Both have the shape (n, n); "flipped in y" means that rows run the other way.
    """
    alike = {words: likeness(turn(first), second) for words, turn in _TURNS.items()}
    best = max(alike, key=lambda words: alike[words])
    return best if alike[best] >= SAME else None
