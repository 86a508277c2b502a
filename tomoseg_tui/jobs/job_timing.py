"""Duration of the next job, from the progress of one that ended. A waiting worker imports this, but no numpy.

The timing of a finished job is stored only if the next job of its key will take as long. It is not stored for resumed
jobs, whose start differs; for several workers or volumes of several sizes; in Slurm, where the share of the node is
unknown; or on a busy machine. A speed compares jobs of one network and device, whatever their size.
"""

import os
from statistics import median

from tomoseg_tui.core.eta import DurationForecast, ProgressHistory
from tomoseg_tui.jobs.job import JobSpeed
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.workflow.job_interface import Workload

MIN_LAPS = 3
"""Measured intervals needed for a timing."""
MIN_SHARE = 0.5
"""Share of the work that these intervals must cover."""
BUSY_THREADS_PER_CORE = 2.0
"""Runnable threads per core on a busy machine; one job makes about one, and slightly more with TensorFlow."""


def timing_from_progress(
    workload: Workload, history: ProgressHistory, *, seconds: float, memory_bytes: int
) -> Timing | None:
    """Return the timing of a finished job; None if too little of it was measured.

    Examples
    --------
    >>> history = ProgressHistory(9, 0.9, 18.0)
    >>> timing_from_progress(Workload("key", 10), history, seconds=25.0, memory_bytes=100).start_seconds
    5.0
    """
    if history.count < MIN_LAPS or history.share < MIN_SHARE or workload.units <= 0:
        return None
    rests = history.pauses[1:] or history.pauses  # the first one compiles
    validation_seconds = max(0.0, median(rests)) / workload.held_out if rests and workload.held_out else 0.0
    idle_seconds = 0.0 if workload.held_out else sum(history.pauses)  # saving an epoch takes time too
    unit_seconds = (history.seconds + idle_seconds) / history.share / workload.units
    return Timing(
        start_seconds=max(0.0, seconds - workload.units * unit_seconds - workload.validations * validation_seconds),
        unit_seconds=unit_seconds,
        judging_seconds=validation_seconds,
        memory_bytes=max(0, memory_bytes - workload.tiles_bytes),
        video_bytes=workload.peak_gpu_bytes(),
    )


def forecast_from_timing(workload: Workload, timing: Timing | None) -> DurationForecast | None:
    """Return the predicted duration of a job; None without a timing."""
    if timing is None:
        return None
    return DurationForecast(
        start_seconds=timing.start_seconds,
        work_seconds=workload.units * timing.unit_seconds,
        pause_seconds=workload.held_out * timing.judging_seconds,
        closing_seconds=(workload.validations - workload.epochs * workload.held_out) * timing.judging_seconds,
    )


def speed_from_progress(workload: Workload, history: ProgressHistory, *, load: float) -> JobSpeed | None:
    """Return the speed of a job, pauses included; None if too little of it was measured.

    Parameters
    ----------
    load : float
        Mean of `threads_per_core` while it ran.
    """
    seconds = history.seconds + sum(history.pauses)
    if history.count < MIN_LAPS or history.share < MIN_SHARE or seconds <= 0:
        return None
    return JobSpeed(family=workload.family, size_per_second=workload.size * history.share / seconds, load=load)


def threads_per_core() -> float:
    """Return the number of runnable threads per core of this machine, averaged over the last minute."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        return 0.0


def is_busy(load: float) -> bool:
    """Return whether a machine with this load ran more than one job."""
    return load > BUSY_THREADS_PER_CORE
