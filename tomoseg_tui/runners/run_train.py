"""Train a network on the project's tiles; write weights, card and triples."""

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
from tomoseg_tui.files.atomic import atomic_output, remove_drafts
from tomoseg_tui.io.trainset_file import TileMetadata, TrainsetSummary
from tomoseg_tui.io.triples_file import TripleSet, write_triples
from tomoseg_tui.ml.checkpoints import file_digest, load_checkpoint
from tomoseg_tui.ml.epoch_report import EpochReport
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.tf_devices import peak_gpu_bytes, prepare_device
from tomoseg_tui.ml.training import BEST_WEIGHTS, CHECKPOINT, FitResult, fit, steps_in_epoch
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import (
    FeatureScore,
    FilterStep,
    NetworkCard,
    TileCounts,
    library_versions,
    now,
    write_record,
)
from tomoseg_tui.workflow.estimates.network_work import training_workload
from tomoseg_tui.workflow.job_interface import Reporter, StopRequested, parse_request, stop_if_requested
from tomoseg_tui.workflow.training import trainset
from tomoseg_tui.workflow.training.lineage import parent_runs
from tomoseg_tui.workflow.training.train_request import (
    TrainRequest,
    check_parent,
    parent_remarks,
    training_settings,
    trainset_request,
)


def run_training(project: Project, raw_request: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Run a training job; a stopped job resumes after its last epoch.

    Returns
    -------
    dict
        ``network``: name of the run; ``features``: scores by feature.

    Raises
    ------
    StopRequested
        If the user stopped the job; the best epoch so far is then a usable network.
    """
    request = parse_request(raw_request, TrainRequest)
    folder = project.layout.network_folder(request.name)
    folder.mkdir(exist_ok=True)
    remove_drafts(*(folder / name for name in (BEST_WEIGHTS, CHECKPOINT, "card.json", "trainset.h5", "triples.h5")))
    if not (folder / CHECKPOINT).exists() and project.layout.network_triples(request.name).exists():
        return _job_result(catalog.load_network_card(project.layout, request.name))  # only the result was missing
    device = prepare_device(request.device)
    reporter.set_device(*device)
    request = msgspec.structs.replace(request, device=device.name)
    summary, patches, tiles = _load_tiles(project, request, reporter)
    check_parent(project, request, summary)
    training_count = int((~patches.held_out).sum())
    settings = training_settings(project, request, training_tile_count=training_count, features=len(patches.features))
    notes = [*_start_notes(request, settings), *parent_remarks(project, request, summary)]
    for note in (summary.held_out_reason, *summary.notes, *notes):
        reporter.log(note)
    initial_weights = project.layout.network_weights(request.made_from) if request.made_from else None
    listener = _TrainingListener(project, request, summary, settings, notes, reporter)
    listener.resume_after(_epochs_done(folder))
    workload = training_workload(settings, summary, request.device, steps=steps_in_epoch(patches, settings))
    reporter.set_workload(replace(workload, peak_gpu_bytes=peak_gpu_bytes))
    result = fit(
        patches,
        settings,
        folder=folder,
        initial_weights=initial_weights,
        on_epoch=listener.on_epoch,
        on_step=listener.on_step,
        should_stop=reporter.should_stop,
    )
    card = listener.finish(result)
    if card is not None:
        _write_triples(project, request.name, settings, patches, tiles)
    if result.stopped or card is None:
        raise StopRequested
    (folder / CHECKPOINT).unlink(missing_ok=True)  # a finished training is never resumed
    return _job_result(card)


def _job_result(card: NetworkCard) -> dict[str, Any]:
    return {"network": card.name, "features": msgspec.to_builtins(card.features)}


def _epochs_done(folder: Path) -> int:
    """Return the number of epochs in the checkpoint in a run's folder."""
    checkpoint = folder / CHECKPOINT
    return int(load_checkpoint(checkpoint)[0]["epochs_done"]) if checkpoint.exists() else 0


def _load_tiles(
    project: Project, request: TrainRequest, reporter: Reporter
) -> tuple[TrainsetSummary, TilePatches, list[TileMetadata]]:
    """Return the tiles to train on; a run's own training set is built once, and reused when resumed."""
    if request.trainset is not None:
        path = trainset.require_training_set(project, request.trainset)
        parents = parent_runs(project, request.made_from) if request.made_from is not None else None
        return trainset.load_patches(path, validation=request.validation, parents=parents)
    path = project.layout.network_trainset(request.name)
    if not path.exists():

        def on_tile(_done: float) -> None:
            stop_if_requested(reporter)
            reporter.progress(0.0, "building the training set")

        trainset.build_trainset_file(project, request.name, trainset_request(request), path, on_tile)
    return trainset.load_patches(path)


def _start_notes(request: TrainRequest, settings: TrainingSettings) -> list[str]:
    """Return notes on a training that starts from another run's weights."""
    if request.made_from is None:
        return []
    notes = [f"Starts from the weights of {request.made_from}."]
    if request.learning_rate is None:
        notes.append(f"Learning rate {settings.learning_rate:g}, a tenth of that of {request.made_from}.")
    return notes


class _TrainingListener:
    """Reports the progress of a training to its job, and writes the card of the best epoch."""

    def __init__(
        self,
        project: Project,
        request: TrainRequest,
        summary: TrainsetSummary,
        settings: TrainingSettings,
        notes: list[str],
        reporter: Reporter,
    ) -> None:
        self._project, self._request, self._summary = project, request, summary
        self._settings, self._reporter = settings, reporter
        self._notes = (summary.held_out_reason, *summary.notes, *notes)
        self._epoch, self._start_time = 0, time.monotonic()
        self._latest = ""
        self._reported_epochs: set[int] = set()

    def resume_after(self, epochs_done: int) -> None:
        """Continue after the checkpoint; metrics of epochs that will run again are dropped."""

        def is_finished(line: Mapping[str, object]) -> bool:
            epoch = int(str(line["epoch"]))
            self._reported_epochs.add(epoch)
            return epoch <= epochs_done

        self._epoch = epochs_done
        self._reporter.filter_metrics(is_finished)
        self._reported_epochs &= set(range(epochs_done + 1))

    def on_step(self, step: int, steps: int) -> None:
        epoch, epochs = self._epoch + 1, self._settings.epochs
        done = (self._epoch + step / steps) / epochs
        self._reporter.progress(done, f"epoch {epoch}/{epochs}{self._latest}", epoch=epoch, epochs=epochs)

    def on_epoch(self, report: EpochReport) -> None:
        """Write the epoch's metrics unless they are written, and the card if the epoch is the best so far."""
        self._epoch = report.epoch
        dice = ", ".join(
            f"{feature} {value:.3f}" for feature, value in report.held_out_dice.items() if value is not None
        )
        self._latest = f"  loss {report.training_loss:.4f}" + (f"  dice {dice}" if dice else "")
        if report.is_best:
            self._write_card(report, report.epoch)
        if report.epoch in self._reported_epochs:
            return
        self._reporter.metrics(
            {
                "epoch": report.epoch,
                "learning_rate": report.learning_rate,
                "training_loss": _finite_or_none(report.training_loss),
                "held_out_loss": _finite_or_none(report.held_out_loss),
                "held_out_dice": report.held_out_dice,
                "best": report.is_best,
                "seconds": round(time.monotonic() - self._start_time, 3),
                "at": now(),
            }
        )
        self._reporter.log(f"epoch {report.epoch}/{report.epochs}{self._latest}{'  (best)' if report.is_best else ''}")

    def finish(self, result: FitResult) -> NetworkCard | None:
        """Write the final card; return None if no epoch finished."""
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
            tile_counts=TileCounts(
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
            weights_digest=file_digest(layout.network_weights(self._request.name)),
            trainset=self._request.trainset,
            trainset_digest=summary.digest,
            tomograms=summary.tomograms,
            notes=self._notes,
            versions=library_versions(),
            created=now(),
        )
        write_record(layout.network_card(self._request.name), card)
        return card

    def _scores(self, best: EpochReport) -> dict[str, FeatureScore]:
        return {
            feature: FeatureScore() if score is None else msgspec.convert(asdict(score), FeatureScore)
            for feature, score in best.scores.items()
        }


def _finite_or_none(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _write_triples(
    project: Project, run: str, settings: TrainingSettings, patches: TilePatches, tiles: list[TileMetadata]
) -> None:
    """Write image, annotation and output of every tile of the run."""
    predictor = Predictor(project.layout.network_weights(run), network_named(settings.network), len(patches.features))
    outputs = np.moveaxis(predictor.predict_tiles(patches), -1, 1)  # (n, f, y, x)
    tile_window = np.s_[:, CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    triples = TripleSet(
        tuple(tile.id for tile in tiles),
        patches.features,
        patches.held_out,
        patches.densities[tile_window],
        patches.layers,
        outputs,
    )
    with atomic_output(project.layout.network_triples(run)) as draft:
        write_triples(draft, triples)
