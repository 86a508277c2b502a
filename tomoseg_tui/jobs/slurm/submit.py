"""Hand a job to Slurm instead of this machine, and end it there; what launching, stopping and killing do for it."""

import time
from collections.abc import Callable

import msgspec

from tomoseg_tui.errors import JobError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, SlurmPart
from tomoseg_tui.jobs.slurm import commands
from tomoseg_tui.jobs.slurm.status import DESK, heading
from tomoseg_tui.project.records import now
from tomoseg_tui.project.slurm_settings import SlurmSettings

HAND_SECONDS = 10.0
"""How long to wait for whoever has the job's claim for a moment."""
STOP_SECONDS = 90.0
"""How long a stopping worker may take to keep its work, and Slurm to pass that on."""
KILL_SECONDS = 45.0
"""How long Slurm may take to end all processes; its own KillWait is 30 s."""
AGAIN_SECONDS = 3.0
"""How often it is asked again: a worker that is just coming up does not hear the first time."""
LOOK_SECONDS = 0.2
"""How often to look whether it has ended."""


def part_for(kind: str, asked: dict[str, object], settings: SlurmSettings) -> SlurmPart:
    """Return how a job is handed over: an apply by as many workers as are asked for, or one a tomogram."""
    if kind != "apply":
        return SlurmPart(settings=settings)
    tomograms = asked["tomograms"]
    several = len(tomograms) if isinstance(tomograms, list | tuple) else 1
    workers = int(str(asked.get("workers", 1)))
    return SlurmPart(settings=settings, tasks=workers if workers > 1 else several)


def hand_over(job: Job) -> None:
    """Give a queued job to Slurm; its worker begins when the claim is free again, and then finds all in place.

    Raises
    ------
    JobError
        If Slurm does not take it; the job has failed then.
    """
    with locks.holding(job.claim, patience_seconds=HAND_SECONDS):
        record = job.record()
        part = _part_of(record)
        job.stop_mark.unlink(missing_ok=True)
        try:
            after = _numbers_before(job, record)
            number = commands.submit(job.folder, record.kind, part.settings, tasks=part.tasks, after=after)
        except JobError as fault:
            job.move(JobState.FAILED, ended=now(), fault=fault.fault, fix=fault.fix, exit_code=2)
            raise
        job.amend(slurm=msgspec.structs.replace(part, job=number, began_at=None, idle=0))
        append_line(job.log_file, f"{now()} Handed over as {heading(number)}.")


def _part_of(record: JobRecord) -> SlurmPart:
    if record.slurm is None:
        raise JobError("This job is not one of Slurm's.", "Resume it with --slurm.")
    return record.slurm


def _numbers_before(job: Job, record: JobRecord) -> list[str]:
    """Return Slurm's numbers of the jobs that it comes after; for others, and for how they end, the worker looks."""
    found = []
    for job_id in record.after:
        other = Job(job.folder.with_name(job_id)).record()
        if other.slurm is not None and other.slurm.job and not other.state.is_over:
            found.append(other.slurm.job)
    return found


def is_in_slurm(record: JobRecord) -> bool:
    """Tell whether Slurm has the job."""
    return record.slurm is not None and record.slurm.job is not None


def stop_there(job: Job) -> JobState:
    """Ask the workers on the nodes to keep their work and end; return the state the job then has.

    Raises
    ------
    JobError
        If Slurm is not here, or the job does not end in time.
    """
    _until_over(job, STOP_SECONDS, commands.ask_to_stop)
    return _settled(job)


def kill_there(job: Job) -> JobState:
    """End the workers on the nodes at once; return the state the job then has.

    Raises
    ------
    JobError
        If Slurm is not here, or does not end the job in time.
    """
    _until_over(job, KILL_SECONDS, commands.kill)
    return _settled(job, fault="Killed.", fix=f"Go on: tomoseg jobs resume {job.id}")


def _until_over(job: Job, seconds: float, ask: Callable[[str], None]) -> None:
    """Mark that the job is to end, and ask Slurm for it by its number until it has."""
    number = str(_part_of(job.record()).job)
    commands.require("scancel")
    job.stop_mark.touch()
    deadline = time.monotonic() + seconds
    again = time.monotonic()
    while not job.state().is_over:
        if time.monotonic() >= deadline:
            raise JobError(f"Job {job.id} has not ended after {seconds:g} s.", f"End it: tomoseg jobs kill {job.id}")
        if time.monotonic() >= again:
            try:
                ask(number)
            except JobError:
                job.stop_mark.unlink(missing_ok=True)
                raise
            DESK.forget(number)
            again += AGAIN_SECONDS
        time.sleep(LOOK_SECONDS)


def _settled(job: Job, **changes: str) -> JobState:
    """Write the state of a job whose worker could not: it had not begun, or was killed."""
    with locks.holding(job.claim, patience_seconds=HAND_SECONDS):
        record = job.record()
        if record.state.is_over:
            return record.state
        return job.move(JobState.STOPPED, ended=now(), **changes).state
