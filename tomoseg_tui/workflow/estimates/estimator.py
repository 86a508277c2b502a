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
from tomoseg_tui.files.disk_space import in_units
from tomoseg_tui.io.trainset_file import SetSummary
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Pace, pace_key
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, wanted_features
from tomoseg_tui.workflow.apply_estimates import apply_load, estimate_apply
from tomoseg_tui.workflow.disk_needs import apply_bytes, merge_bytes, preprocess_bytes
from tomoseg_tui.workflow.estimates.work import merge_load, preprocess_load
from tomoseg_tui.workflow.job_interface import Load
from tomoseg_tui.workflow.merge.merge_request import SLAB, MergeRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.training.train_request import TrainRequest
from tomoseg_tui.workflow.training.training_plan import USUAL_FLOPS_A_CORE, TrainingPlan, plan_training

MERGE_VOXELS_A_SECOND, PREPROCESS_VOXELS_A_SECOND = 2e7, 4e6
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
    judged: int = 0
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
    video_bytes: int | None
    """0 on the CPU, None where nobody has measured."""
    disk_bytes: int
    measured: bool
    """False where it was guessed from the size of the work."""


def work_of(project: Project, kind: str, asked: dict[str, Any], *, cores: int) -> Work:
    """Return how much a job has to do.

    Parameters
    ----------
    project : Project
    kind : str
        `train`, `apply`, `merge` or `preprocess`.
    asked : dict
        The recipe's request.
    cores : int
        Of this machine, for guesses.

    Raises
    ------
    TomosegError
        If something that the request names is not there.
    """
    if kind == "train":
        return training_work(plan_training(project, msgspec.convert(asked, TrainRequest)), asked["device"], cores=cores)
    if kind == "apply":
        return _apply(project, msgspec.convert(asked, ApplyRequest))
    if kind == "merge":
        return _merge(project, msgspec.convert(asked, MergeRequest))
    return _preprocess(project, msgspec.convert(asked, PreprocessRequest))


def training_work(plan: TrainingPlan, device: str, *, cores: int) -> Work:
    """Return how much a training has to do; `cores` are those of this machine, for a guess."""
    settings, summary = plan.settings, plan.summary
    load = training_load(settings, summary, device, steps=plan.steps)
    words = _of_network(settings, summary)
    sample = dict(zip(("network", "features", "batch", "tile"), words, strict=True))
    return Work(
        "train",
        units=load.units,
        disk_bytes=plan.disk_bytes,
        guessed_seconds=plan.seconds(USUAL_FLOPS_A_CORE * cores),
        guessed_bytes=plan.memory_bytes,
        sample={**sample, "device": device},
        key=load.key,
        judged=load.judged,
        tiles_bytes=load.tiles_bytes,
        on_gpu=device != "cpu",
    )


def training_load(settings: TrainingSettings, summary: SetSummary, device: str, *, steps: int) -> Load:
    """Return how much a training of so many steps an epoch has to do."""
    tile = 4 * (2 * CONTEXT_SLICES + 1) * (summary.tile_size + 2 * CONTEXT_PIXELS) ** 2
    return Load(
        pace_key("train", device, *_of_network(settings, summary)),
        units=settings.epochs * steps,
        rounds=settings.epochs,
        held_out=summary.held_out,
        judged=settings.epochs * summary.held_out + summary.tiles,  # all of them once, for the triples
        tiles_bytes=2 * tile * summary.tiles,
    )


def _of_network(settings: TrainingSettings, summary: SetSummary) -> tuple[str, int, int, int]:
    return settings.network, len(summary.features), settings.batch, summary.tile_size


def _apply(project: Project, request: ApplyRequest) -> Work:
    card = catalog.network(project.layout, request.run)
    records = [catalog.tomogram(project.layout, name) for name in request.tomograms]
    features, load = wanted_features(card, request), apply_load(project, request)
    guess = estimate_apply(
        card, records, [], features=len(features), z=request.z, device=request.device, workers=request.workers,
        tta=request.tta,
    )  # fmt: skip
    return Work(
        "apply",
        units=load.units * request.workers,
        disk_bytes=apply_bytes(project, request),
        guessed_seconds=guess.seconds,
        guessed_bytes=guess.memory_bytes,
        sample=msgspec.to_builtins(request),
        key=load.key,
        workers=request.workers,
        on_gpu=request.device != "cpu",
    )


def _merge(project: Project, request: MergeRequest) -> Work:
    shape_zyx = catalog.tomogram(project.layout, request.tomogram).shape_zyx
    load, maps = merge_load(project, request), len(request.maps)
    return Work(
        "merge",
        units=load.units,
        disk_bytes=merge_bytes(project, request),
        guessed_seconds=0.5 + maps * prod(shape_zyx) / MERGE_VOXELS_A_SECOND,
        guessed_bytes=PLAIN_WORKER_BYTES + 10 * maps * min(SLAB * prod(shape_zyx[1:]), 2**22),
        sample=msgspec.to_builtins(request),
        key=load.key,
    )


def _preprocess(project: Project, request: PreprocessRequest) -> Work:
    load = preprocess_load(project, request)
    return Work(
        "preprocess",
        units=load.units,
        disk_bytes=preprocess_bytes(project, request),
        guessed_seconds=0.5 + load.units / PREPROCESS_VOXELS_A_SECOND,
        guessed_bytes=3 * PLAIN_WORKER_BYTES,
        sample=msgspec.to_builtins(request),
        key=load.key,
    )


def estimate(work: Work, pace: Pace | None) -> Estimate:
    """Return what a job will take; without a pace, a guess."""
    if pace is None:
        video = None if work.on_gpu else 0
        return Estimate(work.guessed_seconds, round(work.guessed_bytes), video, work.disk_bytes, measured=False)
    seconds = pace.seconds(work.units / work.workers, judged=work.judged)
    memory = work.workers * pace.memory_bytes + work.tiles_bytes
    return Estimate(seconds, memory, work.workers * pace.video_bytes, work.disk_bytes, measured=True)


def refuse_what_does_not_fit(
    kind: str, found: Estimate, *, memory_bytes: int, disk_bytes: int, workers: int = 1
) -> None:
    """Refuse a job that this machine cannot hold.

    Parameters
    ----------
    kind : str
        Its kind.
    found : Estimate
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
    if found.disk_bytes > disk_bytes:
        missing = in_units(found.disk_bytes - disk_bytes)
        raise JobError(
            f"It takes {in_units(found.disk_bytes)} of the disk, {in_units(disk_bytes)} are free.",
            f"Make about {missing} of room there, or {_LESS_DISK[kind]}.",
        )
    if found.memory_bytes > memory_bytes:
        fewer = int(memory_bytes * workers // max(found.memory_bytes, 1))
        fit = f"Take fewer workers: --workers {fewer}." if workers > fewer > 0 else _LESS_MEMORY[kind]
        raise JobError(
            f"It takes about {in_units(found.memory_bytes)} of memory, {in_units(memory_bytes)} can be had.", fit
        )


_LESS_DISK = {
    "train": "copy the project to a disk that has it",
    "apply": "name fewer tomograms, --feature or --z",
    "merge": "copy the project to a disk that has it",
    "preprocess": "name fewer tomograms, or a larger --bin",
}
_LESS_MEMORY = {
    "train": "Take a smaller --batch, or let other programs end first.",
    "apply": "Let other programs end first, or take a machine with more memory.",
    "merge": "Let other programs end first, or merge fewer maps.",
    "preprocess": "Let other programs end first.",
}
