"""What all verbs share: finding the project, printing, progress bars, and waiting for a job."""

import argparse
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tomoseg_tui.cli.tables import table_lines
from tomoseg_tui.errors import NotAProjectError, SettingsError, UsageError
from tomoseg_tui.jobs.dependencies import awaited, to_come
from tomoseg_tui.jobs.job import Job, JobState, look_patiently
from tomoseg_tui.jobs.launch import launch, watch
from tomoseg_tui.jobs.notifications import TOLD_STATES, ending_in_words, terminal_notice
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import remember
from tomoseg_tui.project.slurm_settings import SlurmSettings
from tomoseg_tui.project.user_config import config_file, read_config
from tomoseg_tui.workflow.pending_outputs import Promised, promised_by


def wants_json(arguments: argparse.Namespace) -> bool:
    """Tell whether JSON is asked for."""
    return bool(getattr(arguments, "json", False))


def say(line: str) -> None:
    """Tell a person something; stdout stays for results."""
    print(line, file=sys.stderr)


def print_json(value: object) -> None:
    """Print one JSON value on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=None))


def open_project(arguments: argparse.Namespace) -> Project:
    """Open the project that is named, or that the present folder lies in."""
    named: Path | None = getattr(arguments, "project", None)
    project = Project.open(named) if named is not None else Project.around(Path.cwd())
    if project.settings.is_newer:
        say(f"tomoseg: {project.layout.root} was made by a later tomoseg; it is opened for reading only.")
    return project


def maybe_project(arguments: argparse.Namespace) -> Project | None:
    """Open the project as `open_project`, or return None where there is none and none is named."""
    if getattr(arguments, "project", None) is not None:
        return open_project(arguments)
    with contextlib.suppress(NotAProjectError):
        return open_project(arguments)
    return None


def write_history(arguments: argparse.Namespace, project: Project) -> None:
    """Append the command to the project's history."""
    folder = os.path.relpath(Path.cwd(), project.layout.root)
    words = [_movable(word, project.layout.root) for word in arguments.words]
    remember(project.layout.history, words, folder=folder)


def _movable(word: str, root: Path) -> str:
    """Return a word with a path into the project seen from here: a project that moves must not name its old place."""
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    path = Path(value)
    return f"{option}{equals}{os.path.relpath(path)}" if path.is_absolute() and path.is_relative_to(root) else word


def numbers(text: str, what: str, count: int) -> tuple[int, ...]:
    """Read whole numbers with commas between them.

    Raises
    ------
    UsageError
        If there are more or fewer, or something else.
    """
    parts = text.split(",")
    try:
        found = tuple(int(part) for part in parts)
    except ValueError:
        found = ()
    if len(found) != count:
        raise UsageError(f"{what} {text!r} is not understood.", "Write it as X,Y,Z in voxels, as --at 140,252,16")
    return found


def print_table(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], *, empty: str) -> None:
    """Print rows as a table for people.

    Parameters
    ----------
    rows : sequence of mappings
    columns : mapping
        Key of a row to the column's title.
    empty : str
        Said instead where there are no rows: what belongs here, and the next step.
    """
    if not rows:
        say(empty)
        return
    on_terminal = sys.stdout.isatty()
    title, *lines = table_lines(rows, columns, shutil.get_terminal_size().columns if on_terminal else 200)
    print(f"\x1b[1m{title}\x1b[0m" if on_terminal and os.environ.get("TERM") != "dumb" else title)
    print("\n".join(lines))


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr for what takes more than a moment; only where a person looks."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with _bar() as progress:
        task = progress.add_task(title, total=1.0, message="")
        yield lambda done: progress.update(task, completed=done)


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[message]}"),
        console=Console(stderr=True),
        transient=True,
    )


def promised(arguments: argparse.Namespace, project: Project) -> Promised:
    """Return what the jobs named by --after will make, and those that they come after."""
    return promised_by(to_come(project.layout, arguments.after))


def slurm_wish(arguments: argparse.Namespace, project: Project) -> SlurmSettings | None:
    """Return what to ask Slurm for; None if jobs are to compute on this machine."""
    if arguments.slurm is None:
        return None if arguments.here else project.settings.usual_slurm
    return project.settings.slurm.changed(arguments.slurm)


