"""Timings of this machine, measured once and stored for the user in ``$XDG_CACHE_HOME/tomoseg/paces.json``.

Timings are stored by workload, host, device and version. An unreadable file counts as empty. If two processes write
at once, one timing may be lost and is measured again.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tomoseg_tui import __version__
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.files.structured import MalformedError, read_json
from tomoseg_tui.project.user_config import xdg_home

MAX_TIMINGS = 200
"""Most timings stored; the oldest are dropped first."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Time and memory of a process that did a small part of a job's work."""

    start_seconds: float
    """Time from its start to the first unit of work."""
    unit_seconds: float
    """Time per unit of work; the unit depends on the kind of job."""
    judging_seconds: float = 0.0
    """Time to evaluate one validation tile; trainings only."""
    memory_bytes: int
    """Peak resident memory, without the part that grows with the number of tiles."""
    video_bytes: int = 0
    """Peak GPU memory; 0 on the CPU."""

    def seconds(self, units: float, *, validated_tiles: int = 0) -> float:
        """Return the time for these units of work and evaluated validation tiles, s."""
        return self.start_seconds + units * self.unit_seconds + validated_tiles * self.judging_seconds


def timing_key(*parts: object) -> str:
    """Return the key of a timing: version, host, number of CPUs, and the given parts."""
    return " ".join(map(str, (__version__, socket.gethostname(), len(os.sched_getaffinity(0)), *parts)))


def timings_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the stored timings."""
    return xdg_home("XDG_CACHE_HOME", ".cache", environment) / "tomoseg" / "paces.json"


def load_timings(path: Path) -> dict[str, Timing]:
    """Return all stored timings by key."""
    with contextlib.suppress(OSError, MalformedError):
        return read_json(path, dict[str, Timing])
    return {}


def store_timing(path: Path, key: str, timing: Timing) -> None:
    """Store a timing; errors of the disk are ignored, as it can be measured again."""
    others = {name: value for name, value in load_timings(path).items() if name != key}
    newest = dict([*others.items(), (key, timing)][-MAX_TIMINGS:])
    with contextlib.suppress(OSError):
        write_atomically(path, msgspec.json.encode(newest))


def stored_timing(key: str) -> Timing | None:
    """Return a pace that was measured or that an earlier job has had, None if there is none."""
    return load_timings(timings_file()).get(key)
