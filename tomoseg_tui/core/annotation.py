"""What a person has said of a tile, pixel by pixel: one layer a feature, independent of the others."""

import numpy as np
from numpy.typing import NDArray

NOT_LOOKED_AT = 0
NOT_FEATURE = 1
FEATURE = 2
IGNORED = 3

Layer = NDArray[np.uint8]
"""Shape (y, x), values 0 not looked at, 1 not feature, 2 feature, 3 ignore."""


def layer_of_labels(
    labels: NDArray[np.integer], wanted: NDArray[np.integer], ignored: NDArray[np.integer], inside: NDArray[np.bool_]
) -> Layer:
    """Turn the labels under a tile into the layer of one feature.

    Parameters
    ----------
    labels : ndarray of integers, shape (y, x)
        Label values; what they hold outside the volume does not matter.
    wanted, ignored : ndarray of integers, 1-D
        Label values of the feature, and those that teach nothing.
    inside : ndarray of bool, shape (y, x)
        False where the tile sticks out of the volume: nobody can have looked there.

    Returns
    -------
    ndarray of uint8, shape (y, x)
        Every pixel of the volume is looked at: 1, 2 or 3; 0 outside.
    """
    layer = np.where(np.isin(labels, wanted), FEATURE, NOT_FEATURE).astype(np.uint8)
    layer[np.isin(labels, ignored)] = IGNORED
    layer[~inside] = NOT_LOOKED_AT
    return layer


def layer_of_mask(mask: NDArray[np.generic]) -> Layer:
    """Turn a mask, anything above 0 being the feature, into a layer that is wholly looked at.

    Parameters
    ----------
    mask : ndarray, shape (y, x)
        Of 0/1, 0/255 or the like, any type.
    """
    return np.where(mask > 0, FEATURE, NOT_FEATURE).astype(np.uint8)  # type: ignore[operator]


def marked_done(layer: Layer) -> Layer:
    """Return the layer with all that was not looked at taken as not feature."""
    return np.where(layer == NOT_LOOKED_AT, NOT_FEATURE, layer).astype(np.uint8)


def empty_layer(size: int, value: int = NOT_LOOKED_AT) -> Layer:
    """Return a layer of one value, shape (size, size)."""
    return np.full((size, size), value, np.uint8)
