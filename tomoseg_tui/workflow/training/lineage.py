"""Find out which tiles the weights of an earlier run were trained on, for a training that starts from them.

Such tiles, and tiles that overlap them, may be trained on again but never used for validation: the scores would be too
good.
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
    """The tiles of one run."""

    training_tiles: tuple[HoldOutTile, ...]
    held_out_ids: frozenset[str]
    """Ids of held-out tiles. None of their pixels was trained on, whatever overlaps them."""
    digests: frozenset[str]
    """Digests of the contents of trained tiles, if known: they identify a tile under another name."""

    def overlaps(self, tile: TileMetadata) -> bool:
        """Return whether the run was trained on a tile, on a copy of it, or on pixels in its box."""
        if tile.digest in self.digests:
            return True
        return tile.id not in self.held_out_ids and bool(
            pixels_to_ignore(_hold_out_tile(tile.id), self.training_tiles).any()
        )


@dataclass(frozen=True)
class ParentRuns:
    """A run whose weights a training starts from, with all runs that it was made from itself."""

    card: NetworkCard
    trained_tiles: tuple[TrainedTiles, ...]
    warnings: tuple[str, ...]
    """Sentences on what is no longer known."""

    def trained_on(self, tiles: Sequence[TileMetadata]) -> NDArray[np.bool_]:
        """Return the tiles whose pixels the runs were trained on, in part or whole, shape (n,)."""
        return np.array([any(trained.overlaps(tile) for trained in self.trained_tiles) for tile in tiles], np.bool_)

    def notes(self, trained_on: NDArray[np.bool_]) -> list[str]:
        """Return sentences on what the trained tiles, shape (n,), mean for the split."""
        if not trained_on.any():
            return []
        count = f"{trained_on.sum()} of {len(trained_on)} tiles"
        return [f"{count} cannot be used for validation: {self.card.name} was trained on them."]


def parent_runs(project: Project, run: str) -> ParentRuns:
    """Return a run with the tiles that it, and all runs that it was made from, were trained on.

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
            warnings.append(f"The tiles that {name} was trained on are not known: validation scores may be too good.")
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
    """Return the tiles of a run from its own training set, else from its triples; None if it has neither."""
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
    """Return a sentence on tomograms that were deleted or renamed, so that their tiles cannot be identified."""
    existing = {base_name(name) for name in catalog.tomogram_names(project.layout)}
    missing = sorted({tile.space for tile in trained.training_tiles} - existing)
    if not missing:
        return []
    names = ", ".join(missing)
    return [f"{run} was trained on {names}, not found now. If renamed, validation scores on its tiles may be too good."]


def _hold_out_tile(tile: str) -> HoldOutTile:
    """Return the position of a tile from its id; all versions of a tomogram are one space."""
    place = parse_tile_id(tile)
    return HoldOutTile(base_name(place.tomogram), place.x, place.y, place.z, place.size, (), "")
