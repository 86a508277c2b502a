"""Measure the timing of this machine for a kind of job in a short benchmark process."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tomoseg_tui.jobs import WORKER_MODULE
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.timings import Timing, store_timing, stored_timing, timings_file

TIMEOUT_SECONDS = 180.0
"""A benchmark that takes longer is killed."""
POLL_SECONDS = 0.1
"""Time between two checks for cancellation."""


def benchmark_timing(
    layout: ProjectLayout,
    kind: str,
    sample: dict[str, Any],
    key: str,
    *,
    force: bool = False,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Timing | None:
    """Return the stored timing, or else measure it; None if the benchmark fails or is cancelled.

    Parameters
    ----------
    layout : ProjectLayout
        The project; temporary files are written in its jobs folder.
    kind : str
        One of `KINDS`.
    sample : dict
        What to measure; see `workflow.estimates.estimator.Work`.
    is_cancelled : callable
        Returns whether to kill the benchmark and return None.
    """
    stored = None if force else stored_timing(key)
    if stored is not None:
        return stored
    layout.jobs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".measure.", dir=layout.jobs) as folder:
        timing = _run_benchmark(Path(folder), kind, sample, is_cancelled)
    if timing is not None:
        store_timing(timings_file(), key, timing)
    return timing


def _run_benchmark(folder: Path, kind: str, sample: dict[str, Any], is_cancelled: Callable[[], bool]) -> Timing | None:
    argv = ["-m", WORKER_MODULE, str(folder), "--measure", "--since", str(time.time_ns())]
    with subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            answer = _communicate(process, msgspec.json.encode((kind, sample)), is_cancelled)
        except BaseException:
            process.kill()
            raise
    try:
        return None if answer is None or process.returncode else msgspec.json.decode(answer, type=Timing)
    except msgspec.MsgspecError:
        return None


def _communicate(process: subprocess.Popen[bytes], request: bytes, is_cancelled: Callable[[], bool]) -> bytes | None:
    """Return the output of a process; kill it and return None if it takes too long or is cancelled."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    unsent: bytes | None = request
    while time.monotonic() < deadline and not is_cancelled():
        try:
            return process.communicate(unsent, timeout=POLL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            unsent = None  # the process already has its input
    process.kill()
    return None
