"""Predict blocks of slices with a trained network, in bounded memory and the same wherever it is run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import numpy as np
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tomoseg_tui.core.network_settings import NetworkSettings
from tomoseg_tui.core.patches import TilePatches, window_of
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
        self._one_group = prediction_function(model, settings)
        self._raw = raw_function(model, settings)

    def predict(self, densities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Segment a block of slices.

        Parameters
        ----------
        densities : ndarray of float32, shape (z + 2 * context_slices, y, x)
            Mean 0 and sigma 1 over the tomogram. z is a multiple of the network's `slices_out`, y and x of
            its stride, and the block begins at multiples of them in its tomogram, or results depend on
            where it begins.

        Returns
        -------
        ndarray of float32, shape (z, y, x, feature)
            From 0 to 1; what the whole tomogram would give, but for `margin_pixels` along the edges in y
            and x. Groups of `slices_out` slices are predicted one by one, so that memory does not grow with
            z and the numbers do not depend on how a tomogram is cut along z.

        Raises
        ------
        ShapeError
            If there are too few slices, or z, y or x is no multiple of what it should be.
        """
        self._check(densities.shape)
        group = self.settings.slices_out
        windows = sliding_window_view(densities, self.settings.slices, axis=0)[::group]  # (z / group, y, x, slice)
        found = np.empty((group * len(windows), *densities.shape[1:], self.features), np.float32)
        for number, window in enumerate(windows):
            outputs = self._one_group(np.ascontiguousarray(window[np.newaxis]))[0].numpy()
            found[group * number : group * (number + 1)] = slices_first(outputs, group)
        return found

    def predict_tiles(self, patches: TilePatches) -> NDArray[np.float32]:
        """Segment tiles with all the surroundings they come with.

        Returns
        -------
        ndarray of float32, shape (n, s, s, feature)
            From 0 to 1; of a network that segments several slices at once, with the tile in their middle.
        """
        outputs = tile_outputs(self._raw, self.settings, patches, np.arange(len(patches.densities)))
        found = tile_probabilities(self.settings, outputs, patches.tile)  # (n, place, s, s, feature)
        return found[:, self.settings.slices_out // 2]

    def _check(self, shape: tuple[int, ...]) -> None:
        stride, slices, group = self.settings.stride, self.settings.slices, self.settings.slices_out
        whole_groups = len(shape) == 3 and shape[0] >= slices and (shape[0] - slices) % group == 0
        if not whole_groups or shape[1] % stride or shape[2] % stride:
            raise ShapeError(
                f"A block of shape {shape} (z, y, x) cannot be segmented: expected {slices} slices or any multiple "
                f"of {group} more, and multiples of {stride} pixels.",
                f"Pad y and x to multiples of {stride}, and add {self.settings.context_slices} slices on each side.",
            )


def prediction_function(model: Any, settings: NetworkSettings) -> Any:
    """Compile a model into a function from (n, y, x, slice) densities to (n, y, x, slice out * feature) from 0 to 1."""
    return _compiled(lambda densities: probabilities(settings, model(densities, training=False)), settings)


def raw_function(model: Any, settings: NetworkSettings) -> Any:
    """Compile a model into a function from (n, y, x, slice) densities to its raw outputs."""
    return _compiled(lambda densities: model(densities, training=False), settings)


def _compiled(function: Callable[[Any], Any], settings: NetworkSettings) -> Any:
    slab = tf.TensorSpec((None, None, None, settings.slices), tf.float32)
    return tf.function(function, input_signature=[slab], autograph=False)


def slices_first(outputs: NDArray[np.float32], group: int) -> NDArray[np.float32]:
    """Turn outputs (..., y, x, slice out * feature) of `group` slices into a view (..., slice out, y, x, feature)."""
    features = outputs.shape[-1] // group
    return np.moveaxis(outputs.reshape(*outputs.shape[:-1], group, features), -2, -4)


def tile_outputs(raw: Any, settings: NetworkSettings, patches: TilePatches, tiles: NDArray[np.intp]) -> Any:
    """Run a raw function over some tiles with all their surroundings, one by one and at each place.

    Returns
    -------
    tensor of float32
        Raw outputs (m * place, y, x, slice out * feature) over tiles and surroundings; half as many in y and x
        for EMAN2's network.
    """
    windows = (
        window_of(settings, patches.densities[tile], place) for tile in tiles for place in range(settings.slices_out)
    )
    return tf.concat([raw(np.ascontiguousarray(np.moveaxis(window, 0, -1)[np.newaxis])) for window in windows], axis=0)


def tile_probabilities(settings: NetworkSettings, outputs: Any, tile: int) -> NDArray[np.float32]:
    """Turn what `tile_outputs` returns into numbers from 0 to 1 over the tiles alone.

    Returns
    -------
    ndarray of float32, shape (m, place, s, s, feature)
        Each tile as it is segmented at each place among the slices segmented at once.
    """
    group = settings.slices_out
    found = probabilities(settings, outputs).numpy()
    around = (found.shape[1] - tile) // 2
    inner = found[:, around : around + tile, around : around + tile]
    slices = slices_first(inner, group).reshape(-1, group, group, tile, tile, inner.shape[-1] // group)
    own: NDArray[np.float32] = np.stack([slices[:, place, place] for place in range(group)], axis=1)
    return own
