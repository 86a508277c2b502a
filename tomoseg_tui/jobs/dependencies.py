"""Jobs that come after others: start several at once, and resume what waited in vain."""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tomoseg_tui.errors import AlreadyRunningError, JobError, TomosegError
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, all_jobs, create_job, find_job
from tomoseg_tui.jobs.kinds import KINDS, slurm_submission_for
from tomoseg_tui.jobs.output_names import claim_output_name, output_reserved
from tomoseg_tui.jobs.scheduling import failed_dependency_error
from tomoseg_tui.jobs.slurm.submit import submit_job
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.workflow.pending_outputs import PendingOutputs

WORKERS_AT_ONCE = 8
"""Workers that come up at a time; each takes a core for a moment."""
JobStep = tuple[str, dict[str, Any], tuple[int, ...]]
"""Kind and request of a job that is to be, and the steps, by their place in the list, that it comes after."""


def find_dependencies(layout: ProjectLayout, job_ids: Sequence[str]) -> list[Job]:
    """Return the jobs that another is to come after.

    Raises
    ------
    JobError
        If there is no such job, or it has not gone well: whatever came after it would wait in vain.
    """
    jobs = [find_job(layout, job_id) for job_id in dict.fromkeys(job_ids)]
    for job in jobs:
        state = job.state()
        if state.can_resume:
            raise JobError(
                f"Job {job.id} is {state}: nothing can come after it.", f"Resume it first: tomoseg jobs resume {job.id}"
            )
    return jobs


def pending_outputs(layout: ProjectLayout, job_ids: Sequence[str]) -> PendingOutputs:
    """Return what the jobs named, and those that they come after, will make where they are not done yet.

    Raises
    ------
    JobError
        If there is no such job.
    """
    outputs: dict[str, Mapping[str, Iterable[Any]]] = {}
    remaining = list(job_ids)
    while remaining:
        job = find_job(layout, remaining.pop())
        record = job.record()
        if job.id not in outputs and record.state is not JobState.DONE:
            outputs[job.id] = KINDS[record.kind].outputs(record.asked)
            remaining += record.after
    return PendingOutputs(
        **{
            name: frozenset(output for made in outputs.values() for output in made.get(name, ()))
            for name in ("runs", "tomograms", "maps")
        }
    )


def launch_chain(
    layout: ProjectLayout,
    steps: Sequence[JobStep],
    *,
    after: Sequence[str] = (),
    at_once: bool = False,
    slurm: SlurmSettings | None = None,
) -> list[Job]:
    """Create jobs that wait for one another, and start their workers; all or none get the names of what they make.

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
    ProjectError
        If the name of something that they make is taken.
    WorkerLostError
        If a worker does not come up; the others do.
    """
    jobs: list[Job] = []
    with contextlib.ExitStack() as stack:
        for kind, request, _ in steps:
            stack.enter_context(output_reserved(layout, kind, request))
        try:
            for kind, request, step_indices in steps:
                dependencies = [*after, *(jobs[index].id for index in step_indices)]
                title, submission = KINDS[kind].title(request), slurm_submission_for(kind, request, slurm)
                jobs.append(
                    create_job(layout, kind, title, request, after=dependencies, at_once=at_once, slurm=submission)
                )
        except OSError:
            for job in jobs:
                launch.delete_job_folder(job)
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
            submit_job(job)
        except TomosegError as fault:
            faults.append(fault)
    remaining = [job for job in jobs if job.record().slurm is None]
    while remaining:
        count = WORKERS_AT_ONCE if remaining[0].record().after else 1
        batch, remaining = remaining[:count], remaining[count:]
        workers = [(job, launch.spawn_worker(job)) for job in batch]
        for job, worker in workers:
            for waiting_job in remaining:
                os.utime(waiting_job.record_file)  # it is not lost: its worker is about to come
            try:
                launch.wait_until_started(job, worker)
            except TomosegError as fault:
                faults.append(fault)
    if faults:
        raise faults[0]


def resume_with_dependents(
    layout: ProjectLayout, job: Job, *, at_once: bool = False, slurm: SlurmSettings | None = None, here: bool = False
) -> tuple[bool, list[Job]]:
    """Resume a job, and those after it that have not begun: failed as it had not gone well, or lost with their workers.

    Parameters
    ----------
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
    claim_output_name(job)
    record = job.record()
    state = job.state(record)
    if state.can_resume:
        fault = failed_dependency_error(job, record)
        if fault is not None:
            raise fault
    if not launch.resume(job, at_once=at_once, slurm=slurm, here=here):
        return False, []
    dependents: list[Job] = []
    for other in reversed(all_jobs(layout)):  # whoever comes after has the greater number
        other_record = other.record()
        if (
            _depends_on(other_record, job, dependents)
            and _never_started(other, other_record)
            and failed_dependency_error(other, other_record) is None
        ):
            with contextlib.suppress(AlreadyRunningError):  # somebody else has resumed it just now
                launch.requeue(other, other_record, here=here)
                dependents.append(other)
    _start_workers(dependents)
    return True, dependents


def _never_started(job: Job, record: JobRecord) -> bool:
    """Tell whether a job has not begun and nobody will begin it; its worker may have gone with the power or ssh."""
    return record.started is None and job.state(record) in {JobState.FAILED, JobState.LOST}


def _depends_on(record: JobRecord, job: Job, dependents: Sequence[Job]) -> bool:
    return bool({job.id, *(dependent.id for dependent in dependents)} & set(record.after))
