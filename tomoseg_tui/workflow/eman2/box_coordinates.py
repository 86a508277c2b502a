"""Where the boxes and tiles of an EMAN2 project lie, and on which version of their tomogram.

All versions of one tomogram share an info file. Coordinates from the centre in unbinned pixels mean the
same place on each of them; plain voxels only mean something on the one that was open, which EMAN2 does
not write down. So the version is, in this order: the one the user names; the one out of which tiles were
cut; the only grid there is, or on which all boxes lie inside; for coordinates from the centre, the one on
which boxes are nearest to EMAN2's usual 64 voxels. If that leaves several, the user is asked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.core.grid import Grid
from tomoseg_tui.core.names import plain_stem, tag_of
from tomoseg_tui.core.tiles import DEFAULT_TILE, TILE_MULTIPLE
from tomoseg_tui.errors import UsageError
from tomoseg_tui.io.eman2_info import InfoBox, TomogramInfo
from tomoseg_tui.workflow.eman2.project import EmanProject, EmanStack, EmanTomogram, eman_base

Zyx = tuple[int, int, int]


@dataclass(frozen=True)
class StackTile:
    """One tile of a stack."""

    stack: EmanStack
    index: int
    """Which image, from 0."""
    version: EmanTomogram | None
    """Out of which tomogram it was cut, if that is there."""
    centre_zyx: Zyx | None
    """Its centre voxel on that version; None where its header does not say it."""
    set_names: tuple[str, ...]
    """The sets that it belongs to."""


@dataclass(frozen=True)
class PlacedBox:
    """A box on a version of its tomogram."""

    where: str
    """For messages."""
    version: EmanTomogram
    centre_zyx: Zyx
    size: int
    """Edge in voxels, as it stands there; a tile's edge may differ."""
    set_name: str


