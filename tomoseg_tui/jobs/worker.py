"""The process of a job: acquire the claim, wait for its turn, run the runner, record the end.

``python -m tomoseg_tui.jobs.worker FOLDER`` runs in its own session. With ``--helper`` it is a further process of the
same job, which computes slabs beside the first and writes no record. With ``--slurm`` Slurm started it, on any node.
"""

import argparse
import contextlib
import faulthandler
import gc
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, final

import msgspec

from tomoseg_tui.errors import DeviceFullError, JobError, TomosegError, describe_unexpected
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.files.disk_space import disk_full_error, free_bytes, is_disk_full, used_bytes
from tomoseg_tui.jobs.device_request import resolve_device, with_device
from tomoseg_tui.jobs.job import Job, JobRecord, JobSpeed, JobState
from tomoseg_tui.jobs.kinds import KINDS, JobKind, load_function
from tomoseg_tui.jobs.notifications import run_on_finish
from tomoseg_tui.jobs.output_names import claim_output_name
from tomoseg_tui.jobs.reporter import JobReporter, peak_memory_bytes
from tomoseg_tui.jobs.scheduling import wait_for_turn
from tomoseg_tui.jobs.slurm.commands import this_task
from tomoseg_tui.jobs.slurm.node_worker import run_slurm_task
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import now
from tomoseg_tui.workflow.job_interface import StopRequested

EXIT_DONE, EXIT_BUG, EXIT_FAULT, EXIT_REPLACED, EXIT_STOPPED = 0, 1, 2, 3, 130
CLAIM_SECONDS = 2.0
"""Time that a worker waits for its claim: a command that resumes the job holds it for a moment."""

JobEnd = tuple[JobState, dict[str, Any]]
"""The final state of a job, and other fields to record."""
DecideEnd = Callable[[JobState, dict[str, Any]], JobEnd]


