"""Paint tools: their list, and the masks of the pixels that they paint. Leaves storing them to others.

All masks are new bool arrays of the tile's shape (y, x). Positions are (y, x) in pixels and may lie outside the tile,
where the mouse was dragged to; pixels outside are left out.
"""

import itertools
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, UNLABELLED, Layer


class Tool(StrEnum):
    """A paint tool."""

    BRUSH = "brush"
    ERASER = "eraser"
    LINE = "line"
    FILAMENT = "filament"
    AREA = "area"
    BOX = "box"
    FILL = "fill"
    WAND = "wand"
    NETWORK = "network"


Mask = NDArray[np.bool_]
"""Shape (y, x); True where a tool paints."""
Pixel = tuple[int, int]
"""Row and column, from 0."""
BRUSH_WIDTHS = range(1, 16)
"""Diameters of the brush, pixels."""
LINE_WIDTHS = range(1, 32)
"""Widths of lines, pixels: a filled microtubule is about 18 wide at 13.6 Å/voxel."""
FREEHAND_TOOLS = (Tool.BRUSH, Tool.ERASER)
"""Tools that paint along the path of the cursor."""
SHAPE_TOOLS = (Tool.LINE, Tool.FILAMENT, Tool.AREA, Tool.BOX)
"""Tools that paint a shape between points."""
DEFAULT_WIDTHS = {Tool.BRUSH: 3, Tool.ERASER: 3, Tool.LINE: 5, Tool.FILAMENT: 15}
"""Default width, pixels. A filled microtubule is 25 nm: 15 to 18 pixels at 17 to 13.6 Å/voxel."""


def brush_mask(shape_yx: Pixel, centre_yx: Pixel, width: int) -> Mask:
    """Return a filled disc.

    Parameters
    ----------
    shape_yx : tuple of int
        Shape of the tile.
    centre_yx : tuple of int
        Centre; for an even width the pixel with the lower row and column of the four around it.
    width : int
        Diameter in pixels: 1 is a pixel, 2 is 2 x 2.

    Examples
    --------
    >>> brush_mask((3, 4), (1, 0), 2).astype(int)
    array([[0, 0, 0, 0],
           [1, 1, 0, 0],
           [1, 1, 0, 0]])
    """
    return _stamp_discs(shape_yx, [centre_yx], width)


def polyline_mask(shape_yx: Pixel, points_yx: Sequence[Pixel], width: int) -> Mask:
    """Return discs along the straight lines that connect points: a mouse drag, a line, a polyline."""
    return _stamp_discs(shape_yx, _line_pixels(points_yx), width)


def filament_mask(shape_yx: Pixel, start_yx: Pixel, end_yx: Pixel, width: int) -> Mask:
    """Return a straight band through two points that extends to the borders of the tile.

    Two equal points give a disc.
    """
    (y0, x0), (y1, x1) = start_yx, end_yx
    length = float(np.hypot(y1 - y0, x1 - x0))
    if length == 0:
        return brush_mask(shape_yx, start_yx, width)
    middle = 0.5 * ((width + 1) % 2)  # centre of a disc of even width
    rows, columns = np.ogrid[: shape_yx[0], : shape_yx[1]]
    distance = (rows - y0 - middle) * (x1 - x0) - (columns - x0 - middle) * (y1 - y0)
    return np.asarray(np.abs(distance) <= width / 2 * length, np.bool_)


def polygon_mask(shape_yx: Pixel, points_yx: Sequence[Pixel]) -> Mask:
    """Return the inside of a closed polygon with its edge, by the even-odd rule where it crosses itself."""
    if not points_yx:
        return np.zeros(shape_yx, np.bool_)
    edge = polyline_mask(shape_yx, [*points_yx, points_yx[0]], 1)
    rows, columns = np.ogrid[: shape_yx[0], : shape_yx[1]]
    inside = np.zeros(shape_yx, np.bool_)
    for (y0, x0), (y1, x1) in zip(points_yx, [*points_yx[1:], points_yx[0]], strict=True):
        if y0 == y1:
            continue
        crossed = ((rows >= y0) != (rows >= y1)) & (columns < x0 + (rows - y0) * (x1 - x0) / (y1 - y0))
        inside ^= crossed
    return inside | edge


