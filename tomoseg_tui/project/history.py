"""What was done, as commands: a day in the program can be replayed as a script."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.project.records import now


def format_command(argv: Sequence[str]) -> str:
    """Return the command that a shell would understand."""
    return shlex.join(["tomoseg", *argv])


def append_command(history: Path, argv: Sequence[str], *, folder: str = ".") -> None:
    """Append a command to the history.

    Parameters
    ----------
    history : Path
        ``history.jsonl`` of the project.
    argv : sequence of str
        Arguments after `tomoseg`.
    folder : str
        Where the command was given, seen from the project's folder, so that file names in it mean the same.
    """
    entry = {"at": now(), "in": folder, "command": format_command(argv)}
    append_line(history, json.dumps(entry, ensure_ascii=False))
