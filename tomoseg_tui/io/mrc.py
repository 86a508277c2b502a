"""Read, write and stream MRC files: .mrc, .rec, .map, .st, .ali. Leaves the header to `mrc_header`.

Regions are read and written in place, without memory mapping or whole-volume arrays, so that memory stays small and
several processes can write one file together.
"""

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tomoseg_tui.core.grid import ByteSign, VoxelGrid
from tomoseg_tui.errors import ShapeError, UnreadableTomogramError
from tomoseg_tui.io.byte_sign import settle_byte_sign
from tomoseg_tui.io.mrc_header import HEADER_BYTES, MrcHeader, header_in_order, make_header, pack_text, parse_header
from tomoseg_tui.io.raw_volume import RawFile, RawVolume, create_raw, open_raw, truncated_error
from tomoseg_tui.io.volume_reader import VolumeReader, check_box, reject_single_slice

_STATISTICS_OFFSET, _RMS_OFFSET = 76, 216
"""Byte offsets of minimum, maximum and mean, and of the rms."""
_SAMPLE_BLOCKS, _SAMPLE_BLOCK_BYTES = 32, 1 << 16
"""Parts read to find the sign of bytes."""
_SLAB_BYTES = 1 << 28
"""Bytes in memory while axes are put in order."""
_LABELS_OFFSET = 220
"""Byte offset of the number of labels, and of the labels behind it."""
_CHUNK_BYTES = 1 << 22
"""Bytes copied at a time."""


