"""Measure what makes a tile unsafe to learn from: density beside the mask that looks like it, specks, a sure network.

Knows arrays only; the words are for workflow. The limits were chosen on the sample data (tests/core/test_safety.py
holds them to it): masks as they should be are seldom asked about.
"""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, NOT_FEATURE, UNLABELLED, Layer
from tomoseg_tui.core.paint_tools import Mask, dilate, erode

SMOOTHING_SIGMA = 2.0
"""Densities are compared through a Gaussian of this sigma, pixels: a single pixel says nothing in a tomogram."""
MAX_DISTANCE = 10
"""Pixels from the mask within which density is compared."""
CONTACT_DISTANCE = 2
"""Density so near to the mask touches it, pixels."""
MIN_SIMILARITY = 0.75
"""From 0, the background, to 1, the middle of the mask: from here on density looks like the mask."""
OPENING_RADIUS = 2
"""What is thinner than twice this is taken for noise, pixels."""
MIN_CONTRAST = 0.75
"""A mask must stand out by so many standard deviations of the background; else nothing can be told by density."""
MIN_AREA = 60
"""Smaller regions are not asked about, pixels."""
MAX_SPECK_AREA = 4
"""Parts of a mask of at most so many pixels are specks."""
CONFIDENT_PROBABILITY = 0.9
"""From this probability on a network is sure of a feature."""
MIN_CONFIDENT_PIXELS = 40
"""Of so many pixels at least, a hundredth of a usual tile."""


def unlabelled_similar_density(grey: NDArray[np.float32], layer: Layer) -> Mask:
    """Return where density touches the mask and looks as the mask does, but is not said to be anything.

    Parameters
    ----------
    grey : ndarray of float32, shape (y, x)
        Densities in sigmas; the mean of three slices tells more than one.
    layer : Layer
        Pixels that were not looked at are asked about; those said not to be the feature only if there are none of
        the former, as on a tile that is done.

    Returns
    -------
    ndarray of bool, shape (y, x)
        One region of at least `MIN_AREA` pixels, the largest; empty if there is none.

    Notes
    -----
    Medians of the smoothed density in the mask and outside of it are 1 and 0 on a scale of likeness, whichever of the
    two is darker. Regions above `MIN_SIMILARITY` are freed of what is thin by an opening.
    """
    from scipy import ndimage  # noqa: PLC0415  # a screen that only looks need not wait for it

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
    """Return the sizes of those parts of a mask that are a few pixels only, ascending.

    Parts are joined along edges or corners of pixels; those that the tile's border may have cut are left out.
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
    """Return where a network is sure of a feature; nowhere if that is on a few pixels only."""
    confident = np.asarray(probabilities >= CONFIDENT_PROBABILITY, np.bool_)
    return confident if np.count_nonzero(confident) >= MIN_CONFIDENT_PIXELS else np.zeros_like(confident)
