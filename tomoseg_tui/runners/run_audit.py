"""Audit a training set: predict each tile with a network not trained on it, and rank likely label errors.

A finished fold is stored in the job's partial folder as an array of probabilities, an unfinished one as a checkpoint. A
resumed job uses both, unless the tiles have changed.
"""

import contextlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.network_settings import TrainingSettings, network_named
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.errors import DeviceFullError
from tomoseg_tui.files.atomic import atomic_output, remove_drafts
from tomoseg_tui.files.structured import ARRAY_DAMAGE
from tomoseg_tui.io.trainset_file import TileMetadata, TrainsetSummary
from tomoseg_tui.io.triples_file import TripleSet, write_triples
from tomoseg_tui.ml.checkpoints import load_checkpoint
from tomoseg_tui.ml.epoch_report import EpochReport
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.tf_devices import alternative_device, peak_gpu_bytes, prepare_device
from tomoseg_tui.ml.training import BEST_WEIGHTS, CHECKPOINT, fit, steps_in_epoch
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import AuditReport, library_versions, now, read_record, write_record
from tomoseg_tui.workflow.audit import audit_request
from tomoseg_tui.workflow.audit.audit_request import FOLDS, AuditRequest
from tomoseg_tui.workflow.audit.ranking import rank_label_errors
from tomoseg_tui.workflow.estimates.network_work import audit_workload
from tomoseg_tui.workflow.job_interface import Reporter, StopRequested, parse_request, stop_if_requested
from tomoseg_tui.workflow.training import trainset


