"""A 2D U-Net of the size of Ais' UNet S, trained as in Ais, for comparison in the benchmark.

One slice, three levels of 64, 128 and 256 channels, one 3 x 3 convolution per level and direction: 922,881 parameters.
Adam at 1e-3, binary cross entropy over the labelled pixels, batches of 32, eight dihedral copies of
each tile, 25 epochs. Run as a separate process: `python unet_s.py TRAINSET.h5 TOMOGRAM.mrc OUT --epochs N`; writes
OUT.mrc, a map of TOMOGRAM, and OUT.json.
"""

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.ml.tf_devices import prepare_device
from tomoseg_tui.runners.slabs import probability_to_byte
from tomoseg_tui.workflow.training.trainset import load_patches

CHANNELS = (64, 128, 256)
PARAMETERS = 922_881
BATCH = 32
LEARNING_RATE = 1e-3
EVERY = 4
"""Slices that are segmented: every fourth."""
FEATURE, IGNORED = 2, (0, 3)
"""Values of an annotation's layer."""


def build_unet_s() -> Any:
    """Build the untrained network, from (n, y, x, 1) to (n, y, x, 1) from 0 to 1."""
    fine, middle, coarse = CHANNELS
    inputs = keras.Input((None, None, 1))
    first = _convolve(inputs, fine)
    second = _convolve(keras.layers.MaxPooling2D(2)(first), middle)
    grid = _convolve(keras.layers.MaxPooling2D(2)(second), coarse)
    for bridge, width in ((second, middle), (first, fine)):
        grid = keras.layers.Concatenate()([keras.layers.UpSampling2D(2)(grid), bridge])
        grid = _convolve(grid, width)
    return keras.Model(inputs, keras.layers.Conv2D(1, 1, activation="sigmoid")(grid))


def _convolve(grid: Any, channels: int) -> Any:
    return keras.layers.Conv2D(channels, 3, padding="same", activation="relu")(grid)


def flops_per_pixel() -> float:
    """Return its floating point operations per pixel; a multiply-add counts as 2."""
    fine, middle, coarse = CHANNELS
    on_fine = 9 * fine + 9 * (middle + fine) * fine + fine
    on_middle = 9 * fine * middle + 9 * (coarse + middle) * middle
    return 2.0 * (on_fine + on_middle / 4 + 9 * middle * coarse / 16)


def masked_cross_entropy(truth: Any, found: Any) -> Any:
    """Return the mean binary cross entropy over pixels with weight; truth contains feature and weight."""
    feature, weight = truth[..., :1], truth[..., 1:]
    near = tf.clip_by_value(found, 1e-7, 1 - 1e-7)
    losses = -(feature * tf.math.log(near) + (1 - feature) * tf.math.log(1 - near))
    return tf.reduce_sum(losses * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)


def dihedral(stack: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the eight rotated and mirrored copies of images (n, y, x, channel), one after the other."""
    turned = [np.rot90(stack, turns, axes=(1, 2)) for turns in range(4)]
    return np.concatenate([*turned, *(copy[:, :, ::-1] for copy in turned)])


def train(trainset: Path, epochs: int) -> Any:
    """Train on all tiles of a training set."""
    _, patches, _ = load_patches(trainset, validation=0.0)
    inner = slice(CONTEXT_PIXELS, -CONTEXT_PIXELS)
    layers = patches.layers[:, 0]
    images = dihedral(patches.densities[:, CONTEXT_SLICES, inner, inner][..., np.newaxis])
    truth = np.stack([layers == FEATURE, ~np.isin(layers, IGNORED)], axis=-1).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = build_unet_s()
    model.compile(keras.optimizers.Adam(LEARNING_RATE), masked_cross_entropy)
    model.fit(images, dihedral(truth), batch_size=BATCH, epochs=epochs, verbose=0)
    return model


def segment(model: Any, tomogram: Path, out: Path) -> None:
    """Write a map of every fourth slice, normalised over the whole volume."""
    with open_volume(tomogram) as volume, MrcWriter(out, volume.grid, np.int8) as written:
        whole = volume.read_slices(0, volume.grid.shape_zyx[0]).astype(np.float32)
        whole = (whole - whole.mean()) / whole.std()
        for z in range(0, len(whole), EVERY):
            found = model(whole[z][np.newaxis, :, :, np.newaxis], training=False).numpy()
            written.write_slices(z, probability_to_byte(found[..., 0]))


def main() -> None:
    """Train, segment and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trainset", type=Path)
    parser.add_argument("tomogram", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=25)
    arguments = parser.parse_args()
    prepare_device("cpu")
    began = time.monotonic()
    model = train(arguments.trainset, arguments.epochs)
    seconds = time.monotonic() - began
    segment(model, arguments.tomogram, arguments.out.with_suffix(".mrc"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    arguments.out.with_suffix(".json").write_text(json.dumps({"train_s": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
