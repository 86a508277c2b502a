"""How much a job with a network has to do: a training, an audit, an apply."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from tomoseg_tui.core.network_settings import TrainingSettings
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES
from tomoseg_tui.io.trainset_file import TrainsetSummary
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.project.timings import timing_key
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, requested_features
from tomoseg_tui.workflow.apply_estimates import apply_timing_key, estimate_apply, voxels_of
from tomoseg_tui.workflow.audit.audit_request import FOLDS, AuditRequest, plan_audit
from tomoseg_tui.workflow.estimates.work import Work, same_shape
from tomoseg_tui.workflow.job_interface import Workload
from tomoseg_tui.workflow.training.train_request import TrainRequest
from tomoseg_tui.workflow.training.training_plan import (
    TRAINING_FLOPS_PER_CORE,
    TrainingPlan,
    plan_training,
    weights_bytes,
)


def training_work(project: Project, raw_request: Mapping[str, Any], _expected: Mapping[str, NetworkCard]) -> Work:
    """Return what a training has to do; a unit is a step. Reads the tiles.

    Raises
    ------
    TomosegError
        If nothing is labelled, a name is unknown, or the tiles do not go together.
    """
    request = msgspec.convert(raw_request, TrainRequest)
    return planned_training_work(plan_training(project, request), request.device)


def planned_training_work(plan: TrainingPlan, device: str) -> Work:
    """Return what a training that is planned already has to do."""
    workload = training_workload(plan.settings, plan.summary, device, steps=plan.steps)
    return _work_of_plan("train", plan, workload, device)


def training_workload(settings: TrainingSettings, summary: TrainsetSummary, device: str, *, steps: int) -> Workload:
    """Return the workload of a training of so many steps an epoch."""
    return Workload(
        timing_key("train", device, *_sample(settings, summary).values()),
        units=settings.epochs * steps,
        epochs=settings.epochs,
        held_out=summary.held_out,
        validations=settings.epochs * summary.held_out + summary.tiles,  # all of them once, for the triples
        tiles_bytes=2 * _tile_bytes(summary) * summary.tiles,
    )


def audit_work(project: Project, raw_request: Mapping[str, Any], _expected: Mapping[str, NetworkCard]) -> Work:
    """Return what an audit has to do: a network is trained for each fold; a unit is a step. Reads the tiles.

    Raises
    ------
    TomosegError
        If nothing is labelled, a name is unknown, or the tiles do not go together.
    """
    request = msgspec.convert(raw_request, AuditRequest)
    plan = plan_audit(project, request)
    workload = audit_workload(plan.settings, plan.summary, request.device, steps=plan.steps)
    return _work_of_plan("audit", plan, workload, request.device)


def audit_workload(settings: TrainingSettings, summary: TrainsetSummary, device: str, *, steps: int) -> Workload:
    """Return the workload of an audit whose folds each take so many steps an epoch.

    Between two folds there is a pause, in which the first network predicts its tiles and the next one is built.
    """
    return Workload(
        timing_key("audit", device, *_sample(settings, summary).values()),
        units=FOLDS * settings.epochs * steps,
        epochs=FOLDS,
        validations=summary.tiles,
        tiles_bytes=3 * _tile_bytes(summary) * summary.tiles,  # those of a fold's training are a copy
    )


def _work_of_plan(kind: str, plan: TrainingPlan, workload: Workload, device: str) -> Work:
    return Work(
        kind,
        workload,
        disk_bytes=plan.disk_bytes,
        guessed_seconds=plan.seconds(TRAINING_FLOPS_PER_CORE * len(os.sched_getaffinity(0))),
        guessed_bytes=plan.memory_bytes,
        sample={**_sample(plan.settings, plan.summary), "device": device},
        on_gpu=device != "cpu",
    )


def _sample(settings: TrainingSettings, summary: TrainsetSummary) -> dict[str, Any]:
    return {
        "network": settings.network,
        "features": len(summary.features),
        "batch": settings.batch,
        "tile": summary.tile_size,
    }


def _tile_bytes(summary: TrainsetSummary) -> int:
    """Return the memory of a tile with its context."""
    return 4 * (2 * CONTEXT_SLICES + 1) * (summary.tile_size + 2 * CONTEXT_PIXELS) ** 2


def apply_work(project: Project, raw_request: Mapping[str, Any], expected: Mapping[str, NetworkCard]) -> Work:
    """Return what an apply has to do; a unit is a voxel of one worker's share.

    The timing of several workers depends on what else they share, one for some slices may begin by copying a map, and
    of a GPU the memory is not known here: none of them is typical.

    Raises
    ------
    TomosegError
        If the network, a tomogram or its slices are not there.
    """
    request = msgspec.convert(raw_request, ApplyRequest)
    layout = project.layout
    card = expected.get(request.run) or catalog.load_network_card(layout, request.run)
    features = len(requested_features(card, request))
    records = [catalog.load_tomogram(layout, name) for name in request.tomograms]
    voxels = sum(voxels_of(record, request.z) for record in records)
    guess = estimate_apply(
        card, records, [], features=features, z=request.z, device=request.device, workers=request.workers,
        tta=request.tta,
    )  # fmt: skip
    return Work(
        "apply",
        Workload(
            apply_timing_key(card, records, request),
            units=voxels / request.workers,
            is_typical=(request.workers, request.z, request.device) == (1, None, "cpu")
            and same_shape([record.shape_zyx for record in records]),
        ),
        # A map that is replaced stays until the new one is complete; the job works with a copy of its network.
        disk_bytes=voxels * features * (1 if request.output is None else 2)
        + _weights_bytes(project, card, is_trained=request.run not in expected),
        guessed_seconds=guess.seconds,
        guessed_bytes=guess.memory_bytes,
        sample=msgspec.to_builtins(request),
        workers=request.workers,
        on_gpu=request.device != "cpu",
    )


def _weights_bytes(project: Project, card: NetworkCard, *, is_trained: bool) -> int:
    path = project.layout.network_weights(card.name)
    if is_trained:
        return path.stat().st_size if path.is_file() else 0
    return weights_bytes(card.network, len(card.features))
