"""Load of the CPU, and of each GPU if there is a driver."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeVar

import psutil

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class SystemLoad:
    """Load of the machine at one moment."""

    cpu_percent: float
    """Mean of all cores since the last measurement."""
    gpu_percents: tuple[int, ...] = ()
    """One per GPU; empty without a driver."""
    gpu_bytes: tuple[tuple[int, int], ...] = ()
    """Used and total memory of each GPU; empty if the driver does not report it."""

    def format_load(self) -> str:
        """Return the text for the first line of the screen: ``GPU 0 71% 5 of 24 GB  CPU 12%``."""
        memory = [f" {used / 1e9:.0f} of {total / 1e9:.0f} GB" for used, total in self.gpu_bytes]
        gpus = [
            f"GPU {number} {percent}%{memory_text}"
            for number, (percent, memory_text) in enumerate(zip_longest(self.gpu_percents, memory, fillvalue=""))
        ]
        return "  ".join([*gpus, f"CPU {self.cpu_percent:.0f}%"])


def nvml() -> Any:
    """Return NVIDIA's library, initialised; None without a driver."""
    with contextlib.suppress(Exception):  # with a broken driver the screen works without it
        import pynvml  # noqa: PLC0415  # wakes the driver, which takes time

        pynvml.nvmlInit()
        return pynvml
    return None


class SystemLoadMeter:
    """Measures the load repeatedly.

    Parameters
    ----------
    find_gpus : callable
        Returns NVIDIA's library or None; called once, at the first measurement.
    """

    def __init__(self, find_gpus: Callable[[], Any] = nvml) -> None:
        self._find_gpus = find_gpus
        self._gpus: Any = None
        self._gpus_searched = False

    def read(self) -> SystemLoad:
        """Return the current load; the first call takes a moment."""
        if not self._gpus_searched:
            self._gpus_searched, self._gpus = True, self._find_gpus()
        return SystemLoad(
            float(psutil.cpu_percent()),
            self._query_gpus(lambda gpus, handle: int(gpus.nvmlDeviceGetUtilizationRates(handle).gpu)),
            self._query_gpus(_gpu_memory),
        )

    def _query_gpus(self, query: Callable[[Any, Any], Answer]) -> tuple[Answer, ...]:
        """Return the driver's answer for each GPU; empty without a driver."""
        if self._gpus is None:
            return ()
        try:
            handles = [self._gpus.nvmlDeviceGetHandleByIndex(n) for n in range(self._gpus.nvmlDeviceGetCount())]
            return tuple(query(self._gpus, handle) for handle in handles)
        except Exception:  # noqa: BLE001  # a driver that fails counts as missing
            self._gpus = None
            return ()


def _gpu_memory(gpus: Any, handle: Any) -> tuple[int, int]:
    memory = gpus.nvmlDeviceGetMemoryInfo(handle)
    return int(memory.used), int(memory.total)
