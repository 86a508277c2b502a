"""The parts of a slice that are read, and their size."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import noise, write_mrc

from tomoseg_tui.errors import ShapeError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.render.viewport import Viewport
from tomoseg_tui.tui.canvas.slice_cache import MAX_BYTES, SliceCache, _ArrayCache
from tomoseg_tui.tui.canvas.slice_drawing import CanvasView, DrawStyle, Overlay

STYLE = DrawStyle("halfblock", "truecolor")


@pytest.fixture
def slices(tmp_path: Path) -> Iterator[SliceCache]:
    path = write_mrc(tmp_path / "small.mrc", noise((8, 96, 128)))
    with open_volume(path) as reader:
        yield SliceCache(reader)


def fitted(shape_yx: tuple[int, int], cells_xy: tuple[int, int]) -> CanvasView:
    return CanvasView(3, Viewport.fit(shape_yx, cells_xy, (1, 2)), STYLE)


def test_a_slice_that_fits_the_screen_is_read_unchanged(slices: SliceCache) -> None:
    view = fitted((96, 128), (128, 48))
    part = slices.part_for(view, view.viewport)
    assert (part.corner_yx, part.shape_yx, part.block) == ((0, 0), (96, 128), 1)
    assert np.array_equal(slices.values(part), slices.reader.read_slices(3, 4)[0])


def test_a_slice_larger_than_the_screen_is_averaged_over_blocks(slices: SliceCache) -> None:
    view = fitted((96, 128), (20, 8))
    part = slices.part_for(view, view.viewport)
    values = slices.values(part)
    assert part.block == 4
    whole = slices.reader.read_slices(3, 4)[0].astype(np.float32)
    assert np.allclose(values, whole.reshape(24, 4, 32, 4).mean(axis=(1, 3)), atol=1e-4)


def test_blocks_at_the_edge_may_be_smaller(slices: SliceCache) -> None:
    view = fitted((96, 128), (18, 7))
    part = replace(slices.part_for(view, view.viewport), block=5, rows=5)
    values = slices.values(part)
    whole = slices.reader.read_slices(3, 4)[0].astype(np.float32)
    assert values.shape == (20, 26)
    assert values[-1, -1] == pytest.approx(whole[95:, 125:].mean(), abs=1e-4)


def test_in_motion_a_few_rows_of_each_block_are_read(slices: SliceCache) -> None:
    view = replace(fitted((96, 128), (8, 3)), at_rest=False)
    part = slices.part_for(view, view.viewport)
    assert part.rows < part.block
    values, best = slices.values(part), slices.values(replace(part, rows=part.block))
    assert values.shape == best.shape
    assert np.corrcoef(values.ravel(), best.ravel())[0, 1] > 0.3  # of pure noise; pictures correlate more


def test_when_enlarged_only_the_area_around_the_screen_is_read(tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "wide.mrc", noise((2, 1200, 1200)))
    with open_volume(path) as reader:
        slices = SliceCache(reader)
        viewport = Viewport((1200, 1200), (80, 20), (1, 2), 1.0, (600.0, 600.0))
        view = CanvasView(1, viewport, STYLE)
        part = slices.part_for(view, viewport)
        assert part.block == 1
        assert part.shape_yx[0] * part.shape_yx[1] < 1200 * 1200 / 10
        assert np.array_equal(slices.greys(view, viewport).shape, (40, 80))
        moved = replace(viewport, centre_yx=(598.0, 605.0))
        assert slices.part_for(view, moved) == part  # a small pan reads nothing


def test_greys_span_black_to_white_for_any_averaging(slices: SliceCache) -> None:
    for cells in ((128, 48), (16, 6)):
        view = fitted((96, 128), cells)
        greys = slices.greys(view, view.viewport)
        assert np.percentile(greys, 1) < 25
        assert np.percentile(greys, 99) > 230


def test_contrasts_differ_in_how_much_is_black_and_white(slices: SliceCache) -> None:
    view = fitted((96, 128), (128, 48))
    extremes = [
        int(np.isin(slices.greys(replace(view, contrast=contrast), view.viewport), (0, 255)).sum())
        for contrast in range(3)
    ]
    assert extremes[1] > extremes[0] > extremes[2]


def test_the_contrast_is_constant_while_z_changes(tmp_path: Path) -> None:
    values = noise((2, 64, 64)).astype(np.float32)
    values[1] = values[1] / 2
    with open_volume(write_mrc(tmp_path / "two.mrc", values)) as reader:
        slices = SliceCache(reader)
        view = replace(fitted((64, 64), (64, 32)), z=0)
        spreads = [float(slices.greys(replace(view, z=z), view.viewport).std()) for z in (0, 1)]
    assert spreads[1] == pytest.approx(spreads[0] / 2, rel=0.1)


def test_a_flat_slice_does_not_determine_the_contrast(tmp_path: Path) -> None:
    values = noise((2, 64, 64))
    values[0] = 0
    with open_volume(write_mrc(tmp_path / "flat.mrc", values)) as reader:
        slices = SliceCache(reader)
        view = replace(fitted((64, 64), (64, 32)), z=0)
        assert np.ptp(slices.greys(view, view.viewport)) == 0
        assert np.ptp(slices.greys(replace(view, z=1), view.viewport)) > 200


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_every_type_of_voxel_is_shown(tmp_path: Path, kind: type[np.generic]) -> None:
    values = (noise((2, 64, 64)).astype(np.int16) + 128).astype(kind)
    if kind == np.uint8:
        values = values.astype(np.uint16)
    if kind == np.float32:
        values[1, 5, 5] = np.nan
    with open_volume(write_mrc(tmp_path / "kind.mrc", values)) as reader:
        view = replace(fitted((64, 64), (64, 32)), z=1)
        assert np.ptp(SliceCache(reader).greys(view, view.viewport)) > 200


def test_labels_are_computed_once_per_slice_until_the_overlay_changes(slices: SliceCache) -> None:
    computed = []

    def compute(z: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        computed.append(z)
        return np.zeros((96, 128), np.uint8)

    view = replace(fitted((96, 128), (20, 8)), overlay=Overlay(compute, ()))
    for z in (3, 4, 3):
        slices.labels(replace(view, z=z))
    slices.labels(replace(view, overlay=Overlay(compute, ())))
    assert computed == [3, 4, 3]
    assert slices.labels(replace(view, overlay=None)) is None


def test_labels_of_another_shape_are_refused_with_a_clear_error(slices: SliceCache) -> None:
    view = replace(fitted((96, 128), (20, 8)), overlay=Overlay(lambda _z: np.zeros((4, 4), np.uint8), ()))
    with pytest.raises(ShapeError, match="do not match slices"):
        slices.labels(view)


def test_parts_to_read_ahead_are_in_the_direction_of_travel_and_inside(slices: SliceCache) -> None:
    view = fitted((96, 128), (20, 8))
    ahead = [
        [part.z for part in slices.parts_ahead(replace(view, next_z_step=step), view.viewport)] for step in (1, -2, 0)
    ]
    assert ahead == [[4, 5, 6, 7], [1], []]


def test_the_cache_stays_within_its_limit() -> None:
    cache = _ArrayCache(1000)
    for key in range(10):
        cache.put(key, np.zeros(300, np.uint8))
        cache.get(0)
    assert cache._cached_bytes <= 1000
    assert cache.get(0) is not None  # used all the time
    assert cache.get(9) is not None
    assert cache.get(3) is None
    assert MAX_BYTES <= 32 << 20
