"""What all commands share: finding the project, printing, progress bars. What waits for jobs is in `wait_for_jobs`."""

import argparse
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tomoseg_tui.cli.tables import format_table
from tomoseg_tui.errors import NotAProjectError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import append_command
from tomoseg_tui.project.project_settings import SlurmSettings


def wants_json(arguments: argparse.Namespace) -> bool:
    """Tell whether JSON is asked for."""
    return bool(getattr(arguments, "json", False))


def echo(line: str) -> None:
    """Tell a person something; stdout stays for results."""
    print(line, file=sys.stderr)


def print_json(value: object) -> None:
    """Print one JSON value on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=None))


def open_project(arguments: argparse.Namespace) -> Project:
    """Open the project that is named, or that the present folder lies in."""
    named: Path | None = getattr(arguments, "project", None)
    project = Project.open(named) if named is not None else Project.find_enclosing(Path.cwd())
    if project.settings.is_newer:
        echo(f"tomoseg: {project.layout.root} was made by a later tomoseg; it is opened for reading only.")
    return project


def open_project_if_any(arguments: argparse.Namespace) -> Project | None:
    """Open the project as `open_project`, or return None where there is none and none is named."""
    if getattr(arguments, "project", None) is not None:
        return open_project(arguments)
    with contextlib.suppress(NotAProjectError):
        return open_project(arguments)
    return None


def write_history(arguments: argparse.Namespace, project: Project) -> None:
    """Append the command to the project's history."""
    folder = os.path.relpath(Path.cwd(), project.layout.root)
    argv = [_relative_to_cwd(argument, project.layout.root) for argument in arguments.argv]
    append_command(project.layout.history, argv, folder=folder)


def _relative_to_cwd(argument: str, root: Path) -> str:
    """Return a word with a path into the project seen from here: a project that moves must not name its old place."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    path = Path(value)
    return f"{option}{equals}{os.path.relpath(path)}" if path.is_absolute() and path.is_relative_to(root) else argument


def print_table(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], *, empty: str) -> None:
    """Print rows as a table for people.

    Parameters
    ----------
    columns : mapping
        Key of a row to the column's title.
    empty : str
        Said instead where there are no rows: what belongs here, and the next step.
    """
    if not rows:
        echo(empty)
        return
    on_terminal = sys.stdout.isatty()
    title, *lines = format_table(rows, columns, shutil.get_terminal_size().columns if on_terminal else 200)
    print(f"\x1b[1m{title}\x1b[0m" if on_terminal and os.environ.get("TERM") != "dumb" else title)
    print("\n".join(lines))


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Show a bar on stderr for what takes more than a moment; only where a person looks."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with create_progress_bar() as progress:
        task = progress.add_task(title, total=1.0, message="")
        yield lambda done: progress.update(task, completed=done)


def create_progress_bar() -> Any:
    """Return a bar with a description, a message and the time that is left, on stderr."""
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


def slurm_settings_from(arguments: argparse.Namespace, project: Project) -> SlurmSettings | None:
    """Return what to ask Slurm for; None if jobs are to compute on this machine."""
    if arguments.slurm is None:
        return None if arguments.here else project.settings.default_slurm
    return project.settings.slurm.with_options(arguments.slurm)
