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

from tomoseg_tui.project.slurm_settings import SlurmSettings

LOOK_SECONDS = 3.0
"""How long a look is believed."""
ANSWER_SECONDS = 15.0
"""Slurm that has not answered by then counts as not there."""
SILENT_SECONDS = 30.0
"""Then it is asked again after this, so that nobody waits for it all the time."""
ENDED = frozenset(
    {
        "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
        "REVOKED", "TIMEOUT",
    }
)  # fmt: skip
"""States that no task comes back from (squeue(1), JOB STATE CODES)."""
_CAUSES = ("OUT_OF_MEMORY", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "PREEMPTED", "CANCELLED", "FAILED")
"""Of an array whose tasks ended in several ways, the first of these is told."""
_SAID_IN_LOG = {
    "OUT_OF_MEMORY": re.compile(r"oom[-_ ]kill", re.IGNORECASE),
    "TIMEOUT": re.compile(r"DUE TO TIME LIMIT"),
    "NODE_FAIL": re.compile(r"DUE TO NODE FAILURE"),
    "PREEMPTED": re.compile(r"DUE TO PREEMPTION"),
}
"""What Slurm writes into a job's log as it ends it; it stays there when Slurm has forgotten the job."""


@dataclass(frozen=True)
class TaskLook:
    """One task of a job, as Slurm sees it."""

    state: str
    partition: str = ""
    node: str = ""
    reason: str = ""

    @property
    def has_ended(self) -> bool:
        """True if it will not run again."""
        return self.state in ENDED


@dataclass(frozen=True)
class SlurmLook:
    """One job of Slurm, all its tasks; without any, Slurm does not know it."""

    tasks: tuple[TaskLook, ...] = ()

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
        return next((cause for cause in _CAUSES if cause in states), "COMPLETED")


def place_in_words(host: str | None, job: str | None, partition: str | None) -> str:
    """Return where a job is, for people.

    Examples
    --------
    >>> place_in_words("node3", "1207", "gpu")
    'node3, Slurm 1207, gpu'
    """
    return ", ".join(part for part in (host, f"Slurm {job}" if job else "", partition) if part)


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a job, and what to do."""

    fault: str | None
    fix: str | None


def verdict(cause: str, settings: SlurmSettings, job_id: str, *, has_begun: bool = True) -> Verdict:
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
    again = f"tomoseg jobs resume {job_id}"
    if cause == "TIMEOUT":
        given = f" of {settings.time}" if settings.time else ""
        fault, fix = f"Slurm ended it at its time limit{given}, before it could keep its work.", "Go on with more"
        again += " --slurm time=HOURS:00:00"
    elif cause == "OUT_OF_MEMORY":
        given = settings.memory or "the cluster's usual share"
        fault, fix = f"Slurm ended it: it needs more memory than it was given ({given}).", "Go on with more"
        again += f" --slurm memory={_doubled(settings.memory)}"
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
        known = f" Slurm calls it {cause.lower()}." if cause else ""
        fault, fix = f"The worker ended without a word: killed, or its node went down.{known}", "Go on"
    return Verdict(fault, f"{fix}: {again}")


def _doubled(memory: str) -> str:
    """Return twice an amount of memory, as a proposal.

    Examples
    --------
    >>> _doubled("4G"), _doubled("")
    ('8G', '16G')
    """
    found = re.fullmatch(r"(\d+)([KMGT]?)", memory, re.IGNORECASE)
    return f"{2 * int(found[1])}{found[2]}" if found else "16G"


def heading(job: str) -> str:
    """Return the words in a log after which everything is about one job of Slurm."""
    return f"Slurm's job {job}"


def cause_in(log: str, job: str) -> str:
    """Return how Slurm ended its job, from what it wrote into the log; empty if it wrote nothing."""
    _, begun, since = log.rpartition(heading(job))
    return next((cause for cause, said in _SAID_IN_LOG.items() if begun and said.search(since)), "")


def read_squeue(printed: str) -> dict[str, SlurmLook]:
    """Return the jobs by number from lines ``JOB|STATE|PARTITION|NODE|REASON``."""
    found: dict[str, list[TaskLook]] = {}
    for line in printed.splitlines():
        job, state, partition, node, reason = [*line.split("|", 4), *[""] * 5][:5]
        if job.isdigit():
            found.setdefault(job, []).append(TaskLook(state.strip(), partition, node, reason.strip()))
    return {job: SlurmLook(tuple(tasks)) for job, tasks in found.items()}


def read_sacct(printed: str) -> dict[str, SlurmLook]:
    """Return the jobs by number from lines ``JOB[_TASK]|STATE|PARTITION|NODE``; a state may say by whom."""
    lines = []
    for line in printed.splitlines():
        job, state, *rest = line.split("|")
        lines.append("|".join([job.partition("_")[0], state.partition(" ")[0], *rest]))
    return read_squeue("\n".join(lines))


Ask = Callable[[Sequence[str]], str | None]


def _ask(words: Sequence[str]) -> str | None:
    """Run one of Slurm's commands; return what it prints, None where it is not there or does not answer."""
    if shutil.which(words[0]) is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  # Slurm's command
            list(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode == 0:
        return done.stdout
    return "" if "Invalid job id" in done.stderr else None  # of a single job that it has forgotten it says so


class SlurmDesk:
    """Answers what Slurm says of jobs, and keeps the answers for a moment.

    Parameters
    ----------
    ask : callable
        Runs a command and returns what it prints, or None.
    clock : callable
        Seconds, from any start.
    """

    def __init__(self, ask: Ask = _ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._one_at_a_time = threading.Lock()
        self._known: dict[str, tuple[float, SlurmLook | None]] = {}
        self._forgotten: dict[str, SlurmLook] = {}

    def look(self, jobs: Collection[str]) -> Mapping[str, SlurmLook | None]:
        """Return what Slurm says of jobs, by their numbers; None where it does not answer."""
        with self._one_at_a_time:
            missing = [job for job in jobs if job not in self._known or self._known[job][0] <= self._clock()]
            if missing:
                found = self._found(missing)
                for job in missing:
                    seconds = SILENT_SECONDS if found[job] is None else LOOK_SECONDS
                    self._known[job] = (self._clock() + seconds, found[job])
            return {job: self._known[job][1] for job in jobs}

    def forget(self, job: str) -> None:
        """Look at a job anew the next time."""
        with self._one_at_a_time:
            self._known.pop(job, None)

    def _found(self, jobs: Sequence[str]) -> Mapping[str, SlurmLook | None]:
        words = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={','.join(jobs)}"]
        printed = self._ask([*words, "--format=%F|%T|%P|%N|%r"])
        if printed is None:
            return dict.fromkeys(jobs)
        known = read_squeue(printed)
        self._remember([job for job in jobs if job not in known])
        return {job: known.get(job) or self._forgotten[job] for job in jobs}

    def _remember(self, jobs: Sequence[str]) -> None:
        """Ask the accounts, where there are any, for jobs that squeue has forgotten: once for each."""
        wanted = [job for job in jobs if job not in self._forgotten]
        if not wanted:
            return
        words = ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={','.join(wanted)}"]
        printed = self._ask([*words, "--format=JobID,State,Partition,NodeList"])
        known = read_sacct(printed or "")
        for job in wanted:
            look = known.get(job, SlurmLook())
            self._forgotten[job] = SlurmLook() if look.is_alive else look


DESK = SlurmDesk()
"""The one that all of this program ask."""
