"""How long an apply takes, and how much memory and disk: from earlier jobs where there are any, else from the cost."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from tomoseg_tui.core.network_settings import network_named
from tomoseg_tui.project.records import NetworkCard, TomogramRecord
from tomoseg_tui.project.timings import Timing, timing_key
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.volume_names import parse_z_range

START_SECONDS = 4.0
"""TensorFlow wakes and a network is compiled before the first slab."""
FLOPS_PER_CORE = 5e10
"""Per second, on one core: half of the 9e10 that the U-Net reaches where nothing else runs."""
GPU_FLOPS = 2e12
"""Per second, that a plain GPU reaches: reading and writing slices then take most of the time."""
BASE_BYTES = 600e6
"""Memory of a worker that has TensorFlow, a network and a small slice."""
BYTES_PER_PIXEL = 400.0
"""Memory for each pixel of a piece: its slab of densities and maps, and the network's channels."""
MAX_PIXELS = 1024 * 1024
"""Of a piece with the margin around it; larger slices are cut."""


@dataclass(frozen=True)
class PastApply:
    """What an earlier job took."""

    network: str
    device: str
    workers: int
    voxels: int
    seconds: float
    peak_bytes: int | None
    tta: int = 1
    """Copies of each slice that were averaged."""


@dataclass(frozen=True)
class ApplyEstimate:
    """What an apply will take."""

    seconds: float
    memory_bytes: float
    """Of all its workers."""
    disk_bytes: int
    """Of the maps, one byte a voxel."""
    from_jobs: int
    """Earlier jobs that it was learned from; 0: from the network's cost alone, or from a measurement."""
    is_measured: bool = False
    """True if a process has done a little of it on this machine."""
    gpu_bytes: int = 0
    """Of all its workers, where that was measured."""


def estimate_apply(  # noqa: PLR0913  # one keyword a setting of the job
    card: NetworkCard,
    records: Sequence[TomogramRecord],
    past_jobs: Sequence[PastApply],
    *,
    features: int,
    z: str | None = None,
    device: str = "cpu",
    workers: int = 1,
    tta: int = 1,
    timing: Timing | None = None,
) -> ApplyEstimate:
    """Estimate what it takes to apply a network.

    Parameters
    ----------
    card : NetworkCard
        The network.
    records : sequence of TomogramRecord
        The tomograms.
    past_jobs : sequence of PastApply
        Earlier jobs of the project. Those of the same network and kind of device count.
    features : int
        Maps made of each tomogram.
    z : str or None
        Slices ``A:B``, all for None.
    device : str
        ``cpu``, ``gpu`` or ``gpu:N``.
    workers : int
        Processes that share the slabs. On the CPU they share the cores too, and gain no time here.
    tta : int
        Copies of each slice that are averaged; each takes as long as a plain slice.
    timing : Pace or None
        As `jobs.measuring` has found it for this very apply; earlier jobs do not count then.

    Raises
    ------
    ProjectError
        If a tomogram has no such slices.
    """
    voxels = sum(voxels_of(record, z) for record in records)
    if timing is not None:
        seconds, memory_bytes = timing.seconds(voxels / workers), workers * timing.memory_bytes
        gpu_bytes = workers * timing.video_bytes
        return ApplyEstimate(seconds, memory_bytes, voxels * features, 0, is_measured=True, gpu_bytes=gpu_bytes)
    similar_jobs = [
        job for job in past_jobs if job.network == card.network and _device_kind(job.device) == _device_kind(device)
    ]
    pixels = min(max((record.shape_zyx[1] * record.shape_zyx[2] for record in records), default=0), MAX_PIXELS)
    peaks = [job.peak_bytes for job in similar_jobs if job.peak_bytes is not None]
    worker_bytes = max(peaks, default=BASE_BYTES + BYTES_PER_PIXEL * pixels)
    return ApplyEstimate(
        seconds=START_SECONDS + voxels * tta / _voxels_per_second(card, similar_jobs, device),
        memory_bytes=worker_bytes * workers,
        disk_bytes=voxels * features,
        from_jobs=len(similar_jobs),
    )


def apply_timing_key(card: NetworkCard, records: Sequence[TomogramRecord], request: ApplyRequest) -> str:
    """Return the name under which the pace of an apply is kept: of its network and settings, and its slices' size."""
    plane = "x".join(map(str, records[0].shape_zyx[1:]))
    key_parts = (card.network, len(card.features), request.tta, request.half, request.threads, request.workers, plane)
    return timing_key("apply", request.device, *key_parts)


def voxels_of(record: TomogramRecord, z: str | None) -> int:
    """Return how many voxels the slices ``A:B`` of a tomogram have, all for None."""
    start, stop = parse_z_range(z, record.shape_zyx[0])
    return (stop - start) * prod(record.shape_zyx[1:])


def _device_kind(device: str) -> str:
    return device.partition(":")[0]


def _voxels_per_second(card: NetworkCard, similar_jobs: Sequence[PastApply], device: str) -> float:
    if similar_jobs:
        work_seconds = sum(max(job.seconds - START_SECONDS, 1.0) for job in similar_jobs)
        return sum(job.voxels * job.tta for job in similar_jobs) / work_seconds
    flops = network_named(card.network).flops_per_pixel(len(card.features))
    rate = GPU_FLOPS if _device_kind(device) == "gpu" else FLOPS_PER_CORE * len(os.sched_getaffinity(0))
    return rate / flops
