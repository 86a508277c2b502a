"""Previews for the user: a file's header, the middle of a tomogram, the effect of filters."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.binning import binned_shape
from tomoseg_tui.core.filters import FilterChain, preprocess
from tomoseg_tui.core.grid import ByteSign, DensityScale, VoxelGrid
from tomoseg_tui.core.smoothing import gaussian_taps
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import open_tomogram
from tomoseg_tui.project.records import TomogramRecord
from tomoseg_tui.workflow.annotations.import_annotations import read_tile_values
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest

MIDDLE_EDGE = 512
"""Largest edge of the part shown, pixels; more does not fit a terminal."""
MAX_HALO_SLICES = 12
"""Most slices read above and below the middle one for a preview of filters, to limit its time."""
FLAT_SHARE = 0.05
"""A tile whose standard deviation is below this share of its tomogram's sigma is flat."""


@dataclass(frozen=True)
class VolumeHeader:
    """Contents of a file's header."""

    grid: VoxelGrid
    kind: str
    warnings: tuple[str, ...]
    compressed: bool


def read_volume_header(path: Path, *, byte_sign: ByteSign | None = None) -> VolumeHeader:
    """Read the header of a file; an archive is unpacked for it.

    Raises
    ------
    UnreadableTomogramError, TomogramError
        As `io.formats.open_volume`.
    """
    with open_volume(path, byte_sign=byte_sign) as reader:
        return VolumeHeader(reader.grid, reader.kind, reader.warnings, reader.compressed)


def _open_tomogram(project: Project, name: str) -> tuple[VolumeReader, TomogramRecord]:
    record = catalog.load_tomogram(project.layout, name)
    return open_tomogram(project.layout, name, record), record


def _middle_region(
    shape_zyx: tuple[int, int, int], halo: int, edge: int
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return corner and shape of the middle of a volume: 2 halo + 1 slices, at most edge x edge pixels."""
    extent = [min(n, limit) for n, limit in zip(shape_zyx, (2 * halo + 1, edge, edge), strict=True)]
    z, y, x = (min(n // 2 - length // 2, n - length) for n, length in zip(shape_zyx, extent, strict=True))
    return (z, y, x), (extent[0], extent[1], extent[2])


def load_middle_slice(project: Project, name: str) -> NDArray[np.generic]:
    """Return the middle of a tomogram's central slice, (y, x), each at most `MIDDLE_EDGE`, in the stored type."""
    reader, _ = _open_tomogram(project, name)
    with reader:
        middle: NDArray[np.generic] = reader.read_region(*_middle_region(reader.grid.shape_zyx, 0, MIDDLE_EDGE))[0]
        return middle


@dataclass(frozen=True, eq=False)
class FilterPreview:
    """The middle of a tomogram before and after filters."""

    before: NDArray[np.float32]
    """Shape (y, x)."""
    after: NDArray[np.float32]
    """Shape (y, x), smaller by the binning."""


@dataclass(frozen=True, eq=False)
class _Slab:
    """A part of a volume in memory as a `RegionSource`."""

    values: NDArray[np.float32]

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        depth, height, width = self.values.shape
        return depth, height, width

    def read_region(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[np.float32]:
        return self.values[tuple(slice(c, c + n) for c, n in zip(corner_zyx, shape_zyx, strict=True))]


def preview_filters(project: Project, name: str, request: PreprocessRequest) -> FilterPreview:
    """Filter the middle of a tomogram approximately as `preprocess` does.

    Parameters
    ----------
    request : PreprocessRequest
        The filters and the binning; its tomograms are not used.

    Returns
    -------
    FilterPreview
        The central slice, at most `MIDDLE_EDGE` pixels along an edge of the result.

    Raises
    ------
    TomosegError
        If the tomogram cannot be read, a setting is out of range, or the tomogram is too small for the binning.

    Notes
    -----
    Only few slices around the central one are read, so the high-pass acts in the plane only, and mean and sigma are
    those of the middle.
    """
    chain = request.chain
    reader, record = _open_tomogram(project, name)
    with reader:
        halo = min(gaussian_taps(chain.lowpass).size // 2 if chain.lowpass else 0, MAX_HALO_SLICES) + 1
        shape = reader.grid.shape_zyx
        binned_shape(shape, request.factor)
        corner, extent = _middle_region(shape, halo * request.factor, MIDDLE_EDGE * request.factor)
        values = reader.read_region(corner, extent).astype(np.float32)  # (z, y, x)
    scaled_chain = FilterChain(chain.lowpass, chain.highpass * extent[2] / shape[2], chain.clamp)
    after = _filtered_middle(_Slab(values), scaled_chain, request.factor, record.scale)
    return FilterPreview(values[extent[0] // 2], after)


def _filtered_middle(slab: _Slab, chain: FilterChain, factor: int, scale: DensityScale) -> NDArray[np.float32]:
    depth, height, width = binned_shape(slab.shape_zyx, factor)
    middle = np.zeros((height, width), np.float32)
    for (z, y, x), values in preprocess(slab, chain, factor=factor, scale=scale):
        if z <= depth // 2 < z + values.shape[0]:
            middle[y : y + values.shape[1], x : x + values.shape[2]] = values[depth // 2 - z]
    return middle


def is_flat(project: Project, location: TileLocation) -> bool:
    """Return whether a tile, placed or not, has almost no contrast: a hole, a masked part, a gap of the volume.

    Raises
    ------
    TomosegError
        If the tomogram is unknown or cannot be read, or the location is outside it.
    """
    reader, record = _open_tomogram(project, location.tomogram)
    with reader:
        values, inside = read_tile_values(reader, location)
    finite = values[inside].astype(np.float64)
    finite = finite[np.isfinite(finite)]
    return bool(finite.size == 0 or finite.std() < FLAT_SHARE * record.sigma)
