"""Notice volumes that have changed since their record was written.

Size and time of a file are compared with its record first. Only where they differ, a sample of densities is read: a
file that was touched or copied has not changed, and its record gets the new time.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from tomoseg_tui.core.grid import ByteSign
from tomoseg_tui.core.statistics import measure_statistics, sample_bands
from tomoseg_tui.errors import ChangedFileError, TomosegError
from tomoseg_tui.files.structured import MalformedError, read_json
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.layout import ProjectLayout, sidecar_of
from tomoseg_tui.project.project_settings import read_settings
from tomoseg_tui.project.records import FileState, LabelSidecar, MapSidecar, TomogramRecord, write_record

SAMPLE_VOXELS = 2**22
"""Voxels of the digest: all of a small volume, 32 bands spread over a large one; read in 20 ms from memory."""
_SCALE_TOLERANCE = 0.25
"""Difference of mean and sigma, in sigmas, from which a file without a recorded state has surely changed."""


def measure_file_state(path: Path, byte_sign: ByteSign | None = None) -> FileState:
    """Return size, time, grid and a digest of the densities of a volume.

    Parameters
    ----------
    byte_sign : {"signed", "unsigned"}, optional
        Sign of bytes in MRC mode 0; without it the header decides.

    Raises
    ------
    TomogramError
        If the file cannot be read.
    """
    file_stat = path.stat()
    return _measure(path, file_stat.st_size, file_stat.st_mtime_ns, byte_sign)


@lru_cache(maxsize=1024)
def _measure(path: Path, size: int, modified_ns: int, byte_sign: ByteSign | None) -> FileState:
    with open_volume(path, byte_sign=byte_sign, flat=True) as volume:
        digest = hashlib.sha256()
        for corner, shape in sample_bands(volume.grid.shape_zyx, budget=SAMPLE_VOXELS):
            with np.errstate(over="ignore"):
                # A file that was saved in another number type has not changed.
                digest.update(volume.read_region(corner, shape).astype("<f4").tobytes())
        return FileState(
            size=size,
            modified_ns=modified_ns,
            shape_zyx=volume.grid.shape_zyx,
            voxel_size_angstrom=volume.grid.voxel_size_angstrom,
            origin_xyz_angstrom=volume.grid.origin_xyz_angstrom,
            digest=digest.hexdigest()[:16],
        )


@lru_cache(maxsize=1024)
def _read_shape(path: Path, _size: int, _modified_ns: int, byte_sign: ByteSign | None) -> tuple[int, int, int]:
    with open_volume(path, byte_sign=byte_sign) as volume:
        return volume.grid.shape_zyx


def _differences(old: FileState, new: FileState) -> Iterator[str]:
    """Yield what differs between two states, in words."""
    if new.shape_zyx != old.shape_zyx:
        yield _shape_change(new.shape_zyx, old.shape_zyx)
    elif new.digest != old.digest:
        yield "other densities"
    if new.voxel_size_angstrom != old.voxel_size_angstrom:
        yield f"voxel size {new.voxel_size_angstrom:g} Å in its header, it was {old.voxel_size_angstrom:g}"
    if new.origin_xyz_angstrom != old.origin_xyz_angstrom:
        yield f"origin {new.origin_xyz_angstrom} Å (x, y, z), it was {old.origin_xyz_angstrom}"


def _shape_change(new: tuple[int, int, int], old: tuple[int, int, int]) -> str:
    return f"shape {new} (z, y, x), it was {old}"


def find_tomogram_change(layout: ProjectLayout, name: str, record: TomogramRecord) -> tuple[Path, str]:
    """Return a tomogram's file, and what has changed in it, as a sentence; empty if nothing has, or that is unknown.

    Raises
    ------
    ProjectError
        If the file is missing.
    TomogramError
        If the file has another size or time, and cannot be read.
    """
    path = catalog.volume_path(layout, name, record)
    if record.file_state is None:
        status = path.stat()
        found = _read_shape(path, status.st_size, status.st_mtime_ns, record.byte_sign)
        differences = _shape_change(found, record.shape_zyx) if found != record.shape_zyx else ""
    else:
        differences = _compare(layout, layout.tomogram_record(name), path, record.file_state, record.byte_sign)
    return path, f"{path.name} has changed since its import: {differences}." if differences else ""


def _compare(
    layout: ProjectLayout | None, record_path: Path, path: Path, state: FileState, byte_sign: ByteSign | None = None
) -> str:
    """Return what differs in a file from its recorded state, such as "other densities"; empty if nothing does.

    The record of a file that was only touched or copied gets its new time, if there is a project.
    """
    status = path.stat()
    if state.matches(status):
        return ""
    found = _measure(path, status.st_size, status.st_mtime_ns, byte_sign)
    differences = "; ".join(_differences(state, found))
    if layout is not None and not differences:
        _store_state(layout, record_path, found)
    return differences


def require_unchanged(layout: ProjectLayout, name: str, record: TomogramRecord) -> Path:
    """Return the path of a tomogram's volume, which is as its record says.

    A record of version 0.2 or older without a state gets it here.

    Raises
    ------
    ChangedFileError
        If shape, voxel size, origin or densities have changed since the import.
    ProjectError
        If the file is missing.
    TomogramError
        If the file has another size or time, and cannot be read.
    """
    path, change = find_tomogram_change(layout, name, record)
    if record.file_state is None and not change:
        change = _adopt(layout, name, record, path)
    if change:
        raise changed_error(name, change)
    return path


def changed_error(name: str, change: str) -> ChangedFileError:
    """Return the error for a tomogram that has changed since its import."""
    return ChangedFileError(
        change, f"Take it as it is now: tomoseg tomograms refresh {name}; or put the old file back."
    )


def _adopt(layout: ProjectLayout, name: str, record: TomogramRecord, path: Path) -> str:
    """Store the state of a file that has none in its record; return what has surely changed since, as a sentence."""
    state = measure_file_state(path, record.byte_sign)
    with open_volume(path, byte_sign=record.byte_sign) as volume:
        found = measure_statistics(volume, sample_bands(state.shape_zyx, budget=SAMPLE_VOXELS))
    largest = max(found.sigma, record.sigma)
    if max(abs(found.mean - record.mean), abs(found.sigma - record.sigma)) > _SCALE_TOLERANCE * largest:
        was = f"mean {record.mean:.4g} and sigma {record.sigma:.4g}"
        is_now = f"mean {found.mean:.4g} and sigma {found.sigma:.4g}"
        return f"{path.name} has changed since its import: {is_now}, it had {was}."
    _store_state(layout, layout.tomogram_record(name), state)
    return ""


def open_tomogram(layout: ProjectLayout, name: str, record: TomogramRecord) -> VolumeReader:
    """Open a tomogram that is as its record says, as far as that is known; raises what `require_unchanged` does."""
    path, change = find_tomogram_change(layout, name, record)
    if change:
        raise changed_error(name, change)
    return open_volume(path, byte_sign=record.byte_sign)


def find_result_change(layout: ProjectLayout | None, path: Path, sidecar: MapSidecar | LabelSidecar) -> str:
    """Return what has changed in a map or label volume, as a sentence; empty if nothing has, or if that is unknown.

    Parameters
    ----------
    layout : ProjectLayout or None
        The project that holds the file, if any.

    Raises
    ------
    TomogramError
        If the file has another size or time, and cannot be read.
    """
    if sidecar.file_state is None:
        return ""
    own_layout = layout if layout is not None and path.is_relative_to(layout.root) else None
    differences = _compare(own_layout, sidecar_of(path), path, sidecar.file_state)
    return f"{path.name} has changed since it was made: {differences}." if differences else ""


def _store_state(layout: ProjectLayout, record_path: Path, state: FileState) -> None:
    """Write a state into a record, whose other keys stay as they are; nothing happens if it cannot be written."""
    try:
        if read_settings(layout.settings).is_newer:
            return
        entries = read_json(record_path, dict)
        write_record(record_path, {**entries, "file_state": state})
    except (OSError, MalformedError, TomosegError):
        return
