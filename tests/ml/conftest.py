"""Tiles with spheres in noise, and networks that train in a second."""

import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tomoseg_tui.core.network_settings import NETWORKS, NetworkSettings, TrainingSettings
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.ml.tf_devices import prepare_device

TILE = 16
TINY = NetworkSettings(name="tiny", kind="unet", description="for tests", slices=1, channels=(2,), fold=2)
SMALL = NetworkSettings(name="small", kind="unet", description="for tests", slices=5, channels=(8, 8), fold=2)
THREE = NetworkSettings(
    name="three", kind="unet", description="for tests", slices=7, slices_out=3, channels=(4,),
    fold=2,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="session")
def cpu() -> str:
    """Select deterministic operations on one thread."""
    return prepare_device("cpu", threads=1).name


@pytest.fixture(autouse=True, scope="module")
def library() -> Iterator[None]:
    """Add two small networks to the library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(NETWORKS, "tiny", TINY)
        patch.setitem(NETWORKS, "small", SMALL)
        patch.setitem(NETWORKS, "three", THREE)
        yield


def sphere_tiles(*, count: int = 6, held_out: int = 2, noise: float = 0.3) -> TilePatches:
    """Return tiles of edge 16 with one dark sphere each, except for every third tile, which has none."""
    rng = np.random.default_rng(7)
    edge, depth = TILE + 2 * CONTEXT_PIXELS, 2 * CONTEXT_SLICES + 1
    densities = noise * rng.standard_normal((count, depth, edge, edge), dtype=np.float32)
    layers = np.ones((count, 1, TILE, TILE), np.uint8)
    z, y, x = np.mgrid[:depth, :edge, :edge].astype(np.float32)
    for tile in range(count):
        cy, cx = edge / 2 + rng.uniform(-3, 3, 2)
        sphere = (z - CONTEXT_SLICES) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 5**2
        if tile % 3 != 2:
            densities[tile][sphere] -= 2
            inner = slice(CONTEXT_PIXELS, -CONTEXT_PIXELS)
            layers[tile, 0][sphere[CONTEXT_SLICES, inner, inner]] = 2
    signs = np.where((layers == 2).any(axis=(2, 3)), 1, -1).astype(np.int8)
    held = np.arange(count) < held_out
    return TilePatches(densities, layers, signs, held, ("sphere",))


@pytest.fixture
def make_tiles() -> Callable[..., TilePatches]:
    """Return the function that makes tiles with spheres: count, held_out, noise."""
    return sphere_tiles


@pytest.fixture(scope="module")
def spheres() -> TilePatches:
    return sphere_tiles()


@pytest.fixture(scope="module")
def brief() -> TrainingSettings:
    """Return settings for two epochs of a network with some hundred parameters."""
    return TrainingSettings(network="tiny", epochs=2, learning_rate=1e-2, batch=2, seed=5)
