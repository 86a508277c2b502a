"""What is annotated of a place in other slices: copied from, and what lies between."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED
from tomoseg_tui.core.paint_tools import brush_mask, interpolate_masks, replace_feature_pixels
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import set_done
from tomoseg_tui.workflow.annotations.paint_session import PaintSession
from tomoseg_tui.workflow.tiles.neighbour_slices import interpolate_between, interpolated_layer, neighbours_in_z
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
    """Painted at 1 and 5, placed at 3, and there are others beside."""
    place(cell, at(1), at(3), at(5), at(2, x=65), TileLocation("cell", 2, 64, 64, 32))
    paint(cell, at(1), SMALL)
    paint(cell, at(5), LARGE)
    paint(cell, at(2, x=65), LARGE)
    return cell


def test_the_nearest_painted_tiles_of_the_same_place_are_neighbours(column: Project) -> None:
    found = neighbours_in_z(column, at(3), "tube")
    assert [neighbour.location for neighbour in found.both] == [at(1), at(5)]
    assert found.nearest is found.below
    np.testing.assert_array_equal(found.both[1].layer == FEATURE, LARGE)
    assert neighbours_in_z(column, at(5), "tube").above is None
    assert neighbours_in_z(column, at(3), "wall").both == ()
    assert neighbours_in_z(column, at(3), "wall").nearest is None


def test_a_neighbour_that_holds_none_of_it_is_no_neighbour(column: Project) -> None:
    with PaintSession.open(column, at(1)) as painting:
        painting.mark_none_here("tube")
    assert neighbours_in_z(column, at(3), "tube").below is None


def test_between_two_neighbours_lies_the_mask_between_theirs(column: Project) -> None:
    layer = np.zeros((64, 64), np.uint8)
    layer[0] = IGNORED
    between = interpolated_layer(layer, neighbours_in_z(column, at(3), "tube"))
    assert between is not None
    wanted = replace_feature_pixels(layer, interpolate_masks(SMALL, LARGE, 0.5))
    np.testing.assert_array_equal(between, wanted)
    assert interpolated_layer(layer, neighbours_in_z(column, at(5), "tube")) is None


def test_all_slices_between_two_are_filled_but_those_where_somebody_has_said_something(column: Project) -> None:
    place(column, at(2), negative=True)
    assert interpolate_between(column, at(5), at(1), "tube") == [at(3), at(4)]
    for z, fraction in ((3, 0.5), (4, 0.75)):
        layer = read_layer(column.layout, at(z), "tube")
        assert layer is not None
        np.testing.assert_array_equal(layer == FEATURE, interpolate_masks(SMALL, LARGE, fraction))
        assert catalog.tile_at(column.layout, at(z)).state_of("tube") is FeatureState.WANTED
    assert read_layer(column.layout, at(2), "tube") is None
    assert interpolate_between(column, at(1), at(5), "tube") == []
    with PaintSession.open(column, at(4)) as painting:
        painting.undo()
        assert not painting.layers["tube"].any()


def test_what_was_filled_is_to_be_looked_at_and_marked_done(column: Project) -> None:
    interpolate_between(column, at(1), at(5), "tube")
    set_done(column, at(3), "tube")
    assert catalog.tile_at(column.layout, at(3)).state_of("tube") is FeatureState.ANNOTATED


@pytest.mark.parametrize("other", [at(1), at(2, x=65)])
def test_two_tiles_that_are_not_one_place_are_refused(column: Project, other: TileLocation) -> None:
    with pytest.raises(ProjectError, match="not one place in two slices"):
        interpolate_between(column, at(1), other, "tube")


def test_a_tile_without_paint_has_nothing_to_give(column: Project) -> None:
    with pytest.raises(ProjectError, match="has no paint of tube"):
        interpolate_between(column, at(1), at(3), "tube")
