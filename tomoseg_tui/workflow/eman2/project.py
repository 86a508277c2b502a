"""Scan the folder of an EMAN2 project; nothing is written, and no tomoseg project is needed.

Only headers of tomograms and stacks are read. Files that are not imported are counted for the report.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.names import base_name, name_from_file, volume_stem
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.io.eman2_info import LOG_NAME, TomogramInfo, read_commands, read_info
from tomoseg_tui.io.formats import SUPPORTED_SUFFIXES, open_volume
from tomoseg_tui.io.raw_volume import translate_os_errors
from tomoseg_tui.workflow.eman2.filter_history import Filtering, filtering_of

if TYPE_CHECKING:
    from tomoseg_tui.io.eman2_hdf import Attribute

Item = TypeVar("Item")

_MAX_OFFSET = 1e9
"""Larger offsets from the centre are invalid."""
_MASK_SUFFIX = "_seg.hdf"
_NON_TILE_SUFFIXES = ("_trainset.hdf", "_prjs.hdf")
"""Stacks made from tiles: training sets contain rotated copies, and projections are not slices."""
_SKIPPED_FILES = (
    ("particles/*_trainset.hdf", "training sets contain rotated copies; build one with tomoseg trainset build"),
    ("neuralnets/*.hdf", "networks of EMAN2 are not imported; train one with tomoseg train --network eman2"),
    ("particles3d/*.hdf", "3-D particles are not tiles, which are single slices"),
    ("segmentations/*.hdf", "segmentations are not imported; tomoseg show and evaluate read them as files"),
    ("segs/*_seg.hdf", "mask volumes are not imported; tomoseg annotations import --map reads them"),
)


@dataclass(frozen=True)
class Eman2Tomogram:
    """One file in ``tomograms/``."""

    name: str
    """Its name in tomoseg."""
    base: str
    """Name shared by all versions of the tomogram, and by their info file."""
    path: Path
    grid: VoxelGrid
    """As in the header; the voxel size is 0 if the header has none."""
    filtering: Filtering
    byte_count: int = 0
    compressed: bool = False
    """True for a compressed file, which cannot be linked."""


@dataclass(frozen=True)
class TileHeader:
    """EMAN2's header of one tile."""

    source: str | None
    """The tomogram that it was cut from, as named by EMAN2."""
    offset_xyz: tuple[float, float, float] | None
    """Its centre relative to voxel ``n // 2`` of that tomogram, in voxels."""


@dataclass(frozen=True)
class Eman2Stack:
    """One stack of tiles in ``particles/``."""

    path: Path
    headers: tuple[TileHeader, ...]
    """One per image."""
    size: int
    """Edge of its tiles in pixels."""
    masks: Path | None
    """The stack of masks that belongs to it."""

    @property
    def stem(self) -> str:
        """Name without suffix."""
        return self.path.name.removesuffix(".hdf")

    @property
    def base(self) -> str:
        """The part of the name before the first ``__``: the name of the tomogram."""
        return base_name(self.stem)


@dataclass(frozen=True)
class Eman2Project:
    """The content of an EMAN2 project."""

    folder: Path
    tomograms: tuple[Eman2Tomogram, ...]
    infos: dict[str, TomogramInfo]
    """By base name."""
    stacks: tuple[Eman2Stack, ...]
    skipped: tuple[str, ...]
    """Sentences on files that are not imported, with the reason."""

    def versions(self, base: str) -> list[Eman2Tomogram]:
        """Return all versions of one tomogram."""
        return [tomogram for tomogram in self.tomograms if tomogram.base == base]


def eman2_base(file_name: str) -> str:
    """Return EMAN2's base name of a tomogram: without suffix, tags, ``_ptcls`` and ``_info``."""
    return base_name(volume_stem(file_name)).replace("_ptcls", "").replace("_info", "")


def is_eman2_project(folder: Path) -> bool:
    """Return whether a folder looks like an EMAN2 project, with tomograms and either info files or tiles."""
    return (folder / "tomograms").is_dir() and any((folder / name).is_dir() for name in ("info", "particles"))


def find_eman2_project(path: Path) -> Path | None:
    """Return the folder or its nearest parent that is an EMAN2 project; None if there is none."""
    return next((folder for folder in (path, *path.parents) if is_eman2_project(folder)), None)


