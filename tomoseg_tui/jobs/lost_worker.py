"""Find out how a worker ended that could not record it: killed, crashed in a library, or its machine went down.

A shell waits for each worker and writes its exit status (`launch`); Python's fault handler logs where a library
crashed.
"""

import contextlib
import re
import signal
from pathlib import Path

from tomoseg_tui.files import locks
from tomoseg_tui.files.text import printable

TAIL_LINES = 20
"""Last lines of tensorflow.log that are shown."""
_TAIL_BYTES = 1 << 16
_LINE_FOR_USER = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}Z ")
_CRASH = "Fatal Python error: "
_CRASH_SIGNALS = {
    "Segmentation fault": signal.SIGSEGV,
    "Illegal instruction": signal.SIGILL,
    "Aborted": signal.SIGABRT,
    "Bus error": signal.SIGBUS,
    "Floating-point exception": signal.SIGFPE,
}
"""Signals by their names in Python's fault handler."""
_MISSING_INSTRUCTIONS = re.compile(r"instructions?, but these aren't available on your machine", re.IGNORECASE)


def read_tail(path: Path) -> list[str]:
    """Return the last lines of a log, 64 kB at most, without empty ones; none if there is no file."""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, 2) - _TAIL_BYTES))
        return [line for line in stream.read().decode(errors="replace").splitlines() if line.strip()]
    return []


def signal_name(number: int) -> str:
    """Return name and meaning of a signal, such as ``SIGSEGV (Segmentation fault)``."""
    try:
        return f"{signal.Signals(number).name} ({signal.strsignal(number)})"
    except ValueError:
        return f"signal {number}"


def explain_lost_worker(folder: Path, owner: locks.Owner | None, job_id: str) -> tuple[str, str]:
    """Return what happened to the worker of a job, on any machine, and what to do."""
    resume = f"continue from its saved work: tomoseg jobs resume {job_id}"
    number = ending_signal(folder)
    if number is not None:
        return explain_signal(number, folder, job_id)
    if owner is not None and locks.has_restarted(owner):
        return "The machine was restarted while the worker ran.", f"{resume[0].upper()}{resume[1:]}"
    if owner is not None and owner.host != locks.this_process().host:
        return (
            f"The worker on {owner.host} has not reported for {locks.HEARTBEAT_LIMIT_SECONDS:g} s.",
            f"Check that {owner.host} runs and reaches this folder; then {resume}",
        )
    return "The worker ended without an error message; the cause was not recorded.", f"{resume[0].upper()}{resume[1:]}"


def explain_signal(number: int, folder: Path, job_id: str) -> tuple[str, str]:
    """Return what a signal that ended a worker means, and what to do."""
    command = f"tomoseg jobs resume {job_id}"
    fault = f"The worker was ended by {signal_name(number)}"
    if number == signal.SIGKILL:
        return (
            f"{fault}: by the system, as when memory runs out, or by a user.",
            f"Check whether memory ran out: journalctl -k | grep -i oom; then resume the job: {command}",
        )
    if number not in _CRASH_SIGNALS.values():
        return f"{fault}, from another process.", f"Continue from its saved work: {command}"
    messages = _messages(folder)
    last = f" The last line of tensorflow.log: “{printable(messages[-1])}”" if messages else ""
    if number == signal.SIGILL or any(_MISSING_INSTRUCTIONS.search(line) for line in messages):
        return (
            f"TensorFlow cannot run on this processor: {fault[0].lower()}{fault[1:]}.{last}",
            f"Resume the job on a machine with a newer processor: {command}",
        )
    return (
        f"{fault}: a crash inside a library.{last}",
        f"Read the log: tomoseg jobs log {job_id}; then resume the job: {command}",
    )


def ending_signal(folder: Path) -> int | None:
    """Return the signal that ended a job's last worker; None if none is known."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / "exit_status").read_text(encoding="ascii")) - 128
    for log in (folder / "output.log", folder / "tensorflow.log"):
        for line in reversed(read_tail(log)[-TAIL_LINES:]):
            if _LINE_FOR_USER.match(line):  # the worker survived everything before it
                break
            if line.startswith(_CRASH):
                return _CRASH_SIGNALS.get(line.removeprefix(_CRASH).strip())
    return None


def _messages(folder: Path) -> list[str]:
    """Return the last lines of tensorflow.log without those of Python's fault handler."""
    lines = read_tail(folder / "tensorflow.log")[-TAIL_LINES:]
    return next((lines[:index] for index, line in enumerate(lines) if line.startswith(_CRASH)), lines)
