"""What a job tells of its pace: how long the next one alike will take is foretold from it, if it ran as others will.

Left out are jobs that went on from an earlier life, whose start is another; those of several workers or of volumes
of several sizes, whose figures fit no other job; those in Slurm, whose share of a node is not known; and those on
a machine at which others were at work too.
"""

import os
from statistics import median

from tomoseg_tui.core.eta import Forecast, Laps
from tomoseg_tui.project.timings import Pace
from tomoseg_tui.workflow.job_interface import Load

FEWEST_LAPS = 3
"""Less tells nothing."""
LEAST_SHARE = 0.5
"""Of the work, that laps must have brought."""
CROWDED = 2.0
"""Threads a core that want to run; a job alone makes about one, and some more with all that TensorFlow starts."""


def pace_of(load: Load, laps: Laps, *, seconds: float, memory_bytes: int) -> Pace | None:
    """Return the pace that a job has had; None if too little was seen of it.

    Parameters
    ----------
    load : Load
        What it has done.
    laps : Laps
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
    if laps.count < FEWEST_LAPS or laps.share < LEAST_SHARE or load.units <= 0:
        return None
    rests = laps.rests[1:] or laps.rests  # the first one compiles
    judging = max(0.0, median(rests)) / load.held_out if rests and load.held_out else 0.0
    idle = 0.0 if load.held_out else sum(laps.rests)  # saving an epoch takes a moment too
    unit = (laps.seconds + idle) / laps.share / load.units
    return Pace(
        start_seconds=max(0.0, seconds - load.units * unit - load.judged * judging),
        unit_seconds=unit,
        judging_seconds=judging,
        memory_bytes=max(0, memory_bytes - load.tiles_bytes),
        video_bytes=load.video_bytes(),
    )


def forecast_of(load: Load, pace: Pace | None) -> Forecast | None:
    """Return what a pace foretells of a job."""
    if pace is None:
        return None
    return Forecast(
        start_seconds=pace.start_seconds,
        work_seconds=load.units * pace.unit_seconds,
        rest_seconds=load.held_out * pace.judging_seconds,
        closing_seconds=(load.judged - load.rounds * load.held_out) * pace.judging_seconds,
    )


def is_crowded() -> bool:
    """Tell whether more wants this machine's processors than one job does."""
    try:
        return os.getloadavg()[0] > CROWDED * (os.cpu_count() or 1)
    except OSError:
        return False
