"""A disk that can be filled by a test.

If the kernel lets users mount, it is a small tmpfs in its own namespace, where writes fail with ENOSPC as on any full
disk, and existing files count. Elsewhere processes cannot write files beyond a length (RLIMIT_FSIZE, SIGXFSZ
ignored): writes fail with EFBIG, for each file separately.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Self, final

from helpers.cli_runner import Run

SECONDS = 300


class SmallDisk(ABC):
    """A folder for a project on a disk that can be filled.

    Parameters
    ----------
    folder : Path
        Empty; the project goes there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def run(self, *arguments: object, left: int | None = None, env: dict[str, str] | None = None) -> Run:
        """Run the program in ``folder / "project"`` with `left` bytes of free space; None for no limit."""

    @abstractmethod
    def bring(self, source: Path) -> None:
        """Copy a project and the files beside it here."""

    @abstractmethod
    def seen(self) -> Path:
        """Return the path of the folder in this process."""

    @abstractmethod
    def close(self) -> None:
        """Release its resources."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        self.close()


@final
class Tmpfs(SmallDisk):
    """A small file system of its own."""

    def __init__(self, folder: Path, length: int) -> None:
        super().__init__(folder)
        mount = f"mount -t tmpfs -o size={length} tmpfs {folder} && echo mounted && exec cat"
        self._holder = subprocess.Popen(
            ["unshare", "-rm", "sh", "-c", mount], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "mounted\n"

    @staticmethod
    def is_possible() -> bool:
        """Return whether this user can mount here."""
        if shutil.which("unshare") is None or shutil.which("nsenter") is None:
            return False
        mount = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=4096 tmpfs /mnt"]
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def run(self, *arguments: object, left: int | None = None, env: dict[str, str] | None = None) -> Run:
        """Run the program there."""
        ballast = self.seen() / "ballast"
        if left is not None:
            free = shutil.disk_usage(self.seen()).free
            with ballast.open("wb") as stream:
                os.posix_fallocate(stream.fileno(), 0, free - left)
        try:
            enter = ["nsenter", "-t", str(self._holder.pid), "-U", "-m", "--preserve-credentials"]
            go = ["sh", "-c", 'cd "$0" && exec "$@"', str(self.folder / "project")]
            return _run([*enter, *go], arguments, env)
        finally:
            ballast.unlink(missing_ok=True)

    def bring(self, source: Path) -> None:
        """Copy files there."""
        shutil.copytree(source, self.seen(), dirs_exist_ok=True)

    def seen(self) -> Path:
        """Return the path through a process in the namespace."""
        return Path(f"/proc/{self._holder.pid}/root{self.folder}")

    def close(self) -> None:
        """Unmount the file system."""
        self._holder.communicate()


@final
class LimitedFiles(SmallDisk):
    """A plain folder; processes with a limit cannot write long files."""

    def run(self, *arguments: object, left: int | None = None, env: dict[str, str] | None = None) -> Run:
        """Run the program there."""

        def limit() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            if left is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (left, resource.RLIM_INFINITY))

        return _run([], arguments, env, folder=self.folder / "project", before=limit)

    def bring(self, source: Path) -> None:
        """Copy files there."""
        shutil.copytree(source, self.folder, dirs_exist_ok=True)

    def seen(self) -> Path:
        """Return the folder."""
        return self.folder

    def close(self) -> None:
        """Do nothing: the caller owns the folder."""


def _run(
    enter: list[str],
    arguments: tuple[object, ...],
    env: dict[str, str] | None,
    *,
    folder: Path | None = None,
    before: Callable[[], None] | None = None,
) -> Run:
    done = subprocess.run(
        [*enter, sys.executable, "-m", "tomoseg_tui", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        preexec_fn=before,  # it only sets a limit
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Run(done.returncode, done.stdout, done.stderr)
