"""Choose and augment the tiles of each training step, and prepare them in advance.

The tiles of an epoch depend on seed and epoch only, their augmentation on seed, epoch and step. They do not depend on
the thread that prepares them.
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
"""Batches prepared in advance."""
WIDE_SHARE = 0.25
"""Least share of its positive tiles on which a wide feature is wide; two thin ones side by side can fill a tile too."""
WIDE_LOSS_WEIGHT = 0.2
"""Weight of a wide feature in the loss if there are thin ones. A wide feature is learned in a few epochs; with full
weight it reduced the Dice of faint thin features: that of microtubules and membranes by 0.04 with carbon."""
MOSAIC_EDGE = 2
"""Tiles of a mosaic along y and along x."""
ORDER_STEP = 2**32 - 1
"""Step number for the generator of an epoch's tile order."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Input of one training step."""

    densities: NDArray[np.float32]
    """Shape (n, y, x, slice)."""
    layers: NDArray[np.uint8]
    """Shape (n, y, x, slice out, feature): 0 outside the tile and on the other output slices."""


def trainable_signs(patches: TilePatches) -> NDArray[np.int8]:
    """Return the signs (n, f), 0 where a tile's layer has no labelled pixel, so that the tile is not chosen for it."""
    return np.where(labelled_pixels(patches.layers).any(axis=(2, 3)), patches.signs, np.int8(0))


