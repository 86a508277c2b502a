"""The user's configuration for all projects.

``$XDG_CONFIG_HOME/tomoseg/config.toml``: ``renderer``, ``theme``, ``mouse`` and a table ``[keys]`` of action
ids to keys; ``queue_folder``, where jobs wait for their device; a table ``[notice]`` with ``bell = true`` and
``osc = "9"``, ``"777"`` or ``"off"``; and ``on_finish``, a command as a list of strings, run when a job has ended.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tomoseg_tui.errors import SettingsError
from tomoseg_tui.files.structured import MalformedError, read_toml

OSC_MODES = ("off", "9", "777")
"""Ways to notify through the terminal: none, or one of these control sequences."""


@dataclass(frozen=True)
class NotificationConfig:
    """Notification by the terminal when a watched job has ended."""

    bell: bool = True
    osc: str = "off"
    """One of `OSC_MODES`; 9 is supported by iTerm2, kitty and Windows Terminal, 777 by urxvt, foot and WezTerm."""


@dataclass(frozen=True)
class UserConfig:
    """The user's configuration."""

    renderer: str = "auto"
    theme: str = "tomoseg-dark"
    mouse: bool = True
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys by action id, several separated by commas."""
    notice: NotificationConfig = field(default_factory=NotificationConfig)
    on_finish: tuple[str, ...] = ()
    """Program and arguments, run when a job is done or has failed; empty for none."""
    queue_folder: Path | None = None
    """Folder of the device queues; None for the system's temporary folder."""


def xdg_home(variable: str, default: str, environment: Mapping[str, str]) -> Path:
    """Return the folder named by a variable of the XDG base directories, else the default in the home folder."""
    configured = environment.get(variable, "")
    return Path(configured) if configured else Path(environment.get("HOME", "~")).expanduser() / default


def config_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the configuration."""
    return xdg_home("XDG_CONFIG_HOME", ".config", environment) / "tomoseg" / "config.toml"


def read_config(path: Path) -> UserConfig:
    """Read the configuration; a missing file counts as empty.

    Raises
    ------
    SettingsError
        If the file is not TOML, or a value has the wrong type.
    """
    try:
        values = read_toml(path)
    except FileNotFoundError:
        return UserConfig()
    except (OSError, MalformedError) as fault:
        raise SettingsError(f"{path} cannot be read: {fault}.", "Correct the file; its format is TOML.") from fault
    kinds: dict[str, type] = {
        "renderer": str, "theme": str, "mouse": bool, "keys": dict, "notice": dict, "on_finish": list,
        "queue_folder": str,
    }  # fmt: skip
    _check_kinds(path, values, kinds)
    if "keys" in values:
        values["keys"] = {str(action): str(key) for action, key in values["keys"].items()}
    if "notice" in values:
        values["notice"] = _parse_notification(path, values["notice"])
    if "on_finish" in values:
        values["on_finish"] = _parse_argv(path, values["on_finish"])
    if "queue_folder" in values:
        try:
            values["queue_folder"] = Path(values["queue_folder"]).expanduser()
        except RuntimeError as fault:  # no such user
            raise SettingsError(f"{path}: queue_folder: {fault}", "Write it as a full path.") from fault
    return UserConfig(**values)


def _check_kinds(path: Path, values: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    for key, value in values.items():
        if key not in kinds:
            raise SettingsError(f"{path}: there is no setting {key}.", f"Use one of: {', '.join(kinds)}.")
        if not isinstance(value, kinds[key]):
            raise SettingsError(
                f"{path}: {key} must be of type {kinds[key].__name__}, but is {value!r}.",
                f"Correct {key} in that file.",
            )


def _parse_notification(path: Path, values: dict[str, Any]) -> NotificationConfig:
    values = {key: str(value) if key == "osc" and value in (9, 777) else value for key, value in values.items()}
    _check_kinds(path, values, {"bell": bool, "osc": str})
    config = NotificationConfig(**values)
    if config.osc not in OSC_MODES:
        raise SettingsError(f"{path}: osc is {config.osc!r}.", f"Use one of {', '.join(OSC_MODES)}.")
    return config


def _parse_argv(path: Path, values: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(value, str) for value in values):
        raise SettingsError(f"{path}: on_finish is not a list of strings.", 'Write it as ["program", "argument"].')
    return tuple(values)
