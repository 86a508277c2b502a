"""What a job takes before it is started: time, memory, video memory and disk; and whether that can be had.

How much there is to do follows from the request (`work`). How long a unit of it takes, and in how much memory, is
measured by a process that does a little of it (`jobs.run_benchmark`), or guessed from the cost of the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tomoseg_tui.errors import JobError
from tomoseg_tui.files.disk_space import format_bytes
from tomoseg_tui.project.timings import Timing

if TYPE_CHECKING:
    from tomoseg_tui.workflow.estimates.work import Work


@dataclass(frozen=True)
class Estimate:
    """What a job will take."""

    seconds: float
    memory_bytes: int
    gpu_bytes: int | None
    """0 on the CPU, None where nobody has measured."""
    disk_bytes: int
    is_measured: bool
    """False where it was guessed from the size of the work."""


def estimate(work: "Work", timing: Timing | None) -> Estimate:
    """Return what a job will take; without a pace, a guess."""
    if timing is None:
        gpu_bytes = None if work.on_gpu else 0
        return Estimate(work.guessed_seconds, round(work.guessed_bytes), gpu_bytes, work.disk_bytes, is_measured=False)
    seconds = timing.seconds(work.workload.units, validated_tiles=work.workload.validations)
    memory_bytes = work.workers * timing.memory_bytes + work.workload.tiles_bytes
    return Estimate(seconds, memory_bytes, work.workers * timing.video_bytes, work.disk_bytes, is_measured=True)


def combine_estimates(estimates: Sequence[Estimate], *, is_sequential: bool) -> Estimate:
    """Return what several jobs take.

    Parameters
    ----------
    estimates : sequence of Estimate
        One a job.
    is_sequential : bool
        Whether one waits for the other, as on the CPU; else each has a device of its own.
    """
    combiners = (sum, max) if is_sequential else (max, sum)
    video_bytes = [estimate.gpu_bytes for estimate in estimates]
    return Estimate(
        seconds=combiners[0](estimate.seconds for estimate in estimates),
        memory_bytes=combiners[1](estimate.memory_bytes for estimate in estimates),
        gpu_bytes=None if None in video_bytes else max((estimate or 0 for estimate in video_bytes), default=0),
        disk_bytes=sum(estimate.disk_bytes for estimate in estimates),
        is_measured=all(estimate.is_measured for estimate in estimates),
    )


def require_memory_and_disk(
    needed: Estimate, *, memory_bytes: int, disk_bytes: int, less_memory: str, less_disk: str, workers: int = 1
) -> None:
    """Refuse a job that this machine cannot hold.

    Parameters
    ----------
    needed : Estimate
        What it takes.
    memory_bytes, disk_bytes : int
        What there is.
    less_memory, less_disk : str
        What to do where one of them does not suffice; see `jobs.kinds`.
    workers : int
        Processes that it was to have.

    Raises
    ------
    JobError
        Says what would fit.
    """
    if needed.disk_bytes > disk_bytes:
        missing = format_bytes(needed.disk_bytes - disk_bytes)
        raise JobError(
            f"It takes {format_bytes(needed.disk_bytes)} of the disk, {format_bytes(disk_bytes)} are free.",
            f"Make about {missing} of room there, or {less_disk}.",
        )
    if needed.memory_bytes > memory_bytes:
        fitting_workers = int(memory_bytes * workers // max(needed.memory_bytes, 1))
        advice = f"Take fewer workers: --workers {fitting_workers}." if workers > fitting_workers > 0 else less_memory
        raise JobError(
            f"It takes about {format_bytes(needed.memory_bytes)} of memory, {format_bytes(memory_bytes)} can be had.",
            advice,
        )
