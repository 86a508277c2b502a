"""Write volumes, tiles, slices and masks for other tools, in each format."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, Layer
from tomoseg_tui.core.grid import ValueMeaning, VoxelGrid
from tomoseg_tui.core.mask_encoding import CODES, PALETTE, Codes, encode_layer
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.files.atomic import atomic_output
from tomoseg_tui.io import eman2_hdf, tiff
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.png import png_files, write_mask_png
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import open_tomogram
from tomoseg_tui.project.records import TomogramRecord
from tomoseg_tui.workflow.annotations.import_annotations import read_tile_values

ExportFormat = Literal["mrc", "hdf", "tif", "napari", "png"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
MASK_MEANING = ValueMeaning(
    ("tomoseg masks", "; ".join(f"{number} = {name}" for name, number in CODES.items())),
    (0.0, float(max(CODES.values()))),
    is_never_negative=True,
)
_TILE_MEANING = ValueMeaning(("densities of tiles: mean 0 and sigma 1 over the tomogram",), (-3.0, 3.0))
_GREYS_PER_SIGMA = 42.0
"""Grey levels per sigma in a PNG: 3 sigma on either side of the mean are black and white."""


def mask_for_format(layer: Layer, file_format: ExportFormat) -> Codes:
    """Return the values to write for a layer; for EMAN2, which trains on any value, only 0 and 1."""
    return (layer == FEATURE).astype(np.uint8) if file_format == "hdf" else encode_layer(layer)


def tile_images(project: Project, locations: Sequence[TileLocation]) -> list[NDArray[np.float32]]:
    """Return the densities of tiles to write: normalised, 0 outside the volume and where not finite."""
    images: dict[TileLocation, NDArray[np.float32]] = {}
    for name in dict.fromkeys(location.tomogram for location in locations):
        record = catalog.load_tomogram(project.layout, name)
        with open_tomogram(project.layout, name, record) as reader:
            for location in locations:
                if location.tomogram == name:
                    values, inside = read_tile_values(reader, location)
                    images[location] = _normalised(values, inside, record)
    return [images[location] for location in locations]


def _normalised(values: NDArray[Any], inside: NDArray[np.bool_], record: TomogramRecord) -> NDArray[np.float32]:
    normalised = (values.astype(np.float64) - record.mean) / record.sigma
    return np.where(inside & np.isfinite(normalised), normalised, 0.0).astype(np.float32)


def to_uint8(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return normalised densities as grey values of a PNG."""
    return np.asarray(np.clip(np.rint(images * _GREYS_PER_SIGMA + 128), 0, 255), np.uint8)


