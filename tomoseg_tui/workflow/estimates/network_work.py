"""How much a job with a network has to do: a training, an audit, an apply."""

import os
from collections.abc import Mapping
from math import prod
from typing import Any

import msgspec

from tomoseg_tui.core.network_settings import TrainingSettings, network_named
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, input_edge
from tomoseg_tui.io.trainset_file import TrainsetSummary
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.project.timings import timing_key
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, requested_features
from tomoseg_tui.workflow.audit.audit_request import FOLDS, AuditRequest, plan_audit
from tomoseg_tui.workflow.estimates.estimator import Work, plane_size, same_shape
from tomoseg_tui.workflow.job_interface import Workload, parse_request
from tomoseg_tui.workflow.training.train_request import TrainingPlan, TrainRequest, plan_training
from tomoseg_tui.workflow.volume_names import parse_z_range

TRAINING_FLOPS_PER_CORE = 4e10
"""Operations a second that a core reaches in training; measured between 2.5e10 and 6e10 on a busy server of 2026."""
APPLY_FLOPS_PER_CORE = 5e10
"""The same in an apply: half of the 9e10 that the U-Net reaches where nothing else runs."""
GPU_FLOPS = 2e12
"""The same on a plain GPU; reading and writing take most of the time there."""
PASSES = 3.0
"""A training step goes forward once and back with about twice the work."""
TRAINING_START_SECONDS, FOLD_SECONDS = 8.0, 4.0
"""Until TensorFlow is loaded and the first step is compiled; for each further network of an audit."""
TRAINING_WORKER_BYTES = 700e6
"""Memory of a worker with TensorFlow and nothing else; measured 0.67 GB."""
FILE_BYTES = 20_000
"""Of a file of weights, beside its numbers: names, shapes and what HDF5 keeps for itself."""
TRIPLE_BYTES_PER_PIXEL = 3.0
"""Of float32 images and outputs, packed."""
APPLY_START_SECONDS = 4.0
"""Until TensorFlow is loaded and a network is compiled."""
APPLY_WORKER_BYTES = 600e6
"""Memory of a worker with TensorFlow, a network and a small slice."""
BYTES_PER_PIXEL = 400.0
"""Memory for each pixel of a piece: its slab of densities and maps, and the network's channels."""
MAX_PIXELS = 1024 * 1024
"""Of a piece with its margin; larger slices are cut."""


def training_work(project: Project, raw_request: Mapping[str, Any], _expected: Mapping[str, NetworkCard]) -> Work:
    """Return what a training has to do; a unit is a step. Reads the tiles.

    Raises
    ------
    TomosegError
        If nothing is labelled, a name is unknown, or the tiles do not go together.
    """
    request = parse_request(raw_request, TrainRequest)
    return planned_training_work(plan_training(project, request), request.device)


def planned_training_work(plan: TrainingPlan, device: str) -> Work:
    """Return what a training that is planned already has to do."""
    workload = training_workload(plan.settings, plan.summary, device, steps=plan.steps)
    return _work_of_plan("train", plan, workload, device, start_seconds=TRAINING_START_SECONDS)


