"""Group tiles that overlap, and choose which are held out for validation.

The choice does not depend on the order of the tiles or the names of tomograms and features: contents and positions
decide between equally good candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import UsageError

OVERLAP_SLICES = 2
"""Tiles at most this many slices apart show nearly the same densities, so they form one group."""
IGNORED_SLICES = 4
"""Pixels this near to a held-out box are not trained on: a network sees this many slices up and down."""
MIN_POSITIVES = 5
"""With fewer positive tiles all are needed for training, and the score of a single tile means little."""
MAX_GROUP_SHARE = 0.25
"""A group with more than this share of a feature's positive tiles is split into single tiles."""
WHOLE_TOMOGRAM_PERCENT = (10, 30)
"""A whole tomogram may be held out if its share of each feature's tiles is within these bounds."""
_SortKey = tuple[str, int, int, int, int, tuple[int, ...]]


@dataclass(frozen=True)
class HoldOutTile:
    """The properties of a tile that decide whether it is held out."""

    space: str
    """The tomogram; versions that share their tiles are one space. Only compared, never ordered."""
    x: int
    y: int
    z: int
    """Centre voxel, corner origin."""
    size: int
    """Edge in y and x, pixels: the box covers x - size/2 .. x + size/2 - 1."""
    signs: tuple[int, ...]
    """For each feature 1 (positive), -1 (none here) or 0 (unknown)."""
    digest: str
    """Digest of the contents; tiles with the same digest are copies and stay together."""

    @property
    def sort_key(self) -> _SortKey:
        """Decides between equals; independent of order and names."""
        return (self.digest, self.z, self.y, self.x, self.size, tuple(sorted(self.signs)))


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Which tiles are held out; n tiles."""

    held_out: NDArray[np.bool_]
    """Shape (n,): True for validation tiles, which are never trained on."""
    groups: NDArray[np.int64]
    """Shape (n,): tiles with one number stay together; 0, 1, ... in an order of contents."""
    reason: str
    """One sentence for the network's card."""


def choose_held_out(
    tiles: Sequence[HoldOutTile], *, share: float, already_trained: NDArray[np.bool_] | None = None
) -> HoldOut:
    """Choose the tiles that are held out for validation.

    Parameters
    ----------
    tiles : sequence of HoldOutTile
        All tiles of a training set, each with one sign per feature.
    share : float
        Share of the tiles to hold out, from 0 to below 1.
    already_trained : ndarray of bool, shape (n,), or None
        Tiles used to train the initial weights; neither they nor their groups are held out.

    Returns
    -------
    HoldOut
        The choice and the group of every tile, and a sentence that describes the choice.

    Raises
    ------
    UsageError
        If the share is not from 0 to below 1.

    Notes
    -----
    Tiles whose boxes overlap within 2 slices, directly or through others, and copies are one group. A
    group with more than a quarter of a feature's positive tiles is split into tiles; copies stay together.

    With fewer than 5 positive tiles nothing is held out. A whole tomogram is held out if it has 10 to
    30 % of each feature's tiles, the requested share is in this range too, none of its tiles has a copy
    elsewhere, and it has some but not all positives of each feature. Otherwise groups are held out:
    first until each feature with 5 positives has one of them held out, and one of its negatives if it
    has 5 negatives; then groups are added, or removed if these tiles remain, until the share is
    reached as nearly as whole groups allow. Each step takes the group that brings the shares of all
    features' positives and negatives nearest to the requested one. The positives of a feature are never
    all held out.
    """
    if not 0 <= share < 1:
        raise UsageError(f"The held-out share {share} is out of range.", "Give a share from 0 to below 1, such as 0.2.")
    groups = _group_tiles(tiles) if tiles else np.zeros(0, np.int64)
    excluded = np.zeros(len(tiles), bool) if already_trained is None else np.isin(groups, groups[already_trained])
    held_out, reason = _choose_tiles(tiles, groups, share, excluded)
    return HoldOut(held_out, groups, reason)


