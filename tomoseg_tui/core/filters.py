"""Filter, bin and normalise a volume block by block, with EMAN2's filter chain and units.

The order is EMAN2's: low-pass, high-pass, normalise, clamp; then mean 0 and sigma 1 again. A volume is read in two
to four passes and never held whole: blocks carry a halo for the low-pass, the high-pass subtracts a background
computed on a small copy, and a histogram gives mean and sigma after clamping. Reading and writing are left to the
caller, who can also store the result of each pass and the finished blocks, to resume after an interruption.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import hypot, inf
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.binning import BinnedVolume, Box, FloatArray, RegionSource, split_into_boxes
from tomoseg_tui.core.blocks import Zyx
from tomoseg_tui.core.grid import DensityScale
from tomoseg_tui.core.smoothing import BlockSums, CoarseVolume, gaussian_sigma, gaussian_taps, smooth
from tomoseg_tui.errors import TomogramError, UsageError

BLOCK_VOXELS = 6 << 20
"""Voxels read at a time by default, with the halo; each takes about 25 bytes of memory at the peak."""
PASS_COSTS = (1, 1, 4, 5)
"""Relative cost of a block in the four passes: for the mean, the background, the clamping, the result."""
MAX_BACKGROUND_EDGE = 128
"""Most blocks along an axis of the small copy on which the high-pass computes its background."""


@dataclass(frozen=True)
class FilterChain:
    """Filters applied to densities; 0 switches a filter off."""

    lowpass: float = 0.25
    """c of exp(-f^2 / c^2), cycles/voxel of the binned volume."""
    highpass: float = 5.0
    """c of 1 - exp(-f^2 / c^2), times the voxels of the binned volume along x: EMAN2's pixels."""
    clamp: float = 3.0
    """Distance from the mean at which densities are clipped; sigmas of the filtered volume."""

    def __post_init__(self) -> None:
        for name in ("lowpass", "highpass", "clamp"):
            if not 0 <= getattr(self, name) < inf:
                raise UsageError(f"The {name} {getattr(self, name)} is out of range.", "Give 0 (off) or more.")

    @property
    def is_off(self) -> bool:
        """True if densities stay as they are, in their own units."""
        return self == NO_FILTER

    def describe(self, voxel_size_angstrom: float, nx: int) -> dict[str, float | None]:
        """Return the settings as given, and as lengths.

        Parameters
        ----------
        voxel_size_angstrom : float
            Voxel size of the binned volume, Å/voxel; 0 if unknown.
        nx : int
            Voxels of the binned volume along x.

        Returns
        -------
        dict
            ``lowpass_cycles_per_voxel``, ``highpass_pixels``, ``clamp_sigmas`` as given, 0 if off, and
            ``lowpass_angstrom``, ``highpass_angstrom``: the wavelength 1 / c in Å, None if off or unknown.

        Examples
        --------
        >>> FilterChain().describe(10.0, 500)["highpass_angstrom"]
        1000.0
        """
        return {
            "lowpass_cycles_per_voxel": self.lowpass,
            "lowpass_angstrom": voxel_size_angstrom / self.lowpass or None if self.lowpass else None,
            "highpass_pixels": self.highpass,
            "highpass_angstrom": nx * voxel_size_angstrom / self.highpass or None if self.highpass else None,
            "clamp_sigmas": self.clamp,
        }


NO_FILTER = FilterChain(0.0, 0.0, 0.0)
"""Leaves densities as they are."""


class PreprocessCheckpoint(Protocol):
    """Stored results of an interrupted `preprocess`, and where to store more."""

    def load_result(self, pass_name: str) -> NDArray[Any] | None:
        """Return the stored result of a pass over the whole volume; None if the pass did not finish."""

    def save_result(self, pass_name: str, result: NDArray[Any]) -> None:
        """Store the result of a pass."""

    def has_block(self, corner_zyx: Zyx) -> bool:
        """Return whether the block with this corner is written."""


@final
class _NoCheckpoint:
    """No stored results; nothing is stored."""

    def load_result(self, pass_name: str) -> NDArray[Any] | None:
        del pass_name
        return None

    def save_result(self, pass_name: str, result: NDArray[Any]) -> None:
        pass

    def has_block(self, corner_zyx: Zyx) -> bool:
        del corner_zyx
        return False


NO_CHECKPOINT: PreprocessCheckpoint = _NoCheckpoint()
"""For a volume that is filtered from start to end."""


