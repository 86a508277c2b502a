"""Rank tiles by their label error scores, with the reasons in words."""

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
"""Scores below this are not reported."""
EMPTY_MASK_SCORE = 1.0
"""Score of a tile that was placed for a feature and annotated with an empty mask."""
DUPLICATE_CONFLICT_SCORE = 0.6
"""Lowest score of an image that two tiles have with different annotations."""
ODDITY_SCORE = 0.15
"""Lowest score of a tile that is odd regardless of its label: a copy, or a tile of unusual contrast."""
MIN_SHIFT_GAIN = 0.2
"""A mask is reported as shifted only if the shift improves the overlap by at least this."""
MIN_SHIFT_OVERLAP = 0.5
"""It is also reported only if the overlap after the shift is at least this."""
MIN_RECALL = 0.1
"""Below this recall, the network is reported to find hardly any of the annotated pixels."""


@dataclass(frozen=True)
class _Finding:
    """The result for one tile and one feature."""

    feature: str
    sign: int
    score: float
    dice: float
    reason: str | None
    """A sentence; None if there is nothing to report."""


def rank_label_errors(
    patches: TilePatches, metadata: Sequence[TileMetadata], folds: NDArray[np.int64], outputs: NDArray[np.float32]
) -> tuple[AuditedTile, ...]:
    """Rank all tiles; those with the highest label error scores come first.

    Parameters
    ----------
    patches : TilePatches
        n tiles with their annotations, f features.
    folds : ndarray of int, shape (n,)
        Fold of each tile.
    outputs : ndarray of float32, shape (n, f, y, x)
        Probabilities from 0 to 1, by the networks that were not trained on the tile.

    Returns
    -------
    tuple of AuditedTile
        One entry per tile, with the feature of its highest score.
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
    return tuple(sorted(tiles, key=lambda tile: -tile.suspicion))  # equal scores stay in order of contents


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
    """Return the results for one feature on each tile; `outputs` has the shape (n, y, x)."""
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
        # On a difficult tile no shift fits, so a good fit after a shift is strong evidence of an error.
        return _Finding(feature, sign, 1 - (1 - score) / 4, counts.dice, _shift_reason(feature, shift))
    if score < MIN_REPORTED_SCORE:
        return _Finding(feature, sign, score, counts.dice, None)
    if not mask.any():
        kind = "negative tile" if sign < 0 else "tile, on which none is annotated"
        reason = (
            f"the network predicts {feature} on {label_errors.format_percent(predicted & labelled, labelled)} of this "
            f"{kind}"
        )
        return _Finding(feature, sign, score, counts.dice, reason)
    if counts.recall < MIN_RECALL:
        share = label_errors.format_percent(mask, labelled)
        reason = f"{feature} is annotated on {share} of the tile, and the network finds hardly any of it"
        return _Finding(feature, sign, score, counts.dice, reason)
    reason = (
        f"annotation and network differ on {feature} (Dice {counts.dice:.2f}): the network finds "
        f"{100 * counts.recall:.0f} % of the annotated pixels, {100 * counts.precision:.0f} % of its own are annotated"
    )
    return _Finding(feature, sign, score, counts.dice, reason)


def _prediction_text(predicted: NDArray[np.bool_], labelled: NDArray[np.bool_]) -> str:
    return (
        f"; the network predicts it on {label_errors.format_percent(predicted, labelled)} of the tile"
        if predicted.any()
        else ""
    )


def _shift_reason(feature: str, shift: MaskShift) -> str:
    horizontal = f"{_format_pixels(shift.dx)} to the {'right' if shift.dx > 0 else 'left'}" if shift.dx else ""
    vertical = f"{_format_pixels(shift.dy)} {'up' if shift.dy > 0 else 'down'}" if shift.dy else ""
    direction = " and ".join(part for part in (horizontal, vertical) if part)
    return (
        f"the mask of {feature} overlaps with the network's output by {shift.overlap_before:.2f}; "
        f"moved {direction}, it would overlap by {shift.overlap_after:.2f}"
    )


def _format_pixels(steps: int) -> str:
    return f"{abs(steps)} pixel{'' if abs(steps) == 1 else 's'}"


def _oddities(patches: TilePatches, metadata: Sequence[TileMetadata]) -> list[list[tuple[float, str]]]:
    """Return the oddities of each tile regardless of its label, with their scores."""
    images = patches.densities[:, CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    duplicates, factors = label_errors.duplicate_images(images), label_errors.contrast_factors(images)
    outliers = label_errors.contrast_outliers(factors)
    oddities: list[list[tuple[float, str]]] = []
    for tile, duplicate in enumerate(duplicates):
        tile_oddities = []
        if duplicate >= 0:
            is_same = bool((patches.layers[tile] == patches.layers[duplicate]).all())
            reason = f"the same image as {metadata[duplicate].id}{'' if is_same else ', but annotated differently'}"
            tile_oddities.append((ODDITY_SCORE if is_same else DUPLICATE_CONFLICT_SCORE, reason))
        if outliers[tile]:
            tile_oddities.append((ODDITY_SCORE, f"the contrast is {factors[tile]:.2g} times that of the other tiles"))
        oddities.append(tile_oddities)
    return oddities
