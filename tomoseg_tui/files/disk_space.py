"""A disk without room: told from other faults, said in one way, with how much is missing where that is known.

h5py hides the system's number in its words, and numpy drops it; both are found here.
"""

import errno
import os
import re
import shutil
from pathlib import Path

from tomoseg_tui.errors import DiskFullError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk is full, the user's share of it is, or no file may grow so long."""
_NUMBER_OF_HDF5 = re.compile(r"errno = (\d+)")
_SHORT_OF_NUMPY = re.compile(r"\d+ requested and \d+ written")
_BLOCK = 512
"""Bytes of what `stat` calls a block, whatever the file system's own are."""


def number_of(fault: BaseException) -> int | None:
    """Return the system's number of a fault in reading or writing; None if it has none."""
    if isinstance(fault, OSError) and fault.errno is not None:
        return fault.errno
    said = _NUMBER_OF_HDF5.search(str(fault))
    if said:
        return int(said[1])
    return errno.ENOSPC if _SHORT_OF_NUMPY.search(str(fault)) else None


def is_full(fault: BaseException | None) -> bool:
    """Tell whether a fault, or one that it came of, is that of a disk without room."""
    while fault is not None:
        if isinstance(fault, DiskFullError) or (not fault.__cause__ and number_of(fault) in NO_ROOM):
            return True
        fault = fault.__cause__
    return False


def disk_full(path: Path | str | None, fault: BaseException, *, missing: int = 0, then: str) -> DiskFullError:
    """Return the fault to raise.

    Parameters
    ----------
    path : Path, str or None
        What could not be written, if that is known.
    fault : BaseException
        What the system said.
    missing : int
        Bytes that have to be freed; 0 if that is unknown.
    then : str
        What to do when there is room, beginning in lower case.
    """
    if isinstance(fault, DiskFullError):
        said = fault.fault
    else:
        number = number_of(fault) or errno.ENOSPC
        what = f"{path} cannot be written" if path else "a file cannot be written"
        said = f"Disk full: {what} ({os.strerror(number).lower()})."
    room = f"about {in_units(missing)} of room" if missing > 0 else "room"
    return DiskFullError(said, f"Make {room} there, then {then}")


def free_bytes(folder: Path) -> int:
    """Return how many bytes the user may still write in a folder."""
    return shutil.disk_usage(folder).free


def taken_bytes(folder: Path) -> int:
    """Return how many bytes of the disk the files below a folder take; holes take none, second names neither."""
    facts = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return sum({(one.st_dev, one.st_ino): one.st_blocks * _BLOCK for one in facts}.values())


def in_units(count: float) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> in_units(1_340_000_000), in_units(52_300_000), in_units(900)
    ('1.3 GB', '52 MB', '1 kB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.{1 if count < 10 * unit else 0}f} {name}"
    return f"{max(1, round(count / 1e3))} kB"
