"""Train a network on the project's tiles: training set in, weights, card and triples out."""

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tomoseg_tui.core.network_settings import TrainingSettings, network_named
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.files.atomic import drafted, sweep_drafts
from tomoseg_tui.io.trainset_file import SetSummary, TileFacts
from tomoseg_tui.io.triples_file import Triples, write_triples
from tomoseg_tui.ml.checkpoints import load_checkpoint
from tomoseg_tui.ml.epoch_report import EpochReport
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.step_timing import peak_video_bytes
from tomoseg_tui.ml.tf_devices import prepare_device
from tomoseg_tui.ml.training import BEST_WEIGHTS, CHECKPOINT, FitResult, fit, steps_of
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FeatureScore, FilterStep, NetworkCard, TileCount, now, write_record
from tomoseg_tui.project.software_versions import tested_versions
from tomoseg_tui.runners.network_snapshot import digest_of
from tomoseg_tui.workflow.estimates.estimator import training_load
from tomoseg_tui.workflow.job_interface import Reporter, Stopped, stop_if_asked
from tomoseg_tui.workflow.training import trainset
from tomoseg_tui.workflow.training.lineage import earlier_of
from tomoseg_tui.workflow.training.train_request import TrainRequest, check_start, remarks_on_start, set_request
from tomoseg_tui.workflow.training.training_plan import training_settings


