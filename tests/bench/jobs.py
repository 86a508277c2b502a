"""`make bench-jobs`: the cost of five hundred jobs for a command and a screen, and of reporting for a training.

Prints a table; asserts nothing. Each value is a median of five; compared values are measured alternately. Takes about
five minutes on two idle cores.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.cli_runner import Tomoseg, wait_until
from helpers.job_project import hooked, make_tubes_project
from helpers.pseudo_terminal import Terminal, processor_seconds
from helpers.run_project import put_job, tell_progress

from tomoseg_tui.files import locks
from tomoseg_tui.jobs.job import JobState
from tomoseg_tui.project.catalog import Project, make_project

FEW, FULL, MANY = 5, 30, 500
"""The list fills the screen for `FULL` and for `MANY` jobs."""
RUNS = 5
SIZE = (120, 40)
PRESSES, PRESSES_A_SECOND = 60, 10
KINDS = ("train", "apply", "merge", "preprocess")
STATES = ("done", "done", "done", "failed", "stopped", "lost")

TIMED_HOOK = """
import atexit, json, sys, time
from tomoseg_tui.workflow.training import trainset
spent = {{}}
def timed(place, name, title):
    whole = getattr(place, name)
    def call(*words, **named):
        began = time.perf_counter()
        try:
            return whole(*words, **named)
        finally:
            spent[title] = spent.get(title, 0.0) + time.perf_counter() - began
    setattr(place, name, call)
load = trainset.load_patches
def load_patches(*words, **named):
    from tomoseg_tui.ml import training
    from tomoseg_tui.runners import run_train
    for name in ("progress", "metrics", "log"):
        timed(sys.modules["__main__"].JobReporter, name, "bookkeeping")
    for name in ("save", "save_best"):
        timed(training.TrainingRun, name, "checkpoint")
    timed(run_train._TrainingListener, "_write_card", "card")
    timed(run_train, "fit", "training")
    return load(*words, **named)
trainset.load_patches = load_patches
def tell():
    with open({note!r}, "w") as stream:
        json.dump(spent, stream)
atexit.register(tell)
"""
"""Measures the time that a worker spends on reports to the job's folder."""


def make_jobs(root: Path, count: int) -> Project:
    """Make a project with a number of finished jobs."""
    project = make_project(root)
    for number in range(count):
        kind, state = KINDS[number % len(KINDS)], STATES[number % len(STATES)]
        fault = "Disk full: maps/cell_07/mt.microtubule.mrc cannot be written." if state == "failed" else None
        job = put_job(project, kind, f"cell_{number:03}", state=state, asked={"features": ["mt"]}, fault=fault)
        tell_progress(job, 1.0, "done")
    return project


@contextmanager
def a_job_that_runs(project: Project) -> Iterator[None]:
    """Run a job whose progress changes four times a second."""
    job, ended = put_job(project, "train", "live", state="lost"), threading.Event()

    def work() -> None:
        done = 0
        while not ended.wait(0.25):
            done += 1
            tell_progress(job, done % 100 / 100, f"epoch {done}/100", 100.0)

    with locks.held(job.claim_file):
        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            job.set_state(JobState.STOPPED)


