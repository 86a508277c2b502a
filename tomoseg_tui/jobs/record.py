"""A job on disk: what was asked, how far it is, how it ended, whether it lives.

The folder is the truth; any number of commands and screens read it. The worker that holds the claim
writes record and progress; a command writes them only where no worker lives.
"""

import contextlib
import shutil
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from tomoseg_tui.errors import JobError, TomosegError
from tomoseg_tui.project import claims
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import now, read_record, write_record
from tomoseg_tui.project.writing import sweep_drafts

QUEUED_LIMIT_SECONDS = 8.0
"""A job that nobody has begun after this is lost: its worker never came up."""


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"

    @property
    def is_over(self) -> bool:
        """True if no worker is at it."""
        return self not in {JobState.QUEUED, JobState.RUNNING}

    @property
    def can_resume(self) -> bool:
        """True if resuming makes sense."""
        return self in {JobState.STOPPED, JobState.FAILED, JobState.LOST}


ALLOWED_MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.STOPPED, JobState.FAILED, JobState.LOST}),
    JobState.RUNNING: frozenset({JobState.DONE, JobState.FAILED, JobState.STOPPED, JobState.LOST}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.STOPPED: frozenset({JobState.QUEUED}),
    JobState.LOST: frozenset({JobState.QUEUED, JobState.STOPPED}),
}
"""Which state may follow which."""


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked and how it ended."""

    kind: str
    """`train`, `audit`, `apply`, `merge` or `preprocess`."""
    name: str
    """What the job makes, for people."""
    asked: dict[str, Any]
    """The recipe's request."""
    after: tuple[str, ...] = ()
    """Jobs of the project that must be done first."""
    at_once: bool = False
    """Whether it begins beside whatever its device is at, without waiting in line."""
    state: JobState = JobState.QUEUED
    owner: claims.Owner | None = None
    """The worker, while and after it ran."""
    created: str
    started: str | None = None
    ended: str | None = None
    fault: str | None = None
    fix: str | None = None
    exit_code: int | None = None


class JobProgress(msgspec.Struct, frozen=True):
    """How far a job is."""

    progress: float = 0.0
    """From 0 to 1."""
    message: str = ""
    eta_seconds: float | None = None
    peak_memory_bytes: int = 0
    """Largest resident size of the worker so far."""
    waits_for: str = ""
    """What a queued job waits for; empty if it does not."""
    place: int | None = None
    """Its place in the line for its device, from 1."""


