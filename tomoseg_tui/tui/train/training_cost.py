"""What a training form says before the start: tiles, what is held out, and a rough guess of time and memory."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.jobs.run_benchmark import known_pace
from tomoseg_tui.project import timings
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.tui import cost as cost_module
from tomoseg_tui.tui.format import roughly
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.train.runs import epochs_in
from tomoseg_tui.workflow.estimates.estimator import Estimate, estimate, refuse_what_does_not_fit, training_work
from tomoseg_tui.workflow.training.train_request import TrainRequest, check_training, free_run_name, remarks_on_start
from tomoseg_tui.workflow.training.training_plan import USUAL_FLOPS_A_CORE, TrainingPlan, measured_pace, plan_training

MOST_LOOKED_AT = 5
"""Earlier trainings whose figures are read at most."""


@dataclass(frozen=True)
class Pace:
    """How fast an earlier training went."""

    flops_per_second: float
    job: str
    """Its job's id."""
    network: str


@dataclass(frozen=True)
class Guess:
    """What is known of a training before its start."""

    name: str
    """What it will be called."""
    plan: TrainingPlan
    pace: Pace | None
    """That of the last training on the same device; None if there was none."""
    cores: int
    cost: Estimate
    """From a measurement on this machine if there was one, else a guess."""
    remarks: tuple[str, ...]
    """What is to be said of the run that it goes on from."""


def guess_training(
    facts: Facts, request: TrainRequest, measured: Mapping[str, timings.Pace], *, in_slurm: bool = False
) -> Guess:
    """Check a training and guess its cost; reads tiles, so only threads call it.

    Parameters
    ----------
    facts : Facts
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
    project = Project.open(facts.project.layout.root)
    name = request.name or free_run_name(project, request.features, request.trainset)
    named = msgspec.structs.replace(request, name=name)
    remarks = remarks_on_start(project, named, check_training(project, named))
    plan = plan_training(project, named)
    cores = len(os.sched_getaffinity(0))
    work = training_work(plan, request.device, cores=cores)
    cost = estimate(work, measured.get(work.key) or known_pace(work.key))
    room = cost_module.room_of(project, others=facts.running > 0)
    memory = cost.memory_bytes if in_slurm else room.memory_bytes
    refuse_what_does_not_fit("train", cost, memory_bytes=memory, disk_bytes=room.disk_bytes, workers=work.workers)
    return Guess(name, plan, find_pace(facts, request.device, plan.settings.network), cores, cost, tuple(remarks))


def find_pace(facts: Facts, device: str, network: str) -> Pace | None:
    """Return the pace of an earlier training on a device, of the same network if there is one."""
    jobs = [job for job in facts.jobs if job["kind"] == "train" and facts.network(job["name"]) is not None]
    found = [pace for job in jobs[:MOST_LOOKED_AT] if (pace := _pace_of(facts, job, device)) is not None]
    return next((pace for pace in found if pace.network == network), next(iter(found), None))


def _pace_of(facts: Facts, job: Mapping[str, Any], device: str) -> Pace | None:
    card = facts.network(job["name"])
    folder = Job(facts.project.layout.job_folder(str(job["id"])))
    try:
        same_device = folder.record().asked.get("device", "cpu") == device
        seconds = [one.seconds for one in epochs_in(folder.metrics_file.read_bytes()) if one.seconds is not None]
    except (OSError, TomosegError):
        return None
    pace = _pace(card, seconds) if same_device else None
    return None if pace is None or card is None else Pace(pace, str(job["id"]), card.network)


def _pace(card: NetworkCard | None, seconds: Sequence[float]) -> float | None:
    return measured_pace(card, seconds) if card is not None else None


def in_words(guess: Guess, device: str, state: str) -> list[str]:
    """Return what the form says, a line a fact; what is missing bears a mark.

    Parameters
    ----------
    guess : Guess
    device : str
    state : str
        What there is to say of a measurement; may be empty.
    """
    summary, settings = guess.plan.summary, guess.plan.settings
    tiles = "; ".join(
        f"with {feature} {summary.positive[feature]}, without {summary.negative[feature]}"
        for feature in summary.features
    )
    steps = f"{settings.epochs} epochs of {guess.plan.steps} steps, learning rate {settings.learning_rate:g}"
    return [
        f"Tiles {tiles}.",
        summary.held_out_reason,
        f"{steps}.",
        " ".join([_cost_in_words(guess, device), *([state] if state else [])]),
        *(f"! {note}" for note in (*summary.notes, *guess.remarks)),
    ]


def _cost_in_words(guess: Guess, device: str) -> str:
    memory = cost_module.needs_in_words(guess.cost)
    where = (
        f"On the processor (CPU, {guess.cores} cores), without a graphics card" if device == "cpu" else f"On {device}"
    )
    if guess.cost.measured:
        return f"{where}: about {roughly(guess.cost.seconds)}, as measured here; {memory}."
    if guess.pace is not None:
        same = guess.pace.network == guess.plan.settings.network
        how = f"going by job {guess.pace.job}" if same else f"going by job {guess.pace.job}, another network"
        return f"{where}: about {roughly(guess.plan.seconds(guess.pace.flops_per_second))}, {how}; {memory}."
    if device != "cpu":
        return f"{where}: nothing has been trained there yet, so the first epoch will tell the time; {memory}."
    usual = guess.plan.seconds(USUAL_FLOPS_A_CORE * guess.cores)
    return f"{where}: {roughly(usual / 2)} to {roughly(usual * 2)}, a guess from the size of the network; {memory}."
