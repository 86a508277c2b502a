"""The thread that looks at the project and at the machine, and tells the app what has changed."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.job import JobState
from tomoseg_tui.jobs.job_list import JobListCache
from tomoseg_tui.jobs.notifications import REPORTED_STATES, format_job_end
from tomoseg_tui.jobs.system_load import SystemLoadMeter
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.messages import SnapshotChanged, SystemLoadChanged, TaskFailed
from tomoseg_tui.tui.state.snapshot import fingerprint, read_snapshot

POLL_SECONDS = 0.5
"""How often the project is looked at."""
MAX_FAILED_POLLS = 4
"""Looks that may fail one after the other before the fault is told; it is told once."""
POLLS_PER_LOAD = 4
"""Looks between two figures of the machine's load."""


class ProjectWatcher:
    """Looks twice a second, at once when asked, and posts only what is new.

    Parameters
    ----------
    project : Project
        What to look at.
    post : callable
        Takes a message from any thread; the app's ``post_message``.
    """

    def __init__(self, project: Project, post: Callable[[Message], object]) -> None:
        self._project, self._post = project, post
        self._wake_event, self._stop_event = threading.Event(), threading.Event()
        self._job_cache = JobListCache(project.layout)
        self._last_fingerprint, self._failed_polls = b"", 0
        self._load_meter = SystemLoadMeter()
        self._thread = threading.Thread(target=self._poll_loop, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def poll_now(self) -> None:
        """Look at once, because something was changed from here."""
        self._wake_event.set()

    def stop(self) -> None:
        """End the thread."""
        self._stop_event.set()
        self._wake_event.set()

    def _poll_loop(self) -> None:
        poll_count = 0
        while not self._stop_event.is_set():
            self._poll()
            if poll_count % POLLS_PER_LOAD == 0:
                self._post(SystemLoadChanged(self._load_meter.read().format_load()))
            poll_count += 1
            self._wake_event.wait(POLL_SECONDS)
            self._wake_event.clear()

    def _poll(self) -> None:
        try:
            snapshot = read_snapshot(self._project, self._job_cache)
        except (TomosegError, OSError) as fault:
            self._failed_polls += 1  # mostly a file between two states: the next look is half a second away
            if self._failed_polls == MAX_FAILED_POLLS:
                self._post(TaskFailed(*error_texts(fault)))
            return
        self._failed_polls = 0
        current = fingerprint(snapshot)
        if current != self._last_fingerprint:
            self._last_fingerprint = current
            self._post(SnapshotChanged(snapshot))


class FinishedJobs:
    """Tells which jobs have ended since the last look: it remembers those that it has seen alive."""

    def __init__(self) -> None:
        self._active_ids: set[str] = set()

    def update(self, jobs: Sequence[Mapping[str, Any]]) -> str:
        """Return in words what has ended since the last look; nothing if nothing has."""
        finished = [job for job in jobs if job["id"] in self._active_ids and JobState(job["state"]) in REPORTED_STATES]
        self._active_ids = {str(job["id"]) for job in jobs if not JobState(job["state"]).is_over}
        if not finished:
            return ""
        reported_job = next((job for job in finished if job["state"] != JobState.DONE), finished[0])
        return format_job_end(reported_job["id"], reported_job["kind"], reported_job["name"], reported_job["state"])


def error_texts(fault: TomosegError | OSError) -> tuple[str, str]:
    """Return what is wrong and what to do about it."""
    if isinstance(fault, TomosegError):
        return fault.fault, fault.fix
    return f"{fault.strerror or fault}: {fault.filename}.", "Check the path, rights and space."
