"""Start, stop, resume, kill and watch a job; it continues without a terminal."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tomoseg_tui.errors import AlreadyRunningError, JobError, WorkerLostError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.jobs import WORKER_MODULE
from tomoseg_tui.jobs.job import (
    Job,
    JobRecord,
    JobState,
    SlurmSubmission,
    create_job,
    log_line,
    read_with_retries,
    remove_stale_claims,
)
from tomoseg_tui.jobs.kinds import KINDS, slurm_submission_for
from tomoseg_tui.jobs.lost_worker import ending_signal, signal_name
from tomoseg_tui.jobs.output_names import output_reserved
from tomoseg_tui.jobs.slurm.commands import require_command
from tomoseg_tui.jobs.slurm.submit import is_in_slurm, kill_in_slurm, stop_in_slurm, submit_job
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.project.records import now, write_record

START_SECONDS = 30.0
"""Time for a worker to acquire its claim; it has not started if it takes longer."""
STOP_SECONDS = 60.0
"""Time for a stopping worker to save its work."""
RELEASE_SECONDS = 2.0
"""Time for a worker to release its claim after it wrote the final state."""
POLL_SECONDS = 0.25
"""Time between two polls of a watched job."""
_RECORD_SIGNAL = '"$@"; status=$?; [ $status -le 128 ] || echo $status > "$0/exit_status"; exit $status'
"""Shell script that waits for a worker and records which signal ended it, also after the starting command has ended."""


def launch(
    layout: ProjectLayout,
    kind: str,
    request: dict[str, Any],
    *,
    after: Sequence[str] = (),
    at_once: bool = False,
    slurm: SlurmSettings | None = None,
) -> Job:
    """Create a job, reserve its output name and start its worker; the name is free again if the worker fails to start.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    after : sequence of str
        Jobs that must be done first.
    at_once : bool
        Whether it starts without waiting for its device.
    slurm : SlurmSettings or None
        Resources to request from Slurm; None to run on this machine.

    Raises
    ------
    ProjectError
        If the output name is in use.
    WorkerLostError
        If the worker does not start.
    JobError
        If there is no Slurm here, or it rejects the job; no job is created then.
    """
    submission = slurm_submission_for(kind, request, slurm)
    remove_stale_claims(layout)
    with output_reserved(layout, kind, request):
        job = create_job(
            layout, kind, KINDS[kind].title(request), request, after=after, at_once=at_once, slurm=submission
        )
        try:
            start_worker(job)
        except (JobError, OSError) as fault:
            if submission is not None or isinstance(fault, OSError):  # the disk is full: no state can be recorded
                delete_job_folder(job)
            raise
    return job


def start_worker(job: Job) -> None:
    """Start the worker and wait until it holds the job's claim; submit the job if it runs in Slurm."""
    if job.record().slurm is None:
        wait_until_started(job, spawn_worker(job))
    else:
        submit_job(job)


