"""Workers on the nodes of a cluster: one task owns the job, the other tasks of its array help it.

The owner is the task that finds the claim free, at the start or after the previous owner has ended. So no task waits
for a particular other task, whatever order Slurm starts them in. After a time limit the job is queued again.
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
"""Time that a single worker waits for its claim: Slurm may restart it before its previous process counts as dead."""
POLL_SECONDS = 0.5
"""Time between two attempts to acquire the claim."""
MAX_IDLE_RUNS = 3
"""A job is not requeued after this many consecutive runs in which nothing new was finished."""

JobEnd = tuple[JobState, dict[str, Any]]
RunAsOwner = Callable[[JobRecord, Callable[[JobState, dict[str, Any]], JobEnd]], int]
"""Runs a job as its owner; called with the record and the function that decides how the job ends."""


class TaskReporter(Protocol):
    """The part of the worker's reporter that is used here."""

    @property
    def first_done(self) -> float | None:
        """Progress of the job at the first report of this worker."""
        ...

    def log(self, line: str) -> None:
        """Write a line to the log for the user."""
        ...

    def should_stop(self) -> bool:
        """Return whether SIGTERM was received."""
        ...


def run_slurm_task(
    job: Job,
    task: SlurmTask,
    reporter: TaskReporter,
    *,
    run_as_owner: RunAsOwner,
    help_owner: Callable[[JobRecord], object],
) -> int:
    """Run the job as its owner, or help the owner; return the exit code.

    Parameters
    ----------
    run_as_owner : callable
        Runs the job; called while this process holds the claim.
    help_owner : callable
        Helps the owner until nothing is left to do, it is asked to stop, or the owner has ended.
    """
    reporter.log(f"Running on {socket.gethostname()}, as {log_marker(task.job)}{_task_text(task)}.")
    deadline = time.monotonic() + CLAIM_SECONDS
    while not reporter.should_stop():
        record = job.record()
        if record.state.is_over or record.slurm is None:  # None: it was resumed outside Slurm
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
    if record.state.is_over:  # it has ended since the last check
        return EXIT_NOTHING
    if record.slurm is None:
        reporter.log("This job was resumed outside Slurm meanwhile.")
        return EXIT_FAULT
    submitted_id = record.slurm.job
    if submitted_id not in {None, task.job}:
        reporter.log(f"This job was submitted again meanwhile, as {log_marker(str(submitted_id))}.")
        return EXIT_FAULT
    if task.number is not None:
        _redirect_output_to_job_log(job)
    if record.state is JobState.RUNNING:  # its last owner could not record its end
        job.set_state(JobState.LOST)
        job.set_state(JobState.QUEUED, owner=None)
    if job.stop_file.exists():
        job.set_state(JobState.STOPPED, ended=now(), exit_code=EXIT_STOPPED)
        return EXIT_STOPPED
    record = job.update_record(slurm=msgspec.structs.replace(record.slurm, job=task.job))
    return run_as_owner(record_for_node(record), lambda state, changes: _end_or_requeue(job, reporter, state, changes))


def _redirect_output_to_job_log(job: Job) -> None:
    """Redirect the output of the owner to the job's log; the other tasks have their own logs."""
    log = os.open(job.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def record_for_node(record: JobRecord) -> JobRecord:
    """Return the record as a worker on a node runs it.

    Slurm has allocated its device, so it does not wait in our queue. The other tasks of its array are its helpers. If
    a GPU was requested from Slurm, it runs there.
    """
    request = dict(record.asked)
    if "workers" in request:
        request["workers"] = 1
    if record.slurm is not None and record.slurm.settings.wants_gpu and request.get("device") in {"auto", "cpu"}:
        request["device"] = "gpu"
    return msgspec.structs.replace(record, asked=request, at_once=True)


def _end_or_requeue(job: Job, reporter: TaskReporter, state: JobState, changes: dict[str, Any]) -> JobEnd:
    """Return how a job ends: one that Slurm stopped, and not the user, is queued again."""
    submission = job.record().slurm
    if state is not JobState.STOPPED or submission is None or job.stop_file.exists():
        return state, changes
    idle = submission.idle + 1 if reporter.first_done == submission.began_at else 0
    if idle >= MAX_IDLE_RUNS:
        fault = f"It reached its time limit {MAX_IDLE_RUNS + 1} times before anything new was finished."
        fix = f"Resume it with more time: tomoseg jobs resume {job.id} --slurm time=HOURS:00:00"
        return JobState.FAILED, {"fault": fault, "fix": fix, "exit_code": EXIT_FAULT}
    updated = msgspec.structs.replace(submission, began_at=reporter.first_done, idle=idle)
    return JobState.QUEUED, {"slurm": updated, "owner": None, "ended": None, "exit_code": None}


def _help_owner(job: Job, task: SlurmTask, reporter: TaskReporter, help_owner: Callable[[JobRecord], object]) -> int:
    """Help the owner; if it ends before the job is over, restart this process, which may then own the job."""
    help_owner(record_for_node(job.record()))
    if job.record().state.is_over:
        return EXIT_NOTHING
    if reporter.should_stop() and locks.is_held(job.claim_file):
        _requeue_or_cancel(job, task, reporter)
        return EXIT_STOPPED
    if not locks.is_held(job.claim_file):
        reporter.log("The worker that owned the job has ended; this one replaces it.")
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606  # this program again: TensorFlow starts once per process
    return EXIT_NOTHING


def _requeue_or_cancel(job: Job, task: SlurmTask, reporter: TaskReporter) -> None:
    """Ask Slurm to run the job again if it is not over; if it is, cancel the waiting tasks."""
    with contextlib.suppress(JobError):  # without Slurm's commands the waiting tasks start and find nothing to do
        if job.record().state.is_over:
            if task.number is not None:
                commands.cancel_waiting(task.job)
            return
    try:
        if not commands.is_running(task):  # Slurm is ending the task and decides what follows
            return
        reporter.log("Slurm ends this run; the job is queued in Slurm again and continues from its saved work.")
        commands.requeue_task(task)
    except JobError as fault:
        if job.record().state is JobState.QUEUED and not job.stop_file.exists():
            with locks.held(job.claim_file):
                job.set_state(
                    JobState.STOPPED, ended=now(), fault=fault.fault, fix=f"Resume it: tomoseg jobs resume {job.id}"
                )