def fill_mask(mask: Mask, seed_yx: Pixel) -> Mask:
    """Return the pixels around a seed that an outline encloses.

    Parameters
    ----------
    mask : ndarray of bool, shape (y, x)
        The painted outline.
    seed_yx : tuple of int
        A pixel within it.

    Returns
    -------
    ndarray of bool, shape (y, x)
        The enclosed region, joined along edges of pixels. Empty if the seed is painted already or outside the tile,
        or if the region reaches the border of the tile.
    """
    from scipy import ndimage  # noqa: PLC0415  # slow to import, and few screens need it

    if not _is_inside(mask.shape, seed_yx) or mask[seed_yx]:
        return np.zeros_like(mask)
    regions, _ = ndimage.label(~mask)
    hole = regions == regions[seed_yx]
    is_open = hole[0].any() or hole[-1].any() or hole[:, 0].any() or hole[:, -1].any()
    return np.zeros_like(mask) if is_open else np.asarray(hole, np.bool_)


def rectangle_mask(shape_yx: Pixel, corner_yx: Pixel, opposite_yx: Pixel) -> Mask:
    """Return the rectangle between two opposite corners, including both."""
    mask = np.zeros(shape_yx, np.bool_)
    (top, bottom), (left, right) = (sorted(pair) for pair in zip(corner_yx, opposite_yx, strict=True))
    mask[max(top, 0) : max(bottom + 1, 0), max(left, 0) : max(right + 1, 0)] = True
    return mask


def magic_wand_mask(
    grey: NDArray[np.float32], seed_yx: Pixel, *, tolerance: float, radius: float, smoothing: float = 1.0
) -> Mask:
    """Return the region around a seed with similar grey values.

    Parameters
    ----------
    grey : ndarray of float32, shape (y, x)
        Densities in sigmas of the tomogram.
    seed_yx : tuple of int
        A pixel of the region.
    tolerance : float
        Largest difference from the grey value at the seed, sigmas.
    radius : float
        Largest distance from the seed, pixels.
    smoothing : float
        Sigma of a Gaussian applied to the grey values first, pixels; 0 for none.

    Returns
    -------
    ndarray of bool, shape (y, x)
        One region with the seed, joined along edges of pixels. Empty for a seed outside the tile.
    """
    from scipy import ndimage  # noqa: PLC0415

    if not _is_inside(grey.shape, seed_yx):
        return np.zeros(grey.shape, np.bool_)
    smoothed = ndimage.gaussian_filter(grey, smoothing) if smoothing > 0 else grey
    rows, columns = np.ogrid[: grey.shape[0], : grey.shape[1]]
    is_near = np.hypot(rows - seed_yx[0], columns - seed_yx[1]) <= radius
    regions, _ = ndimage.label(is_near & (np.abs(smoothed - smoothed[seed_yx]) <= tolerance))
    region = regions == regions[seed_yx]
    return np.asarray(region & (regions > 0), np.bool_)


def dilate(mask: Mask, radius: float) -> Mask:
    """Return the pixels within a radius in pixels of a mask, with the mask."""
    from scipy import ndimage  # noqa: PLC0415

    return np.asarray(ndimage.distance_transform_edt(~mask) <= radius, np.bool_) if mask.any() else mask.copy()


def erode(mask: Mask, radius: float) -> Mask:
    """Return a mask without the pixels within a radius in pixels of its outside; the tile's border does not count."""
    return ~dilate(~mask, radius)


