"""Choose the tiles of each training step, change them, and have them ready when the step begins.

The tiles of an epoch are a function of seed and epoch, what is done to them one of seed, epoch and
step; the thread that prepares them beside the training changes nothing about that.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.augment import (
    TURNS_ONLY,
    Augmentation,
    Patch,
    augment,
    is_wide,
    mirrored,
    step_generator,
    with_beginning,
)
from tomoseg_tui.core.network_settings import NetworkSettings, TrainingSettings, network_named
from tomoseg_tui.core.patches import TilePatches, input_edge, window_of

READY_BATCHES = 3
"""Batches prepared ahead of the step that asks for them."""
WIDE_SHARE = 0.25
"""Share of the positives that a wide feature fills; two thin ones side by side fill a tile now and then."""
ORDER_STEP = 2**32 - 1
"""Stands for the step in the generator of an epoch's order."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step is given."""

    densities: NDArray[np.float32]
    """Shape (n, y, x, slice)."""
    layers: NDArray[np.uint8]
    """Shape (n, y, x, slice out, feature): 0 beyond the tile and on the slices above and below it."""


def tile_order(
    signs: NDArray[np.int8], teaching: NDArray[np.intp], count: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Choose tiles so that features take turns, and positives and negatives of each.

    Parameters
    ----------
    signs : ndarray of int8, shape (n, f)
        1 positive, -1 negative, 0 unknown.
    teaching : ndarray of int
        Indices of the tiles that may be chosen, at least one.
    count : int
        How many to choose.
    rng : numpy.random.Generator
        Shuffles each group anew whenever all of it has been chosen.

    Returns
    -------
    ndarray of int, shape (count,)
        Every tile of a group is chosen before one is chosen again. Groups that are empty give their
        turns to the others; tiles of unknown sign alone are chosen evenly.
    """
    groups = [teaching[signs[teaching, feature] == sign] for feature in range(signs.shape[1]) for sign in (1, -1)]
    streams = [_shuffled(group, rng) for group in groups if len(group)] or [_shuffled(teaching, rng)]
    return np.array([next(streams[turn % len(streams)]) for turn in range(count)], dtype=np.intp)


def _shuffled(group: NDArray[np.intp], rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(group)


def epoch_batches(
    patches: TilePatches, settings: TrainingSettings, epoch: int, steps: int, augmentation: Augmentation | None = None
) -> Generator[Batch, None, None]:
    """Yield the batches of an epoch, prepared by a thread of their own.

    Parameters
    ----------
    patches : TilePatches
        Held-out tiles are never chosen.
    settings : TrainingSettings
        Network, batch and seed.
    epoch, steps : int
        Number of the epoch, from 0, and how many batches it has.
    augmentation : Augmentation, optional
        What is done to the tiles; by default what the network's kind is trained with.
    """
    network = network_named(settings.network)
    chosen = augmentation or (TURNS_ONLY if network.kind == "stack" else Augmentation())
    rng = step_generator(settings.seed, epoch, ORDER_STEP)
    teaching = np.flatnonzero(~patches.held_out)
    wide = wide_features(patches)
    order = tile_order(patches.signs, teaching, steps * settings.batch, rng).reshape(steps, settings.batch)

    def prepare(step: int) -> Batch:
        return make_batch(patches, order[step], step_generator(settings.seed, epoch, step), network, chosen, wide)

    yield from _prepared_ahead(prepare, steps)


def _prepared_ahead(prepare: Callable[[int], Batch], steps: int) -> Generator[Batch, None, None]:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as thread:
        waiting = deque(thread.submit(prepare, step) for step in range(min(READY_BATCHES, steps)))
        following = iter(range(READY_BATCHES, steps))
        while waiting:
            ready = waiting.popleft().result()
            waiting.extend(thread.submit(prepare, step) for step in islice(following, 1))
            yield ready


def make_batch(
    patches: TilePatches,
    tiles: NDArray[np.intp],
    rng: np.random.Generator,
    network: NetworkSettings,
    augmentation: Augmentation,
    wide: NDArray[np.bool_],
) -> Batch:
    """Cut and change the named tiles; `rng` is used tile after tile, `wide` comes from `wide_features`."""
    edge = input_edge(network, patches.tile)
    places = rng.integers(network.slices_out, size=len(tiles))
    changed = []
    for tile, place in zip(tiles, places, strict=True):
        patch = _tile_beside_features(patches, tile, wide, rng, augmentation.beginning)
        patch = mirrored(patch, rng) if augmentation.mirror else patch
        patch = Patch(window_of(network, patch.densities, place), patch.layers)
        changed.append(augment(patch, rng, edge, augmentation))
    return Batch(
        densities=np.stack([np.moveaxis(patch.densities, 0, -1) for patch in changed]),  # (n, y, x, slice)
        layers=placed(np.stack([patch.layers for patch in changed]), places, network.slices_out),
    )


def _tile_beside_features(
    patches: TilePatches, tile: int, wide: NDArray[np.bool_], rng: np.random.Generator, share: float
) -> Patch:
    """Return a tile; of those that lack a wide feature and hold no other, a share with one beginning beside it."""
    patch = Patch(patches.densities[tile], patches.layers[tile])
    others = np.flatnonzero(wide[:, patches.signs[tile] < 0].any(axis=1))
    if not len(others) or (patches.signs[tile] > 0).any() or rng.random() >= share:
        return patch
    other = rng.choice(others)
    return with_beginning(patch, Patch(patches.densities[other], patches.layers[other]), rng)


def wide_features(patches: TilePatches) -> NDArray[np.bool_]:
    """Return which training tiles show which wide feature (n, f): one that is wide on `WIDE_SHARE` of its tiles."""
    positive = (patches.signs > 0) & ~patches.held_out[:, np.newaxis]
    wide = positive.copy()
    for tile, feature in np.argwhere(positive):
        wide[tile, feature] = is_wide(patches.layers[tile, feature] == FEATURE)
    often: NDArray[np.bool_] = wide.sum(axis=0) >= WIDE_SHARE * positive.sum(axis=0)  # (f,)
    return wide & often


def placed(layers: NDArray[np.uint8], places: NDArray[np.intp], slices_out: int) -> NDArray[np.uint8]:
    """Put layers (n, feature, y, x) among the slices segmented at once: (n, y, x, slice out, feature), 0 elsewhere."""
    count, features, rows, columns = layers.shape
    among = np.zeros((count, rows, columns, slices_out, features), np.uint8)
    among[np.arange(count), :, :, places] = np.moveaxis(layers, 1, -1)
    return among