def preprocess(
    source: RegionSource,
    chain: FilterChain,
    *,
    factor: int = 1,
    scale: DensityScale | None = None,
    block_voxels: int = BLOCK_VOXELS,
    on_block: Callable[[int, int], None] | None = None,
    checkpoint: PreprocessCheckpoint = NO_CHECKPOINT,
) -> Iterator[tuple[Zyx, FloatArray]]:
    """Bin, filter, clamp and normalise a volume block by block.

    Parameters
    ----------
    source : RegionSource
        The volume, any real type. Non-finite values count as the mean.
    chain : FilterChain
        Filters; with all of them off, densities are binned and keep their units.
    factor : int
        Binning before the filters; 1 for none.
    scale : DensityScale, optional
        Gives the mean of the volume. Without it, another pass finds the mean.
    block_voxels : int
        Most voxels of a block with its halo. (The halo of a low-pass below 0.015 cycles/voxel needs more.)
        The result does not depend on it.
    on_block : callable, optional
        Called with finished and total cost (see `PASS_COSTS`) after each block of each pass, and once for all
        blocks skipped.
    checkpoint : PreprocessCheckpoint
        Earlier results with the same source and settings: stored passes are not repeated, written blocks not
        yielded. The result is the same to the bit.

    Yields
    ------
    corner_zyx : tuple of int
        Corner of the block in the binned volume.
    values : ndarray of float32, shape (z, y, x)
        Values of the block. The blocks, with those written earlier, cover the binned volume once, in the order of z.
        With any filter the whole has mean 0 and sigma 1; a flat volume becomes 0.

    Raises
    ------
    TomogramError
        If no scale is given and the volume has no finite value.
    UsageError
        If the volume cannot be binned by the factor.

    Notes
    -----
    As in EMAN2, volumes are periodic. On volumes of 64^3 the result correlates with EMAN2's by more than 0.999.
    """
    binned = BinnedVolume(source, factor, max_voxels=block_voxels)
    plan = _Plan(_filter_boxes(binned.shape_zyx, chain, block_voxels), _pass_costs(chain, scale), on_block, checkpoint)
    return _filtered_blocks(binned, chain, scale, plan)