def _choose_tiles(
    tiles: Sequence[HoldOutTile], groups: NDArray[np.int64], share: float, excluded: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], str]:
    """Return the held-out tiles (n,) and the reason; excluded tiles (n,) are not chosen."""
    none_held_out = np.zeros(len(tiles), bool)
    positive_count = sum(1 in tile.signs for tile in tiles)
    if share == 0:
        return none_held_out, "Nothing was held out, as requested."
    if positive_count < MIN_POSITIVES:
        return (
            none_held_out,
            f"Nothing was held out: {positive_count} positive tiles are too few, {MIN_POSITIVES} are needed.",
        )
    whole_tomogram = _whole_tomogram(tiles, share, excluded)
    if whole_tomogram is not None:
        return whole_tomogram, f"One whole tomogram was held out, {whole_tomogram.sum()} of {len(tiles)} tiles."
    chosen = _choose_groups(tiles, groups, share, excluded)
    if not chosen:
        return none_held_out, "Nothing was held out: no group of tiles can be spared."
    held_out = np.isin(groups, chosen)
    return held_out, f"{held_out.sum()} of {len(tiles)} tiles were held out, in {len(chosen)} groups."


def pixels_to_ignore(tile: HoldOutTile, held_out_tiles: Sequence[HoldOutTile]) -> NDArray[np.bool_]:
    """Return which pixels of a training tile lie in a held-out box within 4 slices.

    Parameters
    ----------
    held_out_tiles : sequence of HoldOutTile
        All held-out tiles, in any tomogram.

    Returns
    -------
    ndarray of bool, shape (size, size) as (y, x)
        True where the tile must not be trained on.
    """
    ignored = np.zeros((tile.size, tile.size), bool)
    for held_out_tile in held_out_tiles:
        if held_out_tile.space == tile.space and abs(held_out_tile.z - tile.z) <= IGNORED_SLICES:
            rows = _overlap_slice(held_out_tile.y, held_out_tile.size, tile.y, tile.size)
            columns = _overlap_slice(held_out_tile.x, held_out_tile.size, tile.x, tile.size)
            ignored[rows, columns] = True
    return ignored


