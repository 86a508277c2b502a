"""What a worker does before its recipe: wait for the jobs it comes after, then for its device. TensorFlow sleeps."""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Protocol

from tomoseg_tui.jobs.dependencies import blocked, unfinished
from tomoseg_tui.jobs.device_queue import Place, Standing, queue_folder
from tomoseg_tui.jobs.device_request import show_only, wish_of
from tomoseg_tui.jobs.job import Job, JobRecord

SETTLE_SECONDS = 0.5
"""Jobs that one end lets go together see it at different moments; none takes its device before all can have come."""


class Waiter(Protocol):
    """Who waits, and tells what for."""

    def waits(self, words: str, place: int | None) -> None:
        """Tell what is waited for, and the place in line, from 1."""
        ...

    def pause(self, seconds: float) -> None:
        """Sleep; ends the recipe if that is asked for."""
        ...

    def keep_fresh(self, place: Place | None) -> None:
        """Let the heart beat for a place in line too."""
        ...

    def log(self, line: str) -> None:
        """Tell something that the user may want to read later."""
        ...


@contextlib.contextmanager
def in_turn(job: Job, record: JobRecord, waiter: Waiter, since_ns: int) -> Iterator[None]:
    """Wait until it is a job's turn; its device is its own inside.

    Parameters
    ----------
    job, record : Job, JobRecord
        The job.
    waiter : Waiter
        Told what is waited for.
    since_ns : int
        When the job was launched, in nanoseconds since 1970: jobs go in that order, also those that have waited
        for others, so that a run goes on tomogram by tomogram.

    Raises
    ------
    JobError
        If a job that it comes after has not gone well, or the queue's folder cannot be used.
    """
    settles = _wait_for_others(job, record, waiter)
    wish = wish_of(record.kind, record.asked)
    if record.at_once:
        yield
        return
    project = job.folder.parent.parent.name
    with Place(queue_folder(), wish, project=project, job=job.id, since_ns=since_ns) as place:
        waiter.keep_fresh(place)
        try:
            if settles:
                waiter.pause(settles)
            _wait_in_line(place, waiter)
            if str(record.asked.get("device", "cpu")).startswith("gpu"):
                show_only(place.devices if record.asked["device"] == "gpu" else (), os.environ)
            yield
        finally:
            waiter.keep_fresh(None)


def _wait_for_others(job: Job, record: JobRecord, waiter: Waiter) -> float:
    """Wait for the jobs that come before; return how long those may need to notice that wait as this one has."""
    began, pause = time.monotonic(), 0.0
    while True:
        fault = blocked(job, record)
        if fault is not None:
            raise fault
        words = unfinished(job, record)
        if not words:
            return max(SETTLE_SECONDS, 1.5 * pause) if pause else 0.0
        waiter.waits(words, None)
        pause = Standing("", 0).pause_seconds(time.monotonic() - began)
        waiter.pause(pause)


def _wait_in_line(place: Place, waiter: Waiter) -> None:
    began = time.monotonic()
    while (standing := place.step_forward()) is not None:
        waiter.waits(standing.words, standing.ahead + 1)
        waiter.pause(standing.pause_seconds(time.monotonic() - began))
