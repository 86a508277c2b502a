"""Which tiles of a training set judge and which teach, in the set and in a training that takes it otherwise."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from tomoseg_tui.core.holdout import HoldOut, HoldOutTile, choose_held_out
from tomoseg_tui.io.trainset_file import SetSummary, SetTile, TileFacts
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.workflow.training.lineage import Earlier


def hold_out_tile(facts: TileFacts) -> HoldOutTile:
    """Return a tile as the choice of held-out tiles sees it."""
    return HoldOutTile(facts.space, facts.x, facts.y, facts.z, facts.size, facts.signs, facts.digest)


def split(tiles: Sequence[SetTile], share: float, earlier: Earlier | None) -> tuple[list[SetTile], str, list[str]]:
    """Return the tiles with a side each, why, and what is to be said of tiles that earlier weights have seen."""
    facts = [tile.facts for tile in tiles]
    seen = earlier.seen(facts) if earlier is not None else None
    chosen = choose_held_out([hold_out_tile(one) for one in facts], share=share, seen=seen)
    notes = earlier.notes(seen) if earlier is not None and seen is not None else []
    return [_with_split(tile, chosen, index) for index, tile in enumerate(tiles)], chosen.reason, notes


def _with_split(tile: SetTile, chosen: HoldOut, index: int) -> SetTile:
    facts = msgspec.structs.replace(tile.facts, group=int(chosen.groups[index]), held_out=bool(chosen.held_out[index]))
    return SetTile(facts, tile.densities, tile.inside, tile.layers)


def fitted(
    summary: SetSummary, tiles: list[SetTile], *, validation: float | None, earlier: Earlier | None
) -> tuple[SetSummary, list[SetTile]]:
    """Return a training set as one training takes it; the file stays as it was built.

    What is held out is chosen anew if another share is wanted, or if the weights to start from have seen a judge.
    Densities are turned if those weights know the other polarity.
    """
    if earlier is not None and earlier.card.polarity != summary.polarity:
        summary, tiles = _turned(summary, tiles, earlier.card)
    held_out = [tile.facts for tile in tiles if tile.facts.held_out]
    if validation is None and (earlier is None or not earlier.seen(held_out).any()):
        return summary, tiles
    share = summary.validation if validation is None else validation
    tiles, reason, notes = split(tiles, share, earlier)
    return msgspec.structs.replace(
        summary,
        held_out=sum(tile.facts.held_out for tile in tiles),
        held_out_reason=reason,
        validation=share,
        notes=(*summary.notes, *notes),
    ), tiles


def _turned(summary: SetSummary, tiles: Sequence[SetTile], card: NetworkCard) -> tuple[SetSummary, list[SetTile]]:
    """Return a training set in the polarity of a network."""
    note = f"All tiles are turned to {card.polarity} protein, as {card.name} knows it."
    facts = [msgspec.structs.replace(tile.facts, sign=-tile.facts.sign) for tile in tiles]
    return msgspec.structs.replace(summary, polarity=card.polarity, notes=(*summary.notes, note)), [
        replace(tile, facts=one) for tile, one in zip(tiles, facts, strict=True)
    ]
