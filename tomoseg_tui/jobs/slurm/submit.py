"""Start, stop and kill a job in Slurm instead of on this machine."""

import time
from collections.abc import Callable

import msgspec

from tomoseg_tui.errors import JobError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, SlurmSubmission, log_line
from tomoseg_tui.jobs.slurm import commands
from tomoseg_tui.jobs.slurm.status import log_marker, status_cache
from tomoseg_tui.project.records import now

CLAIM_SECONDS = 10.0
"""Time to wait for the job's claim, which other commands hold for a moment."""
STOP_SECONDS = 90.0
"""Time for Slurm to signal a worker and for the worker to save its work."""
KILL_SECONDS = 45.0
"""Time for Slurm to end all processes; its own KillWait is 30 s."""
RESEND_SECONDS = 3.0
"""Time between two signals: a worker that is starting may miss the first."""
POLL_SECONDS = 0.2
"""Time between two checks whether the job has ended."""


def submit_job(job: Job) -> None:
    """Submit a queued job to Slurm; its worker starts when the claim is released and the record is complete.

    Raises
    ------
    JobError
        If Slurm rejects it; the job has failed then.
    """
    with locks.held(job.claim_file, patience_seconds=CLAIM_SECONDS):
        record = job.record()
        submission = _require_submission(record)
        job.stop_file.unlink(missing_ok=True)
        try:
            after = _dependency_ids(job, record)
            slurm_job_id = commands.submit(
                job.folder, record.kind, submission.settings, tasks=submission.tasks, after=after
            )
        except JobError as fault:
            job.set_state(JobState.FAILED, ended=now(), fault=fault.fault, fix=fault.fix, exit_code=2)
            raise
        job.update_record(slurm=msgspec.structs.replace(submission, job=slurm_job_id, began_at=None, idle=0))
        append_line(job.log_file, log_line(f"Submitted as {log_marker(slurm_job_id)}."))


def _require_submission(record: JobRecord) -> SlurmSubmission:
    if record.slurm is None:
        raise JobError("This job does not run in Slurm.", "Resume it with --slurm.")
    return record.slurm


def _dependency_ids(job: Job, record: JobRecord) -> list[str]:
    """Return the Slurm ids of unfinished dependencies in Slurm; the worker checks the others, and how all ended."""
    slurm_job_ids = []
    for job_id in record.after:
        dependency = Job(job.folder.with_name(job_id)).record()
        if dependency.slurm is not None and dependency.slurm.job and not dependency.state.is_over:
            slurm_job_ids.append(dependency.slurm.job)
    return slurm_job_ids


def is_in_slurm(record: JobRecord) -> bool:
    """Return whether the job was submitted to Slurm."""
    return record.slurm is not None and record.slurm.job is not None


def stop_in_slurm(job: Job) -> JobState:
    """Ask the workers on the nodes to save their work and end; return the final state.

    Raises
    ------
    JobError
        If there is no Slurm here, or the job does not end in time.
    """
    _wait_until_over(job, STOP_SECONDS, commands.send_stop_signal)
    return _record_stopped(job)


def kill_in_slurm(job: Job) -> JobState:
    """Kill the workers on the nodes; return the final state.

    Raises
    ------
    JobError
        If there is no Slurm here, or it does not end the job in time.
    """
    _wait_until_over(job, KILL_SECONDS, commands.kill_slurm_job)
    return _record_stopped(job, fault="Killed.", fix=f"Resume it: tomoseg jobs resume {job.id}")


def _wait_until_over(job: Job, seconds: float, send: Callable[[str], None]) -> None:
    """Write the stop file, and send the command to Slurm repeatedly until the job has ended."""
    slurm_job_id = str(_require_submission(job.record()).job)
    commands.require_command("scancel")
    job.stop_file.touch()
    deadline = time.monotonic() + seconds
    next_send = time.monotonic()
    while not job.state().is_over:
        if time.monotonic() >= deadline:
            raise JobError(f"Job {job.id} has not ended after {seconds:g} s.", f"Kill it: tomoseg jobs kill {job.id}")
        if time.monotonic() >= next_send:
            try:
                send(slurm_job_id)
            except JobError:
                job.stop_file.unlink(missing_ok=True)
                raise
            status_cache().invalidate(slurm_job_id)
            next_send += RESEND_SECONDS
        time.sleep(POLL_SECONDS)


def _record_stopped(job: Job, **changes: str) -> JobState:
    """Record the end of a job whose worker could not: it had not started, or was killed."""
    with locks.held(job.claim_file, patience_seconds=CLAIM_SECONDS):
        record = job.record()
        if record.state.is_over:
            return record.state
        return job.set_state(JobState.STOPPED, ended=now(), **changes).state
