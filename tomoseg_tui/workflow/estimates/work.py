"""How much a job has to do; here of jobs without a network, so that their workers load neither HDF5 nor TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from math import prod
from typing import Any

import msgspec

from tomoseg_tui.core.binning import binned_shape
from tomoseg_tui.core.blocks import Zyx
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.project.timings import timing_key
from tomoseg_tui.workflow.job_interface import Workload
from tomoseg_tui.workflow.merge.merge_request import SLAB, MergeRequest
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest

MERGE_VOXELS_PER_SECOND, PREPROCESS_VOXELS_PER_SECOND = 2e7, 4e6
"""Where nothing was measured: of each map, and of the result."""
PLAIN_START_SECONDS, PLAIN_WORKER_BYTES = 0.5, 100e6
"""Of a worker without TensorFlow."""


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
    request = msgspec.convert(raw_request, MergeRequest)
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
    request = msgspec.convert(raw_request, PreprocessRequest)
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
