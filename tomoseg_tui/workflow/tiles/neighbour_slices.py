"""What is annotated of a tile's place in other slices: to copy from, and to fill the slices between."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tomoseg_tui.core.annotation import FEATURE, Layer
from tomoseg_tui.core.paint_tools import interpolate_masks, replace_feature_pixels
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.paint_locks import read_paint_lock_owner
from tomoseg_tui.workflow.annotations.paint_session import PaintSession
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A tile at the same x and y, of the same size, in another slice."""

    location: TileLocation
    layer: Layer
    """Holds the feature somewhere."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest tiles on both sides that hold paint of a feature."""

    z: int
    """Slice between them."""
    below: Neighbour | None
    """At smaller z."""
    above: Neighbour | None
    """At greater z."""

    @property
    def nearest(self) -> Neighbour | None:
        """The nearer of the two; the one below if both are as far."""
        return min(self.both, key=lambda neighbour: abs(neighbour.location.z - self.z), default=None)

    @property
    def both(self) -> tuple[Neighbour, ...]:
        """Those there are, the one below first."""
        return tuple(neighbour for neighbour in (self.below, self.above) if neighbour is not None)


def neighbours_in_z(project: Project, location: TileLocation, feature: str) -> Neighbours:
    """Return the nearest tiles of the same place in other slices that hold paint of a feature."""
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
    """Return a tile's layer with the mask between those of its neighbours in z; None without one on each side.

    It is for `PaintSession.replace_layer`.
    """
    if neighbours.below is None or neighbours.above is None:
        return None
    return _interpolate(layer, neighbours.below, neighbours.above, neighbours.z)


def _interpolate(layer: Layer, below: Neighbour, above: Neighbour, z: int) -> Layer:
    fraction = (z - below.location.z) / (above.location.z - below.location.z)
    return replace_feature_pixels(layer, interpolate_masks(below.layer == FEATURE, above.layer == FEATURE, fraction))


def interpolate_between(project: Project, lower: TileLocation, upper: TileLocation, feature: str) -> list[TileLocation]:
    """Fill all slices between two tiles of one place: tiles are placed as wanted, and painted by interpolation.

    A tile that is painted, annotated or said to hold none of the feature already is left as it is, and so is one that
    somebody paints. Each new one is still to be looked at and marked done.

    Returns
    -------
    list of Place
        The tiles that were painted.

    Raises
    ------
    ProjectError
        If the two are not of one place, or one of them has no paint of the feature.
    """
    ends = sorted(catalog.require_tile(project.layout, location).location for location in (lower, upper))
    if len(set(ends)) < 2 or not _same_column(*ends) or ends[0].tomogram != ends[1].tomogram:
        raise ProjectError(f"{lower.id} and {upper.id} are not one place in two slices.", "Choose two such tiles.")
    below, above = (_require_paint(project, location, feature) for location in ends)
    candidates = [replace(ends[0], z=z) for z in range(ends[0].z + 1, ends[1].z)]
    locations = [location for location in candidates if _is_open(project, location, feature)]
    place_tiles(project, [tile_placement(location, feature, negative=False) for location in locations])
    for location in locations:
        with PaintSession.open(project, location, features=[feature]) as session:
            session.replace_layer(
                feature, _interpolate(session.layers[feature], below, above, location.z), "interpolated"
            )
    return locations


def _require_paint(project: Project, location: TileLocation, feature: str) -> Neighbour:
    neighbour = _painted_neighbour(project, location, feature)
    if neighbour is None:
        raise ProjectError(f"{location.id} has no paint of {feature}.", "Paint it first.")
    return neighbour


def _is_open(project: Project, location: TileLocation, feature: str) -> bool:
    """Tell whether a place may be painted by a program: nobody has said or painted anything of the feature there."""
    tile = catalog.find_tile(project.layout, location)
    if tile is None:
        return True
    if read_paint_lock_owner(project.layout, tile.location) is not None:
        return False
    state, layer = tile.state_of(feature), read_layer(project.layout, tile.location, feature)
    return state in {None, FeatureState.WANTED} and (layer is None or not layer.any())