class Job:
    """One job folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name
        self.record_file = folder / "record.json"
        self.progress_file = folder / "progress.json"
        self.metrics_file = folder / "metrics.jsonl"
        self.log_file = folder / "output.log"
        self.claim = folder / "claim.json"
        self.partial = folder / "partial"
        self.result_file = folder / "result.json"

    def record(self) -> JobRecord:
        """Return the record as it stands on disk."""
        return read_record(self.record_file, JobRecord)

    def progress(self) -> JobProgress:
        """Return how far the job is."""
        try:
            return msgspec.json.decode(self.progress_file.read_bytes(), type=JobProgress)
        except (OSError, msgspec.MsgspecError):
            return JobProgress()

    def metrics(self) -> list[dict[str, Any]]:
        """Return the figures so far, a line each; a line that is being written is passed over."""
        lines: list[dict[str, Any]] = []
        with contextlib.suppress(OSError):
            for line in self.metrics_file.read_bytes().splitlines():
                with contextlib.suppress(msgspec.MsgspecError):
                    lines.append(msgspec.json.decode(line, type=dict[str, Any]))
        return lines

    def state(self, record: JobRecord | None = None) -> JobState:
        """Return the state, `lost` where a worker ended without a word."""
        record = record or self.record()
        if record.state.is_over or claims.is_held(self.claim):
            return record.state
        if record.state is JobState.QUEUED and claims.age_seconds(self.record_file) < QUEUED_LIMIT_SECONDS:
            return JobState.QUEUED
        fresh = self.record()  # the worker may have ended between the two looks
        return fresh.state if fresh.state.is_over else JobState.LOST

    def move(self, to: JobState, **changes: Any) -> JobRecord:
        """Write another state.

        Raises
        ------
        JobError
            If that state cannot follow the present one.
        """
        record = self.record()
        if to not in ALLOWED_MOVES[record.state]:
            raise JobError(f"Job {self.id} is {record.state}, it cannot become {to}.", "See `tomoseg jobs list`.")
        changed = msgspec.structs.replace(record, state=to, **changes)
        write_record(self.record_file, changed)
        return changed

    def sweep(self) -> None:
        """Remove what a killed worker has left half written; for whoever holds the claim."""
        sweep_drafts(self.progress_file, self.metrics_file, self.result_file, self.record_file, self.claim)
        for right in self.folder.glob(f"..{self.claim.name}.*"):  # drafts of the right to take a dead owner's claim
            right.unlink(missing_ok=True)

    def result(self) -> dict[str, Any]:
        """Return what a finished job has to say, empty if nothing."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self.result_file.read_bytes(), type=dict[str, Any])
        return {}

    def listing(self, record: JobRecord | None = None) -> dict[str, Any]:
        """Return the job as `jobs --json` prints it."""
        record, progress = record or self.record(), self.progress()
        state = self.state(record)
        lost = state is JobState.LOST
        return {
            "id": self.id,
            "kind": record.kind,
            "name": record.name,
            "state": str(state),
            "pid": record.owner.pid if record.owner else None,
            "host": record.owner.host if record.owner else None,
            "progress": 1.0 if state is JobState.DONE else progress.progress,
            "message": "" if state.is_over and progress.waits_for else progress.message,
            "created": record.created,
            "started": record.started,
            "ended": record.ended,
            "peak_memory_bytes": progress.peak_memory_bytes or None,
            "eta_seconds": None if state.is_over else progress.eta_seconds,
            "after": list(record.after),
            "device": record.asked.get("device"),
            "waits_for": (progress.waits_for or None) if state is JobState.QUEUED else None,
            "place": progress.place if state is JobState.QUEUED else None,
            "fault": "The worker ended without a word: killed, out of memory, or the machine went down."
            if lost
            else record.fault,
            "fix": f"Go on from what it has kept: tomoseg jobs resume {self.id}" if lost else record.fix,
        }


def create_job(
    layout: ProjectLayout,
    kind: str,
    name: str,
    asked: dict[str, Any],
    *,
    after: Sequence[str] = (),
    at_once: bool = False,
) -> Job:
    """Make the folder of a new job, numbered after the last."""
    layout.jobs.mkdir(exist_ok=True)
    number = max((int(folder.name) for folder in layout.jobs.iterdir() if folder.name.isdigit()), default=0) + 1
    while True:
        folder = layout.job_folder(str(number))
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        job = Job(folder)
        try:
            job.partial.mkdir()
            made = JobRecord(kind=kind, name=name, asked=asked, after=tuple(after), at_once=at_once, created=now())
            write_record(job.record_file, made)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return job


def tidy_jobs(layout: ProjectLayout) -> None:
    """Remove the claims that workers still held when they were killed in their last moment, their job being done."""
    for claim in layout.jobs.glob("*/claim.json"):
        job = Job(claim.parent)
        with contextlib.suppress(TomosegError, OSError):
            if job.record().state is JobState.DONE:
                with claims.holding(claim, patience_seconds=0):
                    job.sweep()


def find_job(layout: ProjectLayout, job_id: str) -> Job:
    """Return a job by its id.

    Raises
    ------
    JobError
        If there is none.
    """
    job = Job(layout.job_folder(job_id))
    if not job_id.isdigit() or not job.record_file.is_file():
        raise JobError(f"There is no job {job_id!r}.", "See `tomoseg jobs list` for those there are.")
    return job


def all_jobs(layout: ProjectLayout) -> list[Job]:
    """Return all jobs, newest first."""
    folders = (folder for folder in layout.jobs.glob("*") if folder.name.isdigit())
    jobs = (Job(folder) for folder in sorted(folders, key=lambda folder: -int(folder.name)))
    return [job for job in jobs if job.record_file.is_file()]
