"""Check HDF5 files in a process of its own, before this one opens them.

A damaged file can crash the HDF5 library, let it run for ever or take all memory. Links, external storage and virtual
datasets can read any file of the user. The process has a limit of memory, and each file a limit of time; it is started
for the first file, and ends with this one. What this process has written itself is not checked.

This file is also the script of that process: it reads paths, one a line, and answers in a line each.
"""

import atexit
import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tomoseg_tui.files.structured import MalformedError

MEMORY_BYTES = 3 << 30
"""Address space of the process that checks."""
START_SECONDS = 60.0
SECONDS_PER_FILE = 4.0
BYTES_PER_SECOND = 10e6
"""More time for a longer file: a slow disk reads so fast."""
MAX_READ_BYTES = 256 << 20
"""Larger datasets are not read: their place in the file is checked."""
MAX_COMPRESSION = 1100
"""No deflated data is so many times smaller than the original."""
MAX_CHUNK_BYTES = 512 << 20
_FileKey = tuple[int, int, int, int]
_sound: set[_FileKey] = set()


def mark_sound(path: Path) -> None:
    """Remember that this process has just written a file."""
    _sound.add(_file_key(path))


def _file_key(path: Path) -> _FileKey:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def require_sound(path: Path) -> None:
    """Raise MalformedError if the HDF5 library cannot safely read a file, OSError if it cannot be opened."""
    path.open("rb").close()
    key = _file_key(path)
    if key not in _sound:
        reason = _CHECKER.check(path, SECONDS_PER_FILE + key[2] / BYTES_PER_SECOND)
        if reason:
            raise MalformedError(reason)
        _sound.add(key)


class _Checker:
    """The process that checks; one file at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def check(self, path: Path, seconds: float) -> str:
        """Return why a file is refused; empty if it is not."""
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(  # noqa: S603  # this program itself
                    [sys.executable, "-P", "-m", __name__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                    start_new_session=True,  # Ctrl-C is for this process
                )
                self._answer(self._process, START_SECONDS)
            answer = self._ask(self._process, path, seconds)
            if answer is not None:
                return answer
            code = self._end()
            if code == -signal.SIGKILL:
                return f"the HDF5 library needs more than {seconds:.0f} s for it"
            return f"it crashes the HDF5 library (exit {code})"

    @staticmethod
    def _ask(process: subprocess.Popen[str], path: Path, seconds: float) -> str | None:
        with contextlib.suppress(BrokenPipeError):
            if process.stdin is not None:
                process.stdin.write(json.dumps(os.fspath(path.absolute())) + "\n")
                process.stdin.flush()
        return _Checker._answer(process, seconds)

    @staticmethod
    def _answer(process: subprocess.Popen[str], seconds: float) -> str | None:
        """Return the next line as a text; None if the process has ended, or takes longer and is killed."""
        if process.stdout is None:
            return None
        if not select.select([process.stdout], [], [], seconds)[0]:
            process.kill()
            return None
        line = process.stdout.readline()
        return str(json.loads(line)) if line else None

    def _end(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        with contextlib.suppress(BrokenPipeError):
            process.communicate()
        return process.wait()

    def close(self) -> None:
        """End the process."""
        self._end()


_CHECKER = _Checker()
atexit.register(_CHECKER.close)


# In the process that checks


def _reason(path: str) -> str:
    import h5py  # noqa: PLC0415  # the other process has it already

    try:
        with h5py.File(path, "r", locking=False) as file:
            _check_group(file, os.stat(path).st_size)  # noqa: PTH116  # a name of bytes
    except Exception as fault:  # noqa: BLE001  # h5py raises many kinds
        return " ".join(str(fault).split()) or type(fault).__name__
    return ""


def _check_group(file: Any, file_bytes: int) -> None:
    import h5py  # noqa: PLC0415

    _check_attributes(file)
    groups, visited = [file], set()
    while groups:
        group = groups.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise TypeError(f"{name!r} is a link to something else, which tomoseg does not follow")
            item = group[name]
            token = h5py.h5o.get_info(item.id).addr
            if token in visited:
                raise ValueError(f"{name!r} is in the file twice")
            visited.add(token)
            _check_attributes(item)
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                _check_dataset(item, file_bytes)


def _check_attributes(item: Any) -> None:
    for name in item.attrs:
        attribute = item.attrs.get_id(name)
        if attribute.get_storage_size() > MAX_READ_BYTES:
            raise ValueError(f"the attribute {name!r} is too large")
        item.attrs[name]  # reads it


def _check_dataset(dataset: Any, file_bytes: int) -> None:
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"the data of {dataset.name} are in another file")
    if dataset.dtype.hasobject:
        raise ValueError(f"{dataset.name} holds {dataset.dtype} values")
    stored, logical = dataset.id.get_storage_size(), dataset.size * dataset.dtype.itemsize
    if stored > file_bytes or logical > file_bytes * MAX_COMPRESSION:
        raise ValueError(f"{dataset.name} has shape {dataset.shape}, which does not fit in {file_bytes} bytes")
    if dataset.chunks is not None:
        chunk = dataset.dtype.itemsize
        for length in dataset.chunks:
            chunk *= length
        if chunk > MAX_CHUNK_BYTES:
            raise ValueError(f"the chunks of {dataset.name} have shape {dataset.chunks}, which is too large")
    if logical <= MAX_READ_BYTES:
        dataset[...]
    elif dataset.chunks is None and dataset.id.get_offset() + logical > file_bytes:
        raise ValueError(f"{dataset.name} ends after the file")


def _serve() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import h5py  # noqa: F401, PLC0415  # what takes longest is done before the first file

    sys.stdout.write('""\n')
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_reason(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
