"""What a person has said of a tile, pixel by pixel: one layer a feature, independent of the others."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.tiles import FeatureState

UNLABELLED = 0
NOT_FEATURE = 1
FEATURE = 2
IGNORED = 3

Layer = NDArray[np.uint8]
"""Shape (y, x), values 0 not looked at, 1 not feature, 2 feature, 3 ignore."""


def layer_from_labels(
    labels: NDArray[np.integer],
    feature_values: NDArray[np.integer],
    ignored_values: NDArray[np.integer],
    inside: NDArray[np.bool_],
) -> Layer:
    """Turn the labels under a tile into the layer of one feature.

    Parameters
    ----------
    labels : ndarray of integers, shape (y, x)
        Label values; what they hold outside the volume does not matter.
    feature_values, ignored_values : ndarray of integers, 1-D
        Label values of the feature, and those that teach nothing.
    inside : ndarray of bool, shape (y, x)
        False where the tile sticks out of the volume: nobody can have looked there.

    Returns
    -------
    ndarray of uint8, shape (y, x)
        Every pixel of the volume is looked at: 1, 2 or 3; 0 outside.
    """
    layer = np.where(np.isin(labels, feature_values), FEATURE, NOT_FEATURE).astype(np.uint8)
    layer[np.isin(labels, ignored_values)] = IGNORED
    layer[~inside] = UNLABELLED
    return layer


def layer_from_mask(mask: NDArray[np.generic]) -> Layer:
    """Turn a mask, anything above 0 being the feature, into a layer that is wholly looked at.

    Parameters
    ----------
    mask : ndarray, shape (y, x)
        Of 0/1, 0/255 or the like, any type.
    """
    return np.where(mask > 0, FEATURE, NOT_FEATURE).astype(np.uint8)  # type: ignore[operator]


def fill_unlabelled(layer: Layer) -> Layer:
    """Return the layer with all that was not looked at taken as not feature."""
    return np.where(layer == UNLABELLED, NOT_FEATURE, layer).astype(np.uint8)


def labelled_pixels(layers: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which pixels of layers are the feature or not the feature: neither unlabelled nor ignored."""
    return np.asarray((layers == NOT_FEATURE) | (layers == FEATURE))


def empty_layer(size: int, value: int = UNLABELLED) -> Layer:
    """Return a layer of one value, shape (size, size)."""
    return np.full((size, size), value, np.uint8)


@dataclass(frozen=True, eq=False)
class LayerChange:
    """What one stroke does to the layer of one feature: enough to do it, and to take it back."""

    feature: str
    tool: str
    """In a word: brush, line, wand, done ..."""
    pixels: NDArray[np.int64]
    """Flat indices of the pixels that change, ascending."""
    before: NDArray[np.uint8]
    """Their values before, as many as pixels."""
    after: NDArray[np.uint8]
    """Their values afterwards."""
    states: tuple[FeatureState | None, FeatureState | None] | None = None
    """State of the feature on the tile before and afterwards, where the change changes that too; None: it does not."""

    @property
    def inverse(self) -> "LayerChange":
        """The change that takes this one back."""
        states = None if self.states is None else (self.states[1], self.states[0])
        return LayerChange(self.feature, self.tool, self.pixels, self.after, self.before, states)


def paint_change(layer: Layer, mask: NDArray[np.bool_], value: int, *, feature: str, tool: str) -> LayerChange | None:
    """Return what painting one value does to a layer, None if it holds that value already wherever the mask is.

    Parameters
    ----------
    layer : ndarray of uint8, shape (y, x)
    mask : ndarray of bool, shape (y, x)
        Where it is painted.
    value : int
        0 to 3.
    feature, tool : str
        Kept in the change.
    """
    return layer_difference(layer, np.where(mask, np.uint8(value), layer), feature=feature, tool=tool)


def layer_difference(layer: Layer, target: Layer, *, feature: str, tool: str) -> LayerChange | None:
    """Return what turns one layer into another, None if they are equal."""
    pixels = np.flatnonzero(layer != target)
    if not len(pixels):
        return None
    return LayerChange(feature, tool, pixels, layer.ravel()[pixels], target.ravel()[pixels])


def apply_change(layer: Layer, change: LayerChange) -> Layer:
    """Return the layer after a change; the layer is left as it is."""
    after = layer.copy()
    after.ravel()[change.pixels] = change.after
    return after


def revert_change(layer: Layer, change: LayerChange) -> Layer:
    """Return the layer before a change."""
    return apply_change(layer, change.inverse)
