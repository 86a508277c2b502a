"""Group tiles that overlap, and choose which are held out to judge a network that never saw them.

Neither the order of the tiles nor the names of tomograms and features enter a choice: where two
are equally good, contents and places decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import UsageError

OVERLAP_SLICES = 2
"""Tiles that many slices apart still show nearly the same densities, so they are one group."""
IGNORED_SLICES = 4
"""Pixels that near a held-out box teach nothing: a network looks that many slices up and down."""
FEWEST_POSITIVES = 5
"""With fewer positive tiles every one is needed for training, and a score of one tile says little."""
LARGEST_PART = 0.25
"""A group with more than this part of a feature's positive tiles is split into single tiles."""
WHOLE_TOMOGRAM_PERCENT = (10, 30)
"""A whole tomogram is held out if its part of each feature's tiles lies within these bounds."""
_Key = tuple[str, int, int, int, int, tuple[int, ...]]


@dataclass(frozen=True)
class HoldOutTile:
    """What of a tile decides on which side it stands."""

    space: str
    """The tomogram; versions of it that share their tiles are one space. Only compared, never ordered."""
    x: int
    y: int
    z: int
    """Centre voxel, corner origin."""
    size: int
    """Edge in y and x, pixels: the box covers x - size/2 .. x + size/2 - 1."""
    signs: tuple[int, ...]
    """For each feature 1 (positive), -1 (none here) or 0 (not said)."""
    twin: str
    """Digest of the contents; tiles of one digest are copies and stay on one side."""

    @property
    def rank(self) -> _Key:
        """What decides between equals; the same for any order and any names."""
        return (self.twin, self.z, self.y, self.x, self.size, tuple(sorted(self.signs)))


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Which tiles judge and which teach; n tiles."""

    held_out: NDArray[np.bool_]
    """Shape (n,): True for tiles that judge and never teach."""
    groups: NDArray[np.int64]
    """Shape (n,): tiles of one number always stand on one side; 0, 1, ... in an order of contents."""
    reason: str
    """A sentence for the network's card."""


def choose_held_out(tiles: Sequence[HoldOutTile], *, share: float, seen: NDArray[np.bool_] | None = None) -> HoldOut:
    """Choose the tiles that are held out.

    Parameters
    ----------
    tiles : sequence of HoldOutTile
        All tiles of a training set, with as many signs each.
    share : float
        The part of the tiles to hold out, from 0 to below 1.
    seen : ndarray of bool, shape (n,), or None
        Tiles that may not judge, nor may their groups: the network begins with weights that have seen them.

    Returns
    -------
    HoldOut
        A side and a group for every tile, and a sentence that says what was done.

    Raises
    ------
    UsageError
        If the share is not from 0 to below 1.

    Notes
    -----
    Tiles whose boxes overlap within 2 slices, directly or through others, and copies are one group. A
    group with more than a quarter of a feature's positive tiles is split into tiles; copies stay together.

    With fewer than 5 positive tiles nothing is held out. A tomogram is held out whole if it has 10 to
    30 % of each feature's tiles, the share asked for lies there too, none of its tiles has a copy
    elsewhere, and of each feature it has some positives and not all. Otherwise groups are held out:
    first until each feature with 5 positives has one of them held out, and one of its negatives if it
    has 5 of them; then groups are taken, or given back where no such judge is lost, until the share is
    reached as nearly as whole groups allow. It is always the group that leaves the shares of all
    features' positives and negatives nearest to it. The positives of a feature are never all held out.
    """
    if not 0 <= share < 1:
        raise UsageError(f"A held-out share of {share} was asked for.", "Give a share from 0 to below 1, such as 0.2.")
    groups = _groups(tiles) if tiles else np.zeros(0, np.int64)
    barred = np.zeros(len(tiles), bool) if seen is None else np.isin(groups, groups[seen])
    held_out, reason = _choice(tiles, groups, share, barred)
    return HoldOut(held_out, groups, reason)


def _choice(
    tiles: Sequence[HoldOutTile], groups: NDArray[np.int64], share: float, barred: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], str]:
    """Return the held-out side (n,) and why; barred tiles (n,) stay out of it."""
    nothing = np.zeros(len(tiles), bool)
    positives = sum(1 in tile.signs for tile in tiles)
    if share == 0:
        return nothing, "Nothing was held out, as asked."
    if positives < FEWEST_POSITIVES:
        return nothing, f"Nothing was held out: {positives} positive tiles are too few, {FEWEST_POSITIVES} are needed."
    whole = _whole_tomogram(tiles, share, barred)
    if whole is not None:
        return whole, f"One whole tomogram was held out, {whole.sum()} of {len(tiles)} tiles."
    chosen = _balanced(tiles, groups, share, barred)
    if not chosen:
        return nothing, "Nothing was held out: no group of tiles can be spared."
    held_out = np.isin(groups, chosen)
    return held_out, f"{held_out.sum()} of {len(tiles)} tiles were held out, in {len(chosen)} groups."


