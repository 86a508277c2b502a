"""Build the networks of `core.network_settings` as Keras models.

A model maps densities (n, y, x, slice) of mean 0 and sigma 1, with y and x multiples of the stride, to raw outputs
(n, y, x, slice out * feature); see `build_network`. `to_probabilities` maps these to numbers from 0 to 1.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tomoseg_tui.core.calibration import Calibration
from tomoseg_tui.core.network_settings import EMAN2_KERNEL_SIZE, EMAN2_KERNELS, NetworkSettings

INITIAL_LOGIT = -2.0
"""Output of an untrained U-Net: a probability of about 1/8, the share of feature pixels in typical tiles."""
NORMALISATION_MOMENTUM = 0.95
"""Share of the running mean and variance preserved per step; a training may have only some hundred steps."""
EMAN2_DENSITY_SCALE = 3.0
"""EMAN2 divides densities by 3, because its preprocessing clamps them at 3 sigma."""
EMAN2_INITIAL_SIGMA = 0.01
"""Sigma of the initial weights in EMAN2."""


def build_network(settings: NetworkSettings, features: int, *, seed: int = 0) -> Any:
    """Build an untrained network.

    Parameters
    ----------
    features : int
        Number of outputs, at least 1.

    Returns
    -------
    keras.Model
        Maps (n, y, x, slice) to raw outputs: logits (n, y, x, slice out * feature) for a U-Net, amplitudes on half the
        grid (n, y / 2, x / 2, feature) for EMAN2's network.
    """
    seeds = keras.random.SeedGenerator(seed)
    inputs = keras.Input((None, None, settings.slices), name="densities")
    body = _stack if settings.kind == "stack" else _unet
    return keras.Model(inputs, body(inputs, settings, features, seeds), name=settings.kind)


def to_probabilities(settings: NetworkSettings, outputs: Any) -> Any:
    """Return raw outputs as numbers from 0 to 1 on the full grid; shape (n, y, x, slice out * feature).

    EMAN2's half grid is upsampled bilinearly, with each coarse pixel centred on the four that it represents.
    """
    if settings.kind == "unet":
        return tf.sigmoid(outputs)
    size = 2 * tf.shape(outputs)[1:3]
    return tf.clip_by_value(tf.image.resize(outputs, size, method="bilinear"), 0.0, 1.0)


@contextmanager
def calibrated_weights(model: Any, settings: NetworkSettings, calibrations: Sequence[Calibration]) -> Iterator[None]:
    """Calibrate the logits of a model within the context.

    Parameters
    ----------
    model : keras.Model
        Scale and shift of each feature are applied to the weights of its last layer, and reverted at the end.
    calibrations : sequence of Calibration
        One per feature, in the order of the outputs.
    """
    last_layer = model.get_layer("features")
    kernel, bias = (variable.numpy() for variable in (last_layer.kernel, last_layer.bias))
    scales, shifts = np.tile(np.array(calibrations, np.float32), (settings.slices_out, 1)).T  # slice out * feature
    kernel_scales = scales if settings.kind == "stack" else scales[:, np.newaxis]  # transposed: outputs before inputs
    last_layer.kernel.assign(kernel * kernel_scales)
    last_layer.bias.assign(bias * scales + shifts)
    try:
        yield
    finally:
        last_layer.kernel.assign(kernel)
        last_layer.bias.assign(bias)


def crop_to_tile(settings: NetworkSettings, outputs: Any, margin: int) -> Any:
    """Crop `margin` pixels from each side of raw outputs in y and x; half as many on EMAN2's half grid."""
    crop = margin // (2 if settings.kind == "stack" else 1)
    return outputs[:, crop:-crop, crop:-crop] if crop else outputs


def _unet(inputs: Any, settings: NetworkSettings, features: int, seeds: Any) -> Any:
    channels, fold = settings.channels, settings.fold
    grid = keras.ops.clip(inputs, -settings.clamp_sigma, settings.clamp_sigma)
    grid = _convolve(grid, channels[0], seeds, size=3 * fold, strides=fold)
    grid = _convolve(grid, channels[0], seeds)
    skips = []
    for width in channels[1:]:
        skips.append(grid)
        grid = keras.layers.MaxPooling2D(2)(grid)
        grid = _convolve(_convolve(grid, width, seeds), width, seeds)
    for skip in reversed(skips):
        grid = _merge_skip(grid, skip, seeds)
    return keras.layers.Conv2DTranspose(
        settings.slices_out * features,
        fold,
        strides=fold,
        kernel_initializer=keras.initializers.GlorotUniform(seeds),
        bias_initializer=keras.initializers.Constant(INITIAL_LOGIT),
        name="features",
    )(grid)


def _merge_skip(coarse: Any, skip: Any, seeds: Any) -> Any:
    """Upsample a coarse grid and merge it with its skip connection."""
    width = skip.shape[-1]
    narrowed = _convolve(coarse, width, seeds, size=1)
    enlarged = keras.layers.UpSampling2D(2, interpolation="nearest")(narrowed)
    merged = keras.layers.Concatenate()([enlarged, skip])
    return _convolve(_convolve(merged, width, seeds), width, seeds)


def _convolve(grid: Any, channels: int, seeds: Any, size: int = 3, strides: int = 1) -> Any:
    """Apply convolution, batch normalisation and ReLU."""
    convolved = keras.layers.Conv2D(
        channels,
        size,
        strides=strides,
        padding="same",
        use_bias=False,  # the normalisation has a shift
        kernel_initializer=keras.initializers.HeNormal(seeds),
    )(grid)
    normalised = keras.layers.BatchNormalization(momentum=NORMALISATION_MOMENTUM)(convolved)
    return keras.layers.ReLU()(normalised)


def _stack(inputs: Any, settings: NetworkSettings, features: int, seeds: Any) -> Any:
    first, second = EMAN2_KERNELS
    initializer = keras.initializers.TruncatedNormal(0.0, EMAN2_INITIAL_SIGMA, seeds)
    options = {"kernel_size": EMAN2_KERNEL_SIZE, "padding": "same", "kernel_initializer": initializer}
    grid = keras.ops.clip(inputs, -settings.clamp_sigma, settings.clamp_sigma) / EMAN2_DENSITY_SCALE
    grid = keras.layers.Conv2D(first, activation="relu", **options)(grid)
    grid = keras.layers.MaxPooling2D(2)(grid)
    grid = keras.layers.Conv2D(second, activation="relu", **options)(grid)
    return keras.layers.Conv2D(features, name="features", **options)(grid)