def training_workload(settings: TrainingSettings, summary: TrainsetSummary, device: str, *, steps: int) -> Workload:
    """Return the workload of a training of so many steps an epoch."""
    return Workload(
        timing_key("train", device, *_sample(settings, summary).values()),
        units=settings.epochs * steps,
        size=settings.epochs * steps * step_flops(settings, summary),
        family=_training_family(settings, device),
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
    request = parse_request(raw_request, AuditRequest)
    plan = plan_audit(project, request)
    summary = plan.summary
    return _work_of_plan(
        "audit",
        plan,
        audit_workload(plan.settings, summary, request.device, steps=plan.steps),
        request.device,
        start_seconds=TRAINING_START_SECONDS + (FOLDS - 1) * FOLD_SECONDS,
        predicted_bytes=4 * len(summary.features) * summary.tiles * summary.tile_size**2,
    )


def audit_workload(settings: TrainingSettings, summary: TrainsetSummary, device: str, *, steps: int) -> Workload:
    """Return the workload of an audit whose folds each take so many steps an epoch.

    Between two folds there is a pause, in which the first network predicts its tiles and the next one is built.
    """
    return Workload(
        timing_key("audit", device, *_sample(settings, summary).values()),
        units=FOLDS * settings.epochs * steps,
        size=FOLDS * settings.epochs * steps * step_flops(settings, summary),
        family=_training_family(settings, device),
        epochs=FOLDS,
        validations=summary.tiles,
        tiles_bytes=3 * _tile_bytes(summary) * summary.tiles,  # those of a fold's training are a copy
    )


def step_flops(settings: TrainingSettings, summary: TrainsetSummary) -> float:
    """Return the operations of one training step."""
    network = network_named(settings.network)
    pixels = network.slices_out * input_edge(network, summary.tile_size) ** 2
    return PASSES * network.flops_per_pixel(len(summary.features)) * pixels * settings.batch


def _work_of_plan(
    kind: str, plan: TrainingPlan, workload: Workload, device: str, *, start_seconds: float, predicted_bytes: int = 0
) -> Work:
    """Return the work of a plan; on the disk a checkpoint that is being replaced is there twice."""
    settings, summary = plan.settings, plan.summary
    network, features = network_named(settings.network), len(summary.features)
    weights = _weights_bytes(settings.network, features)
    checkpoint = 4 * (weights + FILE_BYTES)  # the weights, their average, and two numbers of the optimizer for each
    triples = TRIPLE_BYTES_PER_PIXEL * (1 + features) * summary.tiles * summary.tile_size**2
    activations = sum(layer.outputs / layer.reduction**2 for layer in network.convolutions(features))
    step_bytes = 2 * 4 * activations * settings.batch * input_edge(network, summary.tile_size) ** 2
    return Work(
        kind,
        workload,
        disk_bytes=round(plan.trainset_bytes + weights + 2 * checkpoint + triples + predicted_bytes),
        start_seconds=start_seconds,
        guessed_speed=_guessed_speed(device, TRAINING_FLOPS_PER_CORE),
        guessed_bytes=TRAINING_WORKER_BYTES + workload.tiles_bytes + step_bytes,
        sample={**_sample(settings, summary), "device": device},
        device=device,
    )


def _guessed_speed(device: str, flops_per_core: float) -> float:
    return GPU_FLOPS if device.startswith("gpu") else flops_per_core * len(os.sched_getaffinity(0))


def _weights_bytes(network: str, features: int) -> int:
    """Return about how large the file of a network's weights is."""
    return 4 * network_named(network).parameters(features) + FILE_BYTES


def _training_family(settings: TrainingSettings, device: str) -> str:
    """Return the family of trainings and audits, which are trainings too."""
    return f"training {settings.network} {device.partition(':')[0]}"


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
    request = parse_request(raw_request, ApplyRequest)
    is_trained = request.run not in expected
    card = catalog.load_network_card(project.layout, request.run) if is_trained else expected[request.run]
    network, features = network_named(card.network), len(card.features)
    weights = project.layout.network_weights(card.name)
    weights_bytes = 0 if is_trained else _weights_bytes(network.name, features)
    if weights.is_file():
        weights_bytes = weights.stat().st_size
    shapes = [catalog.load_tomogram(project.layout, name).shape_zyx for name in request.tomograms]
    ranges = [parse_z_range(request.z, shape_zyx[0]) for shape_zyx in shapes]
    voxels = sum((stop - start) * prod(shape[1:]) for (start, stop), shape in zip(ranges, shapes, strict=True))
    copies = 1 if request.output is None else 2
    pixels = min(max(prod(shape_zyx[1:]) for shape_zyx in shapes), MAX_PIXELS)
    key_parts = (network.name, features, request.tta, request.half, request.threads, request.workers)
    return Work(
        "apply",
        Workload(
            timing_key("apply", request.device, *key_parts, plane_size(shapes[0])),
            units=voxels / request.workers,
            size=voxels * request.tta * network.flops_per_pixel(features),
            family=f"apply {network.name} {request.device.partition(':')[0]}",
            is_typical=(request.workers, request.z, request.device) == (1, None, "cpu") and same_shape(shapes),
        ),
        # A map that is replaced stays until the new one is complete; the job works with a copy of its network.
        disk_bytes=voxels * len(requested_features(card, request)) * copies + weights_bytes,
        start_seconds=APPLY_START_SECONDS,
        guessed_speed=_guessed_speed(request.device, APPLY_FLOPS_PER_CORE),
        guessed_bytes=request.workers * (APPLY_WORKER_BYTES + BYTES_PER_PIXEL * pixels),
        sample=msgspec.to_builtins(request) if is_trained else {},
        workers=request.workers,
        device=request.device,
    )
