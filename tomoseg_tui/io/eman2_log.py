"""Read EMAN2's ``.eman2log.txt``: the commands run in a project, in order."""

import shlex
from pathlib import Path

from tomoseg_tui.io.raw_volume import translate_os_errors

LOG_NAME = ".eman2log.txt"
"""Name of the log in the project's folder."""


def read_commands(path: Path) -> list[list[str]]:
    """Return the arguments of each command, starting with the program's name without its folder.

    Parameters
    ----------
    path : Path
        A log with one command per line in its last tab-separated field; empty fields are skipped. A missing file has
        no commands.

    Raises
    ------
    TomogramError
        If the system cannot read the file.
    """
    if not path.is_file():
        return []
    with translate_os_errors(path):
        lines = path.read_text("utf-8", errors="replace").splitlines()
    commands = (_split_command(line.rpartition("\t")[2]) for line in lines)
    return [[Path(argv[0]).name, *argv[1:]] for argv in commands if argv]


def _split_command(text: str) -> list[str]:
    """Split a command line; EMAN2 joins arguments with spaces and quotes none, so unbalanced quotes are characters."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