def run_audit(project: Project, raw_request: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Run an audit; a stopped job resumes at its fold and epoch.

    Returns
    -------
    dict
        ``audit``: its name; ``suspected``: number of tiles with reasons.

    Raises
    ------
    StopRequested
        If the user stopped the job; finished epochs are saved.
    """
    request = parse_request(raw_request, AuditRequest)
    layout = project.layout
    layout.audit_folder(request.name).mkdir(parents=True, exist_ok=True)
    remove_drafts(layout.audit_report(request.name), layout.audit_trainset(request.name))
    remove_drafts(layout.audit_triples(request.name))
    device = prepare_device(request.device)
    reporter.set_device(*device)
    request = msgspec.structs.replace(request, device=device.name)
    summary, patches, tiles = _load_tiles(project, request, reporter)
    for note in summary.notes:
        reporter.log(note)
    folds = audit_request.choose_folds(patches, tiles)
    _remove_stale_folds(reporter, patches, folds)
    trainer = _FoldTrainer(project, request, patches, tiles, folds, reporter)
    # All folds have nearly as many steps as the first.
    steps = steps_in_epoch(audit_request.training_tiles(patches, tiles, folds, 0), trainer.settings)
    workload = audit_workload(trainer.settings, summary, request.device, steps=steps)
    reporter.set_workload(replace(workload, peak_gpu_bytes=peak_gpu_bytes))
    outputs = np.zeros(patches.layers.shape, np.float32)  # (n, f, y, x)
    for fold in range(FOLDS):
        if (folds == fold).any():
            outputs[folds == fold] = trainer.predict_fold(fold)
    report = _make_report(request, summary, patches, tiles, folds, outputs, trainer.settings)
    _write_results(project, report, patches, tiles, outputs)
    flagged = sum(bool(tile.reasons) for tile in report.tiles)
    reporter.log(f"{flagged} of {len(report.tiles)} tiles are worth a look.")
    return {"audit": request.name, "suspected": flagged}


def _load_tiles(
    project: Project, request: AuditRequest, reporter: Reporter
) -> tuple[TrainsetSummary, TilePatches, list[TileMetadata]]:
    """Return the tiles to audit; an audit's own training set is built once, and reused when resumed."""
    if request.trainset is not None:
        return audit_request.load_for_audit(trainset.require_training_set(project, request.trainset))
    path = project.layout.audit_trainset(request.name)
    if not path.exists():

        def on_tile(_done: float) -> None:
            stop_if_requested(reporter)
            reporter.progress(0.0, "building the training set")

        trainset.build_trainset_file(
            project, request.name, audit_request.audit_trainset_request(request), path, on_tile
        )
    return audit_request.load_for_audit(path)


class _AuditInputs(msgspec.Struct, frozen=True):
    """Inputs of an audit, stored beside its folds."""

    contents: dict[str, str]
    """Result of `TilePatches.fingerprint`."""
    folds: list[int]
    """Fold of each tile."""


def _remove_stale_folds(reporter: Reporter, patches: TilePatches, folds: NDArray[np.int64]) -> None:
    """Remove folds, finished or not, that were computed from other tiles."""
    path, inputs = reporter.partial / "tiles.json", _AuditInputs(patches.fingerprint(), folds.tolist())
    remove_drafts(path)
    if path.exists() and read_record(path, _AuditInputs) == inputs:
        return
    if path.exists():  # audits of older versions have none: their folds are used
        reporter.log(
            f"The training set {patches.name} has changed since this audit began; all tiles are audited again."
        )
        for fold in range(FOLDS):
            shutil.rmtree(reporter.partial / f"fold_{fold}", ignore_errors=True)
            (reporter.partial / f"fold_{fold}.npy").unlink(missing_ok=True)
    write_record(path, inputs)


class _FoldTrainer:
    """Trains a network for each fold and predicts the fold's tiles."""

    def __init__(
        self,
        project: Project,
        request: AuditRequest,
        patches: TilePatches,
        tiles: list[TileMetadata],
        folds: NDArray[np.int64],
        reporter: Reporter,
    ) -> None:
        self._patches, self._tiles, self._folds, self._reporter = patches, tiles, folds, reporter
        # The same number of epochs for all folds, whose sizes differ little.
        training_count = int((folds != 0).sum())
        self.settings = audit_request.fold_settings(
            project, request, training_tile_count=training_count, features=len(patches.features)
        )

    def predict_fold(self, fold: int) -> NDArray[np.float32]:
        """Return the probabilities (m, f, y, x) of a fold's tiles, stored or computed."""
        path = self._reporter.partial / f"fold_{fold}.npy"
        if path.exists():
            with contextlib.suppress(*ARRAY_DAMAGE):  # a damaged one is computed again
                stored: NDArray[np.float32] = np.load(path, allow_pickle=False)
                if len(stored) == np.count_nonzero(self._folds == fold):
                    return stored
        folder = self._reporter.partial / f"fold_{fold}"
        folder.mkdir(exist_ok=True)
        remove_drafts(path, *(folder / name for name in (BEST_WEIGHTS, CHECKPOINT)))
        weights = self._train(fold, folder)
        fold_tiles = audit_request.validation_tiles(self._patches, self._folds, fold)
        predictor = Predictor(weights, network_named(self.settings.network), len(fold_tiles.features))
        outputs = np.moveaxis(predictor.predict_tiles(fold_tiles), -1, 1)  # (m, f, y, x)
        with atomic_output(path) as draft, draft.open("wb") as stream:
            np.save(stream, outputs)
        shutil.rmtree(folder, ignore_errors=True)
        return outputs

    def _train(self, fold: int, folder: Path) -> Path:
        """Train the network of a fold to its last epoch; return the path of its weights.

        No epoch is chosen as the best: the fold's tiles must not be used for that, because their labels are checked.
        """
        settings, checkpoint = self.settings, folder / CHECKPOINT
        epochs_done = int(load_checkpoint(checkpoint)[0]["epochs_done"]) if checkpoint.exists() else 0

        def report_progress(epoch_share: float) -> None:
            epoch, epochs = min(epochs_done + 1, settings.epochs), settings.epochs
            self._reporter.progress(
                (fold + (epochs_done + epoch_share) / epochs) / FOLDS,
                f"part {fold + 1}/{FOLDS}, epoch {epoch}/{epochs}",
                epoch=epoch,
                epochs=epochs,
            )

        def on_epoch(report: EpochReport) -> None:
            nonlocal epochs_done
            epochs_done = report.epoch
            self._reporter.log(
                f"part {fold + 1}/{FOLDS}, epoch {report.epoch}/{report.epochs}  loss {report.training_loss:.4f}"
            )

        report_progress(0.0)
        try:
            result = fit(
                audit_request.training_tiles(self._patches, self._tiles, self._folds, fold),
                settings,
                folder=folder,
                on_epoch=on_epoch,
                on_step=lambda step, steps: report_progress(step / steps),
                should_stop=self._reporter.should_stop,
            )
        except DeviceFullError as error:  # an audit has no option for the batch
            fix = f"Audit again under another --name on another device: --device {alternative_device()}."
            raise DeviceFullError(error.fault, fix) from error
        if result.stopped:
            raise StopRequested
        return result.weights


def _make_report(
    request: AuditRequest,
    summary: TrainsetSummary,
    patches: TilePatches,
    tiles: list[TileMetadata],
    folds: NDArray[np.int64],
    outputs: NDArray[np.float32],
    settings: TrainingSettings,
) -> AuditReport:
    return AuditReport(
        name=request.name,
        features=summary.features,
        trainset=request.trainset,
        trainset_digest=summary.digest,
        tiles=rank_label_errors(patches, tiles, folds, outputs),
        network=settings.network,
        epochs=settings.epochs,
        folds=FOLDS,
        seed=settings.seed,
        voxel_size_angstrom=summary.voxel_size_angstrom,
        tomograms=summary.tomograms,
        notes=summary.notes,
        versions=library_versions(),
        created=now(),
    )


def _write_results(
    project: Project, report: AuditReport, patches: TilePatches, tiles: list[TileMetadata], outputs: NDArray[np.float32]
) -> None:
    """Write the triples, then the report that refers to them."""
    tile_window = np.s_[:, CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    triples = TripleSet(
        tuple(tile.id for tile in tiles),
        patches.features,
        np.ones(len(tiles), np.bool_),
        patches.densities[tile_window],
        patches.layers,
        outputs,
    )
    with atomic_output(project.layout.audit_triples(report.name)) as draft:
        write_triples(draft, triples)
    write_record(project.layout.audit_report(report.name), report)
