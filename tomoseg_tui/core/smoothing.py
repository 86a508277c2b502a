"""Gaussian smoothing as EMAN2 defines it, exp(-f^2 / c^2), computed in real space without the whole volume in memory.

A fine filter is a separable row of weights (taps), for which a block needs a halo. A coarse filter is computed on a
small copy of the volume and interpolated back. Volumes are periodic, as in a Fourier transform.
"""

from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import Zyx

FloatArray = NDArray[np.float32]


def gaussian_sigma(cutoff: float) -> float:
    """Return the standard deviation in voxels of the Gaussian exp(-f^2 / cutoff^2), cutoff in cycles/voxel."""
    return float(1 / (np.pi * np.sqrt(2) * cutoff))


def gaussian_taps(cutoff: float) -> NDArray[np.float64]:
    """Return the weights of a low-pass along one axis.

    Parameters
    ----------
    cutoff : float
        c of exp(-f^2 / c^2), cycles/voxel; above 0.

    Returns
    -------
    ndarray of float64, odd length
        Symmetric, with sum 1; at least four standard deviations and 4 voxels to each side.

    Notes
    -----
    The weights are the truncated inverse Fourier transform of the filter: a sampled Gaussian would pass too much
    near the highest frequency, 0.5.

    Examples
    --------
    >>> gaussian_taps(0.25).round(3)[4:].tolist()
    [0.441, 0.241, 0.036, 0.003, -0.001]
    """
    reach = max(4, int(np.ceil(4 * gaussian_sigma(cutoff))))
    frequencies = np.fft.rfftfreq(16 * reach)
    response = np.fft.irfft(np.exp(-((frequencies / cutoff) ** 2)), 16 * reach)
    taps = np.concatenate([response[reach:0:-1], response[: reach + 1]])  # (2 * reach + 1,)
    return np.asarray(taps / taps.sum(), np.float64)


def smooth(
    values: FloatArray, taps_zyx: tuple[NDArray[np.float64], ...], inside: tuple[slice, ...] = (slice(None),) * 3
) -> FloatArray:
    """Smooth along each axis with its taps; axes are periodic.

    Parameters
    ----------
    values : ndarray of float32, shape (z, y, x)
        Left unchanged; returned itself, or as a view, if no taps change it.
    taps_zyx : tuple of ndarray of float64
        Weights along z, y and x, odd in length; a single 1 for no smoothing.
    inside : tuple of slice, optional
        Region (z, y, x) to return. Each axis is cut as soon as it is smoothed, which saves work on the others.

    Returns
    -------
    ndarray of float32, shape (z, y, x)
        The smoothed values within `inside`.
    """
    from scipy import ndimage  # noqa: PLC0415  # takes a tenth of a second, and few screens filter

    for axis, (taps, window) in enumerate(zip(taps_zyx, inside, strict=True)):
        if taps.size > 1:
            values = ndimage.correlate1d(values, taps, axis=axis, mode="wrap")
        values = values[(slice(None),) * axis + (window,)]
    return values


def block_sums(values: NDArray[Any], corner_zyx: Zyx, factors_zyx: Zyx) -> NDArray[np.float64]:
    """Sum the voxels of a region over the blocks of a coarser grid.

    Parameters
    ----------
    values : ndarray, shape (z, y, x)
        The region. Left unchanged.
    corner_zyx : tuple of int
        First voxel of the region in the volume; need not be the corner of a block.
    factors_zyx : tuple of int
        Voxels of a block along each axis.

    Returns
    -------
    ndarray of float64, shape (z, y, x)
        One sum for each block that the region touches; the first block is corner // factor.
    """
    sums: NDArray[Any] = values
    for axis in (2, 1, 0):
        factor, length = factors_zyx[axis], sums.shape[axis]
        starts = np.union1d([0], np.arange(-corner_zyx[axis] % factor, length, factor))
        sums = np.add.reduceat(sums, starts.astype(np.intp), axis=axis, dtype=np.float64)
    return sums


@dataclass(frozen=True, eq=False)
class CoarseVolume:
    """A volume on a coarser grid."""

    values: FloatArray
    """Shape (z, y, x): means over blocks; the last block of an axis may be smaller."""
    factors_zyx: Zyx
    """Voxels of a block along each axis."""

    def smoothed(self, sigma_voxels: float) -> "CoarseVolume":
        """Return a copy from which `region` reads the volume smoothed by a Gaussian.

        Block means and interpolation already smooth: with blocks of f voxels by variances of (f^2 - 1) / 12 and
        (f^2 - 1) / 6. These are subtracted from the variance of the Gaussian.
        """
        variances = [sigma_voxels**2 - (factor**2 - 1) / 4 for factor in self.factors_zyx]
        taps = tuple(
            _taps_for_variance(variance / factor**2)
            for variance, factor in zip(variances, self.factors_zyx, strict=True)
        )
        return CoarseVolume(smooth(self.values, taps), self.factors_zyx)

    def region(self, corner_zyx: Zyx, shape_zyx: Zyx) -> FloatArray:
        """Return a region (z, y, x) of the volume, interpolated linearly between block centres."""
        values = self.values
        for axis in range(3):
            values = _interpolate_axis(values, axis, self.factors_zyx[axis], corner_zyx[axis], shape_zyx[axis])
        return values


def _taps_for_variance(variance: float) -> NDArray[np.float64]:
    """Return the taps of a Gaussian with a variance in voxels^2; a single 1 for a variance of 0 or less."""
    if variance <= 0:
        return np.ones(1)
    return gaussian_taps(gaussian_sigma(float(np.sqrt(variance))))  # gaussian_sigma is its own inverse


def _interpolate_axis(values: FloatArray, axis: int, factor: int, start: int, length: int) -> FloatArray:
    """Interpolate linearly along one axis, from block centres to voxels start .. start + length - 1."""
    if factor == 1:
        return values[(slice(None),) * axis + (slice(start, start + length),)]
    positions = (np.arange(start, start + length) + 0.5) / factor - 0.5
    below = np.floor(positions).astype(np.intp)
    above = (below + 1) % values.shape[axis]
    weight = (positions - below).astype(np.float32).reshape([-1 if dimension == axis else 1 for dimension in range(3)])
    lower = values.take(below % values.shape[axis], axis=axis)
    return np.asarray(lower + (values.take(above, axis=axis) - lower) * weight, np.float32)


@final
class BlockSums:
    """Sums over the blocks of a coarser grid, added up region by region."""

    def __init__(self, shape_zyx: Zyx, factors_zyx: Zyx) -> None:
        blocks = [-(-length // factor) for length, factor in zip(shape_zyx, factors_zyx, strict=True)]
        self.factors_zyx = factors_zyx
        self._sums = np.zeros(blocks)
        self._voxels = np.zeros(blocks)

    def add(self, values: FloatArray, corner_zyx: Zyx) -> None:
        """Add a region (z, y, x) with its corner; together the regions must cover each voxel once."""
        sums = block_sums(values, corner_zyx, self.factors_zyx)
        window = tuple(
            slice(corner // factor, corner // factor + length)
            for corner, factor, length in zip(corner_zyx, self.factors_zyx, sums.shape, strict=True)
        )
        self._sums[window] += sums
        self._voxels[window] += block_sums(np.broadcast_to(np.uint8(1), values.shape), corner_zyx, self.factors_zyx)

    def means(self) -> CoarseVolume:
        """Return the mean of each block."""
        return CoarseVolume((self._sums / self._voxels).astype(np.float32), self.factors_zyx)