def _silence_tensorflow(device: str) -> None:
    """Silence TensorFlow, and hide GPUs from a job on the CPU; call this before TensorFlow is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3" if device == "cpu" else "2")
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


@contextlib.contextmanager
def _importing_tensorflow(job: Job, mode: int = 0) -> Iterator[None]:
    """Redirect what TensorFlow writes to tensorflow.log, and pause the garbage collector: a seventh faster."""
    stderr_copy = os.dup(2)
    log_descriptor = os.open(job.tensorflow_log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | mode, 0o666)
    os.dup2(log_descriptor, 2)
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        os.dup2(stderr_copy, 2)
        os.close(log_descriptor)
        os.close(stderr_copy)


@final
class _ClaimGuard:
    """Ends this process if another process has acquired the claim of its job.

    If a host or its disk hangs longer than the heartbeat limit, the job counts as lost, and another worker may run it.
    """

    def __init__(self, job: Job, reporter: JobReporter) -> None:
        self._job, self._reporter = job, reporter
        self._owner = locks.this_process()  # as in the claim; the name of a host may change

    def check(self) -> None:
        """End this process immediately if the claim is no longer its own; only the reason is logged."""
        if not locks.is_ownership_lost(self._job.claim_file, self._owner):
            return
        self._reporter.kill_helpers()
        self._reporter.log(f"Process {self._owner.pid} on {self._owner.host} ends: another process has taken its job.")
        os._exit(EXIT_REPLACED)


def _heartbeat_loop(job: Job, reporter: JobReporter, guard: _ClaimGuard, finished: threading.Event) -> None:
    """Touch the claim every two seconds to show other hosts that this process is alive."""
    while not finished.wait(locks.HEARTBEAT_SECONDS):
        guard.check()
        with contextlib.suppress(OSError):
            os.utime(job.claim_file)
            reporter.heartbeat()


def run_job(job: Job, since_ns: int) -> int:
    """Run a job from acquiring its claim to recording its end; return the exit code."""
    reporter = JobReporter(job)
    signal.signal(signal.SIGTERM, reporter.request_stop)
    try:
        with locks.held(job.claim_file, patience_seconds=CLAIM_SECONDS):
            code = _run_as_owner(job, job.record(), reporter, since_ns)
    except JobError as error:  # another worker runs it, or a command stopped it before its start
        reporter.log(f"{error}")
        return EXIT_FAULT
    run_on_finish(job, reporter.log)  # the job is over and its claim is free
    return code


def _run_as_owner(
    job: Job, record: JobRecord, reporter: JobReporter, since_ns: int, decide_end: DecideEnd | None = None
) -> int:
    """Run a job whose claim this process holds."""
    guard = _ClaimGuard(job, reporter)
    job.remove_drafts()
    if record.state is not JobState.QUEUED:
        raise JobError(f"Job {job.id} is {record.state}.", f"Resume it: tomoseg jobs resume {job.id}")
    if not job.progress_file.exists():
        with contextlib.suppress(OSError):
            reporter.write_progress()  # reserves disk space for the final record
    finished = threading.Event()
    heartbeat_thread = threading.Thread(target=_heartbeat_loop, args=(job, reporter, guard, finished), daemon=True)
    heartbeat_thread.start()
    state, changes = _run_in_turn(job, record, reporter, since_ns, guard)
    finished.set()
    heartbeat_thread.join()  # else the process may end while it writes
    guard.check()
    code = int(changes["exit_code"])
    _record_end(job, reporter, *(decide_end(state, changes) if decide_end else (state, changes)))
    return code


def _record_end(job: Job, reporter: JobReporter, state: JobState, changes: dict[str, Any]) -> None:
    """Record the end of the job; on a full disk, delete the progress to make space for it."""
    changes = {"ended": now(), **changes}
    if state is JobState.DONE:
        shutil.rmtree(job.partial, ignore_errors=True)
    try:
        reporter.write_progress()
        job.set_state(state, **changes)
    except OSError:
        job.progress_file.unlink(missing_ok=True)
        job.set_state(state, **changes)


def _run_in_turn(job: Job, record: JobRecord, reporter: JobReporter, since_ns: int, guard: _ClaimGuard) -> JobEnd:
    """Wait for the job's turn and run it; return its final state and other fields to record.

    The result is written last: if it exists, the worker only records that the job is done.
    """
    speed: JobSpeed | None = None
    try:
        if job.result_file.exists():
            job.set_state(JobState.RUNNING, owner=locks.this_process(), started=now())
        else:
            with wait_for_turn(job, record, reporter, since_ns) as device:
                guard.check()  # its host may have been suspended while it waited
                job.set_state(JobState.RUNNING, owner=locks.this_process(), started=now())
                reporter.report_started()
                result = _call_runner(job, record, reporter, device)
            guard.check()
            write_atomically(job.result_file, msgspec.json.encode(result))
            if record.slurm is None:  # its share of the node is unknown in Slurm
                speed = _store_timing(reporter, since_ns)
        reporter.progress(1.0, "done")
    except StopRequested:
        reporter.log("Stopped; finished parts are saved.")
        return JobState.STOPPED, {"exit_code": EXIT_STOPPED}
    except (TomosegError, OSError) as fault:
        return _record_failure(job, record, reporter, fault)
    except MemoryError as fault:
        error = DeviceFullError(
            f"There is not enough memory: {fault or 'none is left'}.", KINDS[record.kind].less_memory
        )
        return _record_failure(job, record, reporter, error)
    except Exception as bug:  # noqa: BLE001  # any other exception is logged with its traceback
        reporter.log_traceback()
        fix = f"Read the log, and report the error: tomoseg jobs log {job.id}"
        return JobState.FAILED, {"fault": describe_unexpected(bug), "fix": fix, "exit_code": EXIT_BUG}
    reporter.log("Done.")
    return JobState.DONE, {"exit_code": EXIT_DONE, "speed": speed}


def _store_timing(reporter: JobReporter, since_ns: int) -> JobSpeed | None:
    """Store the timing of a job that is done, and return its speed; an error here does not fail the job."""
    try:
        reporter.store_timing(max(0.0, reporter.created_at - since_ns / 1e9))
        return reporter.speed()
    except Exception:  # noqa: BLE001  # a bug here must not cost a result
        reporter.log_traceback()
        return None


def _call_runner(job: Job, record: JobRecord, reporter: JobReporter, device: str) -> dict[str, Any]:
    """Run the runner and wait for its helpers, so that the device is free afterwards."""
    _silence_tensorflow(device)
    try:
        project = Project.open(job.project_folder)
        project.require_current_format()
        claim_output_name(job)
        kind = KINDS[record.kind]
        if kind.counts_work_early:  # before TensorFlow is imported, which takes seconds
            with contextlib.suppress(TomosegError, OSError):  # the runner reports what is missing
                request = with_device(record.asked, device)
                reporter.set_workload(load_function(kind.work)(project, request, {}).workload)
        runner = _load_runner(job, kind)
        result: dict[str, Any] = runner(project, record.asked, reporter)
        return result
    finally:
        reporter.end_helpers()


def _load_runner(job: Job, kind: JobKind) -> Callable[..., dict[str, Any]]:
    """Import the runner of a job, and TensorFlow with it.

    Raises
    ------
    JobError
        If a library cannot be loaded.
    """
    try:
        with _importing_tensorflow(job, os.O_TRUNC):
            runner: Callable[..., dict[str, Any]] = load_function(kind.runner)
            return runner
    except ImportError as fault:
        reason = " ".join(str(fault).split())
        raise JobError(
            f"A library cannot be loaded: “{reason}”.",
            f"Install tomoseg and its libraries again, then resume the job: tomoseg jobs resume {job.id}",
        ) from fault


def _record_failure(
    job: Job, record: JobRecord, reporter: JobReporter, fault: TomosegError | OSError
) -> tuple[JobState, dict[str, Any]]:
    """Return what to record for an error that the user can fix."""
    if is_disk_full(fault):
        missing = _missing_bytes(job, record)
        path = getattr(fault, "filename", None)
        error: TomosegError = disk_full_error(
            path, fault, missing=missing, next_step=f"resume the job: tomoseg jobs resume {job.id}"
        )
    elif isinstance(fault, TomosegError):
        error = fault
    else:
        reporter.log_traceback()
        message = f"{fault.strerror or fault}{f': {fault.filename}' if fault.filename else ''}."
        error = TomosegError(message, f"Fix this, then resume the job: tomoseg jobs resume {job.id}")
    reporter.log(f"Failed: {error}")
    return JobState.FAILED, {"fault": error.fault, "fix": error.fix, "exit_code": EXIT_FAULT}


def _missing_bytes(job: Job, record: JobRecord) -> int:
    """Return how much disk space is missing for the job's results, bytes; 0 if unknown."""
    with contextlib.suppress(TomosegError, OSError, msgspec.MsgspecError):
        work = load_function(KINDS[record.kind].work)(Project.open(job.project_folder), record.asked, {})
        return max(0, int(work.disk_bytes) - used_bytes(job.partial) - free_bytes(job.folder))
    return 0


