"""Labels of a slice: only available slices are read, and cached ones are not read again."""

from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import write_mrc

from tomoseg_tui.core.merge import MergedBlock
from tomoseg_tui.tui.images.map_overlays import LabelSlices, MapSliceCache, MapSource, MergedSlices

SHAPE_YX = (4, 6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    values = np.zeros((3, *SHAPE_YX), np.int8)
    values[:, :2], values[2, 3] = 100, 60
    return write_mrc(tmp_path / "map.mrc", values)


def test_maps_are_merged_and_the_result_is_reported(path: Path) -> None:
    reported: list[tuple[int, list[int]]] = []

    def tell(_by: MergedSlices, z: int, block: MergedBlock) -> None:
        reported.append((z, block.voxels.tolist()))

    source = MapSource(path, "tube", 0.5, ((0, 3),))
    labels = MergedSlices([source, MapSource(path, "tube", 0.3, ((0, 3),))], SHAPE_YX, MapSliceCache(), tell)(2)
    assert labels.dtype == np.uint8
    assert np.unique(labels[:2]).tolist() == [2]
    assert np.unique(labels[3]).tolist() == [2]
    assert reported == [(2, [0, 18])]


def test_slices_that_do_not_exist_yet_are_empty(path: Path) -> None:
    labels = MergedSlices([MapSource(path, "tube", 0.5, ((0, 1), (2, 3)))], SHAPE_YX, MapSliceCache())
    assert [labels(z).any() for z in range(3)] == [True, False, True]


def test_a_missing_file_or_one_of_another_shape_is_empty(path: Path, tmp_path: Path) -> None:
    gone = MapSource(tmp_path / "gone.mrc", "tube", 0.5, ((0, 3),))
    assert not MergedSlices([gone], SHAPE_YX, MapSliceCache())(0).any()
    assert not MergedSlices([MapSource(path, "tube", 0.5, ((0, 3),))], (5, 6), MapSliceCache())(0).any()
    assert not LabelSlices(path, (5, 6), MapSliceCache())(0).any()
    assert not MergedSlices([], SHAPE_YX, MapSliceCache())(0).any()


def test_a_cached_slice_is_not_read_again(path: Path) -> None:
    cache = MapSliceCache()
    labels = LabelSlices(path, SHAPE_YX, cache)
    before = labels(1)
    path.unlink()
    assert np.array_equal(labels(1), before)
    cache.clear()
    assert not labels(1).any()


def test_the_cache_keeps_the_latest_slices_within_its_limit(path: Path) -> None:
    cache = MapSliceCache(max_bytes=2 * 24)
    for z in range(3):
        cache.read(path, z)
    path.unlink()
    assert [cache.read(path, z) is not None for z in range(3)] == [False, True, True]