def scan_project(folder: Path, on_file: Callable[[str], object] = lambda _name: None) -> Eman2Project:
    """Read the headers of all files of an EMAN2 project.

    Parameters
    ----------
    folder : Path
        The folder of the project, which contains ``tomograms/``.
    on_file : callable
        Called with the name of each file before it is opened.

    Raises
    ------
    TomosegError
        If the folder is not an EMAN2 project, or an info file is malformed. Unreadable files are skipped and reported.
    """
    if not (folder / "tomograms").is_dir():
        raise UsageError(
            f"{folder} is not an EMAN2 project: it has no folder tomograms.",
            "Give the folder in which e2projectmanager.py was started.",
        )
    skipped: list[str] = []
    commands = read_commands(folder / LOG_NAME)
    tomograms = _read_all(
        folder / "tomograms", SUPPORTED_SUFFIXES, lambda path: _read_tomogram(path, commands), on_file, skipped
    )
    infos = {}
    for path in _files(folder / "info", ("_info.json",)):
        on_file(path.name)
        infos[path.name.removesuffix("_info.json")] = read_info(path)
    stacks = _read_all(folder / "particles", (".hdf",), _read_stack, on_file, skipped)
    skipped += _skipped_messages(folder, infos)
    return Eman2Project(folder.absolute(), tuple(tomograms), infos, tuple(stacks), tuple(skipped))


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files of a folder with one of the suffixes, sorted by name, without hidden ones."""
    if not folder.is_dir():
        return []
    with translate_os_errors(folder):
        paths = sorted(folder.iterdir())
    return [p for p in paths if p.name[0] != "." and p.name.lower().endswith(tuple(suffixes)) and p.is_file()]


def _read_all(
    folder: Path,
    suffixes: Sequence[str],
    read: Callable[[Path], Item | None],
    on_file: Callable[[str], object],
    skipped: list[str],
) -> list[Item]:
    """Read every file; report those that cannot be read."""
    items = []
    for path in _files(folder, suffixes):
        on_file(path.name)
        try:
            item = read(path)
        except TomosegError as fault:
            skipped.append(f"{folder.name}/{path.name}: {fault.fault}")
            continue
        if item is not None:
            items.append(item)
    return items


def _read_tomogram(path: Path, commands: Sequence[Sequence[str]]) -> Eman2Tomogram:
    with open_volume(path) as volume:
        return Eman2Tomogram(
            name_from_file(path.name),
            eman2_base(path.name),
            path.absolute(),
            volume.grid,
            filtering_of(volume, commands),
            path.stat().st_size,
            volume.compressed,
        )


def _read_stack(path: Path) -> Eman2Stack | None:
    """Read the headers of a stack of tiles; None for other stacks."""
    name = path.name.lower()
    if name.endswith((_MASK_SUFFIX, *_NON_TILE_SUFFIXES)):
        return None
    from tomoseg_tui.io.eman2_hdf import read_stack_headers  # noqa: PLC0415  # HDF5 would hold up the start

    headers = read_stack_headers(path)
    shapes = {_image_shape(header) for header in headers}
    depth, height, width = min(shapes)
    if len(shapes) > 1 or depth != 1 or height != width or height < 1:
        shapes_text = " and ".join(str(shape) for shape in sorted(shapes)[:3])
        raise UsageError(f"its images have the shape {shapes_text} (z, y, x), expected one square of one slice.", "")
    masks = path.with_name(path.name[: -len(".hdf")] + _MASK_SUFFIX)
    tile_headers = tuple(_tile_header(header) for header in headers)
    return Eman2Stack(path.absolute(), tile_headers, height, masks.absolute() if masks.is_file() else None)


def _image_shape(entries: Mapping[str, "Attribute"]) -> tuple[int, ...]:
    """Return the shape (z, y, x) in a header, 0 where it is missing."""
    lengths = (entries.get(f"n{axis}") for axis in "zyx")
    return tuple(length if isinstance(length, int) else 0 for length in lengths)


def _tile_header(entries: Mapping[str, "Attribute"]) -> TileHeader:
    source = entries.get("ptcl_source_image")
    return TileHeader(source if isinstance(source, str) and source else None, _offset(entries))


def _offset(entries: Mapping[str, "Attribute"]) -> tuple[float, float, float] | None:
    coordinates = entries.get("ptcl_source_coord")
    if (
        not isinstance(coordinates, list)
        or len(coordinates) != 3
        or not all(abs(at) < _MAX_OFFSET for at in coordinates)
    ):
        return None
    x, y, z = coordinates
    return x, y, z


def _skipped_messages(folder: Path, infos: dict[str, TomogramInfo]) -> list[str]:
    """Return messages on files other than tomograms, boxes and tiles."""
    points = sum(info.curve_points for info in infos.values())
    lines = [f"Curves of {points} point{'s' if points > 1 else ''}: curves are not read."] if points else []
    for pattern, reason in _SKIPPED_FILES:
        count = sum(1 for _ in folder.glob(pattern))
        if count:
            lines.append(f"{pattern}, {count} file{'s' if count > 1 else ''}: {reason}.")
    orphans = (p.name for p in _files(folder / "particles", (_MASK_SUFFIX,)) if not _tiles_beside(p).is_file())
    return [*lines, *(f"particles/{name}: the stack of tiles that it belongs to does not exist." for name in orphans)]


def _tiles_beside(masks: Path) -> Path:
    """Return the stack of tiles that a stack of masks belongs to."""
    return masks.with_name(masks.name[: -len(_MASK_SUFFIX)] + ".hdf")
