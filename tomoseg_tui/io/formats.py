"""Open a volume or a stack of masks in any supported format, detected by content first, then by suffix.

The readers of HDF5, TIFF and PNG are imported at first use, because their libraries are slow to import.
"""

import bz2
import gzip
import os
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from tomoseg_tui.core.grid import ByteSign
from tomoseg_tui.errors import TomogramError, UnreadableTomogramError
from tomoseg_tui.files.text import require_utf8
from tomoseg_tui.io.mrc import MrcReader, copy_sparse, write_in_order
from tomoseg_tui.io.mrc_header import HEADER_BYTES, has_exchanged_axes, is_header
from tomoseg_tui.io.raw_volume import translate_os_errors
from tomoseg_tui.io.volume_reader import VolumeReader

MRC_SUFFIXES = (".mrc", ".rec", ".map", ".st", ".ali")
SUPPORTED_SUFFIXES = (
    *(f"{suffix}{archive}" for archive in (".gz", ".bz2", "") for suffix in MRC_SUFFIXES),
    ".hdf",
    ".tif",
    ".tiff",
)
"""Suffixes of volumes, in lower case; archives first, so that the first match is the longest."""
STACK_SUFFIXES = (*SUPPORTED_SUFFIXES, ".png")
"""Suffixes of stacks of masks."""

_Format = Literal["mrc", "hdf", "tiff", "gzip", "bzip2"]
_MAGIC: dict[bytes, _Format] = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\x89HDF\r\n\x1a\n": "hdf",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",
    b"MM\0+": "tiff",
}
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_CHUNK_BYTES = 1 << 22
"""Bytes unpacked at a time."""
_FORMATS_FIX = "Give a tomogram in the format MRC, EMAN2 HDF5 or TIFF."


def open_volume(path: Path, *, byte_sign: ByteSign | None = None, flat: bool = False) -> VolumeReader:
    """Open a volume for reading by regions.

    Parameters
    ----------
    path : Path
        MRC, EMAN2 HDF5 or TIFF, plain or as .gz or .bz2. An archive, an MRC file with exchanged axes and the files of
        an OME-TIFF set are written in order into a temporary file in TMPDIR, whose space is freed when the reader is
        closed.
    byte_sign : {"signed", "unsigned"}, optional
        Sign of bytes in MRC mode 0; without it the header decides.
    flat : bool
        True accepts a single image as a volume of one slice.

    Returns
    -------
    VolumeReader
        The open volume; close it, or use it in a "with" statement.

    Raises
    ------
    UnreadableTomogramError
        If the file is missing, a folder, empty, text, damaged, truncated or of another format.
    UsageError
        If its name is not UTF-8.
    TomogramError
        If the system cannot read or unpack the file.
    """
    with _unpacked(path) as (file_format, plain_path, remarks):
        original = None if plain_path == path else path
        reader: VolumeReader
        if file_format == "hdf":
            from tomoseg_tui.io.eman2_hdf import Eman2Volume  # noqa: PLC0415

            reader = Eman2Volume(plain_path, flat=flat, original=original)
        elif file_format == "tiff":
            from tomoseg_tui.io.tiff import TiffVolume  # noqa: PLC0415

            reader = TiffVolume(plain_path, flat=flat, original=original)
        else:
            reader = MrcReader(plain_path, byte_sign=byte_sign, flat=flat, original=original)
        reader.warnings = (*remarks, *reader.warnings)
        return reader


def open_stack(path: Path, *, colours: bool = False) -> NDArray[Any]:
    """Read a stack of masks into memory.

    Parameters
    ----------
    path : Path
        MRC, EMAN2 HDF5 stack or TIFF, plain or as .gz or .bz2; a single image is a stack of one. Also a PNG, or
        a folder of PNGs, sorted by name.
    colours : bool
        Read the colours of an indexed PNG instead of its indices.

    Returns
    -------
    ndarray, shape (n, y, x)
        The stored type; float32 for EMAN2 files; for PNGs as from `read_png`. Row 0 first.

    Raises
    ------
    UnreadableTomogramError, TomogramError
        As `open_volume`.
    """
    if is_png(path):
        from tomoseg_tui.io.png import read_png_stack  # noqa: PLC0415

        return read_png_stack(path, colours=colours)
    with _unpacked(path) as (file_format, plain_path, _):
        if file_format == "hdf":
            from tomoseg_tui.io.eman2_hdf import read_image_stack  # noqa: PLC0415

            return read_image_stack(plain_path, original=None if plain_path == path else path)
    with open_volume(path, flat=True) as reader:
        return reader.read_slices(0, reader.grid.shape_zyx[0])


def is_png(path: Path) -> bool:
    """Return whether a path is a PNG or a folder with PNGs."""
    if path.is_dir():
        return any(entry.suffix.lower() == ".png" for entry in path.iterdir())
    return path.is_file() and _read_head(path).startswith(_PNG_MAGIC)


def copy_unpacked(path: Path, target: Path, on_progress: Callable[[float], None]) -> None:
    """Copy the bytes of a volume, unpacked if it is an archive, and keep the holes of the file.

    Parameters
    ----------
    path : Path
        A volume that `open_volume` opens.
    target : Path
        Overwritten if it exists; the caller provides a temporary name if needed.
    on_progress : callable
        Called with the share copied, from 0 to 1.

    Raises
    ------
    UnreadableTomogramError, TomogramError
        As `open_volume`.
    """
    with _unpacked(path) as (_, plain_path, _):
        copy_sparse(plain_path, target, on_progress)


