"""The tiles of training steps."""

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.augment import NO_AUGMENTATION, Augmentation
from tomoseg_tui.core.network_settings import TrainingSettings
from tomoseg_tui.core.patches import CONTEXT_PIXELS, TilePatches
from tomoseg_tui.ml.batches import (
    WIDE_LOSS_WEIGHT,
    balanced_tile_order,
    epoch_batches,
    feature_loss_weights,
    trainable_signs,
)


@given(st.integers(0, 1000), st.integers(1, 20), st.integers(1, 20))
def test_positives_and_negatives_alternate(seed: int, positives: int, negatives: int) -> None:
    signs = np.array([[1]] * positives + [[-1]] * negatives, np.int8)
    order = balanced_tile_order(signs, np.arange(len(signs)), 16, np.random.default_rng(seed))
    assert (signs[order, 0] == 1).sum() == 8


@given(st.integers(0, 1000), st.integers(1, 20))
def test_every_tile_of_a_group_is_chosen_before_any_is_repeated(seed: int, positives: int) -> None:
    order = balanced_tile_order(
        np.ones((positives, 1), np.int8), np.arange(positives), positives, np.random.default_rng(seed)
    )
    assert sorted(order) == list(range(positives))


def test_features_alternate_whatever_their_number_of_tiles() -> None:
    signs = np.array([[1, -1]] * 30 + [[-1, 1]] * 2, np.int8)
    order = balanced_tile_order(signs, np.arange(32), 400, np.random.default_rng(0))
    assert (order >= 30).sum() == 200


def test_tiles_of_unknown_sign_are_chosen_evenly() -> None:
    order = balanced_tile_order(np.zeros((4, 1), np.int8), np.arange(4), 8, np.random.default_rng(0))
    assert np.bincount(order).tolist() == [2, 2, 2, 2]


def test_a_single_positive_tile_is_enough_for_batches(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings
) -> None:
    alone = make_tiles(count=1, held_out=0)
    (batch,) = epoch_batches(alone, brief, epoch=0, steps=1)
    assert batch.densities.shape == (2, 48, 48, 1)
    assert batch.layers.shape == (2, 48, 48, 1, 1)


def test_the_same_seed_and_epoch_give_the_same_batches(spheres: TilePatches, brief: TrainingSettings) -> None:
    once, again = (list(epoch_batches(spheres, brief, epoch=3, steps=5)) for _ in range(2))
    assert all(np.array_equal(a.densities, b.densities) for a, b in zip(once, again, strict=True))


def test_another_epoch_gives_other_batches(spheres: TilePatches, brief: TrainingSettings) -> None:
    (once,), (other,) = (list(epoch_batches(spheres, brief, epoch, steps=1)) for epoch in (0, 1))
    assert not np.array_equal(once.densities, other.densities)


def test_held_out_tiles_are_never_chosen(make_tiles: Callable[..., TilePatches], brief: TrainingSettings) -> None:
    tiles = make_tiles(count=6, held_out=3)
    tiles.densities[tiles.held_out] = np.nan
    assert all(np.isfinite(batch.densities).all() for batch in epoch_batches(tiles, brief, epoch=0, steps=20))


@pytest.mark.parametrize("blank", [0, 3])
def test_a_tile_without_labelled_pixels_is_not_chosen(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings, blank: int
) -> None:
    tiles = make_tiles(count=6, held_out=0)  # the third and the last tile have no sphere
    tiles.layers[[0, 1, 3]] = blank
    tiles.densities[[0, 1, 3]] = np.nan
    windows = [*epoch_batches(tiles, brief, epoch=0, steps=20)][::2]
    assert all(np.isfinite(batch.densities).all() for batch in windows)
    assert [(batch.layers == 2).any(axis=(1, 2, 3, 4)).sum() for batch in windows] == [1] * 10


def test_a_tile_is_chosen_only_for_features_with_labelled_pixels(make_tiles: Callable[..., TilePatches]) -> None:
    one = make_tiles(count=3, held_out=0)
    two = beside(one, one)
    two.layers[0, 1] = 3
    assert trainable_signs(one).tolist() == one.signs.tolist()
    assert trainable_signs(two).tolist() == [[1, 0], [1, 1], [-1, -1]]


def test_eman2s_network_gets_the_tile_without_surroundings(spheres: TilePatches) -> None:
    settings = TrainingSettings(network="eman2", epochs=1, learning_rate=1e-4, batch=4)
    (batch,) = epoch_batches(spheres, settings, epoch=0, steps=1)
    assert batch.densities.shape == (4, 16, 16, 1)


def test_the_prefetching_thread_ends_with_the_epoch(spheres: TilePatches, brief: TrainingSettings) -> None:
    before = threading.enumerate()  # of interrupted trainings in other tests
    batches = epoch_batches(spheres, brief, epoch=0, steps=50)
    next(batches)
    preparing = [
        thread for thread in threading.enumerate() if thread.name.startswith("batches") and thread not in before
    ]
    batches.close()
    for thread in preparing:
        thread.join(timeout=30)  # it may be in the middle of a batch
    assert preparing
    assert not any(thread.is_alive() for thread in preparing)


