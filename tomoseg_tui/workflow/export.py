"""Export volumes, triples and pictures to files of the user."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.grid import MAX_MAP_VALUE, ValueMeaning, VoxelGrid
from tomoseg_tui.errors import UsageError
from tomoseg_tui.files.atomic import atomic_output, require_writable
from tomoseg_tui.io import eman2_hdf
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.mrc_header import holds_lines
from tomoseg_tui.io.png import write_png
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import changed_error
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import describe_values, write_record
from tomoseg_tui.workflow.exchange.export_formats import density_meaning, write_slabs
from tomoseg_tui.workflow.job_interface import slab_ranges
from tomoseg_tui.workflow.views import TripleView
from tomoseg_tui.workflow.volume_names import NamedVolume, find_volume

SLAB_VOXELS = 2**23
"""Voxels written at a time."""


def export_volume(
    project: Project | None,
    name: str,
    target: Path,
    *,
    force: bool = False,
    on_progress: Callable[[float], None] = lambda _done: None,
) -> str:
    """Write a tomogram, map or label volume to a file, with voxel size, origin and nstart; return a remark, if any.

    Parameters
    ----------
    name : str
        Name of a tomogram, map or label volume, or a file.
    target : Path
        A file name that ends in .mrc, .hdf or .tif.
    on_progress : callable
        Called with the share written, from 0 to 1.

    Raises
    ------
    UsageError
        If the suffix is another.
    ProjectError
        If there is no such volume, or the file exists and `force` is not set.
    ChangedFileError
        If a tomogram has changed since its import.
    """
    suffix = target.suffix.lower()
    if suffix not in {".mrc", ".hdf", ".tif", ".tiff"}:
        raise UsageError(
            f"{target.name} ends in {suffix or 'nothing'}.", "Name a file that ends in .mrc, .hdf or .tif."
        )
    volume = find_volume(project, name)
    if volume.record is not None and volume.change:
        raise changed_error(name, volume.change)
    needs_sidecar = suffix == ".mrc" and volume.labels is not None and not holds_lines(describe_values(volume.labels))
    for path in (target, *([sidecar_of(target)] if needs_sidecar else [])):
        require_writable(path, force=force)
    with volume.open() as reader, atomic_output(target) as draft:
        grid = volume.grid(reader)
        meaning = _value_meaning(volume)
        slabs = read_slabs(reader, 0, grid.shape_zyx[0], on_progress)
        write_slabs(draft, suffix, slabs, grid, reader.dtype, meaning)
    if needs_sidecar and volume.labels is not None:
        write_record(sidecar_of(target), volume.labels)
    return volume.change


def _value_meaning(volume: NamedVolume) -> ValueMeaning:
    if volume.map is not None:
        return ValueMeaning(describe_values(volume.map), (0.0, float(MAX_MAP_VALUE)), is_never_negative=True)
    if volume.labels is not None:
        largest = max((int(number) for number in volume.labels.labels), default=1)
        return ValueMeaning(describe_values(volume.labels), (0.0, float(largest)), is_never_negative=True)
    if volume.record is not None:
        return density_meaning(volume.name, volume.record)
    return ValueMeaning()


def read_slabs(
    reader: VolumeReader, first: int, last: int, on_progress: Callable[[float], None]
) -> Iterator[NDArray[Any]]:
    """Yield the slices first .. last - 1 in slabs of about `SLAB_VOXELS`."""
    _, ny, nx = reader.grid.shape_zyx
    for start, stop in slab_ranges(first, last, max(1, SLAB_VOXELS // (ny * nx))):
        yield reader.read_slices(start, stop)
        on_progress((stop - first) / (last - first))


def export_triples(
    project: Project, run: str, views: Sequence[TripleView], target: Path, *, force: bool = False
) -> None:
    """Write triples in the order of EMAN2's trainout: image, annotation, output, next image, ...; row 0 first.

    Parameters
    ----------
    target : Path
        A file name that ends in .hdf or .mrc.

    Raises
    ------
    ProjectError
        If there is no such network, or the file exists and `force` is not set.
    """
    voxel_size_angstrom = catalog.load_network_card(project.layout, run).voxel_size_angstrom
    require_writable(target, force=force)
    images = [
        plane for view in views for plane in (view.image, (view.annotation == FEATURE).astype(np.float32), view.output)
    ]
    stack = np.stack(images).astype(np.float32)  # (3 n, y, x)
    with atomic_output(target) as draft:
        if target.suffix.lower() == ".hdf":
            eman2_hdf.write_image_stack(draft, stack, voxel_size_angstrom=voxel_size_angstrom)
        else:
            title = "tomoseg triples: image, annotation (1 is the feature) and output of each tile"
            grid = VoxelGrid(stack.shape, voxel_size_angstrom)
            with MrcWriter(draft, grid, np.dtype(np.float32), title=title) as writer:
                writer.write_slices(0, stack)


def export_png(rgb: NDArray[np.uint8], target: Path, *, force: bool = False) -> None:
    """Write a picture, uint8 of shape (y, x, 3), row 0 at the top.

    Raises
    ------
    UsageError
        If the name does not end in .png.
    ProjectError
        If the file exists and `force` is not set.
    """
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target.name} is not the name of a PNG.", "Name a file that ends in .png")
    require_writable(target, force=force)
    with atomic_output(target) as draft:
        write_png(draft, rgb)
