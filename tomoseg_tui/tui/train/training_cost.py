"""What a training form says before the start: tiles, what is held out, and a rough guess of time and memory."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.jobs.run_benchmark import stored_timing
from tomoseg_tui.project import catalog, timings
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.tui import cost as cost_module
from tomoseg_tui.tui.format import format_rough_duration
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.train.runs import parse_epochs
from tomoseg_tui.workflow.estimates.estimator import Estimate, estimate
from tomoseg_tui.workflow.estimates.network_work import planned_training_work
from tomoseg_tui.workflow.training.train_request import TrainRequest, check_training, parent_remarks
from tomoseg_tui.workflow.training.training_plan import (
    TRAINING_FLOPS_PER_CORE,
    TrainingPlan,
    measured_flops_per_second,
    plan_training,
)

MAX_JOBS_READ = 5
"""Earlier trainings whose figures are read at most."""


@dataclass(frozen=True)
class TrainingSpeed:
    """How fast an earlier training went."""

    flops_per_second: float
    job: str
    """Its job's id."""
    network: str


@dataclass(frozen=True)
class TrainingCost:
    """What is known of a training before its start."""

    name: str
    """What it will be called."""
    plan: TrainingPlan
    past_speed: TrainingSpeed | None
    """That of the last training on the same device; None if there was none."""
    cores: int
    estimate: Estimate
    """From a measurement on this machine if there was one, else a guess."""
    remarks: tuple[str, ...]
    """What is to be said of the run that it goes on from."""


def estimate_training_cost(
    snapshot: ProjectSnapshot, request: TrainRequest, measured: Mapping[str, timings.Timing], *, in_slurm: bool = False
) -> TrainingCost:
    """Check a training and guess its cost; reads tiles, so only threads call it.

    Parameters
    ----------
    snapshot : Facts
        The project.
    request : TrainRequest
        What is asked for.
    measured : mapping
        What the form has measured, by key.
    in_slurm : bool
        Whether it is to compute on a node, which Slurm chooses by its memory.

    Raises
    ------
    TomosegError
        For whatever `tomoseg train` would refuse.
    """
    if not request.features and request.trainset is None:
        raise UsageError("No feature is chosen.", "Choose one with space.")
    project = Project.open(snapshot.project.layout.root)
    name = request.name or catalog.free_name(project.layout.networks, request.features, request.trainset)
    named = msgspec.structs.replace(request, name=name)
    remarks = parent_remarks(project, named, check_training(project, named))
    plan = plan_training(project, named)
    cores = len(os.sched_getaffinity(0))
    work = planned_training_work(plan, request.device)
    job_estimate = estimate(work, measured.get(work.workload.key) or stored_timing(work.workload.key))
    free = cost_module.free_resources(project, has_running_jobs=snapshot.running_count > 0)
    memory = job_estimate.memory_bytes if in_slurm else free.memory_bytes
    fault = cost_module.resource_error("train", job_estimate, cost_module.FreeResources(memory, free.disk_bytes))
    if fault is not None:
        raise fault
    return TrainingCost(
        name,
        plan,
        find_past_speed(snapshot, request.device, plan.settings.network),
        cores,
        job_estimate,
        tuple(remarks),
    )


def find_past_speed(snapshot: ProjectSnapshot, device: str, network: str) -> TrainingSpeed | None:
    """Return the pace of an earlier training on a device, of the same network if there is one."""
    jobs = [job for job in snapshot.jobs if job["kind"] == "train" and snapshot.network(job["name"]) is not None]
    speeds = [speed for job in jobs[:MAX_JOBS_READ] if (speed := _speed_of_job(snapshot, job, device)) is not None]
    return next((speed for speed in speeds if speed.network == network), next(iter(speeds), None))


def _speed_of_job(snapshot: ProjectSnapshot, job: Mapping[str, Any], device: str) -> TrainingSpeed | None:
    card = snapshot.network(job["name"])
    folder = Job(snapshot.project.layout.job_folder(str(job["id"])))
    try:
        is_same_device = folder.record().asked.get("device", "cpu") == device
        seconds = [
            epoch.seconds for epoch in parse_epochs(folder.metrics_file.read_bytes()) if epoch.seconds is not None
        ]
    except (OSError, TomosegError):
        return None
    flops_per_second = _flops_per_second(card, seconds) if is_same_device else None
    return (
        None
        if flops_per_second is None or card is None
        else TrainingSpeed(flops_per_second, str(job["id"]), card.network)
    )


def _flops_per_second(card: NetworkCard | None, seconds: Sequence[float]) -> float | None:
    return measured_flops_per_second(card, seconds) if card is not None else None


def describe_training_cost(cost: TrainingCost, device: str, timing_note: str) -> list[str]:
    """Return what the form says, a line a fact; what is missing bears a mark.

    Parameters
    ----------
    cost : Guess
    device : str
    timing_note : str
        What there is to say of a measurement; may be empty.
    """
    summary, settings = cost.plan.summary, cost.plan.settings
    tiles = "; ".join(
        f"with {feature} {summary.positive[feature]}, without {summary.negative[feature]}"
        for feature in summary.features
    )
    steps = f"{settings.epochs} epochs of {cost.plan.steps} steps, learning rate {settings.learning_rate:g}"
    return [
        f"Tiles {tiles}.",
        summary.held_out_reason,
        f"{steps}.",
        " ".join([_format_cost(cost, device), *([timing_note] if timing_note else [])]),
        *(f"! {note}" for note in (*summary.notes, *cost.remarks)),
    ]


def _format_cost(cost: TrainingCost, device: str) -> str:
    memory = cost_module.format_resources(cost.estimate)
    device_text = (
        f"On the processor (CPU, {cost.cores} cores), without a graphics card" if device == "cpu" else f"On {device}"
    )
    if cost.estimate.is_measured:
        return f"{device_text}: about {format_rough_duration(cost.estimate.seconds)}, as measured here; {memory}."
    if cost.past_speed is not None:
        is_same_network = cost.past_speed.network == cost.plan.settings.network
        source = (
            f"going by job {cost.past_speed.job}"
            if is_same_network
            else f"going by job {cost.past_speed.job}, another network"
        )
        return (
            f"{device_text}: about {format_rough_duration(cost.plan.seconds(cost.past_speed.flops_per_second))}, "
            f"{source}; {memory}."
        )
    if device != "cpu":
        return f"{device_text}: nothing has been trained there yet, so the first epoch will tell the time; {memory}."
    typical_seconds = cost.plan.seconds(TRAINING_FLOPS_PER_CORE * cost.cores)
    return (
        f"{device_text}: {format_rough_duration(typical_seconds / 2)} to "
        f"{format_rough_duration(typical_seconds * 2)}, a guess from the size of the network; {memory}."
    )
