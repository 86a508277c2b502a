import contextlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.binning import binned_shape
from tomoseg_tui.core.filters import NO_FILTER, PASS_COSTS, FilterChain, preprocess
from tomoseg_tui.core.grid import DensityScale
from tomoseg_tui.errors import TomogramError, UsageError

Volume = NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Held:
    """A volume in memory as a source of regions; rejects regions outside."""

    values: Volume

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        z, y, x = self.values.shape
        return z, y, x

    def read_region(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> Volume:
        assert min(corner_zyx) >= 0
        assert all(np.add(corner_zyx, shape_zyx) <= self.values.shape)
        z, y, x = (slice(start, start + length) for start, length in zip(corner_zyx, shape_zyx, strict=True))
        return self.values[z, y, x]


def processed(
    values: Volume,
    chain: FilterChain,
    *,
    factor: int = 1,
    scale: DensityScale | None = None,
    piece_voxels: int = 1 << 20,
) -> NDArray[np.float32]:
    """Return the whole volume, each voxel written exactly once."""
    out = np.full(binned_shape(Held(values).shape_zyx, factor), np.nan, np.float32)
    for (z, y, x), piece in preprocess(Held(values), chain, factor=factor, scale=scale, block_voxels=piece_voxels):
        place = out[z : z + piece.shape[0], y : y + piece.shape[1], x : x + piece.shape[2]]
        assert np.isnan(place).all()
        assert piece.dtype == np.float32
        place[...] = piece
    assert np.isfinite(out).all()
    return out


def eman2(values: Volume, *, lowpass: float, highpass: float, clamp: float) -> NDArray[np.float64]:
    """Filter the whole volume at once in Fourier space, as EMAN2 does, with f = index / n along each axis."""
    fz, fy, fx = np.meshgrid(*[np.fft.fftfreq(n) for n in values.shape], indexing="ij")
    squared = fz**2 + fy**2 + fx**2
    spectrum = np.fft.fftn(values.astype(np.float64))
    if lowpass:
        spectrum *= np.exp(-squared / lowpass**2)
    if highpass:
        spectrum *= 1 - np.exp(-squared / (highpass / values.shape[2]) ** 2)
    filtered = np.fft.ifftn(spectrum).real
    filtered = (filtered - filtered.mean()) / filtered.std()
    return np.asarray(np.clip(filtered, -clamp, clamp) if clamp else filtered, np.float64)


def noise_and_blobs(shape: tuple[int, int, int], seed: int = 7) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    place = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"))
    volume = rng.normal(100, 5, shape)
    for _ in range(12):
        centre = rng.uniform(0, shape)[:, None, None, None]
        volume -= 20 * np.exp(-((place - centre) ** 2).sum(axis=0) / (2 * rng.uniform(2, 8) ** 2))
    return volume.astype(np.float32)


@pytest.fixture(scope="module")
def volume() -> NDArray[np.float32]:
    return noise_and_blobs((64, 64, 64))


@pytest.mark.parametrize(
    ("lowpass", "highpass", "clamp"),
    [(0.25, 5, 3), (0.25, 0, 0), (0, 5, 0), (0.1, 2, 3), (0.4, 10, 2), (0.25, 1, 3), (0.05, 0, 0), (0, 20, 0)],
)
def test_the_chain_agrees_with_the_fourier_formula_of_eman2(
    volume: NDArray[np.float32], lowpass: float, highpass: float, clamp: float
) -> None:
    ours = processed(volume, FilterChain(lowpass, highpass, clamp))
    theirs = eman2(volume, lowpass=lowpass, highpass=highpass, clamp=clamp)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.999


def test_a_background_on_a_coarse_copy_agrees_with_the_formula() -> None:
    """300 voxels along x and y are binned by 3."""
    wide = noise_and_blobs((24, 300, 300))
    ours = processed(wide, FilterChain(0.25, 5, 0))
    theirs = eman2(wide, lowpass=0.25, highpass=5, clamp=0)
    np.testing.assert_allclose(ours, theirs, atol=0.1)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.999


def test_an_axis_shorter_than_the_filter_agrees_with_the_formula() -> None:
    flat = noise_and_blobs((3, 40, 50))
    ours, theirs = processed(flat, FilterChain(0.1, 3, 0)), eman2(flat, lowpass=0.1, highpass=3, clamp=0)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] >= 0.99


@pytest.mark.parametrize(
    "chain", [FilterChain(), FilterChain(0.25, 0, 0), FilterChain(0, 0, 2.5), FilterChain(0, 5, 0)]
)
def test_a_filtered_volume_has_mean_0_and_sigma_1(volume: NDArray[np.float32], chain: FilterChain) -> None:
    ours = processed(volume, chain).astype(np.float64)
    assert abs(ours.mean()) < 1e-3
    assert abs(ours.std() - 1) < 1e-3


