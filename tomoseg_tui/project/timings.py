"""How fast this machine is at something, measured once and kept for the user: ``$XDG_CACHE_HOME/tomoseg/paces.json``.

Kept by what was done, on which host and device, by which version. A file that cannot be read is as good as none,
and of two processes that write at once one may lose its figure: it is measured again then.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tomoseg_tui import __version__
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.project.user_config import xdg_home

MAX_TIMINGS = 200
"""The oldest go first."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """What a process took that did a little of a job's work."""

    start_seconds: float
    """From its start until the first unit of work was about to be done."""
    unit_seconds: float
    """A unit of work; which that is depends on the kind of job."""
    judging_seconds: float = 0.0
    """A look at a held-out tile; trainings only."""
    memory_bytes: int
    """The most that it had resident, what grows with the number of tiles taken off."""
    video_bytes: int = 0
    """The most that it had on a GPU; 0 on the CPU."""

    def seconds(self, units: float, *, validated_tiles: int = 0) -> float:
        """Return what so many units of work take, and looks at so many held-out tiles."""
        return self.start_seconds + units * self.unit_seconds + validated_tiles * self.judging_seconds


def timing_key(*parts: object) -> str:
    """Return the name under which a pace is kept: what was done here, by this version."""
    return " ".join(map(str, (__version__, socket.gethostname(), len(os.sched_getaffinity(0)), *parts)))


def timings_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the paces lie."""
    return xdg_home("XDG_CACHE_HOME", ".cache", environment) / "tomoseg" / "paces.json"


def load_timings(path: Path) -> dict[str, Timing]:
    """Return all that was measured."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Timing])
    return {}


def store_timing(path: Path, key: str, timing: Timing) -> None:
    """Keep what was measured; where that is not possible, nothing is lost but a moment next time."""
    others = {name: value for name, value in load_timings(path).items() if name != key}
    newest = dict([*others.items(), (key, timing)][-MAX_TIMINGS:])
    with contextlib.suppress(OSError):
        write_atomically(path, msgspec.json.encode(newest))
