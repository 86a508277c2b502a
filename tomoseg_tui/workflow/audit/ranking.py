"""Rank tiles by how wrong their label looks, and say why in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core import label_errors
from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.label_errors import Shift
from tomoseg_tui.core.metrics import confusion
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.io.trainset_file import TileFacts
from tomoseg_tui.project.records import AuditedTile

WORTH_A_LOOK = 0.25
"""Below this suspicion annotation and network are said to agree."""
CERTAIN = 1.0
"""Suspicion of a tile that contradicts itself: placed for a feature, looked at, and empty."""
CONTRADICTION = 0.6
"""Least suspicion of a picture that is twice among the tiles, with different annotations."""
ODDITY = 0.15
"""Least suspicion of a tile that is odd in itself, whatever its label: a copy, or one of odd contrast."""
TELLING_GAIN = 0.2
"""A mask is said to be moved only if moving it back wins so much overlap."""
TELLING_OVERLAP = 0.5
"""And brings the overlap to so much at least."""
HARDLY = 0.1
"""A network that sees less than this part of what is annotated is said to see hardly any."""


@dataclass(frozen=True)
class _Finding:
    """What is found on one tile for one feature."""

    feature: str
    sign: int
    suspicion: float
    dice: float
    reason: str | None
    """In words; None where nothing is worth a look."""


def rank_tiles(
    patches: TilePatches, facts: Sequence[TileFacts], folds: NDArray[np.int64], outputs: NDArray[np.float32]
) -> tuple[AuditedTile, ...]:
    """Rank all tiles, those whose label looks most wrong first.

    Parameters
    ----------
    patches : TilePatches
        n tiles with their annotations, f features.
    facts : sequence of TileFacts
        What is known of each tile.
    folds : ndarray of int, shape (n,)
        The fold that each tile was in.
    outputs : ndarray of float32, shape (n, f, y, x)
        Probabilities, 0 to 1, by networks that have not seen the tile.

    Returns
    -------
    tuple of AuditedTile
        One a tile, by the feature whose label looks most wrong.
    """
    found = [_findings(patches, number, outputs[:, number]) for number in range(len(patches.features))]
    oddities = _oddities(patches, facts)
    tiles = [
        _audited(facts[tile], int(folds[tile]), [of_feature[tile] for of_feature in found], oddities[tile])
        for tile in range(len(facts))
    ]
    return tuple(sorted(tiles, key=lambda tile: -tile.suspicion))  # equals stay in the order of their contents


def _audited(
    facts: TileFacts, fold: int, found: Sequence[_Finding], oddities: Sequence[tuple[float, str]]
) -> AuditedTile:
    by_weight = sorted(found, key=lambda one: -one.suspicion)
    worst = by_weight[0]
    said = [(one.suspicion, one.reason) for one in by_weight if one.reason] + list(oddities)
    return AuditedTile(
        tile=facts.id,
        feature=worst.feature,
        sign=worst.sign,
        suspicion=round(max([worst.suspicion, *(weight for weight, _ in oddities)]), 6),
        reasons=tuple(reason for _, reason in sorted(said, key=lambda one: -one[0])),
        dice=round(worst.dice, 6),
        fold=fold,
    )


def _findings(patches: TilePatches, number: int, outputs: NDArray[np.float32]) -> list[_Finding]:
    """Return what is found of one feature on each tile; `outputs` has the shape (n, y, x)."""
    layers, signs = patches.layers[:, number], patches.signs[:, number]
    weights = label_errors.weigh(outputs, layers)
    doubts = label_errors.suspicion(weights, signs)
    return [
        _finding(patches.features[number], int(sign), float(doubt), output, layer)
        for sign, doubt, output, layer in zip(signs, doubts, outputs, layers, strict=True)
    ]


def _finding(feature: str, sign: int, doubt: float, output: NDArray[np.float32], layer: NDArray[np.uint8]) -> _Finding:
    seen, mask, shown = label_errors.seen_pixels(layer), layer == FEATURE, output > 0.5
    counts = confusion(shown, mask, seen)
    if sign > 0 and seen.any() and not mask.any():
        reason = f"annotated, but the mask of {feature} is empty{_though_seen(shown & seen, seen)}"
        return _Finding(feature, sign, CERTAIN, counts.dice, reason)
    shift = label_errors.best_shift(output, layer)
    if shift.gain >= TELLING_GAIN and shift.overlap_after >= TELLING_OVERLAP:
        # A hard tile fits nowhere: that the mask fits elsewhere takes most of what speaks for the label.
        return _Finding(feature, sign, 1 - (1 - doubt) / 4, counts.dice, _moved(feature, shift))
    if doubt < WORTH_A_LOOK:
        return _Finding(feature, sign, doubt, counts.dice, None)
    if not mask.any():
        kind = "negative tile" if sign < 0 else "tile, where none is annotated"
        reason = f"the network sees {feature} on {label_errors.percent(shown & seen, seen)} of this {kind}"
        return _Finding(feature, sign, doubt, counts.dice, reason)
    if counts.recall < HARDLY:
        share = label_errors.percent(mask, seen)
        reason = f"{feature} is annotated on {share} of the tile, and the network sees hardly any of that"
        return _Finding(feature, sign, doubt, counts.dice, reason)
    reason = (
        f"annotation and network differ on {feature}: they overlap by {counts.dice:.2f}; the network sees "
        f"{100 * counts.recall:.0f} % of what is annotated, and {100 * counts.precision:.0f} % of what it sees is"
    )
    return _Finding(feature, sign, doubt, counts.dice, reason)


def _though_seen(shown: NDArray[np.bool_], seen: NDArray[np.bool_]) -> str:
    return f"; the network sees it on {label_errors.percent(shown, seen)} of the tile" if shown.any() else ""


def _moved(feature: str, shift: Shift) -> str:
    across = f"{_pixels(shift.dx)} to the {'right' if shift.dx > 0 else 'left'}" if shift.dx else ""
    along = f"{_pixels(shift.dy)} {'up' if shift.dy > 0 else 'down'}" if shift.dy else ""
    way = " and ".join(part for part in (across, along) if part)
    return (
        f"the mask of {feature} and the network's output overlap by {shift.overlap_before:.2f}; "
        f"they would by {shift.overlap_after:.2f} if the mask were moved {way}"
    )


def _pixels(steps: int) -> str:
    return f"{abs(steps)} pixel{'' if abs(steps) == 1 else 's'}"


def _oddities(patches: TilePatches, facts: Sequence[TileFacts]) -> list[list[tuple[float, str]]]:
    """Return what is odd about each tile in itself, with the suspicion that this alone brings."""
    images = patches.densities[:, CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    twins, factors = label_errors.same_pictures(images), label_errors.contrast_factors(images)
    odd = label_errors.odd_contrasts(factors)
    found: list[list[tuple[float, str]]] = []
    for tile, twin in enumerate(twins):
        said = []
        if twin >= 0:
            same = bool((patches.layers[tile] == patches.layers[twin]).all())
            words = f"the same picture as {facts[twin].id}{'' if same else ', but annotated otherwise'}"
            said.append((ODDITY if same else CONTRADICTION, words))
        if odd[tile]:
            said.append((ODDITY, f"the contrast is {factors[tile]:.2g} times that of the other tiles"))
        found.append(said)
    return found