def test_an_error_while_prefetching_reaches_the_caller(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings
) -> None:
    tiles = make_tiles(count=2, held_out=0)
    broken = TilePatches(tiles.densities[:1], tiles.layers, tiles.signs, tiles.held_out, tiles.features)
    with pytest.raises(IndexError):
        list(epoch_batches(broken, brief, epoch=0, steps=5))


def test_a_tile_is_labelled_on_its_own_output_slice_only(make_tiles: Callable[..., TilePatches]) -> None:
    """The middle slice of the tile is at its output slice in the window."""
    tiles = make_tiles(count=3, held_out=0)
    tiles.densities[:] = np.arange(9, dtype=np.float32)[:, np.newaxis, np.newaxis]
    still = replace(NO_AUGMENTATION, mirror=True)
    settings = TrainingSettings(network="three", epochs=1, learning_rate=1e-3, batch=30)
    (batch,) = epoch_batches(tiles, settings, epoch=0, steps=1, augmentation=still)
    known = batch.layers.any(axis=(1, 2, 4))  # (n, place)
    assert known.sum(axis=1).tolist() == [1] * 30
    assert known.any(axis=0).all()
    places = known.argmax(axis=1)
    assert batch.densities[np.arange(30), 24, 24, 2 + places].tolist() == [4.0] * 30


def numbered_tiles(make_tiles: Callable[..., TilePatches], count: int) -> TilePatches:
    """Return tiles whose densities are their number, and whose layers differ between odd and even ones."""
    tiles = make_tiles(count=count, held_out=0)
    tiles.densities[:] = np.arange(count, dtype=np.float32)[:, np.newaxis, np.newaxis, np.newaxis]
    tiles.layers[:] = (1 + np.arange(count, dtype=np.uint8) % 2)[:, np.newaxis, np.newaxis, np.newaxis]
    return tiles


def test_every_other_step_has_mosaics_with_more_tiles_but_no_more_pixels(
    make_tiles: Callable[..., TilePatches],
) -> None:
    tiles = numbered_tiles(make_tiles, 16)
    settings = TrainingSettings(network="three", epochs=1, learning_rate=1e-3, batch=4)
    windows, mosaics, again = epoch_batches(tiles, settings, epoch=0, steps=3, augmentation=NO_AUGMENTATION)
    assert windows.densities.shape == again.densities.shape == (4, 48, 48, 7)
    assert mosaics.densities.shape == (9, 32, 32, 7)
    assert mosaics.densities[..., 0].size <= windows.densities[..., 0].size
    assert mosaics.layers.shape == (9, 32, 32, 3, 1)


def test_a_mosaic_has_four_tiles_with_their_annotations(make_tiles: Callable[..., TilePatches]) -> None:
    tiles = numbered_tiles(make_tiles, 16)
    settings = TrainingSettings(network="three", epochs=1, learning_rate=1e-3, batch=4)
    _, mosaics = epoch_batches(tiles, settings, epoch=0, steps=2, augmentation=NO_AUGMENTATION)
    layers = mosaics.layers.max(axis=(3, 4))  # those of the labelled slice
    for y, x in ((0, 0), (0, 16), (16, 0), (16, 16)):
        own = mosaics.densities[:, y : y + 16, x : x + 16]
        numbers = own[:, 0, 0, 0]
        assert (own == numbers[:, np.newaxis, np.newaxis, np.newaxis]).all()
        parity = 1 + numbers.astype(np.uint8) % 2
        assert (layers[:, y : y + 16, x : x + 16] == parity[:, np.newaxis, np.newaxis]).all()
    assert len(np.unique(mosaics.densities)) > 4


def test_eman2s_network_gets_no_mosaics(spheres: TilePatches) -> None:
    settings = TrainingSettings(network="eman2", epochs=1, learning_rate=1e-4, batch=4)
    shapes = {batch.densities.shape for batch in epoch_batches(spheres, settings, epoch=0, steps=4)}
    assert shapes == {(4, 16, 16, 1)}


BEGINNING = replace(NO_AUGMENTATION, mirror=True, start_share=1.0)
"""Only mirroring, and a feature that starts beside each negative."""


def film_tiles(*, positive: int = 4, wide: int = 4, edge: int = 64) -> TilePatches:
    """Return tiles with a feature of density 1, wide on some and thin on others, and six without, of density 0."""
    count, size = positive + 6, edge + 2 * CONTEXT_PIXELS
    holds = np.arange(count) < positive
    layers = np.ones((count, 1, edge, edge), np.uint8)
    layers[:positive, 0, 10:14], layers[:wide, 0] = 2, 2
    densities = np.broadcast_to(holds[:, np.newaxis, np.newaxis, np.newaxis], (count, 9, size, size))
    signs = np.where(holds, 1, -1).astype(np.int8)[:, np.newaxis]
    return TilePatches(densities.astype(np.float32), layers, signs, np.zeros(count, bool), ("film",))


