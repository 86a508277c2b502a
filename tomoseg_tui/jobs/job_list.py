"""The list of jobs of a project, polled cheaply: only jobs that may have changed are read again.

A job that is over, also a lost one, does not change until it is resumed; resuming rewrites its record and its claim.
So for such a job only the stamps of these two files are checked. If only Slurm has reported the end of a job, its
answer may change later, so the job is read each time. Slurm is queried once for all jobs that are read.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tomoseg_tui.jobs.job import Job, JobProgress, JobRecord, JobState, refresh_slurm_states
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import Damage, read_each

_FileStamp = tuple[int, int, int] | None
"""Inode, size and modification time of a file; None if it does not exist."""


@dataclass(frozen=True)
class CachedJob:
    """One job when it was last read."""

    listing: dict[str, Any]
    """As `jobs --json` prints it."""
    progress: JobProgress
    """Its progress; `jobs --json` prints a part of it."""
    request: dict[str, Any]
    """Request of the job."""
    is_final: bool
    """Whether it is over and does not change until it is resumed."""


class JobListCache:
    """Caches the jobs of a project that are over."""

    def __init__(self, layout: ProjectLayout) -> None:
        self._layout = layout
        self._finished: dict[int, tuple[tuple[_FileStamp, _FileStamp], CachedJob]] = {}
        self.damage: Damage = []
        """Errors of the records that the last poll could not read."""

    def poll(self) -> list[CachedJob]:
        """Return all jobs, newest first; for use by one thread."""
        folder = str(self._layout.jobs)
        stamps = {
            number: (_file_stamp(f"{folder}/{number}/record.json"), _file_stamp(f"{folder}/{number}/claim.json"))
            for number in sorted(self._job_numbers(), reverse=True)
        }
        cached = {
            job_number: self._finished[job_number]
            for job_number in stamps
            if job_number in self._finished and self._finished[job_number][0] == stamps[job_number]
        }
        records = self._read_records(
            [number for number in stamps if number not in cached and stamps[number][0] is not None]
        )
        refresh_slurm_states(records.values())
        jobs = {
            number: _cached_job(*records[number]) if number in records else cached[number][1]
            for number in stamps
            if number in records or number in cached
        }
        self._finished = {number: (stamps[number], job) for number, job in jobs.items() if job.is_final}
        return list(jobs.values())

    def _read_records(self, numbers: Iterable[int]) -> dict[int, tuple[Job, JobRecord]]:
        """Read records; jobs whose folder is being created or deleted are left out."""
        self.damage = []
        jobs = {number: Job(self._layout.job_folder(str(number))) for number in numbers}
        records = read_each(jobs, lambda number: (jobs[number], jobs[number].record()), self.damage)
        return dict(records)

    def _job_numbers(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self._layout.jobs) if name.isdigit()]  # noqa: PTH208  # no paths
        except FileNotFoundError:
            return []


def _cached_job(job: Job, record: JobRecord) -> CachedJob:
    progress = job.progress()
    listing = job.listing(record, progress)
    is_final = record.state.is_over if record.slurm is not None else JobState(listing["state"]).is_over
    return CachedJob(listing, progress, record.asked, is_final)


def _file_stamp(path: str) -> _FileStamp:
    try:
        status = os.stat(path)  # noqa: PTH116  # creating five hundred Paths takes longer than the calls
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
