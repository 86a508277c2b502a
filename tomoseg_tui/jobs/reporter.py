"""What a worker tells of its job: how far it is, what it waits for, its log and figures; and what it is told, to stop.

What the words are written into is the job's folder (`jobs.record`); when they are said is the recipe's business.
"""

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import final

import msgspec

from tomoseg_tui.core.eta import TimeLeft
from tomoseg_tui.files.atomic import append_line, write_whole
from tomoseg_tui.jobs import WORKER_MODULE
from tomoseg_tui.jobs.device_queue import Place
from tomoseg_tui.jobs.job import Job, JobProgress
from tomoseg_tui.jobs.run_benchmark import known_pace
from tomoseg_tui.jobs.timing_from_job import forecast_of, is_crowded, pace_of
from tomoseg_tui.project.records import now
from tomoseg_tui.project.timings import paces_file, remember_pace
from tomoseg_tui.workflow.job_interface import Load, stop_if_asked


@final
class JobReporter:
    """Writes what a recipe says into the job's folder; see `workflow.reporting.Reporter`."""

    def __init__(self, job: Job, *, is_alone: Callable[[], bool] | None = None, number: int = 0) -> None:
        self._job = job
        self._is_alone = is_alone
        self._number = number
        self._stop = threading.Event()
        self.born = time.time()
        self._began = time.monotonic()
        self._is_fresh = not job.progress_file.exists()
        self._earlier = job.progress().progress
        self._load: Load | None = None
        self._left = TimeLeft(self._began)
        self._first_done: float | None = None
        self._last_written = 0.0
        self._progress = JobProgress()
        self._helpers: list[subprocess.Popen[bytes]] = []
        self._place: Place | None = None

    @property
    def partial(self) -> Path:
        """Folder for results in the making."""
        return self._job.partial

    @property
    def helps(self) -> bool:
        """True in a process that computes beside the first one."""
        return self._is_alone is not None

    @property
    def first_done(self) -> float | None:
        """How far the job was when this process first told."""
        return self._first_done

    @property
    def number(self) -> int:
        """0 in the first process of a job; its helpers are counted from 1."""
        return self._number

    def takes_on(self, load: Load) -> None:
        """Foretell how long the job takes, from the pace of earlier ones."""
        self._load = load
        forecast = forecast_of(load, known_pace(load.key))
        self._left = TimeLeft(self._began, rounds=load.rounds, forecast=forecast, done=self._earlier)
        if forecast is not None:
            with contextlib.suppress(OSError):  # as of any progress
                self.write_progress()

    def keep_pace(self, awake_seconds: float) -> None:
        """Keep the pace that a job has had, now that it is done, if it is one that others will have.

        Parameters
        ----------
        awake_seconds : float
            From the job's launch until this process spoke of it.
        """
        if self._load is None or not self._load.is_typical or not self._is_fresh or is_crowded():
            return
        spent = awake_seconds + time.monotonic() - self._began
        pace = pace_of(self._load, self._left.laps, seconds=spent, memory_bytes=peak_memory_bytes())
        if pace is not None:
            remember_pace(paces_file(), self._load.key, pace)

    def progress(self, done: float, message: str = "") -> None:
        """Keep how far the job is; written at most four times a second."""
        if self._first_done is None:
            self._first_done = done
        self._left.tell(time.monotonic(), done)
        self._progress = JobProgress(done, message)
        if time.monotonic() - self._last_written >= 0.25:
            with contextlib.suppress(OSError):  # a full disk ends a job where it has no room for results
                self.write_progress()

    def waits(self, words: str, place: int | None) -> None:
        """Tell what the job waits for before it begins, and its place in line."""
        known = self._progress if self._progress.waits_for else self._job.progress()
        waiting = msgspec.structs.replace(known, message=words, eta_seconds=None, waits_for=words, place=place)
        if not self._progress.waits_for:
            self.log(f"{words[:1].upper()}{words[1:]}.")
        if waiting != self._progress:
            self._progress = waiting
            self.write_progress()

    def begins(self) -> None:
        """Tell that the job waits no longer."""
        self._began = time.monotonic()
        if self._progress.waits_for:
            self._progress = msgspec.structs.replace(self._progress, message="begins", waits_for="", place=None)
            self.write_progress()
            self.log("Begins.")

    def keep_fresh(self, place: Place | None) -> None:
        """Let the heart beat for a place in line too."""
        self._place = place

    def beat(self) -> None:
        """Show that this process lives."""
        if self._place is not None:
            self._place.touch()
        if not self._progress.waits_for:  # of what sleeps nothing is new
            self.write_progress()

    def pause(self, seconds: float) -> None:
        """Sleep until a signal comes or the time is over; end the recipe here if that was asked for."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        earlier = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            if not self.should_stop():
                select.select([reader], [], [], seconds)
        finally:
            signal.set_wakeup_fd(earlier)
            os.close(reader)
            os.close(writer)
        stop_if_asked(self)

    def write_progress(self) -> None:
        """Put the progress on disk."""
        if self.helps:
            return
        self._last_written = time.monotonic()
        left = None if self._progress.waits_for else self._left.seconds(self._last_written)
        known = msgspec.structs.replace(self._progress, eta_seconds=left, peak_memory_bytes=peak_memory_bytes())
        write_whole(self._job.progress_file, msgspec.json.encode(known), durable=False)

    def log(self, line: str) -> None:
        """Print a line into output.log; a full disk must not keep the job from saying so in its record."""
        with contextlib.suppress(OSError):
            print(f"{now()} {line}", flush=True)  # noqa: T201  # stdout is the job's log

    def log_traceback(self) -> None:
        """Print where an exception came from into output.log, without the time that marks lines for the user."""
        with contextlib.suppress(OSError):
            print(traceback.format_exc(), flush=True)  # noqa: T201  # stdout is the job's log

    def metrics(self, figures: Mapping[str, object]) -> None:
        """Append a line to metrics.jsonl."""
        append_line(self._job.metrics_file, msgspec.json.encode(dict(figures)).decode())

    def keep_metrics(self, wanted: Callable[[Mapping[str, object]], bool]) -> None:
        """Write metrics.jsonl anew with the lines that are wanted; half a line is none."""
        lines = self._job.metrics()
        if self._job.metrics_file.exists():
            kept = b"".join(msgspec.json.encode(line) + b"\n" for line in lines if wanted(line))
            write_whole(self._job.metrics_file, kept)

    def should_stop(self) -> bool:
        """Tell whether SIGTERM came, or the worker that this process helps is gone."""
        return self._stop.is_set() or (self._is_alone is not None and self._is_alone())

    def ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Take SIGTERM as the wish to stop."""
        self._stop.set()

    def start_helpers(self, count: int) -> None:
        """Start further processes in this process group."""
        helped = ["--helper", str(os.getpid())]
        words = [sys.executable, "-m", WORKER_MODULE, str(self._job.folder), *helped]
        for number in range(1, count + 1):
            self._helpers.append(
                subprocess.Popen([*words, "--number", str(number)], stdin=subprocess.DEVNULL)  # noqa: S603
            )

    def end_helpers(self) -> None:
        """Ask the helpers to stop, which most have done, and wait for them."""
        for helper in self._helpers:
            helper.terminate()
        for helper in self._helpers:
            helper.wait()

    def kill_helpers(self) -> None:
        """End the helpers at once."""
        for helper in self._helpers:
            helper.kill()


def peak_memory_bytes() -> int:
    """Return the largest resident size of this process so far.

    From /proc, since the figure of getrusage begins with that of the process that started this one.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