def run_training(project: Project, asked: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Carry out a training job; a job that was stopped goes on after its last epoch.

    Returns
    -------
    dict
        ``network``: name of the run; ``features``: scores by feature.

    Raises
    ------
    Stopped
        If the user asked for it; the best epoch so far is a usable network then.
    """
    request = msgspec.convert(asked, TrainRequest)
    folder = project.layout.network_folder(request.name)
    folder.mkdir(exist_ok=True)
    sweep_drafts(*(folder / name for name in (BEST_WEIGHTS, CHECKPOINT, "card.json", "trainset.h5", "triples.h5")))
    if not (folder / CHECKPOINT).exists() and project.layout.network_triples(request.name).exists():
        return _result(catalog.network(project.layout, request.name))  # all was done but to say so
    reporter.log(prepare_device(request.device, None))
    summary, patches, facts = _tiles(project, request, reporter)
    check_start(project, request, summary)
    teaching = int((~patches.held_out).sum())
    settings = training_settings(project, request, teaching=teaching, features=len(patches.features))
    notes = [*_notes_on_start(request, settings), *remarks_on_start(project, request, summary)]
    for note in (summary.held_out_reason, *summary.notes, *notes):
        reporter.log(note)
    start = project.layout.network_weights(request.made_from) if request.made_from else None
    watcher = _Watcher(project, request, summary, settings, notes, reporter)
    watcher.go_on_after(_epochs_done(folder))
    load = training_load(settings, summary, request.device, steps=steps_of(patches, settings))
    reporter.takes_on(replace(load, video_bytes=peak_video_bytes))
    result = fit(
        patches,
        settings,
        folder=folder,
        start=start,
        on_epoch=watcher.epoch_ended,
        on_step=watcher.step_ended,
        should_stop=reporter.should_stop,
    )
    card = watcher.finish(result)
    if card is not None:
        _write_triples(project, request.name, settings, patches, facts)
    if result.stopped or card is None:
        raise Stopped
    (folder / CHECKPOINT).unlink(missing_ok=True)  # a training that is done is never resumed
    return _result(card)


def _result(card: NetworkCard) -> dict[str, Any]:
    return {"network": card.name, "features": msgspec.to_builtins(card.features)}


def _epochs_done(folder: Path) -> int:
    """Return how many epochs the checkpoint in a run's folder holds."""
    checkpoint = folder / CHECKPOINT
    return int(load_checkpoint(checkpoint)[0]["epochs_done"]) if checkpoint.exists() else 0


def _tiles(
    project: Project, request: TrainRequest, reporter: Reporter
) -> tuple[SetSummary, TilePatches, list[TileFacts]]:
    """Return the tiles to learn from; a run's own training set is built once, and found again when resumed."""
    if request.trainset is not None:
        path = trainset.require_training_set(project, request.trainset)
        earlier = earlier_of(project, request.made_from) if request.made_from is not None else None
        return trainset.load_patches(path, validation=request.validation, earlier=earlier)
    path = project.layout.network_trainset(request.name)
    if not path.exists():

        def on_tile(_done: float) -> None:
            stop_if_asked(reporter)
            reporter.progress(0.0, "building the training set")

        trainset.build(project, request.name, set_request(request), path, on_tile)
    return trainset.load_patches(path)


def _notes_on_start(request: TrainRequest, settings: TrainingSettings) -> list[str]:
    """Return what is said of a training that starts from another run's weights."""
    if request.made_from is None:
        return []
    notes = [f"Starts from the weights of {request.made_from}."]
    if request.learning_rate is None:
        notes.append(f"Learning rate {settings.learning_rate:g}, a tenth of that of {request.made_from}.")
    return notes


class _Watcher:
    """Tells the job how the training goes, and keeps the card of the best epoch."""

    def __init__(
        self,
        project: Project,
        request: TrainRequest,
        summary: SetSummary,
        settings: TrainingSettings,
        notes: list[str],
        reporter: Reporter,
    ) -> None:
        self._project, self._request, self._summary = project, request, summary
        self._settings, self._reporter = settings, reporter
        self._notes = (summary.held_out_reason, *summary.notes, *notes)
        self._epoch, self._began = 0, time.monotonic()
        self._latest = ""
        self._told: set[int] = set()

    def go_on_after(self, epochs_done: int) -> None:
        """Take up a training after its checkpoint; figures of epochs that are run again are dropped."""

        def is_finished(line: Mapping[str, object]) -> bool:
            epoch = int(str(line["epoch"]))
            self._told.add(epoch)
            return epoch <= epochs_done

        self._epoch = epochs_done
        self._reporter.keep_metrics(is_finished)
        self._told &= set(range(epochs_done + 1))

    def step_ended(self, step: int, steps: int) -> None:
        done = (self._epoch + step / steps) / self._settings.epochs
        self._reporter.progress(done, f"epoch {self._epoch + 1}/{self._settings.epochs}{self._latest}")

    def epoch_ended(self, report: EpochReport) -> None:
        """Write the epoch's figures unless they are there already, and the card if the epoch is the best so far."""
        self._epoch = report.epoch
        dice = ", ".join(
            f"{feature} {value:.3f}" for feature, value in report.held_out_dice.items() if value is not None
        )
        self._latest = f"  loss {report.training_loss:.4f}" + (f"  dice {dice}" if dice else "")
        if report.is_best:
            self._write_card(report, report.epoch)
        if report.epoch in self._told:
            return
        self._reporter.metrics(
            {
                "epoch": report.epoch,
                "learning_rate": report.learning_rate,
                "training_loss": _number(report.training_loss),
                "held_out_loss": _number(report.held_out_loss),
                "held_out_dice": report.held_out_dice,
                "best": report.is_best,
                "seconds": round(time.monotonic() - self._began, 3),
                "at": now(),
            }
        )
        self._reporter.log(f"epoch {report.epoch}/{report.epochs}{self._latest}{'  (best)' if report.is_best else ''}")

    def finish(self, result: FitResult) -> NetworkCard | None:
        """Write the final card; None if no epoch was finished."""
        if result.best is None:
            return None
        return self._write_card(result.best, result.epochs_done)

    def _write_card(self, best: EpochReport, epochs_done: int) -> NetworkCard:
        layout, summary = self._project.layout, self._summary
        card = NetworkCard(
            name=self._request.name,
            network=self._settings.network,
            voxel_size_angstrom=summary.voxel_size_angstrom,
            polarity=summary.polarity,
            preprocessing=tuple(FilterStep(**step) for step in summary.preprocessing),
            features=self._scores(best),
            tiles=summary.tiles,
            tile_counts=TileCount(
                positive=summary.positive,
                negative=summary.negative,
                trained=summary.tiles - summary.held_out,
                held_out=summary.held_out,
            ),
            learning_rate=self._settings.learning_rate,
            epochs=self._settings.epochs,
            epochs_done=epochs_done,
            best_epoch=best.epoch,
            batch=self._settings.batch,
            seed=self._settings.seed,
            made_from=self._request.made_from,
            tile_size=summary.tile_size,
            weights_digest=digest_of(layout.network_weights(self._request.name)),
            trainset=self._request.trainset,
            trainset_digest=summary.digest,
            tomograms=summary.tomograms,
            notes=self._notes,
            versions=tested_versions(),
            created=now(),
        )
        write_record(layout.network_card(self._request.name), card)
        return card

    def _scores(self, best: EpochReport) -> dict[str, FeatureScore]:
        return {
            feature: FeatureScore() if score is None else msgspec.convert(asdict(score), FeatureScore)
            for feature, score in best.scores.items()
        }


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _write_triples(
    project: Project, run: str, settings: TrainingSettings, patches: TilePatches, facts: list[TileFacts]
) -> None:
    """Keep image, annotation and output of every tile of the run."""
    predictor = Predictor(project.layout.network_weights(run), network_named(settings.network), len(patches.features))
    outputs = np.moveaxis(predictor.predict_tiles(patches), -1, 1)  # (n, f, y, x)
    inner = np.s_[:, CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    triples = Triples(
        tuple(tile.id for tile in facts),
        patches.features,
        patches.held_out,
        patches.densities[inner],
        patches.layers,
        outputs,
    )
    with drafted(project.layout.network_triples(run)) as draft:
        write_triples(draft, triples)
