"""Which devices a job waits for: the CPU, a given GPU or any GPU, or one core. A device runs one job at a time.

A training, an audit and an apply take all cores; two of them at once would slow each other down. Merging and
preprocessing take one core and little memory, so they run beside a training, a few at a time.
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
"""Cores of the machine for each light job that may run at a time."""
AUTO_DEVICE = "auto"
"""A GPU that TensorFlow can use, else the CPU."""
BUSY_SHARE = 0.1
"""A GPU with a larger share of its memory in use is chosen only if no other is free."""


@dataclass(frozen=True)
class DeviceRequest:
    """The devices that a job needs."""

    devices: tuple[str, ...]
    """Alternatives in order of preference: ``cpu``, ``gpu-0``, ``core-0``, ..."""
    text: str
    """Description for people."""
    count: int = 1
    """Number of devices needed."""
    find_busy: Callable[[], Collection[str]] = frozenset
    """Returns the devices that other programs use; those are chosen last."""

    def order_by_preference(self, free: Collection[str]) -> list[str]:
        """Return the free devices, the best first."""
        candidates = [device for device in self.devices if device in free]
        if len(candidates) < 2:
            return candidates
        busy = self.find_busy()
        return sorted(candidates, key=lambda device: device in busy)


@dataclass(frozen=True)
class ResolvedDevice:
    """The device that a job uses on this machine."""

    name: str
    """A value of `--device` other than ``auto``."""
    note: str = ""
    """Why this device was chosen, if ``auto`` was requested."""


def resolve_device(
    device: str, *, environment: Mapping[str, str] = os.environ, find_driver: Callable[[], Any] | None = None
) -> ResolvedDevice:
    """Return the device on this machine: ``auto`` becomes a GPU that TensorFlow can use, else the CPU.

    TensorFlow is not imported; only the presence of its GPU libraries is checked. A worker whose TensorFlow finds no
    GPU runs on the CPU. The driver may take a moment to answer: do not call this on the thread of a screen.

    Parameters
    ----------
    device : str
        A value of `--device`.
    environment : mapping
        ``CUDA_VISIBLE_DEVICES`` and ``SLURM_JOB_ID`` are read.
    find_driver : callable, optional
        Returns NVIDIA's library or None; called for ``auto`` only.
    """
    if device != AUTO_DEVICE:
        return ResolvedDevice(device)
    if "SLURM_JOB_ID" in environment and "CUDA_VISIBLE_DEVICES" not in environment:
        # A visible GPU may belong to another job.
        return ResolvedDevice("cpu", "auto: Slurm has allocated no GPU")
    driver = (find_driver or _load_driver)()
    if driver is None or not visible_gpus(environment, driver):
        return ResolvedDevice("cpu", "auto: no GPU found here")
    if not has_cuda_libraries():
        return ResolvedDevice("cpu", "auto: no CUDA libraries found, tomoseg-tui[cuda] installs them")
    return ResolvedDevice("gpu", "auto")


def with_device(request: Mapping[str, Any], device: str) -> Mapping[str, Any]:
    """Return the request of a job with another device, if its kind has one."""
    return {**request, "device": device} if "device" in request else request


def has_cuda_libraries() -> bool:
    """Return whether the libraries that TensorFlow needs for a GPU are installed."""
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
        One of `KINDS`.
    request : mapping
        Request of the job; ``device`` and ``workers`` are read.
    environment : mapping
        ``CUDA_VISIBLE_DEVICES`` is read.
    find_driver : callable, optional
        Returns NVIDIA's library or None; called only if a GPU is requested.
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
    from tomoseg_tui.jobs.system_load import nvml  # noqa: PLC0415  # a waiting worker does not import psutil

    return nvml()


def visible_gpus(environment: Mapping[str, str], driver: Any) -> tuple[str, ...]:
    """Return the GPUs that CUDA shows to this process, in its order, by the driver's numbers.

    Without a driver, return those that ``CUDA_VISIBLE_DEVICES`` names; else none.
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        with contextlib.suppress(Exception):  # a driver that raises anything counts as missing
            return tuple(f"gpu-{number}" for number in range(driver.nvmlDeviceGetCount()))
        return ()
    entries = [entry.strip() for entry in visible.split(",") if entry.strip()]
    end = entries.index("-1") if "-1" in entries else len(entries)  # CUDA ignores the entries after it
    return tuple(_gpu_name(entry, driver) for entry in entries[:end])


def _gpu_name(entry: str, driver: Any) -> str:
    """Return the name of a GPU that is given by number or UUID."""
    if not entry.isdecimal():
        with contextlib.suppress(Exception):  # as above
            for number in range(driver.nvmlDeviceGetCount()):
                uuid = driver.nvmlDeviceGetUUID(driver.nvmlDeviceGetHandleByIndex(number))
                if str(uuid.decode() if isinstance(uuid, bytes) else uuid).startswith(entry):
                    return f"gpu-{number}"
    return f"gpu-{re.sub('[^A-Za-z0-9-]', '_', entry)}"


def _is_busy(driver: Any, gpu: str) -> bool:
    """Return whether programs use memory of a GPU."""
    with contextlib.suppress(Exception):  # as above
        memory = driver.nvmlDeviceGetMemoryInfo(driver.nvmlDeviceGetHandleByIndex(int(gpu.removeprefix("gpu-"))))
        return bool(memory.used > BUSY_SHARE * memory.total)
    return False


def set_visible_gpus(gpus: Collection[str], environment: MutableMapping[str, str]) -> None:
    """Make only the given GPUs visible to CUDA; call this before TensorFlow is imported."""
    numbers = [gpu.removeprefix("gpu-") for gpu in gpus if gpu.startswith("gpu-")]
    environment.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")  # numbers mean the same to the driver and to CUDA
    if numbers:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(numbers)
