"""What is annotated of a tile's place in other slices: to copy from, and to fill the slices between."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tomoseg_tui.core.annotation import FEATURE, Layer
from tomoseg_tui.core.paint_tools import interpolated, taken_over
from tomoseg_tui.core.tiles import FeatureState, Place
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.paint_locks import painter_of
from tomoseg_tui.workflow.annotations.paint_session import Painting
from tomoseg_tui.workflow.tiles.placing import place_tiles, wish


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A tile at the same x and y, of the same size, in another slice."""

    place: Place
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
        return min(self.both, key=lambda found: abs(found.place.z - self.z), default=None)

    @property
    def both(self) -> tuple[Neighbour, ...]:
        """Those there are, the one below first."""
        return tuple(found for found in (self.below, self.above) if found is not None)


def neighbours_in_z(project: Project, place: Place, feature: str) -> Neighbours:
    """Return the nearest tiles of the same place in other slices that hold paint of a feature."""
    column = [tile.place for tile in catalog.tiles_of(project.layout, place.tomogram) if _is_over(tile.place, place)]
    below = [other for other in reversed(column) if other.z < place.z]
    above = [other for other in column if other.z > place.z]
    return Neighbours(place.z, _first_painted(project, below, feature), _first_painted(project, above, feature))


def _is_over(one: Place, other: Place) -> bool:
    return (one.y, one.x, one.size) == (other.y, other.x, other.size)


def _first_painted(project: Project, places: Sequence[Place], feature: str) -> Neighbour | None:
    found = (_painted(project, place, feature) for place in places)
    return next((neighbour for neighbour in found if neighbour is not None), None)


def _painted(project: Project, place: Place, feature: str) -> Neighbour | None:
    state = catalog.tile_at(project.layout, place).state_of(feature)
    layer = read_layer(project.layout, place, feature) if state is not None and state.is_positive else None
    return Neighbour(place, layer) if layer is not None and (layer == FEATURE).any() else None


def layer_between(layer: Layer, found: Neighbours) -> Layer | None:
    """Return a tile's layer with the mask that lies between those of its neighbours in z, for `Painting.put`.

    None unless there is one on each side.
    """
    if found.below is None or found.above is None:
        return None
    return _between(layer, found.below, found.above, found.z)


def _between(layer: Layer, below: Neighbour, above: Neighbour, z: int) -> Layer:
    fraction = (z - below.place.z) / (above.place.z - below.place.z)
    return taken_over(layer, interpolated(below.layer == FEATURE, above.layer == FEATURE, fraction))


def interpolate_between(project: Project, lower: Place, upper: Place, feature: str) -> list[Place]:
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
    ends = sorted(catalog.require_tile(project.layout, place).place for place in (lower, upper))
    if len(set(ends)) < 2 or not _is_over(*ends) or ends[0].tomogram != ends[1].tomogram:
        raise ProjectError(f"{lower.id} and {upper.id} are not one place in two slices.", "Choose two such tiles.")
    below, above = (_require_paint(project, place, feature) for place in ends)
    between = [replace(ends[0], z=z) for z in range(ends[0].z + 1, ends[1].z)]
    places = [place for place in between if _is_open(project, place, feature)]
    place_tiles(project, [wish(place, feature, negative=False) for place in places])
    for place in places:
        with Painting.open(project, place, features=[feature]) as painting:
            painting.put(feature, _between(painting.layers[feature], below, above, place.z), "interpolated")
    return places


def _require_paint(project: Project, place: Place, feature: str) -> Neighbour:
    found = _painted(project, place, feature)
    if found is None:
        raise ProjectError(f"{place.id} has no paint of {feature}.", "Paint it first.")
    return found


def _is_open(project: Project, place: Place, feature: str) -> bool:
    """Tell whether a place may be painted by a program: nobody has said or painted anything of the feature there."""
    tile = catalog.find_tile(project.layout, place)
    if tile is None:
        return True
    if painter_of(project.layout, tile.place) is not None:
        return False
    state, layer = tile.state_of(feature), read_layer(project.layout, tile.place, feature)
    return state in {None, FeatureState.WANTED} and (layer is None or not layer.any())
