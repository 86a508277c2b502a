"""Annotations of a tile's position in other slices, to copy them or to interpolate between them."""

from collections.abc import Sequence
from dataclasses import dataclass

from tomoseg_tui.core.annotation import FEATURE, Layer
from tomoseg_tui.core.paint_tools import interpolate_masks, replace_feature_pixels
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A tile with the same x, y and size in another slice."""

    location: TileLocation
    layer: Layer
    """A layer with feature pixels."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest tiles on both sides that have pixels of a feature."""

    z: int
    """Slice between them."""
    below: Neighbour | None
    """At smaller z."""
    above: Neighbour | None
    """At greater z."""

    @property
    def nearest(self) -> Neighbour | None:
        """The nearer of the two; the lower one if the distances are equal."""
        return min(self.both, key=lambda neighbour: abs(neighbour.location.z - self.z), default=None)

    @property
    def both(self) -> tuple[Neighbour, ...]:
        """The existing ones, the lower one first."""
        return tuple(neighbour for neighbour in (self.below, self.above) if neighbour is not None)


def neighbours_in_z(project: Project, location: TileLocation, feature: str) -> Neighbours:
    """Return the nearest tiles at the same position in other slices that have pixels of a feature."""
    column = [
        tile.location
        for tile in catalog.tiles_of(project.layout, location.tomogram)
        if _same_column(tile.location, location)
    ]
    below = [other for other in reversed(column) if other.z < location.z]
    above = [other for other in column if other.z > location.z]
    return Neighbours(location.z, _first_painted(project, below, feature), _first_painted(project, above, feature))


def _same_column(first: TileLocation, second: TileLocation) -> bool:
    return (first.y, first.x, first.size) == (second.y, second.x, second.size)


def _first_painted(project: Project, locations: Sequence[TileLocation], feature: str) -> Neighbour | None:
    neighbours = (_painted_neighbour(project, location, feature) for location in locations)
    return next((neighbour for neighbour in neighbours if neighbour is not None), None)


def _painted_neighbour(project: Project, location: TileLocation, feature: str) -> Neighbour | None:
    state = catalog.tile_at(project.layout, location).state_of(feature)
    layer = read_layer(project.layout, location, feature) if state is not None and state.is_positive else None
    return Neighbour(location, layer) if layer is not None and (layer == FEATURE).any() else None


def interpolated_layer(layer: Layer, neighbours: Neighbours) -> Layer | None:
    """Return a tile's layer with the mask interpolated between its two neighbours in z; None without both.

    The layer is meant for `PaintSession.replace_layer`.
    """
    if neighbours.below is None or neighbours.above is None:
        return None
    below, above = neighbours.below, neighbours.above
    fraction = (neighbours.z - below.location.z) / (above.location.z - below.location.z)
    return replace_feature_pixels(layer, interpolate_masks(below.layer == FEATURE, above.layer == FEATURE, fraction))
