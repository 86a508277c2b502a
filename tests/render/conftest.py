"""Small pictures."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.render.colours import Palette, make_palette


@pytest.fixture
def noise() -> NDArray[np.uint8]:
    """Return greys of every shade, shape (y, x)."""
    return np.random.default_rng(7).integers(0, 256, (24, 32), dtype=np.uint8)


@pytest.fixture
def band_labels() -> NDArray[np.uint8]:
    """Return a band of label 1 at small y and a block of label 2 at large y and x, on the grid of noise."""
    labels = np.zeros((24, 32), dtype=np.uint8)
    labels[2:9] = 1
    labels[14:, 20:] = 2
    return labels


@pytest.fixture
def palette() -> Palette:
    """Return two features whose names begin alike."""
    return make_palette({1: "microtubule", 2: "membrane"})
