"""Write HDF5 files so that a disk that fails is told in words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from tomoseg_tui.errors import TomogramError
from tomoseg_tui.files.disk_space import disk_full_error, errno_of, is_disk_full


@contextmanager
def create_hdf5(path: Path) -> Iterator[Any]:
    """Hand out an empty HDF5 file; one that is there is emptied.

    Yields
    ------
    h5py.File
        Open for writing.

    Raises
    ------
    TomogramError
        If the file cannot be made.
    DiskFullError
        If the disk is full. h5py says so with an OSError as it writes, and with
        a RuntimeError as it closes.
    """
    try:
        with h5py.File(path, "w") as file:
            yield file
    except (OSError, RuntimeError) as fault:
        if is_disk_full(fault):
            raise disk_full_error(path, fault, next_step="do it again.") from fault
        code = errno_of(fault)
        reason = os.strerror(code) if code else f"HDF5 says “{fault}”"
        raise TomogramError(
            f"{path} cannot be written: {reason}.", "Check the space on the disk, then do it again."
        ) from fault
