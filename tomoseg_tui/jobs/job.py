"""A job on disk: its request, its progress, its end, and whether its worker is alive.

The folder holds the whole state; any number of commands and screens read it. The worker that holds the claim writes
record and progress; a command writes them only if no worker is alive.
"""

import contextlib
import re
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tomoseg_tui.errors import JobError, ProjectError, TomosegError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import remove_drafts
from tomoseg_tui.files.structured import MalformedError, decode_json, read_json
from tomoseg_tui.jobs.lost_worker import ending_signal, explain_lost_worker, explain_signal, read_tail
from tomoseg_tui.jobs.slurm.status import FailureReason, SlurmJobStatus, cause_from_log, explain_failure, status_cache
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.project.records import now, read_record, write_record

QUEUED_LIMIT_SECONDS = 8.0
"""A job that no worker has started after this time is lost."""
UNKNOWN_LIMIT_SECONDS = 20.0
"""Before this age, a job that Slurm does not know may be newer than the last query of Slurm."""
READ_ATTEMPTS = 6
"""Attempts to read a record before it counts as unreadable."""
RETRY_SECONDS = 1.0
"""Time between two attempts."""
LOG_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ", re.MULTILINE)
"""The time before each line of a log that is for the user. Libraries and tracebacks write their lines without it."""
ReadResult = TypeVar("ReadResult")


def log_line(text: str) -> str:
    """Return a line for the user as it is written to the log; `LOG_TIME` matches its beginning."""
    return f"{now()} {text}"


class JobState(StrEnum):
    """State of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"

    @property
    def is_over(self) -> bool:
        """True if no worker runs it or will start it."""
        return self not in {JobState.QUEUED, JobState.RUNNING}

    @property
    def can_resume(self) -> bool:
        """True if it is over, but not done."""
        return self in {JobState.STOPPED, JobState.FAILED, JobState.LOST}


ALLOWED_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.STOPPED, JobState.FAILED, JobState.LOST}),
    JobState.RUNNING: frozenset({JobState.DONE, JobState.FAILED, JobState.STOPPED, JobState.LOST, JobState.QUEUED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.STOPPED: frozenset({JobState.QUEUED}),
    JobState.LOST: frozenset({JobState.QUEUED, JobState.STOPPED}),
}
"""The states that may follow each state."""


class SlurmSubmission(msgspec.Struct, frozen=True, kw_only=True):
    """State of a job that runs in Slurm."""

    settings: SlurmSettings
    """Resources to request."""
    tasks: int = 1
    """Workers that share the job; an array if there are several."""
    job: str | None = None
    """Slurm's job id; None before it is submitted."""
    began_at: float | None = None
    """Progress of the job when its worker started the last time; None if the worker did not report it."""
    idle: int = 0
    """Number of consecutive runs that ended at a time limit before anything new was finished."""


class JobSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """Speed of a finished job."""

    family: str
    """`Workload.family`; jobs of one family are compared."""
    size_per_second: float
    """In units of `Workload.size`."""
    load: float
    """Mean number of runnable threads per core on its machine."""


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Request of a job and how it ended."""

    kind: str
    """One of `jobs.kinds.KINDS`."""
    name: str
    """What the job makes, for people."""
    asked: dict[str, Any]
    """Request of the job."""
    after: tuple[str, ...] = ()
    """Jobs of the project that must be done first."""
    at_once: bool = False
    """Whether it starts without waiting for its device."""
    slurm: SlurmSubmission | None = None
    """Set for a job that runs in Slurm."""
    state: JobState = JobState.QUEUED
    owner: locks.Owner | None = None
    """The worker, also after it has ended."""
    created: str
    started: str | None = None
    ended: str | None = None
    fault: str | None = None
    fix: str | None = None
    exit_code: int | None = None
    speed: JobSpeed | None = None
    """Set for a job that is done, if enough of it was measured."""


class JobProgress(msgspec.Struct, frozen=True):
    """Progress of a job."""

    progress: float = 0.0
    """From 0 to 1."""
    message: str = ""
    eta_seconds: float | None = None
    peak_memory_bytes: int = 0
    """Largest resident size of the worker so far."""
    waits_for: str = ""
    """What a queued job waits for; empty if it is not waiting."""
    place: int | None = None
    """Position in the queue for its device, from 1."""
    epoch: int | None = None
    """Current epoch of a training, from 1; in an audit, that of the current training. None for other jobs."""
    epochs: int | None = None
    """Number of epochs of that training."""
    device: str | None = None
    """Device that it runs on; None for jobs without a network, and before the device is chosen."""


class Job:
    """One job folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project_folder = folder.parent.parent
        self.id = folder.name
        self.record_file = folder / "record.json"
        self.progress_file = folder / "progress.json"
        self.metrics_file = folder / "metrics.jsonl"
        self.log_file = folder / "output.log"
        self.tensorflow_log_file = folder / "tensorflow.log"
        self.exit_status_file = folder / "exit_status"
        self.claim_file = folder / "claim.json"
        self.partial = folder / "partial"
        self.result_file = folder / "result.json"
        self.stop_file = folder / "stop_asked"

    def record(self) -> JobRecord:
        """Return the record on disk."""
        return read_record(self.record_file, JobRecord)

    def progress(self) -> JobProgress:
        """Return the progress on disk."""
        try:
            return read_json(self.progress_file, JobProgress)
        except (OSError, MalformedError):
            return JobProgress()

    def metrics(self) -> list[dict[str, Any]]:
        """Return the lines of metrics so far; incomplete lines are skipped."""
        lines: list[dict[str, Any]] = []
        with contextlib.suppress(OSError):
            for line in self.metrics_file.read_bytes().splitlines():
                with contextlib.suppress(MalformedError):
                    lines.append(decode_json(line, dict[str, Any]))
        return lines

    def state(self, record: JobRecord | None = None) -> JobState:
        """Return the state; `lost` if the worker ended without recording it."""
        return self._query_state(record or self.record())[0]

    def _query_state(self, record: JobRecord) -> tuple[JobState, SlurmJobStatus | None]:
        """Return the state, and Slurm's status of the job if Slurm was queried."""
        if record.state.is_over or locks.is_held(self.claim_file):
            return record.state, None
        slurm_job_id = _slurm_job_id(record)
        if slurm_job_id is None:
            return self._state_without_worker(record), None
        slurm_status = status_cache().query([slurm_job_id])[slurm_job_id]
        return self._state_in_slurm(record, slurm_status), slurm_status

    def _state_in_slurm(self, record: JobRecord, slurm_status: SlurmJobStatus | None) -> JobState:
        """Return the state of a job in Slurm whose claim is free."""
        if slurm_status is None:  # Slurm does not answer: only the heartbeat is known, and it is over
            return JobState.QUEUED if record.state is JobState.QUEUED else self._state_without_worker(record)
        if slurm_status.is_alive:
            return record.state if slurm_status.is_running else JobState.QUEUED
        if not slurm_status.tasks and locks.age_seconds(self.record_file) < UNKNOWN_LIMIT_SECONDS:
            return record.state
        fresh_record = self.record()
        if fresh_record.state.is_over or fresh_record != record:
            return fresh_record.state
        was_requested = slurm_status.ended_as == "CANCELLED" or self.stop_file.exists()
        return JobState.STOPPED if was_requested else JobState.LOST

    def _state_without_worker(self, record: JobRecord) -> JobState:
        is_young = locks.age_seconds(self.record_file) < QUEUED_LIMIT_SECONDS
        if record.state is JobState.QUEUED and is_young and locks.owner_of(self.claim_file) is None:
            return JobState.QUEUED  # its worker is starting; a dead one would have left its claim
        fresh_record = self.record()  # the worker may have ended after the first read
        return fresh_record.state if fresh_record.state.is_over else JobState.LOST

    def set_state(self, new_state: JobState, **changes: Any) -> JobRecord:
        """Write another state.

        Raises
        ------
        JobError
            If that state cannot follow the current one.
        """
        record = self.record()
        if new_state not in ALLOWED_TRANSITIONS[record.state]:
            raise JobError(
                f"Job {self.id} is {record.state} and cannot become {new_state}.", "See `tomoseg jobs list`."
            )
        changed = msgspec.structs.replace(record, state=new_state, **changes)
        write_record(self.record_file, changed)
        return changed

    def remove_drafts(self) -> None:
        """Remove incomplete files of a killed worker; the caller holds the claim."""
        remove_drafts(self.progress_file, self.metrics_file, self.result_file, self.record_file, self.claim_file)
        for draft in self.folder.glob(f"..{self.claim_file.name}.*"):  # left while a dead owner's claim was removed
            draft.unlink(missing_ok=True)

    def update_record(self, **changes: Any) -> JobRecord:
        """Change fields of the record; the caller holds the claim."""
        changed = msgspec.structs.replace(self.record(), **changes)
        write_record(self.record_file, changed)
        return changed

    def result(self) -> dict[str, Any]:
        """Return the result of a finished job; empty if it has none."""
        with contextlib.suppress(OSError, MalformedError):
            return read_json(self.result_file, dict[str, Any])
        return {}

    def _failure_reason(self, record: JobRecord, state: JobState, slurm_status: SlurmJobStatus | None) -> FailureReason:
        """Return why a job failed and what to do; inferred if its worker could not record it."""
        if state is record.state or not state.is_over:
            return FailureReason(record.fault, record.fix)
        if record.slurm is None:
            return FailureReason(*explain_lost_worker(self.folder, record.owner, self.id))
        if self.stop_file.exists():
            return FailureReason(None, None)
        slurm_state = slurm_status.ended_as if slurm_status else ""
        cause = (
            slurm_state
            if slurm_state not in {"", "COMPLETED", "FAILED"}
            else self._cause_in_logs(record.slurm.job or "") or slurm_state
        )
        if cause in {"", "FAILED", "COMPLETED"} and (number := ending_signal(self.folder)) is not None:
            return FailureReason(*explain_signal(number, self.folder, self.id))
        return explain_failure(cause, record.slurm.settings, self.id, has_begun=record.started is not None)

    def _cause_in_logs(self, slurm_job_id: str) -> str:
        """Return how Slurm ended the job, from Slurm's messages in the logs of the workers."""
        for log in (self.log_file, *self.folder.glob("task_*.log")):
            if cause := cause_from_log("\n".join(read_tail(log)), slurm_job_id):
                return cause
        return ""

    def listing(self, record: JobRecord | None = None, progress: JobProgress | None = None) -> dict[str, Any]:
        """Return the job as `jobs --json` prints it; record and progress are read unless given."""
        record, progress = record or self.record(), progress or self.progress()
        state, slurm_status = self._query_state(record)
        reason = self._failure_reason(record, state, slurm_status)
        waits_for = (slurm_status.waits_for if slurm_status else "") or progress.waits_for
        return {
            "id": self.id,
            "kind": record.kind,
            "name": record.name,
            "state": str(state),
            "pid": record.owner.pid if record.owner else None,
            "host": record.owner.host if record.owner else (slurm_status.node if slurm_status else "") or None,
            "progress": 1.0 if state is JobState.DONE else progress.progress,
            "message": _status_message(state, slurm_status, progress),
            "created": record.created,
            "started": record.started,
            "ended": record.ended,
            "peak_memory_bytes": progress.peak_memory_bytes or None,
            "eta_seconds": None if state.is_over else progress.eta_seconds,
            "after": list(record.after),
            "device": progress.device or record.asked.get("device"),
            "waits_for": (waits_for or None) if state is JobState.QUEUED else None,
            "place": progress.place if state is JobState.QUEUED else None,
            "slurm": record.slurm.job if record.slurm else None,
            "partition": (slurm_status.partition if slurm_status else "")
            or (record.slurm.settings.partition if record.slurm else None),
            "fault": reason.fault,
            "fix": reason.fix,
        }


