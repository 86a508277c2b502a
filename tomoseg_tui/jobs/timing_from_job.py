"""Timing and speed of a finished job, from which the duration of similar jobs is predicted.

A timing is stored only if the next job of its key will take as long: not of resumed jobs, whose start is another, of
several workers or volumes of several sizes, of Slurm, where the share of a node is unknown, or of a busy machine. A
speed compares jobs of one network and device, whatever their size; each record keeps it with the load of the machine.
"""

import os
from statistics import median

from tomoseg_tui.core.eta import DurationForecast, ProgressHistory
from tomoseg_tui.jobs.job import JobSpeed
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.workflow.job_interface import Workload

MIN_LAPS = 3
"""Less tells nothing."""
MIN_SHARE = 0.5
"""Of the work, that laps must have brought."""
BUSY_THREADS_PER_CORE = 2.0
"""Threads a core that want to run; a job alone makes about one, and some more with all that TensorFlow starts."""


def timing_from_progress(
    workload: Workload, history: ProgressHistory, *, seconds: float, memory_bytes: int
) -> Timing | None:
    """Return the pace that a job has had; None if too little was seen of it.

    Parameters
    ----------
    workload : Load
        What it has done.
    history : Laps
        What was seen of that.
    seconds : float
        What it took, from its start to its end.
    memory_bytes : int
        The most that it had resident.

    Examples
    --------
    >>> pace_of(Load("key", 10), Laps(9, 0.9, 18.0), seconds=25.0, memory_bytes=100).start_seconds
    5.0
    """
    if history.count < MIN_LAPS or history.share < MIN_SHARE or workload.units <= 0:
        return None
    rests = history.pauses[1:] or history.pauses  # the first one compiles
    validation_seconds = max(0.0, median(rests)) / workload.held_out if rests and workload.held_out else 0.0
    idle_seconds = 0.0 if workload.held_out else sum(history.pauses)  # saving an epoch takes a moment too
    unit_seconds = (history.seconds + idle_seconds) / history.share / workload.units
    return Timing(
        start_seconds=max(0.0, seconds - workload.units * unit_seconds - workload.validations * validation_seconds),
        unit_seconds=unit_seconds,
        judging_seconds=validation_seconds,
        memory_bytes=max(0, memory_bytes - workload.tiles_bytes),
        video_bytes=workload.peak_gpu_bytes(),
    )


def forecast_from_timing(workload: Workload, timing: Timing | None) -> DurationForecast | None:
    """Return what a pace foretells of a job."""
    if timing is None:
        return None
    return DurationForecast(
        start_seconds=timing.start_seconds,
        work_seconds=workload.units * timing.unit_seconds,
        pause_seconds=workload.held_out * timing.judging_seconds,
        closing_seconds=(workload.validations - workload.epochs * workload.held_out) * timing.judging_seconds,
    )


def speed_from_progress(workload: Workload, history: ProgressHistory, *, load: float) -> JobSpeed | None:
    """Return the speed of a job, pauses included; None if too little of it was seen.

    Parameters
    ----------
    workload : Workload
        What it has done.
    history : ProgressHistory
        What was seen of that.
    load : float
        Mean of `threads_per_core` while it ran.
    """
    seconds = history.seconds + sum(history.pauses)
    if history.count < MIN_LAPS or history.share < MIN_SHARE or seconds <= 0:
        return None
    return JobSpeed(family=workload.family, size_per_second=workload.size * history.share / seconds, load=load)


def threads_per_core() -> float:
    """Return how many threads a core of this machine want to run, averaged over the last minute."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 0.0


def is_busy(load: float) -> bool:
    """Tell whether a machine of this load had more to do than one job."""
    return load > BUSY_THREADS_PER_CORE
