"""Workers on the nodes of a cluster: one owns the job, the others of its array help, and a time limit is no end.

Which of an array owns the job is not fixed: whoever finds the claim free does, first of all or when another had to
leave. So no task has to wait for a certain other one, on whatever nodes and in whatever order Slurm starts them.
"""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from tomoseg_tui.errors import AlreadyRunningError, JobError
from tomoseg_tui.files import locks
from tomoseg_tui.jobs.job import Job, JobRecord, JobState
from tomoseg_tui.jobs.slurm import commands
from tomoseg_tui.jobs.slurm.commands import SlurmTask
from tomoseg_tui.jobs.slurm.status import heading
from tomoseg_tui.project.records import now

EXIT_NOTHING, EXIT_FAULT, EXIT_STOPPED = 0, 2, 130
CLAIM_SECONDS = 90.0
"""How long the only worker waits for its claim: Slurm may restart it sooner than its last life counts as over."""
LOOK_SECONDS = 0.5
"""How often a worker looks for the claim, and a helper whether its owner lives."""
MOST_IDLE = 3
"""After so many lives in which nothing new was finished, a job does not ask for another."""

Ending = tuple[JobState, dict[str, Any]]
Own = Callable[[JobRecord, Callable[[JobState, dict[str, Any]], Ending]], int]
"""Runs a job as its owner: is handed the record, and what decides on how it ends."""


class Hand(Protocol):
    """What of a worker's reporter is needed here."""

    @property
    def first_done(self) -> float | None:
        """How far the job was when the worker first told."""
        ...

    def log(self, line: str) -> None:
        """Tell something that the user may want to read later."""
        ...

    def should_stop(self) -> bool:
        """Tell whether SIGTERM came."""
        ...


def work_in_slurm(job: Job, task: SlurmTask, hand: Hand, *, own: Own, help_owner: Callable[[JobRecord], object]) -> int:
    """Own the job or help who does; return the exit code.

    Parameters
    ----------
    job : Job
    task : SlurmTask
        What Slurm has started this process for.
    hand : Hand
        The worker's reporter.
    own : callable
        Runs the job; called while its claim is held.
    help_owner : callable
        Computes beside the owner until there is nothing left, somebody wants it to stop, or the owner is gone.
    """
    hand.log(f"Runs on {socket.gethostname()}, as {heading(task.job)}{_place(task)}.")
    deadline = time.monotonic() + CLAIM_SECONDS
    while not hand.should_stop():
        record = job.record()
        if record.state.is_over or record.slurm is None:  # None: it was taken back to the machine of a person
            return EXIT_NOTHING
        try:
            with locks.holding(job.claim, patience_seconds=0):
                code = _own(job, task, hand, own)
            _leave(job, task, hand)
        except AlreadyRunningError as other:
            if task.number is not None and record.state is JobState.RUNNING:
                return _help(job, task, hand, help_owner)
            if task.number is None and time.monotonic() > deadline:
                hand.log(str(other))
                return EXIT_FAULT
            time.sleep(LOOK_SECONDS)
        else:
            return code
    _leave(job, task, hand)
    return EXIT_STOPPED


def _place(task: SlurmTask) -> str:
    return "" if task.number is None else f", task {task.number}"


def _own(job: Job, task: SlurmTask, hand: Hand, own: Own) -> int:
    record = job.record()
    if record.state.is_over:  # it has ended since the claim was last looked at
        return EXIT_NOTHING
    if record.slurm is None:
        hand.log("This job was taken back from Slurm since.")
        return EXIT_FAULT
    known = record.slurm.job
    if known not in {None, task.job}:
        hand.log(f"This job was handed over again since, as {heading(str(known))}.")
        return EXIT_FAULT
    if task.number is not None:
        _speak_into_log(job)
    if record.state is JobState.RUNNING:  # its last owner had no time to say that it left
        job.move(JobState.LOST)
        job.move(JobState.QUEUED, owner=None)
    if job.stop_mark.exists():
        job.move(JobState.STOPPED, ended=now(), exit_code=EXIT_STOPPED)
        return EXIT_STOPPED
    record = job.amend(slurm=msgspec.structs.replace(record.slurm, job=task.job))
    return own(as_on_node(record), lambda state, changes: _ending(job, hand, state, changes))


def _speak_into_log(job: Job) -> None:
    """Let the owner among several write the job's log; the others have one each."""
    log = os.open(job.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def as_on_node(record: JobRecord) -> JobRecord:
    """Return the record as a worker on a node carries it out.

    Slurm has given it its device, so that it waits in no other line; the other workers of its array are its
    helpers; and if it has asked for a GPU, it computes there.
    """
    asked = dict(record.asked)
    if "workers" in asked:
        asked["workers"] = 1
    if record.slurm is not None and record.slurm.settings.wants_gpu and asked.get("device") == "cpu":
        asked["device"] = "gpu"
    return msgspec.structs.replace(record, asked=asked, at_once=True)


def _ending(job: Job, hand: Hand, state: JobState, changes: dict[str, Any]) -> Ending:
    """Return how a job ends: one that was stopped, but by no user, waits for its next life."""
    part = job.record().slurm
    if state is not JobState.STOPPED or part is None or job.stop_mark.exists():
        return state, changes
    idle = part.idle + 1 if hand.first_done == part.began_at else 0
    if idle >= MOST_IDLE:
        fault = f"Its time was over {MOST_IDLE + 1} times before anything new was finished."
        fix = f"Go on with more: tomoseg jobs resume {job.id} --slurm time=HOURS:00:00"
        return JobState.FAILED, {"fault": fault, "fix": fix, "exit_code": EXIT_FAULT}
    kept = msgspec.structs.replace(part, began_at=hand.first_done, idle=idle)
    return JobState.QUEUED, {"slurm": kept, "owner": None, "ended": None, "exit_code": None}


def _help(job: Job, task: SlurmTask, hand: Hand, help_owner: Callable[[JobRecord], object]) -> int:
    """Help the owner; if it is gone before the job is over, begin anew as one that may own it."""
    help_owner(as_on_node(job.record()))
    if job.record().state.is_over:
        return EXIT_NOTHING
    if hand.should_stop() and locks.is_held(job.claim):
        _leave(job, task, hand)
        return EXIT_STOPPED
    if not locks.is_held(job.claim):
        hand.log("The worker that was helped is gone; this one takes its place.")
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606  # ourselves; TensorFlow is woken once in a process
    return EXIT_NOTHING


def _leave(job: Job, task: SlurmTask, hand: Hand) -> None:
    """Ask Slurm for another life where the job is not over; where it is, nobody need begin any more."""
    with contextlib.suppress(JobError):  # a node without Slurm's commands: those that begin find nothing to do
        if job.record().state.is_over:
            if task.number is not None:
                commands.cancel_waiting(task.job)
            return
    try:
        if not commands.is_running(task):  # Slurm takes the place away itself, and says what becomes of the job
            return
        hand.log("Its time here is over; it waits in Slurm again and goes on from what is finished.")
        commands.requeue(task)
    except JobError as fault:
        if job.record().state is JobState.QUEUED and not job.stop_mark.exists():
            with locks.holding(job.claim):
                job.move(JobState.STOPPED, ended=now(), fault=fault.fault, fix=f"Go on: tomoseg jobs resume {job.id}")
