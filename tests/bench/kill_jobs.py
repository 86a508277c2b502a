"""Kill jobs at random moments, resume them, and compare their results with those of undisturbed jobs.

`python kill_jobs.py [--kills 50] [--seed 1] [--only train,apply,merge,preprocess]`; a child of `make kills`. Half of
the moments are times after the worker's start. The other half are changes that the worker makes on disk, the
n-th file that it opens, renames or removes: they are repeatable with the same seed, and hit the gaps between two files
that belong together, which are too short for a clock. Whole process groups are killed. Everything in the project is
compared, including file names, so that no temporary file may remain.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from helpers.cli_runner import Tomoseg, wait_until
from helpers.job_project import hooked
from helpers.reference_results import NETWORK_HOOK, WORK, content_of, make_template

from tomoseg_tui.files import locks
from tomoseg_tui.jobs.job import Job, JobState, all_jobs, remove_stale_claims
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.changes import begin_writing, end_writing
from tomoseg_tui.project.layout import ProjectLayout

CHANGES_HOOK = """
import atexit, os, signal, sys, threading
seen = 0
def end_group():
    os.killpg(0, signal.SIGKILL)
def look(event, words):
    global seen
    if event == "open":
        if not words[2] & (os.O_WRONLY | os.O_RDWR):
            return
    elif event not in ("os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "os.truncate"):
        return
    path = words[0]
    if not isinstance(path, str) and not hasattr(path, "__fspath__"):
        return
    path = os.fspath(path)
    if not isinstance(path, str) or not path.startswith({root!r}) or "progress.json" in path or path == {note!r}:
        return
    seen += 1
    if seen == {at!r}:
        threading.Timer({later!r}, end_group).start() if {later!r} else end_group()
def tell():
    with open({note!r}, "w") as stream:
        stream.write(str(seen))
sys.addaudithook(look)
atexit.register(tell)
"""
"""Counts the changes that a worker makes in a folder, and kills its process group at one of them."""
MOST_SECONDS = 10.0
"""On the same machine the state shows by then that a worker has ended."""
LONGEST_SECONDS = 300.0
"""All jobs here are faster."""


@dataclass(frozen=True)
class Undisturbed:
    """The results of an undisturbed job."""

    content: dict[str, object]
    seconds: float
    changes: int
    """Changes that its worker makes on disk."""


@dataclass
class Tally:
    """The outcome of the kills."""

    kills: int = 0
    jobs: int = 0
    slowest_seconds: float = 0.0
    """Time from a kill until the state shows it."""


@dataclass(frozen=True)
class Moment:
    """The moment at which a worker is killed."""

    seconds: float | None = None
    """Seconds after its start."""
    change: int = 0
    """Number of the change that it makes on disk, from 1."""
    later: float = 0.0
    """Seconds after that change."""


def _is_swept(layout: ProjectLayout) -> bool:
    """Sweep as the next command that writes does; False while a worker that is done has not yet ended."""
    begin_writing(layout)
    end_writing()
    return not list(layout.root.glob(".writer.*.json"))


class Killer:
    """Disturbs one kind of job.

    Parameters
    ----------
    kind : str
        One of `WORK`.
    template : Path
        A project of `make_template`; it is not changed.
    place : Path
        Folder for copies of it.
    """

    def __init__(self, kind: str, template: Path, place: Path) -> None:
        self._kind, self._template, self._place = kind, template, place
        self._copies = 0
        self.whole = self._undisturbed()

    def disturb(self, kills: int, rng: random.Random, *, clock: float = 0.5) -> Tally:
        """Kill jobs until the given number of kills have hit one, and compare each job when it is done.

        Parameters
        ----------
        kills : int
        rng : random.Random
            Draws the moments.
        clock : float
            Share of the moments that are times; the others are changes on disk.
        """
        tally = Tally()
        while tally.kills < kills:
            tomoseg = self._fresh_copy()
            arguments = self._words()
            while True:
                moment = self._draw(rng, clock) if tally.kills < kills else Moment()
                state = self._run(tomoseg, arguments, moment, tally)
                job = all_jobs(Project.open(tomoseg.folder).layout)
                if state is JobState.DONE:
                    break
                arguments = ("jobs", "resume", job[0].id) if job and job[0].id == self._job_id else self._words()
            self._compare(tomoseg)
            tally.jobs += 1
        return tally

    def _undisturbed(self) -> Undisturbed:
        tomoseg = self._fresh_copy()
        self._job_id = str(int(all_jobs(Project.open(tomoseg.folder).layout)[0].id) + 1)
        began = time.monotonic()
        assert self._run(tomoseg, self._words(), Moment(), Tally()) is JobState.DONE
        seconds = time.monotonic() - began
        noted = _note_of(tomoseg.folder.parent)
        wait_until(lambda: noted.exists() and noted.read_text() != "")
        changes = int(noted.read_text())
        noted.unlink()
        content = content_of(tomoseg.folder.parent)
        shutil.rmtree(tomoseg.folder.parent)
        return Undisturbed(content, seconds, changes)

    def _words(self) -> tuple[object, ...]:
        return WORK[self._kind]

    def _fresh_copy(self) -> Tomoseg:
        self._copies += 1
        place = self._place / f"{self._kind}_{self._copies}"
        shutil.copytree(self._template.parent, place, symlinks=True, ignore=shutil.ignore_patterns("hooks"))
        return Tomoseg(place / self._template.name)

    def _draw(self, rng: random.Random, clock: float) -> Moment:
        if rng.random() < clock:
            return Moment(seconds=rng.uniform(0, self.whole.seconds))
        return Moment(change=rng.randint(1, self.whole.changes), later=rng.choice((0.0, 0.0, rng.uniform(0, 0.005))))

    def _run(self, tomoseg: Tomoseg, arguments: tuple[object, ...], moment: Moment, tally: Tally) -> JobState:
        """Start or resume the job, kill it at a moment, and return its state then."""
        place = tomoseg.folder.parent
        hook = CHANGES_HOOK.format(root=str(place), note=str(_note_of(place)), at=moment.change, later=moment.later)
        env = hooked(place / "hooks", NETWORK_HOOK, worker=hook)
        began = time.monotonic()
        tomoseg(*arguments, code=None, env=env)
        job = Job(Project.open(tomoseg.folder).layout.job_folder(self._job_id))
        killed = False
        while not (state := job.state()).is_over:
            if moment.seconds is not None and time.monotonic() - began > moment.seconds and not killed:
                killed = _kill_group(job)
                moment_of_kill = time.monotonic()
            elif killed:
                assert time.monotonic() - moment_of_kill < MOST_SECONDS, f"after {MOST_SECONDS:g} s it is still {state}"
            assert time.monotonic() - began < LONGEST_SECONDS, f"job {job.id} of {place} hangs"
            time.sleep(0.005)
        if state is not JobState.DONE:
            tally.kills += 1
            if killed:
                tally.slowest_seconds = max(tally.slowest_seconds, time.monotonic() - moment_of_kill)
            if state is not JobState.LOST:
                fault = job.record().fault or ""
                assert "did not start" in fault, f"{place}: {state} {fault}"
        return state

    def _compare(self, tomoseg: Tomoseg) -> None:
        place = tomoseg.folder.parent
        layout = Project.open(tomoseg.folder).layout
        wait_until(lambda: not locks.is_held(Job(layout.job_folder(self._job_id)).claim_file))
        remove_stale_claims(layout)  # as for any other job: a worker releases its claim after it has recorded the end
        wait_until(lambda: _is_swept(layout))
        found, whole = content_of(place), self.whole.content
        assert found.keys() - whole.keys() == set(), f"left in {place}: {sorted(found.keys() - whole.keys())}"
        assert whole.keys() - found.keys() == set(), f"missing in {place}: {sorted(whole.keys() - found.keys())}"
        different = [path for path in whole if whole[path] != found[path]]
        assert not different, f"in {place} differ: {different}"
        shutil.rmtree(place)


def _note_of(place: Path) -> Path:
    """File with a worker's number of changes; outside the compared folder, because it is written last."""
    return place.with_name(f"{place.name}.changes")


def _kill_group(job: Job) -> bool:
    """Kill the worker's process group; return whether there was one."""
    owner = locks.owner_of(job.claim_file)
    if owner is None or not locks.is_held(job.claim_file):
        return False
    try:
        os.killpg(owner.pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    """Disturb each kind of job and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50, help="of each kind of job")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default=",".join(WORK), help=f"of {','.join(WORK)}")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tomoseg_kills.") as folder:
        os.environ["TOMOSEG_QUEUE_FOLDER"] = f"{folder}/queue"  # other jobs must not be ahead in the queue
        template = make_template(Path(folder) / "template")
        for kind in arguments.only.split(","):
            began = time.monotonic()
            tally = Killer(kind, template, Path(folder)).disturb(
                arguments.kills, random.Random(f"{kind} {arguments.seed}")
            )
            print(
                f"{kind:12} {tally.kills} kills in {tally.jobs} jobs: every result is equal to the undisturbed one, "
                f"nothing is left; the state said it after {tally.slowest_seconds:.2f} s at most "
                f"({time.monotonic() - began:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
