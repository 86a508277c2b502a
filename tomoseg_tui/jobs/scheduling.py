"""What a worker does before its runner: wait for its dependencies, then for its device. TensorFlow is loaded later."""

import contextlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tomoseg_tui.errors import JobError, TomosegError
from tomoseg_tui.files import locks
from tomoseg_tui.jobs.device_queue import QueuePosition, QueueSlot, queue_folder
from tomoseg_tui.jobs.device_request import device_request_for, resolve_device, set_visible_gpus, with_device
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, read_with_retries

if TYPE_CHECKING:
    from tomoseg_tui.jobs.reporter import JobReporter

GRACE_SECONDS = 60.0
"""On a busy machine a worker may take this long to start; dependent jobs wait meanwhile."""
SETTLE_SECONDS = 0.5
"""Jobs with the same dependency notice its end at different times; each waits this long before it takes a device."""


@contextlib.contextmanager
def wait_for_turn(job: Job, record: JobRecord, reporter: "JobReporter", since_ns: int) -> Iterator[str]:
    """Wait until it is a job's turn, and hold its device inside the context; yields the device, resolved from ``auto``.

    Parameters
    ----------
    job, record : Job, JobRecord
        The job.
    since_ns : int
        Launch time of the job in nanoseconds since 1970: jobs start in that order, also after waiting for
        dependencies, so that a run continues tomogram by tomogram.

    Raises
    ------
    JobError
        If a dependency has failed, was stopped or is lost, or the queue's folder cannot be used.
    """
    settle_seconds = _wait_for_dependencies(job, record, reporter)
    device = resolve_device(str(record.asked.get("device", "cpu"))).name
    if record.at_once:
        yield device
        return
    request = device_request_for(record.kind, with_device(record.asked, device))
    project = job.project_folder.name
    with QueueSlot(queue_folder(), request, project=project, job=job.id, since_ns=since_ns) as slot:
        reporter.set_queue_slot(slot)
        try:
            if settle_seconds:
                reporter.interruptible_sleep(settle_seconds)
            _wait_for_device(slot, reporter)
            if device.startswith("gpu"):
                set_visible_gpus(slot.devices if device == "gpu" else (), os.environ)
            yield device
        finally:
            reporter.set_queue_slot(None)


def _wait_for_dependencies(job: Job, record: JobRecord, reporter: "JobReporter") -> float:
    """Wait for the dependencies; return how long other jobs that wait for them may need to notice their end."""
    started_at, pause_seconds = time.monotonic(), 0.0
    while True:
        fault = failed_dependency_error(job, record)
        if fault is not None:
            raise fault
        text = describe_pending_dependencies(job, record)
        if not text:
            return max(SETTLE_SECONDS, 1.5 * pause_seconds) if pause_seconds else 0.0
        reporter.report_waiting(text, None)
        pause_seconds = QueuePosition("", 0).pause_seconds(time.monotonic() - started_at)
        reporter.interruptible_sleep(pause_seconds)


def _wait_for_device(slot: QueueSlot, reporter: "JobReporter") -> None:
    started_at = time.monotonic()
    while (position := slot.try_acquire()) is not None:
        reporter.report_waiting(position.text, position.ahead + 1)
        reporter.interruptible_sleep(position.pause_seconds(time.monotonic() - started_at))


def _dependencies(job: Job, record: JobRecord) -> Iterator[tuple[Job, JobRecord, JobState]]:
    for job_id in record.after:
        dependency = Job(job.folder.with_name(job_id))
        yield dependency, *read_with_retries(dependency, _record_and_state)


def _record_and_state(job: Job) -> tuple[JobRecord, JobState]:
    record = job.record()
    return record, _state_with_grace(job, record)


def _state_with_grace(job: Job, record: JobRecord) -> JobState:
    """Return the state of a job; one that has not started counts as lost later than in `Job.state`."""
    is_new = record.state is JobState.QUEUED and locks.age_seconds(job.record_file) < GRACE_SECONDS
    return JobState.QUEUED if is_new else job.state(record)


def failed_dependency_error(job: Job, record: JobRecord) -> JobError | None:
    """Return why a job can never start: a dependency has failed, was stopped or is lost. None if it can.

    May sleep for seconds, as `read_with_retries` does.
    """
    try:
        for dependency, dependency_record, state in _dependencies(job, record):
            if state.can_resume:
                return JobError(
                    f"It depends on job {dependency.id} ({dependency_record.kind} {dependency_record.name}), which "
                    f"is {state}.",
                    f"Resume it first: tomoseg jobs resume {dependency.id}; this job then continues too.",
                )
    except TomosegError as error:
        return JobError(f"It depends on a job that was deleted. {error.fault}", "Start it again.")
    return None


def describe_pending_dependencies(job: Job, record: JobRecord) -> str:
    """Return which dependencies a job waits for; empty if all are done."""
    pending = [
        (dependency, dependency_record)
        for dependency, dependency_record, state in _dependencies(job, record)
        if state is not JobState.DONE
    ]
    if not pending:
        return ""
    names = " and ".join(
        f"job {dependency.id} ({dependency_record.kind} {dependency_record.name})"
        for dependency, dependency_record in pending[:2]
    )
    return f"waiting for {names}" + (f" and {len(pending) - 2} more" if len(pending) > 2 else "")
