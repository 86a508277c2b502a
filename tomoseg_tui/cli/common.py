"""Functions shared by commands: open the project, print, show progress bars."""

import argparse
import contextlib
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from tomoseg_tui.errors import NotAProjectError, UsageError
from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.files.text import HARMFUL, printable, unfiltered
from tomoseg_tui.project import changes
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import HistoryEntry, is_last_command
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.project.records import Damage

GAP = "  "
MIN_WIDTH = 6
"""Smallest width of a column that is narrowed."""


def wants_json(arguments: argparse.Namespace) -> bool:
    """Return whether --json was given."""
    return bool(getattr(arguments, "json", False))


def echo(line: str) -> None:
    """Print a line for people on stderr; stdout is for results."""
    print(line, file=sys.stderr)


def print_json(value: object) -> None:
    """Print one JSON value on stdout."""
    text = json.dumps(value, ensure_ascii=False, indent=None)
    print(HARMFUL.sub(lambda match: json.dumps(match[0])[1:-1], text))


def open_project(arguments: argparse.Namespace) -> Project:
    """Open the project of --project, or the one around the current folder."""
    named: Path | None = getattr(arguments, "project", None)
    project = Project.open(named) if named is not None else Project.find_enclosing(Path.cwd())
    if project.settings.is_newer:
        echo(f"tomoseg: {project.layout.root} was made by a newer version of tomoseg; it is opened read-only.")
    entry, layout = _history_entry(arguments, project), project.layout
    if is_last_command(layout.history, entry, interrupted=not changes.is_left_unfinished(layout)):
        echo("This command was interrupted before; what it had begun is finished. There is nothing left to do.")
        raise SystemExit(0)
    return replace(project, entry=entry)


def _history_entry(arguments: argparse.Namespace, project: Project) -> HistoryEntry:
    root = project.layout.root
    argv = [_relative_to_cwd(argument, root) for argument in arguments.argv]
    return HistoryEntry(argv, os.path.relpath(Path.cwd(), root))


def open_project_if_any(arguments: argparse.Namespace) -> Project | None:
    """Open the project like `open_project`; None if there is none and --project was not given."""
    if getattr(arguments, "project", None) is not None:
        return open_project(arguments)
    with contextlib.suppress(NotAProjectError):
        return open_project(arguments)
    return None


def require_trainset_or_features(arguments: argparse.Namespace) -> None:
    """Require exactly one of --trainset and --feature.

    Raises
    ------
    UsageError
        If both or neither are given.
    """
    if bool(arguments.trainset) == bool(arguments.features):
        count = "Both --trainset and --feature were" if arguments.features else "Neither --trainset nor --feature was"
        raise UsageError(f"{count} given.", "Give one of them: --trainset NAME or --feature F")


def write_history(arguments: argparse.Namespace, project: Project) -> None:
    """Append the command to the project's history, unless a change has done so."""
    entry = project.entry or _history_entry(arguments, project)
    if not entry.is_written:
        try:
            append_line(project.layout.history, entry.encode())
        except OSError as fault:
            echo(f"Note: the command is done, but {project.layout.history} cannot be written: {fault.strerror}.")


def _relative_to_cwd(argument: str, root: Path) -> str:
    """Return an argument with a path in the project relative to the current folder, so that the project can move."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    path = Path(value)
    return f"{option}{equals}{os.path.relpath(path)}" if path.is_absolute() and path.is_relative_to(root) else argument


def damage_of(arguments: argparse.Namespace) -> Damage:
    """Return the list for damaged files that the command leaves out; `main` reports them at its end."""
    arguments.damage = []
    return cast("Damage", arguments.damage)


def print_table(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], *, empty: str) -> None:
    """Print rows as a table for people.

    Parameters
    ----------
    columns : mapping
        Title of each key of a row.
    empty : str
        Printed if there are no rows: what is missing, and the next step.
    """
    if not rows:
        echo(empty)
        return
    on_terminal = sys.stdout.isatty()
    title, *lines = format_table(rows, columns, shutil.get_terminal_size().columns if on_terminal else 200)
    is_bold = on_terminal and os.environ.get("TERM") != "dumb"
    print(f"\x1b[1m{title}\x1b[0m" if is_bold else title, file=unfiltered(sys.stdout))
    print("\n".join(lines))


@contextlib.contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float], None]]:
    """Show a progress bar on stderr if it is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with create_progress_bar() as progress:
        task = progress.add_task(printable(title), total=1.0, message="")
        yield lambda done: progress.update(task, completed=done)


def create_progress_bar() -> Any:
    """Return a progress bar for stderr with a description, a message and the remaining time."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[message]}", markup=False),
        console=Console(file=unfiltered(sys.stderr), markup=False, highlight=False),
        transient=True,
    )


def slurm_settings_from(arguments: argparse.Namespace, project: Project) -> SlurmSettings | None:
    """Return the resources to request from Slurm; None to run on this machine."""
    if arguments.slurm is None:
        return None if arguments.here else project.settings.default_slurm
    return project.settings.slurm.with_options(arguments.slurm)


def format_table(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], width: int) -> Iterator[str]:
    """Yield the lines of a table, titles first.

    Parameters
    ----------
    rows : sequence of mappings
        None and missing keys become empty cells.
    columns : mapping
        Title of each key of a row.
    width : int
        Characters per line; longer rows are wrapped.

    Examples
    --------
    >>> rows = [{"id": 12, "fault": "no room on the disk"}, {"id": 3}]
    >>> print("|".join(format_table(rows, {"id": "id", "fault": "fault"}, 12)))
    id  fault|12  no room|    on the|    disk|3
    """
    cells = [list(columns.values()), *([_format_cell(row.get(key)) for key in columns] for row in rows)]
    widths = _fit_widths([max(map(len, column)) for column in zip(*cells, strict=True)], width)
    for row in cells:
        yield from _wrap_row(row, widths)


def _format_cell(value: object) -> str:
    return "" if value is None else printable(str(value))


def _fit_widths(widths: list[int], width: int) -> list[int]:
    """Narrow the widest column until all columns fit, or all have the smallest width."""
    available = width - len(GAP) * (len(widths) - 1)
    while sum(widths) > available and max(widths) > MIN_WIDTH:
        widest = widths.index(max(widths))
        next_widest = max([other_width for index, other_width in enumerate(widths) if index != widest], default=0)
        minimum = max(MIN_WIDTH, min(next_widest, widths[widest] - 1))
        widths[widest] = max(minimum, widths[widest] - (sum(widths) - available))
    return widths


def _wrap_row(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    """Yield the lines of one row; cells that are too wide are wrapped."""
    if all(len(cell) <= width for cell, width in zip(row, widths, strict=True)):
        wrapped = [[cell] for cell in row]
    else:
        wrapped = [textwrap.wrap(cell, max(width, 1)) or [""] for cell, width in zip(row, widths, strict=True)]
    for line_index in range(max(map(len, wrapped))):
        parts = [cell[line_index] if line_index < len(cell) else "" for cell in wrapped]
        yield GAP.join(f"{part:{width}}" for part, width in zip(parts, widths, strict=True)).rstrip()
