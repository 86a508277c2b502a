"""What the user has settled for all projects, and where each project was left.

``$XDG_CONFIG_HOME/tomoseg/config.toml``: ``renderer``, ``theme``, ``mouse`` and a table ``[keys]`` of action
ids to keys. ``$XDG_STATE_HOME/tomoseg/sessions.json``: last tab, tomogram, slice and zoom of each project.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tomoseg_tui.errors import SettingsError
from tomoseg_tui.project.writing import write_whole

MOST_SESSIONS = 100
"""Projects that are remembered; the oldest are forgotten."""


@dataclass(frozen=True)
class Config:
    """What the user has settled."""

    renderer: str = "auto"
    theme: str = "tomoseg-dark"
    mouse: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by action id, several with commas between."""


def _home(variable: str, usual: str, environment: Mapping[str, str]) -> Path:
    named = environment.get(variable, "")
    return Path(named) if named else Path(environment.get("HOME", "~")).expanduser() / usual


def config_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the config lies."""
    return _home("XDG_CONFIG_HOME", ".config", environment) / "tomoseg" / "config.toml"


def sessions_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the sessions are remembered."""
    return _home("XDG_STATE_HOME", ".local/state", environment) / "tomoseg" / "sessions.json"


def log_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the screen logs what went wrong."""
    return _home("XDG_STATE_HOME", ".local/state", environment) / "tomoseg" / "tui.log"


def read_config(path: Path) -> Config:
    """Read the config; none is as good as an empty one.

    Raises
    ------
    SettingsError
        If the file is no TOML, or a key has a value of another kind.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Config()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise SettingsError(f"{path} cannot be read: {fault}.", "Mend the file; it is plain TOML.") from fault
    usual = Config()
    kinds: dict[str, type] = {"renderer": str, "theme": str, "mouse": bool, "keys": dict}
    for key, value in values.items():
        if key not in kinds:
            raise SettingsError(f"{path}: there is no setting {key}.", f"There are: {', '.join(kinds)}.")
        if not isinstance(value, kinds[key]):
            raise SettingsError(f"{path}: {key} should be a {kinds[key].__name__}, but is {value!r}.", "Mend it there.")
    keys = {str(action): str(key) for action, key in values.get("keys", {}).items()}
    return Config(
        values.get("renderer", usual.renderer), values.get("theme", usual.theme), values.get("mouse", True), keys
    )


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
