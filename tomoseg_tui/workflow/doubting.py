"""Ask about a tile that does not look safe to learn from, before it is marked done."""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import Layer
from tomoseg_tui.core.tiles import FeatureState


def doubts(
    feature: str,
    layer: Layer,
    state: FeatureState | None,
    grey: NDArray[np.float32],
    *,
    opinion: NDArray[np.float32] | None = None,
) -> list[str]:
    """Say what about the annotation of one feature on a tile does not look safe, as questions; empty if all does.

    Parameters
    ----------
    feature : str
    layer : Layer
        As painted; it need not be marked done.
    state : FeatureState or None
        What it is to be marked as: ANNOTATED (or WANTED) for a tile that holds the feature, NONE_HERE for one without.
    grey : ndarray of float32, shape (y, x)
        The tile's densities in sigmas.
    opinion : ndarray of float32, shape (y, x), or None
        What a network says of the feature here, 0 to 1.
    """
    raise NotImplementedError
