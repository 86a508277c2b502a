"""Prediction with a trained network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import read_overhead, smaller_edge
from tomoseg_tui.core.network_settings import NETWORKS
from tomoseg_tui.core.patches import TilePatches, slices_for_position
from tomoseg_tui.errors import TomosegError, TrainingError
from tomoseg_tui.ml import inference
from tomoseg_tui.ml.checkpoints import save_weights
from tomoseg_tui.ml.inference import HALF_TOLERANCE, Predictor
from tomoseg_tui.ml.networks import build_network

SMALL_FEATURES = 2


@pytest.fixture(params=["small", "three", "eman2"], scope="module")
def weights(request: pytest.FixtureRequest, library: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of weights, each named after its network."""
    name: str = request.param
    folder = tmp_path_factory.mktemp("networks") / name
    folder.mkdir()
    save_weights(folder / "best.weights.h5", build_network(NETWORKS[name], SMALL_FEATURES, seed=3))
    return folder / "best.weights.h5"


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    return Predictor(weights, NETWORKS[weights.parent.name], SMALL_FEATURES)


def block_for(predictor: Predictor, groups: int, y: int, x: int) -> NDArray[np.float32]:
    depth = groups * predictor.settings.slices_out + 2 * predictor.settings.context_slices
    return np.random.default_rng(0).standard_normal((depth, y, x), dtype=np.float32)


