"""Questions about likely mistakes in a tile's annotation, asked before it is marked done and used for training.

The limits were chosen on the sample data (tests/workflow/annotations/test_annotation_checks.py): correct masks are
seldom questioned.
"""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, NOT_FEATURE, UNLABELLED, Layer
from tomoseg_tui.core.label_errors import format_percent
from tomoseg_tui.core.paint_tools import Mask, dilate, erode
from tomoseg_tui.core.tiles import FeatureState

SMOOTHING_SIGMA = 2.0
"""Sigma of the Gaussian through which densities are compared, pixels: single pixels are too noisy."""
MAX_DISTANCE = 10
"""Distance from the mask within which density is compared, pixels."""
CONTACT_DISTANCE = 2
"""Density at most this far from the mask touches it, pixels."""
MIN_SIMILARITY = 0.75
"""Similarity from which density counts as that of the mask; 0 is the background, 1 the median of the mask."""
OPENING_RADIUS = 2
"""Regions thinner than twice this count as noise, pixels."""
MIN_CONTRAST = 0.75
"""Least contrast of mask and background to compare densities, in standard deviations of the background."""
MIN_AREA = 60
"""Smaller regions are not questioned, pixels."""
MAX_SPECK_AREA = 4
"""Parts of a mask of at most this many pixels are specks."""
CONFIDENT_PROBABILITY = 0.9
"""Probability from which a network is confident of a feature."""
MIN_CONFIDENT_PIXELS = 40
"""Least number of confident pixels to report: a hundredth of a tile of 64 x 64."""


def unlabelled_similar_density(grey: NDArray[np.float32], layer: Layer) -> Mask:
    """Return where density touches the mask and resembles it, but is not labelled.

    Parameters
    ----------
    grey : ndarray of float32, shape (y, x)
        Densities in sigmas; the mean of three slices is less noisy than one.
    layer : ndarray of uint8, shape (y, x)
        Unlabelled pixels are candidates; if there are none, as on a finished tile, pixels labelled "not feature" are.

    Returns
    -------
    ndarray of bool, shape (y, x)
        The largest region of at least `MIN_AREA` pixels; all False if there is none.

    Notes
    -----
    Similarity is linear in the smoothed density: 1 at the median of the mask, 0 at the median outside, whichever is
    darker. An opening removes thin parts of the regions above `MIN_SIMILARITY`.
    """
    from scipy import ndimage  # noqa: PLC0415  # slow to import, and few screens need it

    mask, empty = layer == FEATURE, np.zeros(layer.shape, np.bool_)
    candidates = layer == (UNLABELLED if (layer == UNLABELLED).any() else NOT_FEATURE)
    outside = ~dilate(mask, CONTACT_DISTANCE)
    if not mask.any() or not outside.any():
        return empty
    smoothed = ndimage.gaussian_filter(np.asarray(grey, np.float64), SMOOTHING_SIGMA)
    background, contrast = np.median(smoothed[outside]), np.median(smoothed[mask]) - np.median(smoothed[outside])
    if abs(contrast) <= MIN_CONTRAST * smoothed[outside].std():
        return empty
    similar = ((smoothed - background) / contrast >= MIN_SIMILARITY) & candidates & dilate(mask, MAX_DISTANCE)
    regions, _ = ndimage.label(dilate(erode(similar, OPENING_RADIUS), OPENING_RADIUS) & similar)
    areas = np.bincount(regions.ravel(), minlength=1)
    areas[np.setdiff1d(np.arange(len(areas)), regions[dilate(mask, CONTACT_DISTANCE)])] = 0
    areas[0] = 0
    largest = int(areas.argmax())
    return np.asarray(regions == largest, np.bool_) if areas[largest] >= MIN_AREA else empty


def speck_sizes(layer: Layer) -> list[int]:
    """Return the areas in pixels of the parts of a mask with at most `MAX_SPECK_AREA` pixels, ascending.

    Pixels that share an edge or a corner belong to one part. Parts at the tile's border are left out.
    """
    from scipy import ndimage  # noqa: PLC0415

    regions, count = ndimage.label(layer == FEATURE, np.ones((3, 3)))
    border_regions = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    return sorted(
        int(areas[region])
        for region in range(1, count + 1)
        if areas[region] <= MAX_SPECK_AREA and region not in border_regions
    )


def confident_pixels(probabilities: NDArray[np.float32]) -> Mask:
    """Return where a network is confident of a feature; nowhere if that is fewer than `MIN_CONFIDENT_PIXELS` pixels."""
    confident = np.asarray(probabilities >= CONFIDENT_PROBABILITY, np.bool_)
    return confident if np.count_nonzero(confident) >= MIN_CONFIDENT_PIXELS else np.zeros_like(confident)


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
        `unlabelled_similar_density` returns the density in question.
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
