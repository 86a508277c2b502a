"""Notify the user that a job has ended: through the terminal of a watching command, and by a command of the user.

Control characters in names are never sent to the terminal. The command is never run through a shell: it gets names as
environment variables.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files.text import printable
from tomoseg_tui.jobs.job import Job, JobRecord, JobState
from tomoseg_tui.project.user_config import NotificationConfig, config_file, read_config

COMMAND_SECONDS = 30.0
"""Time for the user's command to run."""
REPORTED_STATES = frozenset({JobState.DONE, JobState.FAILED, JobState.LOST})
"""Final states that are reported; a user who stops a job knows it."""


def format_job_end(job_id: str, kind: str, name: str, state: str) -> str:
    """Return the message about the end of a job."""
    return f"job {job_id} ({kind} {name}) is {state}"


def terminal_notification(message: str, config: NotificationConfig, environment: Mapping[str, str]) -> str:
    r"""Return the characters that make a terminal show a notification.

    Parameters
    ----------
    environment : mapping
        If ``TMUX`` is set, the sequence is passed through tmux, which needs ``allow-passthrough on``.

    Examples
    --------
    >>> terminal_notification("done", NotificationConfig(osc="9"), {})
    '\x07\x1b]9;tomoseg: done\x07'
    """
    text = printable(message)
    sequence = {
        "9": f"\x1b]9;tomoseg: {text}\x07",
        "777": f"\x1b]777;notify;tomoseg;{text}\x07",
    }.get(config.osc, "")
    if sequence and environment.get("TMUX"):
        sequence = f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
    return ("\x07" if config.bell else "") + sequence


def run_on_finish(job: Job, log: Callable[[str], None], *, timeout: float = COMMAND_SECONDS) -> None:
    """Run the user's command at the end of a job; a failure of the command is logged and changes nothing."""
    try:
        argv = read_config(config_file()).on_finish
        record = job.record()
        if argv and record.state in REPORTED_STATES:
            _run_command(argv, _job_environment(job, record), log, timeout)
    except (TomosegError, OSError, ValueError) as fault:  # ValueError: an argument with a null byte
        log(f"on_finish was not run: {fault}")


def _job_environment(job: Job, record: JobRecord) -> dict[str, str]:
    values = {
        "ID": job.id,
        "KIND": record.kind,
        "NAME": record.name,
        "STATE": str(record.state),
        "PROJECT": str(job.project_folder.absolute()),
        "FOLDER": str(job.folder.absolute()),
        "FAULT": record.fault or "",
        "FIX": record.fix or "",
    }
    return {f"TOMOSEG_JOB_{name}": value for name, value in values.items()}


def _run_command(argv: Sequence[str], variables: Mapping[str, str], log: Callable[[str], None], timeout: float) -> None:
    with subprocess.Popen(  # noqa: S603  # the user's own command, without a shell
        argv,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **variables},
        cwd=variables["TOMOSEG_JOB_PROJECT"],
        start_new_session=True,
    ) as command:
        try:
            code = command.wait(timeout)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)
            log(f"on_finish was killed: it took longer than {timeout:g} s.")
            return
    if code:
        log(f"on_finish ended with code {code}.")
