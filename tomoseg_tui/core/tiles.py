"""A tile: a square in one slice of a tomogram, and the state of each feature on it. Leaves files to `project`."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tomoseg_tui.core.names import ANY_FEATURE
from tomoseg_tui.errors import ProjectError

DEFAULT_TILE_SIZE = 64
"""Edge in pixels; EMAN2's, and large enough to recognise a feature."""
TILE_MULTIPLE = 16
"""Edges are multiples of this, because networks halve a tile up to four times."""

_ID_PATTERN = re.compile(r"(?P<tomogram>[^:]+):(?P<x>-?\d+),(?P<y>-?\d+),(?P<z>-?\d+)(?::(?P<size>\d+))?")
_FOLDER_PATTERN = re.compile(r"(\d+)_(\d+)_(\d+)_(\d+)")


class FeatureState(StrEnum):
    """State of one feature on one tile."""

    WANTED = "wanted"
    """Placed as positive, not annotated yet."""
    ANNOTATED = "annotated"
    """Annotated by a person or an import."""
    NONE_HERE = "none here"
    """The tile contains none of the feature: a negative."""

    @property
    def is_positive(self) -> bool:
        """True for wanted and annotated."""
        return self is not FeatureState.NONE_HERE


@dataclass(frozen=True, order=True)
class TileLocation:
    """Position of a tile: pixels x - size/2 .. x + size/2 - 1, the same in y, in the one slice z."""

    tomogram: str
    """The version on which the tile was placed."""
    z: int
    """Slice, from 0."""
    y: int
    """Centre row in voxels from the corner."""
    x: int
    """Centre column in voxels from the corner."""
    size: int = DEFAULT_TILE_SIZE
    """Edge in pixels, a multiple of 16."""

    def __post_init__(self) -> None:
        """Reject a size that networks cannot use."""
        if self.size <= 0 or self.size % TILE_MULTIPLE:
            raise ProjectError(
                f"A tile cannot be {self.size} pixels wide.", f"Use a multiple of {TILE_MULTIPLE}, such as --size 64."
            )

    @property
    def id(self) -> str:
        """The tile's id, ``TOMOGRAM:X,Y,Z:SIZE``."""
        return f"{self.tomogram}:{self.x},{self.y},{self.z}:{self.size}"

    @property
    def folder_name(self) -> str:
        """Name of the tile's folder, ``X_Y_Z_SIZE``."""
        return f"{self.x}_{self.y}_{self.z}_{self.size}"

    @property
    def corner_zyx(self) -> tuple[int, int, int]:
        """First voxel of the tile; may lie outside the volume."""
        return (self.z, self.y - self.size // 2, self.x - self.size // 2)

    def is_centred_in(self, shape_zyx: tuple[int, int, int]) -> bool:
        """Return whether the centre is a voxel of the volume."""
        return all(
            0 <= coordinate < length for coordinate, length in zip((self.z, self.y, self.x), shape_zyx, strict=True)
        )

    def exceeds(self, shape_zyx: tuple[int, int, int]) -> bool:
        """Return whether part of the tile lies outside the volume in y or x."""
        _, top, left = self.corner_zyx
        return top < 0 or left < 0 or top + self.size > shape_zyx[1] or left + self.size > shape_zyx[2]


@dataclass(frozen=True)
class Tile:
    """A tile and the state of each feature on it."""

    location: TileLocation
    states: Mapping[str, FeatureState]
    """State by feature; the key ``*`` applies to all features without a state of their own."""

    def state_of(self, feature: str) -> FeatureState | None:
        """Return the feature's own state, else the state of ``*``, else None."""
        return self.states.get(feature, self.states.get(ANY_FEATURE))


def count_states(tiles: Iterable[Tile], features: Iterable[str]) -> dict[str, Counter[FeatureState]]:
    """Return for each feature how many tiles have which state for it, its own or that of `*`."""
    counts: dict[str, Counter[FeatureState]] = {feature: Counter() for feature in features}
    for tile in tiles:
        for feature in counts if ANY_FEATURE in tile.states else tile.states.keys() & counts:
            counts[feature][tile.states.get(feature) or tile.states[ANY_FEATURE]] += 1
    return counts


def parse_tile_id(tile_id: str) -> TileLocation:
    """Return the location for a tile id; a missing size is `DEFAULT_TILE_SIZE`.

    Raises
    ------
    ProjectError
        If the id has another form than ``TOMOGRAM:X,Y,Z:SIZE``.
    """
    match = _ID_PATTERN.fullmatch(tile_id)
    if not match:
        raise ProjectError(
            f"{tile_id!r} is not a tile id.", "Write tile ids as `tomoseg tiles list` does: TOMOGRAM:X,Y,Z:SIZE."
        )
    x, y, z = (int(match[axis]) for axis in "xyz")
    return TileLocation(match["tomogram"], z, y, x, int(match["size"] or DEFAULT_TILE_SIZE))


def location_from_folder(tomogram: str, folder_name: str) -> TileLocation | None:
    """Return the location for the name of a tile's folder, None for any other folder."""
    match = _FOLDER_PATTERN.fullmatch(folder_name)
    if not match:
        return None
    x, y, z, size = (int(number) for number in match.groups())
    return TileLocation(tomogram, z, y, x, size)