def run_helper(job: Job, owner_pid: int, number: int) -> int:
    """Help the first process of a job to compute."""
    reporter = JobReporter(job, is_orphaned=lambda: os.getppid() != owner_pid, number=number)
    signal.signal(signal.SIGTERM, reporter.request_stop)
    return _run_apply_helper(job, job.record().asked, reporter)


def _run_apply_helper(job: Job, request: dict[str, Any], reporter: JobReporter) -> int:
    _silence_tensorflow(resolve_device(request["device"]).name)
    with _importing_tensorflow(job):
        from tomoseg_tui.runners.run_apply import run_apply_helper  # noqa: PLC0415

    try:
        run_apply_helper(Project.open(job.project_folder), request, reporter)
    except StopRequested:
        return EXIT_STOPPED
    return EXIT_DONE


def run_on_node(job: Job) -> int:
    """Run the job as a task of Slurm, or help the task that runs it."""
    task = this_task()
    reporter = JobReporter(job, number=task.number or 0)
    helper = JobReporter(job, is_orphaned=_OwnerGone(job), number=task.number or 0)

    def request_stop(number: int, frame: FrameType | None) -> None:
        reporter.request_stop(number, frame)
        helper.request_stop(number, frame)

    signal.signal(signal.SIGTERM, request_stop)
    code = run_slurm_task(
        job,
        task,
        reporter,
        run_as_owner=lambda record, decide_end: _run_as_owner(job, record, reporter, time.time_ns(), decide_end),
        help_owner=lambda record: _run_apply_helper(job, record.asked, helper),
    )
    if job.record().owner == locks.this_process():
        run_on_finish(job, reporter.log)
    return code


class _OwnerGone:
    """Returns whether a job's claim is free; checks at most every two seconds, as the file may be on a network."""

    def __init__(self, job: Job) -> None:
        self._job, self._next_check, self._is_orphaned = job, 0.0, False

    def __call__(self) -> bool:
        if time.monotonic() >= self._next_check:
            self._next_check, self._is_orphaned = (
                time.monotonic() + locks.HEARTBEAT_SECONDS,
                not locks.is_held(self._job.claim_file),
            )
        return self._is_orphaned


def _benchmark(folder: Path, launched_at: float) -> int:
    """Do a small part of a job's work in a folder inside the jobs folder, and print the timing to stdout."""
    os.nice(NICENESS)  # as for the job
    kind, request = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[str, dict[str, Any]])
    answer_descriptor = os.dup(1)
    os.dup2(2, 1)  # output of libraries goes to stderr
    _silence_tensorflow(request.get("device", "cpu"))
    benchmark = load_function(KINDS[kind].benchmark)
    timing = benchmark(Project.open(folder.parent.parent), request, folder, launched_at, peak_memory_bytes)
    os.write(answer_descriptor, msgspec.json.encode(timing))
    return EXIT_DONE


NICENESS = 10
"""Niceness of a worker: the screen stays responsive, and an idle machine loses no speed."""


def main() -> int:
    """Run the worker."""
    parser = argparse.ArgumentParser(prog="tomoseg worker", description="Run one job; started by tomoseg itself.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--helper", type=int, metavar="PID", help="help this worker of the same job")
    parser.add_argument("--number", type=int, default=1, metavar="K", help="number of this helper, from 1")
    parser.add_argument("--since", type=int, default=0, metavar="NS", help="launch time; now if 0")
    parser.add_argument("--slurm", action="store_true", help="started by Slurm, alone or as a task of an array")
    parser.add_argument("--measure", action="store_true", help="benchmark the request read from stdin")
    arguments = parser.parse_args()
    faulthandler.enable(all_threads=False)  # if a library crashes, the log shows where
    if arguments.measure:
        return _benchmark(arguments.folder, arguments.since / 1e9)
    job = Job(arguments.folder)
    if arguments.slurm:  # a node has no screen to keep responsive
        return run_on_node(job)
    os.nice(NICENESS)
    if arguments.helper is not None:
        return run_helper(job, arguments.helper, arguments.number)
    with contextlib.suppress(PermissionError):  # it already leads a process group, if started by hand
        os.setsid()  # signals to the group of a job do not reach the shell that waits for it
    return run_job(job, arguments.since or time.time_ns())


if __name__ == "__main__":
    sys.exit(main())
