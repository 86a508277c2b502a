"""What is odd about a tomogram among the others, and about a tile where it lies; in words, from records alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import median_low

from tomoseg_tui.core.holdout import OVERLAP_SLICES
from tomoseg_tui.core.names import tag_of
from tomoseg_tui.core.tiles import DEFAULT_TILE, Place, Tile
from tomoseg_tui.project.records import TomogramRecord, chain_in_words

VOXEL_SIZE_TOLERANCE = 0.05
"""Share by which voxel sizes may differ: a network refuses more."""
SCALE_FACTOR = 3.0
"""Densities that spread this many times more or less than usual have probably been scaled elsewhere."""


@dataclass(frozen=True)
class Oddity:
    """One thing that the user should look at."""

    word: str
    """In one or two words, for a list."""
    text: str
    """In a sentence."""


def odd_tomograms(records: Mapping[str, TomogramRecord]) -> dict[str, tuple[Oddity, ...]]:
    """Find what differs between tomograms that ought to be alike.

    Parameters
    ----------
    records : mapping of str to TomogramRecord
        All tomograms by name. Versions are compared with versions of the same tag: one that is binned on
        purpose is not odd.

    Returns
    -------
    dict
        For every name what is odd about it; mostly nothing.
    """
    families: dict[str, list[str]] = {}
    for name in records:
        families.setdefault(tag_of(name), []).append(name)
    return {
        name: (*_small(records[name]), *_differences(records[name], [records[other] for other in family]))
        for family in families.values()
        for name in family
    }


def _small(record: TomogramRecord) -> list[Oddity]:
    if min(record.shape_zyx[1:]) >= DEFAULT_TILE:
        return []
    return [Oddity("small", f"smaller than a tile of {DEFAULT_TILE} x {DEFAULT_TILE} pixels.")]


def _differences(record: TomogramRecord, family: Sequence[TomogramRecord]) -> list[Oddity]:
    odd = []
    voxel = median_low([other.voxel_size_angstrom for other in family])
    if abs(record.voxel_size_angstrom - voxel) > VOXEL_SIZE_TOLERANCE * voxel:
        text = f"{record.voxel_size_angstrom:g} Å, in the others {voxel:g}. A network takes one of them."
        odd.append(Oddity("voxel size", text))
    polarity = _usual([other.polarity for other in family])
    if record.polarity != polarity:
        text = f"protein {record.polarity}, in the others {polarity}. Was it declared right?"
        odd.append(Oddity("polarity", text))
    chain = _usual([chain_in_words(other.chain) for other in family])
    if chain_in_words(record.chain) != chain:
        odd.append(Oddity("filters", f"{chain_in_words(record.chain)}; in the others {chain}."))
    sigma = median_low([other.sigma for other in family])
    if not 1 / SCALE_FACTOR <= record.sigma / sigma <= SCALE_FACTOR:
        text = f"sigma {record.sigma:.3g}, in the others {sigma:.3g}. Networks normalise it."
        odd.append(Oddity("scale", text))
    return odd


def _usual(values: Sequence[str]) -> str:
    """Return the most common value, of several the first in the alphabet."""
    counts = Counter(sorted(values))
    return max(counts, key=lambda value: counts[value])


def odd_place(
    place: Place, wanted: str | None, shape_zyx: tuple[int, int, int], neighbours: Sequence[Tile]
) -> tuple[Oddity, ...]:
    """Find what is odd about where a tile lies, or would lie.

    Parameters
    ----------
    place : Place
        The tile.
    wanted : str or None
        A feature that it is positive for, or is meant to be; None for a negative.
    shape_zyx : tuple of int
        Of the tomogram, voxels.
    neighbours : sequence of Tile
        Tiles of the tomogram; the tile itself may be among them.
    """
    return (*_edges(place, shape_zyx), *_overlaps(place, wanted, neighbours))


def _edges(place: Place, shape_zyx: tuple[int, int, int]) -> list[Oddity]:
    if not place.lies_in(shape_zyx):
        return [Oddity("outside", "its centre lies outside the volume.")]
    if place.sticks_out_of(shape_zyx):
        return [Oddity("sticks out", "what lies outside the volume teaches nothing.")]
    reach = turning_reach(place.size)
    _, top, left = place.corner_zyx
    margins = (top, left, shape_zyx[1] - top - place.size, shape_zyx[2] - left - place.size)
    if min(margins) < reach:
        return [Oddity("near the edge", f"less than {reach} pixels around it: turned copies get empty corners.")]
    return []


def turning_reach(size: int) -> int:
    """Return how far the corners of a tile turned by 45 degrees reach beyond its sides, in pixels."""
    return ceil(size * (sqrt(2) - 1) / 2)


def _overlaps(place: Place, wanted: str | None, neighbours: Sequence[Tile]) -> list[Oddity]:
    odd = []
    for other in neighbours:
        if wanted is None or not _overlap(place, other.place):
            continue
        state = other.state_of(wanted)
        at = f"{other.place.x},{other.place.y},{other.place.z}"
        if state is not None and not state.is_positive:
            odd.append(Oddity("contradiction", f"the tile at {at} overlaps it and is said to hold no {wanted}."))
        elif state is None:
            classes = [feature for feature, known in other.states.items() if known.is_positive]
            odd += [Oddity("overlap", f"the tile at {at} of {classes[0]} overlaps it.")] if classes else []
    return odd


def _overlap(place: Place, other: Place) -> bool:
    """Tell whether two different tiles share pixels, within the slices that training takes for one group."""
    reach = (place.size + other.size) / 2
    same = (place.z, place.y, place.x) == (other.z, other.y, other.x)
    near = abs(place.y - other.y) < reach and abs(place.x - other.x) < reach
    return not same and near and abs(place.z - other.z) <= OVERLAP_SLICES
