"""Plan an import from EMAN2 before anything is written: tomograms, boxes and tiles, and reasons for those left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tomoseg_tui.core.grid import SAME_SIZE_TOLERANCE, differs_in_size
from tomoseg_tui.core.names import check_name, version_tag
from tomoseg_tui.errors import ProjectError, UnknownVoxelSizeError, UsageError
from tomoseg_tui.files.disk_space import format_bytes, free_bytes
from tomoseg_tui.io.eman2_info import TomogramInfo
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.eman2.box_coordinates import (
    PlacedBox,
    StackTile,
    VersionChoice,
    base_of_stack,
    choose_version,
    lies_in,
    placed_boxes,
    stack_tiles,
    tile_edge,
    version_with_tag,
)
from tomoseg_tui.workflow.eman2.box_sets import Meaning, resolve_meanings
from tomoseg_tui.workflow.eman2.project import Eman2Project, Eman2Tomogram
from tomoseg_tui.workflow.tomograms.header_checks import is_plausible_voxel_size

_SPARE_BYTES = 1 << 28
"""Disk space that must stay free after the copy."""


@dataclass(frozen=True)
class Eman2ImportRequest:
    """Options of an import of an EMAN2 project."""

    folder: Path
    link: bool = False
    """Do not copy the tomograms."""
    voxel_size_angstrom: float | None = None
    """Å/voxel of tomograms without a voxel size in their header."""
    polarity: str = "dark"
    """Polarity of protein; the opposite for versions that EMAN2 has inverted."""
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    """Meanings of sets; other sets are the feature of their name."""
    version: str | None = None
    """Tag of the version on which boxes are placed; chosen automatically if None."""


@dataclass(frozen=True)
class BoxSetSummary:
    """One box set of a project."""

    name: str
    boxes: int
    """Number of boxes in info files."""
    tiles: int
    """Number of tiles in stacks; most are boxes too."""
    masks: int
    """Number of tiles with a mask."""


@dataclass(frozen=True)
class Eman2ImportPlan:
    """What is imported and what is not."""

    eman2_project: Eman2Project
    request: Eman2ImportRequest
    new_tomograms: tuple[Eman2Tomogram, ...]
    """Tomograms to import."""
    existing_tomograms: tuple[Eman2Tomogram, ...]
    """Tomograms that the project already has."""
    meanings: Mapping[str, Meaning]
    """Meanings of all sets."""
    boxes: tuple[PlacedBox, ...]
    tiles: tuple[StackTile, ...]
    remarks: tuple[str, ...]
    skipped: tuple[str, ...]

    @property
    def byte_count(self) -> int:
        """Number of bytes to copy."""
        return 0 if self.request.link else sum(tomogram.byte_count for tomogram in self.new_tomograms)

    def polarity(self, tomogram: Eman2Tomogram) -> str:
        """Return the polarity of protein in a tomogram."""
        inverted = {"dark": "bright", "bright": "dark"}
        return inverted[self.request.polarity] if tomogram.filtering.inverted else self.request.polarity


def box_set_summaries(eman2_project: Eman2Project) -> list[BoxSetSummary]:
    """Return the box sets of a project by name."""
    boxes = [info.sets[box.set_id].name for info in eman2_project.infos.values() for box in info.boxes]
    tiles = [(name, tile.stack.masks is not None) for tile in stack_tiles(eman2_project) for name in tile.set_names]
    names = sorted({*boxes, *(name for name, _ in tiles)})
    return [
        BoxSetSummary(name, boxes.count(name), sum(t == name for t, _ in tiles), tiles.count((name, True)))
        for name in names
    ]


def unscaled_tomograms(eman2_project: Eman2Project) -> list[Eman2Tomogram]:
    """Return the tomograms without a voxel size in their header."""
    return [
        tomogram
        for tomogram in eman2_project.tomograms
        if not is_plausible_voxel_size(tomogram.grid.voxel_size_angstrom)
    ]


def plan_import(project: Project, eman2_project: Eman2Project, request: Eman2ImportRequest) -> Eman2ImportPlan:
    """Plan an import.

    Raises
    ------
    TomosegError
        If the user must decide something first (the meaning of a set, a voxel size, the version for boxes), if another
        tomogram has the name already, or if the disk is too full.
    """
    project.require_current_format()
    new_tomograms, existing, skipped = _sort_tomograms(project, eman2_project, request)
    names = [box_set.name for box_set in box_set_summaries(eman2_project)]
    meanings = resolve_meanings(names, request.meanings, f"tomoseg import --eman2 {request.folder}")
    tiles = stack_tiles(eman2_project)
    boxes, remarks, skipped_boxes = _place_boxes(eman2_project, tiles, request)
    plan = Eman2ImportPlan(
        eman2_project,
        request,
        tuple(new_tomograms),
        tuple(existing),
        meanings,
        tuple(box for box in boxes if not meanings[box.set_name].is_ignored),
        tuple(tile for tile in tiles if not all(meanings[name].is_ignored for name in tile.set_names)),
        (*remarks, *(tomogram.filtering.remark for tomogram in new_tomograms if tomogram.filtering.remark)),
        (*skipped, *skipped_boxes, *eman2_project.skipped),
    )
    _require_disk_space(project, plan)
    return plan


# Tomograms


def _sort_tomograms(
    project: Project, eman2_project: Eman2Project, request: Eman2ImportRequest
) -> tuple[list[Eman2Tomogram], list[Eman2Tomogram], list[str]]:
    """Return new tomograms, existing ones, and messages on files left out because of their name."""
    new_tomograms: list[Eman2Tomogram] = []
    existing: list[Eman2Tomogram] = []
    skipped: list[str] = []
    for tomogram in eman2_project.tomograms:
        if tomogram.name in {other.name for other in (*new_tomograms, *existing)}:
            skipped.append(f"tomograms/{tomogram.path.name}: another file with that name is imported.")
        elif project.layout.tomogram_folder(check_name(tomogram.name, "tomogram")).exists():
            _require_same(project, tomogram)
            existing.append(tomogram)
        else:
            new_tomograms.append(tomogram)
    _require_voxel_sizes(new_tomograms, request)
    compressed = [tomogram.path.name for tomogram in new_tomograms if tomogram.compressed]
    if request.link and compressed:
        raise UsageError(f"{', '.join(compressed)} is compressed and cannot be linked.", "Leave --link out.")
    return new_tomograms, existing, skipped


def _require_same(project: Project, tomogram: Eman2Tomogram) -> None:
    """Raise an error if another tomogram of the project has the name already."""
    record = catalog.load_tomogram(project.layout, tomogram.name)
    voxel_size_angstrom = tomogram.grid.voxel_size_angstrom
    size_differs = is_plausible_voxel_size(voxel_size_angstrom) and differs_in_size(
        record.voxel_size_angstrom, voxel_size_angstrom, tolerance=SAME_SIZE_TOLERANCE
    )
    if record.shape_zyx != tomogram.grid.shape_zyx or size_differs:
        raise ProjectError(
            f"The name {tomogram.name} belongs to another tomogram: {record.shape_zyx} voxels (z, y, x) of "
            f"{record.voxel_size_angstrom:g} Å, {tomogram.path.name} has {tomogram.grid.shape_zyx} of "
            f"{voxel_size_angstrom:g} Å.",
            f"Rename the other tomogram: tomoseg tomograms rename {tomogram.name} OTHER",
        )


def _require_voxel_sizes(new_tomograms: Sequence[Eman2Tomogram], request: Eman2ImportRequest) -> None:
    unknown = [
        tomogram.path.name
        for tomogram in new_tomograms
        if not is_plausible_voxel_size(tomogram.grid.voxel_size_angstrom)
    ]
    if unknown and request.voxel_size_angstrom is None:
        more_text = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
        raise UnknownVoxelSizeError(
            f"{', '.join(unknown[:3])}{more_text}: the header has a voxel size of 0 or 1 Å, that is none.",
            "Give it, as in --voxel-size 13.48 (other headers keep theirs), or import a file by itself first.",
        )


def _require_disk_space(project: Project, plan: Eman2ImportPlan) -> None:
    free = free_bytes(project.layout.root)
    if plan.byte_count and plan.byte_count + _SPARE_BYTES > free:
        raise ProjectError(
            f"The tomograms need {format_bytes(plan.byte_count)}, the disk has {format_bytes(free)} free.",
            "Free disk space, or do not copy them: --link",
        )


# Boxes


def _place_boxes(
    eman2_project: Eman2Project, tiles: Sequence[StackTile], request: Eman2ImportRequest
) -> tuple[list[PlacedBox], list[str], list[str]]:
    """Return the boxes on their versions, remarks, and messages on boxes left out."""
    boxes: list[PlacedBox] = []
    remarks: list[str] = []
    skipped: list[str] = []
    preferred_tag = _most_used_tag(tiles)
    _require_tag(eman2_project, request.version)
    for base, info in eman2_project.infos.items():
        versions = eman2_project.versions(base)
        if not info.boxes:
            continue
        if not versions:
            skipped.append(f"info/{info.file_name}: its {len(info.boxes)} boxes have no tomogram.")
            continue
        choice = _choose_version(eman2_project, base, tiles, request.version, preferred_tag)
        remarks += [choice.remark] if choice.remark else []
        inside, outside = _boxes_inside(info, choice.version)
        boxes += inside
        skipped += outside
    return boxes, remarks, skipped


def _choose_version(
    eman2_project: Eman2Project, base: str, tiles: Sequence[StackTile], tag: str | None, preferred_tag: str | None
) -> VersionChoice:
    info, versions = eman2_project.infos[base], eman2_project.versions(base)
    tagged_version = version_with_tag(versions, tag)
    if tagged_version is not None:
        return VersionChoice(tagged_version)
    cut_versions = _cut_versions(eman2_project, base, tiles)
    return choose_version(
        info,
        versions,
        cut_versions,
        preferred_tag=preferred_tag,
        version_option=lambda version: _version_option(version.name),
    )


def _require_tag(eman2_project: Eman2Project, tag: str | None) -> None:
    if tag is not None and version_with_tag(eman2_project.tomograms, tag) is None:
        raise UsageError(
            f"No tomogram has the tag {tag!r} (there are: "
            f"{', '.join(tomogram.name for tomogram in eman2_project.tomograms)}).",
            "Give --version with the part after __ of one of them; '' for the one without.",
        )


def _version_option(name: str) -> str:
    return f"--version {version_tag(name) or repr('')}"


def _most_used_tag(tiles: Sequence[StackTile]) -> str | None:
    """Return the tag of the version that most tiles were cut from."""
    tags = [version_tag(tile.version.name) for tile in tiles if tile.version is not None]
    return max(set(tags), key=tags.count, default=None)


def _cut_versions(eman2_project: Eman2Project, base: str, tiles: Sequence[StackTile]) -> list[Eman2Tomogram]:
    """Return the versions that tiles of a tomogram were cut from, the most frequent first."""
    names = [
        tile.version.name
        for tile in tiles
        if tile.version is not None and base_of_stack(eman2_project, tile.stack) == base
    ]
    versions = [version for version in eman2_project.versions(base) if version.name in names]
    return sorted(versions, key=lambda version: -names.count(version.name))


def _boxes_inside(info: TomogramInfo, version: Eman2Tomogram) -> tuple[list[PlacedBox], list[str]]:
    boxes = placed_boxes(info, version)
    inside = [box for box in boxes if lies_in(box.centre_zyx, version.grid.shape_zyx)]
    outside_count = len(boxes) - len(inside)
    message = f"info/{info.file_name}: {outside_count} of {len(boxes)} boxes are outside {version.name}."
    return inside, [message] if outside_count else []


def size_remarks(boxes: Sequence[PlacedBox]) -> list[str]:
    """Return remarks on sets whose tiles differ in size from their boxes."""
    sizes = {(box.set_name, box.size) for box in boxes if tile_edge(box.size) != box.size}
    return [
        f"{name}: boxes of {size} voxels become tiles of {tile_edge(size)}, since networks need multiples of 16."
        for name, size in sorted(sizes)
    ]
