"""The request of an audit, its checks, and its folds; `ml` and `runners` train the networks.

The tiles are divided into four folds. For each fold, a network is trained on the other three with a quarter of the
usual epochs, so that an audit costs about as much as one training. No pixel of a fold is used to train its network.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED
from tomoseg_tui.core.cross_validation import assign_folds
from tomoseg_tui.core.holdout import pixels_to_ignore
from tomoseg_tui.core.names import check_name
from tomoseg_tui.core.network_settings import TrainingSettings, network_named, steps_per_epoch
from tomoseg_tui.core.patches import TilePatches
from tomoseg_tui.errors import NothingLabelledError, ProjectError, UsageError
from tomoseg_tui.io.trainset_file import TileMetadata, TrainsetSummary
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.job_interface import NO_PENDING_OUTPUTS, PendingOutputs
from tomoseg_tui.workflow.training import trainset as trainset_module
from tomoseg_tui.workflow.training.split import hold_out_tile
from tomoseg_tui.workflow.training.train_request import TrainingPlan, TrainRequest, plan_training, training_settings
from tomoseg_tui.workflow.training.trainset import TrainsetRequest

FOLDS = 4
"""Number of networks; each is evaluated on a quarter of the tiles."""
EPOCH_SHARE = 0.25
"""Share of the usual epochs for the training of one network."""


class AuditRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `audit`."""

    name: str
    """Name of the audit."""
    trainset: str | None = None
    features: tuple[str, ...] = ()
    """Features of the audit's own training set, if no training set is named."""
    network: str = "default"
    epochs: int | None = None
    """Epochs of each network."""
    device: str = "auto"
    seed: int | None = None
    version: str | None = None


def check_audit(project: Project, request: AuditRequest, *, pending: PendingOutputs = NO_PENDING_OUTPUTS) -> None:
    """Raise an error if an audit cannot run; nothing is written.

    Parameters
    ----------
    pending : PendingOutputs
        Outputs that will exist when the audit starts; what depends on them is checked then.

    Raises
    ------
    TomosegError
        If a name is unknown or in use, or the feature is annotated in one place only.
    """
    project.require_current_format()
    check_name(request.name, "audit")
    if project.layout.audit_folder(request.name).exists():
        raise ProjectError(f"There is an audit {request.name} already.", "Choose another --name.")
    network_named(request.network)
    if request.trainset is not None:
        if request.features or request.version:
            raise UsageError(
                "A training set has its features and versions already.", "Leave --feature and --version out."
            )
        trainset_module.require_training_set(project, request.trainset)
        return
    if not pending.tomograms:
        trainset_module.gather_tiles(project, request.name, audit_trainset_request(request))


def audit_trainset_request(request: AuditRequest) -> TrainsetRequest:
    """Return the request for the audit's own training set, without held-out tiles."""
    return TrainsetRequest(request.features, 0.0, request.version)


def to_train_request(request: AuditRequest) -> TrainRequest:
    """Return the request for the training of one network, with the epochs of a usual training."""
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


def fold_settings(
    project: Project, request: AuditRequest, *, training_tile_count: int, features: int
) -> TrainingSettings:
    """Return the settings for the training of one network."""
    settings = training_settings(
        project, to_train_request(request), training_tile_count=training_tile_count, features=features
    )
    return replace(settings, epochs=request.epochs or max(1, round(EPOCH_SHARE * settings.epochs)))


def plan_audit(project: Project, request: AuditRequest) -> TrainingPlan:
    """Plan an audit; nothing is written.

    Settings and steps are those of the training of one fold, on three quarters of the tiles.

    Raises
    ------
    TomosegError
        If nothing is labelled, a name is unknown, or the tiles do not fit together.
    """
    plan = plan_training(project, to_train_request(request))
    positives, negatives = (round(tiles * (FOLDS - 1) / FOLDS) for tiles in (plan.positives, plan.negatives))
    settings = fold_settings(
        project, request, training_tile_count=positives + negatives, features=len(plan.summary.features)
    )
    steps = steps_per_epoch(settings, positives, negatives)
    return replace(plan, settings=settings, positives=positives, negatives=negatives, steps=steps)


def load_for_audit(path: Path) -> tuple[TrainsetSummary, TilePatches, list[TileMetadata]]:
    """Read a training set without held-out tiles, so that no annotated pixel is ignored."""
    return trainset_module.load_patches(path, validation=0.0)


def choose_folds(patches: TilePatches, metadata: Sequence[TileMetadata]) -> NDArray[np.int64]:
    """Return the fold of each tile, shape (n,); overlapping tiles and copies are in one fold.

    Raises
    ------
    NothingLabelledError
        If one of the networks would have no pixels of a feature in its training tiles.
    """
    groups = np.array([tile_metadata.group for tile_metadata in metadata], np.int64)
    folds = assign_folds(groups, patches.signs, folds=FOLDS)
    for fold in range(FOLDS):
        layers = _training_layers(patches, metadata, folds, fold)
        for feature_index, feature in enumerate(patches.features):
            if not (layers[:, feature_index] == FEATURE).any():
                raise NothingLabelledError(
                    f"{feature} is on too few separate tiles: without one quarter of the tiles, none of it is left.",
                    f"Annotate {feature} on more tiles at a distance from each other; five are enough to begin with.",
                )
    return folds


def training_tiles(
    patches: TilePatches, metadata: Sequence[TileMetadata], folds: NDArray[np.int64], fold: int
) -> TilePatches:
    """Return the tiles for the training of one network: the other folds, pixels in boxes of its own fold ignored."""
    return _subset(patches, np.flatnonzero(folds != fold), _training_layers(patches, metadata, folds, fold))


def _training_layers(
    patches: TilePatches, metadata: Sequence[TileMetadata], folds: NDArray[np.int64], fold: int
) -> NDArray[np.uint8]:
    """Return the layers of all other folds, shape (m, f, y, x); pixels in the boxes of the fold are ignored."""
    boxes = [hold_out_tile(tile_metadata) for tile_metadata in metadata]
    fold_boxes = [box for box, is_own in zip(boxes, folds == fold, strict=True) if is_own]
    indices = np.flatnonzero(folds != fold)
    layers: NDArray[np.uint8] = patches.layers[indices]  # a copy
    for layer, tile in zip(layers, indices, strict=True):
        layer[:, pixels_to_ignore(boxes[tile], fold_boxes)] = IGNORED
    return layers


def validation_tiles(patches: TilePatches, folds: NDArray[np.int64], fold: int) -> TilePatches:
    """Return the tiles of one fold, which its network was not trained on."""
    indices = np.flatnonzero(folds == fold)
    return _subset(patches, indices, patches.layers[indices])


def _subset(patches: TilePatches, indices: NDArray[np.intp], layers: NDArray[np.uint8]) -> TilePatches:
    return replace(
        patches,
        densities=patches.densities[indices],
        layers=layers,
        signs=patches.signs[indices],
        held_out=np.zeros(len(indices), np.bool_),
    )