def interpolate_masks(lower: Mask, upper: Mask, fraction: float) -> Mask:
    """Interpolate between two masks by the distance to their edges.

    Parameters
    ----------
    lower, upper : ndarray of bool, shape (y, x)
        Masks of the same tile position in two slices.
    fraction : float
        0 gives the lower mask, 1 the upper.

    Notes
    -----
    The result is where the weighted mean of the signed distances to the two edges is negative. If one mask is empty,
    the other shrinks towards it.
    """
    if not lower.any() or not upper.any():
        mask, cutoff = (upper, 1 - fraction) if upper.any() else (lower, fraction)
        depth = -_signed_distance(mask)
        return np.asarray(mask & (depth > cutoff * depth.max()), np.bool_)
    blend = (1 - fraction) * _signed_distance(lower) + fraction * _signed_distance(upper)
    return np.asarray(blend < 0, np.bool_)


def threshold_mask(probabilities: NDArray[np.float32], threshold: float) -> Mask:
    """Return where probabilities (y, x), 0 to 1, exceed a threshold."""
    return np.asarray(probabilities > threshold, np.bool_)


def replace_feature_pixels(layer: Layer, mask: Mask) -> Layer:
    """Return a layer whose feature pixels are replaced by a mask; ignored pixels stay ignored.

    For whole masks: that of another slice, an interpolated one, or a network's prediction. Former feature pixels
    outside the mask become unlabelled.
    """
    cleared = np.where(layer == FEATURE, UNLABELLED, layer)
    return np.where(mask & (layer != IGNORED), FEATURE, cleared).astype(np.uint8)


def _is_inside(shape_yx: tuple[int, ...], pixel_yx: Pixel) -> bool:
    return all(0 <= coordinate < length for coordinate, length in zip(pixel_yx, shape_yx, strict=True))


def _disc(width: int) -> Mask:
    steps = np.arange(width) - (width - 1) / 2
    return np.asarray(steps[:, np.newaxis] ** 2 + steps**2 <= (width / 2) ** 2, np.bool_)


def _stamp_discs(shape_yx: Pixel, points_yx: Sequence[Pixel], width: int) -> Mask:
    """Return discs at all points, cut at the borders of the tile."""
    mask, disc = np.zeros(shape_yx, np.bool_), _disc(width)
    for y, x in points_yx:
        top, left = y - (width - 1) // 2, x - (width - 1) // 2
        rows = slice(max(top, 0), min(top + width, shape_yx[0]))
        columns = slice(max(left, 0), min(left + width, shape_yx[1]))
        if rows.start < rows.stop and columns.start < columns.stop:
            mask[rows, columns] |= disc[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return mask


def _line_pixels(points_yx: Sequence[Pixel]) -> list[Pixel]:
    """Return all pixels of the straight lines between points, in order."""
    path = list(points_yx[:1])
    for (y0, x0), (y1, x1) in itertools.pairwise(points_yx):
        steps = max(abs(y1 - y0), abs(x1 - x0))
        path += [
            (y0 + _rounded_quotient((y1 - y0) * step, steps), x0 + _rounded_quotient((x1 - x0) * step, steps))
            for step in range(1, steps + 1)
        ]
    return path


def _rounded_quotient(number: int, divisor: int) -> int:
    """Return the quotient rounded to the nearest integer, halves up."""
    return (2 * number + divisor) // (2 * divisor)


def _signed_distance(mask: Mask) -> NDArray[np.float64]:
    """Return the distance of each pixel to the nearest one on the other side of the edge, negative inside.

    A mask that fills the tile has no edge; its distance is the tile's longer side everywhere.
    """
    from scipy import ndimage  # noqa: PLC0415

    if mask.all():
        return np.full(mask.shape, -float(max(mask.shape)))
    outside = ndimage.distance_transform_edt(~mask) if mask.any() else np.zeros(mask.shape)
    return np.asarray(outside - ndimage.distance_transform_edt(mask), np.float64)
