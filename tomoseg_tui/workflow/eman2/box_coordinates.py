"""Positions of the boxes and tiles of an EMAN2 project, and the version of the tomogram that they belong to.

All versions of a tomogram share an info file. Coordinates from the centre in unbinned pixels are valid for every
version. Plain voxels are valid only for the version that was open, which EMAN2 does not record. The version is the
first that can be found in this order: the one that the user names; the one that tiles were cut from; the only grid, or
the only one with all boxes inside; for coordinates from the centre, the one on which the boxes are closest to EMAN2's
usual 64 voxels. If several versions remain, the user is asked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.names import version_tag, volume_stem
from tomoseg_tui.core.tiles import DEFAULT_TILE_SIZE, TILE_MULTIPLE
from tomoseg_tui.errors import UsageError
from tomoseg_tui.io.eman2_info import InfoBox, TomogramInfo
from tomoseg_tui.workflow.eman2.project import Eman2Project, Eman2Stack, Eman2Tomogram, eman2_base

Zyx = tuple[int, int, int]


@dataclass(frozen=True)
class StackTile:
    """One tile of a stack."""

    stack: Eman2Stack
    index: int
    """Number of the image, from 0."""
    version: Eman2Tomogram | None
    """Tomogram that it was cut from; None if the project does not contain it."""
    centre_zyx: Zyx | None
    """Centre voxel on that version; None if the header does not contain it."""
    set_names: tuple[str, ...]
    """The sets that it belongs to."""


@dataclass(frozen=True)
class PlacedBox:
    """A box on a version of its tomogram."""

    source: str
    """Description for messages."""
    version: Eman2Tomogram
    centre_zyx: Zyx
    size: int
    """Edge in voxels of that version; the tile's edge may differ."""
    set_name: str


