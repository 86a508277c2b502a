"""Mean and sigma of a volume from a sample of its rows, so that large volumes take seconds."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_VOXELS = 2**26
"""Voxels in the sample; 64 million take about a second to read and give sigma to 1e-4."""
MAX_SLICES = 32
"""Most slices in the sample."""

Region = tuple[tuple[int, int, int], tuple[int, int, int]]
"""Corner and shape, each (z, y, x)."""


class RegionReader(Protocol):
    """A volume that is read region by region."""

    def read_region(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[np.generic]:
        """Return the densities of a region, shape (z, y, x)."""
        ...


@dataclass(frozen=True)
class Statistics:
    """Statistics of a sample of densities."""

    count: int
    """Finite densities in the sample."""
    non_finite: int
    """NaN and infinite densities in the sample."""
    mean: float
    deviation: float
    """Standard deviation, 0 for a flat sample."""
    minimum: float
    maximum: float

    @property
    def is_flat(self) -> bool:
        """True if all finite densities in the sample are equal."""
        return not self.deviation > 0

    @property
    def sigma(self) -> float:
        """Standard deviation to divide by; 1 for a flat sample."""
        return 1.0 if self.is_flat else self.deviation


def sample_bands(shape_zyx: tuple[int, int, int], *, budget: int | None = SAMPLE_VOXELS) -> list[Region]:
    """Return the bands of rows to sample: all rows of a small volume, a spread selection of a large one.

    Parameters
    ----------
    shape_zyx : tuple of int
        Shape of the volume.
    budget : int or None
        Approximate number of voxels to sample; None for all.
    """
    nz, ny, nx = shape_zyx
    if budget is None or nz * ny * nx <= budget:
        return [((z, 0, 0), (1, ny, nx)) for z in range(nz)]
    slices = min(nz, MAX_SLICES)
    rows = max(1, min(ny, budget // (slices * nx)))
    bands = []
    for index in range(slices):
        z = (2 * index + 1) * nz // (2 * slices)
        top = (ny - rows) * ((index * 7) % slices) // max(slices - 1, 1)  # 7 walks through y in mixed order
        bands.append(((z, top, 0), (1, rows, nx)))
    return bands


def measure_statistics(volume: RegionReader, bands: Iterable[Region], *, min_count: int | None = None) -> Statistics:
    """Return mean, sigma and extremes of bands of a volume, computed in float64.

    NaN and infinity are counted and left out.

    Parameters
    ----------
    volume : RegionReader
        Densities of any real type.
    bands : iterable of (corner_zyx, shape_zyx)
        Regions to read, shape (1, y, x) each.
    min_count : int or None
        Number of finite densities after which reading stops.
    """
    count = non_finite = 0
    mean = sum_squares = 0.0
    low, high = np.inf, -np.inf
    for corner, shape in bands:
        values = volume.read_region(corner, shape).astype(np.float64).ravel()
        finite = values[np.isfinite(values)]
        non_finite += values.size - finite.size
        if finite.size:
            count, mean, sum_squares = _merge_moments(count, mean, sum_squares, finite)
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
        if min_count is not None and count >= min_count:
            break
    return Statistics(count, non_finite, mean, float(np.sqrt(sum_squares / count)) if count else 0.0, low, high)


def _merge_moments(
    count: int, mean: float, sum_squares: float, values: NDArray[np.float64]
) -> tuple[int, float, float]:
    """Merge running moments with those of a band (Chan, Golub and LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
    band_mean = float(values.mean())
    band_sum_squares = float(((values - band_mean) ** 2).sum())
    total = count + values.size
    delta = band_mean - mean
    return (
        total,
        mean + delta * values.size / total,
        sum_squares + band_sum_squares + delta * delta * count * values.size / total,
    )
