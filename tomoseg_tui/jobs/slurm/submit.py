"""Hand a job to Slurm instead of this machine, and end it there; what launching, stopping and killing do for it."""

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
"""How long to wait for whoever has the job's claim for a moment."""
STOP_SECONDS = 90.0
"""How long a stopping worker may take to keep its work, and Slurm to pass that on."""
KILL_SECONDS = 45.0
"""How long Slurm may take to end all processes; its own KillWait is 30 s."""
RESEND_SECONDS = 3.0
"""How often it is asked again: a worker that is just coming up does not hear the first time."""
POLL_SECONDS = 0.2
"""How often to look whether it has ended."""


def submit_job(job: Job) -> None:
    """Give a queued job to Slurm; its worker begins when the claim is free again, and then finds all in place.

    Raises
    ------
    JobError
        If Slurm does not take it; the job has failed then.
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
        append_line(job.log_file, log_line(f"Handed over as {log_marker(slurm_job_id)}."))


def _require_submission(record: JobRecord) -> SlurmSubmission:
    if record.slurm is None:
        raise JobError("This job is not one of Slurm's.", "Resume it with --slurm.")
    return record.slurm


def _dependency_ids(job: Job, record: JobRecord) -> list[str]:
    """Return Slurm's numbers of the jobs that it comes after; for others, and for how they end, the worker looks."""
    slurm_job_ids = []
    for job_id in record.after:
        dependency = Job(job.folder.with_name(job_id)).record()
        if dependency.slurm is not None and dependency.slurm.job and not dependency.state.is_over:
            slurm_job_ids.append(dependency.slurm.job)
    return slurm_job_ids


def is_in_slurm(record: JobRecord) -> bool:
    """Tell whether Slurm has the job."""
    return record.slurm is not None and record.slurm.job is not None


def stop_in_slurm(job: Job) -> JobState:
    """Ask the workers on the nodes to keep their work and end; return the state the job then has.

    Raises
    ------
    JobError
        If Slurm is not here, or the job does not end in time.
    """
    _wait_until_over(job, STOP_SECONDS, commands.send_stop_signal)
    return _record_stopped(job)


def kill_in_slurm(job: Job) -> JobState:
    """End the workers on the nodes at once; return the state the job then has.

    Raises
    ------
    JobError
        If Slurm is not here, or does not end the job in time.
    """
    _wait_until_over(job, KILL_SECONDS, commands.kill_slurm_job)
    return _record_stopped(job, fault="Killed.", fix=f"Go on: tomoseg jobs resume {job.id}")


def _wait_until_over(job: Job, seconds: float, send: Callable[[str], None]) -> None:
    """Mark that the job is to end, and ask Slurm for it by its number until it has."""
    slurm_job_id = str(_require_submission(job.record()).job)
    commands.require_command("scancel")
    job.stop_file.touch()
    deadline = time.monotonic() + seconds
    next_send = time.monotonic()
    while not job.state().is_over:
        if time.monotonic() >= deadline:
            raise JobError(f"Job {job.id} has not ended after {seconds:g} s.", f"End it: tomoseg jobs kill {job.id}")
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
    """Write the state of a job whose worker could not: it had not begun, or was killed."""
    with locks.held(job.claim_file, patience_seconds=CLAIM_SECONDS):
        record = job.record()
        if record.state.is_over:
            return record.state
        return job.set_state(JobState.STOPPED, ended=now(), **changes).state
