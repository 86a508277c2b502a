"""The interface between a running job and its observers: progress, metrics, log, and requests to stop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from tomoseg_tui.errors import JobError
from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.files.structured import MalformedError, decode_json


class StopRequested(Exception):  # noqa: N818  # not an error
    """The user stopped the job; finished parts are saved."""


@dataclass(frozen=True)
class Workload:
    """Amount of work of a job, in the units of its timing (`project.timings`)."""

    key: str
    """Key of the timing."""
    units: float
    """Units of work for one of the job's processes."""
    epochs: int = 1
    """Epochs of a training."""
    held_out: int = 0
    """Validation tiles evaluated after each epoch."""
    validations: int = 0
    """Evaluations of validation tiles in all."""
    tiles_bytes: int = 0
    """Memory that grows with the number of tiles."""
    is_typical: bool = True
    """False if its timing is of no use for other jobs."""
    size: float = 0.0
    """Work of all processes, in operations or voxels; compares jobs with different units."""
    family: str = ""
    """Jobs of one family have the same network and device, and a similar speed in `size`."""
    peak_gpu_bytes: Callable[[], int] = lambda: 0
    """Returns the peak memory on the GPU."""


class Reporter(Protocol):
    """Passed to a job's code to report to its observers."""

    @property
    def partial(self) -> Path:
        """Folder for unfinished results; exists until the job is done."""
        ...

    @property
    def number(self) -> int:
        """0 for the first process of a job; its helpers are numbered from 1."""
        ...

    @property
    def is_helper(self) -> bool:
        """True if another process of the job finishes it."""
        ...

    def set_device(self, name: str, text: str) -> None:
        """Say what the job computes on: its name, and a line for the log."""
        ...

    def set_workload(self, workload: Workload) -> None:
        """Set the amount of work, as soon as it is known and before any of it is done."""
        ...

    def progress(self, done: float, message: str = "", *, epoch: int | None = None, epochs: int | None = None) -> None:
        """Report the share done, from 0 to 1, a description, and for a training its epoch, from 1."""
        ...

    def log(self, line: str) -> None:
        """Write a line to the log for the user."""
        ...

    def metrics(self, figures: Mapping[str, object]) -> None:
        """Append a line of metrics."""
        ...

    def filter_metrics(self, is_wanted: Callable[[Mapping[str, object]], bool]) -> None:
        """Remove unwanted lines of metrics, and an incomplete line left by a crash."""
        ...

    def should_stop(self) -> bool:
        """Return whether the user has stopped the job."""
        ...

    def start_helpers(self, count: int) -> None:
        """Start further processes of the same job in its process group."""
        ...


def stop_if_requested(reporter: Reporter) -> None:
    """Raise StopRequested if the user has stopped the job."""
    if reporter.should_stop():
        raise StopRequested


RequestType = TypeVar("RequestType", bound=msgspec.Struct)


def parse_request(raw_request: Mapping[str, Any], kind: type[RequestType]) -> RequestType:
    """Return the request in the record of a job; raise JobError if it is damaged."""
    try:
        return msgspec.convert(raw_request, kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise JobError(f"The request of the job is damaged: {fault}.", "Start the job again, as a new one.") from fault


class FinishedSlabs:
    """The list of slabs on disk, one per line, appended after the slab is on disk.

    Parameters
    ----------
    path : Path
        The list. Helpers have lists of their own beside it, because lines that two hosts append to one file over a
        network may be lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[int, dict[str, object]]:
        """Return the notes on each finished slab by its number; incomplete lines left by a crash are skipped."""
        notes: dict[int, dict[str, object]] = {}
        for path in (self._path, *self._path.parent.glob(f"{self._path.stem}_*.jsonl")):
            try:
                lines = path.read_bytes().splitlines()
            except FileNotFoundError:
                continue
            for line in lines:
                try:
                    note = decode_json(line, dict[str, object])
                    notes[int(str(note["slab"]))] = note
                except (MalformedError, KeyError, ValueError):
                    continue
        return notes

    def add(self, slab: int, *, process_number: int = 0, **note: object) -> None:
        """Add a slab that is on disk, with the number of this process in its job."""
        path = self._path if process_number == 0 else self._path.with_stem(f"{self._path.stem}_{process_number}")
        append_line(path, msgspec.json.encode({"slab": slab, **note}).decode())


def slab_ranges(start: int, stop: int, thickness: int) -> list[tuple[int, int]]:
    """Return the slabs from `start` to `stop`; the last one may be thinner."""
    return [(z, min(z + thickness, stop)) for z in range(start, stop, thickness)]


@dataclass(frozen=True)
class PendingOutputs:
    """Outputs that will exist when they are needed; their checks are made then."""

    runs: frozenset[str] = frozenset()
    tomograms: frozenset[str] = frozenset()
    maps: frozenset[tuple[str, str]] = frozenset()
    """Pairs of tomogram and run."""


NO_PENDING_OUTPUTS = PendingOutputs()
