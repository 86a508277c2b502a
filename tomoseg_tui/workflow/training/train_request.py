"""The request of a training, and its checks before a job is created; `ml` and `runners` run the training."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from tomoseg_tui.core.grid import SCALE_TOLERANCE, differs_in_size
from tomoseg_tui.core.names import check_name
from tomoseg_tui.core.network_settings import (
    TrainingSettings,
    default_training,
    network_named,
    steps_per_epoch,
)
from tomoseg_tui.errors import ProjectError, TrainingError, UsageError
from tomoseg_tui.io.trainset_file import TileMetadata, TrainsetSummary, read_summary, read_training_set
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FilterStep, NetworkCard, format_filter_chain
from tomoseg_tui.workflow.job_interface import NO_PENDING_OUTPUTS, PendingOutputs
from tomoseg_tui.workflow.training import trainset
from tomoseg_tui.workflow.training import trainset as trainset_module
from tomoseg_tui.workflow.training.lineage import parent_runs
from tomoseg_tui.workflow.training.split import apply_split
from tomoseg_tui.workflow.training.trainset import TrainsetRequest

FINE_TUNING_RATE = 0.1
"""Share of the learning rate of the parent run, for a training that starts from its weights."""


class TrainRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `train`."""

    name: str
    """Name of the run."""
    trainset: str | None = None
    features: tuple[str, ...] = ()
    """Features of the run's own training set, if no training set is named."""
    network: str = "default"
    made_from: str | None = None
    """Run whose weights the training starts from."""
    epochs: int | None = None
    learning_rate: float | None = None
    batch: int | None = None
    device: str = "auto"
    seed: int | None = None
    validation: float | None = None
    version: str | None = None


def check_training(
    project: Project, request: TrainRequest, *, pending: PendingOutputs = NO_PENDING_OUTPUTS
) -> TrainsetSummary | None:
    """Raise an error if a training cannot run; nothing is written.

    Parameters
    ----------
    pending : PendingOutputs
        Outputs that will exist when the training starts; what depends on them is checked then.

    Returns
    -------
    TrainsetSummary or None
        The training set; None if it is not known yet.

    Raises
    ------
    TomosegError
        If a name is unknown or in use, or nothing is labelled.
    """
    project.require_current_format()
    check_name(request.name, "run")
    if project.layout.network_folder(request.name).exists():
        raise ProjectError(f"There is a run {request.name} already.", "Choose another --name.")
    network_named(request.network)
    if pending.tomograms:
        return None
    if request.made_from in pending.runs:
        return _summary_of(project, msgspec.structs.replace(request, made_from=None))
    summary = _summary_of(project, request)
    check_parent(project, request, summary)
    return summary


def check_parent(project: Project, request: TrainRequest, summary: TrainsetSummary) -> None:
    """Raise an error if the network to start from does not exist or does not fit the training set.

    Raises
    ------
    TomosegError
        If it does not.
    """
    if request.made_from is not None:
        _check_parent_card(catalog.load_network_card(project.layout, request.made_from), summary, request)


def parent_remarks(project: Project, request: TrainRequest, summary: TrainsetSummary | None) -> list[str]:
    """Return remarks for the user on the run whose weights a training starts from.

    Parameters
    ----------
    summary : TrainsetSummary or None
        The training set; None if it is not known yet.
    """
    if request.made_from is None:
        return []
    parents = parent_runs(project, request.made_from)
    return [*parents.warnings, *(_filter_remarks(parents.card, summary) if summary is not None else [])]


def _filter_remarks(card: NetworkCard, summary: TrainsetSummary) -> list[str]:
    chain = tuple(FilterStep(**step) for step in summary.preprocessing)
    if chain == card.preprocessing:
        return []
    network_text, tiles_text = format_filter_chain(card.preprocessing), format_filter_chain(chain)
    return [f"The tiles are filtered in another way ({tiles_text}) than {card.name} was trained with ({network_text})."]


def _summary_of(project: Project, request: TrainRequest) -> TrainsetSummary:
    if request.trainset is not None:
        if request.features or request.version:
            raise UsageError(
                "A training set has its features and versions already.", "Leave --feature and --version out."
            )
        return read_summary(trainset_module.require_training_set(project, request.trainset))
    summary, _ = trainset_module.gather_tiles(project, request.name, trainset_request(request))
    return summary


