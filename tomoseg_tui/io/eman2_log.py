"""Read EMAN2's ``.eman2log.txt``: the commands that were run in a project, in order."""

import shlex
from pathlib import Path

from tomoseg_tui.io.raw_volume import file_faults

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
    with file_faults(path):
        lines = path.read_text("utf-8", errors="replace").splitlines()
    found = (_words(line.rpartition("\t")[2]) for line in lines)
    return [[Path(words[0]).name, *words[1:]] for words in found if words]


def _words(text: str) -> list[str]:
    """Split a command line; EMAN2 joins words with blanks and quotes none, so odd quotes are letters."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
