"""Tell that a job has ended: by the terminal of whoever watches, and by a command of the user's.

What a terminal is sent never holds control characters of a name, and the command is never run through a shell: names
reach it as the environment's variables.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.job import Job, JobRecord, JobState
from tomoseg_tui.project.user_config import Notice, config_file, read_config

COMMAND_SECONDS = 30.0
"""How long the user's command may take."""
TOLD_STATES = frozenset({JobState.DONE, JobState.FAILED, JobState.LOST})
"""Ends that are told; who stops a job knows it."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def ending_in_words(job_id: str, kind: str, name: str, state: str) -> str:
    """Return what is told."""
    return f"job {job_id} ({kind} {name}) is {state}"


def terminal_notice(words: str, notice: Notice, environment: Mapping[str, str]) -> str:
    r"""Return what a terminal is sent to tell something.

    Parameters
    ----------
    words : str
        What is told.
    notice : Notice
        How the user wants it.
    environment : mapping
        ``TMUX`` says that it has to pass through tmux, which needs ``allow-passthrough on``.

    Examples
    --------
    >>> terminal_notice("done", Notice(osc="9"), {})
    '\x07\x1b]9;tomoseg: done\x07'
    """
    said = _CONTROLS.sub(" ", words)
    sequence = {
        "9": f"\x1b]9;tomoseg: {said}\x07",
        "777": f"\x1b]777;notify;tomoseg;{said}\x07",
    }.get(notice.osc, "")
    if sequence and environment.get("TMUX"):
        sequence = f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
    return ("\x07" if notice.bell else "") + sequence


def run_on_finish(job: Job, log: Callable[[str], None], *, seconds: float = COMMAND_SECONDS) -> None:
    """Run the user's command at the end of a job; that it fails is logged and changes nothing."""
    try:
        words = read_config(config_file()).on_finish
        record = job.record()
        if words and record.state in TOLD_STATES:
            _run(words, _variables(job, record), log, seconds)
    except (TomosegError, OSError, ValueError) as fault:  # ValueError: a word that holds a null byte
        log(f"on_finish was not run: {fault}")


def _variables(job: Job, record: JobRecord) -> dict[str, str]:
    known = {
        "ID": job.id,
        "KIND": record.kind,
        "NAME": record.name,
        "STATE": str(record.state),
        "PROJECT": str(job.folder.parent.parent.absolute()),
        "FOLDER": str(job.folder.absolute()),
        "FAULT": record.fault or "",
        "FIX": record.fix or "",
    }
    return {f"TOMOSEG_JOB_{name}": value for name, value in known.items()}


def _run(words: Sequence[str], variables: Mapping[str, str], log: Callable[[str], None], seconds: float) -> None:
    with subprocess.Popen(  # noqa: S603  # the user's own words, and no shell
        words,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **variables},
        cwd=variables["TOMOSEG_JOB_PROJECT"],
        start_new_session=True,
    ) as command:
        try:
            code = command.wait(seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)
            log(f"on_finish was ended: it took longer than {seconds:g} s.")
            return
    if code:
        log(f"on_finish ended with code {code}.")
