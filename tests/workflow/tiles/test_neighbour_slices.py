"""Annotations in neighbouring slices: copied and interpolated."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED
from tomoseg_tui.core.paint_tools import brush_mask, interpolate_masks, replace_feature_pixels
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.paint_session import PaintSession
from tomoseg_tui.workflow.tiles.neighbour_slices import interpolated_layer, neighbours_in_z
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement

SMALL, LARGE = brush_mask((64, 64), (32, 32), 9), brush_mask((64, 64), (32, 32), 29)


def at(z: int, x: int = 64) -> TileLocation:
    return TileLocation("cell", z, 64, x)


def place(project: Project, *places: TileLocation, negative: bool = False) -> None:
    place_tiles(project, [tile_placement(one, "tube", negative=negative) for one in places])


def paint(project: Project, where: TileLocation, mask: NDArray[np.bool_], value: int = FEATURE) -> None:
    with PaintSession.open(project, where) as painting:
        painting.stroke("tube", mask, value, "brush")


@pytest.fixture
def column(cell: Project) -> Project:
    """Return a project painted at z 1 and 5, with a tile at 3 and others beside."""
    place(cell, at(1), at(3), at(5), at(2, x=65), TileLocation("cell", 2, 64, 64, 32))
    paint(cell, at(1), SMALL)
    paint(cell, at(5), LARGE)
    paint(cell, at(2, x=65), LARGE)
    return cell


def test_the_nearest_painted_tiles_at_the_same_position_are_neighbours(column: Project) -> None:
    found = neighbours_in_z(column, at(3), "tube")
    assert [neighbour.location for neighbour in found.both] == [at(1), at(5)]
    assert found.nearest is found.below
    np.testing.assert_array_equal(found.both[1].layer == FEATURE, LARGE)
    assert neighbours_in_z(column, at(5), "tube").above is None
    assert neighbours_in_z(column, at(3), "wall").both == ()
    assert neighbours_in_z(column, at(3), "wall").nearest is None


def test_a_tile_without_the_feature_is_no_neighbour(column: Project) -> None:
    with PaintSession.open(column, at(1)) as painting:
        painting.mark_none_here("tube")
    assert neighbours_in_z(column, at(3), "tube").below is None


def test_the_mask_is_interpolated_between_two_neighbours(column: Project) -> None:
    layer = np.zeros((64, 64), np.uint8)
    layer[0] = IGNORED
    between = interpolated_layer(layer, neighbours_in_z(column, at(3), "tube"))
    assert between is not None
    wanted = replace_feature_pixels(layer, interpolate_masks(SMALL, LARGE, 0.5))
    np.testing.assert_array_equal(between, wanted)
    assert interpolated_layer(layer, neighbours_in_z(column, at(5), "tube")) is None
