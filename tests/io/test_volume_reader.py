"""Properties of the readers of all formats."""

from math import inf, nan
from pathlib import Path

import numpy as np
import pytest

from tomoseg_tui.errors import ShapeError, UnreadableTomogramError
from tomoseg_tui.io.volume_reader import (
    check_box,
    cubic_voxel_size,
    enumerate_slabs,
    reject_single_slice,
    round_to_float32,
)


@pytest.mark.parametrize(
    ("corner", "shape"),
    [
        ((-1, 0, 0), (1, 1, 1)),
        ((0, 0, 0), (5, 6, 8)),
        ((5, 0, 0), (1, 1, 1)),
        ((0, 0, 0), (1, -1, 1)),
        ((0, 0), (1, 1)),
    ],
)
def test_a_box_outside_the_volume_is_refused(corner: tuple[int, ...], shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"\(5, 6, 7\)"):
        check_box((5, 6, 7), corner, shape)


def test_a_box_may_touch_every_face() -> None:
    check_box((5, 6, 7), (0, 0, 0), (5, 6, 7))


@pytest.mark.parametrize("edges", [(0.0, 13.0, 13.0), (nan, 13.0, 13.0), (inf, 1.0, 1.0), (-2.0, 2.0, 2.0)])
def test_without_a_size_along_x_the_voxel_size_is_0(edges: tuple[float, float, float]) -> None:
    assert cubic_voxel_size(edges, "a.mrc") == (0.0, ())


def test_anisotropic_voxels_are_reported_with_all_three_edges() -> None:
    size, (warning,) = cubic_voxel_size((10.0, 10.05, 12.5), "a.mrc")
    assert size == 10.0
    assert "10 x 10.05 x 12.5" in warning


@pytest.mark.parametrize("z_size", [10.09, nan, inf, 0.0])
def test_edges_within_one_percent_or_unknown_are_not_reported(z_size: float) -> None:
    assert cubic_voxel_size((10.0, 10.0, z_size), "a.mrc") == (10.0, ())


def test_a_decimal_survives_being_stored_in_32_bits() -> None:
    assert round_to_float32(float(np.float32(13.48))) == 13.48


def test_one_slice_is_not_a_volume_without_flat() -> None:
    with pytest.raises(UnreadableTomogramError, match="one image"):
        reject_single_slice(Path("a.mrc"), 1, flat=False)
    reject_single_slice(Path("a.mrc"), 1, flat=True)


def test_slabs_are_numbered_by_their_first_slice() -> None:
    slabs = [np.zeros((2, 3, 4)), np.zeros((1, 3, 4))]
    assert [start for start, _ in enumerate_slabs(slabs, (3, 3, 4))] == [0, 2]


@pytest.mark.parametrize("lengths", [[2], [2, 2], []])
def test_slabs_of_another_total_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ShapeError):
        list(enumerate_slabs([np.zeros((length, 3, 4)) for length in lengths], (3, 3, 4)))


def test_slabs_of_another_width_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(3, 3, 5\)"):
        list(enumerate_slabs([np.zeros((3, 3, 5))], (3, 3, 4)))