def tile_edge(size: int) -> int:
    """Return the edge of the smallest tile that holds a box."""
    return max(-(-size // TILE_MULTIPLE), 1) * TILE_MULTIPLE


def same_grid(first: Grid, second: Grid) -> bool:
    """Tell whether a voxel is the same place on both."""
    near = abs(first.voxel_size_angstrom - second.voxel_size_angstrom) <= 1e-3 * second.voxel_size_angstrom
    return first.shape_zyx == second.shape_zyx and near


def voxel_of(info: TomogramInfo, box: InfoBox, grid: Grid) -> Zyx:
    """Return the centre of a box on a grid as z, y, x."""
    x, y, z = info.voxel_xyz(box, grid.shape_zyx, grid.voxel_size_angstrom)
    return z, y, x


def lies_in(centre_zyx: Zyx, shape_zyx: Zyx) -> bool:
    """Tell whether a voxel is one of a volume."""
    return all(0 <= at < length for at, length in zip(centre_zyx, shape_zyx, strict=True))


# Stacks


def stack_tiles(found: EmanProject) -> list[StackTile]:
    """Return the tiles of all stacks, placed as far as their headers say."""
    return [tile for stack in found.stacks for tile in _tiles_of(found, stack)]


def base_of_stack(found: EmanProject, stack: EmanStack) -> str:
    """Return the base name of the tomogram out of which a stack was cut: as headers say it, else as its name does."""
    source = next((header.source for header in stack.headers if header.source), None)
    if source is not None:
        return eman_base(Path(source).name)
    bases = {tomogram.base for tomogram in found.tomograms} | set(found.infos)
    fitting = [base for base in bases if stack.stem.startswith(base)]
    return max(fitting, key=len, default=stack.base)


def _tiles_of(found: EmanProject, stack: EmanStack) -> list[StackTile]:
    base = base_of_stack(found, stack)
    info = found.infos.get(base)
    suffix = _set_in_name(found, stack, base)
    named = info is not None and suffix in {kind.name for kind in info.sets.values()}
    at_boxes: dict[str, dict[Zyx, tuple[str, ...]]] = {}
    tiles = []
    for index, header in enumerate(stack.headers):
        version = _named_version(found, header.source)
        centre = None if version is None else _centre(header.offset_xyz, version.grid.shape_zyx)
        sets: tuple[str, ...] = ()
        if version is not None and centre is not None and info is not None and not named:
            if version.name not in at_boxes:
                at_boxes[version.name] = _sets_by_place(info, version.grid)
            sets = at_boxes[version.name].get(centre, ())
        tiles.append(StackTile(stack, index, version, centre, sets or (suffix,)))
    return tiles


def _set_in_name(found: EmanProject, stack: EmanStack, base: str) -> str:
    """Return what a stack's name says beyond its tomogram's."""
    sources = {plain_stem(Path(header.source).name) for header in stack.headers if header.source}
    stems = sources | {plain_stem(tomogram.path.name) for tomogram in found.tomograms} | {base}
    fitting = [stem for stem in stems if stack.stem.startswith(stem)]
    rest = stack.stem[len(max(fitting, key=len, default="")) :]
    return rest.lstrip("_") or stack.stem


def _named_version(found: EmanProject, source: str | None) -> EmanTomogram | None:
    if source is None:
        return None
    name = Path(source).name
    exact = next((tomogram for tomogram in found.tomograms if tomogram.path.name == name), None)
    same = (tomogram for tomogram in found.tomograms if plain_stem(tomogram.path.name) == plain_stem(name))
    return exact or next(same, None)


def _centre(offset_xyz: tuple[float, float, float] | None, shape_zyx: Zyx) -> Zyx | None:
    if offset_xyz is None:
        return None
    z, y, x = (round(at) + length // 2 for at, length in zip(reversed(offset_xyz), shape_zyx, strict=True))
    return z, y, x


def _sets_by_place(info: TomogramInfo, grid: Grid) -> dict[Zyx, tuple[str, ...]]:
    """Return the sets of the boxes at each voxel."""
    found: dict[Zyx, tuple[str, ...]] = {}
    for box in info.boxes:
        centre, name = voxel_of(info, box, grid), info.sets[box.set_id].name
        found[centre] = tuple(dict.fromkeys((*found.get(centre, ()), name)))
    return found


# Boxes


@dataclass(frozen=True)
class Chosen:
    """The version on which boxes are placed."""

    version: EmanTomogram
    remark: str = ""
    """Said where there was a choice."""


def version_for_boxes(
    info: TomogramInfo,
    versions: Sequence[EmanTomogram],
    cut: Sequence[EmanTomogram],
    *,
    like: str | None,
    say: Callable[[EmanTomogram], str],
) -> Chosen:
    """Choose the version on which the boxes of an info file are placed.

    Parameters
    ----------
    info : TomogramInfo
        The boxes.
    versions : sequence of EmanTomogram
        All versions of the tomogram that are there; at least one.
    cut : sequence of EmanTomogram
        Those out of which tiles were cut.
    like : str, optional
        The tag out of which tiles were cut elsewhere in the project.
    say : callable
        Returns the option by which a user names a version.

    Raises
    ------
    UsageError
        If nothing tells which it is.
    """
    among = list(cut) or list(versions)
    fitting = [version for version in among if _all_inside(info, version.grid)] or among
    grids = _grids(fitting)
    if len(grids) > 1 and info.unbinned_angstrom is None:
        names = ", ".join(f"{v.name} {v.grid.shape_zyx}" for v in fitting)
        raise UsageError(
            f"{info.file_name} holds plain voxels, and does not say of which version: {names}.",
            f"Say it, as in: {say(fitting[-1])}",
        )
    if len(grids) > 1:
        grids = [min(grids, key=lambda grid: (_from_usual(info, grid[0].grid), -grid[0].grid.voxel_size_angstrom))]
    chosen = _best(grids[0], like)
    remark = (
        f"The boxes of {info.file_name} are placed on {chosen.name}; {say(chosen)} would say so, or another version."
    )
    return Chosen(chosen, remark if len(versions) > 1 and not cut else "")


def tagged(versions: Sequence[EmanTomogram], tag: str | None) -> EmanTomogram | None:
    """Return the version with a tag, empty for the one without; None if there is none."""
    return next((version for version in versions if tag_of(version.name) == tag), None)


def _all_inside(info: TomogramInfo, grid: Grid) -> bool:
    return all(lies_in(voxel_of(info, box, grid), grid.shape_zyx) for box in info.boxes)


def _grids(versions: Iterable[EmanTomogram]) -> list[list[EmanTomogram]]:
    """Return versions on one grid together."""
    grids: list[list[EmanTomogram]] = []
    for version in versions:
        kin = next((grid for grid in grids if same_grid(grid[0].grid, version.grid)), None)
        if kin is None:
            grids.append([version])
        else:
            kin.append(version)
    return grids


def _from_usual(info: TomogramInfo, grid: Grid) -> int:
    """Tell how far the boxes are from the usual edge on a grid, in voxels, all sets together."""
    sets = {box.set_id for box in info.boxes}
    return sum(abs(info.box_size(number, grid.voxel_size_angstrom) - DEFAULT_TILE) for number in sets)


def _best(versions: Sequence[EmanTomogram], like: str | None) -> EmanTomogram:
    """Choose among versions of one grid: as elsewhere in the project, else a filtered one, since EMAN2 boxes there."""
    return min(versions, key=lambda version: (tag_of(version.name) != like, not version.filtering.chain, version.name))


def placed_boxes(info: TomogramInfo, version: EmanTomogram) -> list[PlacedBox]:
    """Return the boxes of an info file on a version; those outside too."""
    return [
        PlacedBox(
            f"box {box.number} of {info.file_name}",
            version,
            voxel_of(info, box, version.grid),
            info.box_size(box.set_id, version.grid.voxel_size_angstrom),
            info.sets[box.set_id].name,
        )
        for box in info.boxes
    ]
