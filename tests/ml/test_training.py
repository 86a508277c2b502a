"""Training: it learns, stops, resumes, and reports errors."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tomoseg_tui.core.network_settings import NETWORKS, TrainingSettings
from tomoseg_tui.core.patches import TilePatches
from tomoseg_tui.errors import DeviceFullError, DivergedError, NothingLabelledError, TrainingError
from tomoseg_tui.ml import training
from tomoseg_tui.ml.batches import epoch_batches
from tomoseg_tui.ml.checkpoints import load_checkpoint, save_checkpoint
from tomoseg_tui.ml.epoch_report import EpochReport
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.training import BEST_WEIGHTS, CHECKPOINT, FitResult, TrainingRun, fit, learning_rate_at


def run(
    tiles: TilePatches, settings: TrainingSettings, folder: Path, *, steps: int = 10**9, start: Path | None = None
) -> tuple[FitResult, list[EpochReport]]:
    """Train for at most `steps` steps; create folders as needed."""
    folder.mkdir(exist_ok=True)
    reports: list[EpochReport] = []
    taken = iter(range(steps + 1))
    result = fit(
        tiles,
        settings,
        folder=folder,
        initial_weights=start,
        on_epoch=reports.append,
        should_stop=lambda: next(taken) == steps,
    )
    return result, reports


def arrays_of(folder: Path) -> list[bytes]:
    return [array.tobytes() for array in load_checkpoint(folder / CHECKPOINT)[1]]


@dataclass(frozen=True)
class Trained:
    """A training that ran uninterrupted from its first to its last epoch."""

    folder: Path
    result: FitResult
    reports: list[EpochReport]


@pytest.fixture(scope="module")
def undisturbed(
    spheres: TilePatches, brief: TrainingSettings, library: None, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    folder = tmp_path_factory.mktemp("undisturbed")
    return Trained(folder, *run(spheres, brief, folder))


@pytest.mark.slow
def test_a_sphere_is_learned_in_seconds(make_tiles: Callable[..., TilePatches], tmp_path: Path) -> None:
    tiles = make_tiles(count=3, held_out=0)
    settings = TrainingSettings(network="small", epochs=6, learning_rate=2e-2, batch=4)
    result, reports = run(tiles, settings, tmp_path)
    found = Predictor(result.weights, NETWORKS["small"], 1).predict_tiles(tiles)[..., 0] > 0.5
    truth = tiles.layers[:, 0] == 2
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
    assert reports[-1].training_loss < reports[0].training_loss / 2


@pytest.mark.slow
def test_eman2s_network_trains(make_tiles: Callable[..., TilePatches], tmp_path: Path) -> None:
    settings = TrainingSettings(network="eman2", epochs=2, learning_rate=1e-3, batch=20)
    _, reports = run(make_tiles(), settings, tmp_path)
    assert reports[1].training_loss < reports[0].training_loss
    assert reports[1].held_out_loss is not None


def test_a_resumed_training_equals_an_uninterrupted_one_to_the_bit(
    spheres: TilePatches, brief: TrainingSettings, undisturbed: Trained, tmp_path: Path
) -> None:
    first, before = run(spheres, brief, tmp_path, steps=30)
    assert (first.stopped, first.epochs_done) == (True, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [BEST_WEIGHTS, CHECKPOINT]
    second, after = run(spheres, brief, tmp_path)
    assert (second.stopped, second.epochs_done) == (False, 2)
    assert after[0] == before[-1], "the last epoch is told again"
    assert before + after[1:] == undisturbed.reports
    assert arrays_of(tmp_path) == arrays_of(undisturbed.folder)


def test_another_seed_gives_another_training(
    spheres: TilePatches, brief: TrainingSettings, undisturbed: Trained, tmp_path: Path
) -> None:
    _, (other,) = run(spheres, replace(brief, epochs=1, seed=6), tmp_path)
    assert other.training_loss != undisturbed.reports[0].training_loss


def test_a_finished_training_is_not_repeated(
    spheres: TilePatches, brief: TrainingSettings, undisturbed: Trained
) -> None:
    assert run(spheres, brief, undisturbed.folder) == (undisturbed.result, undisturbed.reports[-1:])


def test_best_weights_missing_after_an_interrupted_epoch_are_written_on_resume(
    spheres: TilePatches, brief: TrainingSettings, undisturbed: Trained, tmp_path: Path
) -> None:
    run(spheres, brief, tmp_path, steps=30)
    whole = arrays_of(tmp_path)
    (tmp_path / BEST_WEIGHTS).unlink()
    result, _ = run(spheres, brief, tmp_path, steps=0)
    assert (result.stopped, result.best) == (True, undisturbed.reports[0])
    assert arrays_of(tmp_path) == whole


def test_a_stop_in_the_first_epoch_leaves_no_best_weights(
    spheres: TilePatches, brief: TrainingSettings, tmp_path: Path
) -> None:
    result, reports = run(spheres, brief, tmp_path, steps=3)
    assert (result.stopped, result.epochs_done, result.best, reports) == (True, 0, None, [])
    assert list(tmp_path.iterdir()) == []


def test_an_epoch_report_has_the_documented_figures(undisturbed: Trained) -> None:
    first, second = undisturbed.reports
    assert (first.epoch, first.epochs, first.is_best) == (1, 2, True)
    assert first.held_out_loss is not None
    assert first.held_out_dice.keys() == first.scores.keys() == {"sphere"}
    assert first.learning_rate > second.learning_rate


def test_steps_are_reported_as_they_finish(spheres: TilePatches, brief: TrainingSettings, tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    reports: list[EpochReport] = []
    fit(
        spheres,
        replace(brief, epochs=1),
        folder=tmp_path,
        on_epoch=reports.append,
        on_step=lambda step, steps: reported.append((step, steps)),
        should_stop=lambda: False,
    )
    assert reported == [(step, 25) for step in range(1, 26)]


def test_without_held_out_tiles_the_last_epoch_is_the_best(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings, tmp_path: Path
) -> None:
    result, reports = run(make_tiles(held_out=0), brief, tmp_path)
    assert [report.is_best for report in reports] == [True, True]
    assert reports[0].held_out_loss is None
    assert reports[0].scores == {"sphere": None}
    assert result.best == reports[1]


def test_ignored_pixels_do_not_change_a_training(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings, tmp_path: Path
) -> None:
    tiles = make_tiles()
    tiles.layers[:, :, :5] = 3
    _, once = run(tiles, replace(brief, epochs=1), tmp_path / "a")
    tiles.layers[:, :, :5] = 0
    _, again = run(tiles, replace(brief, epochs=1), tmp_path / "b")
    assert once == again


def test_a_training_starts_from_initial_weights(
    spheres: TilePatches, brief: TrainingSettings, undisturbed: Trained, tmp_path: Path
) -> None:
    still = replace(brief, epochs=1, learning_rate=1e-9)
    _, (continued,) = run(spheres, still, tmp_path, start=undisturbed.result.weights)
    assert undisturbed.result.best is not None
    assert continued.held_out_loss == pytest.approx(undisturbed.result.best.held_out_loss, rel=0.2)


def test_a_diverged_training_suggests_a_learning_rate(spheres: TilePatches, tmp_path: Path) -> None:
    settings = TrainingSettings(network="tiny", epochs=3, learning_rate=1e4, batch=2)
    with pytest.raises(DivergedError) as diverged:
        run(spheres, settings, tmp_path)
    assert "diverged" in diverged.value.fault
    assert "--learning-rate 1000" in diverged.value.fix


def test_a_feature_on_held_out_tiles_only_is_a_clear_error(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings, tmp_path: Path
) -> None:
    tiles = make_tiles()
    tiles.layers[~tiles.held_out] = 3
    with pytest.raises(NothingLabelledError, match="held-out tiles") as refused:
        run(tiles, brief, tmp_path)
    assert "--validation 0" in refused.value.fix


@pytest.mark.parametrize("network", ["tiny", "eman2"])
def test_a_first_batch_without_labels_is_not_the_reference_for_divergence(
    make_tiles: Callable[..., TilePatches], network: str, tmp_path: Path
) -> None:
    """Its loss is 0, or the logarithm of nearly 0."""
    tiles = make_tiles(count=4, held_out=0)
    settings = TrainingSettings(network=network, epochs=1, learning_rate=1e-3, batch=1)
    training = TrainingRun(tiles, settings, tmp_path)
    some, more = islice(epoch_batches(tiles, settings, 0, 2), 2)
    training.train_step(replace(some, layers=np.zeros_like(some.layers)), 0, 3)
    assert training.first_loss is None
    second, _ = (training.train_step(batch, 1 + step, 3) for step, batch in enumerate((some, more)))
    assert training.first_loss == second


@pytest.mark.parametrize(
    ("batch", "fault", "fix"),
    [
        (
            6,
            tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
            "with --batch 3, or on another",
        ),
        (1, MemoryError(), "Train again under another --name on another device"),
    ],
    ids=["tensorflow", "numpy"],
)
def test_a_batch_that_does_not_fit_suggests_a_smaller_one(
    spheres: TilePatches, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, fault: Exception, fix: str
) -> None:
    def has_no_room(*_batch: object) -> float:
        raise fault

    monkeypatch.setattr(training, "_compile_step", lambda *_parts: has_no_room)
    with pytest.raises(DeviceFullError) as full:
        run(spheres, TrainingSettings(network="tiny", epochs=3, learning_rate=1e-3, batch=batch), tmp_path)
    assert full.value.fault.startswith(f"A batch of {batch} tile")
    assert full.value.fault.endswith("memory of the device cpu.")
    assert fix in full.value.fix
    assert list(tmp_path.iterdir()) == []


def test_nan_densities_end_a_training_with_a_clear_error(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings, tmp_path: Path
) -> None:
    tiles = make_tiles()
    tiles.densities[:] = np.nan
    with pytest.raises(DivergedError, match="nan"):
        run(tiles, brief, tmp_path)


def test_tiles_without_the_feature_cannot_be_trained_on(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings, tmp_path: Path
) -> None:
    tiles = make_tiles()
    tiles.layers[:] = 1
    with pytest.raises(NothingLabelledError, match="sphere"):
        run(tiles, brief, tmp_path)


def test_a_checkpoint_of_another_training_is_refused_with_a_clear_error(
    spheres: TilePatches, brief: TrainingSettings, undisturbed: Trained
) -> None:
    with pytest.raises(TrainingError, match="other settings"):
        run(spheres, replace(brief, seed=99), undisturbed.folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tiles: replace(tiles, layers=3 - tiles.layers), "its annotations have changed"),
        (lambda tiles: replace(tiles, densities=-tiles.densities), "its densities have changed"),
        (lambda tiles: replace(tiles, held_out=tiles.held_out[::-1]), "its held-out tiles have changed"),
    ],
)
def test_a_training_is_resumed_only_with_the_same_tiles(
    spheres: TilePatches,
    brief: TrainingSettings,
    undisturbed: Trained,
    change: Callable[[TilePatches], TilePatches],
    message: str,
) -> None:
    before = arrays_of(undisturbed.folder)
    with pytest.raises(TrainingError, match=f"The training set cells has changed .*{message}") as refused:
        run(replace(change(spheres), name="cells"), brief, undisturbed.folder)
    assert "--name" in refused.value.fix
    assert arrays_of(undisturbed.folder) == before


def test_another_number_of_tiles_is_reported_even_if_the_settings_changed_too(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings, undisturbed: Trained
) -> None:
    with pytest.raises(TrainingError, match="it had 6 tiles and has 7"):
        run(make_tiles(count=7), replace(brief, epochs=9), undisturbed.folder)


def test_a_checkpoint_without_tiles_of_an_older_version_is_accepted(
    make_tiles: Callable[..., TilePatches], brief: TrainingSettings, undisturbed: Trained, tmp_path: Path
) -> None:
    facts, arrays = load_checkpoint(undisturbed.folder / CHECKPOINT)
    del facts["tiles"]
    save_checkpoint(tmp_path / CHECKPOINT, facts, arrays)
    result, _ = run(make_tiles(count=7), brief, tmp_path)
    assert result.best == undisturbed.result.best


def test_the_learning_rate_rises_and_falls_but_eman2s_is_constant() -> None:
    ours = TrainingSettings(network="unet25d", epochs=20, learning_rate=1.0, batch=16)
    rates = [learning_rate_at(ours, step, 500) for step in range(500)]
    assert rates[0] < rates[24] > rates[100] > rates[499] > 0
    theirs = replace(ours, network="eman2")
    assert {learning_rate_at(theirs, step, 500) for step in range(500)} == {1.0}
