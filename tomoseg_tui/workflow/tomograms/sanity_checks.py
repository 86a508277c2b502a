"""Unusual properties of tomograms and tile positions, as sentences; uses records only."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import median_low
from typing import NamedTuple

from tomoseg_tui.core.grid import SCALE_TOLERANCE, differs_in_size
from tomoseg_tui.core.holdout import OVERLAP_SLICES
from tomoseg_tui.core.names import version_tag
from tomoseg_tui.core.tiles import DEFAULT_TILE_SIZE, Tile, TileLocation
from tomoseg_tui.project.records import TomogramRecord, format_filter_chain

SCALE_FACTOR = 3.0
"""Ratio of sigma to the median from which densities were probably scaled by another program."""


@dataclass(frozen=True)
class Oddity:
    """One unusual property for the user to check."""

    label: str
    """One or two words for lists."""
    text: str
    """A sentence."""


def tomogram_oddities(records: Mapping[str, TomogramRecord]) -> dict[str, tuple[Oddity, ...]]:
    """Find tomograms that differ from the others.

    Parameters
    ----------
    records : mapping of str to TomogramRecord
        All tomograms by name. Versions are compared with versions of the same tag only, because binned versions differ
        on purpose.

    Returns
    -------
    dict of str to tuple of Oddity
        Oddities of every tomogram; usually none.
    """
    families: dict[str, list[str]] = {}
    for name in records:
        families.setdefault(version_tag(name), []).append(name)
    oddities = {}
    for family in families.values():
        usual = _usual_properties([records[name] for name in family])
        for name in family:
            oddities[name] = (*_size_oddities(records[name]), *_difference_oddities(records[name], usual))
    return oddities


def _size_oddities(record: TomogramRecord) -> list[Oddity]:
    if min(record.shape_zyx[1:]) >= DEFAULT_TILE_SIZE:
        return []
    return [Oddity("small", f"smaller than a tile of {DEFAULT_TILE_SIZE} x {DEFAULT_TILE_SIZE} pixels.")]


class _Usual(NamedTuple):
    """What is usual among tomograms."""

    voxel_size_angstrom: float
    polarity: str
    filters: str
    sigma: float


def _usual_properties(family: Sequence[TomogramRecord]) -> _Usual:
    return _Usual(
        median_low([record.voxel_size_angstrom for record in family]),
        _most_common([record.polarity for record in family]),
        _most_common([format_filter_chain(record.chain) for record in family]),
        median_low([record.sigma for record in family]),
    )


def _difference_oddities(record: TomogramRecord, usual: _Usual) -> list[Oddity]:
    oddities = []
    if differs_in_size(record.voxel_size_angstrom, usual.voxel_size_angstrom, tolerance=SCALE_TOLERANCE):
        text = (
            f"{record.voxel_size_angstrom:g} Å, in the others {usual.voxel_size_angstrom:g}. A network fits only one."
        )
        oddities.append(Oddity("voxel size", text))
    if record.polarity != usual.polarity:
        text = f"protein {record.polarity}, in the others {usual.polarity}. Is it declared correctly?"
        oddities.append(Oddity("polarity", text))
    chain = format_filter_chain(record.chain)
    if chain != usual.filters:
        oddities.append(Oddity("filters", f"{chain}; in the others {usual.filters}."))
    if not 1 / SCALE_FACTOR <= record.sigma / usual.sigma <= SCALE_FACTOR:
        text = f"sigma {record.sigma:.3g}, in the others {usual.sigma:.3g}. Networks correct for it."
        oddities.append(Oddity("scale", text))
    return oddities


def _most_common(values: Sequence[str]) -> str:
    """Return the most common value, the alphabetically first of several."""
    counts = Counter(sorted(values))
    return max(counts, key=lambda value: counts[value])


def tile_oddities(
    location: TileLocation, positive_feature: str | None, shape_zyx: tuple[int, int, int], neighbours: Sequence[Tile]
) -> tuple[Oddity, ...]:
    """Find oddities of the position of a tile, placed or not.

    Parameters
    ----------
    location : TileLocation
        The position.
    positive_feature : str or None
        A feature for which the tile is or will be positive; None for a negative tile.
    shape_zyx : tuple of int
        Shape of the tomogram, voxels.
    neighbours : sequence of Tile
        Tiles of the tomogram; the tile itself may be among them.
    """
    return (*_edge_oddities(location, shape_zyx), *_overlap_oddities(location, positive_feature, neighbours))


def _edge_oddities(location: TileLocation, shape_zyx: tuple[int, int, int]) -> list[Oddity]:
    if not location.is_centred_in(shape_zyx):
        return [Oddity("outside", "its centre is outside the volume.")]
    if location.exceeds(shape_zyx):
        return [Oddity("partly outside", "pixels outside the volume are not used for training.")]
    reach = rotation_margin(location.size)
    _, top, left = location.corner_zyx
    margins = (top, left, shape_zyx[1] - top - location.size, shape_zyx[2] - left - location.size)
    if min(margins) < reach:
        return [Oddity("near the edge", f"less than {reach} pixels around it: rotated copies have empty corners.")]
    return []


def rotation_margin(size: int) -> int:
    """Return how far the corners of a tile rotated by 45 degrees extend beyond its sides, in pixels."""
    return ceil(size * (sqrt(2) - 1) / 2)


def _overlap_oddities(location: TileLocation, positive_feature: str | None, neighbours: Sequence[Tile]) -> list[Oddity]:
    oddities = []
    for other in neighbours:
        if positive_feature is None or not _tiles_overlap(location, other.location):
            continue
        state = other.state_of(positive_feature)
        position = f"{other.location.x},{other.location.y},{other.location.z}"
        if state is not None and not state.is_positive:
            oddities.append(
                Oddity(
                    "contradiction",
                    f"the tile at {position} overlaps it and is marked as holding no {positive_feature}.",
                )
            )
        elif state is None:
            positives = [feature for feature, other_state in other.states.items() if other_state.is_positive]
            oddities += (
                [Oddity("overlap", f"the tile at {position} of {positives[0]} overlaps it.")] if positives else []
            )
    return oddities


def _tiles_overlap(location: TileLocation, other: TileLocation) -> bool:
    """Return whether two different tiles share pixels, within the slices that training counts as one group."""
    reach = (location.size + other.size) / 2
    is_same = (location.z, location.y, location.x) == (other.z, other.y, other.x)
    is_near = abs(location.y - other.y) < reach and abs(location.x - other.x) < reach
    return not is_same and is_near and abs(location.z - other.z) <= OVERLAP_SLICES
