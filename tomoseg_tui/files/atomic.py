"""Replace a file whole, or leave it alone. What is removed goes to the trash."""

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tomoseg_tui.errors import ProjectError


def default_file_mode() -> int:
    """Return the mode that the user's umask gives a new file; labs share projects."""
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def sync_folder(folder: Path) -> None:
    """Make sure that the folder's names are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_RANDOM_SUFFIX = r"[a-z0-9_]{8,16}(\.weights\.h5)?"
"""How the name of a draft goes on after that of its file: by chance, and as the file's format demands."""


@contextlib.contextmanager
def with_filename(path: Path) -> Iterator[None]:
    """Let a fault of the system that names no file name this one: a write knows only a number."""
    try:
        yield
    except OSError as fault:
        fault.filename = fault.filename or str(path)
        raise


@contextlib.contextmanager
def atomic_output(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a draft beside `path` to write into; put it in the place of `path` if all went well.

    Parameters
    ----------
    path : Path
    durable : bool
        Wait until the disk has it. What is written again in a moment, and may be lost with the power, need not wait.

    Yields
    ------
    Path
        An empty file in the same folder. It is gone afterwards, whatever happens.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.fchmod(descriptor, default_file_mode())
    os.close(descriptor)
    draft = Path(name)
    try:
        with with_filename(path):
            yield draft
            if durable:
                with draft.open("rb") as stream:
                    os.fsync(stream.fileno())
            draft.replace(path)
            if durable:
                sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(*paths: Path) -> None:
    """Remove the drafts of files that a killed process has left; for whoever alone may write these files now."""
    for path in paths:
        pattern = re.compile(rf"\.{re.escape(path.name)}\.{_RANDOM_SUFFIX}")
        for entry in path.parent.iterdir() if path.parent.is_dir() else ():
            if pattern.fullmatch(entry.name):
                entry.unlink(missing_ok=True)


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Replace a file so that whoever reads sees the old one or the new one; if durable, also after a power cut."""
    with atomic_output(path, durable=durable) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


def create_exclusively(path: Path, content: str, *, mode: int | None = None) -> bool:
    """Write a file whole unless there is one; tell whether it was written.

    A hard link gives the file its name, so that it never stands there half written, also on a network file system.
    Its mode is what the umask gives, unless one is named.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with with_filename(path), os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), default_file_mode() if mode is None else mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, path)
    except FileExistsError:
        return _has_two_names(Path(draft))
    except FileNotFoundError:
        return False  # whoever has the file now took our draft for one that a killed process had left
    finally:
        Path(draft).unlink(missing_ok=True)
    return True


def _has_two_names(draft: Path) -> bool:
    """Tell whether a link that was refused was made all the same: over NFS one whose answer was lost is asked again.

    See O_EXCL in open(2).
    """
    try:
        return draft.stat().st_nlink == 2
    except FileNotFoundError:
        return False


def append_line(path: Path, line: str) -> None:
    """Append one line in a single write, so that lines of several processes never mix.

    After the half of a line that a power cut or a full disk has left, it begins on a line of its own.

    Raises
    ------
    OSError
        If the disk has no room for all of it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, default_file_mode())
    try:
        length = os.fstat(descriptor).st_size
        is_torn = length > 0 and os.pread(descriptor, 1, length - 1) != b"\n"
        content = f"{chr(10) if is_torn else ''}{line}\n".encode()
        with with_filename(path):
            if os.write(descriptor, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def move_to_trash(trash: Path, items: list[tuple[Path, str]], *, at: datetime) -> Path:
    """Move files or folders into a folder of their own in the trash.

    Parameters
    ----------
    trash : Path
        The project's trash.
    items : list of (Path, str)
        What to move, and its name, with slashes, inside that folder. What does not exist is passed over.
    at : datetime
        When, for the folder's name.

    Returns
    -------
    Path
        Where the things are now.
    """
    trash.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{at:%Y%m%dT%H%M%S}_", dir=trash))
    folder.chmod(default_file_mode() | (default_file_mode() & 0o444) >> 2)  # who may read a folder may enter it
    for source, name in items:
        if source.exists():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
    sync_folder(folder)
    return folder


def require_writable(path: Path, *, force: bool) -> None:
    """Refuse to write over a file of the user's unless that was asked for.

    Raises
    ------
    ProjectError
        If there is something at `path` and not `force`, or its folder does not exist.
    """
    if path.is_dir():
        raise ProjectError(f"{path} is a folder.", "Name a file.")
    if path.exists() and not force:
        raise ProjectError(f"{path} exists.", "Choose another name, or say --force to replace it.")
    if not path.parent.is_dir():
        raise ProjectError(f"The folder {path.parent} does not exist.", "Make it, or choose another place.")
