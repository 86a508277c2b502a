"""Jobs that depend on others: start a chain, and resume a job with its dependents."""

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tomoseg_tui.errors import AlreadyRunningError, JobError, TomosegError
from tomoseg_tui.files import locks
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, all_jobs, create_job, find_job
from tomoseg_tui.jobs.kinds import KINDS, slurm_submission_for
from tomoseg_tui.jobs.output_names import claim_output_name, output_reserved
from tomoseg_tui.jobs.scheduling import failed_dependency_error
from tomoseg_tui.jobs.slurm.submit import submit_job
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.workflow.job_interface import PendingOutputs

WORKERS_AT_ONCE = 8
"""Workers started at a time; each takes a core while it starts."""
JobStep = tuple[str, dict[str, Any], tuple[int, ...]]
"""Kind and request of a job to create, and the indices of the steps that it depends on."""


def find_dependencies(layout: ProjectLayout, job_ids: Sequence[str]) -> list[Job]:
    """Return the jobs that a new job will depend on.

    Raises
    ------
    JobError
        If there is no such job, or it has failed, was stopped or is lost: a dependent job could never start.
    """
    jobs = [find_job(layout, job_id) for job_id in dict.fromkeys(job_ids)]
    for job in jobs:
        state = job.state()
        if state.can_resume:
            raise JobError(
                f"Job {job.id} is {state}: a job that depends on it could not start.",
                f"Resume it first: tomoseg jobs resume {job.id}",
            )
    return jobs


def pending_outputs(layout: ProjectLayout, job_ids: Sequence[str]) -> PendingOutputs:
    """Return the outputs of the given jobs and their dependencies that are not done yet.

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
    """Create jobs that depend on one another, and start their workers; reserve all output names, or none.

    Parameters
    ----------
    steps : sequence of JobStep
        Each depends on the earlier steps that it names.
    after : sequence of str
        Jobs that all steps depend on.
    at_once : bool
        Whether the jobs start without waiting for their device.
    slurm : SlurmSettings or None
        Settings of each job in Slurm; None to run on this machine.

    Raises
    ------
    ProjectError
        If the name of an output is in use.
    WorkerLostError
        If a worker does not start; the other workers are started.
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
            _start_workers(jobs)
        except OSError:
            for job in jobs:
                if job.record().state is JobState.QUEUED and not locks.is_held(job.claim_file):
                    launch.delete_job_folder(job)
            raise
    return jobs


def _start_workers(jobs: Sequence[Job]) -> None:
    """Start the workers; raise the first error after all were tried.

    Jobs without dependencies start one by one, so that they run in that order; others start a few at a time.
    """
    faults: list[TomosegError] = []
    for job in [job for job in jobs if job.record().slurm is not None]:  # one by one: each names its dependencies
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
                os.utime(waiting_job.record_file)  # it is not lost: its worker will start soon
            try:
                launch.wait_until_started(job, worker)
            except TomosegError as fault:
                faults.append(fault)
    if faults:
        raise faults[0]


def resume_with_dependents(
    layout: ProjectLayout, job: Job, *, at_once: bool = False, slurm: SlurmSettings | None = None, here: bool = False
) -> tuple[bool, list[Job]]:
    """Resume a job, and the dependent jobs that never started: they failed with it, or their workers are lost.

    Parameters
    ----------
    at_once, slurm : bool, SlurmSettings or None
        As in `launch.resume`, for this job only: dependent jobs run where they were to run.
    here : bool
        Run on this machine; the dependent jobs too, because Slurm may be out of reach.

    Returns
    -------
    bool, list of Job
        Whether the job was unfinished; the dependent jobs that were resumed.

    Raises
    ------
    JobError
        If a dependency of the job has failed, was stopped or is lost, or another job owns its output name.
    AlreadyRunningError
        If a worker is running it.
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
    for other in reversed(all_jobs(layout)):  # a dependent job has a greater number
        other_record = other.record()
        if (
            _depends_on(other_record, job, dependents)
            and _never_started(other, other_record)
            and failed_dependency_error(other, other_record) is None
        ):
            with contextlib.suppress(AlreadyRunningError):  # another command has resumed it just now
                launch.requeue(other, other_record, here=here)
                dependents.append(other)
    _start_workers(dependents)
    return True, dependents


def _never_started(job: Job, record: JobRecord) -> bool:
    """Return whether a job has not started and no worker will start it."""
    return record.started is None and job.state(record) in {JobState.FAILED, JobState.LOST}


def _depends_on(record: JobRecord, job: Job, dependents: Sequence[Job]) -> bool:
    return bool({job.id, *(dependent.id for dependent in dependents)} & set(record.after))
