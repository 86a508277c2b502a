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
from tomoseg_tui.jobs.slurm.status import log_marker
from tomoseg_tui.project.records import now

EXIT_NOTHING, EXIT_FAULT, EXIT_STOPPED = 0, 2, 130
CLAIM_SECONDS = 90.0
"""How long the only worker waits for its claim: Slurm may restart it sooner than its last life counts as over."""
POLL_SECONDS = 0.5
"""How often a worker looks for the claim, and a helper whether its owner lives."""
MAX_IDLE_RUNS = 3
"""After so many lives in which nothing new was finished, a job does not ask for another."""

JobEnd = tuple[JobState, dict[str, Any]]
RunAsOwner = Callable[[JobRecord, Callable[[JobState, dict[str, Any]], JobEnd]], int]
"""Runs a job as its owner: is handed the record, and what decides on how it ends."""


class TaskReporter(Protocol):
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


def run_slurm_task(
    job: Job,
    task: SlurmTask,
    reporter: TaskReporter,
    *,
    run_as_owner: RunAsOwner,
    help_owner: Callable[[JobRecord], object],
) -> int:
    """Own the job or help who does; return the exit code.

    Parameters
    ----------
    task : SlurmTask
        What Slurm has started this process for.
    reporter : Hand
        The worker's reporter.
    run_as_owner : callable
        Runs the job; called while its claim is held.
    help_owner : callable
        Computes beside the owner until there is nothing left, somebody wants it to stop, or the owner is gone.
    """
    reporter.log(f"Runs on {socket.gethostname()}, as {log_marker(task.job)}{_task_text(task)}.")
    deadline = time.monotonic() + CLAIM_SECONDS
    while not reporter.should_stop():
        record = job.record()
        if record.state.is_over or record.slurm is None:  # None: it was taken back to the machine of a person
            return EXIT_NOTHING
        try:
            with locks.held(job.claim_file, patience_seconds=0):
                code = _run_owned(job, task, reporter, run_as_owner)
            _requeue_or_cancel(job, task, reporter)
        except AlreadyRunningError as error:
            if task.number is not None and record.state is JobState.RUNNING:
                return _help_owner(job, task, reporter, help_owner)
            if task.number is None and time.monotonic() > deadline:
                reporter.log(str(error))
                return EXIT_FAULT
            time.sleep(POLL_SECONDS)
        else:
            return code
    _requeue_or_cancel(job, task, reporter)
    return EXIT_STOPPED


def _task_text(task: SlurmTask) -> str:
    return "" if task.number is None else f", task {task.number}"


def _run_owned(job: Job, task: SlurmTask, reporter: TaskReporter, run_as_owner: RunAsOwner) -> int:
    record = job.record()
    if record.state.is_over:  # it has ended since the claim was last looked at
        return EXIT_NOTHING
    if record.slurm is None:
        reporter.log("This job was taken back from Slurm since.")
        return EXIT_FAULT
    submitted_id = record.slurm.job
    if submitted_id not in {None, task.job}:
        reporter.log(f"This job was handed over again since, as {log_marker(str(submitted_id))}.")
        return EXIT_FAULT
    if task.number is not None:
        _redirect_output_to_job_log(job)
    if record.state is JobState.RUNNING:  # its last owner had no time to say that it left
        job.set_state(JobState.LOST)
        job.set_state(JobState.QUEUED, owner=None)
    if job.stop_file.exists():
        job.set_state(JobState.STOPPED, ended=now(), exit_code=EXIT_STOPPED)
        return EXIT_STOPPED
    record = job.update_record(slurm=msgspec.structs.replace(record.slurm, job=task.job))
    return run_as_owner(record_for_node(record), lambda state, changes: _end_or_requeue(job, reporter, state, changes))


def _redirect_output_to_job_log(job: Job) -> None:
    """Let the owner among several write the job's log; the others have one each."""
    log = os.open(job.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def record_for_node(record: JobRecord) -> JobRecord:
    """Return the record as a worker on a node carries it out.

    Slurm has given it its device, so that it waits in no other line; the other workers of its array are its
    helpers; and if it has asked for a GPU, it computes there.
    """
    request = dict(record.asked)
    if "workers" in request:
        request["workers"] = 1
    if record.slurm is not None and record.slurm.settings.wants_gpu and request.get("device") in {"auto", "cpu"}:
        request["device"] = "gpu"
    return msgspec.structs.replace(record, asked=request, at_once=True)


def _end_or_requeue(job: Job, reporter: TaskReporter, state: JobState, changes: dict[str, Any]) -> JobEnd:
    """Return how a job ends: one that was stopped, but by no user, waits for its next life."""
    submission = job.record().slurm
    if state is not JobState.STOPPED or submission is None or job.stop_file.exists():
        return state, changes
    idle = submission.idle + 1 if reporter.first_done == submission.began_at else 0
    if idle >= MAX_IDLE_RUNS:
        fault = f"Its time was over {MAX_IDLE_RUNS + 1} times before anything new was finished."
        fix = f"Go on with more: tomoseg jobs resume {job.id} --slurm time=HOURS:00:00"
        return JobState.FAILED, {"fault": fault, "fix": fix, "exit_code": EXIT_FAULT}
    updated = msgspec.structs.replace(submission, began_at=reporter.first_done, idle=idle)
    return JobState.QUEUED, {"slurm": updated, "owner": None, "ended": None, "exit_code": None}


def _help_owner(job: Job, task: SlurmTask, reporter: TaskReporter, help_owner: Callable[[JobRecord], object]) -> int:
    """Help the owner; if it is gone before the job is over, begin anew as one that may own it."""
    help_owner(record_for_node(job.record()))
    if job.record().state.is_over:
        return EXIT_NOTHING
    if reporter.should_stop() and locks.is_held(job.claim_file):
        _requeue_or_cancel(job, task, reporter)
        return EXIT_STOPPED
    if not locks.is_held(job.claim_file):
        reporter.log("The worker that was helped is gone; this one takes its place.")
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606  # ourselves; TensorFlow is woken once in a process
    return EXIT_NOTHING


def _requeue_or_cancel(job: Job, task: SlurmTask, reporter: TaskReporter) -> None:
    """Ask Slurm for another life where the job is not over; where it is, nobody need begin any more."""
    with contextlib.suppress(JobError):  # a node without Slurm's commands: those that begin find nothing to do
        if job.record().state.is_over:
            if task.number is not None:
                commands.cancel_waiting(task.job)
            return
    try:
        if not commands.is_running(task):  # Slurm takes the place away itself, and says what becomes of the job
            return
        reporter.log("Its time here is over; it waits in Slurm again and goes on from what is finished.")
        commands.requeue_task(task)
    except JobError as fault:
        if job.record().state is JobState.QUEUED and not job.stop_file.exists():
            with locks.held(job.claim_file):
                job.set_state(
                    JobState.STOPPED, ended=now(), fault=fault.fault, fix=f"Go on: tomoseg jobs resume {job.id}"
                )
