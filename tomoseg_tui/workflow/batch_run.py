"""Plan the jobs that train, apply and merge over a list of tomograms, checked before the first one starts.

There is one network per feature unless they are trained together: separate networks reach a higher Dice. A separate
job applies each network to each tomogram, and another one merges each tomogram, so that a failure stops only the jobs
that depend on it. The tiles show in advance which tomograms the networks will fit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from tomoseg_tui.errors import ProjectError, TomosegError, UsageError
from tomoseg_tui.io.trainset_file import TrainsetSummary
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FeatureScore, FilterStep, NetworkCard, TileCounts
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, check_apply
from tomoseg_tui.workflow.merge.merge_request import MergeRequest, check_label_name
from tomoseg_tui.workflow.training.train_request import TrainRequest, check_training


@dataclass(frozen=True)
class BatchRunRequest:
    """Request of `run`."""

    features: tuple[str, ...]
    tomograms: tuple[str, ...] = ()
    """Tomograms; empty for all that the networks will fit."""
    name: str = ""
    """Name of the run, or start of the names of several; empty for a free name."""
    together: bool = False
    """One network for all features."""
    network: str = "default"
    epochs: int | None = None
    device: str = "auto"
    seed: int | None = None
    labels: str = "merged"
    """Name of the label volumes."""


class PlannedJob(NamedTuple):
    """A job to start."""

    kind: str
    request: dict[str, Any]
    dependencies: tuple[int, ...] = ()
    """Indices in the plan of the jobs that must finish first."""


@dataclass(frozen=True)
class BatchRunPlan:
    """The jobs of a run."""

    jobs: tuple[PlannedJob, ...]
    cards: Mapping[str, NetworkCard]
    """Cards of the networks as known before the training, by run."""
    tomograms: tuple[str, ...]
    remarks: list[str] = field(default_factory=list)
    """Remarks for the user."""


def plan_batch_run(project: Project, request: BatchRunRequest) -> BatchRunPlan:
    """Return the jobs of a run; nothing is written.

    Raises
    ------
    TomosegError
        If a training is impossible, a network would not fit a requested tomogram, or a name is in use.
    """
    if not request.features:
        raise UsageError("No feature was given.", "Give --feature F, once or more.")
    trainings = _trainings(project, request)
    cards = [_expected_card(project, training) for training in trainings]
    remarks: list[str] = []
    tomograms = tuple(dict.fromkeys(request.tomograms)) or _fitting_tomograms(project, request, cards, remarks)
    for name in tomograms:
        remarks += _check_tomogram(project, request, cards, name)
    jobs = [PlannedJob("train", msgspec.to_builtins(training)) for training in trainings]
    for name in tomograms:
        first_apply = len(jobs)
        for index, training in enumerate(trainings):
            apply_request = msgspec.to_builtins(_apply_request(request, training.name, name))
            jobs.append(PlannedJob("apply", apply_request, (index,)))
        map_specs = tuple(f"{training.name}:{feature}=card" for training in trainings for feature in training.features)
        merge = msgspec.to_builtins(MergeRequest(name, (), request.labels, words=map_specs))
        jobs.append(PlannedJob("merge", merge, tuple(range(first_apply, len(jobs)))))
    return BatchRunPlan(tuple(jobs), {card.name: card for card in cards}, tomograms, remarks)


def _trainings(project: Project, request: BatchRunRequest) -> list[TrainRequest]:
    features = tuple(dict.fromkeys(request.features))
    groups = [features] if request.together else [(feature,) for feature in features]
    return [
        TrainRequest(
            name=_run_name(project, request, group, is_only=len(groups) == 1),
            features=group,
            network=request.network,
            epochs=request.epochs,
            device=request.device,
            seed=request.seed,
        )
        for group in groups
    ]


def _run_name(project: Project, request: BatchRunRequest, features: tuple[str, ...], *, is_only: bool) -> str:
    if not request.name:
        return catalog.free_name(project.layout.networks, features, None)
    return request.name if is_only else f"{request.name}_{features[0]}"


def _expected_card(project: Project, request: TrainRequest) -> NetworkCard:
    """Return a card of a network before its training, with all that decides which tomograms it fits."""
    summary = check_training(project, request)
    if summary is None:
        raise ProjectError(
            f"The training tiles of {request.name} are not known yet.", "Wait until its tomograms exist."
        )
    return NetworkCard(
        name=request.name,
        network=request.network,
        voxel_size_angstrom=summary.voxel_size_angstrom,
        polarity=summary.polarity,
        preprocessing=_filter_chain(summary),
        features={feature: FeatureScore() for feature in request.features},
        tiles=summary.tiles,
        tile_counts=TileCounts({}, {}, 0, 0),
        learning_rate=0.0,
        epochs=0,
        batch=0,
        seed=0,
        tile_size=summary.tile_size,
    )


def _filter_chain(summary: TrainsetSummary) -> tuple[FilterStep, ...]:
    return tuple(FilterStep(**step) for step in summary.preprocessing)


def _apply_request(request: BatchRunRequest, run: str, tomogram: str) -> ApplyRequest:
    return ApplyRequest(run=run, tomograms=(tomogram,), device=request.device)


def _check_tomogram(project: Project, request: BatchRunRequest, cards: Sequence[NetworkCard], name: str) -> list[str]:
    remarks: list[str] = []
    for card in cards:
        remarks += check_apply(project, _apply_request(request, card.name, name), card=card)
    check_label_name(project, name, request.labels)
    return remarks


def _fitting_tomograms(
    project: Project, request: BatchRunRequest, cards: Sequence[NetworkCard], remarks: list[str]
) -> tuple[str, ...]:
    """Return the tomograms that the networks will fit; add remarks on the others."""
    fitting = []
    for name in catalog.tomogram_names(project.layout):
        try:
            _check_tomogram(project, request, cards, name)
        except TomosegError as fault:
            remarks.append(f"{name} is left out: {fault.fault}")
        else:
            fitting.append(name)
    if not fitting:
        raise ProjectError("No tomogram fits the tiles.", "Name one with --tomogram to see why.")
    return tuple(fitting)