def _overlap_slice(centre: int, size: int, target_centre: int, target_size: int) -> slice:
    """Return the range of one box within another along an axis, counted from the start of the other."""
    start = (centre - size // 2) - (target_centre - target_size // 2)
    return slice(min(max(start, 0), target_size), min(max(start + size, 0), target_size))


def _group_tiles(tiles: Sequence[HoldOutTile]) -> NDArray[np.int64]:
    """Return the group of each tile: overlapping tiles and copies, unless the group is too large."""
    duplicate_ids = _duplicate_ids(tiles)
    groups = _connected_groups(np.concatenate([_overlapping_pairs(tiles), _duplicate_pairs(duplicate_ids)]), len(tiles))
    positive = _signs(tiles) > 0  # (n, f)
    counts = _sums_by_group(positive, groups)  # (g, f)
    too_large = (counts > MAX_GROUP_SHARE * positive.sum(axis=0)).any(axis=1)
    split = too_large[groups]
    return _sort_groups(tiles, np.where(split, duplicate_ids, groups + len(tiles)))


def _signs(tiles: Sequence[HoldOutTile]) -> NDArray[np.int64]:
    """Return the signs as an array (n, f)."""
    return np.array([tile.signs for tile in tiles], np.int64).reshape(len(tiles), -1)


def _duplicate_ids(tiles: Sequence[HoldOutTile]) -> NDArray[np.int64]:
    """Return a number for each tile; copies share theirs."""
    id_by_digest: dict[str, int] = {}
    return np.array([id_by_digest.setdefault(tile.digest, len(id_by_digest)) for tile in tiles], np.int64)


def _duplicate_pairs(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return pairs (m, 2) of indices that link all entries with the same number."""
    order = np.argsort(ids, kind="stable")
    is_same = ids[order[1:]] == ids[order[:-1]]
    return np.stack([order[:-1][is_same], order[1:][is_same]], axis=1)


def _overlapping_pairs(tiles: Sequence[HoldOutTile]) -> NDArray[np.int64]:
    """Return pairs (m, 2) of tiles whose boxes overlap in y and x within 2 slices of one tomogram."""
    spaces = np.unique([tile.space for tile in tiles], return_inverse=True)[1]
    box = np.array([(tile.z, tile.y, tile.x, tile.size) for tile in tiles], np.int64).reshape(-1, 4)
    start = box[:, 1:3] - box[:, 3:] // 2  # (n, 2) as (y, x)
    end = start + box[:, 3:]
    pairs = [np.zeros((0, 2), np.int64)]
    for index in range(len(tiles)):
        is_near = (spaces == spaces[index]) & (abs(box[:, 0] - box[index, 0]) <= OVERLAP_SLICES)
        is_near &= ((start < end[index]) & (end > start[index])).all(axis=1)
        neighbours = np.flatnonzero(is_near)
        pairs.append(np.stack([np.full_like(neighbours, index), neighbours], axis=1))
    return np.concatenate(pairs)


def _connected_groups(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return a group number for each of `count` items; items linked by pairs share theirs."""
    from scipy.sparse import coo_array  # noqa: PLC0415  # takes a tenth of a second, and few screens need it
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _sort_groups(tiles: Sequence[HoldOutTile], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Renumber groups by their contents, so that the order of the tiles does not matter."""
    members: dict[int, list[_SortKey]] = {}
    for tile, group in zip(tiles, groups.tolist(), strict=True):
        members.setdefault(group, []).append(tile.sort_key)
    ranks = {group: rank for rank, group in enumerate(sorted(members, key=lambda key: sorted(members[key])))}
    return np.array([ranks[group] for group in groups.tolist()], np.int64)


def _sums_by_group(flags: NDArray[np.generic], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum rows (n, c) over groups to (g, c)."""
    sums = np.zeros((groups.max(initial=-1) + 1, flags.shape[1]), np.int64)
    np.add.at(sums, groups, flags.astype(np.int64))
    return sums


def _whole_tomogram(
    tiles: Sequence[HoldOutTile], share: float, excluded: NDArray[np.bool_]
) -> NDArray[np.bool_] | None:
    """Return the tiles of the tomogram that can be held out whole and is nearest to the share; None without any."""
    low, high = WHOLE_TOMOGRAM_PERCENT
    if not low / 100 <= share <= high / 100:
        return None
    signs = _signs(tiles)
    candidates = []
    for space in {tile.space for tile in tiles}:
        inside = np.array([tile.space == space for tile in tiles])
        if not excluded[inside].any() and _can_hold_out_whole(inside, signs, _duplicate_ids(tiles)):
            own_keys = sorted(tile.sort_key for tile in tiles if tile.space == space)
            candidates.append((abs(int(inside.sum()) - share * len(tiles)), own_keys, inside))
    return min(candidates, key=lambda candidate: candidate[:2])[2] if candidates else None


def _can_hold_out_whole(inside: NDArray[np.bool_], signs: NDArray[np.int64], duplicate_ids: NDArray[np.int64]) -> bool:
    """Return whether a tomogram may be held out whole.

    It must have 10 to 30 % of each feature's tiles, some but not all positives, and no copies in other tomograms.
    """
    if np.isin(duplicate_ids[inside], duplicate_ids[~inside]).any():
        return False
    low, high = WHOLE_TOMOGRAM_PERCENT
    for sign in signs.T:
        tiles, positives = np.count_nonzero(sign), np.count_nonzero(sign > 0)
        own_count, own_positives = np.count_nonzero(sign[inside]), np.count_nonzero(sign[inside] > 0)
        if not low * tiles <= 100 * own_count <= high * tiles:
            return False
        if positives and own_positives == positives:
            return False
        if positives >= MIN_POSITIVES and not own_positives:
            return False
    return True


def _choose_groups(
    tiles: Sequence[HoldOutTile], groups: NDArray[np.int64], share: float, excluded: NDArray[np.bool_]
) -> list[int]:
    """Choose groups to hold out, balanced by feature and sign."""
    signs = _signs(tiles)
    counts = _sums_by_group(np.concatenate([signs > 0, signs < 0], axis=1), groups)  # (g, 2f)
    sizes = np.bincount(groups)
    available = ~np.isin(np.arange(len(sizes)), groups[excluded])
    selection = _GroupSelection(counts, sizes, share, signs.shape[1], available)
    while selection.add_best(selection.needed_groups()):
        pass
    while selection.remove_one() or selection.add_best(selection.improving_groups()):
        pass  # ends, because each step is strictly nearer to the share
    return selection.chosen


@final
class _GroupSelection:
    """The groups chosen so far; f features, g groups."""

    def __init__(
        self,
        counts: NDArray[np.int64],
        sizes: NDArray[np.int64],
        share: float,
        features: int,
        available: NDArray[np.bool_],
    ) -> None:
        self.counts = counts
        """Shape (g, 2f): positives of each feature, then negatives of each feature, in each group."""
        self.sizes = sizes
        """Shape (g,): tiles in each group."""
        self.share = share
        self.features = features
        self.available = available
        """Shape (g,): groups that may be chosen."""
        self.totals = counts.sum(axis=0)  # (2f,)
        self.held_out = np.zeros_like(self.totals)
        self.chosen: list[int] = []

    def add_best(self, candidates: NDArray[np.bool_]) -> bool:
        """Add the candidate (g,) that gives the best balance; return whether there was one."""
        allowed = np.flatnonzero(candidates & self.available & self._leaves_positives())
        allowed = allowed[~np.isin(allowed, self.chosen)]
        if not allowed.size:
            return False
        best = int(allowed[np.argmin(self._imbalance(self.counts[allowed]))])
        self.chosen.append(best)
        self.held_out = self.held_out + self.counts[best]
        return True

    def needed_groups(self) -> NDArray[np.bool_]:
        """Return for each group (g,) whether it has tiles that are needed for validation and not held out yet."""
        return np.asarray((self.counts[:, self._needs_validation() & (self.held_out == 0)] > 0).any(axis=1))

    def remove_one(self) -> bool:
        """Remove a group if that brings the share nearer and loses no needed tile; return whether there was one."""
        needed = self._needs_validation() & (self.held_out > 0)
        removable = [
            group
            for group in sorted(self.chosen)
            if self.sizes[group] < -2 * self._missing_tiles() and (self.held_out - self.counts[group] > 0)[needed].all()
        ]
        if not removable:
            return False
        imbalances = [self._imbalance(-self.counts[[group]])[0] for group in removable]
        group = removable[int(np.argmin(imbalances))]
        self.chosen.remove(group)
        self.held_out = self.held_out - self.counts[group]
        return True

    def improving_groups(self) -> NDArray[np.bool_]:
        """Return for each group (g,) whether adding it brings the share nearer."""
        return np.asarray(self.sizes < 2 * self._missing_tiles())

    def _needs_validation(self) -> NDArray[np.bool_]:
        """Return for each sign of each feature (2f,) whether it needs a validation tile."""
        has_enough = self.totals >= MIN_POSITIVES
        return np.asarray(has_enough & np.tile(has_enough[: self.features], 2))  # none for few positives

    def _missing_tiles(self) -> float:
        """Return how many more tiles should be held out."""
        return float(self.share * self.sizes.sum() - self.sizes[self.chosen].sum())

    def _leaves_positives(self) -> NDArray[np.bool_]:
        """Return for each group (g,) whether all features with positives in it keep some for training."""
        group_positives = self.counts[:, : self.features]
        remaining = (self.totals - self.held_out)[: self.features] - group_positives
        return np.asarray(((group_positives == 0) | (remaining > 0)).all(axis=1))

    def _imbalance(self, changes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sum of squared deviations from the share after each change (c, 2f), over features and signs."""
        present = self.totals > 0
        shares = (self.held_out + changes)[:, present] / self.totals[present]
        deviations = (shares - self.share) ** 2
        # Sorting gives the same rounding for any order of the features.
        return np.asarray(np.sort(deviations, axis=1).sum(axis=1), np.float64)