def create_job(
    layout: ProjectLayout,
    kind: str,
    name: str,
    request: dict[str, Any],
    *,
    after: Sequence[str] = (),
    at_once: bool = False,
    slurm: SlurmSubmission | None = None,
) -> Job:
    """Create the folder of a new job, with the next free number."""
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
            options: dict[str, Any] = {"after": tuple(after), "at_once": at_once, "slurm": slurm}
            write_record(job.record_file, JobRecord(kind=kind, name=name, asked=request, created=now(), **options))
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return job


def read_with_retries(job: Job, read: Callable[[Job], ReadResult]) -> ReadResult:
    """Read from a job; retry for seconds if its record cannot be read.

    On a network file system a read may fail while another host replaces the file. This function sleeps: do not call it
    on the thread of a screen.

    Raises
    ------
    ProjectError
        If the job's folder was deleted, or the last attempt fails too.
    """
    for _ in range(READ_ATTEMPTS - 1):
        try:
            return read(job)
        except ProjectError:
            if _is_deleted(job.folder):
                raise
            time.sleep(RETRY_SECONDS)
    return read(job)


def _is_deleted(folder: Path) -> bool:
    try:
        folder.stat()
    except OSError as fault:  # any other error may be temporary
        return isinstance(fault, FileNotFoundError)
    return False


def remove_stale_claims(layout: ProjectLayout) -> None:
    """Remove the claims of workers that were killed after their job was done and before they released it."""
    for claim in layout.jobs.glob("*/claim.json"):
        job = Job(claim.parent)
        with contextlib.suppress(TomosegError, OSError):
            if job.record().state is JobState.DONE:
                with locks.held(claim, patience_seconds=0):
                    job.remove_drafts()


def find_job(layout: ProjectLayout, job_id: str) -> Job:
    """Return a job by its id.

    Raises
    ------
    JobError
        If there is none.
    """
    job = Job(layout.job_folder(job_id))
    if not job_id.isdigit() or not job.record_file.is_file():
        raise JobError(f"There is no job {job_id!r}.", "List the jobs: tomoseg jobs list")
    return job


def all_jobs(layout: ProjectLayout) -> list[Job]:
    """Return all jobs, newest first."""
    folders = (folder for folder in layout.jobs.glob("*") if folder.name.isdigit())
    jobs = (Job(folder) for folder in sorted(folders, key=lambda folder: -int(folder.name)))
    return [job for job in jobs if job.record_file.is_file()]


def refresh_slurm_states(jobs: Iterable[tuple[Job, JobRecord]]) -> None:
    """Query Slurm once for all jobs that need it; their listings then use the cached answer."""
    slurm_job_ids = [
        slurm_job_id
        for job, record in jobs
        if not record.state.is_over and (slurm_job_id := _slurm_job_id(record)) and not locks.is_held(job.claim_file)
    ]
    if slurm_job_ids:
        status_cache().query(slurm_job_ids)


def _slurm_job_id(record: JobRecord) -> str | None:
    return record.slurm.job if record.slurm else None


def _status_message(state: JobState, slurm_status: SlurmJobStatus | None, progress: JobProgress) -> str:
    if slurm_status is not None and slurm_status.waits_for:
        return slurm_status.waits_for
    return "" if state.is_over and progress.waits_for else progress.message
