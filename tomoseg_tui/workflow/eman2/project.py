"""Look at a project folder of EMAN2 and tell what is in it; nothing is written, no project of ours is asked.

Of tomograms and stacks only headers are read. What nobody takes over is counted, so that it can be said.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tomoseg_tui.core.grid import Grid
from tomoseg_tui.core.names import base_of, name_from_file, plain_stem
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.io.eman2_info import TomogramInfo, read_info
from tomoseg_tui.io.eman2_log import LOG_NAME, read_commands
from tomoseg_tui.io.formats import KNOWN_SUFFIXES, open_volume
from tomoseg_tui.io.raw_volume import file_faults
from tomoseg_tui.workflow.eman2.filter_history import Filtering, filtering_of

if TYPE_CHECKING:
    from tomoseg_tui.io.eman2_hdf import Attribute

Found = TypeVar("Found")

_FAR = 1e9
"""No voxel is as far from the centre."""
_MASKS = "_seg.hdf"
_NO_TILES = ("_trainset.hdf", "_prjs.hdf")
"""Stacks that are made of tiles: training sets hold turned copies, projections are no slices."""
_LEFT = (
    ("particles/*_trainset.hdf", "training sets hold turned copies; build one here: tomoseg trainset build"),
    ("neuralnets/*.hdf", "networks of EMAN2 are not taken over; train here: tomoseg train --network eman2"),
    ("particles3d/*.hdf", "3-D particles are no tiles, which are single slices"),
    ("segmentations/*.hdf", "segmentations stay; tomoseg show and evaluate take them as files"),
    ("segs/*_seg.hdf", "mask volumes stay; tomoseg annotations import takes them with --map"),
)


@dataclass(frozen=True)
class EmanTomogram:
    """One file in ``tomograms/``."""

    name: str
    """Name that it gets here."""
    base: str
    """What all versions of one tomogram share, also their info file."""
    path: Path
    grid: Grid
    """As its header says; voxel size 0 where it says none."""
    filtering: Filtering
    byte_count: int = 0
    compressed: bool = False
    """True for an archive, which cannot be linked."""


@dataclass(frozen=True)
class TileHeader:
    """What EMAN2 wrote beside one tile."""

    source: str | None
    """The tomogram out of which it was cut, as EMAN2 named it."""
    offset_xyz: tuple[float, float, float] | None
    """Its centre from the voxel ``n // 2`` of that tomogram, in voxels."""


@dataclass(frozen=True)
class EmanStack:
    """One stack of tiles in ``particles/``."""

    path: Path
    headers: tuple[TileHeader, ...]
    """One an image."""
    size: int
    """Edge of its tiles, in pixels."""
    masks: Path | None
    """The stack of masks beside it."""

    @property
    def stem(self) -> str:
        """Name without suffix."""
        return self.path.name.removesuffix(".hdf")

    @property
    def base(self) -> str:
        """The tomogram's name as the stack's name has it: what stands before the first ``__``."""
        return base_of(self.stem)


@dataclass(frozen=True)
class EmanProject:
    """What a folder holds."""

    folder: Path
    tomograms: tuple[EmanTomogram, ...]
    infos: dict[str, TomogramInfo]
    """By base name."""
    stacks: tuple[EmanStack, ...]
    left: tuple[str, ...]
    """What is left where it is, and why; a sentence each."""

    def versions(self, base: str) -> list[EmanTomogram]:
        """Return all versions of one tomogram."""
        return [tomogram for tomogram in self.tomograms if tomogram.base == base]


def eman_base(file_name: str) -> str:
    """Return what EMAN2 calls a tomogram's base name: without suffix, tags, ``_ptcls`` and ``_info``."""
    return base_of(plain_stem(file_name)).replace("_ptcls", "").replace("_info", "")


def is_eman_project(folder: Path) -> bool:
    """Tell whether a folder looks like EMAN2's: tomograms, and info files or tiles beside them."""
    return (folder / "tomograms").is_dir() and any((folder / name).is_dir() for name in ("info", "particles"))


def project_around(path: Path) -> Path | None:
    """Return the folder or its nearest parent that is a project of EMAN2, None if there is none."""
    return next((folder for folder in (path, *path.parents) if is_eman_project(folder)), None)


