"""What a job takes before it is started: minutes, memory, video memory and disk; and whether that can be had.

How much there is to do follows from the request. How long a unit of it takes, and in how much memory, is measured
by a process that does a little of it (`jobs.measuring`), or guessed from the cost of the network.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import msgspec

from tomoseg_tui.core.network_settings import TrainingSettings
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES
from tomoseg_tui.errors import JobError
from tomoseg_tui.files.disk_space import format_bytes
from tomoseg_tui.io.trainset_file import TrainsetSummary
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing, timing_key
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, requested_features
from tomoseg_tui.workflow.apply_estimates import apply_workload, estimate_apply
from tomoseg_tui.workflow.disk_needs import apply_disk_bytes, merge_disk_bytes, preprocess_disk_bytes
from tomoseg_tui.workflow.estimates.work import merge_workload, preprocess_workload
from tomoseg_tui.workflow.job_interface import Workload
from tomoseg_tui.workflow.merge.merge_request import SLAB, MergeRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.training.train_request import TrainRequest
from tomoseg_tui.workflow.training.training_plan import TRAINING_FLOPS_PER_CORE, TrainingPlan, plan_training

MERGE_VOXELS_PER_SECOND, PREPROCESS_VOXELS_PER_SECOND = 2e7, 4e6
"""Where nothing was measured: of each map, and of the result."""
PLAIN_WORKER_BYTES = 100e6
"""A worker without TensorFlow."""


@dataclass(frozen=True)
class Work:
    """How much a job has to do, and what is guessed of it."""

    kind: str
    units: float
    """Training: steps. Apply: voxels of all slices. Merge: slabs. Preprocess: voxels of the results."""
    disk_bytes: int
    guessed_seconds: float
    guessed_bytes: float
    """Memory of all its processes."""
    sample: dict[str, Any]
    """What is to be measured: of a training its network, features, batch and tile; of others the request."""
    key: str = ""
    """Under which its pace is kept."""
    validations: int = 0
    """Looks at held-out tiles."""
    tiles_bytes: int = 0
    """Memory for the tiles, twice."""
    workers: int = 1
    on_gpu: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a job will take."""

    seconds: float
    memory_bytes: int
    gpu_bytes: int | None
    """0 on the CPU, None where nobody has measured."""
    disk_bytes: int
    is_measured: bool
    """False where it was guessed from the size of the work."""


def work_of(project: Project, kind: str, request: dict[str, Any], *, cores: int) -> Work:
    """Return how much a job has to do.

    Parameters
    ----------
    project : Project
    kind : str
        `train`, `apply`, `merge` or `preprocess`.
    request : dict
        The recipe's request.
    cores : int
        Of this machine, for guesses.

    Raises
    ------
    TomosegError
        If something that the request names is not there.
    """
    if kind == "train":
        return training_work(
            plan_training(project, msgspec.convert(request, TrainRequest)), request["device"], cores=cores
        )
    if kind == "apply":
        return _apply_work(project, msgspec.convert(request, ApplyRequest))
    if kind == "merge":
        return _merge_work(project, msgspec.convert(request, MergeRequest))
    return _preprocess_work(project, msgspec.convert(request, PreprocessRequest))


def training_work(plan: TrainingPlan, device: str, *, cores: int) -> Work:
    """Return how much a training has to do; `cores` are those of this machine, for a guess."""
    settings, summary = plan.settings, plan.summary
    workload = training_workload(settings, summary, device, steps=plan.steps)
    key_parts = _network_key_parts(settings, summary)
    sample = dict(zip(("network", "features", "batch", "tile"), key_parts, strict=True))
    return Work(
        "train",
        units=workload.units,
        disk_bytes=plan.disk_bytes,
        guessed_seconds=plan.seconds(TRAINING_FLOPS_PER_CORE * cores),
        guessed_bytes=plan.memory_bytes,
        sample={**sample, "device": device},
        key=workload.key,
        validations=workload.validations,
        tiles_bytes=workload.tiles_bytes,
        on_gpu=device != "cpu",
    )


def training_workload(settings: TrainingSettings, summary: TrainsetSummary, device: str, *, steps: int) -> Workload:
    """Return how much a training of so many steps an epoch has to do."""
    tile = 4 * (2 * CONTEXT_SLICES + 1) * (summary.tile_size + 2 * CONTEXT_PIXELS) ** 2
    return Workload(
        timing_key("train", device, *_network_key_parts(settings, summary)),
        units=settings.epochs * steps,
        epochs=settings.epochs,
        held_out=summary.held_out,
        validations=settings.epochs * summary.held_out + summary.tiles,  # all of them once, for the triples
        tiles_bytes=2 * tile * summary.tiles,
    )


