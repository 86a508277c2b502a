"""Start the program on a project: query the terminal, read the config, run the app."""

import os
from pathlib import Path

from tomoseg_tui.errors import UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.user_config import config_file, read_config
from tomoseg_tui.tui.canvas.terminal_query import TerminalQuery


def start_tui(folder: Path, *, renderer: str = "auto", mouse: bool = True) -> BaseException | None:
    """Run the program until the user quits; return the unexpected exception that ended it, if one did.

    Parameters
    ----------
    renderer : str
        How slices are drawn; with `auto` the terminal is queried.
    mouse : bool
        If False, the terminal handles the mouse, so that text can be copied.

    Raises
    ------
    TomosegError
        If the folder is not a project, the config is not valid, or the terminal does not show UTF-8.
    """
    config = read_config(config_file())
    project = Project.open(folder)
    query = TerminalQuery.begin(os.environ)
    try:
        from tomoseg_tui.tui.app import TomosegApp  # noqa: PLC0415  # the terminal answers while Textual loads

        app = TomosegApp(project, config, renderer=renderer)
    finally:
        capabilities = query.finish()
    if not capabilities.is_utf8:
        raise UsageError(
            "This terminal does not show UTF-8.", "In one that does, set LANG=C.UTF-8, then start tomoseg."
        )
    app.terminal_capabilities = capabilities
    app.run(mouse=mouse and config.mouse)
    return app.bug