def start_job(arguments: argparse.Namespace, project: Project, kind: str, name: str, asked: dict[str, Any]) -> int:
    """Start a job; print its id, or wait for it where that is asked for. Return the exit code."""
    after = [job.id for job in awaited(project.layout, arguments.after)]
    slurm = slurm_wish(arguments, project)
    job = launch(project.layout, kind, name, asked, after=after, at_once=arguments.now, slurm=slurm)
    write_history(arguments, project)
    if arguments.wait:
        return wait_for(arguments, job)
    if wants_json(arguments):
        print_json({"job": job.id})
    else:
        print(job.id)
        say(f"Job {job.id} goes on without this terminal. Look: tomoseg jobs show {job.id}")
    return 0


def wait_for(arguments: argparse.Namespace, job: Job) -> int:
    """Watch a job until it is over; return its exit code. Ctrl-C leaves it running."""
    try:
        state = _watch(job)
    except KeyboardInterrupt:
        say(f"\nJob {job.id} goes on. Look: tomoseg jobs show {job.id}; stop it: tomoseg jobs stop {job.id}")
        return 130
    _give_notice([(job, state)])
    if state is JobState.DONE:
        if wants_json(arguments):
            print_json(_with_whole_paths(job) or {"job": job.id})
        return 0
    return _tell_failure(job, state)


def wait_for_all(jobs: Sequence[Job]) -> int:
    """Watch jobs until all are over; return the first exit code that is not 0. Ctrl-C leaves them running."""
    ends: list[tuple[Job, JobState]] = []
    codes = []
    try:
        for job in jobs:
            record, state = job.record(), _watch(job)
            ends.append((job, state))
            if state is JobState.DONE:
                say(f"Job {job.id} ({record.kind} {record.name}) is done.")
            codes.append(0 if state is JobState.DONE else _tell_failure(job, state))
    except KeyboardInterrupt:
        say(f"\nThe other {len(jobs) - len(ends)} jobs go on. Look: tomoseg jobs")
        return 130
    _give_notice(ends)
    return next((code for code in codes if code), 0)


def _watch(job: Job) -> JobState:
    return _watch_with_bar(job) if sys.stderr.isatty() else _watch_plainly(job)


def _tell_failure(job: Job, state: JobState) -> int:
    """Say how a job that is not done has ended; return its exit code."""
    listing = job.listing()
    say(f"tomoseg: job {job.id} is {state}. {listing['fault'] or 'What is finished is kept.'}")
    say(f"  {listing['fix'] or f'Go on: tomoseg jobs resume {job.id}'}")
    if state is JobState.FAILED:
        return job.record().exit_code or 1
    return 130 if state is JobState.STOPPED else 1


def _give_notice(ends: Sequence[tuple[Job, JobState]]) -> None:
    """Ring the terminal, and tell it in words how jobs have ended."""
    told = [(job, state) for job, state in ends if state in TOLD_STATES]
    if not told or not sys.stderr.isatty():
        return
    worst = next((end for end in told if end[1] is not JobState.DONE), told[-1])
    record = worst[0].record()
    words = ending_in_words(worst[0].id, record.kind, record.name, worst[1])
    try:
        sys.stderr.write(terminal_notice(words, read_config(config_file()).notice, os.environ))
        sys.stderr.flush()
    except SettingsError as fault:
        say(f"Note: no notice was given. {fault}")


def _with_whole_paths(job: Job) -> dict[str, Any]:
    """Return what a job has to say; files are kept as seen from the project, and told in full."""
    root, result = job.folder.parent.parent, job.result()
    if "file" in result:
        result["file"] = str(root / result["file"])
    if "files" in result:
        result["files"] = [str(root / file) for file in result["files"]]
    return result


def _watch_with_bar(job: Job) -> JobState:
    record = job.record()
    with _bar() as progress:
        task = progress.add_task(f"{record.kind} {record.name}", total=1.0, message="starting")
        told = 0
        for _ in watch(job):
            now = job.progress()
            progress.update(task, completed=now.progress, message=now.message)
            told = _print_news(job, told, progress.console.print)
    return look_patiently(job, Job.state)


def _watch_plainly(job: Job) -> JobState:
    told = 0
    for _ in watch(job):
        told = _print_news(job, told, say)
    return look_patiently(job, Job.state)


def _print_news(job: Job, told: int, show: Callable[[str], object]) -> int:
    """Show what the job has logged since the last look; return how far was read."""
    with contextlib.suppress(OSError), job.log_file.open("rb") as log:
        log.seek(told)
        whole = log.read().rpartition(b"\n")
        for line in whole[0].decode(errors="replace").splitlines():
            words = line.partition(" ")
            if words[0].endswith("Z") and words[0][:4].isdigit():  # our own lines begin with a time
                show(words[2])
        return told + len(whole[0]) + len(whole[1])
    return told