def far_and_own(tiles: TilePatches, augmentation: Augmentation = BEGINNING) -> tuple[set[float], set[float]]:
    """Return the densities of the outermost slices and of the tiles' own, where nothing is labelled as feature."""
    settings = TrainingSettings(network="three", epochs=1, learning_rate=1e-3, batch=60)
    (batch,) = epoch_batches(tiles, settings, epoch=0, steps=1, augmentation=augmentation)
    negative = ~(batch.layers == 2).any(axis=(1, 2, 3, 4))
    places = batch.layers.any(axis=(1, 2, 4)).argmax(axis=1)
    middle = batch.densities[:, batch.densities.shape[1] // 2, batch.densities.shape[2] // 2]  # (n, slice)
    own = middle[np.arange(60), 2 + places]
    return set(middle[negative][:, [0, -1]].ravel().tolist()), set(own[negative].tolist())


def test_a_wide_feature_starts_beside_negative_tiles_and_never_on_them() -> None:
    far, own = far_and_own(film_tiles())
    assert {0.0, 1.0} <= far
    assert own == {0.0}


def test_no_feature_starts_with_a_share_of_0() -> None:
    still = replace(BEGINNING, start_share=0.0)
    assert far_and_own(film_tiles(), still) == ({0.0}, {0.0})


def test_a_thin_feature_is_not_started() -> None:
    """Nor does a feature that fills a tile now and then."""
    assert far_and_own(film_tiles(positive=6, wide=0)) == ({0.0}, {0.0})
    assert far_and_own(film_tiles(positive=6, wide=1)) == ({0.0}, {0.0})


def test_a_feature_starts_beside_a_tile_only_if_the_tile_has_none() -> None:
    """Tiles of unknown sign may contain it themselves."""
    tiles = film_tiles()
    tiles.signs[tiles.signs < 0] = 0
    settings = TrainingSettings(network="three", epochs=1, learning_rate=1e-3, batch=60)
    (batch,) = epoch_batches(tiles, settings, epoch=0, steps=1, augmentation=BEGINNING)
    assert (batch.densities.min(axis=3) == batch.densities.max(axis=3)).all()


def test_a_started_feature_is_never_from_a_held_out_tile() -> None:
    tiles = film_tiles()
    tiles.held_out[:2] = True
    tiles.densities[:2] = np.nan
    far, own = far_and_own(tiles)
    assert 1.0 in far
    assert np.isfinite([*far, *own]).all()


def ends_mirrored(window: NDArray[np.float32]) -> bool:
    """Return whether the outer 16 pixels (y, x, slice) of one side are a mirrored copy of their neighbours."""
    sides = [np.rot90(window, turns) for turns in range(4)]
    return any(np.array_equal(side[:16], side[17:33][::-1]) for side in sides)


@pytest.mark.parametrize("wide", [0, 4])
def test_windows_labelled_for_a_wide_feature_get_mirrored_borders(wide: int) -> None:
    tiles = film_tiles(wide=wide)
    tiles.densities[:] = np.random.default_rng(0).standard_normal(tiles.densities.shape)
    settings = TrainingSettings(network="three", epochs=1, learning_rate=1e-3, batch=8)
    (batch,) = epoch_batches(tiles, settings, epoch=0, steps=1, augmentation=replace(NO_AUGMENTATION, border_share=1.0))
    assert [ends_mirrored(window) for window in batch.densities] == [wide > 0] * 8


@pytest.mark.parametrize("wide", [0, 4])
def test_tiles_labelled_for_a_wide_feature_get_a_density_wave(wide: int) -> None:
    """In windows and in each tile of a mosaic; all are flat without it."""
    tiles = film_tiles(wide=wide)
    tiles.densities[:] = 0
    settings = TrainingSettings(network="three", epochs=1, learning_rate=1e-3, batch=4)
    for batch in epoch_batches(
        tiles, settings, epoch=0, steps=2, augmentation=replace(NO_AUGMENTATION, wave_sigma=1.0)
    ):
        assert [float(np.ptp(window)) > 0 for window in batch.densities] == [wide > 0] * len(batch.densities)


def test_a_wide_feature_weighs_less_with_thin_ones_and_1_alone() -> None:
    film, line = film_tiles(), film_tiles(wide=0)
    assert feature_loss_weights(film).tolist() == feature_loss_weights(line).tolist() == [1]
    assert feature_loss_weights(beside(film, line)).tolist() == pytest.approx([WIDE_LOSS_WEIGHT, 1])
    assert (
        feature_loss_weights(beside(film, film)).tolist() == feature_loss_weights(beside(line, line)).tolist() == [1, 1]
    )


def beside(one: TilePatches, other: TilePatches) -> TilePatches:
    """Return tiles that are labelled for the features of two sets."""
    layers = np.concatenate([one.layers, other.layers], axis=1, dtype=np.uint8)
    signs = np.concatenate([one.signs, other.signs], axis=1, dtype=np.int8)
    return replace(one, layers=layers, signs=signs, features=(*one.features, "other"))
