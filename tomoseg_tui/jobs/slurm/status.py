"""Read the state of jobs from Slurm: one query for all jobs, every few seconds at most, never on a screen's thread.

Slurm's answer takes precedence over heartbeats. If Slurm does not answer, the job's own folder is used.
"""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tomoseg_tui.files.text import printable
from tomoseg_tui.project.project_settings import SlurmSettings

CACHE_SECONDS = 3.0
"""How long an answer is cached."""
TIMEOUT_SECONDS = 15.0
"""Slurm counts as missing if it does not answer in this time."""
NO_ANSWER_CACHE_SECONDS = 30.0
"""Time until Slurm is queried again when it did not answer."""
END_STATES = frozenset(
    {
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
        "REVOKED", "TIMEOUT",
    }
)  # fmt: skip
"""Final states (squeue(1), JOB STATE CODES)."""
STATES = END_STATES | {
    "COMPLETING", "CONFIGURING", "LAUNCH_FAILED", "PENDING", "POWER_UP_NODE", "RECONFIG_FAIL", "REQUEUED",
    "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "RESV_DEL_HOLD", "RUNNING", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT",
    "STOPPED", "SUSPENDED", "UPDATE_DB",
}  # fmt: skip
"""All states; lines without a state are not about jobs."""
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CAUSE_PRIORITY = ("OUT_OF_MEMORY", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "PREEMPTED", "CANCELLED", "FAILED")
"""If the tasks of an array ended in several ways, the first of these is reported."""
_LOG_PATTERNS = {
    "OUT_OF_MEMORY": re.compile(r"oom[-_ ]kill", re.IGNORECASE),
    "TIMEOUT": re.compile(r"DUE TO TIME LIMIT"),
    "NODE_FAIL": re.compile(r"DUE TO NODE FAILURE"),
    "PREEMPTED": re.compile(r"DUE TO PREEMPTION"),
}
"""What Slurm writes to a job's log when it ends the job; the log remains when Slurm has forgotten the job."""


@dataclass(frozen=True)
class SlurmTaskStatus:
    """Slurm's status of one task of a job."""

    state: str
    partition: str = ""
    node: str = ""
    reason: str = ""

    @property
    def has_ended(self) -> bool:
        """True in a final state."""
        return self.state in END_STATES


@dataclass(frozen=True)
class SlurmJobStatus:
    """Slurm's status of a job; no tasks if Slurm does not know it."""

    tasks: tuple[SlurmTaskStatus, ...] = ()

    @property
    def is_alive(self) -> bool:
        """True if a task runs or waits."""
        return any(not task.has_ended for task in self.tasks)

    @property
    def is_running(self) -> bool:
        """True if a task is on a node."""
        return any(task.state in {"RUNNING", "SUSPENDED", "COMPLETING"} for task in self.tasks)

    @property
    def node(self) -> str:
        """Node that it runs on; empty if it is not running."""
        return next((task.node for task in self.tasks if task.state == "RUNNING"), "")

    @property
    def partition(self) -> str:
        """Partition in which it waits or runs."""
        return self.tasks[0].partition if self.tasks else ""

    @property
    def waits_for(self) -> str:
        """What the job waits for, for people; empty if it is on a node or has ended."""
        if self.is_running or not self.is_alive:
            return ""
        first = next(task for task in self.tasks if not task.has_ended)
        return f"waiting in Slurm: {first.reason if first.reason not in {'', 'None'} else first.state.lower()}"

    @property
    def ended_as(self) -> str:
        """Final state of the job; empty if it has not ended or Slurm does not know it."""
        if self.is_alive or not self.tasks:
            return ""
        states = {task.state for task in self.tasks}
        return next((cause for cause in _CAUSE_PRIORITY if cause in states), "COMPLETED")


def format_location(host: str | None, job: str | None, partition: str | None) -> str:
    """Return where a job runs, for people.

    Examples
    --------
    >>> format_location("node3", "1207", "gpu")
    'node3, Slurm 1207, gpu'
    """
    return ", ".join(part for part in (host, f"Slurm {job}" if job else "", partition) if part)


@dataclass(frozen=True)
class FailureReason:
    """Why a job failed, and what to do."""

    fault: str | None
    fix: str | None


def explain_failure(cause: str, settings: SlurmSettings, job_id: str, *, has_begun: bool = True) -> FailureReason:
    """Return why a job in Slurm failed and what to do.

    Parameters
    ----------
    cause : str
        Final state of the job in Slurm.
    has_begun : bool
        Whether a worker has ever run it.
    """
    command = f"tomoseg jobs resume {job_id}"
    if cause == "TIMEOUT":
        limit = f" of {settings.time}" if settings.time else ""
        fault = f"Slurm ended it at its time limit{limit}, before it could save its work."
        fix = "Resume it with more time"
        command += " --slurm time=HOURS:00:00"
    elif cause == "OUT_OF_MEMORY":
        limit = settings.memory or "the cluster's default"
        fault, fix = f"Slurm ended it: it used more memory than requested ({limit}).", "Resume it with more memory"
        command += f" --slurm memory={_double_memory(settings.memory)}"
    elif cause in {"NODE_FAIL", "BOOT_FAIL"}:
        fault, fix = "Its node failed.", "Resume it on another node"
    elif cause == "PREEMPTED":
        fault, fix = "Slurm preempted it for another job.", "Resume it"
    elif cause == "CANCELLED":
        fault, fix = "It was cancelled in Slurm.", "Resume it"
    elif not has_begun:
        fault = "Its worker did not start on the node."
        fix = "Make sure that the nodes have this folder and this Python under the same paths, then resume the job"
    else:
        state_text = f" Its state in Slurm is {cause.lower()}." if cause else ""
        fault = f"The worker ended without an error message: killed, or its node went down.{state_text}"
        fix = "Resume it"
    return FailureReason(fault, f"{fix}: {command}")


