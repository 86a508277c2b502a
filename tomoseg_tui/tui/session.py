"""Where each project was left, and where the screen logs.

``$XDG_STATE_HOME/tomoseg/sessions.json``: last tab, tomogram, slice and zoom of each project. What the user has
settled for all projects is `project.preferences`'s business.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomoseg_tui.files.atomic import write_whole
from tomoseg_tui.project.user_config import xdg_home

MOST_SESSIONS = 100
"""Projects that are remembered; the oldest are forgotten."""


def sessions_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the sessions are remembered."""
    return xdg_home("XDG_STATE_HOME", ".local/state", environment) / "tomoseg" / "sessions.json"


def log_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the screen logs what went wrong."""
    return xdg_home("XDG_STATE_HOME", ".local/state", environment) / "tomoseg" / "tui.log"


@dataclass(frozen=True)
class Session:
    """Where a project was left."""

    tab: str = "import"
    tomogram: str | None = None
    z: int | None = None
    zoom: float | None = None
    feature: str | None = None


def read_session(path: Path, project: Path) -> Session:
    """Return where a project was left; the beginning if nobody knows."""
    known = _sessions(path).get(str(project))
    if not isinstance(known, dict):
        return Session()
    try:
        return Session(**{key: known.get(key) for key in ("tomogram", "z", "zoom", "feature")}, tab=str(known["tab"]))
    except (KeyError, TypeError):
        return Session()


def write_session(path: Path, project: Path, session: Session) -> None:
    """Remember where a project is left."""
    sessions = _sessions(path)
    sessions.pop(str(project), None)
    sessions[str(project)] = session.__dict__
    kept = dict(list(sessions.items())[-MOST_SESSIONS:])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(kept, indent=1) + "\n")


def _sessions(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