def tile_edge(size: int) -> int:
    """Return the edge of the smallest tile that contains a box."""
    return max(-(-size // TILE_MULTIPLE), 1) * TILE_MULTIPLE


def same_grid(first: VoxelGrid, second: VoxelGrid) -> bool:
    """Return whether a voxel has the same position on both grids."""
    near = abs(first.voxel_size_angstrom - second.voxel_size_angstrom) <= 1e-3 * second.voxel_size_angstrom
    return first.shape_zyx == second.shape_zyx and near


def box_centre(info: TomogramInfo, box: InfoBox, grid: VoxelGrid) -> Zyx:
    """Return the centre of a box on a grid (z, y, x)."""
    x, y, z = info.voxel_xyz(box, grid.shape_zyx, grid.voxel_size_angstrom)
    return z, y, x


def lies_in(centre_zyx: Zyx, shape_zyx: Zyx) -> bool:
    """Return whether a voxel is inside a volume."""
    return all(0 <= at < length for at, length in zip(centre_zyx, shape_zyx, strict=True))


# Stacks


def stack_tiles(eman2_project: Eman2Project) -> list[StackTile]:
    """Return the tiles of all stacks, with positions where the headers contain them."""
    return [tile for stack in eman2_project.stacks for tile in _tiles_of(eman2_project, stack)]


def base_of_stack(eman2_project: Eman2Project, stack: Eman2Stack) -> str:
    """Return the base name of the tomogram that a stack was cut from, by its headers or else by its name."""
    source = next((header.source for header in stack.headers if header.source), None)
    if source is not None:
        return eman2_base(Path(source).name)
    bases = {tomogram.base for tomogram in eman2_project.tomograms} | set(eman2_project.infos)
    matching = [base for base in bases if stack.stem.startswith(base)]
    return max(matching, key=len, default=stack.base)


def _tiles_of(eman2_project: Eman2Project, stack: Eman2Stack) -> list[StackTile]:
    base = base_of_stack(eman2_project, stack)
    info = eman2_project.infos.get(base)
    suffix = _set_in_name(eman2_project, stack, base)
    is_named = info is not None and suffix in {box_set.name for box_set in info.sets.values()}
    sets_by_version: dict[str, dict[Zyx, tuple[str, ...]]] = {}
    tiles = []
    for index, header in enumerate(stack.headers):
        version = _named_version(eman2_project, header.source)
        centre = None if version is None else _centre(header.offset_xyz, version.grid.shape_zyx)
        sets: tuple[str, ...] = ()
        if version is not None and centre is not None and info is not None and not is_named:
            if version.name not in sets_by_version:
                sets_by_version[version.name] = _sets_by_centre(info, version.grid)
            sets = sets_by_version[version.name].get(centre, ())
        tiles.append(StackTile(stack, index, version, centre, sets or (suffix,)))
    return tiles


def _set_in_name(eman2_project: Eman2Project, stack: Eman2Stack, base: str) -> str:
    """Return the part of a stack's name after the name of its tomogram."""
    sources = {volume_stem(Path(header.source).name) for header in stack.headers if header.source}
    stems = sources | {volume_stem(tomogram.path.name) for tomogram in eman2_project.tomograms} | {base}
    matching = [stem for stem in stems if stack.stem.startswith(stem)]
    remainder = stack.stem[len(max(matching, key=len, default="")) :]
    return remainder.lstrip("_") or stack.stem


def _named_version(eman2_project: Eman2Project, source: str | None) -> Eman2Tomogram | None:
    if source is None:
        return None
    name = Path(source).name
    exact = next((tomogram for tomogram in eman2_project.tomograms if tomogram.path.name == name), None)
    same_stem = (
        tomogram for tomogram in eman2_project.tomograms if volume_stem(tomogram.path.name) == volume_stem(name)
    )
    return exact or next(same_stem, None)


def _centre(offset_xyz: tuple[float, float, float] | None, shape_zyx: Zyx) -> Zyx | None:
    if offset_xyz is None:
        return None
    z, y, x = (round(at) + length // 2 for at, length in zip(reversed(offset_xyz), shape_zyx, strict=True))
    return z, y, x


def _sets_by_centre(info: TomogramInfo, grid: VoxelGrid) -> dict[Zyx, tuple[str, ...]]:
    """Return the names of the sets with a box at each voxel."""
    sets: dict[Zyx, tuple[str, ...]] = {}
    for box in info.boxes:
        centre, name = box_centre(info, box, grid), info.sets[box.set_id].name
        sets[centre] = tuple(dict.fromkeys((*sets.get(centre, ()), name)))
    return sets


# Boxes


@dataclass(frozen=True)
class VersionChoice:
    """The version on which boxes are placed."""

    version: Eman2Tomogram
    remark: str = ""
    """Note for the user; empty if there was only one choice."""


def choose_version(
    info: TomogramInfo,
    versions: Sequence[Eman2Tomogram],
    cut_versions: Sequence[Eman2Tomogram],
    *,
    preferred_tag: str | None,
    version_option: Callable[[Eman2Tomogram], str],
) -> VersionChoice:
    """Choose the version on which the boxes of an info file are placed.

    Parameters
    ----------
    versions : sequence of Eman2Tomogram
        All versions of the tomogram, at least one.
    cut_versions : sequence of Eman2Tomogram
        The versions that tiles were cut from.
    preferred_tag : str, optional
        Tag of the version that most tiles in the project were cut from.

    Raises
    ------
    UsageError
        If the version cannot be found.
    """
    candidates = list(cut_versions) or list(versions)
    matching = [version for version in candidates if _all_inside(info, version.grid)] or candidates
    groups = _group_by_grid(matching)
    if len(groups) > 1 and info.unbinned_angstrom is None:
        names = ", ".join(f"{v.name} {v.grid.shape_zyx}" for v in matching)
        raise UsageError(
            f"{info.file_name} has coordinates in voxels of an unknown version; possible are: {names}.",
            f"Name the version, as in: {version_option(matching[-1])}",
        )
    if len(groups) > 1:
        groups = [
            min(
                groups,
                key=lambda group: (_distance_from_default(info, group[0].grid), -group[0].grid.voxel_size_angstrom),
            )
        ]
    best = _best_version(groups[0], preferred_tag)
    remark = (
        f"The boxes of {info.file_name} are placed on {best.name}. An option such as {version_option(best)} sets the "
        "version."
    )
    return VersionChoice(best, remark if len(versions) > 1 and not cut_versions else "")


def version_with_tag(versions: Sequence[Eman2Tomogram], tag: str | None) -> Eman2Tomogram | None:
    """Return the version with a tag, "" for the one without; None if there is none."""
    return next((version for version in versions if version_tag(version.name) == tag), None)


def _all_inside(info: TomogramInfo, grid: VoxelGrid) -> bool:
    return all(lies_in(box_centre(info, box, grid), grid.shape_zyx) for box in info.boxes)


def _group_by_grid(versions: Iterable[Eman2Tomogram]) -> list[list[Eman2Tomogram]]:
    """Return the versions grouped by grid."""
    groups: list[list[Eman2Tomogram]] = []
    for version in versions:
        match = next((group for group in groups if same_grid(group[0].grid, version.grid)), None)
        if match is None:
            groups.append([version])
        else:
            match.append(version)
    return groups


def _distance_from_default(info: TomogramInfo, grid: VoxelGrid) -> int:
    """Return the differences between box sizes and the usual edge on a grid, in voxels, summed over all sets."""
    sets = {box.set_id for box in info.boxes}
    return sum(abs(info.box_size(number, grid.voxel_size_angstrom) - DEFAULT_TILE_SIZE) for number in sets)


def _best_version(versions: Sequence[Eman2Tomogram], preferred_tag: str | None) -> Eman2Tomogram:
    """Choose among versions of one grid: the preferred tag, else a filtered one, since EMAN2 shows those for boxing."""
    return min(
        versions,
        key=lambda version: (version_tag(version.name) != preferred_tag, not version.filtering.chain, version.name),
    )


def placed_boxes(info: TomogramInfo, version: Eman2Tomogram) -> list[PlacedBox]:
    """Return the boxes of an info file on a version, including boxes outside."""
    return [
        PlacedBox(
            f"box {box.number} of {info.file_name}",
            version,
            box_centre(info, box, version.grid),
            info.box_size(box.set_id, version.grid.voxel_size_angstrom),
            info.sets[box.set_id].name,
        )
        for box in info.boxes
    ]
