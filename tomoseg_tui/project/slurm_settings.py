"""Slurm resources of a job, from `--slurm` and project.toml, as options of sbatch. Runs nothing."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tomoseg_tui.errors import UsageError

_VALUE = re.compile(r"[^\s\x00-\x1f\x7f]+")
_RESERVED_OPTIONS = frozenset(
    {"array", "dependency", "error", "export", "job-name", "output", "parsable", "requeue", "signal", "wrap"}
)
"""Options of sbatch that every job sets itself."""


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
            if option[2:].partition("=")[0] in _RESERVED_OPTIONS:
                raise UsageError(f"slurm extra {option!r} is set by every job itself.", "Remove it from project.toml.")

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


KEYS = tuple(field.name for field in fields(SlurmSettings) if field.name != "extra")
"""Keys of `--slurm`."""
_OPTION_NAMES = {"memory": "mem", "cpus": "cpus-per-task"}


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