def look_at(folder: Path, on_file: Callable[[str], object] = lambda _name: None) -> EmanProject:
    """Look at all files of an EMAN2 project.

    Parameters
    ----------
    folder : Path
        The project's folder, which holds ``tomograms/``.
    on_file : callable
        Told the name of each file before it is opened.

    Raises
    ------
    TomosegError
        If the folder is none of EMAN2, or an info file is malformed. Files that cannot be read are left and listed.
    """
    if not (folder / "tomograms").is_dir():
        raise UsageError(
            f"{folder} is no project of EMAN2: it has no folder tomograms.",
            "Name the folder in which e2projectmanager.py was started.",
        )
    left: list[str] = []
    commands = read_commands(folder / LOG_NAME)
    tomograms = _all(folder / "tomograms", KNOWN_SUFFIXES, lambda path: _tomogram(path, commands), on_file, left)
    infos = {}
    for path in _files(folder / "info", ("_info.json",)):
        on_file(path.name)
        infos[path.name.removesuffix("_info.json")] = read_info(path)
    stacks = _all(folder / "particles", (".hdf",), _stack, on_file, left)
    left += _counted(folder, infos)
    return EmanProject(folder.absolute(), tuple(tomograms), infos, tuple(stacks), tuple(left))


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files of a folder that end so, by name; hidden ones and folders are none."""
    if not folder.is_dir():
        return []
    with file_faults(folder):
        found = sorted(folder.iterdir())
    return [p for p in found if p.name[0] != "." and p.name.lower().endswith(tuple(suffixes)) and p.is_file()]


def _all(
    folder: Path,
    suffixes: Sequence[str],
    read: Callable[[Path], Found | None],
    on_file: Callable[[str], object],
    left: list[str],
) -> list[Found]:
    """Read every file; note those that cannot be read."""
    found = []
    for path in _files(folder, suffixes):
        on_file(path.name)
        try:
            one = read(path)
        except TomosegError as fault:
            left.append(f"{folder.name}/{path.name}: {fault.fault}")
            continue
        if one is not None:
            found.append(one)
    return found


def _tomogram(path: Path, commands: Sequence[Sequence[str]]) -> EmanTomogram:
    with open_volume(path) as volume:
        return EmanTomogram(
            name_from_file(path.name),
            eman_base(path.name),
            path.absolute(),
            volume.grid,
            filtering_of(volume, commands),
            path.stat().st_size,
            volume.compressed,
        )


def _stack(path: Path) -> EmanStack | None:
    """Read where the tiles of a stack come from; None for stacks of something else."""
    name = path.name.lower()
    if name.endswith((_MASKS, *_NO_TILES)):
        return None
    from tomoseg_tui.io.eman2_hdf import read_stack_headers  # noqa: PLC0415  # HDF5 would hold up the start

    headers = read_stack_headers(path)
    shapes = {_shape(header) for header in headers}
    depth, height, width = min(shapes)
    if len(shapes) > 1 or depth != 1 or height != width or height < 1:
        words = " and ".join(str(shape) for shape in sorted(shapes)[:3])
        raise UsageError(f"its images have the shape {words} (z, y, x), expected one square of one slice.", "")
    masks = path.with_name(path.name[: -len(".hdf")] + _MASKS)
    found = tuple(_header(header) for header in headers)
    return EmanStack(path.absolute(), found, height, masks.absolute() if masks.is_file() else None)


def _shape(entries: Mapping[str, "Attribute"]) -> tuple[int, ...]:
    """Return z, y, x as a header says it, 0 where it does not."""
    said = (entries.get(f"n{axis}") for axis in "zyx")
    return tuple(length if isinstance(length, int) else 0 for length in said)


def _header(entries: Mapping[str, "Attribute"]) -> TileHeader:
    source = entries.get("ptcl_source_image")
    return TileHeader(source if isinstance(source, str) and source else None, _offset(entries))


def _offset(entries: Mapping[str, "Attribute"]) -> tuple[float, float, float] | None:
    said = entries.get("ptcl_source_coord")
    if not isinstance(said, list) or len(said) != 3 or not all(abs(at) < _FAR for at in said):
        return None
    x, y, z = said
    return x, y, z


def _counted(folder: Path, infos: dict[str, TomogramInfo]) -> list[str]:
    """Say what there is beside tomograms, boxes and tiles."""
    points = sum(info.curve_points for info in infos.values())
    lines = [f"Curves of {points} point{'s' if points > 1 else ''}: curves are not read."] if points else []
    for pattern, why in _LEFT:
        count = sum(1 for _ in folder.glob(pattern))
        if count:
            lines.append(f"{pattern}, {count} file{'s' if count > 1 else ''}: {why}.")
    stray = (p.name for p in _files(folder / "particles", (_MASKS,)) if not _tiles_beside(p).is_file())
    return [*lines, *(f"particles/{name}: the stack of tiles that it belongs to is not there." for name in stray)]


def _tiles_beside(masks: Path) -> Path:
    """Return the stack of tiles to which a stack of masks belongs."""
    return masks.with_name(masks.name[: -len(_MASKS)] + ".hdf")