def _filter_boxes(shape_zyx: Zyx, chain: FilterChain, block_voxels: int) -> list[Box]:
    """Return the boxes in which a binned volume of this shape is filtered."""
    return split_into_boxes(shape_zyx, halo=_lowpass_taps(chain).size // 2, max_voxels=block_voxels)


def _lowpass_taps(chain: FilterChain) -> NDArray[np.float64]:
    return gaussian_taps(chain.lowpass) if chain.lowpass else np.ones(1)


def _pass_costs(chain: FilterChain, scale: DensityScale | None) -> list[int]:
    """Return the cost of a block in each pass that is needed: mean, background, clamping, result."""
    needed_passes = [scale is None, chain.highpass > 0, not chain.is_off, True]
    return [cost for cost, is_needed in zip(PASS_COSTS, needed_passes, strict=True) if is_needed]


@final
class _Plan:
    """The boxes of the binned volume, which of them are finished, and the progress to report."""

    def __init__(
        self,
        all_boxes: list[Box],
        costs: list[int],
        on_block: Callable[[int, int], None] | None,
        checkpoint: PreprocessCheckpoint,
    ) -> None:
        self._boxes, self._checkpoint = all_boxes, checkpoint
        self._total_cost = sum(costs) * len(all_boxes)
        self._costs, self._block_cost = iter(costs), 0
        self._finished_cost = self._skipped_cost = 0
        self._on_block = on_block

    def iterate_boxes(self) -> Iterator[Box]:
        """Return the boxes for one pass; each is reported as finished when the next is requested."""
        return self._iterate_reporting(self._boxes)

    def missing_boxes(self) -> Iterator[Box]:
        """Return the boxes that are not written yet; reported as by `iterate_boxes`."""
        self._block_cost = next(self._costs)
        missing = [box for box in self._boxes if not self._checkpoint.has_block(box[0])]
        self._skip(len(self._boxes) - len(missing))
        return self._iterate_reporting(missing)

    def run_pass(self, pass_name: str, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """Return the result of a pass, stored or computed."""
        self._block_cost = next(self._costs)
        stored = self._checkpoint.load_result(pass_name)
        if stored is not None:
            self._skip(len(self._boxes))
            return stored
        result = compute()
        self._checkpoint.save_result(pass_name, result)
        return result

    def _iterate_reporting(self, remaining: list[Box]) -> Iterator[Box]:
        if self._skipped_cost:  # reported at once, as the start of the resumed work
            self._report(self._skipped_cost)
            self._skipped_cost = 0
        for box in remaining:
            yield box
            self._report(self._block_cost)

    def _skip(self, count: int) -> None:
        self._skipped_cost += count * self._block_cost

    def _report(self, cost: int) -> None:
        self._finished_cost += cost
        if self._on_block is not None:
            self._on_block(self._finished_cost, self._total_cost)


def _filtered_blocks(
    binned: BinnedVolume, chain: FilterChain, scale: DensityScale | None, plan: _Plan
) -> Iterator[tuple[Zyx, FloatArray]]:
    """Run the passes that the chain needs, and yield the finished blocks."""
    mean = float(plan.run_pass("mean", lambda: _finite_mean(binned, plan))) if scale is None else scale.mean
    if chain.is_off:
        unfiltered = replace(binned, fill=mean)
        yield from ((box[0], unfiltered.read(box)) for box in plan.missing_boxes())
        return
    centred = replace(binned, fill=mean, offset=mean)
    background = _coarse_background(centred, chain, plan) if chain.highpass else None
    filtered = _FilteredVolume(centred, _lowpass_taps(chain), background)
    clamp_scale = _ClampScale(
        *plan.run_pass("clamping", lambda: _measure_clamping(filtered, chain.clamp, plan)).tolist()
    )
    yield from ((box[0], clamp_scale.apply(filtered.read(box))) for box in plan.missing_boxes())


def _finite_mean(binned: BinnedVolume, plan: _Plan) -> NDArray[np.float64]:
    """Return the mean of all finite densities, shape ()."""
    sums = [binned.finite_sum(box) for box in plan.iterate_boxes()]
    count = sum(finite_count for _, finite_count in sums)
    if not count:
        raise TomogramError(
            "The volume contains no finite value.", "Import it again from a file that contains densities."
        )
    return np.array(sum(total for total, _ in sums) / count)


def _coarse_background(binned: BinnedVolume, chain: FilterChain, plan: _Plan) -> CoarseVolume:
    """Return the volume with only the wavelengths that the high-pass removes, on a coarse grid."""
    shape = binned.shape_zyx
    z, y, x = (-(-length // MAX_BACKGROUND_EDGE) for length in shape)

    def compute() -> FloatArray:
        sums = BlockSums(shape, (z, y, x))
        for box in plan.iterate_boxes():
            sums.add(binned.read(box), box[0])
        lowpass_sigma = gaussian_sigma(chain.lowpass) if chain.lowpass else 0.0
        return sums.means().smoothed(hypot(gaussian_sigma(chain.highpass / shape[2]), lowpass_sigma)).values

    return CoarseVolume(plan.run_pass("background", compute), (z, y, x))


@dataclass(frozen=True, eq=False)
class _FilteredVolume:
    """A volume after low-pass and high-pass."""

    binned: BinnedVolume
    taps: NDArray[np.float64]
    background: CoarseVolume | None

    def read(self, box: Box) -> FloatArray:
        """Return the densities (z, y, x) of a box."""
        values, inside = self.binned.read_with_halo(box, self.taps.size // 2)
        values = smooth(values, (self.taps, self.taps, self.taps), inside)
        return values if self.background is None else values - self.background.region(*box)


@dataclass(frozen=True)
class _ClampScale:
    """Limits of clamping, and mean and sigma after it."""

    low: float
    high: float
    mean: float
    sigma: float

    def apply(self, values: FloatArray) -> FloatArray:
        """Return the values clamped, with mean 0 and sigma 1."""
        clamped = np.clip(values, np.float32(self.low), np.float32(self.high))
        return np.asarray((clamped - np.float32(self.mean)) / np.float32(self.sigma), np.float32)


def _measure_clamping(filtered: _FilteredVolume, clamp: float, plan: _Plan) -> NDArray[np.float64]:
    """Return the four values of `_ClampScale`, found in one pass.

    Values are counted by the upper 16 bits of their float32: bins of relative width 1/128 with exact means, for which
    no range has to be known in advance. The error of mean and sigma is below 1e-4 sigma.
    """
    counts, sums = np.zeros(1 << 16, np.int64), np.zeros(1 << 16)
    for box in plan.iterate_boxes():
        values = np.ravel(filtered.read(box))
        bins = values.view(np.uint32) >> 16
        counts += np.bincount(bins, minlength=1 << 16)
        sums += np.bincount(bins, weights=values, minlength=1 << 16)
    occupied = counts > 0
    counts, means = counts[occupied], sums[occupied] / counts[occupied]
    mean, sigma = _moments(counts, means)
    low, high = (mean - clamp * sigma, mean + clamp * sigma) if clamp else (-inf, inf)
    mean, sigma = _moments(counts, np.clip(means, low, high))
    return np.array([low, high, mean, sigma or 1.0])


def _moments(counts: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and sigma of values with their counts."""
    mean = float(np.average(values, weights=counts))
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
