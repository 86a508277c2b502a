"""The interface of all volume readers. Each format has a module of its own."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from math import isfinite, prod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import ShapeError, UnreadableTomogramError

ANISOTROPY_TOLERANCE = 0.01
"""Voxel edges that differ by a larger share are reported, because networks assume cubic voxels."""


class VolumeReader(ABC):
    """A volume in a file, read region by region; usable from several threads at once.

    Parameters
    ----------
    path : Path
        The file that the user named.
    grid : VoxelGrid
        Shape, voxel size and origin from the header.
    dtype : numpy dtype
        Type of the arrays returned, in native byte order.
    kind : str
        The format as text, such as "MRC mode 0, signed bytes".
    warnings : tuple of str
        Oddities of the file that do not prevent reading it.
    compressed : bool
        True if the file is an archive that was unpacked for reading.
    """

    def __init__(
        self,
        path: Path,
        grid: VoxelGrid,
        dtype: np.dtype[Any],
        *,
        kind: str,
        warnings: tuple[str, ...] = (),
        compressed: bool = False,
    ) -> None:
        self.path = path
        self.grid = grid
        self.dtype = dtype
        self.kind = kind
        self.warnings = warnings
        self.compressed = compressed
        self.other_voxel_sizes: tuple[tuple[float, str], ...] = ()
        """Other voxel sizes that the header could mean, Å, each with the way to it."""
        self.tilt_series_hint = ""
        """Why the file may be a tilt series, as text; empty if nothing says so."""

    def read_region(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[Any]:
        """Read a box within the volume.

        Parameters
        ----------
        corner_zyx : tuple of int
            First voxel of the box, counted from 0.
        shape_zyx : tuple of int
            Voxels of the box along z, y and x; 0 is allowed.

        Returns
        -------
        ndarray of `dtype`, shape `shape_zyx`
            A new array in native byte order. NaN stays NaN.

        Raises
        ------
        ShapeError
            If the box extends beyond the volume.
        UnreadableTomogramError
            If the file was truncated meanwhile, or its compressed data are damaged.
        """
        check_box(self.grid.shape_zyx, corner_zyx, shape_zyx)
        if prod(shape_zyx) == 0:
            return np.empty(shape_zyx, self.dtype)
        return self._read_box(corner_zyx, shape_zyx)

    def read_slices(self, start: int, stop: int) -> NDArray[Any]:
        """Read the slices start .. stop - 1; shape (stop - start, y, x)."""
        _, height, width = self.grid.shape_zyx
        return self.read_region((start, 0, 0), (stop - start, height, width))

    @abstractmethod
    def _read_box(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[Any]:
        """Read a non-empty box within the volume."""

    @abstractmethod
    def close(self) -> None:
        """Close the file; closing twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_box(volume_zyx: tuple[int, int, int], corner_zyx: tuple[int, ...], shape_zyx: tuple[int, ...]) -> None:
    """Raise ShapeError unless a box lies within a volume."""
    inside = len(corner_zyx) == len(shape_zyx) == 3 and all(
        min(corner, length) >= 0 and corner + length <= limit
        for corner, length, limit in zip(corner_zyx, shape_zyx, volume_zyx, strict=True)
    )
    if not inside:
        raise ShapeError(
            f"The box at {tuple(corner_zyx)} of shape {tuple(shape_zyx)} (z, y, x) "
            f"extends beyond the volume of shape {volume_zyx}.",
            "Choose a box inside the volume.",
        )


def cubic_voxel_size(sizes_xyz_angstrom: tuple[float, float, float], name: str) -> tuple[float, tuple[str, ...]]:
    """Return the voxel size along x, with a warning if y or z differ from it.

    Parameters
    ----------
    sizes_xyz_angstrom : tuple of float
        Voxel edges along x, y, z from a header, Å. Values not finite or not above 0 are unknown.
    name : str
        Name of the file, for the warning.

    Returns
    -------
    voxel_size : float
        Edge along x, Å/voxel, to the seven digits of a float32; 0 if unknown.
    warnings : tuple of str
        A warning with all three edges, or none.
    """
    valid_sizes = [size for size in sizes_xyz_angstrom if isfinite(size) and size > 0]
    x_size = sizes_xyz_angstrom[0]
    if x_size not in valid_sizes:
        return 0.0, ()
    size = round_to_float32(x_size)
    if all(abs(other - x_size) <= ANISOTROPY_TOLERANCE * x_size for other in valid_sizes):
        return size, ()
    edges = " x ".join(f"{edge:.4g}" for edge in sizes_xyz_angstrom)
    warning = (
        f"{name} has voxels of {edges} Å (x, y, z), which are not cubes; {size:.4g} Å is used for all. If the slices "
        "are really that far apart, resample the volume first."
    )
    return size, (warning,)


def round_to_float32(value: float) -> float:
    """Round to seven significant digits, so that 13.48 stored as float32 is read as 13.48."""
    return float(f"{value:.7g}")


def reject_single_slice(path: Path, slices: int, *, flat: bool) -> None:
    """Raise UnreadableTomogramError for a single image unless `flat` is set."""
    if slices == 1 and not flat:
        raise UnreadableTomogramError(
            f"{path.name} is one image, not a volume: it has a single slice.",
            "Give the reconstructed tomogram, which has many slices.",
        )


def enumerate_slabs(
    slabs: Iterable[NDArray[Any]], shape_zyx: tuple[int, int, int]
) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield each slab with its first slice; raise ShapeError unless together they are the volume."""
    start = 0
    for slab in slabs:
        if slab.shape[1:] != shape_zyx[1:] or start + len(slab) > shape_zyx[0]:
            raise ShapeError(
                f"A slab of shape {slab.shape} at slice {start} does not fit a volume of shape {shape_zyx} (z, y, x).",
                "Write slabs of whole slices, in order.",
            )
        yield start, slab
        start += len(slab)
    if start != shape_zyx[0]:
        raise ShapeError(f"{start} slices were given, expected {shape_zyx[0]}.", "Write all slices.")
