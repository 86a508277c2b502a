"""`tomoseg [DIR]`: open the program. A folder that is no project is offered to be made one."""

import argparse
import sys
from pathlib import Path

from tomoseg_tui.cli.common import say
from tomoseg_tui.errors import NotAProjectError
from tomoseg_tui.project.catalog import Project, make_project


def open_program(arguments: argparse.Namespace) -> int:
    """Open the program; until it comes, say so and how to go on."""
    folder: Path = arguments.dir or getattr(arguments, "project", None) or Path.cwd()
    if not folder.is_dir():
        raise NotAProjectError(f"{folder} is neither a command nor a folder.", "See tomoseg --help")
    project = _project_in(folder)
    if project is None:
        return 0
    say(f"{project.layout.root} is a tomoseg project. The full-screen program comes with the next version;")
    say("until then every step is a command: tomoseg --help")
    return 0


def _project_in(folder: Path) -> Project | None:
    try:
        return Project.around(folder)
    except NotAProjectError:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
    sys.stderr.write(f"{folder.absolute()} is no tomoseg project. Make it one? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        return None
    return make_project(folder)
