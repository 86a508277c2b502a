"""Start jobs, once they are checked; or print what they would take (`--estimate`) and start nothing."""

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from tomoseg_tui.cli.common import echo, print_json, slurm_settings_from, wants_json, write_history
from tomoseg_tui.cli.wait_for_jobs import wait_for_job
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files.disk_space import format_bytes, free_bytes
from tomoseg_tui.jobs.dependencies import JobStep, find_dependencies
from tomoseg_tui.jobs.estimate import NONE_EXPECTED, work_of
from tomoseg_tui.jobs.job import all_jobs
from tomoseg_tui.jobs.kinds import KINDS
from tomoseg_tui.jobs.launch import launch
from tomoseg_tui.jobs.run_benchmark import benchmark_timing, stored_timing
from tomoseg_tui.jobs.system_load import available_memory
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.workflow.estimates.estimator import (
    Estimate,
    combine_estimates,
    estimate,
    require_memory_and_disk,
)
from tomoseg_tui.workflow.estimates.work import Work

LONG_SECONDS = 60.0
"""What takes longer is said at the start."""


def start_job(arguments: argparse.Namespace, project: Project, kind: str, request: dict[str, Any]) -> int:
    """Start a job, unless only an estimate is asked for; print its id, or wait for it. Return the exit code."""
    after = [job.id for job in find_dependencies(project.layout, arguments.after)]
    if report_estimate(arguments, project, [(kind, request, ())]):
        return 0
    slurm = slurm_settings_from(arguments, project)
    job = launch(project.layout, kind, request, after=after, at_once=arguments.now, slurm=slurm)
    write_history(arguments, project)
    if KINDS[kind].output_folder(project.layout, request) is not None:
        echo(f"The {KINDS[kind].makes} is called {request['name']}.")
    if arguments.wait:
        return wait_for_job(arguments, job)
    if wants_json(arguments):
        print_json({"job": job.id})
    else:
        print(job.id)
        echo(f"Job {job.id} goes on without this terminal. Look: tomoseg jobs show {job.id}")
    return 0


def report_estimate(
    arguments: argparse.Namespace,
    project: Project,
    jobs: Sequence[JobStep],
    expected: Mapping[str, NetworkCard] = NONE_EXPECTED,
) -> bool:
    """Say what jobs take that follow one another; tell whether that is all that was asked for.

    Parameters
    ----------
    arguments : Namespace
        Of the command.
    project : Project
    jobs : sequence of JobStep
        One job, or those of a run.
    expected : mapping
        Cards of networks that are still to be trained, by run.

    Raises
    ------
    JobError
        If this machine cannot hold them.
    """
    try:
        works = [work_of(project, kind, request, expected) for kind, request, _ in jobs]
    except TomosegError:
        if arguments.estimate:
            raise
        return False  # what a job before it is still to make is not there yet
    can_measure = [arguments.estimate and not dependencies for _, _, dependencies in jobs]
    costs = [
        estimate(work, _find_timing(project, work) if measures else stored_timing(work.workload.key))
        for work, measures in zip(works, can_measure, strict=True)
    ]
    total = combine_estimates(costs, is_sequential=True)
    memory, disk = _available_memory_bytes(project), free_bytes(project.layout.root)
    if arguments.estimate:
        titles = [f"{kind} {KINDS[kind].title(request)}" for kind, request, _ in jobs]
        _print_estimates(arguments, dict(zip(titles, costs, strict=True)), total, memory, disk)
    elif total.seconds > LONG_SECONDS:
        echo(f"It will take {format_estimate(total)}.")
    in_slurm = slurm_settings_from(arguments, project) is not None
    largest = max(works, key=lambda work: work.disk_bytes)
    for work, cost in [*zip(works, costs, strict=True), (largest, total)]:
        require_memory_and_disk(
            cost,
            memory_bytes=cost.memory_bytes if in_slurm else memory,  # Slurm finds a node that has it
            disk_bytes=disk,
            workers=work.workers,
            less_memory=KINDS[work.kind].less_memory,
            less_disk=KINDS[work.kind].less_disk,
        )
    return bool(arguments.estimate)


def _find_timing(project: Project, work: Work) -> Timing | None:
    """Return the timing that was asked for; of work without a network that takes a moment, on the very volumes."""
    force = not KINDS[work.kind].needs_whole_device
    return benchmark_timing(project.layout, work.kind, work.sample, work.workload.key, force=force)


def _available_memory_bytes(project: Project) -> int:
    """Return the memory that a job can have: what is free, or all where other jobs that are at work end first."""
    has_running_jobs = False
    with contextlib.suppress(TomosegError, OSError):
        has_running_jobs = any(not job.state().is_over for job in all_jobs(project.layout)[:10])
    return available_memory(after_other_jobs=has_running_jobs)


def _print_estimates(
    arguments: argparse.Namespace, costs: Mapping[str, Estimate], total: Estimate, memory: int, disk: int
) -> None:
    """Print what jobs take together and, if there are several, what each takes."""
    if wants_json(arguments):
        listing = {
            **_estimate_json(total),
            "free_memory_bytes": memory,
            "free_disk_bytes": disk,
            "fits": total.memory_bytes <= memory and total.disk_bytes <= disk,
        }
        jobs = [{"job": title, **_estimate_json(cost)} for title, cost in costs.items()]
        print_json({**listing, "jobs": jobs} if len(jobs) > 1 else listing)
        return
    if len(costs) > 1:
        for title, cost in costs.items():
            print(f"{title}: {format_estimate(cost)}")
    rows = {
        "time": f"about {format_duration(total.seconds)}",
        "memory": f"about {format_bytes(total.memory_bytes)}, {format_bytes(memory)} can be had",
        "video memory": "not known" if total.gpu_bytes is None else _format_gpu_memory(total.gpu_bytes),
        "disk": f"{format_bytes(total.disk_bytes)}, {format_bytes(disk)} are free",
        "known": "from a short measurement on this machine"
        if total.is_measured
        else "guessed from the size of the work",
    }
    for title, text in rows.items():
        print(f"{title:14} {text}")


def _estimate_json(cost: Estimate) -> dict[str, object]:
    return {
        "seconds": round(cost.seconds, 1),
        "memory_bytes": cost.memory_bytes,
        "video_memory_bytes": cost.gpu_bytes,
        "disk_bytes": cost.disk_bytes,
        "measured": cost.is_measured,
    }


def _format_gpu_memory(byte_count: int) -> str:
    return format_bytes(byte_count) if byte_count else "none"


def format_estimate(cost: Estimate) -> str:
    """Return an estimate as a sentence has it."""
    source = "measured here" if cost.is_measured else "a guess from its size"
    return f"about {format_duration(cost.seconds)} and {format_bytes(cost.memory_bytes)} of memory ({source})"


def format_duration(seconds: float) -> str:
    """Return a duration as rough as an estimate is.

    Examples
    --------
    >>> format_duration(12), format_duration(400), format_duration(9000)
    ('12 s', '7 min', '2.5 h')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
