"""Merge probability maps into labels: the map with the strongest claim wins each voxel. Leaves files to `io`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.errors import ShapeError, TomogramError, UsageError

LARGEST_LABEL = 127
"""The most labels that a signed byte can hold."""
TIE_TOLERANCE = 1e-9
"""Claims that differ by less are equal, so that rounding decides nothing."""
_CHUNK = 1 << 20
"""Voxels merged at a time: their float64 claims stay within a few megabytes."""
_NO_CLAIM = -1.0


class MergedBlock(NamedTuple):
    """Result of merging one block; k maps."""

    labels: NDArray[np.int8]
    """Shape of the maps: 0 where no map claims, else 1 for the first map, 2 for the second, ..."""
    conflicts: NDArray[np.int64]
    """Shape (k, k): voxels that map [winner] took from map [loser]; index 0 is label 1."""
    voxels: NDArray[np.int64]
    """Shape (k,): voxels that each map won; index 0 is label 1."""


def claims(threshold: float) -> NDArray[np.float64]:
    """Return the claim of each map value on its voxel.

    Parameters
    ----------
    threshold : float
        From 0 to 1; only probabilities above it claim a voxel. 1 claims nothing.

    Returns
    -------
    ndarray of float64, shape (128,)
        For map values 0..127 with p = value / 127: (p - threshold) / (1 - threshold) where p > threshold,
        -1 elsewhere.

    Raises
    ------
    UsageError
        If the threshold is not from 0 to 1.

    Examples
    --------
    >>> claims(0.5)[[63, 127]].tolist()
    [-1.0, 1.0]
    """
    if not 0 <= threshold <= 1:
        raise UsageError(f"The threshold {threshold} is not from 0 to 1.", "Give a number from 0 to 1.")
    probabilities = np.arange(MAX_MAP_VALUE + 1) / MAX_MAP_VALUE
    table = np.full(MAX_MAP_VALUE + 1, _NO_CLAIM)
    above = probabilities > threshold
    table[above] = (probabilities[above] - threshold) / (1 - threshold)
    return table


def merge_block(maps: Sequence[NDArray[np.uint8] | NDArray[np.int8]], thresholds: Sequence[float]) -> MergedBlock:
    """Assign every voxel to the map with the greatest claim.

    Parameters
    ----------
    maps : sequence of ndarray of uint8 or int8, one shape
        1 to 127 probability maps, 0..127 for 0..1. Left unchanged.
    thresholds : sequence of float
        One for each map, from 0 to 1.

    Returns
    -------
    MergedBlock
        Labels (int8, the shape of the maps), conflicts (int64) and voxels won (int64).

    Raises
    ------
    ShapeError
        If the maps differ in shape, or there is not one threshold for each map.
    TomogramError
        If a map holds a value outside 0..127.
    UsageError
        If there are no maps or more than 127, or a threshold lies outside 0..1.

    Notes
    -----
    The claim is (p - t) / (1 - t) in float64 where p > t. The winner is the first map whose claim is
    less than 1e-9 below the greatest. A conflict is a voxel on which the loser was above its threshold.
    Memory beyond maps and labels is a few megabytes; an unclaimed voxel costs one comparison of bytes per map.
    """
    tables = np.array([claims(threshold) for threshold in thresholds])  # (k, 128)
    _check_maps(maps, thresholds)
    flat = [np.ascontiguousarray(volume).reshape(-1).view(np.uint8) for volume in maps]
    labels = np.zeros(flat[0].size, np.int8)
    claimed_counts = np.zeros((len(maps), len(maps)), np.int64)  # [winner, claimant]
    for start in range(0, labels.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        claimed_counts += _write_winners(labels[chunk], [volume[chunk] for volume in flat], tables)
    won = np.diag(claimed_counts).copy()
    return MergedBlock(labels.reshape(maps[0].shape), claimed_counts - np.diag(won), won)


def _check_maps(maps: Sequence[NDArray[np.uint8] | NDArray[np.int8]], thresholds: Sequence[float]) -> None:
    if not 1 <= len(maps) <= LARGEST_LABEL:
        raise UsageError(f"{len(maps)} maps were given; 1 to {LARGEST_LABEL} can be merged.", "Name 1 to 127 maps.")
    if len(thresholds) != len(maps):
        raise ShapeError(f"{len(maps)} maps have {len(thresholds)} thresholds.", "Give one threshold for each map.")
    for number, volume in enumerate(maps, start=1):
        if volume.shape != maps[0].shape:
            raise ShapeError(
                f"Map {number} has shape {volume.shape}, map 1 has {maps[0].shape}.", "Merge maps of one tomogram."
            )
        if volume.dtype.itemsize != 1 or (volume.size and not 0 <= volume.min() <= volume.max() <= MAX_MAP_VALUE):
            raise TomogramError(
                f"Map {number} contains {volume.dtype} values from {volume.min()} to {volume.max()}; a map contains "
                f"0 to {MAX_MAP_VALUE} in bytes. Another program has changed it.",
                "Make the map again: tomoseg apply RUN TOMOGRAM",
            )


def _write_winners(
    labels: NDArray[np.int8], maps: Sequence[NDArray[np.uint8]], tables: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Write the winners among `maps` into `labels`; return the voxel counts as [winner, claimant]."""
    min_values = (tables < 0).sum(axis=1)  # (k,): lowest value with a claim
    is_claimed = np.zeros(labels.size, bool)
    for voxels, min_value in zip(maps, min_values, strict=True):
        is_claimed |= voxels >= min_value
    indices = np.flatnonzero(is_claimed)
    values = [voxels[indices] for voxels in maps]
    winner = _first_winners(values, tables)
    labels[indices] = winner + np.int8(1)
    claimed_counts = [
        np.bincount(winner[voxels >= min_value], minlength=len(maps))
        for voxels, min_value in zip(values, min_values, strict=True)
    ]
    return np.stack(claimed_counts, axis=1)


def _first_winners(values: Sequence[NDArray[np.uint8]], tables: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return for each voxel the index of the first map whose claim is the greatest within `TIE_TOLERANCE`."""
    best_claims = np.full(values[0].size, _NO_CLAIM)
    for voxels, table in zip(values, tables, strict=True):
        np.maximum(best_claims, table[voxels], out=best_claims)
    winner = np.zeros(values[0].size, np.int8)
    for index in reversed(range(len(values))):
        winner[best_claims - tables[index][values[index]] < TIE_TOLERANCE] = index
    return winner
