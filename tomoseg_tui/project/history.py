"""The history of a project as commands, which can be run again as a script."""

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.project.records import now

_TAIL_BYTES = 65536
"""Bytes of the history that are searched for its last line."""


def format_command(argv: Sequence[str]) -> str:
    """Return a command line quoted for the shell."""
    return shlex.join(["tomoseg", *argv])


@dataclass
class HistoryEntry:
    """A command that is running, as its line in the history."""

    argv: Sequence[str]
    folder: str = "."
    """Working directory of the command, relative to the project's folder, for the relative paths in it."""
    is_written: bool = False
    """True if a change of several files has written the line as a part of itself."""

    def encode(self) -> str:
        """Return the line."""
        entry = {"at": now(), "in": self.folder, "command": format_command(self.argv)}
        text = json.dumps(entry, ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace").decode()  # bytes of `folder` that are not UTF-8


def is_last_command(history: Path, entry: HistoryEntry, *, interrupted: bool) -> bool:
    """Return whether the last line is this command; if `interrupted`, one that a later command had to finish."""
    try:
        with history.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            last = json.loads(stream.read().rpartition(b"\n")[0].rpartition(b"\n")[2])
        if interrupted and not last.get("interrupted"):
            return False
        return bool((last["in"], last["command"]) == (entry.folder, format_command(entry.argv)))
    except (OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return False


def append_command(history: Path, argv: Sequence[str], *, folder: str = ".") -> None:
    """Append a command to the history."""
    append_line(history, HistoryEntry(argv, folder).encode())
