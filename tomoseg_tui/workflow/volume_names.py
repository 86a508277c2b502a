"""From the name that a person gives to a volume: a tomogram, a map, a label volume, or a file."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.core.grid import Grid
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc_header import ByteSign
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import LabelSidecar, MapSidecar, TomogramRecord, read_record

Ranges = list[tuple[int, int]]
"""Ranges of z, the end excluded."""


@dataclass(frozen=True)
class NamedVolume:
    """A volume and what the project knows of it."""

    name: str
    path: Path
    record: TomogramRecord | None = None
    """Set for tomograms."""
    map: MapSidecar | None = None
    """Set for maps."""
    labels: LabelSidecar | None = None
    """Set for label volumes."""

    @property
    def byte_sign(self) -> ByteSign | None:
        """How its bytes are read."""
        return byte_sign_of(self.record) if self.record is not None else None

    @property
    def filled(self) -> Ranges | None:
        """Ranges of z that hold something; None for all."""
        made = self.map or self.labels
        return made.slices if made is not None else None

    def open(self) -> VolumeReader:
        """Open it for reading by regions."""
        return open_volume(self.path, byte_sign=self.byte_sign)

    def grid(self, reader: VolumeReader) -> Grid:
        """Return its grid, with the voxel size that the project believes."""
        return self.record.grid if self.record is not None else reader.grid


def byte_sign_of(record: TomogramRecord) -> ByteSign | None:
    """Return how the bytes of a tomogram are read, None where its header says it."""
    if record.byte_sign is None:
        return None
    return "signed" if record.byte_sign == "signed" else "unsigned"


def find_volume(project: Project | None, name: str) -> NamedVolume:
    """Return the volume that a name means.

    Parameters
    ----------
    project : Project or None
        Outside of a project only files have names.
    name : str
        ``cell_a``, ``cell_a/run.feature``, ``cell_a/merged``, or a file.

    Raises
    ------
    ProjectError
        If nothing is called so.
    """
    found = _in_project(project, name) if project is not None else None
    if found is not None:
        return found
    path = Path(name)
    if path.is_file():
        return _beside_sidecar(name, path)
    if path.is_dir():
        raise ProjectError(f"{name} is a folder.", "Name a tomogram, a map, a label volume, or a file.")
    raise ProjectError(
        f"There is no tomogram, map, label volume or file {name!r}.",
        "See `tomoseg tomograms list`; maps are called TOMOGRAM/RUN.FEATURE, label volumes TOMOGRAM/merged.",
    )


def _in_project(project: Project, name: str) -> NamedVolume | None:
    layout = project.layout
    if name in catalog.tomogram_names(layout):
        record = catalog.tomogram(layout, name)
        return NamedVolume(name, catalog.volume_path(layout, name, record), record=record)
    tomogram, slash, rest = name.partition("/")
    if not slash or "/" in rest or tomogram in {"", ".", ".."}:
        return None
    for folder in (layout.maps, layout.labels):
        path = folder / tomogram / f"{rest}.mrc"
        if path.is_file() and sidecar_of(path).is_file():
            return _beside_sidecar(name, path)
    return None


def _beside_sidecar(name: str, path: Path) -> NamedVolume:
    """Return a file with what the JSON beside it says, if there is one of ours."""
    sidecar = sidecar_of(path)
    with contextlib.suppress(ProjectError):
        return NamedVolume(name, path, map=read_record(sidecar, MapSidecar))
    with contextlib.suppress(ProjectError):
        return NamedVolume(name, path, labels=read_record(sidecar, LabelSidecar))
    return NamedVolume(name, path)


def z_range(text: str | None, slices: int) -> tuple[int, int]:
    """Read ``A:B`` as slices, B excluded; all of them if None.

    Raises
    ------
    ProjectError
        If the text has another form, or the range is empty or outside of 0 to `slices`.
    """
    if text is None:
        return 0, slices
    start, colon, stop = text.partition(":")
    if not colon or not all(part == "" or part.isdecimal() for part in (start, stop)):
        raise ProjectError(f"--z {text} is not understood.", "Write it as --z 10:20; the slice 20 is left out.")
    first, last = int(start or 0), int(stop or slices)
    if not 0 <= first < last <= slices:
        raise ProjectError(f"--z {text} does not fit: there are the slices 0 to {slices - 1}.", f"Take --z 0:{slices}.")
    return first, last


def joined_ranges(ranges: Ranges) -> Ranges:
    """Return the same slices in as few ranges as can be, in order."""
    joined: Ranges = []
    for start, stop in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def common_ranges(first: Ranges, second: Ranges) -> Ranges:
    """Return the slices that lie in both."""
    both = [(max(a, c), min(b, d)) for a, b in first for c, d in second]
    return joined_ranges([(start, stop) for start, stop in both if start < stop])