def spawn_worker(job: Job) -> subprocess.Popen[bytes]:
    """Start the worker in its own session, and a shell that waits for it in another session."""
    argv = [sys.executable, "-m", WORKER_MODULE, str(job.folder), "--since", str(time.time_ns())]
    with job.log_file.open("ab") as log:
        return subprocess.Popen(  # noqa: S603  # our own script, interpreter and module
            ["/bin/sh", "-c", _RECORD_SIGNAL, str(job.folder), *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"},
        )


def wait_until_started(job: Job, worker: subprocess.Popen[bytes]) -> None:
    """Wait until a worker runs its job or waits for its turn.

    Raises
    ------
    WorkerLostError
        If it does not start.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if job.record().state is not JobState.QUEUED or _is_waiting(job):
            threading.Thread(target=worker.wait, daemon=True).start()  # leaves no zombie if this process continues
            return
        if worker.poll() is not None:
            break
        time.sleep(0.02)
    if job.record().state is JobState.QUEUED and not locks.is_held(job.claim_file):
        fault, fix = f"The worker of job {job.id} did not start.", f"Read its log: tomoseg jobs log {job.id}"
        if (number := ending_signal(job.folder)) is not None:
            fault = f"The worker of job {job.id} did not start: ended by {signal_name(number)}."
        job.set_state(JobState.FAILED, ended=now(), fault=fault, fix=fix, exit_code=1)
        raise WorkerLostError(fault, fix)


def _is_waiting(job: Job) -> bool:
    return bool(job.progress().waits_for) and locks.is_held(job.claim_file)


def resume(job: Job, *, at_once: bool = False, slurm: SlurmSettings | None = None, here: bool = False) -> bool:
    """Start the worker of a job again; return False if the job is already done.

    Parameters
    ----------
    at_once : bool
        Whether it starts without waiting for its device.
    slurm : SlurmSettings or None
        Resources to request from Slurm; if None, run where it ran before, with the same settings.
    here : bool
        Run on this machine, wherever it ran before.

    Raises
    ------
    AlreadyRunningError
        If a worker is running it, or it is queued.
    JobError
        If it is to run in Slurm, and there is no Slurm on this machine; the job is unchanged.
    """
    record = job.record()
    state = job.state(record)
    if state is JobState.DONE:
        return False
    if not state.can_resume:
        raise AlreadyRunningError(f"Job {job.id} is {state}.", f"Stop it first: tomoseg jobs stop {job.id}")
    requeue(job, record, at_once=at_once, slurm=slurm, here=here)
    try:
        start_worker(job)
    except OSError:  # the disk is full: the job stays as it was, if that can be written
        write_record(job.record_file, record)
        raise
    return True


def requeue(
    job: Job, record: JobRecord, *, at_once: bool = False, slurm: SlurmSettings | None = None, here: bool = False
) -> None:
    """Set a job that is over to queued, before a worker is started; finished parts stay.

    Raises
    ------
    AlreadyRunningError
        If its record has changed since it was read.
    JobError
        If it is to run in Slurm, and there is no Slurm on this machine.
    """
    submission = None if here else _next_submission(record, slurm)
    if submission is not None:
        require_command()
    with locks.held(job.claim_file, patience_seconds=RELEASE_SECONDS):  # two commands may resume it at a time
        if job.record() != record:
            raise AlreadyRunningError(
                f"Job {job.id} was resumed just now.", f"See its state: tomoseg jobs show {job.id}"
            )
        if not record.state.is_over:
            job.set_state(JobState.LOST)
        cleared: dict[str, Any] = dict.fromkeys(("owner", "started", "ended", "fault", "fix", "exit_code"))
        job.set_state(JobState.QUEUED, at_once=at_once, slurm=submission, **cleared)
        job.stop_file.unlink(missing_ok=True)
        job.exit_status_file.unlink(missing_ok=True)
        if (record.slurm is None) != (submission is None):
            location = "on this machine" if submission is None else "in Slurm"
            append_line(job.log_file, log_line(f"Continues {location}."))


def _next_submission(record: JobRecord, slurm: SlurmSettings | None) -> SlurmSubmission | None:
    """Return how a job is submitted again; None if it runs on this machine."""
    settings = slurm or (record.slurm.settings if record.slurm else None)
    return slurm_submission_for(record.kind, record.asked, settings)


def stop(job: Job) -> JobState:
    """Ask the worker of a job to save its work and end; return the final state.

    Raises
    ------
    JobError
        If it runs on another host, is being submitted, or does not end in time.
    """
    state = job.state()
    if state.is_over:
        return state
    if is_in_slurm(job.record()):
        return stop_in_slurm(job)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        _signal_group(job, signal.SIGTERM)  # repeated: a worker that is starting may miss it
        state = job.state()
        if state.is_over:
            return state
        time.sleep(0.05)
    raise JobError(f"Job {job.id} has not ended after {STOP_SECONDS:g} s.", f"Kill it: tomoseg jobs kill {job.id}")


def kill(job: Job) -> JobState:
    """End a job immediately; finished parts stay on disk. Return the final state.

    Raises
    ------
    JobError
        If it runs on another host, or is being submitted.
    """
    state = job.state()
    if state.is_over and state is not JobState.LOST:
        return state
    if is_in_slurm(job.record()):
        return kill_in_slurm(job)
    if state is not JobState.LOST:
        _signal_group(job, signal.SIGKILL)
        deadline = time.monotonic() + START_SECONDS
        while locks.is_held(job.claim_file) and time.monotonic() < deadline:
            time.sleep(0.02)
    if job.record().state.is_over:
        return job.record().state
    return job.set_state(
        JobState.STOPPED, ended=now(), fault="Killed.", fix=f"Resume it: tomoseg jobs resume {job.id}"
    ).state


def _signal_group(job: Job, signal_number: signal.Signals) -> None:
    """Send a signal to all processes of a job's worker, if there is one.

    Raises
    ------
    JobError
        If it runs on another host, or a command holds the claim to submit or resume the job.
    """
    owner = locks.owner_of(job.claim_file)
    if owner is None:
        return
    if owner.host != locks.this_process().host:
        raise JobError(f"Job {job.id} runs on {owner.host}.", f"Run the command there: ssh {owner.host}")
    if locks.is_alive(owner, lambda: 0.0):
        if WORKER_MODULE not in locks.command_line_of(owner.pid):
            raise JobError(f"Process {owner.pid} is submitting job {job.id}.", "Try again in a moment.")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(owner.pid, signal_number)


def watch(job: Job) -> Iterator[JobState]:
    """Yield the state of a job four times a second until it is over; the last one is final."""
    while True:
        state = read_with_retries(job, Job.state)
        if state is JobState.LOST:
            time.sleep(POLL_SECONDS)  # its exit status is written just after its end
        yield state
        if state.is_over:
            return
        time.sleep(POLL_SECONDS)


def delete_job_folder(job: Job) -> None:
    """Remove the folder of a job that never started."""
    shutil.rmtree(job.folder, ignore_errors=True)
