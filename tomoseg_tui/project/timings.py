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
from tomoseg_tui.files.atomic import write_whole
from tomoseg_tui.project.user_config import xdg_home

MOST_KEPT = 200
"""The oldest go first."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
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

    def seconds(self, units: float, *, judged: int = 0) -> float:
        """Return what so many units of work take, and looks at so many held-out tiles."""
        return self.start_seconds + units * self.unit_seconds + judged * self.judging_seconds


def pace_key(*words: object) -> str:
    """Return the name under which a pace is kept: what was done here, by this version."""
    return " ".join(map(str, (__version__, socket.gethostname(), len(os.sched_getaffinity(0)), *words)))


def paces_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the paces lie."""
    return xdg_home("XDG_CACHE_HOME", ".cache", environment) / "tomoseg" / "paces.json"


def known_paces(path: Path) -> dict[str, Pace]:
    """Return all that was measured."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Pace])
    return {}


def remember_pace(path: Path, key: str, pace: Pace) -> None:
    """Keep what was measured; where that is not possible, nothing is lost but a moment next time."""
    known = {name: value for name, value in known_paces(path).items() if name != key}
    kept = dict([*known.items(), (key, pace)][-MOST_KEPT:])
    with contextlib.suppress(OSError):
        write_whole(path, msgspec.json.encode(kept))
