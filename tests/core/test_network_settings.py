"""The networks and the default settings of trainings."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.core.network_settings import (
    DEFAULT_NETWORK,
    EMAN2_NETWORK,
    MAX_FEATURE_FACTOR,
    NETWORKS,
    NetworkSettings,
    TrainingSettings,
    default_training,
    network_named,
    steps_per_epoch,
)
from tomoseg_tui.core.patches import CONTEXT_SLICES
from tomoseg_tui.errors import TrainingError

EMAN2_PARAMETERS = 378_081
"""Counted in EMAN2's own program: 9,040 + 360,040 + 9,001."""


def test_default_is_another_name_of_the_default_network() -> None:
    assert network_named("default") is NETWORKS[DEFAULT_NETWORK]


def test_an_unknown_network_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(TrainingError) as refused:
        network_named("unet9000")
    assert "unet9000" in refused.value.fault
    assert all(name in refused.value.fix for name in [*NETWORKS, "default"])


def test_the_eman2_network_has_the_parameters_of_eman2() -> None:
    assert network_named(EMAN2_NETWORK).parameters(features=1) == EMAN2_PARAMETERS


def test_the_eman2_network_has_the_cost_measured_in_eman2() -> None:
    """203 kFLOP per pixel by TensorFlow's profiler, which counts activations too."""
    assert network_named(EMAN2_NETWORK).flops_per_pixel(features=1) == pytest.approx(203e3, rel=0.01)


def test_the_default_network_costs_less_than_a_quarter_of_eman2s() -> None:
    default, eman2 = network_named("default"), network_named(EMAN2_NETWORK)
    assert default.flops_per_pixel(1) < eman2.flops_per_pixel(1) / 4


def test_four_features_cost_little_more_than_one() -> None:
    default = network_named("default")
    assert default.flops_per_pixel(4) < 1.05 * default.flops_per_pixel(1)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=str)
def test_no_network_reads_more_slices_than_are_stored_with_a_tile(network: NetworkSettings) -> None:
    assert network.slices == 2 * network.context_slices + network.slices_out
    assert network.slices + network.slices_out - 1 <= 2 * CONTEXT_SLICES + 1


@pytest.mark.parametrize("network", NETWORKS.values(), ids=str)
def test_a_margin_is_a_multiple_of_the_stride(network: NetworkSettings) -> None:
    assert network.margin_pixels % network.stride == 0


@pytest.mark.parametrize("network", NETWORKS.values(), ids=str)
def test_settings_of_a_network_survive_json(network: NetworkSettings) -> None:
    assert json.loads(json.dumps(network.to_dict())) == network.to_dict()


@given(st.integers(1, 500), st.floats(1e-6, 1, exclude_min=True), st.integers(1, 64), st.integers(0, 2**31))
def test_settings_of_a_training_survive_json(epochs: int, rate: float, batch: int, seed: int) -> None:
    settings = TrainingSettings(DEFAULT_NETWORK, epochs, rate, batch, seed)
    assert json.loads(json.dumps(settings.to_dict())) == settings.to_dict()


def test_the_eman2_network_is_trained_as_in_eman2() -> None:
    assert default_training(EMAN2_NETWORK, 60, 1) == TrainingSettings(EMAN2_NETWORK, 20, 1e-4, 20)


@given(st.integers(1, 100_000))
def test_more_tiles_never_make_more_epochs(tiles: int) -> None:
    fewer, more = default_training("default", tiles, 1), default_training("default", tiles + 500, 1)
    assert 1 <= more.epochs <= fewer.epochs


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_an_epoch_passes_twice_over_all_tiles_but_has_at_least_25_steps(positives: int, negatives: int) -> None:
    settings = default_training("default", 60, 1)
    steps = steps_per_epoch(settings, positives, negatives)
    assert steps >= 25
    assert steps * settings.batch >= 2 * (positives + negatives)


def test_an_epoch_of_eman2_has_ten_copies_per_negative_and_as_many_positives() -> None:
    assert steps_per_epoch(default_training(EMAN2_NETWORK, 60, 1), positives=20, negatives=40) == 2 * 10 * 40 / 20


def test_an_epoch_of_eman2_without_negatives_has_ten_copies_per_positive() -> None:
    assert steps_per_epoch(default_training(EMAN2_NETWORK, 60, 1), positives=20, negatives=0) == 10


def test_four_features_are_trained_in_at_most_twice_the_time_of_one() -> None:
    settings = [default_training("default", 60, features) for features in (1, 2, 4, 40)]
    one, two, four, many = (25 * one.epochs * one.batch for one in settings)
    assert one < two < four == many == MAX_FEATURE_FACTOR * one <= 2 * one


def test_four_times_the_tiles_for_four_features_take_twice_the_steps() -> None:
    """The four times as many validation tiles are evaluated less often."""
    one, four = default_training("default", 48, 1), default_training("default", 192, 4)
    ratio = four.epochs * steps_per_epoch(four, 80, 112) / (one.epochs * steps_per_epoch(one, 20, 28))
    assert ratio == pytest.approx(MAX_FEATURE_FACTOR, rel=0.02)
    assert four.epochs < 1.1 * one.epochs
