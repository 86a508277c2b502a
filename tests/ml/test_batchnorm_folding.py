"""Folded copies of networks."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.network_settings import NETWORKS
from tomoseg_tui.ml.inference import fold_batch_normalisation
from tomoseg_tui.ml.networks import build_network


@pytest.fixture
def block() -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((2, 32, 48, 7), dtype=np.float32)


def with_history(name: str) -> Any:
    """Return a network whose normalisations have seen data."""
    model, chance = build_network(NETWORKS[name], 2, seed=3), np.random.default_rng(5)
    for weight in model.weights:
        if "variance" in weight.path or "gamma" in weight.path:
            weight.assign(chance.uniform(0.5, 2.0, weight.shape))
        elif "moving_mean" in weight.path or "beta" in weight.path:
            weight.assign(chance.normal(0.0, 0.3, weight.shape))
    return model


@pytest.mark.parametrize("name", ["small", "three", "eman2"])
def test_a_folded_network_gives_the_same_except_for_rounding(name: str, block: NDArray[np.float32]) -> None:
    model = with_history(name)
    inputs = block[..., : NETWORKS[name].slices]
    expected, found = (
        model(inputs, training=False).numpy(),
        fold_batch_normalisation(model)(inputs, training=False).numpy(),
    )
    assert np.abs(expected).max() > 0.01
    assert np.allclose(found, expected, atol=1e-4)


def test_a_folded_network_has_no_normalisation() -> None:
    kinds = {type(layer).__name__ for layer in fold_batch_normalisation(with_history("three")).layers}
    assert "BatchNormalization" not in kinds


def test_half_precision_is_close_and_its_output_is_float32(block: NDArray[np.float32]) -> None:
    model = with_history("three")
    halved = fold_batch_normalisation(model, half=True)
    found, expected = (
        halved(block, training=False).numpy(),
        fold_batch_normalisation(model)(block, training=False).numpy(),
    )
    assert {layer.compute_dtype for layer in halved.layers if layer.name.startswith("conv2d")} == {"float16"}
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() < 0.1
