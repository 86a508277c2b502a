"""Questions about likely mistakes in a tile's annotation, asked before it is marked done."""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, Layer
from tomoseg_tui.core.annotation_checks import MAX_SPECK_AREA, confident_pixels, speck_sizes, unlabelled_similar_density
from tomoseg_tui.core.label_errors import format_percent
from tomoseg_tui.core.tiles import FeatureState


def annotation_warnings(
    feature: str,
    layer: Layer,
    state: FeatureState | None,
    densities: NDArray[np.float32],
    *,
    prediction: NDArray[np.float32] | None = None,
) -> list[str]:
    """Return questions about the annotation of one feature on a tile; empty if nothing is suspicious.

    Parameters
    ----------
    layer : ndarray of uint8, shape (y, x)
        The painted layer; it need not be marked done.
    state : FeatureState or None
        The state to set: ANNOTATED (or WANTED) for a tile with the feature, NONE_HERE for one without.
    densities : ndarray of float32, shape (y, x)
        The tile's densities in sigmas; the mean of the slices z-1 to z+1 is less noisy than one slice.
        `core.annotation_checks.unlabelled_similar_density` returns the density in question.
    prediction : ndarray of float32, shape (y, x), or None
        A network's probabilities of the feature, 0 to 1.
    """
    if state is FeatureState.NONE_HERE:
        return _negative_warnings(feature, layer, prediction)
    return _positive_warnings(feature, layer, densities)


def _negative_warnings(feature: str, layer: Layer, prediction: NDArray[np.float32] | None) -> list[str]:
    warnings, all_pixels = [], np.ones_like(layer, np.bool_)
    painted_count = int(np.count_nonzero(layer == FEATURE))
    if painted_count:
        verb = "is" if painted_count == 1 else "are"
        warnings.append(
            f"{_format_pixels(painted_count)} of {feature} {verb} painted here. Does the tile hold none of it?"
        )
    confident = confident_pixels(prediction) if prediction is not None else np.zeros_like(all_pixels)
    if confident.any():
        warnings.append(
            f"The network finds {feature} on {format_percent(confident, all_pixels)} of this tile. Is there none?"
        )
    return warnings


def _positive_warnings(feature: str, layer: Layer, densities: NDArray[np.float32]) -> list[str]:
    painted_count = int(np.count_nonzero(layer == FEATURE))
    if not painted_count:
        return [f"No pixel of {feature} is painted. Does the tile hold none of it?"]
    sizes = speck_sizes(layer)
    if painted_count <= MAX_SPECK_AREA or sum(sizes) == painted_count:
        return [f"The painted part of {feature} is only {_format_pixels(painted_count)}. Is that intended?"]
    warnings = [f"Beside the mask of {feature} there is {_describe_specks(sizes)}. Is that intended?"] if sizes else []
    ambiguous_count = int(np.count_nonzero(unlabelled_similar_density(densities, layer)))
    if ambiguous_count:
        warnings.append(
            f"Density that touches the mask of {feature} looks like it, {_format_pixels(ambiguous_count)}. "
            "Is it the feature, or should it be ignored?"
        )
    return warnings


def _describe_specks(sizes: list[int]) -> str:
    if len(sizes) == 1:
        return f"a speck of {_format_pixels(sizes[0])}"
    return f"a group of {len(sizes)} specks, {_format_pixels(sum(sizes))} in all"


def _format_pixels(count: int) -> str:
    return f"{count} pixel{'' if count == 1 else 's'}"
