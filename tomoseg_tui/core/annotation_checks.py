"""Measure what makes a tile unsafe to learn from: density beside the mask that looks like it, specks, a sure network.

Knows arrays only; the words are for workflow. The limits were chosen on the sample data (tests/core/test_safety.py
holds them to it): masks as they should be are seldom asked about.
"""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, NOT_FEATURE, NOT_LOOKED_AT, Layer
from tomoseg_tui.core.paint_tools import Mask, grown, shrunk

SMOOTHING = 2.0
"""Densities are compared through a Gaussian of this sigma, pixels: a single pixel says nothing in a tomogram."""
REACH = 10
"""Pixels from the mask within which density is compared."""
TOUCHING = 2
"""Density so near to the mask touches it, pixels."""
LIKENESS = 0.75
"""From 0, the background, to 1, the middle of the mask: from here on density looks like the mask."""
THINNEST = 2
"""What is thinner than twice this is taken for noise, pixels."""
LEAST_CONTRAST = 0.75
"""A mask must stand out by so many standard deviations of the background; else nothing can be told by density."""
LEAST_AREA = 60
"""Smaller regions are not asked about, pixels."""
SPECK = 4
"""Parts of a mask of at most so many pixels are specks."""
SURE = 0.9
"""From this probability on a network is sure of a feature."""
LEAST_SURE = 40
"""Of so many pixels at least, a hundredth of a usual tile."""


def ambiguous(grey: NDArray[np.float32], layer: Layer) -> Mask:
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
        One region of at least `LEAST_AREA` pixels, the largest; empty if there is none.

    Notes
    -----
    Medians of the smoothed density in the mask and outside of it are 1 and 0 on a scale of likeness, whichever of the
    two is darker. Regions above `LIKENESS` are freed of what is thin by an opening.
    """
    from scipy import ndimage  # noqa: PLC0415  # a screen that only looks need not wait for it

    mask, nothing = layer == FEATURE, np.zeros(layer.shape, np.bool_)
    open_to_question = layer == (NOT_LOOKED_AT if (layer == NOT_LOOKED_AT).any() else NOT_FEATURE)
    outside = ~grown(mask, TOUCHING)
    if not mask.any() or not outside.any():
        return nothing
    seen = ndimage.gaussian_filter(np.asarray(grey, np.float64), SMOOTHING)
    background, contrast = np.median(seen[outside]), np.median(seen[mask]) - np.median(seen[outside])
    if abs(contrast) <= LEAST_CONTRAST * seen[outside].std():
        return nothing
    alike = ((seen - background) / contrast >= LIKENESS) & open_to_question & grown(mask, REACH)
    regions, _ = ndimage.label(grown(shrunk(alike, THINNEST), THINNEST) & alike)
    sizes = np.bincount(regions.ravel(), minlength=1)
    sizes[np.setdiff1d(np.arange(len(sizes)), regions[grown(mask, TOUCHING)])] = 0
    sizes[0] = 0
    largest = int(sizes.argmax())
    return np.asarray(regions == largest, np.bool_) if sizes[largest] >= LEAST_AREA else nothing


def specks(layer: Layer) -> list[int]:
    """Return the sizes of those parts of a mask that are a few pixels only, ascending.

    Parts are joined along edges or corners of pixels; those that the tile's border may have cut are left out.
    """
    from scipy import ndimage  # noqa: PLC0415

    regions, count = ndimage.label(layer == FEATURE, np.ones((3, 3)))
    cut = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    sizes = np.bincount(regions.ravel(), minlength=count + 1)
    return sorted(int(sizes[number]) for number in range(1, count + 1) if sizes[number] <= SPECK and number not in cut)


def sure_pixels(opinion: NDArray[np.float32]) -> Mask:
    """Return where a network is sure of a feature; nowhere if that is on a few pixels only."""
    sure = np.asarray(opinion >= SURE, np.bool_)
    return sure if np.count_nonzero(sure) >= LEAST_SURE else np.zeros_like(sure)
