"""Read and write arrays at given offsets of a file. Independent of any format.

Files are not mapped into memory: a mapped volume counts as resident memory as it is read, and a file that shrinks
under a mapping ends the process. Positioned reads and writes move only the requested bytes, and several threads and
processes can use one file.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import TomogramError, TomosegError, UnreadableTomogramError
from tomoseg_tui.files.atomic import atomic_output, named_os_errors
from tomoseg_tui.files.disk_space import disk_full_error, is_disk_full

MAX_BYTES_PER_CALL = 1 << 30
"""Bytes per system call; systems transfer at most about 2 GiB."""


@final
class RawFile:
    """An open file descriptor, and the file's name for messages."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor: int | None = descriptor

    @property
    def descriptor(self) -> int:
        """The open descriptor; raises ValueError if the file is closed."""
        if self._descriptor is None:
            message = f"{self.path} is closed"
            raise ValueError(message)
        return self._descriptor

    def size(self) -> int:
        """Return the present length of the file, bytes."""
        return os.fstat(self.descriptor).st_size

    def read_head(self, length: int) -> bytes:
        """Return up to `length` bytes from the start."""
        with translate_os_errors(self.path):
            return os.pread(self.descriptor, length, 0)

    def read_into(self, out: NDArray[Any], offset: int) -> None:
        """Read into a C-contiguous array; raise UnreadableTomogramError if the file is too short."""
        view = _as_bytes(out)
        bytes_read = 0
        while bytes_read < len(view):
            with translate_os_errors(self.path):
                count = os.preadv(
                    self.descriptor, [view[bytes_read : bytes_read + MAX_BYTES_PER_CALL]], offset + bytes_read
                )
            if count == 0:
                raise truncated_error(self.path, expected=offset + len(view), actual=self.size())
            bytes_read += count

    def write_array(self, values: NDArray[Any], offset: int) -> None:
        """Write a C-contiguous array."""
        view = _as_bytes(values)
        bytes_written = 0
        while bytes_written < len(view):
            with translate_os_errors(self.path):
                bytes_written += os.pwrite(
                    self.descriptor, view[bytes_written : bytes_written + MAX_BYTES_PER_CALL], offset + bytes_written
                )

    def resize(self, length: int) -> None:
        """Truncate the file, or extend it by a hole that reads as 0."""
        with translate_os_errors(self.path):
            os.ftruncate(self.descriptor, length)

    def sync(self) -> None:
        """Wait until all written data are on disk."""
        with translate_os_errors(self.path):
            os.fsync(self.descriptor)

    def close(self) -> None:
        """Close the descriptor; closing twice is allowed."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@final
class RawVolume:
    """A contiguous volume in a file, x fastest and z slowest.

    Parameters
    ----------
    file : RawFile
        Open for reading or writing, as needed.
    offset : int
        Offset of the first voxel, bytes.
    shape_zyx : tuple of int
        Voxels along z, y and x.
    dtype : numpy dtype
        Stored type with byte order.
    """

    def __init__(self, file: RawFile, offset: int, shape_zyx: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self.file = file
        self.offset = offset
        self.shape_zyx = shape_zyx
        self.dtype = dtype

    def read(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[Any]:
        """Read a box within the volume into a new array in native byte order.

        Memory beyond the result is at most the rows of one slice that the box touches.
        """
        _, y, x = corner_zyx
        _, height, width = shape_zyx
        out = np.empty(shape_zyx, self.dtype)
        if (y, x) == (0, 0) and (height, width) == self.shape_zyx[1:]:
            self.file.read_into(out, self._byte_offset(corner_zyx))
        else:
            for index, plane in enumerate(out):
                self._read_plane(plane, corner_zyx[0] + index, y, x)
        return in_native_order(out)

    def write(self, corner_zyx: tuple[int, int, int], values: NDArray[Any]) -> None:
        """Write a box within the volume; values have the stored type and shape (z, y, x)."""
        values = np.ascontiguousarray(values, self.dtype)
        z, y, x = corner_zyx
        rows_are_whole = values.shape[2] == self.shape_zyx[2]
        if rows_are_whole and values.shape[1] == self.shape_zyx[1]:
            self.file.write_array(values, self._byte_offset(corner_zyx))
            return
        for index, plane in enumerate(values):
            if rows_are_whole:
                self.file.write_array(plane, self._byte_offset((z + index, y, x)))
                continue
            for row, line in enumerate(plane):
                self.file.write_array(line, self._byte_offset((z + index, y + row, x)))

    def _byte_offset(self, corner_zyx: tuple[int, int, int]) -> int:
        """Return the offset of a voxel in the file, bytes."""
        z, y, x = corner_zyx
        _, height, width = self.shape_zyx
        return self.offset + ((z * height + y) * width + x) * self.dtype.itemsize

    def _read_plane(self, plane: NDArray[Any], z: int, y: int, x: int) -> None:
        """Read into an array of shape (y, x) from one slice, by whole rows."""
        height, width = plane.shape
        row_length = self.shape_zyx[2]
        if width == row_length:
            self.file.read_into(plane, self._byte_offset((z, y, x)))
            return
        # One call for whole rows is faster than one call per row, even for a single column of rows of 16 kB.
        band = np.empty((height, row_length), self.dtype)
        self.file.read_into(band, self._byte_offset((z, y, 0)))
        plane[...] = band[:, x : x + width]


def open_raw(path: Path, *, writable: bool = False) -> RawFile:
    """Open an existing file for reading, or also for writing."""
    with translate_os_errors(path):
        return RawFile(path, os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC))


def create_raw(path: Path) -> RawFile:
    """Open an empty file for reading and writing; an existing file is emptied."""
    with translate_os_errors(path):
        return RawFile(path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666))


def in_native_order(values: NDArray[Any]) -> NDArray[Any]:
    """Return values in native byte order; swaps bytes in place if necessary."""
    if values.dtype.isnative:
        return values
    return values.byteswap(inplace=True).view(values.dtype.newbyteorder("="))


def truncated_error(path: Path, *, expected: int, actual: int) -> UnreadableTomogramError:
    """Return the error for a file that is shorter than its header states."""
    return UnreadableTomogramError(
        f"{path.name} is truncated: its header states {expected} bytes, the file has {actual}.",
        "Copy the file from its source again, or create it again.",
    )


@contextmanager
def translate_os_errors(path: Path) -> Iterator[None]:
    """Translate errors of the system to errors with a fix."""
    try:
        with named_os_errors(path):
            yield
    except FileNotFoundError as fault:
        raise UnreadableTomogramError(f"{path} does not exist.", "Check the name and the folder.") from fault
    except PermissionError as fault:
        raise TomogramError(
            f"{path} cannot be opened: {fault.strerror}.", f"Ask its owner, or run: chmod u+rw '{path}'"
        ) from fault
    except IsADirectoryError as fault:
        raise UnreadableTomogramError(f"{path} is a folder.", "Name a file in it.") from fault
    except OSError as fault:
        raise _system_error(path, fault) from fault


@contextmanager
def translate_library_errors(path: Path, library: str) -> Iterator[None]:
    """Translate whatever a library raises on a file; the libraries of formats document none of their errors.

    Parameters
    ----------
    path : Path
        The file that is read.
    library : str
        Who speaks, in the message.

    Raises
    ------
    TomogramError
        If the system refuses something, or memory runs out.
    UnreadableTomogramError
        For any other error, with the library's own words.
    """
    try:
        yield
    except TomosegError:
        raise
    except MemoryError as fault:
        raise TomogramError(
            f"{path.name} needs more memory than there is: {fault or 'none is left'}.",
            "End other programs, or use a machine with more memory.",
        ) from fault
    except Exception as fault:
        message = " ".join(str(fault).split()) or type(fault).__name__
        if isinstance(fault, OSError) and fault.errno is not None and fault.errno > 0:
            raise _system_error(path, fault) from fault
        if isinstance(fault, ImportError) or "imagecodecs" in message:
            raise UnreadableTomogramError(
                f"{path.name} has a compression that needs imagecodecs: {library} says “{message}”.",
                f"Install it: {sys.executable} -m pip install imagecodecs. Or save the file without compression.",
            ) from fault
        raise UnreadableTomogramError(
            f"{path.name} cannot be read: {library} says “{message}”.",
            "If another program opens it, save it there as MRC. If none does, the file is damaged: copy it again.",
        ) from fault


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Yield a draft beside `path` that replaces it if no error is raised; see `files.atomic.atomic_output`.

    Raises
    ------
    TomogramError
        If the folder is missing, may not be written to, or the disk is full.
    """
    with translate_os_errors(path):
        path.parent.stat()  # a folder that the user has misspelt is not made
        with atomic_output(path) as draft:
            yield draft


def _system_error(path: Path, fault: OSError) -> TomosegError:
    """Return DiskFullError for a full disk, else a TomogramError."""
    if is_disk_full(fault):
        return disk_full_error(path, fault, next_step="try again.")
    reason = fault.strerror or str(fault)
    return TomogramError(f"The system cannot read or write {path}: {reason}.", "Check the disk and the name.")


def _as_bytes(values: NDArray[Any]) -> memoryview:
    """Return a C-contiguous array as bytes that share its memory."""
    return values.reshape(-1).view(np.uint8).data
