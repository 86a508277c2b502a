"""Weights and checkpoints on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.network_settings import NETWORKS
from tomoseg_tui.errors import TrainingError
from tomoseg_tui.ml.checkpoints import load_checkpoint, load_weights, save_checkpoint, save_weights
from tomoseg_tui.ml.networks import build_network


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "best.weights.h5"
    save_weights(path, build_network(NETWORKS["tiny"], 1, seed=1))
    return path


def test_saved_and_loaded_weights_are_the_same(saved: Path) -> None:
    first, second = build_network(NETWORKS["tiny"], 1, seed=1), build_network(NETWORKS["tiny"], 1, seed=2)
    load_weights(saved, second)
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_the_folder_contains_only_the_weights(saved: Path) -> None:
    assert [path.name for path in saved.parent.iterdir()] == ["best.weights.h5"]


def test_a_truncated_weights_file_is_refused_with_a_clear_error(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(TrainingError, match="damaged"):
        load_weights(saved, build_network(NETWORKS["tiny"], 1))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True))
def test_a_single_changed_byte_is_detected(saved: Path, where: float) -> None:
    whole = saved.read_bytes()
    changed = bytearray(whole)
    changed[int(where * len(whole))] ^= 0xFF
    damaged = saved.parent / "damaged.weights.h5"
    damaged.write_bytes(changed)
    with pytest.raises(TrainingError, match="damaged"):
        load_weights(damaged, build_network(NETWORKS["tiny"], 1))


def test_a_missing_weights_file_is_refused_with_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        load_weights(tmp_path / "none.weights.h5", build_network(NETWORKS["tiny"], 1))


@pytest.mark.parametrize(("name", "features"), [("small", 1), ("tiny", 2), ("eman2", 1)])
def test_loading_weights_of_another_network_is_refused_with_a_clear_error(
    saved: Path, name: str, features: int
) -> None:
    with pytest.raises(TrainingError, match="another network"):
        load_weights(saved, build_network(NETWORKS[name], features))


def test_a_failed_write_leaves_the_old_file_unchanged(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(AttributeError):
        save_weights(saved, object())
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["best.weights.h5"]


def test_a_checkpoint_survives_saving_and_loading(tmp_path: Path) -> None:
    arrays: list[NDArray[Any]] = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7, np.int64)]
    save_checkpoint(tmp_path / "checkpoint.npz", {"epochs_done": 3, "best": None}, arrays)
    facts, found = load_checkpoint(tmp_path / "checkpoint.npz")
    assert facts == {"epochs_done": 3, "best": None}
    assert all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(arrays, found, strict=True))


@pytest.mark.parametrize("spoil", [lambda whole: whole[:-30], lambda whole: whole[:0], lambda whole: whole[::-1]])
def test_a_damaged_checkpoint_is_refused_with_a_clear_error(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "checkpoint.npz"
    save_checkpoint(path, {}, [np.zeros(50)])
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(TrainingError, match="damaged"):
        load_checkpoint(path)
