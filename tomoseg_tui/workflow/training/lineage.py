"""What a training that goes on from an earlier run has to know of it: the tiles that its weights have seen.

Such tiles, and those that overlap them, may teach again but never judge: a score on them would flatter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.holdout import HoldOutTile, pixels_to_ignore
from tomoseg_tui.core.names import base_name
from tomoseg_tui.core.tiles import parse_tile_id
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.trainset_file import TileMetadata, read_tile_snapshots
from tomoseg_tui.io.triples_file import read_split
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard


@dataclass(frozen=True)
class TrainedTiles:
    """What one run has learned from."""

    training_tiles: tuple[HoldOutTile, ...]
    held_out_ids: frozenset[str]
    """Ids of the tiles that were held out; none of their pixels has taught, whatever overlaps them."""
    digests: frozenset[str]
    """Contents of tiles that taught, where they are known: they find a tile again under another name."""

    def overlaps(self, tile: TileMetadata) -> bool:
        """Tell whether the run has learned from a tile, a copy of it, or from pixels in its box."""
        if tile.digest in self.digests:
            return True
        return tile.id not in self.held_out_ids and bool(
            pixels_to_ignore(_hold_out_tile(tile.id), self.training_tiles).any()
        )


@dataclass(frozen=True)
class ParentRuns:
    """A run whose weights a training starts from, and all those that it started from itself."""

    card: NetworkCard
    trained_tiles: tuple[TrainedTiles, ...]
    warnings: tuple[str, ...]
    """Sentences on what cannot be told any more."""

    def trained_on(self, tiles: Sequence[TileMetadata]) -> NDArray[np.bool_]:
        """Return which tiles (n,) the weights have seen, in whole or in part."""
        return np.array([any(trained.overlaps(tile) for trained in self.trained_tiles) for tile in tiles], np.bool_)

    def notes(self, trained_on: NDArray[np.bool_]) -> list[str]:
        """Return in words what the tiles that were seen (n,) mean for the split."""
        if not trained_on.any():
            return []
        count = f"{trained_on.sum()} of {len(trained_on)} tiles"
        return [f"{count} may not judge: the weights of {self.card.name} have seen them."]


def parent_runs(project: Project, run: str) -> ParentRuns:
    """Return what is known of a run and of all runs that it goes back to.

    Raises
    ------
    ProjectError
        If there is no such run, or it has no usable network.
    """
    card = catalog.load_network_card(project.layout, run)
    trained_tiles, warnings, visited = list[TrainedTiles](), list[str](), set[str]()
    name: str | None = run
    while name is not None and name not in visited:
        visited.add(name)
        trained = _trained_tiles(project, name)
        if trained is None:
            warnings.append(f"Which tiles {name} has learned from is not known: held-out scores may flatter.")
        else:
            trained_tiles.append(trained)
            warnings += _missing_tomogram_warnings(project, name, trained)
        name = _made_from(project, name)
    return ParentRuns(card, tuple(trained_tiles), tuple(warnings))


def _made_from(project: Project, run: str) -> str | None:
    try:
        return catalog.load_network_card(project.layout, run).made_from
    except ProjectError:
        return None


def _trained_tiles(project: Project, run: str) -> TrainedTiles | None:
    """Return what a run keeps of its tiles, None if it keeps nothing: its own training set, else its triples."""
    try:
        metadata = read_tile_snapshots(project.layout.network_trainset(run))
        split = {tile_metadata.id: tile_metadata.held_out for tile_metadata in metadata}
    except ProjectError:
        metadata = []
        try:
            split = read_split(project.layout.network_triples(run))
        except ProjectError:
            return None
    return TrainedTiles(
        tuple(_hold_out_tile(tile) for tile, held_out in split.items() if not held_out),
        frozenset(tile for tile, held_out in split.items() if held_out),
        frozenset(tile_metadata.digest for tile_metadata in metadata if not tile_metadata.held_out),
    )


def _missing_tomogram_warnings(project: Project, run: str, trained: TrainedTiles) -> list[str]:
    """Return in words which tomograms have gone, or have another name now, so that their tiles are not known again."""
    existing = {base_name(name) for name in catalog.tomogram_names(project.layout)}
    missing = sorted({tile.space for tile in trained.training_tiles} - existing)
    if not missing:
        return []
    names = ", ".join(missing)
    return [f"{run} has learned from {names}, no longer here; renamed, its tiles may judge and flatter the scores."]


def _hold_out_tile(tile: str) -> HoldOutTile:
    """Return where the tile of an id lies; all versions of a tomogram are one space."""
    place = parse_tile_id(tile)
    return HoldOutTile(base_name(place.tomogram), place.x, place.y, place.z, place.size, (), "")
