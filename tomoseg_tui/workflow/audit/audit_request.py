"""What an audit is asked to do, and who is trained on what. The trainings themselves are neural's business.

The tiles are dealt into four folds. For each a network is trained on the other three, with a quarter of the
usual steps, so that the four together cost about one training; no pixel of the fold is among what it learns.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED
from tomoseg_tui.core.cross_validation import deal_into_folds
from tomoseg_tui.core.holdout import pixels_to_ignore
from tomoseg_tui.core.names import check_name
from tomoseg_tui.core.network_settings import TrainingSettings, network_named
from tomoseg_tui.core.patches import TilePatches
from tomoseg_tui.errors import NothingLabelledError, ProjectError, UsageError
from tomoseg_tui.io.trainset_file import SetSummary, TileFacts
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.pending_outputs import NOTHING, Promised
from tomoseg_tui.workflow.reserved_names import free_name, release, reserve
from tomoseg_tui.workflow.training import trainset as trainset_module
from tomoseg_tui.workflow.training.split import hold_out_tile
from tomoseg_tui.workflow.training.train_request import TrainRequest
from tomoseg_tui.workflow.training.training_plan import TrainingPlan, plan_training, training_settings
from tomoseg_tui.workflow.training.trainset import SetRequest

FOLDS = 4
"""As many networks are trained; each judges a fourth of the tiles."""
PART = 0.25
"""Part of a training's usual epochs that each of them gets."""


class AuditRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What `audit` is asked to do."""

    name: str
    """Name of the audit."""
    trainset: str | None = None
    features: tuple[str, ...] = ()
    """Built into the audit's own training set if no training set is named."""
    network: str = "default"
    epochs: int | None = None
    """Of each fold's training."""
    device: str = "cpu"
    seed: int | None = None
    version: str | None = None


def check_audit(project: Project, request: AuditRequest, *, promised: Promised = NOTHING) -> None:
    """Refuse what cannot be audited; nothing is written.

    Parameters
    ----------
    project : Project
    request : AuditRequest
    promised : Promised
        What will be there when the audit begins; what hangs on it is checked then.

    Raises
    ------
    TomosegError
        If a name is unknown or taken, a setting is out of range, or the feature is annotated in one place only.
    """
    project.refuse_newer()
    check_name(request.name, "audit")
    if project.layout.audit_folder(request.name).exists():
        raise ProjectError(f"There is an audit {request.name} already.", "Choose another --name.")
    if request.epochs is not None and request.epochs < 1:
        raise UsageError(f"--epochs {request.epochs} is out of range.", "Take 1 or more.")
    if request.seed is not None and not 0 <= request.seed < 2**31:
        raise UsageError(f"--seed {request.seed} is out of range.", "Take 0 to 2147483647.")
    network_named(request.network)
    if request.trainset is not None:
        if request.features or request.version:
            raise UsageError(
                "A training set has its features and versions already.", "Leave --feature and --version out."
            )
        trainset_module.require_training_set(project, request.trainset)
        return
    if not promised.tomograms:
        trainset_module.gather(project, request.name, set_request(request))


def set_request(request: AuditRequest) -> SetRequest:
    """Return what the audit's own training set is to hold: nothing of it is held out, since folds take turns."""
    return SetRequest(request.features, 0.0, request.version)


def as_training(request: AuditRequest) -> TrainRequest:
    """Return the training that each fold's network gets, but for its part of the epochs."""
    return TrainRequest(
        name=request.name,
        trainset=request.trainset,
        features=request.features,
        network=request.network,
        epochs=request.epochs,
        device=request.device,
        seed=request.seed,
        validation=0.0,
        version=request.version,
    )


def fold_settings(project: Project, request: AuditRequest, *, teaching: int, features: int) -> TrainingSettings:
    """Return the settings of one fold's training, on so many tiles and features."""
    usual = training_settings(project, as_training(request), teaching=teaching, features=features)
    return replace(usual, epochs=request.epochs or max(1, round(PART * usual.epochs)))


