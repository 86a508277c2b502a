"""Which jobs have ended while a screen watched."""

from collections.abc import Mapping, Sequence
from typing import Any

from tomoseg_tui.jobs.job import JobState
from tomoseg_tui.jobs.notifications import REPORTED_STATES, format_job_end


class FinishedJobs:
    """Remembers which jobs it has seen alive."""

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