def _double_memory(memory: str) -> str:
    """Return twice an amount of memory, as a suggestion.

    Examples
    --------
    >>> _double_memory("4G"), _double_memory("")
    ('8G', '16G')
    """
    match = re.fullmatch(r"(\d+)([KMGT]?)", memory, re.IGNORECASE)
    return f"{2 * int(match[1])}{match[2]}" if match else "16G"


def log_marker(job: str) -> str:
    """Return the text that begins the part of a log about one job of Slurm."""
    return f"Slurm's job {job}"


def cause_from_log(log: str, job: str) -> str:
    """Return how Slurm ended a job, from its messages in the log; empty if there are none."""
    _, marker, following = log.rpartition(log_marker(job))
    return next((cause for cause, pattern in _LOG_PATTERNS.items() if marker and pattern.search(following)), "")


def output_lines(output: str) -> list[str]:
    """Return the output of a command of Slurm as lines, without colours and empty lines."""
    return [line for line in map(str.strip, _ESCAPES.sub("", output).splitlines()) if line]


def read_squeue(output: str) -> dict[str, SlurmJobStatus]:
    """Return the jobs by id from lines ``JOB|STATE|PARTITION|NODE|REASON``; other lines are ignored."""
    return _read_status_lines(output, re.compile(r"[0-9]+"))


def read_sacct(output: str) -> dict[str, SlurmJobStatus]:
    """Return the jobs by id from lines ``JOB[_TASK]|STATE|PARTITION|NODE``; text may follow the state."""
    return _read_status_lines(output, re.compile(r"([0-9]+)(?:[_+].*)?"))


def _read_status_lines(output: str, job_pattern: re.Pattern[str]) -> dict[str, SlurmJobStatus]:
    tasks_by_job: dict[str, list[SlurmTaskStatus]] = {}
    for line in output_lines(output):
        job, state, partition, node, reason = (*map(str.strip, line.split("|", 4)), "", "", "", "")[:5]
        state, found = state.partition(" ")[0].rstrip("+"), job_pattern.fullmatch(job)
        if found and state in STATES:
            task = SlurmTaskStatus(state, printable(partition), printable(node), printable(reason))
            tasks_by_job.setdefault(found[found.re.groups], []).append(task)
    return {job: SlurmJobStatus(tuple(tasks)) for job, tasks in tasks_by_job.items()}


def run_slurm(argv: Sequence[str], timeout_seconds: float) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm; invalid bytes in its output are replaced."""
    return subprocess.run(  # noqa: S603  # Slurm's command with checked arguments
        list(argv), stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False,
        timeout=timeout_seconds,
    )  # fmt: skip


QueryCommand = Callable[[Sequence[str]], str | None]


def _run_query(argv: Sequence[str]) -> str | None:
    """Run a command of Slurm; return its output, or None if it is missing or does not answer."""
    if shutil.which(argv[0]) is None:
        return None
    try:
        completed = run_slurm(argv, TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if completed.returncode == 0:
        return completed.stdout
    return "" if "Invalid job id" in completed.stderr else None  # squeue's answer for one forgotten job


class SlurmStatusCache:
    """Queries Slurm for the status of jobs and caches the answers for seconds.

    Parameters
    ----------
    run_query : callable
        Runs a command and returns its output, or None.
    """

    def __init__(self, run_query: QueryCommand = _run_query, clock: Callable[[], float] = time.monotonic) -> None:
        self._run_query, self._clock = run_query, clock
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, SlurmJobStatus | None]] = {}
        self._ended_jobs: dict[str, SlurmJobStatus] = {}

    def query(self, jobs: Collection[str]) -> Mapping[str, SlurmJobStatus | None]:
        """Return the status of jobs by their Slurm ids; None if Slurm does not answer."""
        with self._lock:
            missing = [job for job in jobs if job not in self._cache or self._cache[job][0] <= self._clock()]
            if missing:
                statuses = self._query_squeue(missing)
                for job in missing:
                    cache_seconds = NO_ANSWER_CACHE_SECONDS if statuses[job] is None else CACHE_SECONDS
                    self._cache[job] = (self._clock() + cache_seconds, statuses[job])
            return {job: self._cache[job][1] for job in jobs}

    def invalidate(self, job: str) -> None:
        """Remove a job from the cache."""
        with self._lock:
            self._cache.pop(job, None)

    def _query_squeue(self, jobs: Sequence[str]) -> Mapping[str, SlurmJobStatus | None]:
        argv = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(jobs)}"]
        output = self._run_query([*argv, "--format=%F|%T|%P|%N|%r"])
        if output is None:
            return dict.fromkeys(jobs)
        statuses = read_squeue(output)
        self._query_sacct([job for job in jobs if job not in statuses])
        return {job: statuses.get(job) or self._ended_jobs[job] for job in jobs}

    def _query_sacct(self, jobs: Sequence[str]) -> None:
        """Query the accounting database, if there is one, once for each job that squeue has forgotten."""
        missing = [job for job in jobs if job not in self._ended_jobs]
        if not missing:
            return
        argv = ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={','.join(missing)}"]
        output = self._run_query([*argv, "--format=JobID,State,Partition,NodeList"])
        statuses = read_sacct(output or "")
        for job in missing:
            status = statuses.get(job, SlurmJobStatus())
            self._ended_jobs[job] = SlurmJobStatus() if status.is_alive else status


@cache
def status_cache() -> SlurmStatusCache:
    """Return the cache of this process."""
    return SlurmStatusCache()
