"""Assign tiles to folds, so that each tile can be predicted by a network that was not trained on it."""

import numpy as np
from numpy.typing import NDArray


def assign_folds(groups: NDArray[np.int64], signs: NDArray[np.int8], *, folds: int) -> NDArray[np.int64]:
    """Assign a fold to every tile.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        Group of each tile. Tiles of one group overlap or are copies and share a fold; see `core.holdout`.
    signs : ndarray of int8, shape (n, f)
        1 positive, -1 negative, 0 unknown.
    folds : int
        Number of folds; above 0.

    Returns
    -------
    ndarray of int64, shape (n,)
        Fold of each tile, 0 to folds - 1. The positives and negatives of each feature are spread evenly; with
        one feature and one tile per group, the counts of two folds differ by at most one.

    Notes
    -----
    Large groups are assigned first, each to the fold that has the fewest tiles of the group's kinds.

    Examples
    --------
    >>> assign_folds(np.array([0, 0, 1, 2, 3]), np.array([[1], [1], [1], [-1], [-1]], np.int8), folds=2)
    array([0, 0, 1, 1, 0])
    """
    categories = np.concatenate([signs > 0, signs < 0, np.ones((len(signs), 1), bool)], axis=1)  # (n, 2f + 1)
    group_counts = np.zeros((groups.max(initial=-1) + 1, categories.shape[1]), np.int64)  # (g, 2f + 1)
    np.add.at(group_counts, groups, categories.astype(np.int64))
    totals = np.maximum(group_counts.sum(axis=0), 1)
    fold_counts = np.zeros((folds, categories.shape[1]), np.int64)
    fold_of_group = np.zeros(len(group_counts), np.int64)
    # Groups with most positives first: positives are fewer, and later groups even out the fold sizes.
    order = np.lexsort(
        (np.arange(len(group_counts)), -group_counts[:, : signs.shape[1]].sum(axis=1), -group_counts[:, -1])
    )
    for group in order:
        occupancy = (fold_counts[:, :-1] * group_counts[group, :-1] / totals[:-1]).sum(axis=1)
        fold = int(np.lexsort((np.arange(folds), fold_counts[:, -1], occupancy))[0])
        fold_of_group[group] = fold
        fold_counts[fold] += group_counts[group]
    return fold_of_group[groups] if len(groups) else np.zeros(0, np.int64)
