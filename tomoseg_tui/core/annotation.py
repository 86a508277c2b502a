"""Annotations of a tile: one layer of pixel labels per feature, independent of the other features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.tiles import FeatureState

UNLABELLED = 0
NOT_FEATURE = 1
FEATURE = 2
IGNORED = 3

Layer = NDArray[np.uint8]
"""Shape (y, x), values 0 unlabelled, 1 not feature, 2 feature, 3 ignore."""


def layer_from_labels(
    labels: NDArray[np.integer],
    feature_values: NDArray[np.integer],
    ignored_values: NDArray[np.integer],
    inside: NDArray[np.bool_],
) -> Layer:
    """Return the layer of one feature from the label values within a tile.

    Parameters
    ----------
    labels : ndarray of integers, shape (y, x)
        Label values; values outside the volume are not used.
    feature_values, ignored_values : ndarray of integers, 1-D
        Label values of the feature, and label values to ignore in training.
    inside : ndarray of bool, shape (y, x)
        False where the tile extends beyond the volume.

    Returns
    -------
    ndarray of uint8, shape (y, x)
        1, 2 or 3 within the volume, 0 outside.
    """
    layer = np.where(np.isin(labels, feature_values), FEATURE, NOT_FEATURE).astype(np.uint8)
    layer[np.isin(labels, ignored_values)] = IGNORED
    layer[~inside] = UNLABELLED
    return layer


def layer_from_mask(mask: NDArray[np.generic]) -> Layer:
    """Return a fully labelled layer from a mask (y, x) of any type; values above 0 are the feature."""
    return np.where(mask > 0, FEATURE, NOT_FEATURE).astype(np.uint8)  # type: ignore[operator]


def fill_unlabelled(layer: Layer) -> Layer:
    """Return the layer with unlabelled pixels set to "not feature"."""
    return np.where(layer == UNLABELLED, NOT_FEATURE, layer).astype(np.uint8)


def labelled_pixels(layers: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which pixels of layers are labelled "feature" or "not feature": neither unlabelled nor ignored."""
    return np.asarray((layers == NOT_FEATURE) | (layers == FEATURE))


def empty_layer(size: int, value: int = UNLABELLED) -> Layer:
    """Return a layer of one value, shape (size, size)."""
    return np.full((size, size), value, np.uint8)


@dataclass(frozen=True, eq=False)
class LayerChange:
    """Change of the layer of one feature by one stroke: enough to apply it and to revert it."""

    feature: str
    tool: str
    """Name of the tool: brush, line, wand, done ..."""
    pixels: NDArray[np.int64]
    """Flat indices of the changed pixels, ascending."""
    before: NDArray[np.uint8]
    """Values before, one per pixel."""
    after: NDArray[np.uint8]
    """Values after, one per pixel."""
    states: tuple[FeatureState | None, FeatureState | None] | None = None
    """State of the feature on the tile before and after; None if the change leaves it."""

    @property
    def inverse(self) -> "LayerChange":
        """The change that reverts this one."""
        states = None if self.states is None else (self.states[1], self.states[0])
        return LayerChange(self.feature, self.tool, self.pixels, self.after, self.before, states)


def paint_change(layer: Layer, mask: NDArray[np.bool_], value: int, *, feature: str, tool: str) -> LayerChange | None:
    """Return the change that paints one value (0 to 3) where the mask (y, x) is True; None if it changes no pixel."""
    return layer_difference(layer, np.where(mask, np.uint8(value), layer), feature=feature, tool=tool)


def layer_difference(layer: Layer, target: Layer, *, feature: str, tool: str) -> LayerChange | None:
    """Return the change that turns one layer into another; None if they are equal."""
    pixels = np.flatnonzero(layer != target)
    if not len(pixels):
        return None
    return LayerChange(feature, tool, pixels, layer.ravel()[pixels], target.ravel()[pixels])


def apply_change(layer: Layer, change: LayerChange) -> Layer:
    """Return a copy of the layer with the change applied."""
    after = layer.copy()
    after.ravel()[change.pixels] = change.after
    return after
