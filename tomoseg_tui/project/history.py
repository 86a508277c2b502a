"""The history of a project as commands, which can be run again as a script."""

import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.project.records import now


def format_command(argv: Sequence[str]) -> str:
    """Return a command line quoted for the shell."""
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
        Working directory of the command, relative to the project's folder, for the relative paths in it.
    """
    entry = {"at": now(), "in": folder, "command": format_command(argv)}
    append_line(history, json.dumps(entry, ensure_ascii=False))
