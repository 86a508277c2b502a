"""A job on disk: what was asked, how far it is, how it ended, whether it lives.

The folder is the truth; any number of commands and screens read it. The worker that holds the claim
writes record and progress; a command writes them only where no worker lives.
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
from tomoseg_tui.jobs.lost_worker import ending_signal, explain_lost_worker, explain_signal
from tomoseg_tui.jobs.slurm.status import FailureReason, SlurmJobStatus, cause_from_log, explain_failure, status_cache
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.project.records import now, read_record, write_record

QUEUED_LIMIT_SECONDS = 8.0
"""A job that nobody has begun after this is lost: its worker never came up."""
UNKNOWN_LIMIT_SECONDS = 20.0
"""A job that Slurm does not know may be newer than the last look at Slurm, but not after this."""
LOG_TAIL_BYTES = 1 << 16
"""Slurm's own words stand at the end of a log."""
READ_ATTEMPTS = 6
"""So often a record is looked at before it counts as unreadable."""
RETRY_SECONDS = 1.0
"""Between two of these looks."""
LOG_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) ", re.MULTILINE)
"""The time before each line of a log that is for the user. Libraries and tracebacks write their lines without it."""
ReadResult = TypeVar("ReadResult")


def log_line(text: str) -> str:
    """Return a line for the user as the log of a job holds it; `LOG_TIME` matches its beginning."""
    return f"{now()} {text}"


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