def pixels_to_ignore(tile: HoldOutTile, held_out_tiles: Sequence[HoldOutTile]) -> NDArray[np.bool_]:
    """Return which pixels of a training tile lie in a held-out box within 4 slices.

    Parameters
    ----------
    tile : HoldOutTile
        A tile that is trained on.
    held_out_tiles : sequence of HoldOutTile
        The tiles that are held out, in any tomogram.

    Returns
    -------
    ndarray of bool, shape (size, size) as (y, x)
        True where nothing may be learnt.
    """
    ignored = np.zeros((tile.size, tile.size), bool)
    for other in held_out_tiles:
        if other.space == tile.space and abs(other.z - tile.z) <= IGNORED_SLICES:
            rows = _stretch(other.y, other.size, tile.y, tile.size)
            columns = _stretch(other.x, other.size, tile.x, tile.size)
            ignored[rows, columns] = True
    return ignored


def _stretch(centre: int, size: int, of_centre: int, of_size: int) -> slice:
    """Return where one box lies along an axis of another, which begins at 0."""
    start = (centre - size // 2) - (of_centre - of_size // 2)
    return slice(min(max(start, 0), of_size), min(max(start + size, 0), of_size))


def _groups(tiles: Sequence[HoldOutTile]) -> NDArray[np.int64]:
    """Return the group of each tile: overlapping ones and copies, unless that is too large a part."""
    twins = _twins(tiles)
    groups = _linked(np.concatenate([_overlaps(tiles), _chains(twins)]), len(tiles))
    positive = _signs(tiles) > 0  # (n, f)
    counts = _sums_by_group(positive, groups)  # (g, f)
    too_large = (counts > LARGEST_PART * positive.sum(axis=0)).any(axis=1)
    split = too_large[groups]
    return _renumbered(tiles, np.where(split, twins, groups + len(tiles)))


def _signs(tiles: Sequence[HoldOutTile]) -> NDArray[np.int64]:
    """Return the signs as an array (n, f)."""
    return np.array([tile.signs for tile in tiles], np.int64).reshape(len(tiles), -1)


def _twins(tiles: Sequence[HoldOutTile]) -> NDArray[np.int64]:
    """Return a number for each tile that copies share."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(tile.twin, len(numbers)) for tile in tiles], np.int64)


def _chains(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return pairs (m, 2) of places that link all places of one number."""
    order = np.argsort(numbers, kind="stable")
    same = numbers[order[1:]] == numbers[order[:-1]]
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def _overlaps(tiles: Sequence[HoldOutTile]) -> NDArray[np.int64]:
    """Return pairs (m, 2) of tiles whose boxes overlap in y and x within 2 slices of one tomogram."""
    spaces = np.unique([tile.space for tile in tiles], return_inverse=True)[1]
    box = np.array([(tile.z, tile.y, tile.x, tile.size) for tile in tiles], np.int64).reshape(-1, 4)
    start = box[:, 1:3] - box[:, 3:] // 2  # (n, 2) as (y, x)
    end = start + box[:, 3:]
    pairs = [np.zeros((0, 2), np.int64)]
    for index in range(len(tiles)):
        near = (spaces == spaces[index]) & (abs(box[:, 0] - box[index, 0]) <= OVERLAP_SLICES)
        near &= ((start < end[index]) & (end > start[index])).all(axis=1)
        others = np.flatnonzero(near)
        pairs.append(np.stack([np.full_like(others, index), others], axis=1))
    return np.concatenate(pairs)


def _linked(pairs: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return a number for each of `count` things that all things linked by pairs share."""
    # Imported here: a tenth of a second that screens which never build a set need not wait.
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(links, directed=False)[1], np.int64)


def _renumbered(tiles: Sequence[HoldOutTile], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number groups by their contents instead of by the order of the tiles."""
    members: dict[int, list[_Key]] = {}
    for tile, group in zip(tiles, groups.tolist(), strict=True):
        members.setdefault(group, []).append(tile.rank)
    ranks = {group: rank for rank, group in enumerate(sorted(members, key=lambda one: sorted(members[one])))}
    return np.array([ranks[group] for group in groups.tolist()], np.int64)


def _sums_by_group(counted: NDArray[np.generic], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum rows (n, c) over groups to (g, c)."""
    sums = np.zeros((groups.max(initial=-1) + 1, counted.shape[1]), np.int64)
    np.add.at(sums, groups, counted.astype(np.int64))
    return sums


def _whole_tomogram(tiles: Sequence[HoldOutTile], share: float, barred: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """Return the tiles of the tomogram that can be held out whole and is nearest to the share."""
    least, most = WHOLE_TOMOGRAM_PERCENT
    if not least / 100 <= share <= most / 100:
        return None
    signs = _signs(tiles)
    candidates = []
    for space in {tile.space for tile in tiles}:
        inside = np.array([tile.space == space for tile in tiles])
        if not barred[inside].any() and _may_stand_alone(inside, signs, _twins(tiles)):
            own = sorted(tile.rank for tile in tiles if tile.space == space)
            candidates.append((abs(int(inside.sum()) - share * len(tiles)), own, inside))
    return min(candidates, key=lambda one: one[:2])[2] if candidates else None


def _may_stand_alone(inside: NDArray[np.bool_], signs: NDArray[np.int64], twins: NDArray[np.int64]) -> bool:
    """Tell whether a tomogram has 10 to 30 % of each feature's tiles, some positives, and copies only within."""
    if np.isin(twins[inside], twins[~inside]).any():
        return False
    least, most = WHOLE_TOMOGRAM_PERCENT
    for sign in signs.T:
        tiles, positives = np.count_nonzero(sign), np.count_nonzero(sign > 0)
        own, own_positives = np.count_nonzero(sign[inside]), np.count_nonzero(sign[inside] > 0)
        if not least * tiles <= 100 * own <= most * tiles:
            return False
        if positives and own_positives == positives:
            return False
        if positives >= FEWEST_POSITIVES and not own_positives:
            return False
    return True


def _balanced(
    tiles: Sequence[HoldOutTile], groups: NDArray[np.int64], share: float, barred: NDArray[np.bool_]
) -> list[int]:
    """Choose groups, balanced by feature and sign."""
    signs = _signs(tiles)
    counts = _sums_by_group(np.concatenate([signs > 0, signs < 0], axis=1), groups)  # (g, 2f)
    sizes = np.bincount(groups)
    free = ~np.isin(np.arange(len(sizes)), groups[barred])
    selection = _Selection(counts, sizes, share, signs.shape[1], free)
    while selection.take_best(selection.wanting()):
        pass
    while selection.give_back() or selection.take_best(selection.nearer()):
        pass  # each step is strictly nearer to the share, so there is a last one
    return selection.taken


@final
class _Selection:
    """Groups on their way to being held out; f features, g groups."""

    def __init__(
        self,
        counts: NDArray[np.int64],
        sizes: NDArray[np.int64],
        share: float,
        features: int,
        free: NDArray[np.bool_],
    ) -> None:
        self.counts = counts
        """Shape (g, 2f): positives, then negatives, of each feature in each group."""
        self.sizes = sizes
        """Shape (g,): tiles in each group."""
        self.share = share
        self.features = features
        self.free = free
        """Shape (g,): groups that may be taken."""
        self.totals = counts.sum(axis=0)  # (2f,)
        self.held = np.zeros_like(self.totals)
        self.taken: list[int] = []

    def take_best(self, candidates: NDArray[np.bool_]) -> bool:
        """Take the candidate (g,) that leaves the best balance; tell whether there was one."""
        allowed = np.flatnonzero(candidates & self.free & self._spares_positives())
        allowed = allowed[~np.isin(allowed, self.taken)]
        if not allowed.size:
            return False
        best = int(allowed[np.argmin(self._imbalance(self.counts[allowed]))])
        self.taken.append(best)
        self.held = self.held + self.counts[best]
        return True

    def wanting(self) -> NDArray[np.bool_]:
        """Tell for each group (g,) whether it holds what a feature that needs a judge has none of."""
        return np.asarray((self.counts[:, self._needed() & (self.held == 0)] > 0).any(axis=1))

    def give_back(self) -> bool:
        """Give back a group without which the share is nearer and no judge is lost; tell whether there was one."""
        needed = self._needed() & (self.held > 0)
        spare = [
            group
            for group in sorted(self.taken)
            if self.sizes[group] < -2 * self._missing() and (self.held - self.counts[group] > 0)[needed].all()
        ]
        if not spare:
            return False
        without = [self._imbalance(-self.counts[[group]])[0] for group in spare]
        group = spare[int(np.argmin(without))]
        self.taken.remove(group)
        self.held = self.held - self.counts[group]
        return True

    def nearer(self) -> NDArray[np.bool_]:
        """Tell for each group (g,) whether the share held out is nearer to the one asked for with it."""
        return np.asarray(self.sizes < 2 * self._missing())

    def _needed(self) -> NDArray[np.bool_]:
        """Tell for each sign of each feature (2f,) whether it needs a judge."""
        enough = self.totals >= FEWEST_POSITIVES
        return np.asarray(enough & np.tile(enough[: self.features], 2))  # few positives are not judged

    def _missing(self) -> float:
        """Return how many tiles too few are held out."""
        return float(self.share * self.sizes.sum() - self.sizes[self.taken].sum())

    def _spares_positives(self) -> NDArray[np.bool_]:
        """Tell for each group (g,) whether every feature that it has positives of keeps one for training."""
        own = self.counts[:, : self.features]
        left = (self.totals - self.held)[: self.features] - own
        return np.asarray(((own == 0) | (left > 0)).all(axis=1))

    def _imbalance(self, changes: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the sum of squared deviations from the share, over features and signs, after changes (c, 2f)."""
        present = self.totals > 0
        shares = (self.held + changes)[:, present] / self.totals[present]
        deviations = (shares - self.share) ** 2
        # Sorted, the sum has the same rounding for any order of the features.
        return np.asarray(np.sort(deviations, axis=1).sum(axis=1), np.float64)
