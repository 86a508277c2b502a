"""Read what Slurm says of jobs: one look for all of them, every few seconds at most, and never on a screen's thread.

What it says is believed before any heartbeat. Where it does not answer, the job's own folder has to do.
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
"""How long a look is believed."""
TIMEOUT_SECONDS = 15.0
"""Slurm that has not answered by then counts as not there."""
NO_ANSWER_CACHE_SECONDS = 30.0
"""Then it is asked again after this, so that nobody waits for it all the time."""
END_STATES = frozenset(
    {
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
        "REVOKED", "TIMEOUT",
    }
)  # fmt: skip
"""States that no task comes back from (squeue(1), JOB STATE CODES)."""
STATES = END_STATES | {
    "COMPLETING", "CONFIGURING", "LAUNCH_FAILED", "PENDING", "POWER_UP_NODE", "RECONFIG_FAIL", "REQUEUED",
    "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "RESV_DEL_HOLD", "RUNNING", "SIGNALING", "SPECIAL_EXIT", "STAGE_OUT",
    "STOPPED", "SUSPENDED", "UPDATE_DB",
}  # fmt: skip
"""All states; a line without one is no line about a job."""
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CAUSE_PRIORITY = ("OUT_OF_MEMORY", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "PREEMPTED", "CANCELLED", "FAILED")
"""Of an array whose tasks ended in several ways, the first of these is told."""
_LOG_PATTERNS = {
    "OUT_OF_MEMORY": re.compile(r"oom[-_ ]kill", re.IGNORECASE),
    "TIMEOUT": re.compile(r"DUE TO TIME LIMIT"),
    "NODE_FAIL": re.compile(r"DUE TO NODE FAILURE"),
    "PREEMPTED": re.compile(r"DUE TO PREEMPTION"),
}
"""What Slurm writes into a job's log as it ends it; it stays there when Slurm has forgotten the job."""


@dataclass(frozen=True)
class SlurmTaskStatus:
    """One task of a job, as Slurm sees it."""

    state: str
    partition: str = ""
    node: str = ""
    reason: str = ""

    @property
    def has_ended(self) -> bool:
        """True if it will not run again."""
        return self.state in END_STATES


@dataclass(frozen=True)
class SlurmJobStatus:
    """One job of Slurm, all its tasks; without any, Slurm does not know it."""

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
        """Where it runs; empty if it does not."""
        return next((task.node for task in self.tasks if task.state == "RUNNING"), "")

    @property
    def partition(self) -> str:
        """Where it waits or runs."""
        return self.tasks[0].partition if self.tasks else ""

    @property
    def waits_for(self) -> str:
        """What the job waits for, in words; empty if it is on a node or has ended."""
        if self.is_running or not self.is_alive:
            return ""
        first = next(task for task in self.tasks if not task.has_ended)
        return f"waits in Slurm: {first.reason if first.reason not in {'', 'None'} else first.state.lower()}"

    @property
    def ended_as(self) -> str:
        """How it ended, as Slurm says it; empty if it has not, or Slurm does not know."""
        if self.is_alive or not self.tasks:
            return ""
        states = {task.state for task in self.tasks}
        return next((cause for cause in _CAUSE_PRIORITY if cause in states), "COMPLETED")


def format_location(host: str | None, job: str | None, partition: str | None) -> str:
    """Return where a job is, for people.

    Examples
    --------
    >>> place_in_words("node3", "1207", "gpu")
    'node3, Slurm 1207, gpu'
    """
    return ", ".join(part for part in (host, f"Slurm {job}" if job else "", partition) if part)


@dataclass(frozen=True)
class FailureReason:
    """What is wrong with a job, and what to do."""

    fault: str | None
    fix: str | None


def explain_failure(cause: str, settings: SlurmSettings, job_id: str, *, has_begun: bool = True) -> FailureReason:
    """Return what happened and what to do.

    Parameters
    ----------
    cause : str
        As Slurm says it.
    settings : SlurmSettings
        What was asked for.
    job_id : str
        Our number of the job.
    has_begun : bool
        Whether a worker has ever been at it.
    """
    command = f"tomoseg jobs resume {job_id}"
    if cause == "TIMEOUT":
        limit = f" of {settings.time}" if settings.time else ""
        fault, fix = f"Slurm ended it at its time limit{limit}, before it could keep its work.", "Go on with more"
        command += " --slurm time=HOURS:00:00"
    elif cause == "OUT_OF_MEMORY":
        limit = settings.memory or "the cluster's usual share"
        fault, fix = f"Slurm ended it: it needs more memory than it was given ({limit}).", "Go on with more"
        command += f" --slurm memory={_double_memory(settings.memory)}"
    elif cause in {"NODE_FAIL", "BOOT_FAIL"}:
        fault, fix = "Its node in Slurm failed.", "Go on on another"
    elif cause == "PREEMPTED":
        fault, fix = "Slurm gave its place to another job.", "Go on when there is room"
    elif cause == "CANCELLED":
        fault, fix = "It was cancelled in Slurm.", "Go on"
    elif not has_begun:
        fault = "It did not come up on its node."
        fix = "See that the nodes have this folder and this Python under the same paths, then go on"
    else:
        state_text = f" Slurm calls it {cause.lower()}." if cause else ""
        fault, fix = f"The worker ended without a word: killed, or its node went down.{state_text}", "Go on"
    return FailureReason(fault, f"{fix}: {command}")


