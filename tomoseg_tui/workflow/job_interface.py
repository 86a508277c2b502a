"""How a recipe speaks with whoever watches it: progress, figures, a log, and the wish to stop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from tomoseg_tui.files.atomic import append_line


class StopRequested(Exception):  # noqa: N818  # not a fault: the user has asked for it
    """The recipe was asked to stop and has kept what is finished."""


@dataclass(frozen=True)
class Workload:
    """How much a job has to do, in the units that its pace is kept in (`project.paces`)."""

    key: str
    """Under which its pace is kept."""
    units: float
    """Those of one of its processes."""
    epochs: int = 1
    """Epochs of a training."""
    held_out: int = 0
    """Tiles that are looked at after each."""
    validations: int = 0
    """Looks at tiles in all."""
    tiles_bytes: int = 0
    """Memory that grows with the tiles."""
    is_typical: bool = True
    """False where its pace would tell other jobs nothing."""
    size: float = 0.0
    """All work of all processes, in operations or voxels: what jobs are compared by that differ in units."""
    family: str = ""
    """Jobs whose speed in `size` is alike: same network and device."""
    peak_gpu_bytes: Callable[[], int] = lambda: 0
    """Tells the most memory of a GPU that was had."""


class Reporter(Protocol):
    """What a recipe is handed."""

    @property
    def partial(self) -> Path:
        """Folder for results in the making; there as long as the job is not done."""
        ...

    @property
    def number(self) -> int:
        """0 in the first process of a job; its helpers are counted from 1."""
        ...

    @property
    def is_helper(self) -> bool:
        """True if this process computes beside the one that finishes the job."""
        ...

    def set_workload(self, workload: Workload) -> None:
        """Tell how much there is to do, as soon as that is known and before anything of it is done."""
        ...

    def progress(self, done: float, message: str = "", *, epoch: int | None = None, epochs: int | None = None) -> None:
        """Report how much is done, from 0 to 1, what is being done, and of a training the epoch it is in, from 1."""
        ...

    def log(self, line: str) -> None:
        """Tell something that the user may want to read later."""
        ...

    def metrics(self, figures: Mapping[str, object]) -> None:
        """Keep a line of figures."""
        ...

    def filter_metrics(self, is_wanted: Callable[[Mapping[str, object]], bool]) -> None:
        """Drop the lines of figures that are not wanted, and what a crash has left of one."""
        ...

    def should_stop(self) -> bool:
        """Tell whether the user has asked to stop."""
        ...

    def start_helpers(self, count: int) -> None:
        """Start further processes of the same job in its process group."""
        ...


def stop_if_requested(reporter: Reporter) -> None:
    """End the recipe here if that was asked for."""
    if reporter.should_stop():
        raise StopRequested


class FinishedSlabs:
    """The list of slabs that are on disk; one line a slab, appended after the slab itself is safe.

    Parameters
    ----------
    path : Path
        The list. Those of helpers stand beside it: over a network, lines of two hosts in one file may be lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[int, dict[str, object]]:
        """Return what was noted of each finished slab, by its number. A line cut short by a crash is passed over."""
        notes: dict[int, dict[str, object]] = {}
        for path in (self._path, *self._path.parent.glob(f"{self._path.stem}_*.jsonl")):
            try:
                lines = path.read_bytes().splitlines()
            except FileNotFoundError:
                continue
            for line in lines:
                try:
                    note = msgspec.json.decode(line, type=dict[str, object])
                except msgspec.MsgspecError:
                    continue
                notes[int(str(note["slab"]))] = note
        return notes

    def add(self, slab: int, *, process_number: int = 0, **note: object) -> None:
        """List a slab that is on disk; `process_number` is that of the process in its job."""
        path = self._path if process_number == 0 else self._path.with_stem(f"{self._path.stem}_{process_number}")
        append_line(path, msgspec.json.encode({"slab": slab, **note}).decode())


def slab_ranges(start: int, stop: int, thickness: int) -> list[tuple[int, int]]:
    """Return the slabs from `start` to `stop`, the last one thinner where it must be."""
    return [(z, min(z + thickness, stop)) for z in range(start, stop, thickness)]
