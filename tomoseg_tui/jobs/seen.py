"""Look at the jobs of a project again and again, reading only those that may have changed.

Of a job that is over, record and progress stay as they are until it is resumed, and that writes its record anew.
"""

import os
from dataclasses import dataclass
from typing import Any

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.jobs.record import Job
from tomoseg_tui.project.layout import ProjectLayout

_Mark = tuple[int, int, int]
"""Inode, length and time of a record: whoever writes it replaces it whole."""


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
        self._over: dict[str, tuple[_Mark, SeenJob]] = {}

    def look(self) -> list[SeenJob]:
        """Return all jobs, newest first; those of one thread."""
        found, over = [], {}
        for number in sorted(self._numbers(), reverse=True):
            job = Job(self._layout.job_folder(str(number)))
            try:
                mark = _mark_of(job)
                known = self._over.get(job.id)
                seen = known[1] if known is not None and known[0] == mark else _look_at(job)
            except (OSError, ProjectError):
                continue  # its folder goes or comes just now
            if seen.listing["ended"] is not None:
                over[job.id] = (mark, seen)
            found.append(seen)
        self._over = over
        return found

    def _numbers(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._layout.jobs) if name.isdigit()]  # noqa: PTH208  # no paths
        except FileNotFoundError:
            return []


def _mark_of(job: Job) -> _Mark:
    facts = job.record_file.stat()
    return facts.st_ino, facts.st_size, facts.st_mtime_ns


def _look_at(job: Job) -> SeenJob:
    record = job.record()
    return SeenJob(job.listing(record), record.asked)