def predict(predictor: Predictor, block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Segment a block of slices group by group; shape (z, y, x, feature) without the slices of context."""
    windows = sliding_window_view(block, predictor.settings.slices, axis=0)[:: predictor.settings.slices_out]
    return np.concatenate([predictor.predict_group(np.ascontiguousarray(window)) for window in windows])


def test_a_block_is_returned_without_its_context_slices(predictor: Predictor) -> None:
    found = predict(predictor, block_for(predictor, 3, 32, 48))
    depth = 3 * predictor.settings.slices_out
    assert (found.shape, found.dtype) == ((depth, 32, 48, SMALL_FEATURES), np.dtype(np.float32))
    assert 0 <= found.min() <= found.max() <= 1


def test_saved_and_loaded_predicts_the_same(predictor: Predictor, weights: Path) -> None:
    again = Predictor(weights, predictor.settings, SMALL_FEATURES)
    block = block_for(predictor, 2, 32, 32)
    assert np.array_equal(predict(predictor, block), predict(again, block))


def test_blocks_overlapping_by_the_margin_agree_with_the_whole(predictor: Predictor) -> None:
    margin = predictor.settings.margin_pixels
    block = block_for(predictor, 1, 32, 2 * margin + 32)
    whole = predict(predictor, block)
    left = predict(predictor, block[:, :, : 2 * margin + 16])
    assert np.allclose(whole[:, :, : margin + 16], left[:, :, : margin + 16], atol=1e-6)


def test_tiles_are_predicted_with_their_surroundings(
    make_tiles: Callable[..., TilePatches], predictor: Predictor
) -> None:
    tiles = make_tiles(count=2)
    two = type(tiles)(tiles.densities, np.repeat(tiles.layers, 2, axis=1), tiles.signs, tiles.held_out, ("a", "b"))
    found = predictor.predict_tiles(two)
    place = predictor.settings.slices_out // 2
    whole = predict(predictor, slices_for_position(predictor.settings, tiles.densities[0], place))
    assert found.shape == (2, 16, 16, SMALL_FEATURES)
    assert np.allclose(found[0], whole[place, 32:48, 32:48], atol=1e-5)


class Scarce:
    """A compiled network with memory for at most `most` pixels at once."""

    def __init__(self, whole: Any, most: int, fault: Exception) -> None:
        self._whole, self._most, self._fault = whole, most, fault

    def __call__(self, densities: NDArray[np.float32]) -> Any:
        if densities.shape[1] * densities.shape[2] > self._most:
            raise self._fault
        return self._whole(densities)


def scarce_predictor(weights: Path, monkeypatch: pytest.MonkeyPatch, most: int, fault: Exception) -> Predictor:
    whole = inference.prediction_function
    monkeypatch.setattr(inference, "prediction_function", lambda *given: Scarce(whole(*given), most, fault))
    return Predictor(weights, NETWORKS[weights.parent.name], SMALL_FEATURES, log=SAID.append)


SAID: list[str] = []
OUT_OF_MEMORY = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.mark.parametrize("fault", [OUT_OF_MEMORY, MemoryError()], ids=["tensorflow", "numpy"])
@pytest.mark.slow
def test_blocks_shrink_when_memory_runs_out_and_this_is_logged(
    predictor: Predictor, weights: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    SAID.clear()
    margin, stride = predictor.settings.margin_pixels, predictor.settings.stride
    edge = 4 * margin + 64
    scarce = scarce_predictor(weights, monkeypatch, (edge // 2) ** 2, fault)
    block = block_for(predictor, 2, edge, edge)
    assert np.allclose(predict(scarce, block), predict(predictor, block), atol=1e-6)
    first = smaller_edge((edge, edge), edge, halo=margin, stride=stride)
    assert first is not None
    assert first > edge // 2, "no smaller than it has to be"
    work = read_overhead((edge, edge), first, halo=margin, stride=stride)
    assert f"{edge} pixels: using {first}, and a slice takes about {work:.1f} times as long" in SAID[0]
    assert len(SAID) == len(set(SAID)), "what is said of one group of slices holds for the next"


def test_memory_too_small_for_any_block_is_a_clear_error(
    predictor: Predictor, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce = scarce_predictor(weights, monkeypatch, 1, MemoryError())
    with pytest.raises(TomosegError, match="not enough memory") as refused:
        predict(scarce, block_for(predictor, 1, 256, 256))
    assert "--workers" in refused.value.fix


@pytest.mark.parametrize("copies", [4, 8])
def test_averaged_copies_rotate_with_their_block(predictor: Predictor, weights: Path, copies: int) -> None:
    """The mean over all copies of a rotated block is the rotated mean, and each copy is rotated back."""
    averaging = Predictor(weights, predictor.settings, SMALL_FEATURES, tta=copies)
    block = block_for(predictor, 1, 32, 48)
    found = predict(averaging, block)
    turned = predict(averaging, np.ascontiguousarray(np.rot90(block, 2, axes=(1, 2))))
    assert np.allclose(found, np.rot90(turned, 2, axes=(1, 2)), atol=1e-6)
    if copies == 8:
        turned = predict(averaging, np.ascontiguousarray(np.rot90(block, 1, axes=(1, 2))))
        assert np.allclose(np.rot90(found, 1, axes=(1, 2)), turned, atol=1e-6)
    single = predict(predictor, block)
    assert np.abs(found - single).max() > 0
    assert np.corrcoef(found.ravel(), single.ravel())[0, 1] > 0.25


def test_half_precision_is_used_if_it_is_within_a_map_step(predictor: Predictor, weights: Path) -> None:
    halved = Predictor(weights, predictor.settings, SMALL_FEATURES)
    window = np.moveaxis(block_for(predictor, 1, 32, 32), 0, -1)
    assert "half precision, which differs from float32 by at most" in halved.try_half(window)
    assert halved.is_half
    found, expected = halved.predict_group(window), predictor.predict_group(window)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() <= HALF_TOLERANCE


def test_half_precision_that_is_too_far_off_is_not_used(
    predictor: Predictor, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "HALF_TOLERANCE", 1e-12)
    halved = Predictor(weights, predictor.settings, SMALL_FEATURES)
    window = np.moveaxis(block_for(predictor, 1, 32, 32), 0, -1)
    assert "Computing in float32" in halved.try_half(window)
    assert not halved.is_half
    assert np.array_equal(halved.predict_group(window), predictor.predict_group(window))


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    with pytest.raises(TrainingError):
        Predictor(weights, NETWORKS["tiny"], SMALL_FEATURES)
