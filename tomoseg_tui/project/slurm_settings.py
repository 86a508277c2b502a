"""What to ask Slurm for: read from `--slurm` and from project.toml, turned into options of sbatch. Runs nothing."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tomoseg_tui.errors import UsageError

_VALUE = re.compile(r"[^\s\x00-\x1f\x7f]+")
_RESERVED_OPTIONS = frozenset(
    {"array", "dependency", "error", "export", "job-name", "output", "parsable", "requeue", "signal", "wrap"}
)
"""Options of sbatch that every job sets for itself."""


@dataclass(frozen=True)
class SlurmSettings:
    """Resources of one job, as sbatch understands them; empty is left to the cluster."""

    partition: str = ""
    """Where to wait; several with commas, the first that is free is taken."""
    time: str = ""
    """Longest time, as `2:00:00` or `1-12`; then the job keeps its work, waits again and goes on."""
    memory: str = ""
    """Memory on a node, as `16G`."""
    gres: str = ""
    """Devices, as `gpu:1`; with a GPU in it, the job computes there."""
    cpus: str = ""
    """Processors of a job, or of each task of an array."""
    account: str = ""
    """Who is charged."""
    qos: str = ""
    """Quality of service."""
    constraint: str = ""
    """Features that a node must have."""
    extra: tuple[str, ...] = ()
    """Further options of sbatch, each in one piece, as `--exclude=node3`; only from project.toml."""

    def __post_init__(self) -> None:
        """Refuse what no option of sbatch can be.

        Raises
        ------
        UsageError
            If a value is no single word, or an extra option is none, or one that every job sets for itself.
        """
        for key in KEYS:
            value = getattr(self, key)
            if value and not _VALUE.fullmatch(value):
                raise UsageError(f"slurm {key} {value!r} is not one word.", f"Write it as {key}=VALUE, without spaces.")
        for option in self.extra:
            if not re.match(r"--[a-z]", option) or not _VALUE.fullmatch(option):
                raise UsageError(f"slurm extra {option!r} is no option.", "Write each as --option=VALUE, in one piece.")
            if option[2:].partition("=")[0] in _RESERVED_OPTIONS:
                raise UsageError(f"slurm extra {option!r} is set by every job itself.", "Leave it out of project.toml.")

    @property
    def wants_gpu(self) -> bool:
        """True if a GPU is among the devices."""
        return any(part.split(":")[0].split("/")[-1] == "gpu" for part in self.gres.split(","))

    @property
    def options(self) -> list[str]:
        """Return them as sbatch takes them."""
        options = [f"--{_OPTION_NAMES.get(key, key)}={getattr(self, key)}" for key in KEYS if getattr(self, key)]
        return [*options, *self.extra]

    def with_options(self, text: str) -> "SlurmSettings":
        """Return the settings with what ``partition=gpu,time=2:00:00`` says otherwise.

        Examples
        --------
        >>> SlurmSettings(time="1:00:00", memory="4G").changed("memory=16G,gres=gpu:1").options
        ['--time=1:00:00', '--mem=16G', '--gres=gpu:1']
        """
        changes: dict[str, Any] = dict(_parse_options(text))
        return replace(self, **changes)

    def as_table(self) -> Mapping[str, object]:
        """Return what is said, as it stands in project.toml."""
        return {key: list(value) if key == "extra" else value for key, value in asdict(self).items() if value}


KEYS = tuple(field.name for field in fields(SlurmSettings) if field.name != "extra")
"""What `--slurm` can say."""
_OPTION_NAMES = {"memory": "mem", "cpus": "cpus-per-task"}


def _parse_options(text: str) -> dict[str, str]:
    """Return what was said by key; a piece without = belongs to the value before it, as in ``partition=a,b``."""
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
            fix = f"Write --slurm {KEYS[0]}=NAME,time=2:00:00; it knows {', '.join(KEYS)}."
            raise UsageError(f"--slurm does not know {piece!r}.", fix)
    return values
