"""How busy processors are: the CPU, and each GPU where there is a driver that tells."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeVar

import psutil

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class SystemLoad:
    """One look at the machine."""

    cpu_percent: float
    """All cores together, since the last look."""
    gpu_percents: tuple[int, ...] = ()
    """By GPU; empty where there is no driver."""
    gpu_bytes: tuple[tuple[int, int], ...] = ()
    """By GPU, memory that is used and all of it; empty where the driver does not tell."""

    def format_load(self) -> str:
        """Return it as the first line of the screen says it: ``GPU 0 71% 5 of 24 GB  CPU 12%``."""
        memory = [f" {used / 1e9:.0f} of {total / 1e9:.0f} GB" for used, total in self.gpu_bytes]
        gpus = [
            f"GPU {number} {percent}%{memory_text}"
            for number, (percent, memory_text) in enumerate(zip_longest(self.gpu_percents, memory, fillvalue=""))
        ]
        return "  ".join([*gpus, f"CPU {self.cpu_percent:.0f}%"])


def nvml() -> Any:
    """Return NVIDIA's library, begun; None where there is no driver."""
    with contextlib.suppress(Exception):  # whatever is wrong with a driver, a screen goes on without it
        import pynvml  # noqa: PLC0415  # wakes a driver, which only a watching thread may wait for

        pynvml.nvmlInit()
        return pynvml
    return None


class SystemLoadMeter:
    """Tells the load again and again.

    Parameters
    ----------
    find_gpus : callable
        Returns NVIDIA's library or None; called once, at the first look.
    """

    def __init__(self, find_gpus: Callable[[], Any] = nvml) -> None:
        self._find_gpus = find_gpus
        self._gpus: Any = None
        self._gpus_searched = False

    def read(self) -> SystemLoad:
        """Return the load now; takes a moment at the first look."""
        if not self._gpus_searched:
            self._gpus_searched, self._gpus = True, self._find_gpus()
        return SystemLoad(
            float(psutil.cpu_percent()),
            self._query_gpus(lambda gpus, handle: int(gpus.nvmlDeviceGetUtilizationRates(handle).gpu)),
            self._query_gpus(_gpu_memory),
        )

    def _query_gpus(self, query: Callable[[Any, Any], Answer]) -> tuple[Answer, ...]:
        """Return what the driver answers of each GPU; nothing where there is none."""
        if self._gpus is None:
            return ()
        try:
            handles = [self._gpus.nvmlDeviceGetHandleByIndex(n) for n in range(self._gpus.nvmlDeviceGetCount())]
            return tuple(query(self._gpus, handle) for handle in handles)
        except Exception:  # noqa: BLE001  # a driver that fails in the middle is a driver that is not there
            self._gpus = None
            return ()


def _gpu_memory(gpus: Any, handle: Any) -> tuple[int, int]:
    memory = gpus.nvmlDeviceGetMemoryInfo(handle)
    return int(memory.used), int(memory.total)
