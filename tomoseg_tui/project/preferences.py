"""What the user has settled for all projects.

``$XDG_CONFIG_HOME/tomoseg/config.toml``: ``renderer``, ``theme``, ``mouse`` and a table ``[keys]`` of action
ids to keys.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tomoseg_tui.errors import SettingsError


@dataclass(frozen=True)
class Config:
    """What the user has settled."""

    renderer: str = "auto"
    theme: str = "tomoseg-dark"
    mouse: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by action id, several with commas between."""


def xdg_home(variable: str, usual: str, environment: Mapping[str, str]) -> Path:
    """Return the folder that a variable of the XDG base directories names, else the usual one in the home."""
    named = environment.get(variable, "")
    return Path(named) if named else Path(environment.get("HOME", "~")).expanduser() / usual


def config_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the config lies."""
    return xdg_home("XDG_CONFIG_HOME", ".config", environment) / "tomoseg" / "config.toml"


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
