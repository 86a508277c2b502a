"""Predict slices with a trained network, in bounded memory and independent of how a tomogram is divided.

Batch normalisation, a scale and a shift after training, is included in the weights of the convolution before it: exact
except for rounding, and a tenth faster.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import read_overhead, smaller_edge, split_into_blocks, write_block
from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.core.network_settings import NetworkSettings
from tomoseg_tui.core.patches import TilePatches, slices_for_position
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.ml.checkpoints import load_weights
from tomoseg_tui.ml.networks import build_network, to_probabilities

HALF_POLICY = "mixed_float16"
"""Convolutions are computed in float16 with weights in float32."""

HALF_TOLERANCE = 1 / MAX_MAP_VALUE
"""Largest difference from float32 at which half precision is used: one step of a map."""
DIHEDRAL_TRANSFORMS = ((0, False), (2, False), (0, True), (2, True), (1, False), (3, False), (1, True), (3, True))
"""Quarter turns and mirroring in x; the first four preserve the direction of the missing wedge."""


@final
class Predictor:
    """A trained network for prediction.

    Parameters
    ----------
    features : int
        Number of outputs.
    tta : int
        Rotated and mirrored copies of each slice whose probabilities are averaged: 1, 4 or 8.
    log : callable
        Called with a sentence when memory runs out and smaller blocks are used.

    Raises
    ------
    TrainingError
        If the weights are missing or damaged, or belong to another kind of network.
    """

    def __init__(
        self,
        weights: Path,
        settings: NetworkSettings,
        features: int,
        *,
        tta: int = 1,
        log: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.settings = settings
        self.features = features
        self._log = log
        self._transforms = DIHEDRAL_TRANSFORMS[:tta]
        self._model = build_network(settings, features)
        load_weights(weights, self._model)
        self._predict_function = prediction_function(fold_batch_normalisation(self._model), settings)
        self._raw_function = raw_function(self._model, settings)
        self._block_edge: int | None = None
        self.is_half = False

    def predict_group(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Segment one group of slices.

        Parameters
        ----------
        window : ndarray of float32, shape (y, x, slice)
            The network's input slices; y and x are multiples of its stride.

        Returns
        -------
        ndarray of float32, shape (slices_out, y, x, feature)
            From 0 to 1. When memory runs out, smaller blocks are used from then on, with the same result except for
            rounding.

        Raises
        ------
        TomosegError
            If memory does not suffice for the smallest block.
        """
        while True:
            try:
                return slices_first(self._predict_averaged(window), self.settings.slices_out)
            except (tf.errors.ResourceExhaustedError, MemoryError) as fault:
                self._reduce_block_edge((window.shape[0], window.shape[1]), fault)

    def try_half(self, window: NDArray[np.float32]) -> str:
        """Switch to half precision if its result is close enough to float32 on one group of slices.

        Parameters
        ----------
        window : ndarray of float32, shape (y, x, slice)
            The slices to compare on.

        Returns
        -------
        str
            A sentence with the result.
        """
        full_result, full_function = self.predict_group(window), self._predict_function
        self._predict_function, self.is_half = (
            prediction_function(fold_batch_normalisation(self._model, half=True), self.settings),
            True,
        )
        half_result = self.predict_group(window)
        difference = float(np.abs(half_result - full_result).max()) / HALF_TOLERANCE
        if difference <= 1:  # False for NaN
            return f"Computing in half precision, which differs from float32 by at most {difference:.2f} map steps."
        self._predict_function, self.is_half = full_function, False
        return f"Computing in float32; half precision differs from it by up to {difference:.2f} map steps."

    def _predict_averaged(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the mean over rotated and mirrored copies; shape (y, x, slice out * feature)."""
        if len(self._transforms) == 1:
            return self._predict_in_blocks(window)
        total = np.zeros((*window.shape[:2], self.settings.slices_out * self.features), np.float32)
        for transform in self._transforms:
            total += _inverse_transform(self._predict_in_blocks(_transform(window, *transform)), *transform)
        total /= np.float32(len(self._transforms))
        return total

    def _predict_in_blocks(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Predict a window in blocks that fit into memory; shape (y, x, slice out * feature)."""
        if self._block_edge is None:
            return self._predict_window(window)
        margin, stride = self.settings.margin_pixels, self.settings.stride
        blocks = split_into_blocks(
            (1, *window.shape[:2]), slab=1, edge=self._block_edge, halo_zyx=(0, margin, margin), stride=stride
        )
        output = np.empty((1, *window.shape[:2], self.settings.slices_out * self.features), np.float32)
        for block in blocks:
            write_block(
                output, block, self._predict_window(np.ascontiguousarray(window[block.read_window[1:]]))[np.newaxis]
            )
        result: NDArray[np.float32] = output[0]
        return result

    def _predict_window(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        output: NDArray[np.float32] = self._predict_function(window[np.newaxis])[0].numpy()
        return output

    def _reduce_block_edge(self, shape_yx: tuple[int, int], fault: Exception) -> None:
        """Switch to the next smaller blocks, or raise an error if there are none."""
        margin, stride = self.settings.margin_pixels, self.settings.stride
        current_edge = min(self._block_edge or max(shape_yx), max(shape_yx))
        new_edge = smaller_edge(shape_yx, current_edge, halo=margin, stride=stride)
        if new_edge is None:
            raise TomosegError(
                f"There is not enough memory to segment a block of {current_edge} pixels.",
                "Close other programs, or use fewer --workers.",
            ) from fault
        self._block_edge, overhead = new_edge, read_overhead(shape_yx, new_edge, halo=margin, stride=stride)
        self._log(
            f"Not enough memory for blocks of {current_edge} pixels: using {new_edge}, and a slice takes about "
            f"{overhead:.1f} times as long as undivided. "
            f"The map is the same except for rounding, at most one of its {MAX_MAP_VALUE} steps."
        )

    def predict_tiles(self, patches: TilePatches) -> NDArray[np.float32]:
        """Segment tiles with all their surroundings.

        Returns
        -------
        ndarray of float32, shape (n, s, s, feature)
            From 0 to 1. With several output slices, the tile is on the middle one.
        """
        outputs = tile_outputs(self._raw_function, self.settings, patches, np.arange(len(patches.densities)))
        predictions = tile_probabilities(self.settings, outputs, patches.tile_size)  # (n, place, s, s, feature)
        return predictions[:, self.settings.slices_out // 2]


def _transform(window: NDArray[np.float32], quarter_turns: int, flip: bool) -> NDArray[np.float32]:  # noqa: FBT001
    """Return a copy (y, x, ...) rotated by quarter turns and then mirrored in x."""
    rotated: NDArray[np.float32] = np.rot90(window, quarter_turns)
    return np.ascontiguousarray(rotated[:, ::-1] if flip else rotated)


def _inverse_transform(output: NDArray[np.float32], quarter_turns: int, flip: bool) -> NDArray[np.float32]:  # noqa: FBT001
    """Undo `_transform`."""
    restored: NDArray[np.float32] = np.rot90(output[:, ::-1] if flip else output, -quarter_turns)
    return restored


def prediction_function(model: Any, settings: NetworkSettings) -> Any:
    """Compile a model to a function from densities (n, y, x, slice) to probabilities (n, y, x, slice out * feature)."""
    return _compile(lambda densities: to_probabilities(settings, model(densities, training=False)), settings)


def raw_function(model: Any, settings: NetworkSettings) -> Any:
    """Compile a model to a function from densities (n, y, x, slice) to its raw outputs."""
    return _compile(lambda densities: model(densities, training=False), settings)


def _compile(function: Callable[[Any], Any], settings: NetworkSettings) -> Any:
    window_spec = tf.TensorSpec((None, None, None, settings.slices), tf.float32)
    return tf.function(function, input_signature=[window_spec], autograph=False)


def slices_first(outputs: NDArray[np.float32], group_size: int) -> NDArray[np.float32]:
    """Return outputs (..., y, x, slice out * feature) as (..., slice out, y, x, feature)."""
    features = outputs.shape[-1] // group_size
    return np.moveaxis(outputs.reshape(*outputs.shape[:-1], group_size, features), -2, -4)


def tile_outputs(raw_model: Any, settings: NetworkSettings, patches: TilePatches, tiles: NDArray[np.intp]) -> Any:
    """Compute raw outputs for some tiles with all their surroundings, at each position among the output slices.

    Returns
    -------
    tensor of float32
        Raw outputs (m * position, y, x, slice out * feature) over tiles and surroundings; half the size in y and x
        for EMAN2's network.
    """
    windows = (
        slices_for_position(settings, patches.densities[tile], position)
        for tile in tiles
        for position in range(settings.slices_out)
    )
    return tf.concat(
        [raw_model(np.ascontiguousarray(np.moveaxis(window, 0, -1)[np.newaxis])) for window in windows], axis=0
    )


def tile_probabilities(settings: NetworkSettings, outputs: Any, tile_size: int) -> NDArray[np.float32]:
    """Return the probabilities within the tiles from the result of `tile_outputs`.

    Returns
    -------
    ndarray of float32, shape (m, position, s, s, feature)
        From 0 to 1, for each tile at each position among the output slices.
    """
    group_size = settings.slices_out
    predictions = to_probabilities(settings, outputs).numpy()
    margin = (predictions.shape[1] - tile_size) // 2
    cropped = predictions[:, margin : margin + tile_size, margin : margin + tile_size]
    slices = slices_first(cropped, group_size).reshape(
        -1, group_size, group_size, tile_size, tile_size, cropped.shape[-1] // group_size
    )
    tile_slices: NDArray[np.float32] = np.stack(
        [slices[:, position, position] for position in range(group_size)], axis=1
    )
    return tile_slices


def fold_batch_normalisation(model: Any, *, half: bool = False) -> Any:
    """Return a copy of a network with its normalisations folded into its convolutions.

    Parameters
    ----------
    model : keras.Model
        A trained network. Left unchanged.
    half : bool
        Compute in float16, except for the last layer, whose outputs are float32.

    Returns
    -------
    keras.Model
        Gives the same outputs for the same inputs except for rounding. Weights are not shared.
    """
    following_norms = _normalised_convolutions(model)
    folded_names = {normalisation.name for normalisation in following_norms.values()}

    def clone_layer(layer: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return layer  # an operation without weights
        policy = HALF_POLICY if half and layer.name != "features" else "float32"
        if layer.name in folded_names:
            return keras.layers.Identity(name=layer.name, dtype=policy)
        changes = {"use_bias": True} if layer.name in following_norms else {}
        return type(layer).from_config({**layer.get_config(), **changes, "dtype": policy})

    copy = keras.models.clone_model(model, clone_function=clone_layer, call_function=_call_without_mask)
    for layer in model.layers:
        if layer.name in following_norms:
            copy.get_layer(layer.name).set_weights(_folded_weights(layer, following_norms[layer.name]))
        elif layer.weights and layer.name not in folded_names:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def _normalised_convolutions(model: Any) -> dict[str, Any]:
    """Return the normalisations directly after a convolution, by the name of the convolution."""
    convolutions = {id(layer.output): layer for layer in model.layers if _is_plain_convolution(layer)}
    normalisations = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return {
        convolutions[id(normalisation.input)].name: normalisation
        for normalisation in normalisations
        if id(normalisation.input) in convolutions
    }


def _is_plain_convolution(layer: Any) -> bool:
    """Return whether a layer is a convolution without activation."""
    return type(layer) is keras.layers.Conv2D and layer.activation is keras.activations.linear


def _folded_weights(convolution: Any, normalisation: Any) -> list[NDArray[np.float32]]:
    """Return kernel (y, x, in, out) and bias (out,) equivalent to both layers."""
    deviation = np.sqrt(normalisation.moving_variance.numpy() + np.float32(normalisation.epsilon))
    scale = normalisation.gamma.numpy() / deviation  # (out,)
    bias = convolution.bias.numpy() if convolution.use_bias else np.float32(0)
    return [
        convolution.kernel.numpy() * scale,
        normalisation.beta.numpy() + (bias - normalisation.moving_mean.numpy()) * scale,
    ]


def _call_without_mask(layer: Any, *inputs: Any, **keywords: Any) -> Any:
    """Call a layer; operations, unlike layers, have no mask argument."""
    return layer(*inputs, **{name: value for name, value in keywords.items() if name != "mask"})
