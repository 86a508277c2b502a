"""Ask about a tile that does not look safe to learn from, before it is marked done."""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, Layer
from tomoseg_tui.core.annotation_checks import SPECK, ambiguous, specks, sure_pixels
from tomoseg_tui.core.label_errors import percent
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
        The tile's densities in sigmas; the mean of the slices z-1 to z+1 tells more than one. `ambiguous` in
        `core.safety` returns where the density is that is asked about, for a screen that wants to show it.
    opinion : ndarray of float32, shape (y, x), or None
        What a network says of the feature here, 0 to 1.
    """
    if state is FeatureState.NONE_HERE:
        return _of_negative(feature, layer, opinion)
    return _of_positive(feature, layer, grey)


def _of_negative(feature: str, layer: Layer, opinion: NDArray[np.float32] | None) -> list[str]:
    said, everywhere = [], np.ones_like(layer, np.bool_)
    painted = int(np.count_nonzero(layer == FEATURE))
    if painted:
        verb = "is" if painted == 1 else "are"
        said.append(f"{_pixels(painted)} of {feature} {verb} painted here. Does the tile hold none of it?")
    sure = sure_pixels(opinion) if opinion is not None else np.zeros_like(everywhere)
    if sure.any():
        said.append(f"The network is sure of {feature} on {percent(sure, everywhere)} of this tile. Is there none?")
    return said


def _of_positive(feature: str, layer: Layer, grey: NDArray[np.float32]) -> list[str]:
    painted = int(np.count_nonzero(layer == FEATURE))
    if not painted:
        return [f"No pixel of {feature} is painted. Does the tile hold none of it?"]
    few = specks(layer)
    if painted <= SPECK or sum(few) == painted:
        return [f"All that is painted of {feature} is {_pixels(painted)}. Is that meant?"]
    said = [f"Beside the mask of {feature} there is {_specks(few)}. Is that meant?"] if few else []
    beside = int(np.count_nonzero(ambiguous(grey, layer)))
    if beside:
        said.append(
            f"Density that touches the mask of {feature} looks like it, {_pixels(beside)}. "
            "Is it the feature, or to be ignored?"
        )
    return said


def _specks(sizes: list[int]) -> str:
    if len(sizes) == 1:
        return f"a speck of {_pixels(sizes[0])}"
    return f"a sprinkle of {len(sizes)} specks, {_pixels(sum(sizes))} in all"


def _pixels(count: int) -> str:
    return f"{count} pixel{'' if count == 1 else 's'}"