@final
class MrcReader(VolumeReader):
    """An MRC file, MRC2014 or similar.

    Parameters
    ----------
    path : Path
        The file to read.
    byte_sign : {"signed", "unsigned"}, optional
        Sign of bytes in mode 0; without it the header decides.
    flat : bool
        True accepts a single image as a volume of one slice.
    original : Path, optional
        The archive from which `path` was unpacked; used in messages instead of `path`.

    Raises
    ------
    UnreadableTomogramError
        If the file is damaged or truncated, or is not a real-valued volume in the order x, y, z.
    """

    def __init__(
        self, path: Path, *, byte_sign: ByteSign | None = None, flat: bool = False, original: Path | None = None
    ) -> None:
        display_path = original or path
        raw = open_raw(path)
        with ExitStack() as on_error:
            on_error.callback(raw.close)
            raw.path = display_path
            header = _read_header(raw, byte_sign)
            reject_single_slice(display_path, header.grid.shape_zyx[0], flat=flat)
            on_error.pop_all()
        super().__init__(
            display_path,
            header.grid,
            header.dtype.newbyteorder("="),
            kind=header.kind,
            warnings=header.warnings,
            compressed=original is not None,
        )
        self.other_voxel_sizes = header.other_voxel_sizes
        self.tilt_series_hint = header.tilt_series_hint
        self._order = header.stored_axes_zyx
        self._volume = RawVolume(raw, header.offset, self._stored(header.grid.shape_zyx), header.dtype)

    def _stored(self, values_zyx: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return values along z, y, x in the order of sections, rows and columns."""
        sections, rows, columns = self._order
        return values_zyx[sections], values_zyx[rows], values_zyx[columns]

    def _read_box(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[Any]:
        values = self._volume.read(self._stored(corner_zyx), self._stored(shape_zyx))
        return np.ascontiguousarray(values.transpose(np.argsort(self._order)))

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._volume.file.close()


@final
class MrcWriter:
    """A little-endian MRC2014 file, written region by region; unwritten regions are holes that read as 0.

    Parameters
    ----------
    path : Path
        Created or emptied, and extended to its full length, which uses no disk space yet.
    grid : VoxelGrid
        Shape, voxel size, origin and nstart for the header.
    dtype : numpy dtype
        int8 (with IMOD's stamp, so that all programs read it as signed), int16, uint16, float16 or float32.
    title : str
        First label of the header.
    lines : sequence of str
        Further labels, such as what the numbers mean.

    Raises
    ------
    TomogramError
        If MRC has no mode for the type, or the file cannot be created.
    """

    def __init__(
        self, path: Path, grid: VoxelGrid, dtype: DTypeLike, *, title: str = "", lines: Sequence[str] = ()
    ) -> None:
        stored = np.dtype(dtype).newbyteorder("<")
        header_bytes = make_header(grid, stored, lines=(title, *lines))
        raw = create_raw(path)
        with ExitStack() as on_error:
            on_error.callback(raw.close)
            header = parse_header(header_bytes, path)
            raw.write_array(np.frombuffer(header_bytes, np.uint8), 0)
            raw.resize(header.expected_bytes)
            on_error.pop_all()
        self._attach(raw, header)

    @classmethod
    def reopen(cls, path: Path) -> Self:
        """Open a file made by this class to write more regions; several processes may do so at once."""
        raw = open_raw(path, writable=True)
        writer = cls.__new__(cls)
        with ExitStack() as on_error:
            on_error.callback(raw.close)
            writer._attach(raw, _read_header(raw, None))  # noqa: SLF001 - same class
            on_error.pop_all()
        return writer

    def _attach(self, raw: RawFile, header: MrcHeader) -> None:
        self._file = raw
        self._volume = RawVolume(raw, header.offset, header.grid.shape_zyx, header.dtype)
        self.path = raw.path
        self.grid = header.grid
        self.dtype = header.dtype.newbyteorder("=")

    def write_region(self, corner_zyx: tuple[int, int, int], values: NDArray[Any]) -> None:
        """Write a box within the volume.

        Parameters
        ----------
        corner_zyx : tuple of int
            First voxel of the box, counted from 0.
        values : ndarray, shape (z, y, x)
            Of a type that converts to the file's type without loss. Left unchanged.

        Raises
        ------
        ShapeError
            If the box extends beyond the volume.
        TypeError
            If values would be rounded or clipped by the file's type.
        TomogramError
            If the disk is full or fails.
        """
        check_box(self.grid.shape_zyx, corner_zyx, values.shape)
        if not np.can_cast(values.dtype, self.dtype, "safe"):
            message = f"{values.dtype} values do not fit a file of {self.dtype}; round and clip them first"
            raise TypeError(message)
        if values.size:
            self._volume.write(corner_zyx, values)

    def write_slices(self, start: int, values: NDArray[Any]) -> None:
        """Write whole slices, shape (n, y, x), the first of them at `start`."""
        if values.shape[1:] != self.grid.shape_zyx[1:]:
            raise ShapeError(
                f"Slices have shape {values.shape[1:]}, those of {self.path.name} {self.grid.shape_zyx[1:]} (y, x).",
                "Write slices of the file's shape.",
            )
        self.write_region((start, 0, 0), values)

    def sync(self) -> None:
        """Wait until everything written so far is on disk."""
        self._file.sync()

    def close(
        self,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        mean: float | None = None,
        rms: float | None = None,
    ) -> None:
        """Close the file; write the statistics of its densities to the header if all four are given.

        Parameters
        ----------
        minimum, maximum, mean, rms : float, optional
            In the units of the densities; rms is their standard deviation. Without them the header is not changed.
        """
        if minimum is not None and maximum is not None and mean is not None and rms is not None:
            self._file.write_array(np.array([minimum, maximum, mean], "<f4"), _STATISTICS_OFFSET)
            self._file.write_array(np.array([rms], "<f4"), _RMS_OFFSET)
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def write_in_order(source: Path, target: Path, display_path: Path) -> None:
    """Write an MRC file whose axes are exchanged with columns along x, rows along y and sections along z.

    A single slice would be read from all over the file, so thick slabs are read.
    """
    with MrcReader(source, byte_sign="signed", flat=True, original=display_path) as reader, target.open("wb") as stream:
        with source.open("rb") as header:
            raw = header.read(HEADER_BYTES)
        stored = parse_header(raw, display_path, byte_sign="signed").dtype
        depth, height, width = reader.grid.shape_zyx
        thickness = max(1, _SLAB_BYTES // (height * width * stored.itemsize))
        stream.write(header_in_order(raw))
        for start in range(0, depth, thickness):
            slab = reader.read_slices(start, min(start + thickness, depth)).astype(stored, copy=False)
            stream.write(slab.data)


def copy_sparse(source: Path, target: Path, on_progress: Callable[[float], None] = lambda _done: None) -> None:
    """Copy a file and keep its holes.

    Parameters
    ----------
    target : Path
        Replaced if it exists. A plain copy if the file system has no holes.
    on_progress : callable
        Called with the share copied, from 0 to 1.

    Raises
    ------
    TomogramError
        If either file cannot be opened, or the disk is full.
    """
    with closing(open_raw(source)) as source_file, closing(create_raw(target)) as target_file:
        length = source_file.size()
        target_file.resize(length)
        for start, stop in _data_ranges(source_file.descriptor, length):
            for offset in range(start, stop, _CHUNK_BYTES):
                chunk = np.empty(min(_CHUNK_BYTES, stop - offset), np.uint8)
                source_file.read_into(chunk, offset)
                target_file.write_array(chunk, offset)
                on_progress((offset + chunk.size) / length)


def write_labels(path: Path, lines: Sequence[str]) -> None:
    """Replace the text in the header of a file that this program wrote."""
    labels = np.zeros(10, "S80")
    texts = pack_text(lines)
    labels[: len(texts)] = texts
    with closing(open_raw(path, writable=True)) as file:
        file.write_array(np.array([len(texts)], "<i4"), _LABELS_OFFSET)
        file.write_array(labels, _LABELS_OFFSET + 4)


def _data_ranges(descriptor: int, length: int) -> list[tuple[int, int]]:
    """Return the ranges of a file that are not holes, as (start, stop) in bytes."""
    ranges: list[tuple[int, int]] = []
    stop = 0
    try:
        while stop < length:
            start = os.lseek(descriptor, stop, os.SEEK_DATA)
            stop = os.lseek(descriptor, start, os.SEEK_HOLE)
            ranges.append((start, stop))
    except OSError as fault:
        # ENXIO: the rest is a hole. Other errors: the file system does not support holes.
        return ranges if fault.errno == errno.ENXIO else [(0, length)]
    return ranges


def _read_header(raw: RawFile, byte_sign: ByteSign | None) -> MrcHeader:
    """Read the header, check the file's length against it, and the sign of bytes against the densities."""
    header = _check_length(raw, parse_header(raw.read_head(HEADER_BYTES), raw.path, byte_sign=byte_sign))
    if header.mode != 0 or byte_sign is not None:
        return header
    return settle_byte_sign(header, _count_bytes(raw, header.offset, header.expected_bytes), raw.path.name)


def _check_length(raw: RawFile, header: MrcHeader) -> MrcHeader:
    """Return the header with the offset and the warnings that the file's length asks for."""
    file_bytes, extended_bytes = raw.size(), header.offset - HEADER_BYTES
    if extended_bytes and file_bytes == header.expected_bytes - extended_bytes:
        missing = (
            f"{raw.path.name} promises an extended header of {extended_bytes} bytes, but has just the length of header "
            f"and densities: the densities are read from byte {HEADER_BYTES}."
        )
        return replace(header, offset=HEADER_BYTES, warnings=(*header.warnings, missing))
    if extended_bytes < 0:
        raise UnreadableTomogramError(
            f"{raw.path.name} has a damaged header: its extended part is {extended_bytes} bytes long.",
            "Write the file again with the program that made it.",
        )
    if file_bytes <= header.offset:
        raise UnreadableTomogramError(
            f"{raw.path.name} is a header without densities: {header.expected_bytes} bytes expected, "
            f"{file_bytes} found.",
            "Copy it again from where it came from, or make it again.",
        )
    if file_bytes < header.expected_bytes:
        raise truncated_error(raw.path, expected=header.expected_bytes, actual=file_bytes)
    if file_bytes == header.expected_bytes:
        return header
    excess = (
        f"{raw.path.name} has {file_bytes - header.expected_bytes} bytes more than its header states; "
        "those at the end are not read."
    )
    return replace(header, warnings=(*header.warnings, excess))


def _count_bytes(raw: RawFile, start: int, stop: int) -> NDArray[np.int64]:
    """Return the number of each byte in a sample from all over the densities, shape (256,)."""
    length = stop - start
    blocks = min(_SAMPLE_BLOCKS, -(-length // _SAMPLE_BLOCK_BYTES))
    block = min(_SAMPLE_BLOCK_BYTES, length)
    counts = np.zeros(256, np.int64)
    for index in range(blocks):
        sample = np.empty(block, np.uint8)
        raw.read_into(sample, start + (length - block) * index // max(blocks - 1, 1))
        counts += np.bincount(sample, minlength=256)
    return counts
