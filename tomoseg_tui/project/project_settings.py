"""project.toml to a dataclass and back, faults named by key."""

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w

from tomoseg_tui.errors import NotAProjectError, SettingsError, UsageError
from tomoseg_tui.files.atomic import write_whole
from tomoseg_tui.project.slurm_settings import KEYS, SlurmSettings

FORMAT = 1
"""Format of the project folder that this version writes."""


@dataclass(frozen=True)
class Settings:
    """What holds for the whole project."""

    format: int = FORMAT
    """Format of the folder; a newer one is opened for reading only."""
    features: tuple[str, ...] = ()
    """Names of the features, in the order in which they came."""
    seed: int = 0
    """What chance starts from; one seed repeats a run."""
    slurm: SlurmSettings = field(default_factory=SlurmSettings)
    """What jobs ask Slurm for, where they are sent there and say nothing else."""
    always_slurm: bool = False
    """Whether all jobs are handed to Slurm, unless they are to compute here."""

    @property
    def is_newer(self) -> bool:
        """True if a later version of tomoseg made the folder."""
        return self.format > FORMAT

    @property
    def usual_slurm(self) -> SlurmSettings | None:
        """What a job asks Slurm for of which nothing else is said; None if it computes on this machine."""
        return self.slurm if self.always_slurm else None

    def with_feature(self, name: str) -> "Settings":
        """Return the settings with one more feature."""
        return replace(self, features=(*self.features, name))


def read_settings(path: Path) -> Settings:
    """Read project.toml.

    Raises
    ------
    NotAProjectError
        If there is no such file.
    SettingsError
        If it is no TOML, or a key has a value of another kind.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as fault:
        raise NotAProjectError(
            f"{path.parent} is no tomoseg project.", "Make it one: tomoseg init DIR; or name one: --project DIR."
        ) from fault
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise SettingsError(f"{path} cannot be read: {fault}.", "Mend the file; it is plain TOML.") from fault
    settings = values.get("settings", {})
    _expect(path, "format", values.get("format"), int)
    _expect(path, "features", values.get("features", []), list)
    _expect(path, "settings", settings, dict)
    _expect(path, "settings.seed", settings.get("seed", 0), int)
    features = values.get("features", [])
    for feature in features:
        _expect(path, "features", feature, str)
    return Settings(values["format"], tuple(features), settings.get("seed", 0), *_read_slurm(path, values))


def _read_slurm(path: Path, values: dict[str, Any]) -> tuple[SlurmSettings, bool]:
    _expect(path, "slurm", values.get("slurm", {}), dict)
    table = dict(values.get("slurm", {}))
    always = table.pop("always", False)
    if not isinstance(always, bool):
        raise SettingsError(f"{path}: slurm.always is neither true nor false.", "Mend slurm.always in that file.")
    for key, value in table.items():
        if key not in {*KEYS, "extra"}:
            known = ", ".join([*KEYS, "extra", "always"])
            raise SettingsError(f"{path}: there is no key slurm.{key}.", f"Those there are: {known}.")
        _expect(path, f"slurm.{key}", value, list if key == "extra" else str)
    for option in table.get("extra", []):
        _expect(path, "slurm.extra", option, str)
    try:
        return SlurmSettings(**{**table, "extra": tuple(table.get("extra", []))}), always
    except UsageError as fault:
        raise SettingsError(f"{path}: {fault.fault}", fault.fix) from fault


def _expect(path: Path, key: str, value: object, kind: type) -> None:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise SettingsError(
            f"{path}: {key} should be of type {kind.__name__}, but is {value!r}.", f"Mend {key} in that file."
        )


def write_settings(path: Path, settings: Settings) -> None:
    """Write project.toml whole."""
    values = {"format": settings.format, "features": list(settings.features), "settings": {"seed": settings.seed}}
    slurm = {**settings.slurm.as_table(), **({"always": True} if settings.always_slurm else {})}
    if slurm:
        values["slurm"] = slurm
    write_whole(path, tomli_w.dumps(values))
