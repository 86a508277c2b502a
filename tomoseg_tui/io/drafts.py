"""Write a file under another name first, so that nobody ever meets half of it."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tomoseg_tui.io.raw_volume import file_faults


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
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
    with file_faults(path):
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666))
    try:
        yield draft
        with file_faults(path):
            _sync(draft)
            draft.replace(path)
            _sync(path.parent)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _sync(path: Path) -> None:
    """Wait until a file or a folder's list of names is on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
