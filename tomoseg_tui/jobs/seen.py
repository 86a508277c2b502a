"""Look at the jobs of a project again and again, reading only those that may have changed.

Of a job that is over, lost ones among them, nothing changes until it is resumed: that writes its record anew, and its
claim. So a look at such a job is a look at the marks of these two files.
"""

import os
from dataclasses import dataclass
from typing import Any

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.jobs.record import Job, JobState
from tomoseg_tui.project.layout import ProjectLayout

_Mark = tuple[int, int, int] | None
"""Inode, length and time of a file; None if there is none."""


@dataclass(frozen=True)
class SeenJob:
    """One job as it was seen."""

    listing: dict[str, Any]
    """As `jobs --json` prints it."""
    asked: dict[str, Any]
    """What it was asked to do."""


class JobsSeen:
    """Remembers jobs that are over.

    Parameters
    ----------
    layout : ProjectLayout
        Whose jobs.
    """

    def __init__(self, layout: ProjectLayout) -> None:
        self._layout = layout
        self._over: dict[int, tuple[tuple[_Mark, _Mark], SeenJob]] = {}

    def look(self) -> list[SeenJob]:
        """Return all jobs, newest first; those of one thread."""
        found, over = [], {}
        folder = str(self._layout.jobs)
        for number in sorted(self._numbers(), reverse=True):
            marks = (_mark_of(f"{folder}/{number}/record.json"), _mark_of(f"{folder}/{number}/claim.json"))
            known = self._over.get(number)
            if known is None or known[0] != marks:
                seen = self._look_at(number)
                if seen is None:
                    continue
                known = (marks, seen)
            if JobState(known[1].listing["state"]).is_over:
                over[number] = known
            found.append(known[1])
        self._over = over
        return found

    def _look_at(self, number: int) -> SeenJob | None:
        """Read a job; None while its folder is coming or going."""
        job = Job(self._layout.job_folder(str(number)))
        try:
            record = job.record()
        except ProjectError:
            return None
        return SeenJob(job.listing(record), record.asked)

    def _numbers(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._layout.jobs) if name.isdigit()]  # noqa: PTH208  # no paths
        except FileNotFoundError:
            return []


def _mark_of(path: str) -> _Mark:
    try:
        facts = os.stat(path)  # noqa: PTH116  # five hundred Paths would take longer than the looks
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
