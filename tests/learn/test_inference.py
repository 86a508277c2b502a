"""Applying a trained network to blocks of slices."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.network_settings import NETWORKS
from tomoseg_tui.core.patches import TilePatches, window_of
from tomoseg_tui.errors import ShapeError, TrainingError
from tomoseg_tui.learn.inference import Predictor
from tomoseg_tui.learn.networks import build
from tomoseg_tui.learn.weights import save_weights

SMALL_FEATURES = 2


@pytest.fixture(params=["small", "three", "eman2"], scope="module")
def weights(request: pytest.FixtureRequest, library: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights in a folder that is called as their network."""
    name: str = request.param
    folder = tmp_path_factory.mktemp("networks") / name
    folder.mkdir()
    save_weights(folder / "best.weights.h5", build(NETWORKS[name], SMALL_FEATURES, seed=3))
    return folder / "best.weights.h5"


@pytest.fixture(scope="module")
def predictor(weights: Path) -> Predictor:
    return Predictor(weights, NETWORKS[weights.parent.name], SMALL_FEATURES)


def block_for(predictor: Predictor, groups: int, y: int, x: int) -> NDArray[np.float32]:
    depth = groups * predictor.settings.slices_out + 2 * predictor.settings.context_slices
    return np.random.default_rng(0).standard_normal((depth, y, x), dtype=np.float32)


def test_a_block_comes_out_without_its_context_slices(predictor: Predictor) -> None:
    found = predictor.predict(block_for(predictor, 3, 32, 48))
    depth = 3 * predictor.settings.slices_out
    assert (found.shape, found.dtype) == ((depth, 32, 48, SMALL_FEATURES), np.dtype(np.float32))
    assert 0 <= found.min() <= found.max() <= 1


def test_saved_and_loaded_predicts_the_same(predictor: Predictor, weights: Path) -> None:
    again = Predictor(weights, predictor.settings, SMALL_FEATURES)
    block = block_for(predictor, 2, 32, 32)
    assert np.array_equal(predictor.predict(block), again.predict(block))


def test_slices_are_the_same_however_a_tomogram_is_cut_along_z(predictor: Predictor) -> None:
    block = block_for(predictor, 4, 32, 32)
    context, half = predictor.settings.context_slices, 2 * predictor.settings.slices_out
    whole = predictor.predict(block)
    parts = [predictor.predict(block[z : z + half + 2 * context]) for z in (0, half)]
    assert np.array_equal(whole, np.concatenate(parts))


def test_pieces_overlapping_by_the_margin_agree_with_the_whole(predictor: Predictor) -> None:
    margin = predictor.settings.margin_pixels
    block = block_for(predictor, 1, 32, 2 * margin + 32)
    whole = predictor.predict(block)
    left = predictor.predict(block[:, :, : 2 * margin + 16])
    assert np.allclose(whole[:, :, : margin + 16], left[:, :, : margin + 16], atol=1e-6)


def test_a_block_that_does_not_fit_the_stride_is_refused_in_words(predictor: Predictor) -> None:
    with pytest.raises(ShapeError) as refused:
        predictor.predict(block_for(predictor, 1, 33, 32))
    assert "33" in refused.value.fault
    assert f"multiples of {predictor.settings.stride}" in refused.value.fix


def test_tiles_are_predicted_with_their_surroundings(
    make_tiles: Callable[..., TilePatches], predictor: Predictor
) -> None:
    tiles = make_tiles(count=2)
    two = type(tiles)(tiles.densities, np.repeat(tiles.layers, 2, axis=1), tiles.signs, tiles.held_out, ("a", "b"))
    found = predictor.predict_tiles(two)
    place = predictor.settings.slices_out // 2
    whole = predictor.predict(window_of(predictor.settings, tiles.densities[0], place))
    assert found.shape == (2, 16, 16, SMALL_FEATURES)
    assert np.allclose(found[0], whole[place, 32:48, 32:48], atol=1e-5)


def test_weights_of_another_network_are_refused(weights: Path) -> None:
    with pytest.raises(TrainingError):
        Predictor(weights, NETWORKS["tiny"], SMALL_FEATURES)
