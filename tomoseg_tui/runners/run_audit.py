"""Audit a training set: let networks judge tiles that they have not seen, and rank the labels that look wrong.

A fold that is done lies in the job's partial folder as an array of probabilities; one in the making has its
checkpoint there. A job that goes on finds both, unless the tiles are no longer those that it began with.
"""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.network_settings import TrainingSettings, network_named
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.errors import DeviceFullError
from tomoseg_tui.files.atomic import drafted, sweep_drafts
from tomoseg_tui.io.trainset_file import SetSummary, TileFacts
from tomoseg_tui.io.triples_file import Triples, write_triples
from tomoseg_tui.ml.checkpoints import load_checkpoint
from tomoseg_tui.ml.epoch_report import EpochReport
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.tf_devices import other_device, prepare_device
from tomoseg_tui.ml.training import BEST_WEIGHTS, CHECKPOINT, fit
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import AuditReport, now, read_record, write_record
from tomoseg_tui.project.software_versions import tested_versions
from tomoseg_tui.workflow.audit import audit_request
from tomoseg_tui.workflow.audit.audit_request import FOLDS, AuditRequest
from tomoseg_tui.workflow.audit.ranking import rank_tiles
from tomoseg_tui.workflow.job_interface import Reporter, Stopped, stop_if_asked
from tomoseg_tui.workflow.training import trainset


