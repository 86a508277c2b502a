"""How a worker reports into the job's folder: progress, what it waits for, log and metrics; and requests to stop."""

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
from tomoseg_tui.files.text import printable
from tomoseg_tui.jobs import WORKER_MODULE
from tomoseg_tui.jobs.device_queue import QueueSlot
from tomoseg_tui.jobs.job import Job, JobProgress, JobSpeed, log_line
from tomoseg_tui.jobs.job_timing import (
    forecast_from_timing,
    is_busy,
    speed_from_progress,
    threads_per_core,
    timing_from_progress,
)
from tomoseg_tui.project.timings import store_timing, stored_timing, timings_file
from tomoseg_tui.workflow.job_interface import Workload, stop_if_requested


@final
class JobReporter:
    """Writes the reports of a running job into its folder; see `workflow.job_interface.Reporter`."""

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
        """Folder for unfinished results."""
        return self._job.partial

    @property
    def is_helper(self) -> bool:
        """True in a process that helps the first process of a job."""
        return self._is_orphaned is not None

    @property
    def first_done(self) -> float | None:
        """Progress of the job at the first report of this process; None before it."""
        return self._first_done

    @property
    def number(self) -> int:
        """0 for the first process of a job; its helpers are numbered from 1."""
        return self._number

    def set_workload(self, workload: Workload) -> None:
        """Predict the duration of the job from the stored timing."""
        self._workload = workload
        forecast = forecast_from_timing(workload, stored_timing(workload.key))
        self._eta = EtaEstimator(
            self._started_at, rounds=workload.epochs, forecast=forecast, done=self._initial_progress
        )
        if forecast is not None:
            with contextlib.suppress(OSError):  # as in `progress`
                self.write_progress()

    def set_device(self, name: str, text: str) -> None:
        """Report the device of the job."""
        self._device = name
        self.log(text)

    def speed(self) -> JobSpeed | None:
        """Return the speed of the job; None if too little of it was measured."""
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
            Time from the job's launch until this reporter was created.
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
        """Set the progress; it is written at most four times a second."""
        if self._first_done is None:
            self._first_done = done
        self._eta.update(time.monotonic(), done)
        self._progress = JobProgress(done, message, epoch=epoch, epochs=epochs)
        if time.monotonic() - self._last_written >= 0.25:
            with contextlib.suppress(OSError):  # a full disk is reported when results cannot be written
                self.write_progress()

    def report_waiting(self, text: str, position: int | None) -> None:
        """Report what the job waits for, and its position in the queue."""
        current = self._progress if self._progress.waits_for else self._job.progress()
        updated = msgspec.structs.replace(current, message=text, eta_seconds=None, waits_for=text, place=position)
        if not self._progress.waits_for:
            self.log(f"{text[:1].upper()}{text[1:]}.")
        if updated != self._progress:
            self._progress = updated
            self.write_progress()

    def report_started(self) -> None:
        """Report that the job has stopped waiting."""
        self._started_at = time.monotonic()
        if self._progress.waits_for:
            self._progress = msgspec.structs.replace(self._progress, message="starting", waits_for="", place=None)
            self.write_progress()
            self.log("Starting.")

    def set_queue_slot(self, slot: QueueSlot | None) -> None:
        """Set the queue slot that the heartbeat also refreshes."""
        self._queue_slot = slot

    def heartbeat(self) -> None:
        """Show that this process is alive."""
        if self._queue_slot is not None:
            self._queue_slot.heartbeat()
        if not self._progress.waits_for:  # the progress of a waiting job does not change
            self._loads.append(threads_per_core())
            self.write_progress()

    def interruptible_sleep(self, seconds: float) -> None:
        """Sleep until the time is over or a signal arrives; raise `StopRequested` if it asks the job to stop."""
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
        """Write the progress to disk."""
        if self.is_helper:
            return
        self._last_written = time.monotonic()
        eta_seconds = None if self._progress.waits_for else self._eta.remaining_seconds(self._last_written)
        snapshot = msgspec.structs.replace(
            self._progress, eta_seconds=eta_seconds, peak_memory_bytes=peak_memory_bytes(), device=self._device
        )
        write_atomically(self._job.progress_file, msgspec.json.encode(snapshot), durable=False)

    def log(self, line: str) -> None:
        """Write a line to output.log; errors are ignored, so that a full disk can still be recorded."""
        with contextlib.suppress(OSError):
            print(log_line(printable(line)), flush=True)  # noqa: T201  # stdout is the job's log

    def log_traceback(self) -> None:
        """Write the current traceback to output.log, without the time that marks lines for the user."""
        with contextlib.suppress(OSError):
            print(printable(traceback.format_exc(), preserve="\t\n"), flush=True)  # noqa: T201  # stdout is the job's log

    def metrics(self, values: Mapping[str, object]) -> None:
        """Append a line to metrics.jsonl."""
        append_line(self._job.metrics_file, msgspec.json.encode(dict(values)).decode())

    def filter_metrics(self, is_wanted: Callable[[Mapping[str, object]], bool]) -> None:
        """Rewrite metrics.jsonl with the wanted lines; incomplete lines are removed."""
        lines = self._job.metrics()
        if self._job.metrics_file.exists():
            content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines if is_wanted(line))
            write_atomically(self._job.metrics_file, content)

    def should_stop(self) -> bool:
        """Return whether SIGTERM was received, or the worker that this process helps has ended."""
        return self._stop.is_set() or (self._is_orphaned is not None and self._is_orphaned())

    def request_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Handle SIGTERM: request a stop."""
        self._stop.set()

    def start_helpers(self, count: int) -> None:
        """Start helper processes in this process group."""
        helper_options = ["--helper", str(os.getpid())]
        argv = [sys.executable, "-m", WORKER_MODULE, str(self._job.folder), *helper_options]
        for number in range(1, count + 1):
            self._helpers.append(
                subprocess.Popen([*argv, "--number", str(number)], stdin=subprocess.DEVNULL)  # noqa: S603
            )

    def end_helpers(self) -> None:
        """Ask the helpers to stop, and wait for them."""
        for helper in self._helpers:
            helper.terminate()
        for helper in self._helpers:
            helper.wait()

    def kill_helpers(self) -> None:
        """Kill the helpers."""
        for helper in self._helpers:
            helper.kill()


def peak_memory_bytes() -> int:
    """Return the largest resident size of this process so far.

    Read from /proc, because getrusage includes the size of the process that started this one.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
