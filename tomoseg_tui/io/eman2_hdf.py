"""Read and write EMAN2's HDF5 files: volumes, and stacks of two-dimensional images.

Image n is the group ``/MDF/images/n`` with its densities in the dataset ``image`` (x fastest) and its header in
attributes named ``EMAN.<key>``. Since 2020 EMAN2 usually stores densities as integers of a few bits with the range
that they represent; they are scaled back here. EMAN2 reads only 32-bit numbers and fixed-length strings with a
terminating NUL, so nothing else is written.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, final

import h5py
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import ShapeError, UnreadableTomogramError
from tomoseg_tui.io.hdf5_check import require_sound
from tomoseg_tui.io.raw_volume import output_file, translate_library_errors, translate_os_errors
from tomoseg_tui.io.volume_reader import VolumeReader, cubic_voxel_size, enumerate_slabs, reject_single_slice

Attribute = bool | int | float | str | Sequence[int] | Sequence[float]
"""Types of header entries in EMAN2."""

_IMAGES = "MDF/images"
_FLOAT_CODE = 7
"""EMAN2's number for float32."""


@final
class Eman2Volume(VolumeReader):
    """The volume in an EMAN2 HDF5 file: its image 0.

    Arrays have the stored type; bit-reduced densities are returned as float32 in their own units.

    Parameters
    ----------
    path : Path
        The file to read.
    flat : bool
        True accepts a single two-dimensional image as a volume of one slice.
    original : Path, optional
        The archive from which `path` was unpacked; used in messages instead of `path`.

    Raises
    ------
    UnreadableTomogramError
        If the file is damaged, not EMAN2's, of EMAN1's layout, or a stack of two-dimensional images.
    """

    def __init__(self, path: Path, *, flat: bool = False, original: Path | None = None) -> None:
        display_path = original or path
        self._file = _open(path, display_path)
        with ExitStack() as on_error:
            on_error.callback(self._file.close)
            with translate_library_errors(display_path, "HDF5"):
                count = _image_count(self._file, display_path)
                group = self._file[f"{_IMAGES}/0"]
                self._dataset = _image_dataset(group, display_path)
                shape = _volume_shape(self._dataset, count, display_path)
                reject_single_slice(display_path, shape[0], flat=flat)
                self._scale = _BitScale.from_attributes(group.attrs, self._dataset.dtype)
                self._set_metadata(display_path, shape, group.attrs, count, compressed=original is not None)
            on_error.pop_all()

    def _set_metadata(
        self, display_path: Path, shape: tuple[int, int, int], attrs: Any, count: int, *, compressed: bool
    ) -> None:
        """Set the attributes of `VolumeReader`."""
        stored = self._dataset.dtype.newbyteorder("=")
        grid, warnings = _read_grid(attrs, shape, display_path.name)
        if count > 1:
            warnings += (f"{display_path.name} contains {count} volumes; the first is used.",)
        super().__init__(
            display_path,
            grid,
            stored if self._scale is None else np.dtype(np.float32),
            kind=f"EMAN2 HDF5, {stored if self._scale is None else self._scale.description}",
            warnings=warnings,
            compressed=compressed,
        )

    def _read_box(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[Any]:
        window = tuple(slice(corner, corner + length) for corner, length in zip(corner_zyx, shape_zyx, strict=True))
        with translate_library_errors(self.path, "HDF5"):
            values = self._dataset[window[3 - self._dataset.ndim :]].reshape(shape_zyx)  # (z, y, x)
        if self._scale is not None:
            return self._scale.restore(values)
        return np.asarray(values, self.dtype)

    def close(self) -> None:
        """Close the file; closing twice is allowed."""
        self._file.close()


@final
class _BitScale:
    """The range that the integers of a bit-reduced image represent."""

    def __init__(self, bits: int, low: float, high: float) -> None:
        self.description = f"{bits}-bit reduced"
        self._low = low
        self._span = high - low
        self._levels = 2.0**bits - 1

    @classmethod
    def from_attributes(cls, attrs: Any, stored: np.dtype[Any]) -> "_BitScale | None":
        """Return the scale from an image's attributes; None if densities are stored directly."""
        bits, low, high = (_read_number(attrs, f"stored_render{part}", np.nan) for part in ("bits", "min", "max"))
        if stored.kind == "f" or not bits > 0 or np.isnan(low) or np.isnan(high):
            return None
        return cls(int(bits), low, high)

    def restore(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return densities as float32; computed in float64, slice by slice, so that integers are exact."""
        out = np.empty(values.shape, np.float32)
        for plane, stored in zip(out, values, strict=True):
            plane[...] = stored / self._levels * self._span + self._low
        return out


def read_image_stack(path: Path, *, original: Path | None = None) -> NDArray[np.float32]:
    """Read all images of an EMAN2 stack.

    Parameters
    ----------
    path : Path
        An HDF5 file of two-dimensional images of one shape, or with one volume, whose slices are the images.
    original : Path, optional
        The archive from which `path` was unpacked; used in messages instead of `path`.

    Returns
    -------
    ndarray of float32, shape (n, y, x)
        Bit-reduced images are scaled back. Row 0 first.

    Raises
    ------
    UnreadableTomogramError
        If the file is damaged, not EMAN2's, or its images differ in shape.
    """
    display_path = original or path
    with translate_library_errors(display_path, "HDF5"), _open(path, display_path) as file:
        count = _image_count(file, display_path)
        if count == 1 and _image_dataset(file[f"{_IMAGES}/0"], display_path).ndim == 3:
            return _read_densities(file, 0, display_path)
        images = [_read_densities(file, index, display_path) for index in range(count)]
        shapes = sorted({image.shape for image in images})
        if len(shapes) > 1 or len(shapes[0]) != 2:
            raise UnreadableTomogramError(
                f"{display_path.name} contains images of shapes {shapes}, expected one two-dimensional shape (y, x).",
                "Give a stack whose images have one size.",
            )
        return np.stack(images)  # (n, y, x)


def read_stack_headers(path: Path) -> list[dict[str, Attribute]]:
    """Read the header of each image of an EMAN2 stack: its numbers and strings, without the prefix "EMAN.".

    Raises
    ------
    UnreadableTomogramError
        If the file is damaged or not EMAN2's.
    """
    with translate_library_errors(path, "HDF5"), _open(path, path) as file:
        count = _image_count(file, path)
        return [_header(file[f"{_IMAGES}/{index}"].attrs) for index in range(count)]


def _header(attrs: Any) -> dict[str, Attribute]:
    """Return the entries of a header as Python types."""
    entries: dict[str, Attribute] = {}
    for key, value in attrs.items():
        numbers = np.asarray(value)
        name = key.removeprefix("EMAN.")
        if isinstance(value, bytes | str):
            entries[name] = (value if isinstance(value, str) else value.decode(errors="replace")).rstrip("\0")
        elif numbers.dtype.kind in "iuf":
            entries[name] = numbers.item() if numbers.size == 1 else numbers.ravel().tolist()
    return entries


def write_image_stack(
    path: Path,
    images: NDArray[Any],
    *,
    voxel_size_angstrom: float,
    attributes: Sequence[Mapping[str, Attribute]] = (),
) -> None:
    """Write two-dimensional images as a stack that EMAN2 opens.

    Parameters
    ----------
    path : Path
        The .hdf file; replaced when the new one is complete.
    images : ndarray, shape (n, y, x)
        Written as float32, row 0 first; n is at least 1.
    voxel_size_angstrom : float
        Edge of one pixel, Å; 0 (unknown) is not written.
    attributes : sequence of mapping, optional
        Header entries of each image, without the prefix "EMAN."; empty, or one for each image.

    Raises
    ------
    ShapeError
        If images are not (n, y, x), or the number of attributes differs.
    TomogramError
        If the file cannot be written.
    """
    if images.ndim != 3 or images.size == 0:
        raise ShapeError(f"Images have shape {images.shape}, expected (n, y, x).", "Give at least one image.")
    if len(attributes) not in {0, len(images)}:
        raise ShapeError(
            f"{len(attributes)} sets of attributes were given for {len(images)} images.", "Give one set per image."
        )
    with _new_file(path, count=len(images)) as file:
        for index, image in enumerate(images):
            group = file.create_group(f"{_IMAGES}/{index}")
            group.create_dataset("image", data=np.asarray(image, np.float32), track_times=False)
            _write_header(group, (1, *image.shape), voxel_size_angstrom)
            for key, value in (attributes[index] if attributes else {}).items():
                _write_attribute(group, key, value)


def write_volume(path: Path, slabs: Iterable[NDArray[Any]], grid: VoxelGrid, lines: Sequence[str] = ()) -> None:
    """Write a volume that EMAN2 opens, slab by slab.

    Parameters
    ----------
    path : Path
        The .hdf file; replaced when the new one is complete.
    slabs : iterable of ndarray, shape (k, y, x)
        The slices in order, any number at a time; together `grid.shape_zyx`. Written as float32.
    grid : VoxelGrid
        Voxel size (0 is not written), origin and nstart for the header.
    lines : sequence of str
        What the numbers mean, written as the attribute ``EMAN.tomoseg_meaning``.

    Raises
    ------
    ShapeError
        If the slabs together do not have the shape of the grid.
    TomogramError
        If the file cannot be written.
    """
    with _new_file(path, count=1) as file:
        group = file.create_group(f"{_IMAGES}/0")
        dataset = group.create_dataset("image", shape=grid.shape_zyx, dtype=np.float32, track_times=False)
        for start, slab in enumerate_slabs(slabs, grid.shape_zyx):
            dataset[start : start + len(slab)] = slab
        _write_header(group, grid.shape_zyx, grid.voxel_size_angstrom)
        for axis, origin, first in zip("xyz", grid.origin_xyz_angstrom, grid.nstart_xyz, strict=True):
            _write_attribute(group, f"origin_{axis}", float(origin))
            _write_attribute(group, f"MRC.n{axis}start", int(first))
        if lines:
            _write_attribute(group, "tomoseg_meaning", "; ".join(lines))


def _open(path: Path, display_path: Path) -> Any:
    """Open for reading, without locks: archives are often read-only, and network disks often cannot lock."""
    with translate_os_errors(path):
        path.open("rb").close()
    with translate_library_errors(display_path, "HDF5"):
        require_sound(path)
        return h5py.File(path, "r", locking=False)


@contextmanager
def _new_file(path: Path, *, count: int) -> Iterator[Any]:
    """Create an EMAN2 file for `count` images under a temporary name; it is renamed to `path` when complete."""
    with output_file(path) as draft, h5py.File(draft, "w") as file:
        images = file.create_group(_IMAGES)
        images.attrs.create("imageid_max", np.array([count - 1], np.int32))
        yield file


def _image_count(file: Any, path: Path) -> int:
    """Return the number of images; reject HDF5 files of other layouts."""
    if "num_dataset" in file.attrs:
        raise UnreadableTomogramError(
            f"{path.name} has the HDF5 layout of EMAN1, which is obsolete.",
            "Convert it with EMAN2: e2proc3d.py FILE.hdf NEWFILE.hdf",
        )
    if _IMAGES not in file:
        raise UnreadableTomogramError(
            f"{path.name} is an HDF5 file, but not one of EMAN2: it has no group /{_IMAGES}.",
            "Export the volume as MRC from the program that made it.",
        )
    images = file[_IMAGES]
    count = int(np.ravel(images.attrs.get("imageid_max", len(images) - 1))[0]) + 1
    if count < 1 or "0" not in images:
        raise UnreadableTomogramError(f"{path.name} is an EMAN2 file without images.", "Give a file with a volume.")
    return count


def _image_dataset(group: Any, path: Path) -> Any:
    """Return the dataset of an image's densities, unread."""
    dataset = group["image"]
    if dataset.dtype.kind not in "iuf" or _read_number(group.attrs, "is_complex", 0):
        raise UnreadableTomogramError(
            f"{path.name} contains {dataset.dtype} numbers or a Fourier transform, expected real densities.",
            "Give the volume before the Fourier transform.",
        )
    return dataset


def _volume_shape(dataset: Any, count: int, path: Path) -> tuple[int, int, int]:
    """Return the shape (z, y, x); reject stacks of two-dimensional images."""
    if 0 in dataset.shape or dataset.ndim not in {2, 3}:
        raise UnreadableTomogramError(
            f"Image 0 of {path.name} has the shape {dataset.shape}, expected (z, y, x).",
            "Give a file with a volume.",
        )
    if dataset.ndim == 2 and count > 1:
        raise UnreadableTomogramError(
            f"{path.name} is a stack of {count} two-dimensional images, not a volume.",
            "Give the tomogram from which they were cut.",
        )
    depth, height, width = (1, *dataset.shape)[-3:]
    return int(depth), int(height), int(width)


def _read_grid(attrs: Any, shape_zyx: tuple[int, int, int], name: str) -> tuple[VoxelGrid, tuple[str, ...]]:
    """Read voxel size, origin and nstart."""
    x_size, y_size, z_size = (_read_number(attrs, f"apix_{axis}", 0.0) for axis in "xyz")
    voxel_size, warnings = cubic_voxel_size((x_size, y_size, z_size), name)
    x_origin, y_origin, z_origin = (_read_number(attrs, f"origin_{axis}", 0.0) for axis in "xyz")
    x_start, y_start, z_start = (int(_read_number(attrs, f"MRC.n{axis}start", 0)) for axis in "xyz")
    return VoxelGrid(shape_zyx, voxel_size, (x_origin, y_origin, z_origin), (x_start, y_start, z_start)), warnings


def _read_number(attrs: Any, key: str, default: float) -> float:
    """Return a header entry, which EMAN2 stores as a number or as an array of one."""
    value = attrs.get(f"EMAN.{key}")
    return default if value is None else float(np.ravel(value)[0])


def _read_densities(file: Any, index: int, path: Path) -> NDArray[np.float32]:
    """Return one whole image of a stack, in its own units."""
    group = file[f"{_IMAGES}/{index}"]
    values = _image_dataset(group, path)[()]
    scale = _BitScale.from_attributes(group.attrs, values.dtype)
    return values.astype(np.float32) if scale is None else scale.restore(values)


def _write_header(group: Any, shape_zyx: tuple[int, ...], voxel_size_angstrom: float) -> None:
    """Write the entries that EMAN2 needs to open an image."""
    for axis, length in zip("zyx", shape_zyx, strict=True):
        _write_attribute(group, f"n{axis}", int(length))
        if voxel_size_angstrom:
            _write_attribute(group, f"apix_{axis}", float(voxel_size_angstrom))
    for key, number in (("is_complex", 0), ("is_complex_x", 0), ("is_complex_ri", 1), ("datatype", _FLOAT_CODE)):
        _write_attribute(group, key, number)


def _write_attribute(group: Any, key: str, value: Attribute) -> None:
    """Write one header entry with a type that EMAN2 reads; it would silently misread 64-bit numbers."""
    name = f"EMAN.{key}"
    if isinstance(value, bool):
        group.attrs.create(name, np.array([ord("T" if value else "F")], np.int8))
    elif isinstance(value, str):
        text = value.encode()
        group.attrs.create(name, np.array(text, dtype=f"S{len(text) + 1}"))
    else:
        numbers = np.atleast_1d(value)
        group.attrs.create(name, numbers.astype(np.int32 if numbers.dtype.kind in "iu" else np.float32))
