"""Find out how fast this machine is at a job's work: as measured before, else by a short process of its own."""

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
from tomoseg_tui.project.timings import Pace, known_paces, paces_file, remember_pace

LONGEST_SECONDS = 180.0
"""A measurement that takes longer tells nothing."""
LOOK_SECONDS = 0.1
"""How often it is asked whether anybody still wants to know."""


def known_pace(key: str) -> Pace | None:
    """Return a pace that was measured or that an earlier job has had, None if there is none."""
    return known_paces(paces_file()).get(key)


def measured_pace(
    layout: ProjectLayout,
    kind: str,
    sample: dict[str, Any],
    key: str,
    *,
    anew: bool = False,
    unwanted: Callable[[], bool] = lambda: False,
) -> Pace | None:
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
    anew : bool
        Measure even if it is known.
    unwanted : callable
        Tells whether nobody wants to know any more; the process is ended then, and None returned.
    """
    known = None if anew else known_pace(key)
    if known is not None:
        return known
    layout.jobs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".measure.", dir=layout.jobs) as folder:
        pace = _measure(Path(folder), kind, sample, unwanted)
    if pace is not None:
        remember_pace(paces_file(), key, pace)
    return pace


def _measure(folder: Path, kind: str, sample: dict[str, Any], unwanted: Callable[[], bool]) -> Pace | None:
    words = ["-m", WORKER_MODULE, str(folder), "--measure", "--since", str(time.time_ns())]
    with subprocess.Popen(  # noqa: S603  # our own interpreter and module
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            answer = _answer_of(process, msgspec.json.encode((kind, sample)), unwanted)
        except BaseException:
            process.kill()
            raise
    try:
        return None if answer is None or process.returncode else msgspec.json.decode(answer, type=Pace)
    except msgspec.MsgspecError:
        return None


def _answer_of(process: subprocess.Popen[bytes], question: bytes, unwanted: Callable[[], bool]) -> bytes | None:
    """Return what a process prints; end it, and return None, if that takes too long or nobody wants to know."""
    deadline = time.monotonic() + LONGEST_SECONDS
    left: bytes | None = question
    while time.monotonic() < deadline and not unwanted():
        try:
            return process.communicate(left, timeout=LOOK_SECONDS)[0]
        except subprocess.TimeoutExpired:
            left = None  # it goes on with what it was given
    process.kill()
    return None
