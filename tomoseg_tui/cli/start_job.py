"""Start a job whose request was checked, or print its cost (`--estimate`)."""

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tomoseg_tui.cli.common import echo, print_json, slurm_settings_from, wants_json, write_history
from tomoseg_tui.cli.wait_for_jobs import wait_for_job
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files.disk_space import format_bytes
from tomoseg_tui.jobs.dependencies import JobStep, find_dependencies
from tomoseg_tui.jobs.estimate import NONE_EXPECTED, JobCosts, estimate_jobs, works_of
from tomoseg_tui.jobs.kinds import KINDS
from tomoseg_tui.jobs.launch import launch
from tomoseg_tui.jobs.run_benchmark import benchmark_timing
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.project.timings import Timing, stored_timing
from tomoseg_tui.workflow.estimates.estimator import Cost, format_cost

if TYPE_CHECKING:
    from tomoseg_tui.workflow.estimates.estimator import Work

LONG_SECONDS = 60.0
"""The cost of longer jobs is printed at the start."""


def start_job(arguments: argparse.Namespace, project: Project, kind: str, request: dict[str, Any]) -> int:
    """Start a job and print its id, or wait for it; with --estimate, print its cost instead. Return the exit code."""
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
        echo(f"Job {job.id} continues without this terminal. See it: tomoseg jobs show {job.id}")
    return 0


def report_estimate(
    arguments: argparse.Namespace,
    project: Project,
    jobs: Sequence[JobStep],
    expected: Mapping[str, NetworkCard] = NONE_EXPECTED,
) -> bool:
    """Print the cost of a chain of jobs, if it is long or --estimate was given; return whether that is all to do.

    Parameters
    ----------
    jobs : sequence of JobStep
        One job, or those of a run.
    expected : mapping
        Cards of networks that are not trained yet, by run.

    Raises
    ------
    JobError
        If memory or disk space of this machine does not suffice.
    """
    try:
        works = works_of(project, jobs, expected)
    except TomosegError:
        if arguments.estimate:
            raise
        return False  # the output of a dependency does not exist yet
    if arguments.estimate:
        jobs_costs = estimate_jobs(project, works, lambda work: _measure(project, work))
        titles = [f"{kind} {KINDS[kind].title(request)}" for kind, request, _ in jobs]
        _print_costs(arguments, titles, jobs_costs)
    else:
        jobs_costs = estimate_jobs(project, works)
        if jobs_costs.total.seconds > LONG_SECONDS:
            echo(f"It takes {format_cost(jobs_costs.total)}.")
    jobs_costs.require_resources(in_slurm=slurm_settings_from(arguments, project) is not None)
    return bool(arguments.estimate)


def _measure(project: Project, work: "Work") -> Timing | None:
    """Return a stored or measured timing; jobs without a network are always measured, which takes a moment."""
    key, force = work.workload.key, not KINDS[work.kind].needs_whole_device
    timing = benchmark_timing(project.layout, work.kind, work.sample, key, force=force) if work.sample else None
    return timing or stored_timing(key)


def _print_costs(arguments: argparse.Namespace, titles: Sequence[str], costs: JobCosts) -> None:
    """Print the total cost and, for several jobs, the cost of each."""
    total, free = costs.total, costs.free
    by_title = dict(zip(titles, costs.costs, strict=True)) if len(titles) > 1 else {}
    if wants_json(arguments):
        listing = {
            **_cost_json(total),
            "free_memory_bytes": free.memory_bytes,
            "free_disk_bytes": free.disk_bytes,
            "fits": total.memory_bytes <= free.memory_bytes and total.disk_bytes <= free.disk_bytes,
        }
        jobs = [{"job": title, **_cost_json(cost)} for title, cost in by_title.items()]
        print_json({**listing, "jobs": jobs} if jobs else listing)
        return
    for title, cost in by_title.items():
        print(f"{title}: {format_cost(cost)}")
    print(f"{'all: ' if by_title else ''}{format_cost(total)}")
    print(f"free: {format_bytes(free.memory_bytes)} of memory, {format_bytes(free.disk_bytes)} of disk space")


def _cost_json(cost: Cost) -> dict[str, object]:
    return {
        "seconds": round(cost.seconds, 1),
        "memory_bytes": cost.memory_bytes,
        "video_memory_bytes": cost.gpu_bytes,
        "disk_bytes": cost.disk_bytes,
        "measured": cost.is_measured,
    }
