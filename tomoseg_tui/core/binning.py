"""Read a volume region by region: binned, finite, and continued periodically beyond its edges."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import isqrt
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import Zyx, split_into_blocks
from tomoseg_tui.errors import UsageError

FloatArray = NDArray[np.float32]
Box = tuple[Zyx, Zyx]
"""Corner and shape, each (z, y, x), voxels."""


class RegionSource(Protocol):
    """A volume that is read region by region."""

    @property
    def shape_zyx(self) -> Zyx:
        """Voxels along z, y and x."""

    def read_region(self, corner_zyx: Zyx, shape_zyx: Zyx) -> NDArray[Any]:
        """Return the densities (z, y, x) of a region that lies within the volume."""


def binned_shape(shape_zyx: Zyx, factor: int) -> Zyx:
    """Return the shape of a volume after binning cubes of factor^3 voxels.

    Raises
    ------
    UsageError
        If the factor is below 1, or larger than an axis.
    """
    z, y, x = (length // factor if factor > 0 else 0 for length in shape_zyx)
    if min(z, y, x) < 1:
        raise UsageError(
            f"A volume of shape {shape_zyx} cannot be binned by {factor}.", "Bin by 1, 2 or another small number."
        )
    return z, y, x


def bin_region(values: NDArray[Any], factor: int) -> FloatArray:
    """Return the means over cubes of voxels.

    Parameters
    ----------
    values : ndarray, shape (z, y, x)
        Any real type. Left unchanged. The mean of a cube with NaN is NaN.
    factor : int
        Edge of a cube in voxels; the remainder at the end of an axis is dropped.

    Returns
    -------
    ndarray of float32, shape (z // factor, y // factor, x // factor)
        In the units of the values; a new array.

    Raises
    ------
    UsageError
        If the factor is below 1, or larger than an axis.
    """
    z, y, x = binned_shape((values.shape[0], values.shape[1], values.shape[2]), factor)
    binned = values[: z * factor, : y * factor, : x * factor]
    if factor == 1:
        return binned.astype(np.float32)
    for axis, length in enumerate((z, y, x)):
        split_shape = (*binned.shape[:axis], length, factor, *binned.shape[axis + 1 :])
        binned = binned.reshape(split_shape).mean(axis=axis + 1, dtype=np.float32)
    return np.asarray(binned, np.float32)


def split_into_boxes(shape_zyx: Zyx, *, halo: int, max_voxels: int) -> list[Box]:
    """Divide a volume into boxes of limited size.

    Parameters
    ----------
    shape_zyx : tuple of int
        Voxels of the volume.
    halo : int
        Voxels to read beyond a box on each side, along axes that it does not span.
    max_voxels : int
        Most voxels of a box with its halo; exceeded only if the halo alone needs more.

    Returns
    -------
    list of (corner_zyx, shape_zyx)
        In the order of z, y, x; each voxel lies in one box. Boxes are slabs of whole slices if these are thick
        compared to the halo, else bricks, else cubes.
    """
    nz, ny, nx = shape_zyx
    min_slab = min(nz, 8 * max(1, halo))
    slab, edge = max_voxels // (ny * nx) - 2 * halo, max(ny, nx)
    if slab < min_slab:
        slab, edge = min_slab, isqrt(max_voxels // (min_slab + 2 * halo)) - 2 * halo
    if edge < max(1, 2 * halo) and edge < max(ny, nx):
        slab = edge = max(int(max_voxels ** (1 / 3)) - 2 * halo, halo, 1)
    blocks = split_into_blocks(shape_zyx, slab=slab, edge=edge, halo_zyx=(0, 0, 0))
    return [(block.inside_corner_zyx, block.inside_shape_zyx) for block in blocks]


@dataclass(frozen=True, eq=False)
class BinnedVolume:
    """A volume binned by a factor, with non-finite values replaced."""

    source: RegionSource
    factor: int = 1
    """Edge of the binned cubes, voxels of the source."""
    fill: float = 0.0
    """Replaces values that are not finite."""
    offset: float = 0.0
    """Subtracted from all densities, so that float32 is precise enough for later steps."""
    max_voxels: int = 1 << 22
    """Voxels of the source to read at a time."""

    @property
    def shape_zyx(self) -> Zyx:
        """Voxels after binning."""
        return binned_shape(self.source.shape_zyx, self.factor)

    def read_parts(self, box: Box) -> Iterator[tuple[tuple[slice, slice, slice], NDArray[Any]]]:
        """Yield the parts of a box: their position within it, and their densities from the source (not binned)."""
        corner, shape = box
        for start, length in split_into_boxes(shape, halo=0, max_voxels=max(1, self.max_voxels // self.factor**3)):
            z, y, x = (self.factor * (first + offset) for first, offset in zip(corner, start, strict=True))
            depth, height, width = (self.factor * extent for extent in length)
            yield _window(start, length), self.source.read_region((z, y, x), (depth, height, width))

    def read(self, box: Box) -> FloatArray:
        """Return the densities (z, y, x) of a box within the volume; a new array."""
        region = np.empty(box[1], np.float32)
        for window, values in self.read_parts(box):
            region[window] = bin_region(self._replace_non_finite(values), self.factor)
        region -= np.float32(self.offset)
        return region

    def read_with_halo(self, box: Box, halo: int) -> tuple[FloatArray, tuple[slice, slice, slice]]:
        """Read a box with a halo on the axes that it does not span; the volume is periodic.

        Returns
        -------
        values : ndarray of float32, shape (z, y, x)
            The box and its halo.
        inside : tuple of slice
            Position of the box in `values`, (z, y, x).
        """
        corner, shape = box
        full_shape = self.shape_zyx
        z, y, x = (0 if length == full_length else halo for length, full_length in zip(shape, full_shape, strict=True))
        values = np.empty((shape[0] + 2 * z, shape[1] + 2 * y, shape[2] + 2 * x), np.float32)
        segments = [
            _wrapped_segments(start - margin, length + 2 * margin, full_length)
            for start, length, margin, full_length in zip(corner, shape, (z, y, x), full_shape, strict=True)
        ]
        for (z_from, z_to), (y_from, y_to), (x_from, x_to) in product(*segments):
            target = values[z_to, y_to, x_to]
            target[...] = self.read(((z_from, y_from, x_from), (target.shape[0], target.shape[1], target.shape[2])))
        return values, _window((z, y, x), shape)

    def finite_sum(self, box: Box) -> tuple[float, int]:
        """Return the sum and the number of the finite densities of the source in a box."""
        total, count = 0.0, 0
        for _, values in self.read_parts(box):
            finite = values[np.isfinite(values)]
            total, count = total + float(finite.sum(dtype=np.float64)), count + finite.size
        return total, count

    def _replace_non_finite(self, values: NDArray[Any]) -> NDArray[Any]:
        if not np.issubdtype(values.dtype, np.floating):
            return values
        with np.errstate(over="ignore", invalid="ignore"):
            float_values = values.astype(np.float32, copy=False)
        finite = np.isfinite(float_values)
        return float_values if finite.all() else np.where(finite, float_values, np.float32(self.fill))


def _window(corner_zyx: Zyx, shape_zyx: Zyx) -> tuple[slice, slice, slice]:
    z, y, x = (slice(corner, corner + length) for corner, length in zip(corner_zyx, shape_zyx, strict=True))
    return z, y, x


def _wrapped_segments(start: int, length: int, axis_length: int) -> list[tuple[int, slice]]:
    """Split a range on a periodic axis into parts that do not wrap: start of each to read, and slice of it to write."""
    segments = []
    done = 0
    while done < length:
        source = (start + done) % axis_length
        count = min(length - done, axis_length - source)
        segments.append((source, slice(done, done + count)))
        done += count
    return segments
