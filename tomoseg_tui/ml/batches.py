"""Choose the tiles of each training step, change them, and have them ready when the step begins.

The tiles of an epoch are a function of seed and epoch, what is done to them one of seed, epoch and
step; the thread that prepares them beside the training changes nothing about that.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, labelled_pixels
from tomoseg_tui.core.augment import (
    ROTATIONS_ONLY,
    Augmentation,
    Patch,
    add_density_wave,
    augment,
    is_wide_feature,
    mirror_border,
    random_flip,
    start_feature_beside,
    step_generator,
)
from tomoseg_tui.core.network_settings import NetworkSettings, TrainingSettings, network_named
from tomoseg_tui.core.patches import TilePatches, input_edge, slices_for_position

PREFETCH_BATCHES = 3
"""Batches prepared ahead of the step that asks for them."""
WIDE_SHARE = 0.25
"""Share of the positives that a wide feature fills; two thin ones side by side fill a tile now and then."""
WIDE_LOSS_WEIGHT = 0.2
"""How much a wide feature counts beside thin ones. It is learned in a few epochs, and what it asked of the layers that
all share was then missing for faint thin features: beside carbon, microtubules and membranes lost 0.04."""
MOSAIC_EDGE = 2
"""Tiles of a mosaic along y and along x."""
ORDER_STEP = 2**32 - 1
"""Stands for the step in the generator of an epoch's order."""


@dataclass(frozen=True, eq=False)
class Batch:
    """What one training step is given."""

    densities: NDArray[np.float32]
    """Shape (n, y, x, slice)."""
    layers: NDArray[np.uint8]
    """Shape (n, y, x, slice out, feature): 0 beyond the tile and on the slices above and below it."""


def trainable_signs(patches: TilePatches) -> NDArray[np.int8]:
    """Return the signs (n, f), 0 where no pixel of a tile's layer teaches: it would take a turn for nothing."""
    return np.where(labelled_pixels(patches.layers).any(axis=(2, 3)), patches.signs, np.int8(0))


