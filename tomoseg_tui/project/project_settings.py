"""Read and write project.toml, with the resources that jobs ask of Slurm; errors name the key."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import tomli_w

from tomoseg_tui.errors import NotAProjectError, SettingsError, UsageError
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.files.structured import MalformedError, read_toml

_VALUE = re.compile(r"[^\s\x00-\x1f\x7f]+")
_RESERVED_OPTIONS = frozenset(
    {
        "array", "chdir", "dependency", "error", "export", "export-file", "help", "job-name", "no-requeue", "open-mode",
        "output", "parsable", "requeue", "signal", "test-only", "usage", "version", "wait", "wrap",
    }
)  # fmt: skip
"""Options of sbatch that every job sets itself, or that would keep sbatch from answering with a number."""
_OPTION_NAMES = {"memory": "mem", "cpus": "cpus-per-task"}


@dataclass(frozen=True)
class SlurmSettings:
    """Resources of one job in sbatch's syntax; an empty value leaves the choice to the cluster."""

    partition: str = ""
    """Partition; of several, separated by commas, the first one free is used."""
    time: str = ""
    """Time limit, such as `2:00:00` or `1-12`; at the limit the job is saved, queued again and resumed."""
    memory: str = ""
    """Memory per node, such as `16G`."""
    gres: str = ""
    """Devices, such as `gpu:1`; with a GPU the job runs on it."""
    cpus: str = ""
    """CPUs of a job, or of each task of an array."""
    account: str = ""
    """Account to charge."""
    qos: str = ""
    """Quality of service."""
    constraint: str = ""
    """Required features of the node."""
    extra: tuple[str, ...] = ()
    """Further options of sbatch, each as one string such as `--exclude=node3`; only from project.toml."""

    def __post_init__(self) -> None:
        """Reject invalid options of sbatch.

        Raises
        ------
        UsageError
            If a value contains spaces, or an extra option is invalid or reserved.
        """
        for key in KEYS:
            value = getattr(self, key)
            if value and not _VALUE.fullmatch(value):
                raise UsageError(f"slurm {key} {value!r} is not one word.", f"Write it as {key}=VALUE, without spaces.")
        for option in self.extra:
            if not re.match(r"--[a-z]", option) or not _VALUE.fullmatch(option):
                raise UsageError(
                    f"slurm extra {option!r} is not an option.", "Write it as --option=VALUE, without spaces."
                )
            name = option[2:].partition("=")[0]
            reserved = sorted(full for full in _RESERVED_OPTIONS if full.startswith(name))  # sbatch takes abbreviations
            if reserved:
                raise UsageError(
                    f"slurm extra {option!r} stands for --{reserved[0]}, which is set by every job itself.",
                    "Remove it from project.toml, or write another option in full.",
                )

    @property
    def wants_gpu(self) -> bool:
        """True if the devices include a GPU."""
        return any(part.split(":")[0].split("/")[-1] == "gpu" for part in self.gres.split(","))

    @property
    def options(self) -> list[str]:
        """The options of sbatch."""
        options = [f"--{_OPTION_NAMES.get(key, key)}={getattr(self, key)}" for key in KEYS if getattr(self, key)]
        return [*options, *self.extra]

    def with_options(self, text: str) -> "SlurmSettings":
        """Return the settings changed by a text such as ``partition=gpu,time=2:00:00``.

        Examples
        --------
        >>> SlurmSettings(time="1:00:00", memory="4G").with_options("memory=16G,gres=gpu:1").options
        ['--time=1:00:00', '--mem=16G', '--gres=gpu:1']
        """
        changes: dict[str, Any] = dict(_parse_options(text))
        return replace(self, **changes)

    def as_table(self) -> Mapping[str, object]:
        """Return the values that are set, as in project.toml."""
        return {key: list(value) if key == "extra" else value for key, value in asdict(self).items() if value}


def _parse_options(text: str) -> dict[str, str]:
    """Return the values by key; a part without = belongs to the value before it, as in ``partition=a,b``."""
    values: dict[str, str] = {}
    key = ""
    for piece in text.split(",") if text else ():
        name, equals, value = piece.partition("=")
        if equals and name in KEYS:
            key = name
            values[key] = value
        elif key and not equals:
            values[key] += f",{piece}"
        else:
            fix = f"Write --slurm {KEYS[0]}=NAME,time=2:00:00; the keys are {', '.join(KEYS)}."
            raise UsageError(f"--slurm has no key for {piece!r}.", fix)
    return values


FORMAT = 1
"""Format of the project folder that this version writes."""


KEYS = tuple(field.name for field in fields(SlurmSettings) if field.name != "extra")
"""Keys of `--slurm`."""


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
        values = read_toml(path)
    except FileNotFoundError as fault:
        raise NotAProjectError(
            f"{path.parent} is not a tomoseg project.", "Make it one: tomoseg init DIR; or name one: --project DIR."
        ) from fault
    except (OSError, MalformedError) as fault:
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


def encode_settings(settings: ProjectSettings) -> bytes:
    """Return the content of project.toml."""
    values = {"format": settings.format, "features": list(settings.features), "settings": {"seed": settings.seed}}
    slurm = {**settings.slurm.as_table(), **({"always": True} if settings.always_slurm else {})}
    if slurm:
        values["slurm"] = slurm
    return tomli_w.dumps(values).encode()


def write_settings(path: Path, settings: ProjectSettings) -> None:
    """Replace project.toml."""
    write_atomically(path, encode_settings(settings))
