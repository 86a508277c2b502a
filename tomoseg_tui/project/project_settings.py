"""Read and write project.toml; errors name the key."""

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w

from tomoseg_tui.errors import NotAProjectError, SettingsError, UsageError
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.project.slurm_settings import KEYS, SlurmSettings

FORMAT = 1
"""Format of the project folder that this version writes."""


@dataclass(frozen=True)
class ProjectSettings:
    """Settings of a project."""

    format: int = FORMAT
    """Format of the folder; a newer one can only be read."""
    features: tuple[str, ...] = ()
    """Names of the features, in the order in which they were added."""
    seed: int = 0
    """Default seed of all randomness; a seed makes a run repeatable."""
    slurm: SlurmSettings = field(default_factory=SlurmSettings)
    """Resources requested from Slurm by default."""
    always_slurm: bool = False
    """Submit all jobs to Slurm unless requested otherwise."""

    @property
    def is_newer(self) -> bool:
        """True if a newer version of tomoseg made the folder."""
        return self.format > FORMAT

    @property
    def default_slurm(self) -> SlurmSettings | None:
        """Slurm resources of a job without options; None if it runs on this machine."""
        return self.slurm if self.always_slurm else None

    def with_feature(self, name: str) -> "ProjectSettings":
        """Return the settings with one more feature."""
        return replace(self, features=(*self.features, name))


def read_settings(path: Path) -> ProjectSettings:
    """Read project.toml.

    Raises
    ------
    NotAProjectError
        If there is no such file.
    SettingsError
        If it is not TOML, or a value has the wrong type.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise NotAProjectError(
            f"{path.parent} is not a tomoseg project.", "Make it one: tomoseg init DIR; or name one: --project DIR."
        ) from fault
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise SettingsError(f"{path} cannot be read: {fault}.", "Correct the file; its format is TOML.") from fault
    settings = values.get("settings", {})
    _require_type(path, "format", values.get("format"), int)
    _require_type(path, "features", values.get("features", []), list)
    _require_type(path, "settings", settings, dict)
    _require_type(path, "settings.seed", settings.get("seed", 0), int)
    features = values.get("features", [])
    for feature in features:
        _require_type(path, "features", feature, str)
    return ProjectSettings(values["format"], tuple(features), settings.get("seed", 0), *_read_slurm(path, values))


def _read_slurm(path: Path, values: dict[str, Any]) -> tuple[SlurmSettings, bool]:
    _require_type(path, "slurm", values.get("slurm", {}), dict)
    table = dict(values.get("slurm", {}))
    always = table.pop("always", False)
    if not isinstance(always, bool):
        raise SettingsError(f"{path}: slurm.always is neither true nor false.", "Correct slurm.always in that file.")
    for key, value in table.items():
        if key not in {*KEYS, "extra"}:
            key_names = ", ".join([*KEYS, "extra", "always"])
            raise SettingsError(f"{path}: there is no key slurm.{key}.", f"Use one of: {key_names}.")
        _require_type(path, f"slurm.{key}", value, list if key == "extra" else str)
    for option in table.get("extra", []):
        _require_type(path, "slurm.extra", option, str)
    try:
        return SlurmSettings(**{**table, "extra": tuple(table.get("extra", []))}), always
    except UsageError as fault:
        raise SettingsError(f"{path}: {fault.fault}", fault.fix) from fault


def _require_type(path: Path, key: str, value: object, expected_type: type) -> None:
    if not isinstance(value, expected_type) or isinstance(value, bool):
        raise SettingsError(
            f"{path}: {key} must be of type {expected_type.__name__}, but is {value!r}.", f"Correct {key} in that file."
        )


def write_settings(path: Path, settings: ProjectSettings) -> None:
    """Replace project.toml."""
    values = {"format": settings.format, "features": list(settings.features), "settings": {"seed": settings.seed}}
    slurm = {**settings.slurm.as_table(), **({"always": True} if settings.always_slurm else {})}
    if slurm:
        values["slurm"] = slurm
    write_atomically(path, tomli_w.dumps(values))
