"""Read and write volumes as multi-page TIFF, one page per slice.

TIFF has no voxel size: it is known only if ImageJ, OME or this program wrote it with a unit of length. Contiguous
uncompressed pages are read in place like MRC, others page by page.
"""

import json
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, final

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from tomoseg_tui.core.grid import ValueMeaning, VoxelGrid
from tomoseg_tui.errors import UnreadableTomogramError
from tomoseg_tui.io.raw_volume import (
    RawFile,
    RawVolume,
    in_native_order,
    open_raw,
    output_file,
    translate_library_errors,
    truncated_error,
)
from tomoseg_tui.io.volume_reader import VolumeReader, cubic_voxel_size, enumerate_slabs, reject_single_slice

# Without a handler, tifffile's warnings would be printed over the terminal's screen.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

ANGSTROM_PER_UNIT = {
    **dict.fromkeys(("å", "a", "angstrom", "angstroms"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometers"), 10.0),
    **dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer"), 1e4),
}
"""Units of length as spelled by ImageJ and OME, in lower case; other units give no voxel size."""
MAX_CHANNELS = 7
"""Most channels of a microscope; more are the slices of a stack."""
MAX_COMPRESSION = 20_000
"""No page is so many times larger than its bytes."""
CLASSIC_LIMIT_BYTES = 3_900_000_000
"""Largest data with the 32-bit offsets of classic TIFF, allowing for the headers of 10^5 pages."""

_BYTES_PER_TYPE = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
"""Bytes of one value of each entry type, TIFF 6.0 and BigTIFF."""


@final
class TiffVolume(VolumeReader):
    """A stack of grey pages in a TIFF file.

    Parameters
    ----------
    path : Path
        The file to read.
    flat : bool
        True accepts a single page as a volume of one slice.
    original : Path, optional
        The archive from which `path` was unpacked; used in messages instead of `path`.

    Raises
    ------
    UnreadableTomogramError
        If the file is damaged or truncated, has colours, or uses an unsupported compression.
    """

    def __init__(self, path: Path, *, flat: bool = False, original: Path | None = None) -> None:
        display_path = original or path
        self._raw = open_raw(path)
        self._raw.path = display_path
        self._lock = threading.Lock()
        # tifffile would not close a damaged file that it had opened itself.
        self._stream = path.open("rb")
        with ExitStack() as on_error:
            on_error.callback(self.close)
            pages = _count_pages(self._raw)
            with translate_library_errors(display_path, "tifffile"):
                self._tiff = tifffile.TiffFile(self._stream, name=display_path.name)
                series = self._tiff.series[0]
                shape = _volume_shape(series, display_path)
                reject_single_slice(display_path, shape[0], flat=flat)
                self._set_metadata(display_path, series, shape, pages, original=original)
                self._prepare_reading(series, shape)
            on_error.pop_all()

    def _set_metadata(
        self, display_path: Path, series: Any, shape: tuple[int, int, int], pages: int, *, original: Path | None
    ) -> None:
        """Set the attributes of `VolumeReader`."""
        grid, warnings = _read_grid(self._tiff, shape, display_path.name)
        if _are_slices(series):
            warnings += (f"{display_path.name} stores {shape[0]} slices as channels; they are read as slices.",)
        if len(self._tiff.series) > 1:
            warnings += (
                f"{display_path.name} contains images of several shapes in {pages} pages; the first stack is used.",
            )
        stored = np.dtype(np.uint8 if series.dtype.kind == "b" else series.dtype).newbyteorder("=")
        super().__init__(
            display_path, grid, stored, kind=f"TIFF, {stored}", warnings=warnings, compressed=original is not None
        )

    def _prepare_reading(self, series: Any, shape: tuple[int, int, int]) -> None:
        """Prepare to read contiguous pages in place, others page by page."""
        self._pages = series.pages
        self._volume: RawVolume | None = None
        if series.dataoffset is not None and series.dtype.kind != "b":
            stored = series.dtype.newbyteorder(self._tiff.byteorder)
            self._volume = RawVolume(self._raw, series.dataoffset, shape, stored)
            _require_length(self._raw, series.dataoffset + int(np.prod(shape)) * stored.itemsize)
            return
        self._has_separate_planes = series.axes == "SYX"
        if int(np.prod(shape)) * series.dtype.itemsize > MAX_COMPRESSION * self._raw.size():
            raise UnreadableTomogramError(
                f"{self._raw.path.name} states a shape of {shape}, which does not fit in {self._raw.size()} bytes.",
                "It is damaged: copy it from its source again.",
            )
        if len(series.pages) != (1 if self._has_separate_planes else shape[0]):
            raise UnreadableTomogramError(
                f"{self._raw.path.name} packs {shape[0]} slices into {len(series.pages)} pages.",
                "Save it as a plain stack, one page per slice.",
            )
        for page in series.pages:
            if len(page.dataoffsets) == 0:
                raise truncated_error(self._raw.path, expected=self._raw.size() + 1, actual=self._raw.size())
            _require_length(self._raw, max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=True))))

    def _read_box(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[Any]:
        if self._volume is not None:
            return self._volume.read(corner_zyx, shape_zyx)
        z, y, x = corner_zyx
        out = np.empty(shape_zyx, self.dtype)
        for index, plane in enumerate(out):
            plane[...] = self._read_page(z + index)[y : y + shape_zyx[1], x : x + shape_zyx[2]]
        return out

    def _read_page(self, index: int) -> NDArray[Any]:
        """Decode one page, shape (y, x); one at a time, because tifffile moves the file's position."""
        with self._lock, translate_library_errors(self.path, "tifffile"):
            page = np.asarray(
                self._pages[0].asarray()[index] if self._has_separate_planes else self._pages[index].asarray()
            )
            return in_native_order(page).reshape(self.grid.shape_zyx[1:])

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._raw.close()
        self._stream.close()


def write_volume(
    path: Path,
    slabs: Iterable[NDArray[Any]],
    grid: VoxelGrid,
    dtype: DTypeLike,
    meaning: ValueMeaning = ValueMeaning(),  # noqa: B008  # frozen
) -> None:
    """Write a volume slab by slab as an uncompressed TIFF, one page per slice, in ImageJ's format if possible.

    ImageJ has no signed bytes: they become unsigned if they are never negative, else 16-bit numbers.

    Parameters
    ----------
    path : Path
        The .tif file; replaced when the new one is complete. Above 3.9 GB a BigTIFF.
    slabs : iterable of ndarray, shape (k, y, x)
        The slices in order, any number at a time; together `grid.shape_zyx`.
    grid : VoxelGrid
        Voxel size, origin and nstart are written as JSON, with the meaning, to what ImageJ shows as the image's info. A
        plain TIFF (32-bit integers, and above 3.9 GB) has it in the description of the first page.
    dtype : numpy dtype
        Type of the slabs.
    meaning : ValueMeaning
        Text and display range.

    Raises
    ------
    ShapeError
        If the slabs together do not have the shape of the grid.
    TypeError
        If values would be rounded or clipped by the type.
    TomogramError
        If the file cannot be written.
    """
    stored, lines = np.dtype(dtype), meaning.lines
    if stored == np.int8:
        stored = np.dtype(np.uint8 if meaning.is_never_negative else np.int16)
        lines = (*lines, f"Signed bytes were written as {stored}.")
    elif stored in (np.float16, np.float64):
        stored = np.dtype(np.float32)
    large = int(np.prod(grid.shape_zyx)) * stored.itemsize > CLASSIC_LIMIT_BYTES
    # Rows of up to 4 pixels would be taken for colours.
    is_imagej = stored in _IMAGEJ_TYPES and not large and grid.shape_zyx[2] > 4
    description = _format_description(grid, lines)
    options: dict[str, Any] = {"description": description, "metadata": None}
    if is_imagej:
        options = _imagej_options("ZYX", grid.voxel_size_angstrom, meaning.display_range, description)
    with output_file(path) as draft, tifffile.TiffWriter(draft, bigtiff=large, imagej=is_imagej) as writer:
        planes = _iterate_planes(slabs, grid, stored)
        writer.write(planes, shape=grid.shape_zyx, dtype=stored, photometric="minisblack", **options)


_IMAGEJ_TYPES = (np.uint8, np.uint16, np.int16, np.float32)


def _imagej_options(
    axes: str, voxel_size_angstrom: float, display_range: tuple[float, float] | None, info: str
) -> dict[str, Any]:
    """Return the options of tifffile for an image in ImageJ's format."""
    metadata: dict[str, Any] = {"axes": axes, "Info": info}
    if voxel_size_angstrom:
        metadata |= {"unit": "angstrom", "spacing": voxel_size_angstrom}
    if display_range is not None:
        metadata |= {"min": display_range[0], "max": display_range[1], "Ranges": display_range}
    pixels = 1 / voxel_size_angstrom if voxel_size_angstrom else 0
    return {"metadata": metadata, "resolution": (pixels, pixels) if pixels else None}


def write_stack(
    path: Path,
    images: NDArray[Any],
    *,
    axes: str,
    voxel_size_angstrom: float,
    names: Sequence[str] = (),
    meaning: ValueMeaning = ValueMeaning(),  # noqa: B008  # frozen
) -> None:
    """Write images as a TIFF that Fiji and napari open with the right axes, in ImageJ's format if possible.

    Parameters
    ----------
    path : Path
        The .tif file; replaced when the new one is complete.
    images : ndarray, shape (n, y, x)
        Row 0 first. 32-bit integers, which napari opens as labels, are plain TIFF, because ImageJ has none.
    axes : str
        "TYX" for tiles, which are separate images; "ZYX" for slices.
    voxel_size_angstrom : float
        Edge of one pixel, Å; 0 (unknown) is not written.
    names : sequence of str, optional
        Titles that Fiji shows over the images.
    meaning : ValueMeaning
        Text and display range.

    Raises
    ------
    TomogramError
        If the file cannot be written.
    """
    size = voxel_size_angstrom
    is_imagej = images.dtype in (np.uint8, np.uint16, np.float32) and images.nbytes < CLASSIC_LIMIT_BYTES
    options: dict[str, Any] = {"metadata": {"axes": axes, "meaning": "; ".join(meaning.lines)}}
    if is_imagej:
        options = _imagej_options(axes, size, meaning.display_range, "\n".join(meaning.lines))
        options["metadata"] |= {"Labels": list(names)} if names else {}
    with output_file(path) as draft, tifffile.TiffWriter(draft, imagej=is_imagej) as writer:
        writer.write(images, photometric="minisblack", **options)


def _iterate_planes(slabs: Iterable[NDArray[Any]], grid: VoxelGrid, stored: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Yield the slices of slabs, each of shape (y, x)."""
    for _, slab in enumerate_slabs(slabs, grid.shape_zyx):
        for plane in slab:
            if stored == np.uint8 and plane.dtype == np.int8 and plane.min() < 0:
                raise UnreadableTomogramError(
                    f"A byte is {plane.min()}, expected 0 to 127.", "Make the volume again, or export it as MRC."
                )
            is_narrowed = (plane.dtype.name, stored.name) in {("int8", "uint8"), ("float64", "float32")}
            yield np.ascontiguousarray(plane.astype(stored, casting="unsafe" if is_narrowed else "safe"))


def _format_description(grid: VoxelGrid, lines: Sequence[str] = ()) -> str:
    """Return the parts of the grid that TIFF cannot store, and the meaning of the numbers, as JSON."""
    return json.dumps(
        {
            "voxel_size_angstrom": grid.voxel_size_angstrom,
            "origin_xyz_angstrom": grid.origin_xyz_angstrom,
            "nstart_xyz": grid.nstart_xyz,
            "meaning": lines,
        },
        indent=1,
    )


def _count_pages(raw: RawFile) -> int:
    """Return the number of pages, following their chain to its end; a broken chain would hide pages from tifffile."""
    order = "<" if raw.read_head(2) == b"II" else ">"
    is_big = int(_read_entries(raw, 2, f"{order}u2")[0]) == 43
    count_type, offset_type, first_offset = (
        (f"{order}u8", f"{order}u8", 8) if is_big else (f"{order}u2", f"{order}u4", 4)
    )
    entry = np.dtype([("tag", f"{order}u2"), ("type", f"{order}u2"), ("count", offset_type), ("place", offset_type)])
    offset = int(_read_entries(raw, first_offset, offset_type)[0])
    visited: set[int] = set()
    entry_bytes = 0
    while offset:
        if offset in visited or entry_bytes > raw.size():
            raise UnreadableTomogramError(
                f"{raw.path.name} is damaged: its pages form a loop, or lie over each other.", "Save it again."
            )
        visited.add(offset)
        entries = _read_entries(
            raw, offset + np.dtype(count_type).itemsize, entry, int(_read_entries(raw, offset, count_type)[0])
        )
        _check_value_ranges(raw, entries)
        entry_bytes += entries.nbytes
        offset = int(_read_entries(raw, offset + np.dtype(count_type).itemsize + entries.nbytes, offset_type)[0])
    return len(visited)


def _check_value_ranges(raw: RawFile, entries: NDArray[Any]) -> None:
    """Reject a page with entries that point beyond the end of the file."""
    for entry in entries:
        length = _BYTES_PER_TYPE.get(int(entry["type"]), 0) * int(entry["count"])
        if length > entry.dtype["place"].itemsize:
            _require_length(raw, int(entry["place"]) + length)


def _read_entries(raw: RawFile, offset: int, entry_type: DTypeLike, count: int = 1) -> NDArray[Any]:
    """Read consecutive numbers or entries."""
    dtype = np.dtype(entry_type)
    _require_length(raw, offset + count * dtype.itemsize)
    entries = np.empty(count, dtype)
    raw.read_into(entries, offset)
    return entries


def _require_length(raw: RawFile, expected: int) -> None:
    """Reject a file that is shorter than its pages state."""
    if expected > raw.size():
        raise truncated_error(raw.path, expected=expected, actual=raw.size())


def _volume_shape(series: Any, path: Path) -> tuple[int, int, int]:
    """Return the shape (z, y, x); reject colours and more than one stack axis."""
    page = series.keyframe
    stack_axes = [axis for axis in series.axes if axis not in "YX"]
    # tifffile, and napari through it, writes stacks of three or four masks as separate colour planes.
    has_separate_planes = series.axes == "SYX"
    colours = set(stack_axes) & {"C", "S"} or page.samplesperpixel != 1
    if len(stack_axes) > 1 or (colours and not has_separate_planes and not _are_slices(series)):
        raise UnreadableTomogramError(
            f"{path.name} has axes {series.axes} of lengths {series.shape}, expected one stack of grey slices.",
            "In Fiji: Image > Color > Split Channels saves one channel as a stack. If the channels are the slices: "
            "Image > Hyperstacks > Re-order Hyperstack, with Channels as Slices.",
        )
    if series.dtype is None or series.dtype.kind not in "biuf":
        raise UnreadableTomogramError(
            f"{path.name} contains {series.dtype} numbers, expected real densities.",
            "Save it as 8- or 16-bit integers or 32-bit floats.",
        )
    height, width = int(page.imagelength), int(page.imagewidth)
    return int(np.prod(series.shape)) // (height * width), height, width


def _are_slices(series: Any) -> bool:
    """Return whether the channels of a stack are slices: more grey pages than a microscope has channels."""
    return bool(series.axes == "CYX" and series.shape[0] > MAX_CHANNELS and series.keyframe.samplesperpixel == 1)


def files_of_set(path: Path, display_path: Path) -> list[Path]:
    """Return the files of an OME-TIFF set that a file belongs to; none if it is a set by itself.

    Raises
    ------
    UnreadableTomogramError
        If files of the set are missing.
    """
    with path.open("rb") as stream, translate_library_errors(display_path, "tifffile"):
        text = tifffile.TiffFile(stream, name=display_path.name).pages[0].description
    own = re.search(r'<OME\b[^>]*\bUUID="([^"]+)"', text)
    parts = re.findall(r'<UUID\b[^>]*\bFileName="([^"]+)"[^>]*>([^<]*)</UUID>', text)
    own_identifier = (
        own[1] if own is not None else next((uuid for name, uuid in parts if name == display_path.name), "")
    )
    names = sorted({Path(name).name for name, identifier in parts if identifier.strip() != own_identifier})
    if not names:
        return []
    missing = [name for name in names if path != display_path or not display_path.with_name(name).is_file()]
    if missing:
        raise UnreadableTomogramError(
            f"{display_path.name} is one file of an OME-TIFF set of {len(names) + 1}; missing beside it: "
            f"{', '.join(missing[:8])}{' ...' if len(missing) > 8 else ''}.",
            "Put all files of the set into one folder, not compressed, or save the volume as one file.",
        )
    return [display_path, *(display_path.with_name(name) for name in names)]


def _planes_of_set(pages: Iterable[Any]) -> Iterator[NDArray[Any]]:
    """Yield the slices of a set; tifffile closes all its files but the first."""
    for page in pages:
        handle = page.parent.filehandle
        was_closed = handle.closed
        if was_closed:
            handle.open()
        try:
            yield np.ascontiguousarray(page.asarray())
        finally:
            if was_closed:
                handle.close()


def write_set(path: Path, target: Path) -> None:
    """Write the slices of an OME-TIFF set, found by one of its files, as one TIFF."""
    with translate_library_errors(path, "tifffile"), tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        shape = _volume_shape(series, path)
        if len(series.pages) != shape[0] or any(page is None for page in series.pages):
            raise UnreadableTomogramError(
                f"{path.name} belongs to an OME-TIFF set that does not hold all its {shape[0]} slices.",
                "Put all files of the set into one folder, or save the volume as one file.",
            )
        grid, _ = _read_grid(tiff, shape, path.name)
        with target.open("wb+") as stream, tifffile.TiffWriter(stream, bigtiff=True) as writer:
            writer.write(
                (plane.reshape(shape[1:]) for plane in _planes_of_set(series.pages)),
                shape=shape,
                dtype=series.dtype,
                photometric="minisblack",
                description=_format_description(grid),
                metadata=None,
            )


def _read_grid(tiff: Any, shape_zyx: tuple[int, int, int], name: str) -> tuple[VoxelGrid, tuple[str, ...]]:
    """Return the grid from this program's description, or with the voxel size from OME or ImageJ."""
    info = (tiff.imagej_metadata or {}).get("Info", "") if tiff.is_imagej else tiff.pages[0].description
    own_grid = _parse_own_description(str(info), shape_zyx)
    if own_grid is not None:
        return own_grid, ()
    if tiff.is_ome:
        sizes = _ome_voxel_sizes(tiff.ome_metadata or "")
    elif tiff.is_imagej:
        sizes = _imagej_voxel_sizes(tiff)
    else:
        sizes = (0.0, 0.0, 0.0)
    voxel_size, warnings = cubic_voxel_size(sizes, name)
    return VoxelGrid(shape_zyx, voxel_size), warnings


def _parse_own_description(text: str, shape_zyx: tuple[int, int, int]) -> VoxelGrid | None:
    """Return the grid that `_format_description` wrote; None for any other description."""
    try:
        fields = json.loads(text)
        x, y, z = map(float, fields["origin_xyz_angstrom"])
        first_x, first_y, first_z = map(int, fields["nstart_xyz"])
        return VoxelGrid(shape_zyx, float(fields["voxel_size_angstrom"]), (x, y, z), (first_x, first_y, first_z))
    except (ValueError, TypeError, KeyError, OverflowError):
        return None


def _ome_voxel_sizes(xml: str) -> tuple[float, float, float]:
    """Return voxel edges along x, y, z from OME-XML, Å; the default unit is µm; 0 if unknown."""

    def edge(axis: str) -> float:
        size = re.search(rf'PhysicalSize{axis}="([0-9.eE+-]+)"', xml)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]*)"', xml)
        return float(size[1]) * _angstrom_per(unit[1] if unit else "um") if size else 0.0

    return edge("X"), edge("Y"), edge("Z")


def _imagej_voxel_sizes(tiff: Any) -> tuple[float, float, float]:
    """Return voxel edges along x, y, z from ImageJ's description and resolution, Å; 0 if unknown."""
    metadata = tiff.imagej_metadata or {}
    scale = _angstrom_per(str(metadata.get("unit", "")))
    tags = tiff.pages[0].tags

    def edge(tag: str) -> float:
        pixels, length = tags[tag].value if tag in tags else (0, 0)
        return length / pixels * scale if pixels else 0.0

    return edge("XResolution"), edge("YResolution"), float(metadata.get("spacing", 0.0)) * scale


def _angstrom_per(unit: str) -> float:
    """Return a unit of length in Å; 0 for an unknown unit."""
    return ANGSTROM_PER_UNIT.get(unit.strip().lower(), 0.0)
