"""Write a file under another name first, so that nobody ever meets half of it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tomoseg_tui.io.raw_volume import translate_os_errors


@contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """Hand out an empty file in the same folder; on success it takes the name `path`, on any fault it goes.

    Parameters
    ----------
    path : Path
        The file that is to be there afterwards; one that is there is replaced.

    Yields
    ------
    Path
        The draft, empty, with the permissions of any new file.

    Raises
    ------
    TomogramError
        If the folder is missing, may not be written to, or the disk is full.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with translate_os_errors(path):
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    try:
        yield draft
        with translate_os_errors(path):
            _fsync(draft)
            draft.replace(path)
            _fsync(path.parent)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _fsync(path: Path) -> None:
    """Wait until a file or a folder's list of names is on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
