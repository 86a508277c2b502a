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
from statistics import fmean
from types import FrameType
from typing import final

import msgspec

from tomoseg_tui.core.eta import EtaEstimator
from tomoseg_tui.files.atomic import append_line, write_atomically
from tomoseg_tui.jobs import WORKER_MODULE
from tomoseg_tui.jobs.device_queue import QueueSlot
from tomoseg_tui.jobs.estimate import (
    forecast_from_timing,
    is_busy,
    speed_from_progress,
    threads_per_core,
    timing_from_progress,
)
from tomoseg_tui.jobs.job import Job, JobProgress, JobSpeed, log_line
from tomoseg_tui.project.timings import store_timing, stored_timing, timings_file
from tomoseg_tui.workflow.job_interface import Workload, stop_if_requested


@final
class JobReporter:
    """Writes what a recipe says into the job's folder; see `workflow.reporting.Reporter`."""

    def __init__(self, job: Job, *, is_orphaned: Callable[[], bool] | None = None, number: int = 0) -> None:
        self._job = job
        self._is_orphaned = is_orphaned
        self._number = number
        self._stop = threading.Event()
        self.created_at = time.time()
        self._started_at = time.monotonic()
        self._is_first_run = not job.progress_file.exists()
        self._initial_progress = job.progress().progress
        self._workload: Workload | None = None
        self._eta = EtaEstimator(self._started_at)
        self._first_done: float | None = None
        self._last_written = 0.0
        self._progress = JobProgress()
        self._helpers: list[subprocess.Popen[bytes]] = []
        self._queue_slot: QueueSlot | None = None
        self._loads: list[float] = []
        self._device: str | None = None

    @property
    def partial(self) -> Path:
        """Folder for results in the making."""
        return self._job.partial

    @property
    def is_helper(self) -> bool:
        """True in a process that computes beside the first one."""
        return self._is_orphaned is not None

    @property
    def first_done(self) -> float | None:
        """How far the job was when this process first told."""
        return self._first_done

    @property
    def number(self) -> int:
        """0 in the first process of a job; its helpers are counted from 1."""
        return self._number

    def set_workload(self, workload: Workload) -> None:
        """Foretell how long the job takes, from the pace of earlier ones."""
        self._workload = workload
        forecast = forecast_from_timing(workload, stored_timing(workload.key))
        self._eta = EtaEstimator(
            self._started_at, rounds=workload.epochs, forecast=forecast, done=self._initial_progress
        )
        if forecast is not None:
            with contextlib.suppress(OSError):  # as of any progress
                self.write_progress()

    def set_device(self, name: str, text: str) -> None:
        """Say what the job computes on."""
        self._device = name
        self.log(text)

    def speed(self) -> JobSpeed | None:
        """Return how fast the job was; None if too little of it was seen."""
        if self._workload is None:
            return None
        return speed_from_progress(self._workload, self._eta.history, load=self._mean_load())

    def _mean_load(self) -> float:
        return fmean(self._loads or [threads_per_core()])

    def store_timing(self, startup_seconds: float) -> None:
        """Store the timing of a finished job, if similar jobs will take as long.

        Parameters
        ----------
        startup_seconds : float
            From the job's launch until this process spoke of it.
        """
        if self._workload is None or not self._workload.is_typical or not self._is_first_run:
            return
        if is_busy(self._mean_load()):
            return
        elapsed_seconds = startup_seconds + time.monotonic() - self._started_at
        timing = timing_from_progress(
            self._workload, self._eta.history, seconds=elapsed_seconds, memory_bytes=peak_memory_bytes()
        )
        if timing is not None:
            store_timing(timings_file(), self._workload.key, timing)

    def progress(self, done: float, message: str = "", *, epoch: int | None = None, epochs: int | None = None) -> None:
        """Keep how far the job is; written at most four times a second."""
        if self._first_done is None:
            self._first_done = done
        self._eta.update(time.monotonic(), done)
        self._progress = JobProgress(done, message, epoch=epoch, epochs=epochs)
        if time.monotonic() - self._last_written >= 0.25:
            with contextlib.suppress(OSError):  # a full disk ends a job where it has no room for results
                self.write_progress()

    def report_waiting(self, text: str, position: int | None) -> None:
        """Tell what the job waits for before it begins, and its place in line."""
        current = self._progress if self._progress.waits_for else self._job.progress()
        updated = msgspec.structs.replace(current, message=text, eta_seconds=None, waits_for=text, place=position)
        if not self._progress.waits_for:
            self.log(f"{text[:1].upper()}{text[1:]}.")
        if updated != self._progress:
            self._progress = updated
            self.write_progress()

    def report_started(self) -> None:
        """Tell that the job waits no longer."""
        self._started_at = time.monotonic()
        if self._progress.waits_for:
            self._progress = msgspec.structs.replace(self._progress, message="begins", waits_for="", place=None)
            self.write_progress()
            self.log("Begins.")

    def set_queue_slot(self, slot: QueueSlot | None) -> None:
        """Let the heart beat for a place in line too."""
        self._queue_slot = slot

    def heartbeat(self) -> None:
        """Show that this process lives."""
        if self._queue_slot is not None:
            self._queue_slot.heartbeat()
        if not self._progress.waits_for:  # of what sleeps nothing is new
            self._loads.append(threads_per_core())
            self.write_progress()

    def interruptible_sleep(self, seconds: float) -> None:
        """Sleep until a signal comes or the time is over; end the recipe here if that was asked for."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        previous_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            if not self.should_stop():
                select.select([reader], [], [], seconds)
        finally:
            signal.set_wakeup_fd(previous_fd)
            os.close(reader)
            os.close(writer)
        stop_if_requested(self)

    def write_progress(self) -> None:
        """Put the progress on disk."""
        if self.is_helper:
            return
        self._last_written = time.monotonic()
        eta_seconds = None if self._progress.waits_for else self._eta.remaining_seconds(self._last_written)
        snapshot = msgspec.structs.replace(
            self._progress, eta_seconds=eta_seconds, peak_memory_bytes=peak_memory_bytes(), device=self._device
        )
        write_atomically(self._job.progress_file, msgspec.json.encode(snapshot), durable=False)

    def log(self, line: str) -> None:
        """Print a line into output.log; a full disk must not keep the job from saying so in its record."""
        with contextlib.suppress(OSError):
            print(log_line(line), flush=True)  # noqa: T201  # stdout is the job's log

    def log_traceback(self) -> None:
        """Print where an exception came from into output.log, without the time that marks lines for the user."""
        with contextlib.suppress(OSError):
            print(traceback.format_exc(), flush=True)  # noqa: T201  # stdout is the job's log

    def metrics(self, values: Mapping[str, object]) -> None:
        """Append a line to metrics.jsonl."""
        append_line(self._job.metrics_file, msgspec.json.encode(dict(values)).decode())

    def filter_metrics(self, is_wanted: Callable[[Mapping[str, object]], bool]) -> None:
        """Write metrics.jsonl anew with the lines that are wanted; half a line is none."""
        lines = self._job.metrics()
        if self._job.metrics_file.exists():
            content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines if is_wanted(line))
            write_atomically(self._job.metrics_file, content)

    def should_stop(self) -> bool:
        """Tell whether SIGTERM came, or the worker that this process helps is gone."""
        return self._stop.is_set() or (self._is_orphaned is not None and self._is_orphaned())

    def request_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Take SIGTERM as the wish to stop."""
        self._stop.set()

    def start_helpers(self, count: int) -> None:
        """Start further processes in this process group."""
        helper_options = ["--helper", str(os.getpid())]
        argv = [sys.executable, "-m", WORKER_MODULE, str(self._job.folder), *helper_options]
        for number in range(1, count + 1):
            self._helpers.append(
                subprocess.Popen([*argv, "--number", str(number)], stdin=subprocess.DEVNULL)  # noqa: S603
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
