"""Jobs that come after others: start several at once, tell what one waits for, resume what waited in vain."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from tomoseg_tui.errors import AlreadyRunningError, JobError, TomosegError
from tomoseg_tui.files import locks
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, all_jobs, create_job, find_job, look_patiently
from tomoseg_tui.jobs.output_names import take_name
from tomoseg_tui.jobs.slurm.submit import hand_over, part_for
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.slurm_settings import SlurmSettings

GRACE_SECONDS = 60.0
"""On a busy machine a worker may take so long to come up; whoever comes after it waits."""
TOGETHER = 8
"""Workers that come up at a time; each takes a core for a moment."""
Step = tuple[str, str, dict[str, Any], tuple[int, ...]]
"""Kind, name and request of a job that is to be, and the steps, by their place in the list, that it comes after."""


def awaited(layout: ProjectLayout, ids: Sequence[str]) -> list[Job]:
    """Return the jobs that another is to come after.

    Raises
    ------
    JobError
        If there is no such job, or it has not gone well: whatever came after it would wait in vain.
    """
    jobs = [find_job(layout, job_id) for job_id in dict.fromkeys(ids)]
    for job in jobs:
        state = job.state()
        if state.can_resume:
            raise JobError(f"Job {job.id} is {state}: nothing can come after it.", _resume_first(job))
    return jobs


def to_come(layout: ProjectLayout, ids: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return kind and request of the jobs named, and of those that they come after, that are not done yet.

    Raises
    ------
    JobError
        If there is no such job.
    """
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    left = list(ids)
    while left:
        job = find_job(layout, left.pop())
        record = job.record()
        if job.id not in found and record.state is not JobState.DONE:
            found[job.id] = record.kind, record.asked
            left += record.after
    return list(found.values())


def _resume_first(job: Job) -> str:
    return f"Resume it first: tomoseg jobs resume {job.id}"


def _others(job: Job, record: JobRecord) -> Iterator[tuple[Job, JobRecord, JobState]]:
    for job_id in record.after:
        other = Job(job.folder.with_name(job_id))
        yield other, *look_patiently(other, _record_and_state)


def _record_and_state(job: Job) -> tuple[JobRecord, JobState]:
    record = job.record()
    return record, _state_with_grace(job, record)


def _state_with_grace(job: Job, record: JobRecord) -> JobState:
    """Return the state of a job; one that has not begun is given longer than a screen gives it to be called lost."""
    young = record.state is JobState.QUEUED and locks.age_seconds(job.record_file) < GRACE_SECONDS
    return JobState.QUEUED if young else job.state(record)


def blocked(job: Job, record: JobRecord) -> JobError | None:
    """Return why a job cannot come to its turn any more: one that it comes after has not gone well.

    May sleep for seconds, as `record.look_patiently` does.
    """
    try:
        for other, known, state in _others(job, record):
            if state.can_resume:
                return JobError(
                    f"It comes after job {other.id} ({known.kind} {known.name}), which is {state}.",
                    f"{_resume_first(other)}; that takes this one along.",
                )
    except TomosegError as gone:
        return JobError(f"It comes after a job that is gone. {gone.fault}", "Start it anew.")
    return None


def unfinished(job: Job, record: JobRecord) -> str:
    """Return what a job waits for among those that it comes after; nothing once they are all done."""
    left = [(other, known) for other, known, state in _others(job, record) if state is not JobState.DONE]
    if not left:
        return ""
    named = " and ".join(f"job {other.id} ({known.kind} {known.name})" for other, known in left[:2])
    return f"waits for {named}" + (f" and {len(left) - 2} more" if len(left) > 2 else "")


def launch_all(
    layout: ProjectLayout,
    steps: Sequence[Step],
    *,
    after: Sequence[str] = (),
    at_once: bool = False,
    slurm: SlurmSettings | None = None,
) -> list[Job]:
    """Create jobs that wait for one another, and start their workers.

    Parameters
    ----------
    layout : ProjectLayout
        The project.
    steps : sequence of Step
        Each comes after those before it that it names.
    after : sequence of str
        Jobs that all of them come after.
    at_once : bool
        Whether none of them waits in line for its device.
    slurm : SlurmSettings or None
        What each asks Slurm for, if they are to compute there.

    Raises
    ------
    WorkerLostError
        If a worker does not come up; the others do.
    """
    jobs: list[Job] = []
    try:
        for kind, name, asked, places in steps:
            first = [*after, *(jobs[place].id for place in places)]
            part = None if slurm is None else part_for(kind, asked, slurm)
            jobs.append(create_job(layout, kind, name, asked, after=first, at_once=at_once, slurm=part))
    except OSError:
        for job in jobs:
            launch.discard(job)
        raise
    _start_workers(jobs)
    return jobs


def _start_workers(jobs: Sequence[Job]) -> None:
    """Bring workers up; raise the first fault when all have been tried.

    Those that wait for others come a few at a time, the rest one after the other: they go in that order.
    """
    faults: list[TomosegError] = []
    for job in [job for job in jobs if job.record().slurm is not None]:  # one by one: each names those before it
        try:
            hand_over(job)
        except TomosegError as fault:
            faults.append(fault)
    left = [job for job in jobs if job.record().slurm is None]
    while left:
        count = TOGETHER if left[0].record().after else 1
        coming, left = left[:count], left[count:]
        workers = [(job, launch.begin_worker(job)) for job in coming]
        for job, worker in workers:
            for later in left:
                os.utime(later.record_file)  # it is not lost: its worker is about to come
            try:
                launch.await_worker(job, worker)
            except TomosegError as fault:
                faults.append(fault)
    if faults:
        raise faults[0]


def resume_with_followers(
    layout: ProjectLayout, job: Job, *, at_once: bool = False, slurm: SlurmSettings | None = None, here: bool = False
) -> tuple[bool, list[Job]]:
    """Resume a job, and those after it that have not begun: failed as it had not gone well, or lost with their workers.

    Parameters
    ----------
    layout, job : ProjectLayout, Job
    at_once, slurm : bool, SlurmSettings or None
        As `launch.resume` takes them, for the job alone: those that come after it go on where they were to be.
    here : bool
        Compute on this machine; those that come after it too, for Slurm may be out of reach.

    Returns
    -------
    bool, list of Job
        Whether there was something left to do; the others that go on.

    Raises
    ------
    JobError
        If a job that it comes after has not gone well itself, or what it makes is another job's by name.
    AlreadyRunningError
        If a worker is at it.
    """
    take_name(job)
    record = job.record()
    state = job.state(record)
    if state.can_resume:
        fault = blocked(job, record)
        if fault is not None:
            raise fault
    if not launch.resume(job, at_once=at_once, slurm=slurm, here=here):
        return False, []
    followers: list[Job] = []
    for other in reversed(all_jobs(layout)):  # whoever comes after has the greater number
        known = other.record()
        if _comes_after(known, job, followers) and _waited_in_vain(other, known) and blocked(other, known) is None:
            with contextlib.suppress(AlreadyRunningError):  # somebody else has resumed it just now
                launch.put_back(other, known, here=here)
                followers.append(other)
    _start_workers(followers)
    return True, followers


def _waited_in_vain(job: Job, record: JobRecord) -> bool:
    """Tell whether a job has not begun and nobody will begin it; its worker may have gone with the power or ssh."""
    return record.started is None and job.state(record) in {JobState.FAILED, JobState.LOST}


def _comes_after(record: JobRecord, job: Job, followers: Sequence[Job]) -> bool:
    return bool({job.id, *(other.id for other in followers)} & set(record.after))
