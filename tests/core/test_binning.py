from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.binning import BinnedVolume, bin_region, binned_shape, split_into_boxes
from tomoseg_tui.errors import UsageError

shapes = st.tuples(st.integers(1, 9), st.integers(1, 20), st.integers(1, 20))


@dataclass(frozen=True, eq=False)
class Held:
    """A volume in memory that records the size of each region read."""

    values: NDArray[np.generic]
    asked: list[int]

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        z, y, x = self.values.shape
        return z, y, x

    def read_region(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[np.generic]:
        self.asked.append(int(np.prod(shape_zyx)))
        z, y, x = (slice(start, start + length) for start, length in zip(corner_zyx, shape_zyx, strict=True))
        return self.values[z, y, x]


def test_binning_takes_means_and_drops_the_remainder() -> None:
    values = np.random.default_rng(7).normal(size=(5, 7, 9))
    binned = bin_region(values, 2)
    expected = values[:4, :6, :8].reshape(2, 2, 3, 2, 4, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(binned, expected, atol=1e-6)
    assert binned.shape == binned_shape((5, 7, 9), 2) == (2, 3, 4)


def test_binning_bytes_does_not_overflow() -> None:
    assert bin_region(np.full((4, 4, 4), 255, np.uint8), 4).tolist() == [[[255.0]]]


def test_binning_by_one_is_a_copy() -> None:
    values = np.ones((2, 2, 2), np.float32)
    bin_region(values, 1)[...] = 5
    assert values.max() == 1


@pytest.mark.parametrize("factor", [0, -1, 5])
def test_a_volume_is_not_binned_to_nothing(factor: int) -> None:
    with pytest.raises(UsageError, match="cannot be binned"):
        bin_region(np.zeros((4, 9, 9)), factor)


@given(shapes, st.integers(0, 3), st.integers(1, 3000))
def test_boxes_contain_every_voxel_once(shape: tuple[int, int, int], halo: int, most: int) -> None:
    covered = np.zeros(shape, int)
    for (z, y, x), (depth, height, width) in split_into_boxes(shape, halo=halo, max_voxels=most):
        covered[z : z + depth, y : y + height, x : x + width] += 1
    assert (covered == 1).all()


@given(st.tuples(*[st.integers(30, 1500)] * 3), st.integers(0, 20))
def test_boxes_with_their_halo_stay_within_the_voxel_limit(shape: tuple[int, int, int], halo: int) -> None:
    most = 1 << 21
    for _, size in split_into_boxes(shape, halo=halo, max_voxels=most):
        read = [n if n == whole else n + 2 * halo for n, whole in zip(size, shape, strict=True)]
        assert np.prod(read) <= most


@given(shapes, st.integers(0, 12), st.data())
def test_reading_beyond_an_edge_continues_at_the_other(
    shape: tuple[int, int, int], halo: int, data: st.DataObject
) -> None:
    values = np.random.default_rng(7).normal(size=shape).astype(np.float32)
    box = data.draw(st.sampled_from(split_into_boxes(shape, halo=0, max_voxels=300)))
    corner, size = box
    found, inside = BinnedVolume(Held(values, [])).read_with_halo(box, halo)
    reach = [0 if n == whole else halo for n, whole in zip(size, shape, strict=True)]
    expected = values
    for axis in range(3):
        places = np.arange(corner[axis] - reach[axis], corner[axis] + size[axis] + reach[axis])
        expected = expected.take(places, axis=axis, mode="wrap")
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(found[inside], BinnedVolume(Held(values, [])).read(box))


def test_a_binned_box_is_read_in_parts() -> None:
    values = np.random.default_rng(7).normal(size=(16, 64, 64))
    held = Held(values, [])
    volume = BinnedVolume(held, 4, max_voxels=5000)
    np.testing.assert_allclose(volume.read(((1, 2, 3), (3, 14, 13))), bin_region(values, 4)[1:4, 2:16, 3:16], atol=1e-6)
    assert max(held.asked) <= 5000
    assert sum(held.asked) == 3 * 14 * 13 * 64


def test_a_single_value_that_is_not_finite_is_filled_before_binning() -> None:
    values = np.ones((2, 2, 2))
    values[0, 0, 0] = np.nan
    assert BinnedVolume(Held(values, []), 2, fill=9.0).read(((0, 0, 0), (1, 1, 1))).tolist() == [[[2.0]]]


def test_numbers_too_large_for_single_precision_are_not_finite() -> None:
    values = np.array([[[1e300, 1.0]]])
    assert BinnedVolume(Held(values, []), fill=3.0).read(((0, 0, 0), (1, 1, 2))).tolist() == [[[3.0, 1.0]]]