def eman2_coordinates(location: TileLocation, record: TomogramRecord) -> list[float]:
    """Return a tile's centre as in EMAN2's `ptcl_source_coord`: x, y, z from the middle voxel."""
    nz, ny, nx = record.shape_zyx
    return [float(location.x - nx // 2), float(location.y - ny // 2), float(location.z - nz // 2)]


def write_stack(
    file: Path,
    images: NDArray[Any],
    file_format: ExportFormat,
    locations: Sequence[TileLocation],
    records: Sequence[TomogramRecord],
    *,
    is_mask: bool = False,
) -> None:
    """Write a stack of tiles or of their masks, shape (n, y, x)."""
    voxel_size, meaning = records[0].voxel_size_angstrom, MASK_MEANING if is_mask else _TILE_MEANING
    if file_format == "png":
        _write_pngs(file, images, locations, is_mask=is_mask)
        return
    with atomic_output(file) as draft:
        if file_format == "mrc":
            stored = images.astype(np.int8) if is_mask else images
            lines = meaning.lines
            grid = VoxelGrid(images.shape, voxel_size)
            with MrcWriter(draft, grid, stored.dtype, title="tomoseg tiles", lines=lines) as writer:
                writer.write_slices(0, stored)
        elif file_format == "hdf":
            text = "; ".join(meaning.lines)
            headers = [
                {**_eman2_header(*pair), "tomoseg_meaning": text} for pair in zip(locations, records, strict=True)
            ]
            eman2_hdf.write_image_stack(draft, images, voxel_size_angstrom=voxel_size, attributes=headers)
        else:
            stored = images.astype(np.int32) if is_mask and file_format == "napari" else images
            names = [location.id for location in locations]
            tiff.write_stack(draft, stored, axes="TYX", voxel_size_angstrom=voxel_size, names=names, meaning=meaning)


def _eman2_header(location: TileLocation, record: TomogramRecord) -> dict[str, eman2_hdf.Attribute]:
    return {
        "ptcl_source_image": f"tomograms/{location.tomogram}.hdf",
        "ptcl_source_coord": eman2_coordinates(location, record),
    }


def png_name(number: int, location: TileLocation) -> str:
    """Return the name of a tile's PNG; sorted names are in the order of the tiles."""
    return f"{number:04d}_{location.tomogram}_{location.folder_name}.png"


def _write_pngs(folder: Path, images: NDArray[Any], locations: Sequence[TileLocation], *, is_mask: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in png_files(folder):
        old.unlink()
    for number, (image, location) in enumerate(zip(images, locations, strict=True), start=1):
        write_mask_png(folder / png_name(number, location), image, PALETTE if is_mask else None)


def grid_of_slices(record: TomogramRecord, start: int, stop: int) -> VoxelGrid:
    """Return the grid of a range of slices at their position in the tomogram."""
    x, y, z = record.origin_xyz_angstrom
    first_x, first_y, first_z = record.nstart_xyz
    size = record.voxel_size_angstrom
    return VoxelGrid(
        (stop - start, *record.shape_zyx[1:]), size, (x, y, z + start * size), (first_x, first_y, first_z + start)
    )


def tile_frame(size: int) -> Codes:
    """Return a mask of the border of a tile."""
    frame = np.ones((size, size), np.uint8)
    frame[1:-1, 1:-1] = 0
    return frame


def write_masks(
    file: Path, file_format: ExportFormat, masks: dict[TileLocation, Codes], grid: VoxelGrid, start: int
) -> int:
    """Write masks at their positions in a volume; return the number of pixels on which overlapping masks differ."""
    differing = 0
    stored = np.dtype({"mrc": np.int8, "napari": np.int32}.get(file_format, np.uint8))

    def planes() -> Iterator[NDArray[Any]]:
        nonlocal differing
        for index in range(grid.shape_zyx[0]):
            slice_masks = {place: mask for place, mask in masks.items() if place.z == start + index}
            plane, differs = _mask_plane(slice_masks, grid.shape_zyx[1:])
            differing += differs
            yield plane.astype(stored)[np.newaxis]

    with atomic_output(file) as draft:
        write_slabs(draft, file.suffix.lower(), planes(), grid, stored, MASK_MEANING)
    return differing


def _mask_plane(masks: dict[TileLocation, Codes], shape_yx: tuple[int, int]) -> tuple[Codes, int]:
    plane, covered = np.zeros(shape_yx, np.uint8), np.zeros(shape_yx, np.bool_)
    differs = np.zeros(shape_yx, np.bool_)
    for location, mask in masks.items():
        window, part = tile_window(location, shape_yx)
        differs[window] |= covered[window] & (plane[window] != mask[part])
        plane[window] = np.maximum(plane[window], mask[part])
        covered[window] = True
    return plane, int(differs.sum())


def tile_window(location: TileLocation, shape_yx: tuple[int, int]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the window of a tile within its slice, and the corresponding part of the tile."""
    _, top, left = location.corner_zyx
    y0, y1 = max(top, 0), min(top + location.size, shape_yx[0])
    x0, x1 = max(left, 0), min(left + location.size, shape_yx[1])
    return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))


_MRC_TYPES: dict[str, type[np.generic]] = {
    "int8": np.int8, "int16": np.int16, "uint16": np.uint16, "float32": np.float32, "float16": np.float16,
    "uint8": np.int16, "int32": np.float32, "uint32": np.float32, "int64": np.float32, "uint64": np.float32,
    "float64": np.float32,
}  # fmt: skip
"""Type in an MRC file for each type of a reader; unsigned bytes become int16, whose sign is unambiguous."""


def density_meaning(title: str, record: TomogramRecord) -> ValueMeaning:
    """Return what the numbers of a tomogram mean, shown from 3 sigma below the mean to 3 above."""
    shown = (record.mean - 3 * record.sigma, record.mean + 3 * record.sigma)
    return ValueMeaning((f"tomoseg: densities, {title}; protein is {record.polarity}",), shown)


def write_slabs(
    draft: Path,
    suffix: str,
    slabs: Iterator[NDArray[Any]],
    grid: VoxelGrid,
    dtype: np.dtype[Any],
    meaning: ValueMeaning,
) -> None:
    """Write a volume slab by slab, in the format of a lower-case suffix."""
    if suffix == ".mrc":
        _write_mrc(draft, slabs, grid, dtype, meaning)
    elif suffix == ".hdf":
        eman2_hdf.write_volume(draft, slabs, grid, meaning.lines)
    else:
        tiff.write_volume(draft, slabs, grid, dtype, meaning)


def _write_mrc(
    draft: Path, slabs: Iterator[NDArray[Any]], grid: VoxelGrid, dtype: np.dtype[Any], meaning: ValueMeaning
) -> None:
    stored_dtype = np.dtype(_MRC_TYPES[dtype.name])
    low, high, total, square_sum, count, z = np.inf, -np.inf, 0.0, 0.0, 0, 0
    writer = MrcWriter(draft, grid, stored_dtype, title="tomoseg export", lines=meaning.lines)
    for slab in slabs:
        writer.write_slices(z, slab.astype(stored_dtype))
        z += len(slab)
        finite = slab[np.isfinite(slab)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
            total += float(finite.sum(dtype=np.float64))
            square_sum += float(np.square(finite, dtype=np.float64).sum())
            count += finite.size
    mean = total / max(count, 1)
    rms = float(np.sqrt(max(square_sum / max(count, 1) - mean**2, 0.0)))
    writer.close(minimum=low, maximum=high, mean=mean, rms=rms)
