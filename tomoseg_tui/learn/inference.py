"""Predict blocks of slices with a trained network, in bounded memory and the same wherever it is run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tomoseg_tui.core.network_settings import NetworkSettings
from tomoseg_tui.core.patches import CONTEXT_SLICES, TilePatches
from tomoseg_tui.errors import ShapeError
from tomoseg_tui.learn.networks import build, probabilities
from tomoseg_tui.learn.weights import load_weights


@final
class Predictor:
    """A trained network, ready to be applied.

    Parameters
    ----------
    weights : Path
        Written by a training.
    settings : NetworkSettings
        What the network looks like.
    features : int
        Its outputs.

    Raises
    ------
    TrainingError
        If the weights are missing or damaged, or belong to another kind of network.
    """

    def __init__(self, weights: Path, settings: NetworkSettings, features: int) -> None:
        self.settings = settings
        self.features = features
        model = build(settings, features)
        load_weights(weights, model)
        self._one_slice = prediction_function(model, settings)
        self._raw = raw_function(model, settings)

    def predict(self, densities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Segment a block of slices.

        Parameters
        ----------
        densities : ndarray of float32, shape (z + 2 * context_slices, y, x)
            Mean 0 and sigma 1 over the tomogram. y and x are multiples of the network's stride, and the
            block begins at a multiple of it in its tomogram, or results depend on where it begins.

        Returns
        -------
        ndarray of float32, shape (z, y, x, feature)
            From 0 to 1; what the whole tomogram would give, but for `margin_pixels` along the edges in y
            and x. Slices are predicted one by one, so that memory does not grow with z and the numbers
            do not depend on how a tomogram is cut along z.

        Raises
        ------
        ShapeError
            If there are too few slices, or y or x is no multiple of the stride.
        """
        self._check(densities.shape)
        slabs = sliding_window_view(densities, self.settings.slices, axis=0)  # (z, y, x, slice)
        found = np.empty((*slabs.shape[:3], self.features), np.float32)
        for z, slab in enumerate(slabs):
            found[z] = self._one_slice(np.ascontiguousarray(slab[np.newaxis]))[0]
        return found

    def predict_tiles(self, patches: TilePatches) -> NDArray[np.float32]:
        """Segment tiles with all the surroundings they come with.

        Returns
        -------
        ndarray of float32, shape (n, s, s, feature)
            From 0 to 1.
        """
        outputs = tile_outputs(self._raw, self.settings, patches, np.arange(len(patches.densities)))
        return tile_probabilities(self.settings, outputs, patches.tile)

    def _check(self, shape: tuple[int, ...]) -> None:
        stride, slices = self.settings.stride, self.settings.slices
        if len(shape) != 3 or shape[0] < slices or shape[1] % stride or shape[2] % stride:
            raise ShapeError(
                f"A block of shape {shape} (z, y, x) cannot be segmented: expected at least {slices} slices "
                f"and multiples of {stride} pixels.",
                f"Pad y and x to multiples of {stride}, and add {slices // 2} slices on each side.",
            )


def prediction_function(model: Any, settings: NetworkSettings) -> Any:
    """Compile a model into a function from (n, y, x, slice) densities to (n, y, x, feature) from 0 to 1."""
    return _compiled(lambda densities: probabilities(settings, model(densities, training=False)), settings)


def raw_function(model: Any, settings: NetworkSettings) -> Any:
    """Compile a model into a function from (n, y, x, slice) densities to its raw outputs."""
    return _compiled(lambda densities: model(densities, training=False), settings)


def _compiled(function: Callable[[Any], Any], settings: NetworkSettings) -> Any:
    slab = tf.TensorSpec((None, None, None, settings.slices), tf.float32)
    return tf.function(function, input_signature=[slab], autograph=False)


def tile_outputs(raw: Any, settings: NetworkSettings, patches: TilePatches, tiles: NDArray[np.intp]) -> Any:
    """Run a raw function over some tiles with all their surroundings, one by one.

    Returns
    -------
    tensor of float32
        Raw outputs (m, y, x, feature) over tiles and surroundings; half as many in y and x for EMAN2's network.
    """
    first = CONTEXT_SLICES - settings.context_slices
    slabs = (np.moveaxis(patches.densities[tile, first : first + settings.slices], 0, -1) for tile in tiles)
    return tf.concat([raw(np.ascontiguousarray(slab[np.newaxis])) for slab in slabs], axis=0)


def tile_probabilities(settings: NetworkSettings, outputs: Any, tile: int) -> NDArray[np.float32]:
    """Turn raw outputs over tiles and surroundings into (m, s, s, feature) from 0 to 1 over the tiles of edge s."""
    found: NDArray[np.float32] = probabilities(settings, outputs).numpy()
    around = (found.shape[1] - tile) // 2
    return found[:, around : around + tile, around : around + tile]
