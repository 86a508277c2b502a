"""Let networks compete for every voxel, and count who lost what to whom. Knows arrays, not files."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError, TomogramError, UsageError

HIGHEST = 127
"""The value of a map that means probability 1; also the most labels that a signed byte can tell apart."""
TIE = 1e-9
"""Claims that differ by less are equal, so that rounding in the last bit decides nothing."""
_CHUNK = 1 << 20
"""Voxels settled at a time: their float64 claims stay within a few megabytes."""
_NO_CLAIM = -1.0


class MergedBlock(NamedTuple):
    """What a competition for the voxels of one block came to; k maps."""

    labels: NDArray[np.int8]
    """Shape of the maps: 0 where nobody claims, else 1 for the first map, 2 for the second, ..."""
    conflicts: NDArray[np.int64]
    """Shape (k, k): voxels that map [winner] took from map [loser]; index 0 is label 1."""
    voxels: NDArray[np.int64]
    """Shape (k,): voxels that each map won; index 0 is label 1."""


def claims(threshold: float) -> NDArray[np.float64]:
    """Return the claim that each value of a map lays on its voxel.

    Parameters
    ----------
    threshold : float
        From 0 to 1; a probability has to exceed it. 1 claims nothing.

    Returns
    -------
    ndarray of float64, shape (128,)
        For the values 0..127, that is p = value / 127: (p - threshold) / (1 - threshold) where
        p > threshold, -1 elsewhere.

    Raises
    ------
    UsageError
        If the threshold is not a number from 0 to 1.

    Examples
    --------
    >>> claims(0.5)[[63, 127]].tolist()
    [-1.0, 1.0]
    """
    if not 0 <= threshold <= 1:
        raise UsageError(
            f"A threshold of {threshold} was asked for; it lies from 0 to 1.", "Give a number from 0 to 1."
        )
    probabilities = np.arange(HIGHEST + 1) / HIGHEST
    table = np.full(HIGHEST + 1, _NO_CLAIM)
    above = probabilities > threshold
    table[above] = (probabilities[above] - threshold) / (1 - threshold)
    return table


def merge_block(maps: Sequence[NDArray[np.uint8] | NDArray[np.int8]], thresholds: Sequence[float]) -> MergedBlock:
    """Give every voxel to the map that claims it most.

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
        If the maps differ in shape, or the thresholds in number.
    TomogramError
        If a map holds a value outside 0..127.
    UsageError
        If there are no maps or more than 127, or a threshold lies outside 0..1.

    Notes
    -----
    The claim is (p - t) / (1 - t) in float64 where p > t. The winner is the first map whose claim is
    less than 1e-9 below the greatest. A conflict is a voxel on which the loser was above its threshold.
    Memory beyond maps and labels is a few megabytes; voxels that nobody claims cost a comparison of bytes.
    """
    tables = np.array([claims(threshold) for threshold in thresholds])  # (k, 128)
    _check(maps, thresholds)
    flat = [np.ascontiguousarray(one).reshape(-1).view(np.uint8) for one in maps]
    labels = np.zeros(flat[0].size, np.int8)
    taken = np.zeros((len(maps), len(maps)), np.int64)  # [winner, claimant]
    for start in range(0, labels.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        taken += _settle_into(labels[chunk], [one[chunk] for one in flat], tables)
    won = np.diag(taken).copy()
    return MergedBlock(labels.reshape(maps[0].shape), taken - np.diag(won), won)


def _check(maps: Sequence[NDArray[np.uint8] | NDArray[np.int8]], thresholds: Sequence[float]) -> None:
    if not 1 <= len(maps) <= HIGHEST:
        raise UsageError(f"{len(maps)} maps are to be merged; 1 to {HIGHEST} can be.", "Name 1 to 127 maps.")
    if len(thresholds) != len(maps):
        raise ShapeError(f"{len(maps)} maps have {len(thresholds)} thresholds.", "Give one threshold for each map.")
    for number, one in enumerate(maps, start=1):
        if one.shape != maps[0].shape:
            raise ShapeError(
                f"Map {number} has shape {one.shape}, map 1 has {maps[0].shape}.", "Merge maps of one tomogram."
            )
        if one.size and not 0 <= one.min() <= one.max() <= HIGHEST:
            raise TomogramError(
                f"Map {number} holds values {one.min()} to {one.max()}; a map holds 0 to {HIGHEST}.",
                "Make the map again: tomoseg apply RUN TOMOGRAM",
            )


def _settle_into(
    labels: NDArray[np.int8], maps: Sequence[NDArray[np.uint8]], tables: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Write the winners among `maps` into `labels`; return the voxels by [winner, claimant]."""
    levels = (tables < 0).sum(axis=1)  # (k,): the lowest value that claims
    wanted = np.zeros(labels.size, bool)
    for one, level in zip(maps, levels, strict=True):
        wanted |= one >= level
    places = np.flatnonzero(wanted)
    values = [one[places] for one in maps]
    winner = _first_of_the_greatest(values, tables)
    labels[places] = winner + np.int8(1)
    taken = [np.bincount(winner[one >= level], minlength=len(maps)) for one, level in zip(values, levels, strict=True)]
    return np.stack(taken, axis=1)


def _first_of_the_greatest(values: Sequence[NDArray[np.uint8]], tables: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return for each voxel the index of the first map whose claim is, but for rounding, the greatest."""
    greatest = np.full(values[0].size, _NO_CLAIM)
    for one, table in zip(values, tables, strict=True):
        np.maximum(greatest, table[one], out=greatest)
    winner = np.zeros(values[0].size, np.int8)
    for index in reversed(range(len(values))):
        winner[greatest - tables[index][values[index]] < TIE] = index
    return winner