def plan_audit(project: Project, request: AuditRequest) -> TrainingPlan:
    """Return what an audit would be, as if it were one training; nothing is written.

    Raises
    ------
    TomosegError
        If nothing is labelled, a name is unknown, or the tiles do not go together.
    """
    plan = plan_training(project, as_training(request))
    epochs = request.epochs or max(1, round(PART * plan.settings.epochs))
    share = FOLDS * epochs / plan.settings.epochs
    return replace(plan, settings=replace(plan.settings, epochs=FOLDS * epochs), flops=plan.flops * share)


def load_for_audit(path: Path) -> tuple[SetSummary, TilePatches, list[TileFacts]]:
    """Read a training set with nothing held out: every pixel as it was annotated."""
    return trainset_module.load_patches(path, validation=0.0)


def choose_folds(patches: TilePatches, facts: Sequence[TileFacts]) -> NDArray[np.int64]:
    """Return the fold of each tile, shape (n,); those that overlap and copies share one.

    Raises
    ------
    NothingLabelledError
        If to the network of one fold nothing of a feature would be left to learn from.
    """
    groups = np.array([one.group for one in facts], np.int64)
    folds = deal_into_folds(groups, patches.signs, folds=FOLDS)
    for fold in range(FOLDS):
        layers = _layers_to_learn(patches, facts, folds, fold)
        for number, feature in enumerate(patches.features):
            if not (layers[:, number] == FEATURE).any():
                raise NothingLabelledError(
                    f"Without a quarter of the tiles nothing of {feature} is left to learn from.",
                    f"Annotate {feature} on more tiles that lie apart; five are enough to begin with.",
                )
    return folds


def teaching_tiles(
    patches: TilePatches, facts: Sequence[TileFacts], folds: NDArray[np.int64], fold: int
) -> TilePatches:
    """Return what the network of one fold learns from: the tiles of the others, without pixels of its own boxes."""
    return _part(patches, np.flatnonzero(folds != fold), _layers_to_learn(patches, facts, folds, fold))


def _layers_to_learn(
    patches: TilePatches, facts: Sequence[TileFacts], folds: NDArray[np.int64], fold: int
) -> NDArray[np.uint8]:
    """Return the layers (m, f, y, x) of all other folds, with the pixels of the fold's own boxes ignored."""
    places = [hold_out_tile(one) for one in facts]
    judged = [place for place, own in zip(places, folds == fold, strict=True) if own]
    chosen = np.flatnonzero(folds != fold)
    layers: NDArray[np.uint8] = patches.layers[chosen]  # a copy
    for layer, tile in zip(layers, chosen, strict=True):
        layer[:, pixels_to_ignore(places[tile], judged)] = IGNORED
    return layers


def judged_tiles(patches: TilePatches, folds: NDArray[np.int64], fold: int) -> TilePatches:
    """Return the tiles of one fold, which its network has not seen."""
    chosen = np.flatnonzero(folds == fold)
    return _part(patches, chosen, patches.layers[chosen])


def _part(patches: TilePatches, chosen: NDArray[np.intp], layers: NDArray[np.uint8]) -> TilePatches:
    return replace(
        patches,
        densities=patches.densities[chosen],
        layers=layers,
        signs=patches.signs[chosen],
        held_out=np.zeros(len(chosen), np.bool_),
    )


def free_audit_name(project: Project, features: tuple[str, ...], trainset: str | None) -> str:
    """Return a name for an audit that nobody has named; see `reserving.free_name`."""
    return free_name(project.layout.audit_folder, features, trainset)


def reserve_audit(project: Project, name: str) -> Path:
    """Make an audit's folder, so that the name is taken from now on; see `reserving.reserve`."""
    return reserve(project.layout.audit_folder(name), "an audit")


def release_audit(project: Project, name: str) -> None:
    """Give a reserved name back, because no job has come of it."""
    release(project.layout.audit_folder(name))
