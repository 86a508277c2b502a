"""Copy a trained network into a faster one for prediction, which cannot be trained further.

After training, batch normalisation is a scale and a shift. They are included in the weights of the convolution before
it: exact except for rounding, and a tenth faster.
"""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

HALF_POLICY = "mixed_float16"
"""Convolutions are computed in float16 with weights in float32."""


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
