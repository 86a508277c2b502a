"""Look at the jobs of a project again and again, reading only those that may have changed.

Of a job that is over, lost ones among them, nothing changes until it is resumed: that writes its record anew, and its
claim. So a look at such a job is a look at the marks of these two files. Of a job whose end Slurm alone has told, Slurm
may tell something else later: it is read each time. Slurm is asked once for all that must be read.
"""

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, ask_slurm
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
    is_settled: bool
    """Whether it is over, and nothing changes until it is resumed."""


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
        folder = str(self._layout.jobs)
        marks = {
            number: (_mark_of(f"{folder}/{number}/record.json"), _mark_of(f"{folder}/{number}/claim.json"))
            for number in sorted(self._numbers(), reverse=True)
        }
        known = {n: self._over[n] for n in marks if n in self._over and self._over[n][0] == marks[n]}
        read = self._read([number for number in marks if number not in known])
        ask_slurm(read.values())
        seen = {
            number: _seen(*read[number]) if number in read else known[number][1]
            for number in marks
            if number in read or number in known
        }
        self._over = {number: (marks[number], job) for number, job in seen.items() if job.is_settled}
        return list(seen.values())

    def _read(self, numbers: Iterable[int]) -> dict[int, tuple[Job, JobRecord]]:
        """Read records; those whose folder is coming or going are left out."""
        found = {}
        for number in numbers:
            job = Job(self._layout.job_folder(str(number)))
            with contextlib.suppress(ProjectError):
                found[number] = (job, job.record())
        return found

    def _numbers(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._layout.jobs) if name.isdigit()]  # noqa: PTH208  # no paths
        except FileNotFoundError:
            return []


def _seen(job: Job, record: JobRecord) -> SeenJob:
    listing = job.listing(record)
    is_settled = record.state.is_over if record.slurm is not None else JobState(listing["state"]).is_over
    return SeenJob(listing, record.asked, is_settled)


def _mark_of(path: str) -> _Mark:
    try:
        facts = os.stat(path)  # noqa: PTH116  # five hundred Paths would take longer than the looks
    except OSError:
        return None
    return facts.st_ino, facts.st_size, facts.st_mtime_ns
