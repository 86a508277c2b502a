"""Shared by tests of painting: tiles, and the layers after strokes."""

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import Layer
from tomoseg_tui.core.paint_tools import brush_mask
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.paint_session import PaintSession
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement

PLACE, NEGATIVE, STAR = (TileLocation("cell", 4, 64, x) for x in (40, 64, 80))
WALL_ONLY = TileLocation("cell", 5, 64, 40)


def place_tiles_to_paint(project: Project) -> Project:
    """Place tiles on the tomogram cell: with two features, one, none, and none of all features."""
    wishes = [
        tile_placement(PLACE, "tube", negative=False),
        tile_placement(PLACE, "wall", negative=False),
        tile_placement(NEGATIVE, "tube", negative=True),
        tile_placement(STAR, "*", negative=True),
        tile_placement(WALL_ONLY, "wall", negative=False),
    ]
    place_tiles(project, wishes)
    return project


def disc(x: int = 32, width: int = 9) -> NDArray[np.bool_]:
    return brush_mask((64, 64), (32, x), width)


def painted(project: Project, *strokes: tuple[str, int, int], place: TileLocation = PLACE) -> list[dict[str, Layer]]:
    """Paint and save discs (feature, x, value); return all layers before and after each."""
    with PaintSession.open(project, place) as painting:
        seen = [dict(painting.layers)]
        for feature, x, value in strokes:
            painting.stroke(feature, disc(x), value, "brush")
            painting.save()
            seen.append(dict(painting.layers))
    return seen


def on_disk(project: Project, feature: str = "tube", place: TileLocation = PLACE) -> Layer:
    layer = read_layer(project.layout, place, feature)
    assert layer is not None
    return layer


def state(project: Project, feature: str = "tube", place: TileLocation = PLACE) -> FeatureState | None:
    return catalog.tile_at(project.layout, place).state_of(feature)


def equal(one: dict[str, Layer], other: dict[str, Layer]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