def seconds_of_command(root: Path, *arguments: str) -> tuple[float, float]:
    """Return the wall time and the CPU time of a command."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-m", "tomoseg_tui", *arguments], cwd=root, capture_output=True, check=True)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, spent


def seconds_of_tab(project: Project, folder: Path) -> tuple[float, float]:
    """Return the 95th percentile of the time for a key to move the cursor in the Jobs tab, and the CPU share meanwhile.

    A job runs, so that there is a new snapshot twice a second.
    """
    environment = {"XDG_CONFIG_HOME": str(folder / "config"), "XDG_STATE_HOME": str(folder / "state"), "TMUX": ""}
    command = [sys.executable, "-m", "tomoseg_tui", str(project.layout.root)]
    with a_job_that_runs(project), Terminal(command, size=SIZE, environment=environment) as terminal:
        terminal.wait_for(lambda output: b"Jobs" in output and b"Quit" in output)
        terminal.send("7")
        terminal.wait_for(lambda _output: "live" in terminal.screen().text)
        time.sleep(2)
        began, before, lags = time.monotonic(), processor_seconds(terminal.process.pid), []
        for press in range(PRESSES):
            time.sleep(max(0.0, began + press / PRESSES_A_SECOND - time.monotonic()))
            seen = len(terminal.pieces)
            at = terminal.send("j" if press % 10 < 5 else "k")
            _wait_for_more(terminal, seen)
            lags.append(terminal.pieces[seen][0] - at)
        share = (processor_seconds(terminal.process.pid) - before) / (time.monotonic() - began)
    return sorted(lags)[int(0.95 * len(lags))], share


def _wait_for_more(terminal: Terminal, seen: int) -> None:
    """Wait until there is more output than before."""
    deadline = time.monotonic() + 2
    while len(terminal.pieces) <= seen and time.monotonic() < deadline:
        time.sleep(0.001)


def shares_of_bookkeeping(root: Path, folder: Path, run: str, epochs: int) -> dict[str, float]:
    """Train, and return the shares of the time for reports, and for checkpoints and card."""
    note = folder / f"{run}.json"
    arguments = ("train", "--feature", "tube", "--network", "unet25d", "--name", run, "--epochs", epochs, "--seed", 3)
    Tomoseg(root)(*arguments, "--wait", env=hooked(folder / "hooks", worker=TIMED_HOOK.format(note=str(note))))
    wait_until(lambda: note.exists() and note.read_text() != "")
    spent = json.loads(note.read_text())
    return {title: spent[title] / spent["training"] for title in ("bookkeeping", "checkpoint", "card")}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="commands,tab,training")
    parser.add_argument("--epochs", type=int, default=2, help="of each of the trainings")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tomoseg-bench-") as place:
        folder = Path(place)
        os.environ["TOMOSEG_QUEUE_FOLDER"] = f"{place}/queue"  # other jobs must not be ahead in the queue
        print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, load {os.getloadavg()[0]:.1f}")
        projects = {count: make_jobs(folder / str(count), count) for count in (FEW, FULL, MANY)}
        if "commands" in arguments.parts:
            measure_commands(projects)
        if "tab" in arguments.parts:
            measure_tab(projects, folder)
        if "training" in arguments.parts:
            measure_training(make_tubes_project(folder / "tubes"), folder, arguments.epochs)


def measure_commands(projects: dict[int, Project]) -> None:
    """Time `tomoseg jobs`."""
    rounds = [
        {count: seconds_of_command(project.layout.root, "jobs") for count, project in projects.items()}
        for _ in range(RUNS)
    ]
    for count in projects:
        wall, spent = (statistics.median(one[count][place] for one in rounds) for place in (0, 1))
        print(f"`tomoseg jobs`, {count} jobs: {wall:.2f} s, {spent:.2f} s of a processor")


def measure_tab(projects: dict[int, Project], folder: Path) -> None:
    """Time keys in the Jobs tab."""
    rounds = [{count: seconds_of_tab(project, folder) for count, project in projects.items()} for _ in range(RUNS)]
    for count in projects:
        lag, share = (statistics.median(one[count][place] for one in rounds) for place in (0, 1))
        print(f"tab Jobs, {count} jobs: 95 % of keys within {1000 * lag:.0f} ms, {100 * share:.0f} % of a processor")


def measure_training(root: Path, folder: Path, epochs: int) -> None:
    """Time the reports of a training."""
    rounds = [shares_of_bookkeeping(root, folder, f"run_{number}", epochs) for number in range(RUNS)]
    for title in rounds[0]:
        print(f"of a training, {title}: {100 * statistics.median(one[title] for one in rounds):.2f} %")


if __name__ == "__main__":
    main()
