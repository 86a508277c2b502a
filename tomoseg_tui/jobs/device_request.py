"""Which devices a job waits for: the CPU, one GPU or any, or a core beside those at work. One job a device.

A training, an audit and an apply take all cores, and two of them at once would only hinder each other. Merging and
preprocessing take one core and little memory: they would not be worth a night's wait behind a training, so they run
beside it, a few at a time.
"""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, MutableMapping
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tomoseg_tui.jobs.kinds import KINDS

CORES_PER_LIGHT_JOB = 4
"""One of so many cores may be at a light job."""
AUTO_DEVICE = "auto"
"""Stands for a GPU that TensorFlow can use, else the CPU."""
BUSY_SHARE = 0.1
"""A GPU of whose memory programs hold more than this is taken only if no other is free."""


@dataclass(frozen=True)
class DeviceRequest:
    """What a job waits for."""

    devices: tuple[str, ...]
    """Any of these, the first one best; ``cpu``, ``gpu-0`` or ``core-0``."""
    text: str
    """As a person says it."""
    count: int = 1
    """How many of them."""
    find_busy: Callable[[], Collection[str]] = frozenset
    """Asked which of them other programs use; those come last."""

    def order_by_preference(self, free: Collection[str]) -> list[str]:
        """Return those that are free, the best first."""
        candidates = [device for device in self.devices if device in free]
        if len(candidates) < 2:
            return candidates
        busy = self.find_busy()
        return sorted(candidates, key=lambda device: device in busy)


@dataclass(frozen=True)
class ResolvedDevice:
    """The device that a job uses on this machine."""

    name: str
    """As `--device` names it, but never ``auto``."""
    note: str = ""
    """Why it is this one, if ``auto`` was asked for."""


def resolve_device(
    device: str, *, environment: Mapping[str, str] = os.environ, find_driver: Callable[[], Any] | None = None
) -> ResolvedDevice:
    """Return what a device means on this machine: ``auto`` is a GPU that TensorFlow can use, else the CPU.

    TensorFlow is not imported: that its libraries for GPUs are there is taken for enough. A worker whose TensorFlow
    finds no GPU all the same computes on the CPU. A driver may take a moment to answer, so no screen waits for it.

    Parameters
    ----------
    device : str
        As `--device` names it.
    environment : mapping
        ``CUDA_VISIBLE_DEVICES`` counts, and whether Slurm has set it.
    find_driver : callable, optional
        Returns NVIDIA's library or None; only asked for ``auto``.
    """
    if device != AUTO_DEVICE:
        return ResolvedDevice(device)
    if "SLURM_JOB_ID" in environment and "CUDA_VISIBLE_DEVICES" not in environment:
        # A GPU that is seen here may belong to another job.
        return ResolvedDevice("cpu", "auto: Slurm has given it no GPU")
    driver = (find_driver or _load_driver)()
    if driver is None or not visible_gpus(environment, driver):
        return ResolvedDevice("cpu", "auto: no GPU found here")
    if not has_cuda_libraries():
        return ResolvedDevice("cpu", "auto: no CUDA libraries found, tomoseg-tui[cuda] installs them")
    return ResolvedDevice("gpu", "auto")


def with_device(request: Mapping[str, Any], device: str) -> Mapping[str, Any]:
    """Return the request of a job with another device, where its kind has one."""
    return {**request, "device": device} if "device" in request else request


def has_cuda_libraries() -> bool:
    """Tell whether the libraries are installed that TensorFlow needs for a GPU."""
    with contextlib.suppress(ModuleNotFoundError):
        if find_spec("nvidia.cudnn") is not None:
            return True
    return any(Path(sys.prefix, "lib").glob("libcudnn.so*")) or find_library("cudnn") is not None


def device_request_for(
    kind: str,
    request: Mapping[str, Any],
    *,
    environment: Mapping[str, str] = os.environ,
    find_driver: Callable[[], Any] | None = None,
) -> DeviceRequest:
    """Return which devices a job waits for.

    Parameters
    ----------
    kind : str
        Of job.
    request : mapping
        Its request; ``device`` and ``workers`` count.
    environment : mapping
        ``CUDA_VISIBLE_DEVICES`` counts.
    find_driver : callable, optional
        Returns NVIDIA's library or None; only asked if a GPU is wished for.
    """
    if not KINDS[kind].needs_whole_device:
        slots = max(2, (os.cpu_count() or 1) // CORES_PER_LIGHT_JOB)
        return DeviceRequest(tuple(f"core-{number}" for number in range(slots)), "a core")
    device = resolve_device(str(request.get("device", "cpu")), environment=environment, find_driver=find_driver).name
    if not device.startswith("gpu"):
        return DeviceRequest(("cpu",), "the CPU")
    driver = (find_driver or _load_driver)()
    gpus = visible_gpus(environment, driver)
    number = device.partition(":")[2]
    if number:
        name = gpus[int(number)] if int(number) < len(gpus) else f"gpu-{number}"
        return DeviceRequest((name,), f"GPU {name.removeprefix('gpu-')}")
    count = max(1, min(int(request.get("workers", 1)), len(gpus)))
    return DeviceRequest(
        gpus or ("gpu-0",),
        f"{count} GPUs" if count > 1 else "a GPU",
        count,
        lambda: {gpu for gpu in gpus if _is_busy(driver, gpu)},
    )


@cache
def _load_driver() -> Any:
    from tomoseg_tui.jobs.system_load import nvml  # noqa: PLC0415  # psutil need not wake in a worker that sleeps

    return nvml()


def visible_gpus(environment: Mapping[str, str], driver: Any) -> tuple[str, ...]:
    """Return the GPUs that CUDA shows to this process, in its order, by the numbers that all processes know.

    Where there is no driver to be asked, those that ``CUDA_VISIBLE_DEVICES`` names; else none.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        with contextlib.suppress(Exception):  # whatever a driver raises: it is one that is not there
            return tuple(f"gpu-{number}" for number in range(driver.nvmlDeviceGetCount()))
        return ()
    entries = [entry.strip() for entry in visible.split(",") if entry.strip()]
    end = entries.index("-1") if "-1" in entries else len(entries)  # CUDA looks no further
    return tuple(_gpu_name(entry, driver) for entry in entries[:end])


def _gpu_name(entry: str, driver: Any) -> str:
    """Return a GPU that is named by number or UUID."""
    if not entry.isdecimal():
        with contextlib.suppress(Exception):  # as above
            for number in range(driver.nvmlDeviceGetCount()):
                uuid = driver.nvmlDeviceGetUUID(driver.nvmlDeviceGetHandleByIndex(number))
                if str(uuid.decode() if isinstance(uuid, bytes) else uuid).startswith(entry):
                    return f"gpu-{number}"
    return f"gpu-{re.sub('[^A-Za-z0-9-]', '_', entry)}"


def _is_busy(driver: Any, gpu: str) -> bool:
    """Tell whether programs, of ours or not, hold memory of a GPU."""
    with contextlib.suppress(Exception):  # as above
        memory = driver.nvmlDeviceGetMemoryInfo(driver.nvmlDeviceGetHandleByIndex(int(gpu.removeprefix("gpu-"))))
        return bool(memory.used > BUSY_SHARE * memory.total)
    return False


def set_visible_gpus(gpus: Collection[str], environment: MutableMapping[str, str]) -> None:
    """Let CUDA see the GPUs that were taken, and no other; must come before TensorFlow wakes."""
    numbers = [gpu.removeprefix("gpu-") for gpu in gpus if gpu.startswith("gpu-")]
    environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # numbers mean the same to the driver and to CUDA
    if numbers:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(numbers)
