"""Find out how fast this machine is at a job's work: as measured before, else by a short process of its own."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.paces import Pace, known_paces, paces_file, remember_pace

LONGEST_SECONDS = 180.0
"""A measurement that takes longer tells nothing."""


def known_pace(key: str) -> Pace | None:
    """Return a pace that was measured or that an earlier job has had, None if there is none."""
    return known_paces(paces_file()).get(key)


def measured_pace(
    layout: ProjectLayout, kind: str, sample: dict[str, Any], key: str, *, anew: bool = False
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
    """
    known = None if anew else known_pace(key)
    if known is not None:
        return known
    layout.jobs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".measure.", dir=layout.jobs) as folder:
        pace = _measure(Path(folder), kind, sample)
    if pace is not None:
        remember_pace(paces_file(), key, pace)
    return pace


def _measure(folder: Path, kind: str, sample: dict[str, Any]) -> Pace | None:
    words = ["-m", "tomoseg_tui.jobs.worker", str(folder), "--measure", "--since", str(time.time_ns())]
    try:
        done = subprocess.run(  # noqa: S603  # our own interpreter and module
            [sys.executable, *words],
            input=msgspec.json.encode((kind, sample)),
            capture_output=True,
            timeout=LONGEST_SECONDS,
            check=True,
        )
        return msgspec.json.decode(done.stdout, type=Pace)
    except (subprocess.SubprocessError, msgspec.MsgspecError):
        return None
