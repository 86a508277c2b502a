"""Find the volume for a name: a tomogram, a map, a label volume, or a file. Also ranges of slices."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.core.grid import ByteSign, VoxelGrid
from tomoseg_tui.errors import ProjectError, TomogramError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import find_result_change, find_tomogram_change
from tomoseg_tui.project.layout import ProjectLayout, sidecar_of
from tomoseg_tui.project.records import LabelSidecar, MapSidecar, TomogramRecord, read_record

ZRanges = list[tuple[int, int]]
"""Ranges of z, the end excluded."""


@dataclass(frozen=True)
class NamedVolume:
    """A volume with its record or sidecar in the project."""

    name: str
    path: Path
    record: TomogramRecord | None = None
    """Set for tomograms."""
    map: MapSidecar | None = None
    """Set for maps."""
    labels: LabelSidecar | None = None
    """Set for label volumes."""
    change: str = ""
    """What has changed in the file since its record was written, as a sentence."""

    @property
    def byte_sign(self) -> ByteSign | None:
        """Sign of its bytes; None if the header decides."""
        return self.record.byte_sign if self.record is not None else None

    @property
    def filled(self) -> ZRanges | None:
        """Ranges of z with data; None for all."""
        sidecar = self.map or self.labels
        return sidecar.slices if sidecar is not None else None

    def open(self) -> VolumeReader:
        """Open the volume for reading by regions."""
        return open_volume(self.path, byte_sign=self.byte_sign)

    def grid(self, reader: VolumeReader) -> VoxelGrid:
        """Return the grid, with the voxel size of the project's record if there is one."""
        return self.record.grid if self.record is not None and not self.change else reader.grid


def find_volume(project: Project | None, name: str) -> NamedVolume:
    """Return the volume with a name.

    Parameters
    ----------
    project : Project or None
        Without a project only files are found.
    name : str
        Such as "cell_a", "cell_a/run.feature", "cell_a/merged", or a path.

    Raises
    ------
    ProjectError
        If there is no such volume.
    """
    volume = _find_in_project(project, name) if project is not None else None
    if volume is not None:
        return volume
    path = Path(name)
    if path.is_file():
        return _with_sidecar(name, path, project.layout if project is not None else None)
    if path.is_dir():
        raise ProjectError(f"{name} is a folder.", "Name a tomogram, a map, a label volume, or a file.")
    raise ProjectError(
        f"There is no tomogram, map, label volume or file {name!r}.",
        "Run `tomoseg tomograms list`; maps are named TOMOGRAM/RUN.FEATURE, label volumes TOMOGRAM/merged.",
    )


def _find_in_project(project: Project, name: str) -> NamedVolume | None:
    layout = project.layout
    if name in catalog.tomogram_names(layout):
        record = catalog.load_tomogram(layout, name)
        path, change = catalog.volume_path(layout, name, record), ""
        with contextlib.suppress(TomogramError):  # opening the file says why it cannot be read
            path, change = find_tomogram_change(layout, name, record)
        return NamedVolume(name, path, record=record, change=change)
    tomogram, slash, volume_name = name.partition("/")
    if not slash or "/" in volume_name or tomogram in {"", ".", ".."}:
        return None
    for folder in (layout.maps, layout.labels):
        path = folder / tomogram / f"{volume_name}.mrc"
        if path.is_file() and sidecar_of(path).is_file():
            return _with_sidecar(name, path, layout)
    return None


def _with_sidecar(name: str, path: Path, layout: ProjectLayout | None) -> NamedVolume:
    """Return a file with its sidecar, if there is a valid one."""
    sidecar_kinds: tuple[type[MapSidecar | LabelSidecar], ...] = (MapSidecar, LabelSidecar)
    for kind in sidecar_kinds:
        with contextlib.suppress(ProjectError, TomogramError):
            sidecar: MapSidecar | LabelSidecar = read_record(sidecar_of(path), kind)
            change = find_result_change(layout, path, sidecar)
            if isinstance(sidecar, MapSidecar):
                return NamedVolume(name, path, map=sidecar, change=change)
            return NamedVolume(name, path, labels=sidecar, change=change)
    return NamedVolume(name, path)


def parse_z_range(text: str | None, slices: int) -> tuple[int, int]:
    """Return the slices ``A:B``, B excluded; all slices for None.

    Raises
    ------
    ProjectError
        If the text has another form, or the range is empty or exceeds 0 to `slices`.
    """
    if text is None:
        return 0, slices
    start, colon, stop = text.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (start, stop)):
        raise ProjectError(f"--z {text} is not understood.", "Write it as --z 10:20; slice 20 is excluded.")
    first, last = int(start or 0), int(stop or slices)
    if not 0 <= first < last <= slices:
        raise ProjectError(f"--z {text} does not fit: the slices are 0 to {slices - 1}.", f"Use --z 0:{slices}.")
    return first, last


def merge_ranges(ranges: ZRanges) -> ZRanges:
    """Return the same slices in as few ranges as possible, sorted."""
    merged: ZRanges = []
    for start, stop in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def intersect_ranges(first: ZRanges, second: ZRanges) -> ZRanges:
    """Return the slices in both."""
    overlaps = [(max(a, c), min(b, d)) for a, b in first for c, d in second]
    return merge_ranges([(start, stop) for start, stop in overlaps if start < stop])
