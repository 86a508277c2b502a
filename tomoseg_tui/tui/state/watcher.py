"""The thread that polls the project and the load of the machine, and posts changes to the app."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.job import JobState
from tomoseg_tui.jobs.notifications import REPORTED_STATES, format_job_end
from tomoseg_tui.jobs.system_load import SystemLoadMeter
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.messages import SnapshotChanged, SystemLoadChanged, TaskFailed
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot, SnapshotCache, read_snapshot

POLL_SECONDS, MAX_POLL_SECONDS = 0.5, 5.0
"""Shortest and longest time between two reads of the project, s."""
POLL_SHARE = 0.02
"""Largest share of the time that is spent on reads, up to the longest time between them."""
MAX_FAILED_POLLS = 4
"""Number of successive reads that may fail before the error is reported; it is reported once."""
POLLS_PER_LOAD = 4
"""Number of reads between two values of the load."""


class ProjectWatcher:
    """Reads the project up to twice a second, immediately on request, and posts changes."""

    def __init__(self, project: Project, post: Callable[[Message], object]) -> None:
        self._project, self._post = project, post
        self._wake_event, self._stop_event = threading.Event(), threading.Event()
        self._cache = SnapshotCache(project.layout)
        self._last: ProjectSnapshot | None = None
        self._failed_polls: dict[tuple[str, str], int] = {}
        self._load_meter = SystemLoadMeter()
        self._thread = threading.Thread(target=self._poll_loop, name="watcher", daemon=True)

    def start(self) -> None:
        """Start polling."""
        self._thread.start()

    def poll_now(self) -> None:
        """Read immediately, because this program has changed something."""
        self._wake_event.set()

    def stop(self) -> None:
        """End the thread."""
        self._stop_event.set()
        self._wake_event.set()

    def _poll_loop(self) -> None:
        poll_count = 0
        while not self._stop_event.is_set():
            began = time.monotonic()
            self._poll()
            seconds = time.monotonic() - began
            if poll_count % POLLS_PER_LOAD == 0:
                self._post(SystemLoadChanged(self._load_meter.read().format_load()))
            poll_count += 1
            self._wake_event.wait(min(max(POLL_SECONDS, seconds / POLL_SHARE), MAX_POLL_SECONDS))
            self._wake_event.clear()

    def _poll(self) -> None:
        try:
            snapshot = read_snapshot(self._project, self._cache)
        except Exception as fault:  # noqa: BLE001  # without this thread the screen would stay as it is, without a word
            self._report([fault])
            return
        self._report(snapshot.damage)
        if snapshot != self._last:
            self._last = snapshot
            self._post(SnapshotChanged(snapshot))

    def _report(self, faults: Sequence[Exception]) -> None:
        """Report each error once, when it lasts: mostly a file is being replaced, and the next read is correct."""
        texts = {error_texts(fault) for fault in faults}
        self._failed_polls = {text: self._failed_polls.get(text, 0) + 1 for text in texts}
        for text, polls in self._failed_polls.items():
            if polls == MAX_FAILED_POLLS:
                self._post(TaskFailed(*text))


class FinishedJobs:
    """Reports which jobs have ended since the last read; it remembers those that were live."""

    def __init__(self) -> None:
        self._active_ids: set[str] = set()

    def update(self, jobs: Sequence[Mapping[str, Any]]) -> str:
        """Return a text for each job that has ended since the last read."""
        finished = [job for job in jobs if job["id"] in self._active_ids and JobState(job["state"]) in REPORTED_STATES]
        self._active_ids = {str(job["id"]) for job in jobs if not JobState(job["state"]).is_over}
        if not finished:
            return ""
        reported_job = next((job for job in finished if job["state"] != JobState.DONE), finished[0])
        return format_job_end(reported_job["id"], reported_job["kind"], reported_job["name"], reported_job["state"])


def error_texts(fault: Exception) -> tuple[str, str]:
    """Return the fault and the fix of an error."""
    if isinstance(fault, TomosegError):
        return fault.fault, fault.fix
    if not isinstance(fault, OSError):
        return f"A bug in tomoseg: {type(fault).__name__}: {fault}.", "Please report it."
    return f"{fault.strerror or fault}: {fault.filename}.", "Check the path, its permissions and the disk space."