def run_audit(project: Project, asked: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Carry out an audit; a job that was stopped goes on with the fold and epoch that it was at.

    Returns
    -------
    dict
        ``audit``: its name; ``suspected``: how many tiles have a reason to be looked at.

    Raises
    ------
    Stopped
        If the user asked for it; finished epochs are kept.
    """
    request = msgspec.convert(asked, AuditRequest)
    layout = project.layout
    layout.audit_folder(request.name).mkdir(parents=True, exist_ok=True)
    sweep_drafts(layout.audit_report(request.name), layout.audit_trainset(request.name))
    sweep_drafts(layout.audit_triples(request.name))
    reporter.log(prepare_device(request.device, None))
    summary, patches, facts = _tiles(project, request, reporter)
    for note in summary.notes:
        reporter.log(note)
    folds = audit_request.choose_folds(patches, facts)
    _forget_other_tiles(reporter, patches, folds)
    judge = _Judge(project, request, patches, facts, folds, reporter)
    outputs = np.zeros(patches.layers.shape, np.float32)  # (n, f, y, x)
    for fold in range(FOLDS):
        if (folds == fold).any():
            outputs[folds == fold] = judge.outputs_of(fold)
    report = _report(request, summary, patches, facts, folds, outputs, judge.settings)
    _keep(project, report, patches, facts, outputs)
    suspected = sum(bool(tile.reasons) for tile in report.tiles)
    reporter.log(f"{suspected} of {len(report.tiles)} tiles have something that is worth a look.")
    return {"audit": request.name, "suspected": suspected}


def _tiles(
    project: Project, request: AuditRequest, reporter: Reporter
) -> tuple[SetSummary, TilePatches, list[TileFacts]]:
    """Return the tiles to judge; an audit's own training set is built once, and found again when resumed."""
    if request.trainset is not None:
        return audit_request.load_for_audit(trainset.require_training_set(project, request.trainset))
    path = project.layout.audit_trainset(request.name)
    if not path.exists():

        def on_tile(_done: float) -> None:
            stop_if_asked(reporter)
            reporter.progress(0.0, "building the training set")

        trainset.build(project, request.name, audit_request.set_request(request), path, on_tile)
    return audit_request.load_for_audit(path)


class _Begun(msgspec.Struct, frozen=True):
    """What an audit was begun with, kept beside its folds."""

    contents: dict[str, str]
    """Of `TilePatches.contents`."""
    folds: list[int]
    """By tile."""


def _forget_other_tiles(reporter: Reporter, patches: TilePatches, folds: NDArray[np.int64]) -> None:
    """Remove folds, finished or not, that were made of other tiles than there are now."""
    path, begun = reporter.partial / "tiles.json", _Begun(patches.contents(), folds.tolist())
    sweep_drafts(path)
    if path.exists() and read_record(path, _Begun) == begun:
        return
    if path.exists():  # older audits have none: their folds are taken as they are
        reporter.log(f"The training set {patches.name} has changed since this audit began; all is judged anew.")
        for fold in range(FOLDS):
            shutil.rmtree(reporter.partial / f"fold_{fold}", ignore_errors=True)
            (reporter.partial / f"fold_{fold}.npy").unlink(missing_ok=True)
    write_record(path, begun)


class _Judge:
    """Trains a network for each fold and lets it judge the fold's tiles."""

    def __init__(
        self,
        project: Project,
        request: AuditRequest,
        patches: TilePatches,
        facts: list[TileFacts],
        folds: NDArray[np.int64],
        reporter: Reporter,
    ) -> None:
        self._patches, self._facts, self._folds, self._reporter = patches, facts, folds, reporter
        # One number of epochs for all folds, which differ by a tile or two.
        teaching = int((folds != 0).sum())
        self.settings = audit_request.fold_settings(project, request, teaching=teaching, features=len(patches.features))

    def outputs_of(self, fold: int) -> NDArray[np.float32]:
        """Return the probabilities (m, f, y, x) of a fold's tiles, computed unless they are there already."""
        path = self._reporter.partial / f"fold_{fold}.npy"
        if path.exists():
            found: NDArray[np.float32] = np.load(path)
            if len(found) == np.count_nonzero(self._folds == fold):
                return found
        folder = self._reporter.partial / f"fold_{fold}"
        folder.mkdir(exist_ok=True)
        sweep_drafts(path, *(folder / name for name in (BEST_WEIGHTS, CHECKPOINT)))
        weights = self._train(fold, folder)
        tiles = audit_request.judged_tiles(self._patches, self._folds, fold)
        predictor = Predictor(weights, network_named(self.settings.network), len(tiles.features))
        outputs = np.moveaxis(predictor.predict_tiles(tiles), -1, 1)  # (m, f, y, x)
        with drafted(path) as draft, draft.open("wb") as stream:
            np.save(stream, outputs)
        shutil.rmtree(folder, ignore_errors=True)
        return outputs

    def _train(self, fold: int, folder: Path) -> Path:
        """Train the network of a fold to its last epoch; return where its weights are.

        Nothing is held out of its own tiles: the labels of those that it is to judge must not choose an epoch.
        """
        settings, checkpoint = self.settings, folder / CHECKPOINT
        done = int(load_checkpoint(checkpoint)[0]["epochs_done"]) if checkpoint.exists() else 0

        def tell(part: float) -> None:
            self._reporter.progress(
                (fold + (done + part) / settings.epochs) / FOLDS,
                f"part {fold + 1}/{FOLDS}, epoch {min(done + 1, settings.epochs)}/{settings.epochs}",
            )

        def epoch_ended(report: EpochReport) -> None:
            nonlocal done
            done = report.epoch
            self._reporter.log(
                f"part {fold + 1}/{FOLDS}, epoch {report.epoch}/{report.epochs}  loss {report.training_loss:.4f}"
            )

        tell(0.0)
        try:
            result = fit(
                audit_request.teaching_tiles(self._patches, self._facts, self._folds, fold),
                settings,
                folder=folder,
                on_epoch=epoch_ended,
                on_step=lambda step, steps: tell(step / steps),
                should_stop=self._reporter.should_stop,
            )
        except DeviceFullError as full:  # the batch of an audit is not for the user to choose
            fix = f"Audit again under another --name on another device: --device {other_device()}."
            raise DeviceFullError(full.fault, fix) from full
        if result.stopped:
            raise Stopped
        return result.weights


def _report(
    request: AuditRequest,
    summary: SetSummary,
    patches: TilePatches,
    facts: list[TileFacts],
    folds: NDArray[np.int64],
    outputs: NDArray[np.float32],
    settings: TrainingSettings,
) -> AuditReport:
    return AuditReport(
        name=request.name,
        features=summary.features,
        trainset=request.trainset,
        trainset_digest=summary.digest,
        tiles=rank_tiles(patches, facts, folds, outputs),
        network=settings.network,
        epochs=settings.epochs,
        folds=FOLDS,
        seed=settings.seed,
        voxel_size_angstrom=summary.voxel_size_angstrom,
        tomograms=summary.tomograms,
        notes=summary.notes,
        versions=tested_versions(),
        created=now(),
    )


def _keep(
    project: Project, report: AuditReport, patches: TilePatches, facts: list[TileFacts], outputs: NDArray[np.float32]
) -> None:
    """Write pictures, then the list that refers to them."""
    inner = np.s_[:, CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    triples = Triples(
        tuple(tile.id for tile in facts),
        patches.features,
        np.ones(len(facts), np.bool_),
        patches.densities[inner],
        patches.layers,
        outputs,
    )
    with drafted(project.layout.audit_triples(report.name)) as draft:
        write_triples(draft, triples)
    write_record(project.layout.audit_report(report.name), report)
