import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.smoothing import CoarseVolume, block_sums, gaussian_sigma, gaussian_taps, smooth


@pytest.mark.parametrize(("cutoff", "tolerance"), [(0.02, 1e-3), (0.1, 1e-3), (0.25, 0.01), (0.5, 0.04)])
def test_taps_have_the_response_of_the_formula(cutoff: float, tolerance: float) -> None:
    taps = gaussian_taps(cutoff)
    places = np.arange(taps.size) - taps.size // 2
    frequencies = np.linspace(0, 0.5, 51)
    response = np.cos(2 * np.pi * frequencies[:, None] * places) @ taps
    np.testing.assert_allclose(response, np.exp(-((frequencies / cutoff) ** 2)), atol=tolerance)


@given(st.floats(0.01, 1))
def test_taps_are_symmetric_and_preserve_the_mean(cutoff: float) -> None:
    taps = gaussian_taps(cutoff)
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-12)
    assert taps.sum() == pytest.approx(1)


def test_sigma_of_a_worked_example() -> None:
    """1 / (pi * sqrt(2) * 0.25) = 0.900316."""
    assert gaussian_sigma(0.25) == pytest.approx(0.900316, abs=1e-6)


def test_smoothing_leaves_its_input_unchanged() -> None:
    values = np.eye(5, dtype=np.float32)[None]
    smooth(values, (gaussian_taps(0.25),) * 3)
    np.testing.assert_array_equal(values[0], np.eye(5))


@given(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(*[st.integers(0, 9)] * 3), st.tuples(*[st.integers(1, 4)] * 3))
def test_block_sums_of_a_region_are_those_of_its_voxels(
    shape: tuple[int, int, int], corner: tuple[int, int, int], factors: tuple[int, int, int]
) -> None:
    values = np.random.default_rng(7).integers(0, 99, shape)
    first = [start // factor for start, factor in zip(corner, factors, strict=True)]
    expected: dict[tuple[int, ...], int] = {}
    for place in np.ndindex(shape):
        block = tuple((np.add(place, corner) // factors - first).tolist())
        expected[block] = expected.get(block, 0) + int(values[place])
    sums = block_sums(values, corner, factors)
    assert {place: int(sums[place]) for place in np.ndindex(sums.shape)} == expected


def test_a_coarse_copy_reproduces_a_slope_between_its_centres() -> None:
    slope = np.arange(12.0, dtype=np.float32)
    coarse = CoarseVolume(np.broadcast_to(slope.reshape(4, 3).mean(axis=1), (1, 1, 4)).copy(), (1, 1, 3))
    np.testing.assert_allclose(coarse.region((0, 0, 1), (1, 1, 10))[0, 0], slope[1:11], atol=1e-5)


def test_a_region_of_a_coarse_copy_equals_that_of_the_whole() -> None:
    values = np.random.default_rng(7).normal(size=(3, 4, 5)).astype(np.float32)
    coarse = CoarseVolume(values, (1, 3, 2))
    whole = coarse.region((0, 0, 0), (3, 11, 10))
    np.testing.assert_array_equal(coarse.region((1, 4, 3), (2, 5, 6)), whole[1:, 4:9, 3:9])


def test_smoothing_a_coarse_copy_widens_a_point_as_requested() -> None:
    """A Gaussian of sigma 9 over a single voxel, on blocks of 4: the variance is 81 within 2 %."""
    line = np.zeros(50, np.float32)
    line[25] = 1
    coarse = CoarseVolume(line.reshape(1, 1, 50), (1, 1, 4)).smoothed(9.0)
    profile = coarse.region((0, 0, 0), (1, 1, 200))[0, 0].astype(np.float64)
    places = np.arange(200) - 101.5
    assert (profile * places**2).sum() / profile.sum() == pytest.approx(81, rel=0.02)
