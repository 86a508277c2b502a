"""Recognise a full disk, and word the error for it; free and used space.

h5py hides the number of the system's error in its text, and numpy drops it. Both are found here.
"""

import errno
import os
import re
import shutil
from pathlib import Path

from tomoseg_tui.errors import DiskFullError

DISK_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk is full, the quota is used up, or the file is longer than allowed."""
_HDF5_ERRNO = re.compile(r"errno = (\d+)")
_NUMPY_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_BLOCK_BYTES = 512
"""Size of a block in the results of `stat`; the blocks of the file system may be larger."""


def errno_of(fault: BaseException) -> int | None:
    """Return the number of the system for an error in reading or writing; None if there is none."""
    if isinstance(fault, OSError) and fault.errno is not None:
        return fault.errno
    match = _HDF5_ERRNO.search(str(fault))
    if match:
        return int(match[1])
    return errno.ENOSPC if _NUMPY_SHORT_WRITE.search(str(fault)) else None


def is_disk_full(fault: BaseException | None) -> bool:
    """Return whether an error, or its cause, comes from a full disk."""
    while fault is not None:
        if isinstance(fault, DiskFullError) or (not fault.__cause__ and errno_of(fault) in DISK_FULL_ERRNOS):
            return True
        fault = fault.__cause__
    return False


def disk_full_error(
    path: Path | str | None, fault: BaseException, *, missing: int = 0, next_step: str
) -> DiskFullError:
    """Return the error to raise.

    Parameters
    ----------
    path : Path, str or None
        The file that could not be written, if it is known.
    missing : int
        Bytes that have to be freed; 0 if unknown.
    next_step : str
        What to do after space was freed; begins in lower case.
    """
    if isinstance(fault, DiskFullError):
        message = fault.fault
    else:
        code = errno_of(fault) or errno.ENOSPC
        subject = f"{path} cannot be written" if path else "a file cannot be written"
        message = f"Disk full: {subject} ({os.strerror(code).lower()})."
    space = f"about {format_bytes(missing)}" if missing > 0 else "some space"
    return DiskFullError(message, f"Free {space} there, then {next_step}")


def free_bytes(folder: Path) -> int:
    """Return how many bytes the user can still write in a folder."""
    return shutil.disk_usage(folder).free


def used_bytes(folder: Path) -> int:
    """Return the disk space of all files below a folder, bytes. Holes and second names of a file count nothing."""
    stats = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum({(stat.st_dev, stat.st_ino): stat.st_blocks * _BLOCK_BYTES for stat in stats}.values())


def format_bytes(byte_count: float) -> str:
    """Return a number of bytes in GB, MB or kB.

    Examples
    --------
    >>> format_bytes(1_340_000_000), format_bytes(52_300_000), format_bytes(900)
    ('1.3 GB', '52 MB', '1 kB')
    """
    for unit, unit_name in ((1e9, "GB"), (1e6, "MB")):
        if byte_count >= unit:
            return f"{byte_count / unit:.{1 if byte_count < 10 * unit else 0}f} {unit_name}"
    return f"{max(1, round(byte_count / 1e3))} kB"
