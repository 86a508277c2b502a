"""From arguments to an exit code: 0 done, 1 internal error, 2 user error, 130 after Ctrl-C."""

import os
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO, cast

from tomoseg_tui.cli.parser import parse
from tomoseg_tui.errors import TomosegError, describe_unexpected
from tomoseg_tui.files.text import HarmlessStream, printable, require_utf8

EXIT_DONE, EXIT_BUG, EXIT_FAULT, EXIT_INTERRUPTED = 0, 1, 2, 130


def run(argv: Sequence[str]) -> int:
    """Run one command.

    Returns
    -------
    int
        Exit code.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # in an ASCII locale print ? for Å instead of failing
    stdout, stderr = (cast("TextIO", HarmlessStream(stream)) for stream in (sys.stdout, sys.stderr))
    with redirect_stdout(stdout), redirect_stderr(stderr):
        return _run_command(argv)


def _run_command(argv: Sequence[str]) -> int:
    try:
        for argument in argv:
            require_utf8(argument)
        arguments = parse(argv)
        code = int(arguments.handler(arguments) or EXIT_DONE)
        sys.stdout.flush()
        for damaged in getattr(arguments, "damage", ()):
            code = _report_error(damaged)
    except TomosegError as fault:
        return _report_error(fault)
    except KeyboardInterrupt:
        print("tomoseg: interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has closed the pipe (as `head` does). Without this Python reports the error again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except (OSError, MemoryError, UnicodeEncodeError) as fault:
        return _report_error(_as_user_error(fault))
    except Exception as bug:  # noqa: BLE001  # any other exception is a bug in tomoseg
        return report_bug(bug)
    finally:
        if changes := sys.modules.get("tomoseg_tui.project.changes"):  # a command that wrote nothing has not loaded it
            changes.end_writing()
    return code


def _as_user_error(fault: OSError | MemoryError | UnicodeEncodeError) -> TomosegError:
    """Return an error of the operating system as an error with a fix."""
    if isinstance(fault, UnicodeEncodeError):
        message = f"A name has bytes that are not UTF-8: {printable(fault.object)[:300]}"
        return TomosegError(message, "Rename the file or folder, then try again.")
    if isinstance(fault, MemoryError):
        message = f"There is not enough memory: {fault or 'none is left'}."
        return TomosegError(message, "End other programs, or use a machine with more memory.")
    from tomoseg_tui.files.disk_space import disk_full_error, is_disk_full

    if is_disk_full(fault):
        return disk_full_error(fault.filename, fault, next_step="run the command again; existing files are unchanged.")
    location = f": {fault.filename}" if fault.filename else ""
    return TomosegError(f"{fault.strerror or fault}{location}.", "Check the path, its permissions and the disk space.")


def _report_error(fault: TomosegError) -> int:
    """Print what is wrong, and what to do."""
    print(f"tomoseg: {fault.fault}", file=sys.stderr)
    if fault.fix:
        print(f"  {fault.fix}", file=sys.stderr)
    return EXIT_FAULT


def report_bug(bug: BaseException, log: Path | None = None, *, safe: str = "") -> int:
    """Append the traceback to a log file, a temporary one if there is none, and print its path."""
    import tempfile

    text = "".join(traceback.format_exception(bug))
    try:
        with (log or Path()).open("a", encoding="utf-8") as stream:  # a folder cannot be opened
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}\n")
    except OSError:
        with tempfile.NamedTemporaryFile("w", prefix="tomoseg-bug-", suffix=".log", delete=False) as stream:
            stream.write(text)
            log = Path(stream.name)
    print(f"tomoseg: {describe_unexpected(bug)}", file=sys.stderr)
    print(f"  {safe}Please report it with the file {log}", file=sys.stderr)
    return EXIT_BUG
