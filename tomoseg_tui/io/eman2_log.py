"""Read EMAN2's ``.eman2log.txt``: the commands that were run in a project, in order."""

import shlex
from pathlib import Path

from tomoseg_tui.io.raw_volume import translate_os_errors

LOG_NAME = ".eman2log.txt"
"""What EMAN2 calls it, in the project's folder."""


def read_commands(path: Path) -> list[list[str]]:
    """Return the words of each command, the first being the program's name without its folder.

    Parameters
    ----------
    path : Path
        A log: a line a command, its last field (after tabs) the command line. None there: no command.

    Raises
    ------
    TomogramError
        If the system does not let the file be read. Lines that are no commands are passed over.
    """
    if not path.is_file():
        return []
    with translate_os_errors(path):
        lines = path.read_text("utf-8", errors="replace").splitlines()
    commands = (_split_command(line.rpartition("\t")[2]) for line in lines)
    return [[Path(argv[0]).name, *argv[1:]] for argv in commands if argv]


def _split_command(text: str) -> list[str]:
    """Split a command line; EMAN2 joins words with blanks and quotes none, so odd quotes are letters."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
