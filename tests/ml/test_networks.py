"""Networks match their settings."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.calibration import Calibration
from tomoseg_tui.core.network_settings import NETWORKS, NetworkSettings, network_named
from tomoseg_tui.ml.networks import build_network, calibrated_weights, to_probabilities

ALL = pytest.mark.parametrize("name", ["slabnet", "unet25d", "eman2", "tiny", "small", "three"])


def outputs_of(settings: NetworkSettings, densities: NDArray[np.float32], seed: int = 0) -> NDArray[np.float32]:
    found: NDArray[np.float32] = to_probabilities(settings, build_network(settings, 1, seed=seed)(densities)).numpy()
    return found


@ALL
@pytest.mark.parametrize("features", [1, 3])
def test_a_network_has_the_number_of_parameters_of_its_settings(name: str, features: int) -> None:
    settings = network_named(name)
    built = sum(variable.numpy().size for variable in build_network(settings, features).trainable_variables)
    assert built == settings.parameters(features)


def test_eman2s_network_has_378081_parameters() -> None:
    assert build_network(NETWORKS["eman2"], 1).count_params() == 378_081


@ALL
def test_an_output_does_not_depend_on_pixels_beyond_the_margin(name: str) -> None:
    settings = network_named(name)
    edge, margin = 2 * settings.margin_pixels + 2 * settings.stride, settings.margin_pixels
    rng = np.random.default_rng(1)
    plain = rng.standard_normal((1, edge, edge, settings.slices), dtype=np.float32)
    changed = rng.standard_normal(plain.shape, dtype=np.float32)
    block = slice(settings.stride, settings.stride + 2 * margin)
    changed[:, block, block] = plain[:, block, block]
    exact = settings.stride + margin - 1
    before, after = outputs_of(settings, plain), outputs_of(settings, changed)
    assert np.allclose(
        before[0, exact : exact + 2, exact : exact + 2], after[0, exact : exact + 2, exact : exact + 2], atol=1e-6
    )


@ALL
def test_outputs_are_on_the_grid_of_the_input_and_from_0_to_1(name: str) -> None:
    settings = network_named(name)
    rng = np.random.default_rng(2)
    found = outputs_of(settings, 9 * rng.standard_normal((2, 32, 48, settings.slices), dtype=np.float32))
    assert found.shape == (2, 32, 48, settings.slices_out)
    assert 0 <= found.min() <= found.max() <= 1


def test_the_seed_determines_the_initial_weights() -> None:
    densities = np.random.default_rng(3).standard_normal((1, 16, 16, 1), dtype=np.float32)
    once, again, other = (outputs_of(network_named("tiny"), densities, seed) for seed in (1, 1, 2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_the_half_grid_of_eman2_is_upsampled_without_a_shift() -> None:
    """A coarse pixel is centred on the four pixels that it represents, so mirroring changes nothing."""
    coarse = np.random.default_rng(4).random((1, 8, 8, 1), dtype=np.float32)
    fine = to_probabilities(NETWORKS["eman2"], coarse).numpy()
    mirrored = to_probabilities(NETWORKS["eman2"], coarse[:, ::-1, ::-1]).numpy()
    assert np.allclose(fine[:, ::-1, ::-1], mirrored, atol=1e-6)


@pytest.mark.parametrize("name", ["tiny", "three"])
def test_calibration_scales_and_shifts_the_logits_of_each_feature_and_is_reverted(name: str) -> None:
    settings = network_named(name)
    model = build_network(settings, 2, seed=1)
    densities = np.random.default_rng(5).standard_normal((1, 16, 16, settings.slices), dtype=np.float32)
    before = model(densities).numpy().reshape(16, 16, settings.slices_out, 2)
    with calibrated_weights(model, settings, [Calibration(0.5, 1.0), Calibration(2.0, -3.0)]):
        during = model(densities).numpy().reshape(before.shape)
    assert np.allclose(during, before * [0.5, 2.0] + [1.0, -3.0], atol=1e-4)
    assert np.array_equal(model(densities).numpy().reshape(before.shape), before)
