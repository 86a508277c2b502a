"""Parts of the bench that a figure stands or falls with."""

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from shifts import SHIFTS, narrower_wedge
from unet_s import PARAMETERS, build_unet_s, dihedral, flops_per_pixel, masked_cross_entropy


def test_the_peer_has_the_size_and_cost_of_unet_s() -> None:
    assert build_unet_s().count_params() == PARAMETERS
    assert flops_per_pixel() == pytest.approx(518e3, rel=2e-3)


def test_pixels_without_weight_do_not_change_the_loss() -> None:
    truth = np.zeros((1, 2, 2, 2), np.float32)
    truth[0, 0, :, 1] = 1
    found = np.full((1, 2, 2, 1), 0.5, np.float32)
    found[0, 1] = 0.99
    assert float(masked_cross_entropy(tf.constant(truth), tf.constant(found))) == pytest.approx(np.log(2))


def test_the_copies_are_eight_different_ones() -> None:
    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    assert len({copy.tobytes() for copy in dihedral(image)}) == 8


def test_shifts_keep_shape_and_type_and_change_something() -> None:
    volume = np.random.default_rng(2).standard_normal((8, 16, 16), dtype=np.float32)
    for name, shift in SHIFTS.items():
        found = shift(volume)
        assert (found.shape, found.dtype) == (volume.shape, volume.dtype), name
        assert np.abs(found - volume).max() > 0.1, name


def test_a_narrower_wedge_keeps_what_lies_flat_and_takes_what_stands_up() -> None:
    z, x = np.mgrid[:16, :16]
    flat, upright = np.cos(2 * np.pi * x / 4), np.cos(2 * np.pi * z / 4)
    assert np.allclose(narrower_wedge(_volume(flat)), _volume(flat), atol=1e-5)
    assert np.allclose(narrower_wedge(_volume(upright)), 0, atol=1e-5)


def _volume(plane_zx: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a volume (z, y, x) that is the same for all y."""
    return np.repeat(plane_zx[:, np.newaxis], 4, axis=1).astype(np.float32)