def balanced_tile_order(
    signs: NDArray[np.int8], candidates: NDArray[np.intp], count: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Choose tiles so that features take turns, and positives and negatives of each.

    Parameters
    ----------
    signs : ndarray of int8, shape (n, f)
        1 positive, -1 negative, 0 unknown.
    candidates : ndarray of int
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
    groups = [candidates[signs[candidates, feature] == sign] for feature in range(signs.shape[1]) for sign in (1, -1)]
    streams = [_cycle_shuffled(group, rng) for group in groups if len(group)] or [_cycle_shuffled(candidates, rng)]
    return np.array([next(streams[index % len(streams)]) for index in range(count)], dtype=np.intp)


def _cycle_shuffled(group: NDArray[np.intp], rng: np.random.Generator) -> Iterator[int]:
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
    chosen = augmentation or (ROTATIONS_ONLY if network.kind == "stack" else Augmentation())
    source = _TileSource(patches, network, chosen, wide_features(patches))
    counts = [_tiles_per_step(source, settings.batch, step) for step in range(steps)]
    rng = step_generator(settings.seed, epoch, ORDER_STEP)
    order = balanced_tile_order(trainable_signs(patches), np.flatnonzero(~patches.held_out), sum(counts), rng)
    tiles = np.split(order, np.cumsum(counts)[:-1])

    def prepare(step: int) -> Batch:
        make_batch = mosaic_batch if _is_mosaic_step(network, step) else window_batch
        return make_batch(source, tiles[step], step_generator(settings.seed, epoch, step))

    yield from _prefetch(prepare, steps)


def _is_mosaic_step(network: NetworkSettings, step: int) -> bool:
    """Tell whether a step is given mosaics; every other one is. EMAN2's network has tiles without surroundings."""
    return network.kind == "unet" and step % 2 == 1


def _tiles_per_step(source: "_TileSource", batch: int, step: int) -> int:
    """Return how many tiles a step is given: windows of a whole batch, or mosaics of as many pixels, no more."""
    if not _is_mosaic_step(source.network, step):
        return batch
    pixels = batch * input_edge(source.network, source.patches.tile_size) ** 2
    return max(1, pixels // (MOSAIC_EDGE * source.patches.tile_size) ** 2) * MOSAIC_EDGE**2


def _prefetch(prepare: Callable[[int], Batch], steps: int) -> Generator[Batch, None, None]:
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches") as executor:
        pending = deque(executor.submit(prepare, step) for step in range(min(PREFETCH_BATCHES, steps)))
        remaining_steps = iter(range(PREFETCH_BATCHES, steps))
        while pending:
            batch = pending.popleft().result()
            pending.extend(executor.submit(prepare, step) for step in islice(remaining_steps, 1))
            yield batch


@dataclass(frozen=True, eq=False)
class _TileSource:
    """Tiles to learn from, and what is done to them."""

    patches: TilePatches
    network: NetworkSettings
    augmentation: Augmentation
    wide: NDArray[np.bool_]
    """Of `wide_features`."""

    def augmented_patch(self, tile: int, position: int, edge: int, rng: np.random.Generator) -> Patch:
        """Return a changed window of a tile, which stands as number `position` of the slices segmented at once."""
        patch = _tile_beside_feature(self.patches, tile, self.wide, rng, self.augmentation.start_share)
        patch = random_flip(patch, rng) if self.augmentation.mirror else patch
        patch = Patch(slices_for_position(self.network, patch.densities, position), patch.layers)
        patch = augment(patch, rng, edge, self.augmentation)
        return add_density_wave(patch, self.augmentation.wave_sigma, rng) if self.is_labelled_wide(tile) else patch

    def is_labelled_wide(self, tile: int) -> bool:
        """Tell whether a tile was looked at for a wide feature."""
        return bool((self.patches.signs[tile, self.wide.any(axis=0)] != 0).any())

    def random_border(self, tile: int, window: Patch, rng: np.random.Generator) -> Patch:
        """Return a window of a tile that was looked at for a wide feature, now and then, as one at the border."""
        if not self.is_labelled_wide(tile) or rng.random() >= self.augmentation.border_share:
            return window
        return mirror_border(window, self.network.border_pixels, rng)

    def stack_batch(self, patches: Sequence[Patch], positions: NDArray[np.intp]) -> Batch:
        """Stack what one step is given."""
        return Batch(
            densities=np.stack([np.moveaxis(patch.densities, 0, -1) for patch in patches]),  # (n, y, x, slice)
            layers=place_on_output_slices(
                np.stack([patch.layers for patch in patches]), positions, self.network.slices_out
            ),
        )


def window_batch(source: _TileSource, tiles: NDArray[np.intp], rng: np.random.Generator) -> Batch:
    """Give each tile a window of its own with its surroundings; `rng` is used tile after tile."""
    edge = input_edge(source.network, source.patches.tile_size)
    positions = rng.integers(source.network.slices_out, size=len(tiles))
    windows = [
        source.augmented_patch(tile, position, edge, rng) for tile, position in zip(tiles, positions, strict=True)
    ]
    return source.stack_batch(
        [source.random_border(tile, window, rng) for tile, window in zip(tiles, windows, strict=True)], positions
    )


def mosaic_batch(source: _TileSource, tiles: NDArray[np.intp], rng: np.random.Generator) -> Batch:
    """Put tiles together by fours, without surroundings: all that is computed teaches, and what is beside a tile lies.

    The network then learns twice as many tiles for the same work, and not to lean on what stands far from a pixel
    (as CutMix does, Yun et al. 2019, doi:10.1109/ICCV.2019.00612).
    """
    unshifted = replace(source, augmentation=replace(source.augmentation, shift_pixels=0))
    shuffled = rng.permutation(tiles).reshape(-1, MOSAIC_EDGE**2)  # else features would always have the same neighbours
    positions = rng.integers(source.network.slices_out, size=len(shuffled))
    mosaics = [
        join_mosaic([unshifted.augmented_patch(tile, position, source.patches.tile_size, rng) for tile in group])
        for group, position in zip(shuffled, positions, strict=True)
    ]
    return source.stack_batch(mosaics, positions)


def join_mosaic(patches: Sequence[Patch]) -> Patch:
    """Join four patches, two above two."""
    densities, layers = [patch.densities for patch in patches], [patch.layers for patch in patches]
    return Patch(*(np.block([arrays[:MOSAIC_EDGE], arrays[MOSAIC_EDGE:]]) for arrays in (densities, layers)))


def _tile_beside_feature(
    patches: TilePatches, tile: int, wide: NDArray[np.bool_], rng: np.random.Generator, share: float
) -> Patch:
    """Return a tile; of those that lack a wide feature and hold no other, a share with one beginning beside it."""
    patch = Patch(patches.densities[tile], patches.layers[tile])
    neighbours = np.flatnonzero(wide[:, patches.signs[tile] < 0].any(axis=1))
    if not len(neighbours) or (patches.signs[tile] > 0).any() or rng.random() >= share:
        return patch
    neighbour = rng.choice(neighbours)
    return start_feature_beside(patch, Patch(patches.densities[neighbour], patches.layers[neighbour]), rng)


def wide_features(patches: TilePatches) -> NDArray[np.bool_]:
    """Return which training tiles show which wide feature (n, f): one that is wide on `WIDE_SHARE` of its tiles."""
    positive = (trainable_signs(patches) > 0) & ~patches.held_out[:, np.newaxis]
    wide = positive.copy()
    for tile, feature in np.argwhere(positive):
        wide[tile, feature] = is_wide_feature(patches.layers[tile, feature] == FEATURE)
    is_mostly_wide: NDArray[np.bool_] = wide.sum(axis=0) >= WIDE_SHARE * positive.sum(axis=0)  # (f,)
    return wide & is_mostly_wide


def feature_loss_weights(patches: TilePatches) -> NDArray[np.float32]:
    """Return the weight of each feature in the loss (f,): 1, or `WIDE_LOSS_WEIGHT` for a wide one beside thin ones."""
    wide = wide_features(patches).any(axis=0)
    return np.where(wide & ~wide.all(), WIDE_LOSS_WEIGHT, 1.0).astype(np.float32)


def place_on_output_slices(
    layers: NDArray[np.uint8], positions: NDArray[np.intp], slices_out: int
) -> NDArray[np.uint8]:
    """Put layers (n, feature, y, x) among the slices segmented at once: (n, y, x, slice out, feature), 0 elsewhere."""
    count, features, rows, columns = layers.shape
    output = np.zeros((count, rows, columns, slices_out, features), np.uint8)
    output[np.arange(count), :, :, positions] = np.moveaxis(layers, 1, -1)
    return output
