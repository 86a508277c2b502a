"""`tomoseg [DIR]`: open the program; in a folder without a project, offer to create one."""

import argparse
import sys
from pathlib import Path

from tomoseg_tui.errors import NotAProjectError, UsageError
from tomoseg_tui.project.catalog import Project, make_project
from tomoseg_tui.project.history import append_command


def open_program(arguments: argparse.Namespace) -> int:
    """Open the program in a folder, the project around it, or a new project there."""
    folder: Path = arguments.dir or getattr(arguments, "project", None) or Path.cwd()
    if not folder.is_dir():
        raise NotAProjectError(f"{folder} is neither a command nor a folder.", "See tomoseg --help")
    project = _project_in(folder)
    if project is None:
        return 0
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("The program needs a terminal.", "Run it in a terminal, or use the commands: tomoseg --help")
    from tomoseg_tui.tui.start import start_tui

    bug = start_tui(project.layout.root, renderer=arguments.renderer, mouse=not arguments.no_mouse)
    if bug is None:
        return 0
    from tomoseg_tui.cli.main import report_bug

    return report_bug(bug, project.layout.crash_log, safe="All that was saved is on disk, and jobs continue. ")


def _project_in(folder: Path) -> Project | None:
    try:
        return Project.find_enclosing(folder)
    except NotAProjectError:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
    sys.stderr.write(f"{folder.absolute()} is not a tomoseg project. Create a project there? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        return None
    project = make_project(folder)
    append_command(project.layout.history, ["init", "."])
    return project
