"""What is annotated of a tile's place in other slices: to copy from, and to fill the slices between."""

from dataclasses import dataclass

from tomoseg_tui.core.annotation import Layer
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.project.catalog import Project


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A tile at the same x and y, of the same size, in another slice."""

    place: Place
    layer: Layer
    """Holds the feature somewhere."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest tiles on both sides that hold paint of a feature."""

    below: Neighbour | None
    """At smaller z."""
    above: Neighbour | None
    """At greater z."""

    @property
    def nearest(self) -> Neighbour | None:
        """The nearer of the two; the one below if both are as far."""
        raise NotImplementedError


def neighbours_in_z(project: Project, place: Place, feature: str) -> Neighbours:
    """Return the nearest tiles of the same place in other slices that hold paint of a feature."""
    raise NotImplementedError


def layer_between(layer: Layer, found: Neighbours, place: Place) -> Layer | None:
    """Return a tile's layer with what lies between its neighbours in z, for `Painting.put`; None unless both are there."""
    raise NotImplementedError


def interpolate_between(project: Project, lower: Place, upper: Place, feature: str) -> list[Place]:
    """Fill all slices between two tiles of one place: tiles are placed as wanted, and painted by interpolation.

    A tile that is painted, annotated or said to hold none of the feature already is left as it is. Each new one is
    still to be looked at and marked done.

    Returns
    -------
    list of Place
        The tiles that were painted.

    Raises
    ------
    ProjectError
        If the two are not of one place, or one of them has no paint of the feature.
    """
    raise NotImplementedError
