"""What a job will take, said before it is started; and `--estimate`, which says it and starts nothing."""

import argparse
import contextlib
import os
from typing import Any

from tomoseg_tui.cli.common import print_json, say, slurm_wish, wants_json
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files.disk_space import free_bytes, in_units
from tomoseg_tui.jobs.job import all_jobs
from tomoseg_tui.jobs.run_benchmark import known_pace, measured_pace
from tomoseg_tui.jobs.system_load import memory_to_be_had
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Pace
from tomoseg_tui.workflow.estimates.estimator import Estimate, Work, estimate, refuse_what_does_not_fit, work_of

LONG_SECONDS = 60.0
"""What takes longer is said at the start."""


def tell_estimate(arguments: argparse.Namespace, project: Project, kind: str, asked: dict[str, Any]) -> bool:
    """Say what a job will take; tell whether that is all that was asked for.

    Raises
    ------
    JobError
        If this machine cannot hold it.
    """
    try:
        work = work_of(project, kind, asked, cores=len(os.sched_getaffinity(0)))
    except TomosegError:
        if arguments.estimate:
            raise
        return False  # what a job before it is still to make is not there yet
    found = estimate(work, _pace(project, work) if arguments.estimate else known_pace(work.key))
    memory, disk = _memory(project), free_bytes(project.layout.root)
    if arguments.estimate:
        _tell(arguments, found, memory, disk)
    elif found.seconds > LONG_SECONDS:
        say(f"It will take {in_words(found)}.")
    if slurm_wish(arguments, project) is not None:
        memory = found.memory_bytes  # Slurm finds a node that has it
    refuse_what_does_not_fit(kind, found, memory_bytes=memory, disk_bytes=disk, workers=work.workers)
    return bool(arguments.estimate)


def _pace(project: Project, work: Work) -> Pace | None:
    """Return the pace that was asked for; of work without a network that takes a moment, on the very volumes."""
    return measured_pace(project.layout, work.kind, work.sample, work.key, anew=work.kind in {"merge", "preprocess"})


def _memory(project: Project) -> int:
    """Return the memory that a job can have: what is free, or all where other jobs that are at work end first."""
    others = False
    with contextlib.suppress(TomosegError, OSError):
        others = any(not job.state().is_over for job in all_jobs(project.layout)[:10])
    return memory_to_be_had(others_end_first=others)


def _tell(arguments: argparse.Namespace, found: Estimate, memory: int, disk: int) -> None:
    fits = found.memory_bytes <= memory and found.disk_bytes <= disk
    if wants_json(arguments):
        print_json(
            {
                "seconds": round(found.seconds, 1),
                "memory_bytes": found.memory_bytes,
                "video_memory_bytes": found.video_bytes,
                "disk_bytes": found.disk_bytes,
                "free_memory_bytes": memory,
                "free_disk_bytes": disk,
                "measured": found.measured,
                "fits": fits,
            }
        )
        return
    rows = {
        "time": f"about {duration(found.seconds)}",
        "memory": f"about {in_units(found.memory_bytes)}, {in_units(memory)} can be had",
        "video memory": "not known" if found.video_bytes is None else _video(found.video_bytes),
        "disk": f"{in_units(found.disk_bytes)}, {in_units(disk)} are free",
        "known": "from a short measurement on this machine" if found.measured else "guessed from the size of the work",
    }
    for title, words in rows.items():
        print(f"{title:14} {words}")


def _video(count: int) -> str:
    return in_units(count) if count else "none"


def in_words(found: Estimate) -> str:
    """Return an estimate as a sentence has it."""
    how = "measured here" if found.measured else "a guess from its size"
    return f"about {duration(found.seconds)} and {in_units(found.memory_bytes)} of memory ({how})"


def duration(seconds: float) -> str:
    """Return a duration as rough as an estimate is.

    Examples
    --------
    >>> duration(12), duration(400), duration(9000)
    ('12 s', '7 min', '2.5 h')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
