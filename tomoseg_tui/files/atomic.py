"""Replace a file whole, or leave it alone.

New files and folders get their mode from the system, which applies the umask. Nothing here reads the umask: the only
portable way sets it, for a moment, for all threads of the process.
"""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files.disk_space import errno_of

NEW_FILE_MODE = 0o666
"""Mode of a new file before the system applies the umask."""
PROCESS_TOKEN = secrets.token_hex(4)
"""Part of the names of all drafts of this process, by which its leftovers are found if it is killed."""
_RANDOM_SUFFIX = r"[a-z0-9_]{8,16}(\.weights\.h5)?"
"""End of a draft's name: token of the process, random characters, and what the file's format demands."""


def sync_to_disk(path: Path) -> None:
    """Wait until a file, or the list of names in a folder, is on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def named_os_errors(path: Path) -> Iterator[None]:
    """Make every error of the system an OSError with its number, which names this file if it named none.

    A write knows a descriptor only. HDF5 and numpy hide the number in their text, and HDF5 raises a RuntimeError as it
    closes a file.
    """
    try:
        yield
    except (OSError, RuntimeError) as fault:
        code = errno_of(fault)
        if code is not None and getattr(fault, "strerror", None) != os.strerror(code):
            raise OSError(code, os.strerror(code), str(path)) from fault
        if isinstance(fault, OSError):
            fault.filename = fault.filename or str(path)
        raise


@contextlib.contextmanager
def atomic_output(path: Path, *, durable: bool = True, suffix: str = "") -> Iterator[Path]:
    """Yield a draft beside `path` to write into; it replaces `path` if no error is raised.

    Parameters
    ----------
    path : Path
        The file to write. Its folder is made if it is missing.
    durable : bool
        Wait until the disk has the file. A file that is written again soon, and may be lost with the power, need not
        wait.
    suffix : str
        How the name of the draft has to end.

    Yields
    ------
    Path
        An empty file in the same folder. It is gone afterwards in every case.
    """
    descriptor, draft = _create_draft(path, NEW_FILE_MODE, suffix)
    os.close(descriptor)
    try:
        with named_os_errors(path):
            yield draft
            if durable:
                sync_to_disk(draft)
            draft.replace(path)
            if durable:
                sync_to_disk(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _create_draft(path: Path, mode: int, suffix: str = "") -> tuple[int, Path]:
    """Open a new file beside `path` for writing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_path(path, suffix)
    return os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), draft


def draft_path(path: Path, suffix: str = "") -> Path:
    """Return a new name beside `path`, by which a draft of this process is recognised."""
    return path.with_name(f".{path.name}.{PROCESS_TOKEN}{secrets.token_hex(4)}{suffix}")


def remove_drafts(*paths: Path) -> None:
    """Remove drafts that a killed process has left. Only the one process that writes these files may call it."""
    for path in paths:
        pattern = re.compile(rf"\.{re.escape(path.name)}\.{_RANDOM_SUFFIX}")
        for entry in path.parent.iterdir() if path.parent.is_dir() else ():
            if pattern.fullmatch(entry.name):
                entry.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Replace a file. Readers see the old file or the new one; if durable, this holds after a power cut too."""
    with atomic_output(path, durable=durable) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


def create_exclusively(path: Path, content: str, *, mode: int | None = None) -> bool:
    """Write a file unless it exists; return whether it was written.

    A hard link gives the file its name, so no process ever reads half of it, on a network file system either. The
    umask decides the mode unless `mode` is given.
    """
    descriptor, draft = _create_draft(path, NEW_FILE_MODE if mode is None else mode)
    try:
        with named_os_errors(path), os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            if mode is not None:
                os.fchmod(stream.fileno(), mode)  # whatever the umask has taken away
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, path)
    except FileExistsError:
        return _has_two_names(draft)
    except FileNotFoundError:
        return False  # the process that has the file now removed our draft with those of killed processes
    finally:
        draft.unlink(missing_ok=True)
    return True


def _has_two_names(draft: Path) -> bool:
    """Return whether a link was made although it was refused.

    NFS repeats a request whose answer was lost, and the second is refused. See O_EXCL in open(2).
    """
    try:
        return draft.stat().st_nlink == 2
    except FileNotFoundError:
        return False


def append_line(path: Path, line: str) -> None:
    """Append one line in a single write, so that lines of several processes never mix.

    If a power cut or a full disk has left half a line at the end, the new line starts after a line break.

    Raises
    ------
    OSError
        If the disk has no room for the whole line.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, NEW_FILE_MODE)
    try:
        length = os.fstat(descriptor).st_size
        is_torn = length > 0 and os.pread(descriptor, 1, length - 1) != b"\n"
        content = f"{chr(10) if is_torn else ''}{line}\n".encode()
        with named_os_errors(path):
            if os.write(descriptor, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def require_writable(path: Path, *, force: bool) -> None:
    """Refuse to replace a file of the user without `force`.

    Raises
    ------
    ProjectError
        If `path` exists and `force` is False, or its folder does not exist.
    """
    if path.is_dir():
        raise ProjectError(f"{path} is a folder.", "Name a file.")
    if path.exists() and not force:
        raise ProjectError(f"{path} exists.", "Choose another name, or replace it with --force.")
    if not path.parent.is_dir():
        raise ProjectError(f"The folder {path.parent} does not exist.", "Make it, or choose another place.")
