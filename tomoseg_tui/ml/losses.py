"""Losses that skip what was not looked at or is ignored: layer values 0 and 3 weigh nothing."""

from typing import Any

import tensorflow as tf

from tomoseg_tui.core.annotation import FEATURE, NOT_FEATURE
from tomoseg_tui.core.network_settings import NetworkSettings

MIN_ERROR = 1e-12
"""Keeps the logarithm of EMAN2's loss finite."""


def truth_and_weight(layers: Any) -> tuple[Any, Any]:
    """Split layer values into what is true and what counts; two float32 tensors of the shape of `layers`."""
    truth = tf.cast(tf.equal(layers, FEATURE), tf.float32)
    background = tf.cast(tf.equal(layers, NOT_FEATURE), tf.float32)
    return truth, truth + background


def compute_loss(settings: NetworkSettings, outputs: Any, layers: Any, loss_weights: Any = 1.0) -> Any:
    """Return the loss by which a network of this kind is trained.

    Parameters
    ----------
    settings : NetworkSettings
        Its kind chooses the loss.
    outputs : tensor of float32
        Raw outputs of the network: (n, y, x, slice out * feature), EMAN2's (n, y / 2, x / 2, feature).
    layers : tensor of uint8, shape (n, y, x, slice out, feature)
        0 not looked at, 1 not feature, 2 feature, 3 ignore.
    loss_weights : float or array of float32, shape (feature,)
        How much each feature counts, of `learn.batches.importance_of`; EMAN2's loss counts all alike.

    Returns
    -------
    tensor of float32, scalar
        Where nothing counts, a number without gradient.
    """
    truth, weight = truth_and_weight(layers)
    if settings.kind == "stack":
        return eman2_loss(outputs, truth[..., 0, :], weight[..., 0, :])
    return overlap_loss(tf.reshape(outputs, tf.shape(layers)), truth, weight, loss_weights)


def overlap_loss(logits: Any, truth: Any, weight: Any, loss_weights: Any = 1.0) -> Any:
    """Return cross entropy plus one minus soft Dice, each taken over all pixels of a feature, then its mean.

    All tensors are (n, y, x, slice, feature), `loss_weights` (feature,) or a number. A feature without a pixel that
    counts adds nothing. Of several features each has few positives in a batch; soft Dice then outweighs the entropy
    and makes all too thick, so it counts for as much less as there are features.
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
    """Return EMAN2's loss, the logarithm of the mean squared error after clipping from above at 1.

    Amplitudes are (n, y / 2, x / 2, feature); truth and weight (n, y, x, feature) are averaged over 2 x 2
    pixels, over those that count.
    """
    mean_weight = tf.nn.avg_pool2d(weight, 2, 2, "VALID")
    label = tf.math.divide_no_nan(tf.nn.avg_pool2d(truth, 2, 2, "VALID"), mean_weight)
    squared_error = tf.square(label - tf.minimum(amplitudes, 1.0)) * mean_weight
    return tf.math.log(tf.math.divide_no_nan(tf.reduce_sum(squared_error), tf.reduce_sum(mean_weight)) + MIN_ERROR)


def comparable_loss(settings: NetworkSettings, loss: float) -> float:
    """Return a loss as a number that grows in proportion: EMAN2's is a logarithm, so its exponential."""
    return float(tf.exp(loss)) if settings.kind == "stack" else loss