@settings(deadline=None, max_examples=25)
@given(
    st.tuples(st.integers(3, 14), st.integers(3, 30), st.integers(3, 30)),
    st.sampled_from([FilterChain(), FilterChain(0.2, 0, 3), FilterChain(0, 3, 0), NO_FILTER]),
    st.integers(1, 3),
    st.integers(300, 9000),
)
def test_the_result_does_not_depend_on_the_block_size(
    shape: tuple[int, int, int], chain: FilterChain, factor: int, piece_voxels: int
) -> None:
    values = noise_and_blobs(shape)
    whole = processed(values, chain, factor=factor)
    pieces = processed(values, chain, factor=factor, piece_voxels=piece_voxels)
    np.testing.assert_allclose(pieces, whole, atol=1e-4)


def test_blocks_that_cut_through_those_of_the_background_change_nothing() -> None:
    wide = noise_and_blobs((10, 40, 300))
    whole, pieces = (processed(wide, FilterChain(), piece_voxels=voxels) for voxels in (1 << 20, 20_000))
    np.testing.assert_allclose(pieces, whole, atol=1e-4)


def test_clamping_uses_the_sigma_of_the_filtered_volume(volume: NDArray[np.float32]) -> None:
    free = processed(volume, FilterChain(0.25, 5, 0))
    expected = np.clip(free, -2, 2)
    expected = (expected - expected.mean()) / expected.std()
    np.testing.assert_allclose(processed(volume, FilterChain(0.25, 5, 2)), expected, atol=2e-3)


def test_a_mean_far_from_zero_costs_no_precision(volume: NDArray[np.float32]) -> None:
    far = volume.astype(np.float64) + 30_000
    np.testing.assert_allclose(processed(far, FilterChain()), processed(volume, FilterChain()), atol=0.01)


def test_one_extreme_voxel_does_not_spoil_the_rest(volume: NDArray[np.float32]) -> None:
    """The voxel is clamped at 3 sigma like any other, and mean and sigma are still right."""
    spiked = volume.copy()
    spiked[30, 30, 30] = 1e12
    ours = processed(spiked, FilterChain()).astype(np.float64)
    assert abs(ours.mean()) < 1e-3
    assert abs(ours.std() - 1) < 1e-3


def test_non_finite_values_count_as_the_mean() -> None:
    values = noise_and_blobs((12, 12, 12))
    holes = np.zeros(values.shape, bool)
    holes[3, 4:6, 2] = holes[7, 1, 5] = True
    broken = np.where(holes, np.nan, values)
    broken[7, 1, 5] = np.inf
    filled = np.where(holes, values[~holes].mean(), values)
    np.testing.assert_allclose(processed(broken, FilterChain()), processed(filled, FilterChain()), atol=1e-4)
    np.testing.assert_allclose(processed(broken, NO_FILTER), filled, rtol=1e-5)


def test_a_known_mean_replaces_non_finite_values() -> None:
    values = np.full((2, 2, 2), np.nan)
    values[0] = 3
    assert processed(values, NO_FILTER, scale=DensityScale(5.0, 1.0))[1].tolist() == [[5, 5], [5, 5]]


def test_a_volume_without_a_finite_value_is_refused() -> None:
    with pytest.raises(TomogramError, match="no finite value"):
        processed(np.full((4, 4, 4), np.nan), FilterChain())


def test_a_flat_volume_becomes_zero() -> None:
    assert not processed(np.full((8, 8, 8), 1234.5), FilterChain()).any()


def test_without_filters_densities_keep_their_units() -> None:
    values = np.arange(4 * 4 * 4, dtype=np.int16).reshape(4, 4, 4)
    np.testing.assert_array_equal(processed(values, NO_FILTER), values)
    np.testing.assert_array_equal(processed(values, NO_FILTER, factor=4), [[[31.5]]])


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.float16, np.float32, np.float64])
def test_every_type_of_density_gives_the_same_result(dtype: type[np.generic]) -> None:
    values = np.random.default_rng(7).integers(0, 100, (12, 12, 12))
    np.testing.assert_array_equal(processed(values.astype(dtype), FilterChain()), processed(values, FilterChain()))


def test_a_volume_is_not_binned_to_nothing() -> None:
    with pytest.raises(UsageError, match="cannot be binned"):
        preprocess(Held(np.zeros((4, 9, 9))), FilterChain(), factor=5)


