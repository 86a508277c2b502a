"""Losses that skip unlabelled and ignored pixels, layer values 0 and 3."""

from typing import Any

import tensorflow as tf

from tomoseg_tui.core.annotation import FEATURE, NOT_FEATURE
from tomoseg_tui.core.network_settings import NetworkSettings

MIN_ERROR = 1e-12
"""Keeps the logarithm in EMAN2's loss finite."""


def truth_and_weight(layers: Any) -> tuple[Any, Any]:
    """Return truth and weight of layer values as float32 tensors of their shape; only labelled pixels have weight."""
    truth = tf.cast(tf.equal(layers, FEATURE), tf.float32)
    background = tf.cast(tf.equal(layers, NOT_FEATURE), tf.float32)
    return truth, truth + background


def compute_loss(settings: NetworkSettings, outputs: Any, layers: Any, loss_weights: Any = 1.0) -> Any:
    """Return the training loss for a network of this kind.

    Parameters
    ----------
    settings : NetworkSettings
        The network; its kind determines the loss.
    outputs : tensor of float32
        Raw outputs of the network: (n, y, x, slice out * feature), EMAN2's (n, y / 2, x / 2, feature).
    layers : tensor of uint8, shape (n, y, x, slice out, feature)
        0 unlabelled, 1 not feature, 2 feature, 3 ignore.
    loss_weights : float or array of float32, shape (feature,)
        Weight of each feature, from `ml.batches.feature_loss_weights`; not used by EMAN2's loss.

    Returns
    -------
    tensor of float32, scalar
        The loss; without gradient if no pixel is labelled.
    """
    truth, weight = truth_and_weight(layers)
    if settings.kind == "stack":
        return eman2_loss(outputs, truth[..., 0, :], weight[..., 0, :])
    return overlap_loss(tf.reshape(outputs, tf.shape(layers)), truth, weight, loss_weights)


def overlap_loss(logits: Any, truth: Any, weight: Any, loss_weights: Any = 1.0) -> Any:
    """Return the mean over features of cross entropy plus one minus soft Dice, each over all pixels of a feature.

    All tensors are (n, y, x, slice, feature), `loss_weights` (feature,) or a number. Features without labelled pixels
    are left out. With several features each has few positives in a batch; soft Dice would outweigh the entropy and
    make the segmentation too thick, so it is divided by the number of features.
    """
    axes = (0, 1, 2, 3)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(truth, logits) * weight
    pixel_counts = tf.reduce_sum(weight, axis=axes)  # (feature,)
    entropy = tf.reduce_sum(entropy, axis=axes) / tf.maximum(pixel_counts, 1.0)
    predicted = tf.sigmoid(logits) * weight
    intersection = tf.reduce_sum(predicted * truth, axis=axes)
    total = tf.reduce_sum(predicted + truth, axis=axes)
    dice_loss = 1.0 - (2.0 * intersection + 1.0) / (total + 1.0)
    is_present = tf.cast(pixel_counts > 0, tf.float32)
    features = tf.maximum(tf.reduce_sum(is_present), 1.0)
    return tf.reduce_sum((entropy + dice_loss / features) * is_present * loss_weights) / features


def eman2_loss(amplitudes: Any, truth: Any, weight: Any) -> Any:
    """Return EMAN2's loss, the logarithm of the mean squared error of amplitudes clipped above 1.

    Amplitudes are (n, y / 2, x / 2, feature). Truth and weight (n, y, x, feature) are averaged over 2 x 2 pixels, the
    truth over labelled pixels only.
    """
    mean_weight = tf.nn.avg_pool2d(weight, 2, 2, "VALID")
    label = tf.math.divide_no_nan(tf.nn.avg_pool2d(truth, 2, 2, "VALID"), mean_weight)
    squared_error = tf.square(label - tf.minimum(amplitudes, 1.0)) * mean_weight
    return tf.math.log(tf.math.divide_no_nan(tf.reduce_sum(squared_error), tf.reduce_sum(mean_weight)) + MIN_ERROR)


def comparable_loss(settings: NetworkSettings, loss: float) -> float:
    """Return a loss on a linear scale: the exponential of EMAN2's logarithmic loss, others unchanged."""
    return float(tf.exp(loss)) if settings.kind == "stack" else loss
