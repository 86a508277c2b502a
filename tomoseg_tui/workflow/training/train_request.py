"""The request of a training, and its checks before a job is created; `ml` and `runners` run the training."""

from typing import Any

import msgspec

from tomoseg_tui.core.grid import SCALE_TOLERANCE, differs_in_size
from tomoseg_tui.core.names import check_name
from tomoseg_tui.core.network_settings import network_named
from tomoseg_tui.errors import ProjectError, TrainingError, UsageError
from tomoseg_tui.io.trainset_file import TrainsetSummary, read_summary
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FilterStep, NetworkCard, format_filter_chain
from tomoseg_tui.workflow.pending_outputs import NO_PENDING_OUTPUTS, PendingOutputs
from tomoseg_tui.workflow.training import trainset as trainset_module
from tomoseg_tui.workflow.training.lineage import parent_runs
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
