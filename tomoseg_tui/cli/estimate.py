"""What a job will take, said before it is started; and `--estimate`, which says it and starts nothing."""

import argparse
import contextlib
import os
from typing import Any

from tomoseg_tui.cli.common import echo, print_json, slurm_settings_from, wants_json
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files.disk_space import format_bytes, free_bytes
from tomoseg_tui.jobs.job import all_jobs
from tomoseg_tui.jobs.run_benchmark import benchmark_timing, stored_timing
from tomoseg_tui.jobs.system_load import available_memory
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.workflow.estimates.estimator import Estimate, Work, estimate, require_memory_and_disk, work_of

LONG_SECONDS = 60.0
"""What takes longer is said at the start."""


def report_estimate(arguments: argparse.Namespace, project: Project, kind: str, request: dict[str, Any]) -> bool:
    """Say what a job will take; tell whether that is all that was asked for.

    Raises
    ------
    JobError
        If this machine cannot hold it.
    """
    try:
        work = work_of(project, kind, request, cores=len(os.sched_getaffinity(0)))
    except TomosegError:
        if arguments.estimate:
            raise
        return False  # what a job before it is still to make is not there yet
    cost = estimate(work, _find_timing(project, work) if arguments.estimate else stored_timing(work.key))
    memory, disk = _available_memory_bytes(project), free_bytes(project.layout.root)
    if arguments.estimate:
        _print_estimate(arguments, cost, memory, disk)
    elif cost.seconds > LONG_SECONDS:
        echo(f"It will take {format_estimate(cost)}.")
    if slurm_settings_from(arguments, project) is not None:
        memory = cost.memory_bytes  # Slurm finds a node that has it
    require_memory_and_disk(kind, cost, memory_bytes=memory, disk_bytes=disk, workers=work.workers)
    return bool(arguments.estimate)


def _find_timing(project: Project, work: Work) -> Timing | None:
    """Return the pace that was asked for; of work without a network that takes a moment, on the very volumes."""
    return benchmark_timing(
        project.layout, work.kind, work.sample, work.key, force=work.kind in {"merge", "preprocess"}
    )


def _available_memory_bytes(project: Project) -> int:
    """Return the memory that a job can have: what is free, or all where other jobs that are at work end first."""
    has_running_jobs = False
    with contextlib.suppress(TomosegError, OSError):
        has_running_jobs = any(not job.state().is_over for job in all_jobs(project.layout)[:10])
    return available_memory(after_other_jobs=has_running_jobs)


def _print_estimate(arguments: argparse.Namespace, cost: Estimate, memory: int, disk: int) -> None:
    fits = cost.memory_bytes <= memory and cost.disk_bytes <= disk
    if wants_json(arguments):
        print_json(
            {
                "seconds": round(cost.seconds, 1),
                "memory_bytes": cost.memory_bytes,
                "video_memory_bytes": cost.gpu_bytes,
                "disk_bytes": cost.disk_bytes,
                "free_memory_bytes": memory,
                "free_disk_bytes": disk,
                "measured": cost.is_measured,
                "fits": fits,
            }
        )
        return
    rows = {
        "time": f"about {format_duration(cost.seconds)}",
        "memory": f"about {format_bytes(cost.memory_bytes)}, {format_bytes(memory)} can be had",
        "video memory": "not known" if cost.gpu_bytes is None else _format_gpu_memory(cost.gpu_bytes),
        "disk": f"{format_bytes(cost.disk_bytes)}, {format_bytes(disk)} are free",
        "known": "from a short measurement on this machine"
        if cost.is_measured
        else "guessed from the size of the work",
    }
    for title, text in rows.items():
        print(f"{title:14} {text}")


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
    >>> duration(12), duration(400), duration(9000)
    ('12 s', '7 min', '2.5 h')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
