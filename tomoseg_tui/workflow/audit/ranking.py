"""Rank tiles by how wrong their label looks, and say why in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core import label_errors
from tomoseg_tui.core.annotation import FEATURE, labelled_pixels
from tomoseg_tui.core.label_errors import MaskShift
from tomoseg_tui.core.metrics import confusion
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.io.trainset_file import TileMetadata
from tomoseg_tui.project.records import AuditedTile

MIN_REPORTED_SCORE = 0.25
"""Below this suspicion annotation and network are said to agree."""
EMPTY_MASK_SCORE = 1.0
"""Suspicion of a tile that contradicts itself: placed for a feature, looked at, and empty."""
DUPLICATE_CONFLICT_SCORE = 0.6
"""Least suspicion of a picture that is twice among the tiles, with different annotations."""
ODDITY_SCORE = 0.15
"""Least suspicion of a tile that is odd in itself, whatever its label: a copy, or one of odd contrast."""
MIN_SHIFT_GAIN = 0.2
"""A mask is said to be moved only if moving it back wins so much overlap."""
MIN_SHIFT_OVERLAP = 0.5
"""And brings the overlap to so much at least."""
MIN_RECALL = 0.1
"""A network that sees less than this part of what is annotated is said to see hardly any."""


@dataclass(frozen=True)
class _Finding:
    """What is found on one tile for one feature."""

    feature: str
    sign: int
    score: float
    dice: float
    reason: str | None
    """In words; None where nothing is worth a look."""


def rank_label_errors(
    patches: TilePatches, metadata: Sequence[TileMetadata], folds: NDArray[np.int64], outputs: NDArray[np.float32]
) -> tuple[AuditedTile, ...]:
    """Rank all tiles, those whose label looks most wrong first.

    Parameters
    ----------
    patches : TilePatches
        n tiles with their annotations, f features.
    metadata : sequence of TileFacts
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
    findings = [
        _findings(patches, feature_index, outputs[:, feature_index]) for feature_index in range(len(patches.features))
    ]
    oddities = _oddities(patches, metadata)
    tiles = [
        _audited_tile(
            metadata[tile], int(folds[tile]), [feature_findings[tile] for feature_findings in findings], oddities[tile]
        )
        for tile in range(len(metadata))
    ]
    return tuple(sorted(tiles, key=lambda tile: -tile.suspicion))  # equals stay in the order of their contents


def _audited_tile(
    metadata: TileMetadata, fold: int, findings: Sequence[_Finding], oddities: Sequence[tuple[float, str]]
) -> AuditedTile:
    by_score = sorted(findings, key=lambda item: -item.score)
    worst = by_score[0]
    scored_reasons = [(item.score, item.reason) for item in by_score if item.reason] + list(oddities)
    return AuditedTile(
        tile=metadata.id,
        feature=worst.feature,
        sign=worst.sign,
        suspicion=round(max([worst.score, *(score for score, _ in oddities)]), 6),
        reasons=tuple(reason for _, reason in sorted(scored_reasons, key=lambda item: -item[0])),
        dice=round(worst.dice, 6),
        fold=fold,
    )


def _findings(patches: TilePatches, feature_index: int, outputs: NDArray[np.float32]) -> list[_Finding]:
    """Return what is found of one feature on each tile; `outputs` has the shape (n, y, x)."""
    layers, signs = patches.layers[:, feature_index], patches.signs[:, feature_index]
    evidence = label_errors.loss_evidence(outputs, layers)
    scores = label_errors.label_error_score(evidence, signs)
    return [
        _finding(patches.features[feature_index], int(sign), float(score), output, layer)
        for sign, score, output, layer in zip(signs, scores, outputs, layers, strict=True)
    ]


def _finding(feature: str, sign: int, score: float, output: NDArray[np.float32], layer: NDArray[np.uint8]) -> _Finding:
    labelled, mask, predicted = labelled_pixels(layer), layer == FEATURE, output > 0.5
    counts = confusion(predicted, mask, labelled)
    if sign > 0 and labelled.any() and not mask.any():
        reason = f"annotated, but the mask of {feature} is empty{_prediction_text(predicted & labelled, labelled)}"
        return _Finding(feature, sign, EMPTY_MASK_SCORE, counts.dice, reason)
    shift = label_errors.best_shift(output, layer)
    if shift.gain >= MIN_SHIFT_GAIN and shift.overlap_after >= MIN_SHIFT_OVERLAP:
        # A hard tile fits nowhere: that the mask fits elsewhere takes most of what speaks for the label.
        return _Finding(feature, sign, 1 - (1 - score) / 4, counts.dice, _shift_reason(feature, shift))
    if score < MIN_REPORTED_SCORE:
        return _Finding(feature, sign, score, counts.dice, None)
    if not mask.any():
        kind = "negative tile" if sign < 0 else "tile, where none is annotated"
        reason = (
            f"the network sees {feature} on {label_errors.format_percent(predicted & labelled, labelled)} of this "
            f"{kind}"
        )
        return _Finding(feature, sign, score, counts.dice, reason)
    if counts.recall < MIN_RECALL:
        share = label_errors.format_percent(mask, labelled)
        reason = f"{feature} is annotated on {share} of the tile, and the network sees hardly any of that"
        return _Finding(feature, sign, score, counts.dice, reason)
    reason = (
        f"annotation and network differ on {feature}: they overlap by {counts.dice:.2f}; the network sees "
        f"{100 * counts.recall:.0f} % of what is annotated, and {100 * counts.precision:.0f} % of what it sees is"
    )
    return _Finding(feature, sign, score, counts.dice, reason)


def _prediction_text(predicted: NDArray[np.bool_], labelled: NDArray[np.bool_]) -> str:
    return (
        f"; the network sees it on {label_errors.format_percent(predicted, labelled)} of the tile"
        if predicted.any()
        else ""
    )


def _shift_reason(feature: str, shift: MaskShift) -> str:
    horizontal = f"{_format_pixels(shift.dx)} to the {'right' if shift.dx > 0 else 'left'}" if shift.dx else ""
    vertical = f"{_format_pixels(shift.dy)} {'up' if shift.dy > 0 else 'down'}" if shift.dy else ""
    direction = " and ".join(part for part in (horizontal, vertical) if part)
    return (
        f"the mask of {feature} and the network's output overlap by {shift.overlap_before:.2f}; "
        f"they would by {shift.overlap_after:.2f} if the mask were moved {direction}"
    )


def _format_pixels(steps: int) -> str:
    return f"{abs(steps)} pixel{'' if abs(steps) == 1 else 's'}"


def _oddities(patches: TilePatches, metadata: Sequence[TileMetadata]) -> list[list[tuple[float, str]]]:
    """Return what is odd about each tile in itself, with the suspicion that this alone brings."""
    images = patches.densities[:, CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    duplicates, factors = label_errors.duplicate_images(images), label_errors.contrast_factors(images)
    outliers = label_errors.contrast_outliers(factors)
    oddities: list[list[tuple[float, str]]] = []
    for tile, duplicate in enumerate(duplicates):
        tile_oddities = []
        if duplicate >= 0:
            is_same = bool((patches.layers[tile] == patches.layers[duplicate]).all())
            reason = f"the same picture as {metadata[duplicate].id}{'' if is_same else ', but annotated otherwise'}"
            tile_oddities.append((ODDITY_SCORE if is_same else DUPLICATE_CONFLICT_SCORE, reason))
        if outliers[tile]:
            tile_oddities.append((ODDITY_SCORE, f"the contrast is {factors[tile]:.2g} times that of the other tiles"))
        oddities.append(tile_oddities)
    return oddities
