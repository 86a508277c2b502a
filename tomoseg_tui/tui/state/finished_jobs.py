"""Which jobs have ended while a screen watched."""

from collections.abc import Mapping, Sequence
from typing import Any

from tomoseg_tui.jobs.job import JobState
from tomoseg_tui.jobs.notifications import TOLD_STATES, ending_in_words


class Endings:
    """Remembers which jobs it has seen alive."""

    def __init__(self) -> None:
        self._alive: set[str] = set()

    def look(self, jobs: Sequence[Mapping[str, Any]]) -> str:
        """Return in words what has ended since the last look; nothing if nothing has."""
        ended = [job for job in jobs if job["id"] in self._alive and JobState(job["state"]) in TOLD_STATES]
        self._alive = {str(job["id"]) for job in jobs if not JobState(job["state"]).is_over}
        if not ended:
            return ""
        worst = next((job for job in ended if job["state"] != JobState.DONE), ended[0])
        return ending_in_words(worst["id"], worst["kind"], worst["name"], worst["state"])
