"""What a worker does before its recipe: wait for the jobs it comes after, then for its device. TensorFlow sleeps."""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Protocol

from tomoseg_tui.jobs.chaining import blocked, unfinished
from tomoseg_tui.jobs.queue import Place, Standing, queue_folder
from tomoseg_tui.jobs.record import Job, JobRecord
from tomoseg_tui.jobs.wishes import show_only, wish_of


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
def in_turn(job: Job, record: JobRecord, waiter: Waiter) -> Iterator[None]:
    """Wait until it is a job's turn; its device is its own inside.

    Raises
    ------
    JobError
        If a job that it comes after has not gone well, or the queue's folder cannot be used.
    """
    _wait_for_others(job, record, waiter)
    wish = wish_of(record.kind, record.asked)
    if record.at_once:
        yield
        return
    with Place(queue_folder(), wish, project=job.folder.parent.parent.name, job=job.id) as place:
        waiter.keep_fresh(place)
        try:
            _wait_in_line(place, waiter)
            if str(record.asked.get("device", "cpu")).startswith("gpu"):
                show_only(place.devices if record.asked["device"] == "gpu" else (), os.environ)
            yield
        finally:
            waiter.keep_fresh(None)


def _wait_for_others(job: Job, record: JobRecord, waiter: Waiter) -> None:
    began = time.monotonic()
    while True:
        fault = blocked(job, record)
        if fault is not None:
            raise fault
        words = unfinished(job, record)
        if not words:
            return
        waiter.waits(words, None)
        waiter.pause(Standing("", 0).pause_seconds(time.monotonic() - began))


def _wait_in_line(place: Place, waiter: Waiter) -> None:
    began = time.monotonic()
    while (standing := place.step_forward()) is not None:
        waiter.waits(standing.words, standing.ahead + 1)
        waiter.pause(standing.pause_seconds(time.monotonic() - began))
