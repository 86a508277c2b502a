"""Measure how fast this machine is at a job's work, by a short process of its own."""

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
"""A measurement that takes longer tells nothing."""
POLL_SECONDS = 0.1
"""How often it is asked whether anybody still wants to know."""


def benchmark_timing(
    layout: ProjectLayout,
    kind: str,
    sample: dict[str, Any],
    key: str,
    *,
    force: bool = False,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Timing | None:
    """Return a pace that was measured before or is measured now; None where a process cannot do the work.

    Parameters
    ----------
    layout : ProjectLayout
        In its jobs folder lies, while it is measured, what is written.
    kind : str
        Of the job.
    sample : dict
        What is to be measured; see `workflow.estimates.Work`.
    key : str
        Under which the pace is kept.
    force : bool
        Measure even if it is known.
    is_cancelled : callable
        Tells whether nobody wants to know any more; the process is ended then, and None returned.
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
    """Return what a process prints; end it, and return None, if that takes too long or nobody wants to know."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    unsent: bytes | None = request
    while time.monotonic() < deadline and not is_cancelled():
        try:
            return process.communicate(unsent, timeout=POLL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            unsent = None  # it goes on with what it was given
    process.kill()
    return None
