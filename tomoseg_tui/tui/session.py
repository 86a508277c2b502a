"""The last session of each project, and the log file of the program.

``$XDG_STATE_HOME/tomoseg/sessions.json``: last tab, tomogram, slice and zoom of each project.
The settings of the user for all projects are in `project.user_config`.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.files.structured import MalformedError, read_json
from tomoseg_tui.project.user_config import xdg_home

MAX_SESSIONS = 100
"""Number of projects that are remembered; the oldest are forgotten."""


def sessions_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the file of the sessions."""
    return xdg_home("XDG_STATE_HOME", ".local/state", environment) / "tomoseg" / "sessions.json"


def log_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the log file of the full-screen program."""
    return xdg_home("XDG_STATE_HOME", ".local/state", environment) / "tomoseg" / "tui.log"


@dataclass(frozen=True)
class TuiSession:
    """The position in a project when the program was last closed."""

    tab: str = "import"
    tomogram: str | None = None
    z: int | None = None
    zoom: float | None = None
    feature: str | None = None


def read_session(path: Path, project: Path) -> TuiSession:
    """Return the last session of a project; the defaults if there is none."""
    stored = _read_sessions(path).get(str(project))
    if not isinstance(stored, dict):
        return TuiSession()
    try:
        return TuiSession(
            **{key: stored.get(key) for key in ("tomogram", "z", "zoom", "feature")}, tab=str(stored["tab"])
        )
    except (KeyError, TypeError):
        return TuiSession()


def write_session(path: Path, project: Path, session: TuiSession) -> None:
    """Save the session of a project."""
    sessions = _read_sessions(path)
    sessions.pop(str(project), None)
    sessions[str(project)] = session.__dict__
    latest = dict(list(sessions.items())[-MAX_SESSIONS:])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(latest, indent=1) + "\n")


def _read_sessions(path: Path) -> dict[str, Any]:
    try:
        return read_json(path, dict[str, Any])
    except (OSError, MalformedError):
        return {}
