"""Augmentation of training patches."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.augment import (
    MIN_WAVELENGTH_ZYX,
    NO_AUGMENTATION,
    ROTATIONS_ONLY,
    Augmentation,
    Patch,
    add_density_wave,
    augment,
    is_wide_feature,
    jitter_intensity,
    mirror_border,
    random_affine,
    random_flip,
    start_feature_beside,
    step_generator,
)

EDGE, TILE = 48, 16
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def patch() -> Patch:
    rng = np.random.default_rng(7)
    densities = rng.standard_normal((5, EDGE, EDGE), dtype=np.float32)
    return Patch(densities, rng.integers(0, 4, (2, TILE, TILE), dtype=np.uint8))


def disc_patch() -> Patch:
    """Return a bright disc off the centre of the tile, with a layer of the same disc."""
    y, x = np.mgrid[:EDGE, :EDGE] - (EDGE - 1) / 2
    disc = (y - 2) ** 2 + (x + 1) ** 2 < 4**2
    inner = slice((EDGE - TILE) // 2, (EDGE + TILE) // 2)
    layer = np.where(disc[inner, inner], 2, 1).astype(np.uint8)
    return Patch(np.repeat(disc[np.newaxis].astype(np.float32), 3, axis=0), layer[np.newaxis])


@given(SEEDS)
def test_shapes_and_types_are_kept_and_the_patch_is_unchanged(seed: int) -> None:
    patch = disc_patch()
    before = patch.densities.copy()
    changed = augment(patch, np.random.default_rng(seed), 32, Augmentation())
    assert (changed.densities.shape, changed.densities.dtype) == ((3, 32, 32), np.dtype(np.float32))
    assert (changed.layers.shape, changed.layers.dtype) == ((1, 32, 32), np.dtype(np.uint8))
    assert np.array_equal(patch.densities, before)


def test_the_same_generator_gives_the_same_patch(patch: Patch) -> None:
    once, again = (augment(patch, step_generator(3, 2, 1), 32, Augmentation()) for _ in range(2))
    assert np.array_equal(once.densities, again.densities)
    assert np.array_equal(once.layers, again.layers)


def test_another_seed_epoch_or_step_gives_another_generator() -> None:
    numbers = {step_generator(*key).integers(2**60) for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]}
    assert len(numbers) == 4


@given(SEEDS)
def test_densities_and_layers_rotate_together(seed: int) -> None:
    """The disc in the densities stays where its layer is."""
    turned = random_affine(disc_patch(), np.random.default_rng(seed), 32, Augmentation(shift_pixels=(32 - TILE) // 2))
    bright, known = turned.densities[0] > 0.5, turned.layers[0] != 0
    overlap = bright & (turned.layers[0] == 2)
    assert 2 * overlap.sum() > 0.85 * (bright[known].sum() + (turned.layers[0] == 2).sum())


@given(SEEDS)
def test_mirroring_moves_densities_and_layers_together(seed: int) -> None:
    patch = disc_patch()
    turned = random_flip(patch, np.random.default_rng(seed))
    inner = slice((EDGE - TILE) // 2, (EDGE + TILE) // 2)
    assert np.array_equal(turned.densities[0, inner, inner] > 0.5, turned.layers[0] == 2)


def band(width: int) -> NDArray[np.bool_]:
    """Return a mask of 64 x 64 with a band of `width` pixels across its middle."""
    mask = np.zeros((64, 64), bool)
    mask[32 - width // 2 : 32 - width // 2 + width] = True
    return mask


def test_a_microtubule_is_not_wide_and_a_film_is() -> None:
    assert [is_wide_feature(band(width)) for width in (0, 4, 18, 30, 32, 64)] == [
        False,
        False,
        False,
        False,
        True,
        True,
    ]


def test_a_feature_is_assumed_to_continue_beyond_the_border_of_its_tile() -> None:
    """A band of 16 pixels along the border is the visible half of a band of 32."""
    assert is_wide_feature(np.roll(band(16), -24, axis=0))


def flat(value: float) -> Patch:
    """Return nine slices of one density."""
    return Patch(np.full((9, EDGE, EDGE), value, np.float32), np.ones((1, TILE, TILE), np.uint8))


@given(SEEDS)
def test_a_feature_starts_two_or_three_slices_from_the_tiles_own(seed: int) -> None:
    begun = start_feature_beside(flat(0), flat(1), np.random.default_rng(seed)).densities[:, 0, 0]
    whole = np.flatnonzero(begun == 1) - 4
    assert {abs(z) for z in whole} in ({2, 3, 4}, {3, 4})
    assert begun[4] == 0
    assert all(begun[4 + side * distance] < 1 for side in (-1, 1) for distance in (0, 1))


@given(SEEDS)
def test_a_feature_that_starts_on_one_side_leaves_the_other_unchanged(seed: int) -> None:
    begun = start_feature_beside(flat(0), flat(1), np.random.default_rng(seed)).densities[:, 0, 0]
    above, below = begun[5:].any(), begun[:4].any()
    assert above or below
    assert (begun[8] == 1) == above
    assert (begun[0] == 1) == below


def test_features_start_above_or_below_and_sometimes_both() -> None:
    begun = [start_feature_beside(flat(0), flat(1), np.random.default_rng(seed)).densities for seed in range(60)]
    ends = {(bool(one[0, 0, 0]), bool(one[8, 0, 0])) for one in begun}
    assert ends == {(True, False), (False, True), (True, True)}


@given(SEEDS)
def test_starting_a_feature_changes_no_layer_and_no_input(seed: int) -> None:
    own, other = flat(0), flat(1)
    begun = start_feature_beside(own, other, np.random.default_rng(seed))
    assert np.array_equal(begun.layers, own.layers)
    assert (own.densities.max(), other.densities.min()) == (0, 1)


@given(SEEDS)
def test_a_rotation_adds_no_layer_value(seed: int) -> None:
    assert set(np.unique(random_affine(disc_patch(), np.random.default_rng(seed), 32, ROTATIONS_ONLY).layers)) <= {
        0,
        1,
        2,
    }


@given(SEEDS)
def test_rotated_corners_are_not_empty(seed: int) -> None:
    """A patch of ones stays ones everywhere, because the surroundings fill the corners."""
    ones = Patch(np.ones((1, EDGE, EDGE), np.float32), np.ones((1, TILE, TILE), np.uint8))
    assert np.allclose(random_affine(ones, np.random.default_rng(seed), 32, Augmentation()).densities, 1)


def test_no_augmentation_crops_the_middle(patch: Patch) -> None:
    same = augment(patch, np.random.default_rng(0), 32, NO_AUGMENTATION)
    assert np.allclose(same.densities, patch.densities[:, 8:40, 8:40], atol=1e-5)
    assert np.array_equal(same.layers[:, 8:24, 8:24], patch.layers)
    assert not same.layers[:, :8].any()


def test_grey_values_change_within_the_settings(patch: Patch) -> None:
    rng = np.random.default_rng(1)
    changed = [jitter_intensity(patch.densities, rng, Augmentation()) for _ in range(20)]
    assert all(abs(float(one.mean())) < 0.3 for one in changed)
    assert all(0.5 < float(one.std()) < 2 for one in changed)
    assert len({float(one.mean()) for one in changed}) == 20


@given(SEEDS)
def test_a_shifted_tile_stays_in_its_window(seed: int) -> None:
    still = replace(NO_AUGMENTATION, shift_pixels=(32 - TILE) // 2)
    moved = random_affine(disc_patch(), np.random.default_rng(seed), 32, still)
    assert (moved.layers != 0).sum() == TILE**2
    assert (moved.layers == 2).sum() == (disc_patch().layers == 2).sum()


def test_some_tiles_touch_the_border_of_their_window() -> None:
    still = replace(NO_AUGMENTATION, shift_pixels=(32 - TILE) // 2)
    moved = [random_affine(disc_patch(), np.random.default_rng(seed), 32, still).layers[0] != 0 for seed in range(40)]
    touching = [known[0].any() or known[-1].any() or known[:, 0].any() or known[:, -1].any() for known in moved]
    assert 8 < sum(touching) < 30


@given(seed=st.integers(0, 1000))
def test_a_border_mirrors_a_patch_and_its_layers_at_one_side(seed: int) -> None:
    numbers = np.arange(24 * 24).reshape(1, 24, 24)
    patch = Patch(numbers.astype(np.float32), (numbers % 4).astype(np.uint8))
    ended = mirror_border(patch, 8, np.random.default_rng(seed))
    changed = np.argwhere(ended.densities[0] != numbers[0])
    along = int(np.ptp(changed[:, 0]) == 23)  # the axis that is cut
    at = changed[:, along]
    assert (at.min(), at.max()) in {(0, 7), (16, 23)}
    line = 8 if at.min() == 0 else 15
    mirrored = np.moveaxis(ended.densities[0], along, 0)
    for step in range(1, 9):
        assert np.array_equal(mirrored[line + step], mirrored[line - step])
    assert np.array_equal(ended.layers, (ended.densities % 4).astype(np.uint8))


@given(SEEDS)
def test_a_wave_is_long_and_no_higher_than_requested(seed: int) -> None:
    patch = Patch(np.zeros((8, 96, 96), np.float32), np.ones((1, 64, 64), np.uint8))
    waved = add_density_wave(patch, 0.5, np.random.default_rng(seed))
    assert 0 < np.abs(waved.densities).max() <= 0.5
    for axis, shortest in enumerate(MIN_WAVELENGTH_ZYX):
        assert np.abs(np.diff(waved.densities, axis=axis)).max() <= 0.5 * 2 * np.pi / shortest + 1e-6
    assert waved.layers is patch.layers
