"""Run commands in processes that are killed, or get an error of the disk, at the Nth call that changes the disk.

Calls are counted by an audit hook, before they happen. This file is also the script of the process that forks one
process a command, which saves the time of the imports.
"""

import contextlib
import errno
import importlib
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

_PATHS_OF = {
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.mkdir": (0,),
    "os.link": (0, 1),
    "os.truncate": (0,),
    "shutil.rmtree": (0,),
}
"""Events of the interpreter, and which of their arguments are paths. `os.replace` is an `os.rename` too."""
_WRITING = os.O_WRONLY | os.O_RDWR


class _Counter:
    """Counts the changes below a folder, and lets one of them fail."""

    def __init__(self, folder: str, kind: str, at: int) -> None:
        self._folder, self._kind, self._at, self.count = folder, kind, at, 0

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Count a change; called by the interpreter."""
        if event == "open":
            is_writing = isinstance(arguments[2], int) and arguments[2] & _WRITING
            paths = [arguments[0]] if is_writing else []
        else:
            paths = [arguments[index] for index in _PATHS_OF.get(event, ())]
        if self._kind == "ENOSPC" and event in {"os.remove", "os.rmdir", "shutil.rmtree"}:
            return  # takes no space
        if event == "os.remove" and ".writer." in str(arguments[0]):
            return  # the command has reported by then
        if any(self._is_inside(path) for path in paths):
            self._step()

    def fsync(self, descriptor: int) -> None:
        """Count what the interpreter does not report: a file goes to the disk."""
        if self._is_inside(descriptor):
            self._step()
        _fsync(descriptor)

    def _is_inside(self, path: object) -> bool:
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink() if path >= 0 else ""
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        return os.path.abspath(os.fsdecode(path)).startswith(self._folder)  # noqa: PTH100  # Path would be slower

    def _step(self) -> None:
        self.count += 1
        if self.count != self._at:
            return
        if self._kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        code = getattr(errno, self._kind)
        raise OSError(code, os.strerror(code))


_fsync = os.fsync


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    """Exit code; negative for a signal."""
    count: int
    """Changes of the disk; 0 for a process that was killed."""
    text: str
    """What it printed, on both streams."""


def _child(folder: str, kind: str, at: int, commands: list[list[str]], output: Path) -> NoReturn:
    from tomoseg_tui.cli.main import run  # the pytest process does not need it
    from tomoseg_tui.files import atomic
    from tomoseg_tui.project import changes

    atomic.PROCESS_TOKEN = secrets.token_hex(4)
    vars(changes)["PROCESS_TOKEN"] = atomic.PROCESS_TOKEN
    os.chdir(folder)
    counter = _Counter(folder, kind, at)
    sys.addaudithook(counter.hook)
    vars(os)["fsync"] = counter.fsync
    outcomes = []
    for argv in commands:
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            try:
                code = run(argv)
            except SystemExit as ended:
                code = int(ended.code or 0)
        outcomes.append((code, counter.count, text.getvalue()))
    output.write_text(json.dumps(outcomes), encoding="utf-8")
    os._exit(0)


def _serve() -> None:
    """Read requests, one a line; fork for each, and answer in one line."""
    names = ("tomograms", "projects", "tiles", "exchange", "train", "results", "jobs")
    for name in (*(f"cli.{name}" for name in names), "workflow.training.trainset", "io.trainset_file"):
        importlib.import_module(f"tomoseg_tui.{name}")  # what commands share is loaded once

    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryDirectory() as scratch:
            output = Path(scratch) / "outcome"
            pid = os.fork()
            if pid == 0:
                try:
                    _child(request["folder"], request["kind"], request["at"], request["commands"], output)
                finally:
                    os._exit(99)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            answer = json.loads(output.read_text(encoding="utf-8")) if code == 0 else [[code, 0, ""]]
        print(json.dumps(answer), flush=True)


class FaultyRunner:
    """Runs commands in the folder that holds a project called `project`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, folder: Path, *argv: object, kind: str = "kill", at: int = 0) -> Outcome:
        """Run a command on the project; `at` is the number of the change that fails, 0 for none."""
        return self.run_all(folder, [argv], kind=kind, at=at)[0]

    def run_all(
        self, folder: Path, commands: Sequence[Sequence[object]], *, kind: str = "kill", at: int = 0
    ) -> list[Outcome]:
        """Run several commands in one process."""
        words = [["-p", "project", *map(str, argv)] if argv[0] != "init" else [*map(str, argv)] for argv in commands]
        request = {"folder": str(folder.resolve()), "kind": kind, "at": at, "commands": words}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return [Outcome(*outcome) for outcome in json.loads(self._process.stdout.readline())]


@contextlib.contextmanager
def faulty_runner() -> Iterator[FaultyRunner]:
    """Start the process that forks."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield FaultyRunner(process)
        assert process.stdin is not None
        process.stdin.close()


if __name__ == "__main__":
    _serve()
