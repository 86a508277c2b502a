"""Split a training set into tiles for training and for validation, once for the set and again for one training."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from tomoseg_tui.core.holdout import HoldOut, HoldOutTile, choose_held_out
from tomoseg_tui.io.trainset_file import TileMetadata, TrainsetSummary, TrainsetTile
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.workflow.training.lineage import ParentRuns


def hold_out_tile(metadata: TileMetadata) -> HoldOutTile:
    """Return a tile in the form that `core.holdout` uses."""
    return HoldOutTile(
        metadata.space, metadata.x, metadata.y, metadata.z, metadata.size, metadata.signs, metadata.digest
    )


def split_tiles(
    tiles: Sequence[TrainsetTile], share: float, parents: ParentRuns | None
) -> tuple[list[TrainsetTile], str, list[str]]:
    """Return the tiles with their sides of the split, the reason for the choice, and notes on tiles of earlier runs."""
    metadata = [tile.metadata for tile in tiles]
    trained_on = parents.trained_on(metadata) if parents is not None else None
    hold_out = choose_held_out(
        [hold_out_tile(tile_metadata) for tile_metadata in metadata], share=share, already_trained=trained_on
    )
    notes = parents.notes(trained_on) if parents is not None and trained_on is not None else []
    return [_with_split(tile, hold_out, index) for index, tile in enumerate(tiles)], hold_out.reason, notes


def _with_split(tile: TrainsetTile, hold_out: HoldOut, index: int) -> TrainsetTile:
    metadata = msgspec.structs.replace(
        tile.metadata, group=int(hold_out.groups[index]), held_out=bool(hold_out.held_out[index])
    )
    return TrainsetTile(metadata, tile.densities, tile.inside, tile.layers)


def apply_split(
    summary: TrainsetSummary, tiles: list[TrainsetTile], *, validation: float | None, parents: ParentRuns | None
) -> tuple[TrainsetSummary, list[TrainsetTile]]:
    """Return a training set as one training uses it; the file is not changed.

    The split is chosen again if another share is given, or if the initial weights were trained on a held-out tile.
    Densities are inverted if those weights expect the other polarity.
    """
    if parents is not None and parents.card.polarity != summary.polarity:
        summary, tiles = _inverted(summary, tiles, parents.card)
    held_out = [tile.metadata for tile in tiles if tile.metadata.held_out]
    if validation is None and (parents is None or not parents.trained_on(held_out).any()):
        return summary, tiles
    share = summary.validation if validation is None else validation
    tiles, reason, notes = split_tiles(tiles, share, parents)
    return msgspec.structs.replace(
        summary,
        held_out=sum(tile.metadata.held_out for tile in tiles),
        held_out_reason=reason,
        validation=share,
        notes=(*summary.notes, *notes),
    ), tiles


def _inverted(
    summary: TrainsetSummary, tiles: Sequence[TrainsetTile], card: NetworkCard
) -> tuple[TrainsetSummary, list[TrainsetTile]]:
    """Return a training set in the polarity of a network."""
    note = f"All tiles are inverted to {card.polarity} protein, as {card.name} expects."
    metadata = [msgspec.structs.replace(tile.metadata, sign=-tile.metadata.sign) for tile in tiles]
    return msgspec.structs.replace(summary, polarity=card.polarity, notes=(*summary.notes, note)), [
        replace(tile, metadata=tile_metadata) for tile, tile_metadata in zip(tiles, metadata, strict=True)
    ]