def _network_key_parts(settings: TrainingSettings, summary: TrainsetSummary) -> tuple[str, int, int, int]:
    return settings.network, len(summary.features), settings.batch, summary.tile_size


def _apply_work(project: Project, request: ApplyRequest) -> Work:
    card = catalog.load_network_card(project.layout, request.run)
    records = [catalog.load_tomogram(project.layout, name) for name in request.tomograms]
    features, workload = requested_features(card, request), apply_workload(project, request)
    guess = estimate_apply(
        card, records, [], features=len(features), z=request.z, device=request.device, workers=request.workers,
        tta=request.tta,
    )  # fmt: skip
    return Work(
        "apply",
        units=workload.units * request.workers,
        disk_bytes=apply_disk_bytes(project, request),
        guessed_seconds=guess.seconds,
        guessed_bytes=guess.memory_bytes,
        sample=msgspec.to_builtins(request),
        key=workload.key,
        workers=request.workers,
        on_gpu=request.device != "cpu",
    )


def _merge_work(project: Project, request: MergeRequest) -> Work:
    shape_zyx = catalog.load_tomogram(project.layout, request.tomogram).shape_zyx
    workload, maps = merge_workload(project, request), len(request.maps)
    return Work(
        "merge",
        units=workload.units,
        disk_bytes=merge_disk_bytes(project, request),
        guessed_seconds=0.5 + maps * prod(shape_zyx) / MERGE_VOXELS_PER_SECOND,
        guessed_bytes=PLAIN_WORKER_BYTES + 10 * maps * min(SLAB * prod(shape_zyx[1:]), 2**22),
        sample=msgspec.to_builtins(request),
        key=workload.key,
    )


def _preprocess_work(project: Project, request: PreprocessRequest) -> Work:
    workload = preprocess_workload(project, request)
    return Work(
        "preprocess",
        units=workload.units,
        disk_bytes=preprocess_disk_bytes(project, request),
        guessed_seconds=0.5 + workload.units / PREPROCESS_VOXELS_PER_SECOND,
        guessed_bytes=3 * PLAIN_WORKER_BYTES,
        sample=msgspec.to_builtins(request),
        key=workload.key,
    )


def estimate(work: Work, timing: Timing | None) -> Estimate:
    """Return what a job will take; without a pace, a guess."""
    if timing is None:
        gpu_bytes = None if work.on_gpu else 0
        return Estimate(work.guessed_seconds, round(work.guessed_bytes), gpu_bytes, work.disk_bytes, is_measured=False)
    seconds = timing.seconds(work.units / work.workers, validated_tiles=work.validations)
    memory_bytes = work.workers * timing.memory_bytes + work.tiles_bytes
    return Estimate(seconds, memory_bytes, work.workers * timing.video_bytes, work.disk_bytes, is_measured=True)


def require_memory_and_disk(
    kind: str, needed: Estimate, *, memory_bytes: int, disk_bytes: int, workers: int = 1
) -> None:
    """Refuse a job that this machine cannot hold.

    Parameters
    ----------
    kind : str
        Its kind.
    needed : Estimate
        What it takes.
    memory_bytes, disk_bytes : int
        What there is.
    workers : int
        Processes that it was to have.

    Raises
    ------
    JobError
        Says what would fit.
    """
    if needed.disk_bytes > disk_bytes:
        missing = format_bytes(needed.disk_bytes - disk_bytes)
        raise JobError(
            f"It takes {format_bytes(needed.disk_bytes)} of the disk, {format_bytes(disk_bytes)} are free.",
            f"Make about {missing} of room there, or {_DISK_ADVICE[kind]}.",
        )
    if needed.memory_bytes > memory_bytes:
        fitting_workers = int(memory_bytes * workers // max(needed.memory_bytes, 1))
        advice = (
            f"Take fewer workers: --workers {fitting_workers}."
            if workers > fitting_workers > 0
            else _MEMORY_ADVICE[kind]
        )
        raise JobError(
            f"It takes about {format_bytes(needed.memory_bytes)} of memory, {format_bytes(memory_bytes)} can be had.",
            advice,
        )


_DISK_ADVICE = {
    "train": "copy the project to a disk that has it",
    "apply": "name fewer tomograms, --feature or --z",
    "merge": "copy the project to a disk that has it",
    "preprocess": "name fewer tomograms, or a larger --bin",
}
_MEMORY_ADVICE = {
    "train": "Take a smaller --batch, or let other programs end first.",
    "apply": "Let other programs end first, or take a machine with more memory.",
    "merge": "Let other programs end first, or merge fewer maps.",
    "preprocess": "Let other programs end first.",
}
