"""What a training that goes on from an earlier run has to know of it: the tiles that its weights have seen.

Such tiles, and those that overlap them, may teach again but never judge: a score on them would flatter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.holdout import HoldOutTile, pixels_to_ignore
from tomoseg_tui.core.names import base_of
from tomoseg_tui.core.tiles import place_from_id
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.trainset_file import TileFacts, read_facts
from tomoseg_tui.io.triples_file import read_split
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard


@dataclass(frozen=True)
class Lesson:
    """What one run has learned from."""

    taught: tuple[HoldOutTile, ...]
    judged: frozenset[str]
    """Ids of the tiles that were held out; none of their pixels has taught, whatever overlaps them."""
    digests: frozenset[str]
    """Contents of tiles that taught, where they are known: they find a tile again under another name."""

    def has_seen(self, tile: TileFacts) -> bool:
        """Tell whether the run has learned from a tile, a copy of it, or from pixels in its box."""
        if tile.digest in self.digests:
            return True
        return tile.id not in self.judged and bool(pixels_to_ignore(_place_of(tile.id), self.taught).any())


@dataclass(frozen=True)
class Earlier:
    """A run whose weights a training starts from, and all those that it started from itself."""

    card: NetworkCard
    lessons: tuple[Lesson, ...]
    doubts: tuple[str, ...]
    """Sentences on what cannot be told any more."""

    def seen(self, tiles: Sequence[TileFacts]) -> NDArray[np.bool_]:
        """Return which tiles (n,) the weights have seen, in whole or in part."""
        return np.array([any(lesson.has_seen(tile) for lesson in self.lessons) for tile in tiles], np.bool_)

    def notes(self, seen: NDArray[np.bool_]) -> list[str]:
        """Return in words what the tiles that were seen (n,) mean for the split."""
        if not seen.any():
            return []
        return [f"{seen.sum()} of {len(seen)} tiles may not judge: the weights of {self.card.name} have seen them."]


def earlier_of(project: Project, run: str) -> Earlier:
    """Return what is known of a run and of all runs that it goes back to.

    Raises
    ------
    ProjectError
        If there is no such run, or it has no usable network.
    """
    card = catalog.network(project.layout, run)
    lessons, doubts, told = list[Lesson](), list[str](), set[str]()
    name: str | None = run
    while name is not None and name not in told:
        told.add(name)
        lesson = _lesson_of(project, name)
        if lesson is None:
            doubts.append(f"Which tiles {name} has learned from is not known: held-out scores may flatter.")
        else:
            lessons.append(lesson)
            doubts += _doubts(project, name, lesson)
        name = _made_from(project, name)
    return Earlier(card, tuple(lessons), tuple(doubts))


def _made_from(project: Project, run: str) -> str | None:
    try:
        return catalog.network(project.layout, run).made_from
    except ProjectError:
        return None


def _lesson_of(project: Project, run: str) -> Lesson | None:
    """Return what a run keeps of its tiles, None if it keeps nothing: its own training set, else its triples."""
    try:
        facts = read_facts(project.layout.network_trainset(run))
        split = {one.id: one.held_out for one in facts}
    except ProjectError:
        facts = []
        try:
            split = read_split(project.layout.network_triples(run))
        except ProjectError:
            return None
    return Lesson(
        tuple(_place_of(tile) for tile, held_out in split.items() if not held_out),
        frozenset(tile for tile, held_out in split.items() if held_out),
        frozenset(one.digest for one in facts if not one.held_out),
    )


def _doubts(project: Project, run: str, lesson: Lesson) -> list[str]:
    """Return in words which tomograms have gone, or have another name now, so that their tiles are not known again."""
    there = {base_of(name) for name in catalog.tomogram_names(project.layout)}
    gone = sorted({tile.space for tile in lesson.taught} - there)
    if not gone:
        return []
    names = ", ".join(gone)
    return [f"{run} has learned from {names}, no longer here; renamed, its tiles may judge and flatter the scores."]


def _place_of(tile: str) -> HoldOutTile:
    """Return where the tile of an id lies; all versions of a tomogram are one space."""
    place = place_from_id(tile)
    return HoldOutTile(base_of(place.tomogram), place.x, place.y, place.z, place.size, (), "")