def balanced_tile_order(
    signs: NDArray[np.int8], candidates: NDArray[np.intp], count: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Choose tiles alternately for each feature, and alternately positive and negative.

    Parameters
    ----------
    signs : ndarray of int8, shape (n, f)
        1 positive, -1 negative, 0 unknown.
    candidates : ndarray of int
        Indices of the tiles to choose from, at least one.
    rng : numpy.random.Generator
        Shuffles a group (a feature and a sign) again whenever all of it was chosen.

    Returns
    -------
    ndarray of int, shape (count,)
        Every tile of a group is chosen before any is chosen again. Empty groups are left out; if all signs are
        unknown, all tiles are one group.
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
    """Yield the batches of an epoch, prepared in a separate thread.

    Parameters
    ----------
    patches : TilePatches
        Held-out tiles are never chosen.
    epoch, steps : int
        Number of the epoch, from 0, and number of its batches.
    augmentation : Augmentation, optional
        Augmentation of the tiles; by default that for the network's kind.
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
    """Return whether a step is trained on mosaics: every other one, and none for EMAN2's network."""
    return network.kind == "unet" and step % 2 == 1


def _tiles_per_step(source: "_TileSource", batch: int, step: int) -> int:
    """Return the number of tiles in a step: a batch of windows, or mosaics of at most as many pixels."""
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
    """Training tiles and their augmentation."""

    patches: TilePatches
    network: NetworkSettings
    augmentation: Augmentation
    wide: NDArray[np.bool_]
    """Result of `wide_features`."""

    def augmented_patch(self, tile: int, position: int, edge: int, rng: np.random.Generator) -> Patch:
        """Return an augmented window of a tile, which is at `position` among the output slices."""
        patch = _tile_beside_feature(self.patches, tile, self.wide, rng, self.augmentation.start_share)
        patch = random_flip(patch, rng) if self.augmentation.mirror else patch
        patch = Patch(slices_for_position(self.network, patch.densities, position), patch.layers)
        patch = augment(patch, rng, edge, self.augmentation)
        return add_density_wave(patch, self.augmentation.wave_sigma, rng) if self.is_labelled_wide(tile) else patch

    def is_labelled_wide(self, tile: int) -> bool:
        """Return whether a tile is labelled for a wide feature."""
        return bool((self.patches.signs[tile, self.wide.any(axis=0)] != 0).any())

    def random_border(self, tile: int, window: Patch, rng: np.random.Generator) -> Patch:
        """Return a window, at random with a mirrored border if the tile is labelled for a wide feature."""
        if not self.is_labelled_wide(tile) or rng.random() >= self.augmentation.border_share:
            return window
        return mirror_border(window, self.network.border_pixels, rng)

    def stack_batch(self, patches: Sequence[Patch], positions: NDArray[np.intp]) -> Batch:
        """Return the batch of these patches."""
        return Batch(
            densities=np.stack([np.moveaxis(patch.densities, 0, -1) for patch in patches]),  # (n, y, x, slice)
            layers=place_on_output_slices(
                np.stack([patch.layers for patch in patches]), positions, self.network.slices_out
            ),
        )


def window_batch(source: _TileSource, tiles: NDArray[np.intp], rng: np.random.Generator) -> Batch:
    """Return a batch with one window per tile, with surroundings."""
    edge = input_edge(source.network, source.patches.tile_size)
    positions = rng.integers(source.network.slices_out, size=len(tiles))
    windows = [
        source.augmented_patch(tile, position, edge, rng) for tile, position in zip(tiles, positions, strict=True)
    ]
    return source.stack_batch(
        [source.random_border(tile, window, rng) for tile, window in zip(tiles, windows, strict=True)], positions
    )


def mosaic_batch(source: _TileSource, tiles: NDArray[np.intp], rng: np.random.Generator) -> Batch:
    """Return a batch of mosaics of four tiles without surroundings.

    Every pixel computed contributes to the loss, so that a step trains on twice as many tiles. Neighbouring context is
    deliberately wrong, so that the network does not rely on distant pixels (as in CutMix, Yun et al. 2019,
    doi:10.1109/ICCV.2019.00612).
    """
    unshifted = replace(source, augmentation=replace(source.augmentation, shift_pixels=0))
    shuffled = rng.permutation(tiles).reshape(-1, MOSAIC_EDGE**2)  # otherwise features would have fixed neighbours
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
    """Return a tile; if it lacks a wide feature and has no other, at random with one starting beside it."""
    patch = Patch(patches.densities[tile], patches.layers[tile])
    neighbours = np.flatnonzero(wide[:, patches.signs[tile] < 0].any(axis=1))
    if not len(neighbours) or (patches.signs[tile] > 0).any() or rng.random() >= share:
        return patch
    neighbour = rng.choice(neighbours)
    return start_feature_beside(patch, Patch(patches.densities[neighbour], patches.layers[neighbour]), rng)


def wide_features(patches: TilePatches) -> NDArray[np.bool_]:
    """Return which training tiles show which wide feature, (n, f).

    A feature is wide if `is_wide_feature` holds on at least `WIDE_SHARE` of its positive training tiles.
    """
    positive = (trainable_signs(patches) > 0) & ~patches.held_out[:, np.newaxis]
    wide = positive.copy()
    for tile, feature in np.argwhere(positive):
        wide[tile, feature] = is_wide_feature(patches.layers[tile, feature] == FEATURE)
    is_mostly_wide: NDArray[np.bool_] = wide.sum(axis=0) >= WIDE_SHARE * positive.sum(axis=0)  # (f,)
    return wide & is_mostly_wide


def feature_loss_weights(patches: TilePatches) -> NDArray[np.float32]:
    """Return the weights of the features in the loss, (f,).

    They are 1, but `WIDE_LOSS_WEIGHT` for wide features if there are thin ones too.
    """
    wide = wide_features(patches).any(axis=0)
    return np.where(wide & ~wide.all(), WIDE_LOSS_WEIGHT, 1.0).astype(np.float32)


def place_on_output_slices(
    layers: NDArray[np.uint8], positions: NDArray[np.intp], slices_out: int
) -> NDArray[np.uint8]:
    """Place layers (n, feature, y, x) at their output slices: (n, y, x, slice out, feature), 0 on the other slices."""
    count, features, rows, columns = layers.shape
    output = np.zeros((count, rows, columns, slices_out, features), np.uint8)
    output[np.arange(count), :, :, positions] = np.moveaxis(layers, 1, -1)
    return output