@pytest.mark.parametrize("scale", [None, DensityScale(0.0, 1.0)])
@pytest.mark.parametrize("chain", [FilterChain(), FilterChain(0.25, 0, 0), NO_FILTER])
def test_progress_counts_all_blocks_of_all_passes_by_their_cost(scale: DensityScale | None, chain: FilterChain) -> None:
    reported: list[tuple[int, int]] = []
    source = Held(noise_and_blobs((12, 20, 20)))
    for _ in preprocess(
        source, chain, scale=scale, block_voxels=2000, on_block=lambda done, total: reported.append((done, total))
    ):
        pass
    gained = [after - before for (before, _), (after, _) in pairwise([(0, 0), *reported])]
    assert set(gained) <= set(PASS_COSTS)
    assert gained == sorted(gained), "a reading at a time"
    assert {total for _, total in reported} == {sum(gained)}


class Memory:
    """A checkpoint in memory."""

    def __init__(self) -> None:
        self.readings: dict[str, NDArray[Any]] = {}
        self.pieces: dict[tuple[int, int, int], NDArray[np.float32]] = {}

    def load_result(self, reading: str) -> NDArray[Any] | None:
        return self.readings.get(reading)

    def save_result(self, reading: str, result: NDArray[Any]) -> None:
        assert reading not in self.readings
        self.readings[reading] = result

    def has_block(self, corner_zyx: tuple[int, int, int]) -> bool:
        return corner_zyx in self.pieces


class CutOff(Exception):  # noqa: N818 - not an error
    """Interrupts the work."""


@pytest.mark.parametrize("chain", [FilterChain(), FilterChain(0.25, 0, 0), FilterChain(0, 5, 0), NO_FILTER])
@pytest.mark.parametrize("factor", [1, 2])
def test_a_volume_interrupted_after_every_block_is_the_same_to_the_bit(chain: FilterChain, factor: int) -> None:
    """Each run may finish one block more than a pass has, so that every run makes progress."""
    source, voxels = Held(noise_and_blobs((24, 20, 20))), 4000 // factor**3
    whole = dict(preprocess(source, chain, factor=factor, block_voxels=voxels))
    memory = Memory()
    ends: list[int] = []

    def cut_off(done: int, total: int) -> None:
        ends[-1] += 1
        if ends[-1] > len(whole) + 1 and done < total:
            raise CutOff

    while memory.pieces.keys() != whole.keys():
        ends.append(0)
        with contextlib.suppress(CutOff):
            for corner, piece in preprocess(
                source, chain, factor=factor, block_voxels=voxels, on_block=cut_off, checkpoint=memory
            ):
                assert corner not in memory.pieces
                memory.pieces[corner] = piece
        assert len(ends) < 10
    assert len(ends) > 1 or chain.is_off
    assert len(whole) > 1
    for corner, piece in whole.items():
        np.testing.assert_array_equal(memory.pieces[corner], piece)


def test_resumed_work_first_reports_where_it_starts(volume: NDArray[np.float32]) -> None:
    memory, reported = Memory(), [0]
    pieces = list(preprocess(Held(volume), FilterChain(), block_voxels=100_000, checkpoint=memory))
    memory.pieces = dict(pieces[:2])
    list(
        preprocess(
            Held(volume),
            FilterChain(),
            block_voxels=100_000,
            checkpoint=memory,
            on_block=lambda done, _: reported.append(done),
        )
    )
    before, end = sum(PASS_COSTS[:3]) * len(pieces), sum(PASS_COSTS) * len(pieces)
    assert reported[1:] == list(range(before + 2 * PASS_COSTS[3], end + 1, PASS_COSTS[3]))


def test_settings_are_described_as_given_and_as_lengths() -> None:
    """0.25 cycles/voxel at 10 Å are 40 Å; 5 pixels of 512 are a wavelength of 102.4 voxels, 1024 Å."""
    assert FilterChain(0.25, 5, 3).describe(10.0, 512) == {
        "lowpass_cycles_per_voxel": 0.25,
        "lowpass_angstrom": 40.0,
        "highpass_pixels": 5,
        "highpass_angstrom": 1024.0,
        "clamp_sigmas": 3,
    }


def test_a_filter_that_is_off_or_of_unknown_scale_has_no_length() -> None:
    assert FilterChain(0, 0, 3).describe(10.0, 512)["lowpass_angstrom"] is None
    assert FilterChain(0.25, 5, 3).describe(0.0, 512)["highpass_angstrom"] is None


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_a_setting_out_of_range_is_refused(value: float) -> None:
    with pytest.raises(UsageError, match="highpass"):
        FilterChain(highpass=value)
