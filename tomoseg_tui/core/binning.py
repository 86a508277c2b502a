"""Read a volume region by region, binned, of finite numbers only, and around its edges.

A volume is taken as periodic: beyond its end it begins again, as it does for a Fourier transform.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import isqrt
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import Zyx, pieces
from tomoseg_tui.errors import UsageError

Floats = NDArray[np.float32]
Box = tuple[Zyx, Zyx]
"""Corner and shape."""


class RegionSource(Protocol):
    """A volume that is read region by region."""

    @property
    def shape_zyx(self) -> Zyx:
        """Voxels along z, y and x."""

    def read_region(self, corner_zyx: Zyx, shape_zyx: Zyx) -> NDArray[Any]:
        """Return the densities (z, y, x) of a region that lies within the volume."""


def binned_shape(shape_zyx: Zyx, factor: int) -> Zyx:
    """Return the shape of a volume of which each cube of factor^3 voxels becomes one.

    Raises
    ------
    UsageError
        If the factor is below 1, or nothing would be left.
    """
    z, y, x = (length // factor if factor > 0 else 0 for length in shape_zyx)
    if min(z, y, x) < 1:
        raise UsageError(
            f"A volume of {shape_zyx} cannot be binned by {factor}.", "Bin by 1, 2 or another small number."
        )
    return z, y, x


def bin_region(values: NDArray[Any], factor: int) -> Floats:
    """Return the means over cubes of voxels.

    Parameters
    ----------
    values : ndarray, shape (z, y, x)
        Any real type. Left unchanged. A cube with NaN becomes NaN.
    factor : int
        Edge of a cube in voxels; what is left over at the end of an axis is dropped.

    Returns
    -------
    ndarray of float32, shape (z // factor, y // factor, x // factor)
        In the units of the values; memory of its own.

    Raises
    ------
    UsageError
        If the factor is below 1, or nothing would be left.
    """
    z, y, x = binned_shape((values.shape[0], values.shape[1], values.shape[2]), factor)
    binned = values[: z * factor, : y * factor, : x * factor]
    if factor == 1:
        return binned.astype(np.float32)
    for axis, length in enumerate((z, y, x)):
        split = (*binned.shape[:axis], length, factor, *binned.shape[axis + 1 :])
        binned = binned.reshape(split).mean(axis=axis + 1, dtype=np.float32)
    return np.asarray(binned, np.float32)


def boxes(shape_zyx: Zyx, *, halo: int, most_voxels: int) -> list[Box]:
    """Divide a volume into boxes that have, with their halo, at most so many voxels if that is possible.

    Parameters
    ----------
    shape_zyx : tuple of int
        Voxels of the volume.
    halo : int
        Voxels that are to be read beyond a box on each side, along axes that it does not span.
    most_voxels : int
        To be kept where the halo alone does not exceed it.

    Returns
    -------
    list of (corner_zyx, shape_zyx)
        In the order of z, y, x, each voxel in one of them: slabs of whole slices if these are thick
        enough to be worth their halo, else bricks, else cubes.
    """
    nz, ny, nx = shape_zyx
    thick = min(nz, 8 * max(1, halo))
    slab, edge = most_voxels // (ny * nx) - 2 * halo, max(ny, nx)
    if slab < thick:
        slab, edge = thick, isqrt(most_voxels // (thick + 2 * halo)) - 2 * halo
    if edge < max(1, 2 * halo) and edge < max(ny, nx):
        slab = edge = max(int(most_voxels ** (1 / 3)) - 2 * halo, halo, 1)
    divided = pieces(shape_zyx, slab=slab, edge=edge, halo_zyx=(0, 0, 0))
    return [(piece.inside_corner_zyx, piece.inside_shape_zyx) for piece in divided]


@dataclass(frozen=True, eq=False)
class BinnedVolume:
    """A source binned by a factor, with finite numbers for what is not finite."""

    source: RegionSource
    factor: int = 1
    """Edge of the cubes whose means are taken, voxels of the source."""
    fill: float = 0.0
    """What counts for values that are not finite."""
    centre: float = 0.0
    """What is subtracted from all densities, so that float32 is precise enough for what follows."""
    most_voxels: int = 1 << 22
    """Voxels of the source to read at a time."""

    @property
    def shape_zyx(self) -> Zyx:
        """Voxels after binning."""
        return binned_shape(self.source.shape_zyx, self.factor)

    def portions(self, box: Box) -> Iterator[tuple[tuple[slice, slice, slice], NDArray[Any]]]:
        """Yield parts of a box: where in it, and the densities of the source that belong there."""
        corner, shape = box
        for start, length in boxes(shape, halo=0, most_voxels=max(1, self.most_voxels // self.factor**3)):
            z, y, x = (self.factor * (first + offset) for first, offset in zip(corner, start, strict=True))
            depth, height, width = (self.factor * voxels for voxels in length)
            yield _window(start, length), self.source.read_region((z, y, x), (depth, height, width))

    def read(self, box: Box) -> Floats:
        """Return the densities (z, y, x) of a box that lies within; memory of its own."""
        region = np.empty(box[1], np.float32)
        for window, values in self.portions(box):
            region[window] = bin_region(self._filled(values), self.factor)
        region -= np.float32(self.centre)
        return region

    def read_around(self, box: Box, halo: int) -> tuple[Floats, tuple[slice, slice, slice]]:
        """Read a box with a halo on the axes that it does not span, around the volume's edges.

        Returns
        -------
        values : ndarray of float32, shape (z, y, x)
            The box and its halo.
        inside : tuple of slice
            Where in it the box is.
        """
        corner, shape = box
        whole = self.shape_zyx
        z, y, x = (0 if length == all_ else halo for length, all_ in zip(shape, whole, strict=True))
        values = np.empty((shape[0] + 2 * z, shape[1] + 2 * y, shape[2] + 2 * x), np.float32)
        along = [
            _stretches(start - reach, length + 2 * reach, all_)
            for start, length, reach, all_ in zip(corner, shape, (z, y, x), whole, strict=True)
        ]
        for (z_from, z_to), (y_from, y_to), (x_from, x_to) in product(*along):
            target = values[z_to, y_to, x_to]
            target[...] = self.read(((z_from, y_from, x_from), (target.shape[0], target.shape[1], target.shape[2])))
        return values, _window((z, y, x), shape)

    def finite_sum(self, box: Box) -> tuple[float, int]:
        """Return the sum of all finite densities of the source in a box, and how many there are."""
        total, number = 0.0, 0
        for _, values in self.portions(box):
            finite = values[np.isfinite(values)]
            total, number = total + float(finite.sum(dtype=np.float64)), number + finite.size
        return total, number

    def _filled(self, values: NDArray[Any]) -> NDArray[Any]:
        if not np.issubdtype(values.dtype, np.floating):
            return values
        with np.errstate(over="ignore", invalid="ignore"):
            single = values.astype(np.float32, copy=False)
        finite = np.isfinite(single)
        return single if finite.all() else np.where(finite, single, np.float32(self.fill))


def _window(corner_zyx: Zyx, shape_zyx: Zyx) -> tuple[slice, slice, slice]:
    z, y, x = (slice(corner, corner + length) for corner, length in zip(corner_zyx, shape_zyx, strict=True))
    return z, y, x


def _stretches(start: int, length: int, whole: int) -> list[tuple[int, slice]]:
    """Divide what may lie beyond the ends of a periodic axis: where to read, and where to put that."""
    stretches = []
    done = 0
    while done < length:
        source = (start + done) % whole
        step = min(length - done, whole - source)
        stretches.append((source, slice(done, done + step)))
        done += step
    return stretches