def _double_memory(memory: str) -> str:
    """Return twice an amount of memory, as a proposal.

    Examples
    --------
    >>> _doubled("4G"), _doubled("")
    ('8G', '16G')
    """
    match = re.fullmatch(r"(\d+)([KMGT]?)", memory, re.IGNORECASE)
    return f"{2 * int(match[1])}{match[2]}" if match else "16G"


def log_marker(job: str) -> str:
    """Return the words in a log after which everything is about one job of Slurm."""
    return f"Slurm's job {job}"


def cause_from_log(log: str, job: str) -> str:
    """Return how Slurm ended its job, from what it wrote into the log; empty if it wrote nothing."""
    _, marker, following = log.rpartition(log_marker(job))
    return next((cause for cause, pattern in _LOG_PATTERNS.items() if marker and pattern.search(following)), "")


def output_lines(output: str) -> list[str]:
    """Return the lines that a command of Slurm prints, without colours, and without those that are empty."""
    return [line for line in map(str.strip, _ESCAPES.sub("", output).splitlines()) if line]


def read_squeue(output: str) -> dict[str, SlurmJobStatus]:
    """Return the jobs by number from lines ``JOB|STATE|PARTITION|NODE|REASON``; other lines are not about jobs."""
    return _read_status_lines(output, re.compile(r"[0-9]+"))


def read_sacct(output: str) -> dict[str, SlurmJobStatus]:
    """Return the jobs by number from lines ``JOB[_TASK]|STATE|PARTITION|NODE``; a state may say by whom."""
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
    """Run one of Slurm's commands; what it prints is text, whatever bytes a site adds."""
    return subprocess.run(  # noqa: S603  # Slurm's command, its arguments checked words
        list(argv), stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False,
        timeout=timeout_seconds,
    )  # fmt: skip


QueryCommand = Callable[[Sequence[str]], str | None]


def _run_query(argv: Sequence[str]) -> str | None:
    """Run one of Slurm's commands; return what it prints, None where it is not there or does not answer."""
    if shutil.which(argv[0]) is None:
        return None
    try:
        completed = run_slurm(argv, TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if completed.returncode == 0:
        return completed.stdout
    return "" if "Invalid job id" in completed.stderr else None  # of a single job that it has forgotten it says so


class SlurmStatusCache:
    """Answers what Slurm says of jobs, and keeps the answers for a moment.

    Parameters
    ----------
    ask : callable
        Runs a command and returns what it prints, or None.
    clock : callable
        Seconds, from any start.
    """

    def __init__(self, run_query: QueryCommand = _run_query, clock: Callable[[], float] = time.monotonic) -> None:
        self._run_query, self._clock = run_query, clock
        self._lock = threading.Lock()
        self._cache: dict[str, tuple[float, SlurmJobStatus | None]] = {}
        self._ended_jobs: dict[str, SlurmJobStatus] = {}

    def query(self, jobs: Collection[str]) -> Mapping[str, SlurmJobStatus | None]:
        """Return what Slurm says of jobs, by their numbers; None where it does not answer."""
        with self._lock:
            missing = [job for job in jobs if job not in self._cache or self._cache[job][0] <= self._clock()]
            if missing:
                statuses = self._query_squeue(missing)
                for job in missing:
                    cache_seconds = NO_ANSWER_CACHE_SECONDS if statuses[job] is None else CACHE_SECONDS
                    self._cache[job] = (self._clock() + cache_seconds, statuses[job])
            return {job: self._cache[job][1] for job in jobs}

    def invalidate(self, job: str) -> None:
        """Look at a job anew the next time."""
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
        """Ask the accounts, where there are any, for jobs that squeue has forgotten: once for each."""
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
    """Return the one that all of this program ask."""
    return SlurmStatusCache()
