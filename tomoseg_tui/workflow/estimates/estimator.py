"""What a job takes: time, memory, video memory and disk space, as commands and forms say it.

How much there is to do follows from the request: here, and in `network_work` for jobs with a network, so that workers
of others load no HDF5. How long that takes follows, in this order, from a timing measured on this machine, from the
speed of an earlier job of the project, or from the size of the work. Memory follows from a timing, or from the size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from math import prod
from typing import Any

import msgspec

from tomoseg_tui.core.binning import binned_shape
from tomoseg_tui.core.blocks import Zyx
from tomoseg_tui.core.eta import format_duration
from tomoseg_tui.errors import JobError
from tomoseg_tui.files.disk_space import format_bytes
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.project.timings import Timing, timing_key
from tomoseg_tui.workflow.job_interface import Workload, parse_request
from tomoseg_tui.workflow.merge.merge_request import SLAB, MergeRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest

MERGE_VOXELS_PER_SECOND, PREPROCESS_VOXELS_PER_SECOND = 2e7, 4e6
"""Where nothing was measured: of each map, and of the result."""
PLAIN_START_SECONDS, PLAIN_WORKER_BYTES = 0.5, 100e6
"""Of a worker without TensorFlow."""

MEASURED, GUESSED = "measured on this machine", "a guess from its size"
"""Sources of a time; the third is an earlier job."""


@dataclass(frozen=True)
class Speed:
    """How fast an earlier job was."""

    size_per_second: float
    """In units of `Workload.size`."""
    job: str
    """Its id."""


@dataclass(frozen=True)
class FreeResources:
    """What this machine has left."""

    memory_bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class Cost:
    """What one job takes, or several together."""

    seconds: float
    memory_bytes: int
    """Of all processes."""
    gpu_bytes: int | None
    """0 on the CPU, None if it was not measured."""
    disk_bytes: int
    source: str
    """How the time is known."""
    device: str = ""
    """``cpu``, ``gpu`` or ``gpu:N``; empty for jobs that take one core."""
    device_note: str = ""
    """Why it is this device, if ``auto`` was asked for."""

    @property
    def is_measured(self) -> bool:
        """Whether time and memory are measured on this machine."""
        return self.source == MEASURED


def estimate(work: "Work", timing: Timing | None, earlier: Speed | None = None) -> Cost:
    """Return what a job takes.

    Parameters
    ----------
    timing : Timing or None
        Measured on this machine for work of this kind.
    earlier : Speed or None
        Of an earlier job of the same network and device; used if there is no timing.
    """
    if timing is not None:
        workload = work.workload
        return Cost(
            timing.seconds(workload.units, validated_tiles=workload.validations),
            work.workers * timing.memory_bytes + workload.tiles_bytes,
            work.workers * timing.video_bytes,
            work.disk_bytes,
            MEASURED,
            work.device,
            work.device_note,
        )
    speed = work.guessed_speed if earlier is None else earlier.size_per_second
    source = GUESSED if earlier is None else f"going by job {earlier.job}"
    gpu_bytes = None if work.device.startswith("gpu") else 0
    seconds = work.start_seconds + work.workload.size / speed
    memory_bytes = round(work.guessed_bytes)
    return Cost(seconds, memory_bytes, gpu_bytes, work.disk_bytes, source, work.device, work.device_note)


def combine_costs(costs: Sequence[Cost], *, is_sequential: bool) -> Cost:
    """Return what several jobs take together.

    Parameters
    ----------
    is_sequential : bool
        Whether each waits for the one before; else each has a device of its own.
    """
    combine_seconds, combine_bytes = (sum, max) if is_sequential else (max, sum)
    gpu_bytes = [cost.gpu_bytes for cost in costs if cost.gpu_bytes is not None]
    sources = {cost.source for cost in costs}
    weakest = GUESSED if GUESSED in sources else max(sources - {MEASURED}, default=MEASURED)
    return Cost(
        combine_seconds(cost.seconds for cost in costs),
        combine_bytes(cost.memory_bytes for cost in costs),
        combine_bytes(gpu_bytes) if len(gpu_bytes) == len(costs) else None,
        sum(cost.disk_bytes for cost in costs),
        weakest if len(sources) == 1 else f"partly {weakest}",
        *next(((cost.device, cost.device_note) for cost in costs if cost.device), ("", "")),
    )


def format_cost(cost: Cost) -> str:
    """Return what jobs take in one line, as part of a sentence."""
    device = {"": "", "cpu": " on the CPU", "gpu": " on a GPU"}.get(cost.device, f" on GPU {cost.device[4:]}")
    device += f" ({cost.device_note})" if cost.device_note else ""
    video_memory = "" if cost.gpu_bytes == 0 else f"{_format_gpu_bytes(cost.gpu_bytes)} of video memory, "
    return (
        f"about {format_duration(cost.seconds)}{device}, {cost.source}; about {format_bytes(cost.memory_bytes)} of "
        f"memory, {video_memory}{format_bytes(cost.disk_bytes)} of disk space"
    )


def _format_gpu_bytes(gpu_bytes: int | None) -> str:
    return "an unknown amount" if gpu_bytes is None else format_bytes(gpu_bytes)


def require_resources(
    cost: Cost, free: FreeResources, *, less_memory: str, less_disk: str, workers: int = 1, in_slurm: bool = False
) -> None:
    """Refuse jobs for which memory or disk does not suffice.

    Parameters
    ----------
    less_memory, less_disk : str
        What to do where one of them does not suffice; see `jobs.kinds`.
    in_slurm : bool
        Whether Slurm runs them, on a node that has the memory.

    Raises
    ------
    JobError
        Says what would fit.
    """
    if cost.disk_bytes > free.disk_bytes:
        missing = format_bytes(cost.disk_bytes - free.disk_bytes)
        raise JobError(
            f"This takes {format_bytes(cost.disk_bytes)} of disk space; {format_bytes(free.disk_bytes)} is free.",
            f"Free about {missing} on that disk, or {less_disk}.",
        )
    if cost.memory_bytes > free.memory_bytes and not in_slurm:
        fitting_workers = int(free.memory_bytes * workers // cost.memory_bytes)
        use_less = f"Take fewer workers: --workers {fitting_workers}." if workers > fitting_workers > 0 else less_memory
        raise JobError(
            f"This takes about {format_bytes(cost.memory_bytes)} of memory; {format_bytes(free.memory_bytes)} is "
            "available.",
            use_less,
        )


@dataclass(frozen=True)
class Work:
    """How much a job has to do, and what is guessed of it."""

    kind: str
    workload: Workload
    disk_bytes: int
    """Of its results, those in the making among them."""
    start_seconds: float
    """Until the first unit is done, a guess."""
    guessed_speed: float
    """In units of `Workload.size` a second."""
    guessed_bytes: float
    """Memory of all its processes."""
    sample: dict[str, Any]
    """What a benchmark is asked to do a little of; empty if it cannot, because something is still to be made."""
    workers: int = 1
    device: str = ""
    """``cpu``, ``gpu`` or ``gpu:N``; empty if it takes one core."""
    device_note: str = ""
    """Why it is this device, if ``auto`` was asked for."""


def merge_work(project: Project, raw_request: Mapping[str, Any], _expected: Mapping[str, NetworkCard]) -> Work:
    """Return what a merge has to do; a unit is a slab. Maps that are still to be made count.

    Raises
    ------
    TomosegError
        If the tomogram is not there.
    """
    request = parse_request(raw_request, MergeRequest)
    shape_zyx = catalog.load_tomogram(project.layout, request.tomogram).shape_zyx
    maps, voxels = len(request.maps or request.words), prod(shape_zyx)
    return Work(
        "merge",
        Workload(
            timing_key("merge", maps, plane_size(shape_zyx)),
            units=-(-shape_zyx[0] // SLAB),
            size=maps * voxels,
            family="merge",
        ),
        disk_bytes=voxels * (1 if request.output is None else 2),
        start_seconds=PLAIN_START_SECONDS,
        guessed_speed=MERGE_VOXELS_PER_SECOND,
        guessed_bytes=PLAIN_WORKER_BYTES + 10 * maps * min(SLAB * prod(shape_zyx[1:]), 2**22),
        sample=msgspec.to_builtins(request) if request.maps else {},
    )


def preprocess_work(project: Project, raw_request: Mapping[str, Any], _expected: Mapping[str, NetworkCard]) -> Work:
    """Return what a preprocess has to do; a unit is a voxel of the versions that are made.

    Raises
    ------
    TomosegError
        If a tomogram is not there.
    """
    request = parse_request(raw_request, PreprocessRequest)
    shapes = [catalog.load_tomogram(project.layout, name).shape_zyx for name in request.tomograms]
    voxels = sum(prod(binned_shape(shape_zyx, request.factor)) for shape_zyx in shapes)
    return Work(
        "preprocess",
        Workload(
            timing_key("preprocess", request.factor, *astuple(request.chain), plane_size(shapes[0])),
            units=voxels,
            is_typical=same_shape(shapes),
            size=voxels,
            family=f"preprocess bin {request.factor}",
        ),
        disk_bytes=4 * voxels,  # float32
        start_seconds=PLAIN_START_SECONDS,
        guessed_speed=PREPROCESS_VOXELS_PER_SECOND,
        guessed_bytes=3 * PLAIN_WORKER_BYTES,
        sample=msgspec.to_builtins(request),
    )


def plane_size(shape_zyx: Zyx) -> str:
    """Return the size of a slice as keys name it."""
    return "x".join(map(str, shape_zyx[1:]))


def same_shape(shapes: Sequence[Zyx]) -> bool:
    """Tell whether volumes are of one size, so that what one takes the others take."""
    return len(set(shapes)) == 1