ALLOWED_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.STOPPED, JobState.FAILED, JobState.LOST}),
    JobState.RUNNING: frozenset({JobState.DONE, JobState.FAILED, JobState.STOPPED, JobState.LOST, JobState.QUEUED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.STOPPED: frozenset({JobState.QUEUED}),
    JobState.LOST: frozenset({JobState.QUEUED, JobState.STOPPED}),
}
"""Which state may follow which."""


class SlurmSubmission(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a job that runs in Slurm."""

    settings: SlurmSettings
    """What is asked for."""
    tasks: int = 1
    """Workers that share the job, an array if there are several."""
    job: str | None = None
    """Slurm's number of it; None before it is handed over."""
    began_at: float | None = None
    """How far the job was when its worker began the last time; None if it did not come to say so."""
    idle: int = 0
    """How often in a row its time was over before anything new was finished."""


class JobSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a finished job was."""

    family: str
    """Jobs that it compares with: `Workload.family`."""
    size_per_second: float
    """In units of `Workload.size`."""
    load: float
    """Threads a core that wanted to run on its machine, on average."""


class JobRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked and how it ended."""

    kind: str
    """One of `jobs.kinds.KINDS`."""
    name: str
    """What the job makes, for people."""
    asked: dict[str, Any]
    """The recipe's request."""
    after: tuple[str, ...] = ()
    """Jobs of the project that must be done first."""
    at_once: bool = False
    """Whether it begins beside whatever its device is at, without waiting in line."""
    slurm: SlurmSubmission | None = None
    """Where it is handed to Slurm."""
    state: JobState = JobState.QUEUED
    owner: locks.Owner | None = None
    """The worker, while and after it ran."""
    created: str
    started: str | None = None
    ended: str | None = None
    fault: str | None = None
    fix: str | None = None
    exit_code: int | None = None
    speed: JobSpeed | None = None
    """Of a job that is done, if enough of it was seen."""


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
    epoch: int | None = None
    """The epoch that a training is in, from 1; of an audit, that of the network in training. None for other jobs."""
    epochs: int | None = None
    """All epochs of that training."""
    device: str | None = None
    """What it computes on; None for jobs without a network, and before that is decided."""


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
        return self._query_state(record or self.record())[0]

    def _query_state(self, record: JobRecord) -> tuple[JobState, SlurmJobStatus | None]:
        """Return the state, and what Slurm says where it had to be asked."""
        if record.state.is_over or locks.is_held(self.claim_file):
            return record.state, None
        slurm_job_id = _slurm_job_id(record)
        if slurm_job_id is None:
            return self._state_without_worker(record), None
        slurm_status = status_cache().query([slurm_job_id])[slurm_job_id]
        return self._state_in_slurm(record, slurm_status), slurm_status

    def _state_in_slurm(self, record: JobRecord, slurm_status: SlurmJobStatus | None) -> JobState:
        """Return the state of a job of Slurm whose claim nobody holds."""
        if slurm_status is None:  # where Slurm does not answer, a heartbeat that is over is all there is
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
            return JobState.QUEUED  # its worker is coming up; a dead one would have left its claim
        fresh_record = self.record()  # the worker may have ended between the two looks
        return fresh_record.state if fresh_record.state.is_over else JobState.LOST

    def set_state(self, new_state: JobState, **changes: Any) -> JobRecord:
        """Write another state.

        Raises
        ------
        JobError
            If that state cannot follow the present one.
        """
        record = self.record()
        if new_state not in ALLOWED_TRANSITIONS[record.state]:
            raise JobError(
                f"Job {self.id} is {record.state}, it cannot become {new_state}.", "See `tomoseg jobs list`."
            )
        changed = msgspec.structs.replace(record, state=new_state, **changes)
        write_record(self.record_file, changed)
        return changed

    def remove_drafts(self) -> None:
        """Remove what a killed worker has left half written; for whoever holds the claim."""
        remove_drafts(self.progress_file, self.metrics_file, self.result_file, self.record_file, self.claim_file)
        for draft in self.folder.glob(
            f"..{self.claim_file.name}.*"
        ):  # drafts of the right to take a dead owner's claim
            draft.unlink(missing_ok=True)

    def update_record(self, **changes: Any) -> JobRecord:
        """Write something else into the record; for whoever holds the claim."""
        changed = msgspec.structs.replace(self.record(), **changes)
        write_record(self.record_file, changed)
        return changed

    def result(self) -> dict[str, Any]:
        """Return what a finished job has to say, empty if nothing."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self.result_file.read_bytes(), type=dict[str, Any])
        return {}

    def _failure_reason(self, record: JobRecord, state: JobState, slurm_status: SlurmJobStatus | None) -> FailureReason:
        """Return what is wrong, and what to do; of a job that could not say so, what can be found out."""
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
        """Return how Slurm ended the job, from what it wrote into the logs of its workers."""
        for log in (self.log_file, *self.folder.glob("task_*.log")):
            with contextlib.suppress(OSError), log.open("rb") as stream:
                stream.seek(max(0, stream.seek(0, 2) - LOG_TAIL_BYTES))
                cause = cause_from_log(stream.read().decode(errors="replace"), slurm_job_id)
                if cause:
                    return cause
        return ""

    def listing(self, record: JobRecord | None = None, progress: JobProgress | None = None) -> dict[str, Any]:
        """Return the job as `jobs --json` prints it; record and progress are read unless the caller has them."""
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
            options: dict[str, Any] = {"after": tuple(after), "at_once": at_once, "slurm": slurm}
            write_record(job.record_file, JobRecord(kind=kind, name=name, asked=request, created=now(), **options))
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return job


def read_with_retries(job: Job, read: Callable[[Job], ReadResult]) -> ReadResult:
    """Return what a look at a job tells; one that meets a record that cannot be read is tried again for seconds.

    Over a network a reader may come just as another host replaces the file. Sleeps: not for a screen's own thread.

    Raises
    ------
    ProjectError
        If the job's folder is gone, or the last look fails too.
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
    except OSError as fault:  # any other fault may pass
        return isinstance(fault, FileNotFoundError)
    return False


def remove_stale_claims(layout: ProjectLayout) -> None:
    """Remove the claims that workers still held when they were killed in their last moment, their job being done."""
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
        raise JobError(f"There is no job {job_id!r}.", "See `tomoseg jobs list` for those there are.")
    return job


def all_jobs(layout: ProjectLayout) -> list[Job]:
    """Return all jobs, newest first."""
    folders = (folder for folder in layout.jobs.glob("*") if folder.name.isdigit())
    jobs = (Job(folder) for folder in sorted(folders, key=lambda folder: -int(folder.name)))
    return [job for job in jobs if job.record_file.is_file()]


def refresh_slurm_states(jobs: Iterable[tuple[Job, JobRecord]]) -> None:
    """Have Slurm tell of all jobs at once that it must be asked about; their listings then hold what it said."""
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
