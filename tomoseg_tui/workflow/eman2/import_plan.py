"""Decide what an import from EMAN2 brings, before anything is written: tomograms, boxes, tiles, and why not others."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tomoseg_tui.core.names import check_name, tag_of
from tomoseg_tui.errors import ProjectError, UnknownVoxelSizeError, UsageError
from tomoseg_tui.io.eman2_info import TomogramInfo
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.eman2.box_coordinates import (
    Chosen,
    PlacedBox,
    StackTile,
    base_of_stack,
    lies_in,
    placed_boxes,
    stack_tiles,
    tagged,
    tile_edge,
    version_for_boxes,
)
from tomoseg_tui.workflow.eman2.box_sets import Meaning, map_words, meanings_of
from tomoseg_tui.workflow.eman2.project import EmanProject, EmanTomogram
from tomoseg_tui.workflow.tomograms.import_tomograms import is_believed

_ROOM_TO_SPARE = 1 << 28
"""Bytes that stay free beside what is copied."""
_VOXEL_SIZE_TOLERANCE = 0.01


@dataclass(frozen=True)
class EmanRequest:
    """How an EMAN2 project is brought in."""

    folder: Path
    link: bool = False
    """Leave the tomograms where they are."""
    voxel_size_angstrom: float | None = None
    """Å/voxel of tomograms whose header says none; those that say it keep theirs."""
    polarity: str = "dark"
    """How protein looks, but for versions that EMAN2 has inverted."""
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    """What sets mean; others are the feature of their name."""
    version: str | None = None
    """Tag of the version on which boxes are placed; found out if None."""

    def words(self, folder: str) -> list[str]:
        """Return the arguments of the command that does the same; `folder` as the command names it."""
        words = ["import", "--eman2", folder]
        words += ["--link"] if self.link else []
        words += ["--voxel-size", f"{self.voxel_size_angstrom:g}"] if self.voxel_size_angstrom is not None else []
        words += ["--polarity", self.polarity] if self.polarity != "dark" else []
        words += ["--version", self.version] if self.version is not None else []
        return words + map_words(self.meanings)


@dataclass(frozen=True)
class SetFacts:
    """One set of a project."""

    name: str
    boxes: int
    """Boxes in info files."""
    tiles: int
    """Tiles in stacks; most are boxes too."""
    masks: int
    """Tiles that have a mask."""


@dataclass(frozen=True)
class EmanPlan:
    """What is brought, and what is not."""

    found: EmanProject
    request: EmanRequest
    new: tuple[EmanTomogram, ...]
    """Tomograms that come in."""
    there: tuple[EmanTomogram, ...]
    """Those that are there already."""
    meanings: Mapping[str, Meaning]
    """Of every set."""
    boxes: tuple[PlacedBox, ...]
    tiles: tuple[StackTile, ...]
    remarks: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def byte_count(self) -> int:
        """Bytes that are copied."""
        return 0 if self.request.link else sum(tomogram.byte_count for tomogram in self.new)

    def polarity(self, tomogram: EmanTomogram) -> str:
        """Return how protein looks in a tomogram."""
        turned = {"dark": "bright", "bright": "dark"}
        return turned[self.request.polarity] if tomogram.filtering.turned else self.request.polarity


def sets_of(found: EmanProject) -> list[SetFacts]:
    """Return the sets of a project by name."""
    boxes = [info.sets[box.set_id].name for info in found.infos.values() for box in info.boxes]
    tiles = [(name, tile.stack.masks is not None) for tile in stack_tiles(found) for name in tile.set_names]
    names = sorted({*boxes, *(name for name, _ in tiles)})
    return [
        SetFacts(name, boxes.count(name), sum(t == name for t, _ in tiles), tiles.count((name, True))) for name in names
    ]


def nameless(found: EmanProject) -> list[EmanTomogram]:
    """Return the tomograms whose header does not say the voxel size."""
    return [tomogram for tomogram in found.tomograms if not is_believed(tomogram.grid.voxel_size_angstrom)]


def plan_import(project: Project, found: EmanProject, request: EmanRequest) -> EmanPlan:
    """Decide what is brought.

    Raises
    ------
    TomosegError
        If something must be said first: what a set means, a voxel size, the version of boxes; if a name is taken by
        another tomogram, or the disk has no room.
    """
    project.refuse_newer()
    new, there, left = _tomograms(project, found, request)
    names = [facts.name for facts in sets_of(found)]
    meanings = meanings_of(names, request.meanings, f"tomoseg import --eman2 {request.folder}")
    tiles = stack_tiles(found)
    boxes, remarks, lost = _boxes(found, tiles, request)
    plan = EmanPlan(
        found,
        request,
        tuple(new),
        tuple(there),
        meanings,
        tuple(box for box in boxes if not meanings[box.set_name].is_left),
        tuple(tile for tile in tiles if not all(meanings[name].is_left for name in tile.set_names)),
        (*remarks, *(t.filtering.remark for t in new if t.filtering.remark)),
        (*left, *lost, *found.left),
    )
    _require_room(project, plan)
    return plan


# Tomograms


def _tomograms(
    project: Project, found: EmanProject, request: EmanRequest
) -> tuple[list[EmanTomogram], list[EmanTomogram], list[str]]:
    """Return those that come in, those that are there, and what is left for its name."""
    new: list[EmanTomogram] = []
    there: list[EmanTomogram] = []
    left: list[str] = []
    for tomogram in found.tomograms:
        if tomogram.name in {one.name for one in (*new, *there)}:
            left.append(f"tomograms/{tomogram.path.name}: another file of that name comes in.")
        elif project.layout.tomogram_folder(check_name(tomogram.name, "tomogram")).exists():
            _require_same(project, tomogram)
            there.append(tomogram)
        else:
            new.append(tomogram)
    _require_voxel_sizes(new, request)
    packed = [tomogram.path.name for tomogram in new if tomogram.compressed]
    if request.link and packed:
        raise UsageError(f"{', '.join(packed)} is compressed and cannot be linked.", "Leave --link out.")
    return new, there, left


def _require_same(project: Project, tomogram: EmanTomogram) -> None:
    """Refuse a tomogram whose name another one has."""
    record = catalog.tomogram(project.layout, tomogram.name)
    said = tomogram.grid.voxel_size_angstrom
    far = is_believed(said) and abs(said - record.voxel_size_angstrom) > _VOXEL_SIZE_TOLERANCE * said
    if record.shape_zyx != tomogram.grid.shape_zyx or far:
        raise ProjectError(
            f"The name {tomogram.name} is taken by another tomogram: {record.shape_zyx} voxels (z, y, x) of "
            f"{record.voxel_size_angstrom:g} Å, {tomogram.path.name} has {tomogram.grid.shape_zyx} of {said:g} Å.",
            f"Give that one another name: tomoseg tomograms rename {tomogram.name} OTHER",
        )


def _require_voxel_sizes(new: Sequence[EmanTomogram], request: EmanRequest) -> None:
    unknown = [t.path.name for t in new if not is_believed(t.grid.voxel_size_angstrom)]
    if unknown and request.voxel_size_angstrom is None:
        more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise UnknownVoxelSizeError(
            f"{', '.join(unknown[:3])}{more}: the header has a voxel size of 0 or 1 Å, which nobody has set.",
            "Say it: --voxel-size 13.48; headers that say it keep theirs. Or import a file by itself first.",
        )


def _require_room(project: Project, plan: EmanPlan) -> None:
    free = shutil.disk_usage(project.layout.root).free
    if plan.byte_count and plan.byte_count + _ROOM_TO_SPARE > free:
        raise ProjectError(
            f"The tomograms take {plan.byte_count / 1e9:.1f} GB, the disk has {free / 1e9:.1f} GB left.",
            "Make room, or leave them where they are: --link",
        )


# Boxes


def _boxes(
    found: EmanProject, tiles: Sequence[StackTile], request: EmanRequest
) -> tuple[list[PlacedBox], list[str], list[str]]:
    """Return boxes on the versions that they belong to, remarks, and boxes that are left."""
    boxes: list[PlacedBox] = []
    remarks: list[str] = []
    left: list[str] = []
    like = _usual_tag(tiles)
    _require_tag(found, request.version)
    for base, info in found.infos.items():
        versions = found.versions(base)
        if not info.boxes:
            continue
        if not versions:
            left.append(f"info/{info.file_name}: its {len(info.boxes)} boxes have no tomogram.")
            continue
        chosen = _chosen(found, base, tiles, request.version, like)
        remarks += [chosen.remark] if chosen.remark else []
        inside, outside = _inside(info, chosen.version)
        boxes += inside
        left += outside
    return boxes, remarks, left


def _chosen(found: EmanProject, base: str, tiles: Sequence[StackTile], tag: str | None, like: str | None) -> Chosen:
    info, versions = found.infos[base], found.versions(base)
    told = tagged(versions, tag)
    if told is not None:
        return Chosen(told)
    cut = _cut_versions(found, base, tiles)
    return version_for_boxes(info, versions, cut, like=like, say=lambda version: _version_option(version.name))


def _require_tag(found: EmanProject, tag: str | None) -> None:
    if tag is not None and tagged(found.tomograms, tag) is None:
        raise UsageError(
            f"No tomogram has the tag {tag!r} (there are: {', '.join(t.name for t in found.tomograms)}).",
            "Say --version with what stands behind __ in one of them; '' for the one without.",
        )


def _version_option(name: str) -> str:
    return f"--version {tag_of(name) or repr('')}"


def _usual_tag(tiles: Sequence[StackTile]) -> str | None:
    """Return the tag out of which most tiles were cut."""
    tags = [tag_of(tile.version.name) for tile in tiles if tile.version is not None]
    return max(set(tags), key=tags.count, default=None)


def _cut_versions(found: EmanProject, base: str, tiles: Sequence[StackTile]) -> list[EmanTomogram]:
    """Return the versions out of which tiles of a tomogram were cut, the most used first."""
    names = [t.version.name for t in tiles if t.version is not None and base_of_stack(found, t.stack) == base]
    versions = [version for version in found.versions(base) if version.name in names]
    return sorted(versions, key=lambda version: -names.count(version.name))


def _inside(info: TomogramInfo, version: EmanTomogram) -> tuple[list[PlacedBox], list[str]]:
    boxes = placed_boxes(info, version)
    inside = [box for box in boxes if lies_in(box.centre_zyx, version.grid.shape_zyx)]
    lost = len(boxes) - len(inside)
    words = f"info/{info.file_name}: {lost} of {len(boxes)} boxes lie outside of {version.name}."
    return inside, [words] if lost else []


def size_remarks(boxes: Sequence[PlacedBox]) -> list[str]:
    """Say which sets get tiles of another size than their boxes."""
    sizes = {(box.set_name, box.size) for box in boxes if tile_edge(box.size) != box.size}
    return [
        f"{name}: boxes of {size} voxels become tiles of {tile_edge(size)}, since networks want multiples of 16."
        for name, size in sorted(sizes)
    ]