@contextmanager
def _unpacked(path: Path) -> Iterator[tuple[_Format, Path, tuple[str, ...]]]:
    """Yield the format, a plain file with the densities in order, and remarks: the file itself, or a temporary one."""
    with _decompressed(path) as (file_format, plain_path):
        if file_format == "mrc" and has_exchanged_axes(_read_head(plain_path, display_path=path)):
            with _temporary_file(path, lambda target: write_in_order(plain_path, target, path)) as ordered:
                remark = f"{path.name} stores its axes in another order (mapc, mapr, maps); it is read as x, y, z."
                yield file_format, ordered, (remark,)
            return
        if file_format == "tiff":
            from tomoseg_tui.io.tiff import files_of_set, write_set  # noqa: PLC0415

            files = files_of_set(plain_path, path)
            if files:
                with _temporary_file(path, lambda target: write_set(path, target)) as whole:
                    names = ", ".join(sorted(file.name for file in files))
                    remark = (
                        f"{path.name} is one of {len(files)} files of an OME-TIFF set, all of which are read: {names}."
                    )
                    yield file_format, whole, (remark,)
                return
        yield file_format, plain_path, ()


@contextmanager
def _temporary_file(path: Path, write: Callable[[Path], None], *, is_named: bool = False) -> Iterator[Path]:
    """Write densities of a path into a file in TMPDIR, and yield a path to it.

    Unless HDF5 needs its name, it has none in that folder, so that nothing is left of it if the process is killed.
    """
    make: Any = tempfile.NamedTemporaryFile if is_named else tempfile.TemporaryFile
    with make(prefix="tomoseg-") as file:
        file_path = Path(file.name if is_named else f"/proc/{os.getpid()}/fd/{file.fileno()}")
        try:
            write(file_path)
        except OSError as fault:
            raise TomogramError(
                f"{path.name} cannot be unpacked in {tempfile.gettempdir()}: {fault.strerror}.",
                "Free some space there, or set TMPDIR to a folder on another disk.",
            ) from fault
        yield file_path


@contextmanager
def _decompressed(path: Path) -> Iterator[tuple[_Format, Path]]:
    """Yield the format of the content and a plain file: the file itself, or a temporary file with unpacked content."""
    file_format = _detect_format(_read_head(path), path)
    if file_format not in {"gzip", "bzip2"}:
        yield file_format, path
        return
    opener: Any = gzip.open if file_format == "gzip" else bz2.open
    with opener(path, "rb") as stream:
        chunk = _require_bytes(_read_chunk(stream, path, 0), path)
        file_format = _detect_unpacked_format(chunk[:HEADER_BYTES], path)

        def write(target: Path) -> None:
            with target.open("wb") as unpacked:
                unpacked.write(chunk)
                while more := _read_chunk(stream, path, unpacked.tell()):
                    unpacked.write(more)

        with _temporary_file(path, write, is_named=file_format == "hdf") as plain_path:
            yield file_format, plain_path


def _read_head(path: Path, *, display_path: Path | None = None) -> bytes:
    """Return the first bytes of a file that has any; devices and pipes are rejected unopened, since they may block."""
    display_path = display_path or path
    require_utf8(str(display_path))
    with translate_os_errors(display_path):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UnreadableTomogramError(f"{display_path} is a folder, not a file.", "Name the files in it.")
        if not stat.S_ISREG(mode):
            raise UnreadableTomogramError(f"{display_path} is a device or a pipe, not a file.", "Name a file on disk.")
        with path.open("rb") as stream:
            head = stream.read(HEADER_BYTES)
    return _require_bytes(head, display_path)


def _require_bytes(head: bytes, path: Path) -> bytes:
    if not head:
        raise UnreadableTomogramError(f"{path.name} is empty: it has 0 bytes.", "Copy the file from its source again.")
    return head


def _detect_format(head: bytes, path: Path) -> _Format:
    """Return the format by the first bytes, or by the suffix if these are ambiguous."""
    for magic, file_format in _MAGIC.items():
        if head.startswith(magic):
            return file_format
    if _is_text(head):
        raise UnreadableTomogramError(f"{path.name} is a text file, not a volume.", _FORMATS_FIX)
    if is_header(head) or _bare_suffix(path) in MRC_SUFFIXES:
        return "mrc"
    suffix = path.suffix or "no suffix"
    raise UnreadableTomogramError(
        f"The content of {path.name} ({suffix}) is neither MRC, EMAN2 HDF5 nor TIFF.", _FORMATS_FIX
    )


def _detect_unpacked_format(head: bytes, path: Path) -> _Format:
    """Return the format of the content of an archive."""
    file_format = _detect_format(head, path)
    if file_format in {"gzip", "bzip2"}:
        raise UnreadableTomogramError(
            f"{path.name} is an archive within an archive.", "Unpack it first, with gunzip or bunzip2."
        )
    return file_format


def _bare_suffix(path: Path) -> str:
    """Return the suffix without that of an archive, in lower case."""
    return (Path(path.stem) if path.suffix.lower() in {".gz", ".bz2"} else path).suffix.lower()


def _is_text(head: bytes) -> bool:
    """Return whether bytes are text; binary formats have zeros or invalid UTF-8 among the first thousand bytes."""
    try:
        # The last character may be incomplete, so up to 3 bytes are left out.
        text = head[: max(len(head) - 3, 1)].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n\f" for character in text)


def _read_chunk(stream: Any, path: Path, done_bytes: int) -> bytes:
    """Return the next chunk of an archive; empty at its end."""
    try:
        return bytes(stream.read(_CHUNK_BYTES))
    except (EOFError, OSError, zlib.error, ValueError) as fault:
        raise UnreadableTomogramError(
            f"{path.name} is a damaged or truncated archive: unpacking stopped after {done_bytes} bytes ({fault}).",
            "Copy the file from its source again.",
        ) from fault
