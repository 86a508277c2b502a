"""Parts of the benchmark that its results depend on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keeping
import numpy as np
import pytest
import sim
import tensorflow as tf
from numpy.typing import NDArray
from shifts import SHIFTS, narrower_wedge
from sim import Bench, bench_of
from unet_s import PARAMETERS, build_unet_s, dihedral, flops_per_pixel, masked_cross_entropy


def test_the_comparison_network_has_the_size_and_cost_of_unet_s() -> None:
    assert build_unet_s().count_params() == PARAMETERS
    assert flops_per_pixel() == pytest.approx(518e3, rel=2e-3)


def test_pixels_without_weight_do_not_change_the_loss() -> None:
    truth = np.zeros((1, 2, 2, 2), np.float32)
    truth[0, 0, :, 1] = 1
    found = np.full((1, 2, 2, 1), 0.5, np.float32)
    found[0, 1] = 0.99
    assert float(masked_cross_entropy(tf.constant(truth), tf.constant(found))) == pytest.approx(np.log(2))


def test_the_eight_copies_differ() -> None:
    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
    assert len({copy.tobytes() for copy in dihedral(image)}) == 8


def test_shifts_change_values_but_not_shape_and_type() -> None:
    volume = np.random.default_rng(2).standard_normal((8, 16, 16), dtype=np.float32)
    for name, shift in SHIFTS.items():
        found = shift(volume)
        assert (found.shape, found.dtype) == (volume.shape, volume.dtype), name
        assert np.abs(found - volume).max() > 0.1, name


def test_a_narrower_wedge_keeps_horizontal_and_removes_vertical_components() -> None:
    z, x = np.mgrid[:16, :16]
    flat, upright = np.cos(2 * np.pi * x / 4), np.cos(2 * np.pi * z / 4)
    assert np.allclose(narrower_wedge(_volume(flat)), _volume(flat), atol=1e-5)
    assert np.allclose(narrower_wedge(_volume(upright)), 0, atol=1e-5)


def _volume(plane_zx: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return a volume (z, y, x) that is the same for all y."""
    return np.repeat(plane_zx[:, np.newaxis], 4, axis=1).astype(np.float32)


def test_results_are_separate_for_other_data_epochs_or_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result of one epoch, to try the benchmark, is not printed as that of a whole training."""

    def asked(data: str, epochs: int | None) -> Bench:
        return bench_of(tmp_path / data, tmp_path / "work", ("membrane",), epochs)

    def scored(value: float, data: str, epochs: int | None) -> float:
        asked(data, epochs).work.mkdir(parents=True, exist_ok=True)
        return float(asked(data, epochs).kept("membrane", lambda: value))

    ways: tuple[tuple[str, int | None], ...] = (("a", None), ("a", 1), ("a", 2), ("b", None), ("other/a", None))
    for number, way in enumerate(ways):
        assert scored(number, *way) == number
        assert scored(-1, *way) == number, "it is kept"
    monkeypatch.setattr(keeping, "code_digest", lambda: "another")
    assert scored(-1, *ways[0]) == -1


def test_results_are_replaced_atomically(tmp_path: Path) -> None:
    bench = Bench(tmp_path, tmp_path, (), None)
    bench.kept("first", lambda: 1)
    (tmp_path / "before").hardlink_to(tmp_path / "results.json")
    before = (tmp_path / "before").read_text()
    bench.kept("second", lambda: 2)
    assert (tmp_path / "before").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before", "results.json"]


def test_results_for_two_features_are_not_used_for_three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def train(_bench: Bench, name: str, _run: str, features: Sequence[str]) -> dict[str, Any]:
        made.append(name)
        return {"train_s": 1.0, "peak_mb": 1.0, "dice": dict.fromkeys(features, len(features) / 10)}

    timed = {"networks": {run: {"s_per_slice": 1.0} for run in (sim.OURS, sim.TOGETHER)}}
    monkeypatch.setattr(sim, "make_project", lambda *_asked: None)
    monkeypatch.setattr(sim, "train_and_apply", train)
    monkeypatch.setattr(sim, "compare_speed", lambda *_asked: timed)
    pace = {run: {"train_s": 1.0, "train_cpu_s": 1.0} for run in (sim.OURS, sim.TOGETHER)}
    monkeypatch.setattr(sim, "compare_pace", lambda *_asked: pace)
    for features in (("membrane", "carbon"), ("membrane", "carbon", "ribosome"), ("membrane", "carbon")):
        rows = sim.together(Bench(tmp_path, tmp_path, features, None))
        expected = f"{len(features) / 10:.3f}"
        assert [row[::2] for row in rows[1:-3]] == [(feature, expected) for feature in features]
    assert len(made) == len(set(made)) == 5, "three alone, two sets together"