def trainset_request(request: TrainRequest) -> TrainsetRequest:
    """Return the request for the run's own training set."""
    share = 0.2 if request.validation is None else request.validation
    return TrainsetRequest(request.features, share, request.version, request.made_from)


def _check_parent_card(card: NetworkCard, summary: TrainsetSummary, request: TrainRequest) -> None:
    """Raise an error if a network differs in kind, features or voxel size."""
    requested = network_named(request.network).name if request.network != "default" else card.network
    if requested != card.network:
        raise TrainingError(
            f"{card.name} is a network {card.network}, not {requested}.",
            f"Leave --network out, or give {card.network}.",
        )
    if tuple(card.features) != summary.features:
        raise TrainingError(
            f"{card.name} has the features {', '.join(card.features)}, the tiles {', '.join(summary.features)}.",
            "Name the same features in the same order.",
        )
    if differs_in_size(summary.voxel_size_angstrom, card.voxel_size_angstrom, tolerance=SCALE_TOLERANCE):
        raise TrainingError(
            f"{card.name} was trained at {card.voxel_size_angstrom:g} Å/voxel, "
            f"the tiles are at {summary.voxel_size_angstrom:g}.",
            "Train a new network, or bin the tomograms to that voxel size.",
        )


def network_listing(card: NetworkCard) -> dict[str, Any]:
    """Return a network as `networks --json` prints it."""
    listing: dict[str, Any] = msgspec.to_builtins(card)
    return listing


@dataclass(frozen=True)
class TrainingPlan:
    """Tiles, settings and cost of a training."""

    summary: TrainsetSummary
    """The training set: numbers of tiles by class, and of held-out tiles."""
    settings: TrainingSettings
    """The settings in the request, else the network's usual ones."""
    positives: int
    negatives: int
    """Training tiles with any feature, and with none."""
    steps: int
    """Steps per epoch."""
    trainset_bytes: int
    """Size of the run's own training set, 0 if it has none."""


def plan_training(project: Project, request: TrainRequest) -> TrainingPlan:
    """Plan a training; nothing is written.

    Raises
    ------
    TomosegError
        If nothing is labelled, a name is unknown, or the tiles do not fit together.
    """
    summary, tiles, trainset_bytes = _plan_tiles(project, request)
    training_tiles = [tile for tile in tiles if not tile.held_out]
    settings = training_settings(
        project, request, training_tile_count=len(training_tiles), features=len(summary.features)
    )
    positives = sum(any(sign > 0 for sign in tile.signs) for tile in training_tiles)
    negatives = len(training_tiles) - positives
    steps = steps_per_epoch(settings, positives, negatives)
    return TrainingPlan(summary, settings, positives, negatives, steps, trainset_bytes)


def _plan_tiles(project: Project, request: TrainRequest) -> tuple[TrainsetSummary, list[TileMetadata], int]:
    """Return the tiles, and the size of the run's own training set in bytes, 0 if it has none."""
    if request.trainset is not None:
        training_set = read_training_set(trainset.require_training_set(project, request.trainset))
        parents = parent_runs(project, request.made_from) if request.made_from is not None else None
        summary, tiles = apply_split(*training_set, validation=request.validation, parents=parents)
        return summary, [tile.metadata for tile in tiles], 0
    summary, tiles = trainset.gather_tiles(project, request.name, trainset_request(request))
    return summary, [tile.metadata for tile in tiles], sum(tile.densities.nbytes for tile in tiles)


def training_settings(
    project: Project, request: TrainRequest, *, training_tile_count: int, features: int
) -> TrainingSettings:
    """Return the settings of a training: those in the request, else the usual ones for its tiles and features.

    A training that starts from the weights of another run uses its network and a tenth of its learning rate.
    """
    parent_card = (
        catalog.load_network_card(project.layout, request.made_from) if request.made_from is not None else None
    )
    defaults = default_training(
        parent_card.network if parent_card is not None else request.network, training_tile_count, features
    )
    learning_rate = request.learning_rate or (
        defaults.learning_rate if parent_card is None else parent_card.learning_rate * FINE_TUNING_RATE
    )
    return replace(
        defaults,
        epochs=request.epochs or defaults.epochs,
        learning_rate=learning_rate,
        batch=request.batch or defaults.batch,
        seed=request.seed if request.seed is not None else project.settings.seed,
    )
