"""Deal tiles into folds, so that each can be judged by a network that has never seen it or its like."""

import numpy as np
from numpy.typing import NDArray


def assign_folds(groups: NDArray[np.int64], signs: NDArray[np.int8], *, folds: int) -> NDArray[np.int64]:
    """Choose a fold for every tile.

    Parameters
    ----------
    groups : ndarray of int, shape (n,)
        Tiles of one number overlap or are copies, and come into one fold; see `core.holdout`.
    signs : ndarray of int8, shape (n, f)
        1 positive, -1 negative, 0 unknown.
    folds : int
        How many; above 0.

    Returns
    -------
    ndarray of int64, shape (n,)
        From 0 to folds - 1. Each fold has about as many positives and negatives of each feature; where
        every tile is a group of its own and there is one feature, the numbers differ by at most one.

    Notes
    -----
    Large groups are dealt first, each to the fold that has least of what the group brings.

    Examples
    --------
    >>> deal_into_folds(np.array([0, 0, 1, 2, 3]), np.array([[1], [1], [1], [-1], [-1]], np.int8), folds=2)
    array([0, 0, 1, 1, 0])
    """
    categories = np.concatenate([signs > 0, signs < 0, np.ones((len(signs), 1), bool)], axis=1)  # (n, 2f + 1)
    group_counts = np.zeros((groups.max(initial=-1) + 1, categories.shape[1]), np.int64)  # (g, 2f + 1)
    np.add.at(group_counts, groups, categories.astype(np.int64))
    totals = np.maximum(group_counts.sum(axis=0), 1)
    fold_counts = np.zeros((folds, categories.shape[1]), np.int64)
    fold_of_group = np.zeros(len(group_counts), np.int64)
    # Positives first: they are the fewer, and what comes later evens out the sizes of the folds.
    order = np.lexsort(
        (np.arange(len(group_counts)), -group_counts[:, : signs.shape[1]].sum(axis=1), -group_counts[:, -1])
    )
    for group in order:
        occupancy = (fold_counts[:, :-1] * group_counts[group, :-1] / totals[:-1]).sum(axis=1)
        fold = int(np.lexsort((np.arange(folds), fold_counts[:, -1], occupancy))[0])
        fold_of_group[group] = fold
        fold_counts[fold] += group_counts[group]
    return fold_of_group[groups] if len(groups) else np.zeros(0, np.int64)
