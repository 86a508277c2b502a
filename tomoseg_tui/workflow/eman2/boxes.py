"""Read the boxes of one EMAN2 info file as tiles on a tomogram of the project."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.core.names import base_name, name_from_file
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.eman2_info import TomogramInfo, read_info
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.eman2.box_coordinates import VersionChoice, choose_version, placed_boxes, tile_edge
from tomoseg_tui.workflow.eman2.box_sets import Meaning, resolve_meanings
from tomoseg_tui.workflow.eman2.filter_history import Filtering
from tomoseg_tui.workflow.eman2.import_plan import size_remarks
from tomoseg_tui.workflow.eman2.project import Eman2Tomogram
from tomoseg_tui.workflow.tiles.placing import TilePlacement, tile_placement
from tomoseg_tui.workflow.volume_names import find_volume

INFO_SUFFIX = ".json"


@dataclass(frozen=True)
class InfoPlacements:
    """The tiles that an info file describes."""

    placements: tuple[TilePlacement, ...]
    remarks: tuple[str, ...]


def box_set_names(info: TomogramInfo) -> list[str]:
    """Return the names of the sets with boxes, sorted."""
    return sorted({info.sets[box.set_id].name for box in info.boxes})


def placements_from_info(
    project: Project, path: Path, *, tomogram: str | None, declared: Mapping[str, Meaning]
) -> InfoPlacements:
    """Read the boxes of an EMAN2 info file as tiles.

    Parameters
    ----------
    path : Path
        A file named ``NAME_info.json``.
    tomogram : str, optional
        Name of the tomogram; found from the file's name if None.
    declared : mapping
        Meanings of sets; other sets are the feature of their name.

    Raises
    ------
    TomosegError
        If the file is malformed or has no boxes, or if the tomogram or the meaning of a set is not clear.
    """
    info = _info_with_boxes(path)
    meanings = resolve_meanings(box_set_names(info), declared, f"tomoseg tiles import {path}")
    choice = _choose_tomogram(project, path, info, tomogram)
    boxes = [box for box in placed_boxes(info, choice.version) if not meanings[box.set_name].is_ignored]
    placements = tuple(
        tile_placement(
            TileLocation(choice.version.name, *box.centre_zyx, tile_edge(box.size)),
            meanings[box.set_name].feature,
            negative=meanings[box.set_name].negative,
            source=box.source,
        )
        for box in boxes
    )
    return InfoPlacements(placements, (*([choice.remark] if choice.remark else []), *size_remarks(boxes)))


def read_boxes(project: Project, path: Path) -> tuple[dict[str, int], list[str]]:
    """Return the number of boxes per set of an info file, and the project's tomograms, with those of the file first.

    Raises
    ------
    TomosegError
        If the file is malformed or has no boxes, or the project has no tomogram.
    """
    info = _info_with_boxes(path)
    matching, names = matching_tomograms(project, path), catalog.tomogram_names(project.layout)
    if not names:
        raise ProjectError("There is no tomogram yet.", "Import it first, and its boxes afterwards.")
    sets = [info.sets[box.set_id].name for box in info.boxes]
    return {name: sets.count(name) for name in sorted(set(sets))}, sorted(names, key=lambda name: name not in matching)


def _info_with_boxes(path: Path) -> TomogramInfo:
    info = read_info(path)
    if not info.boxes:
        raise ProjectError(f"{path.name} has no boxes.", "Give an info file of a tomogram with boxes.")
    return info


def matching_tomograms(project: Project, path: Path) -> list[str]:
    """Return the tomograms that an info file belongs to by its name."""
    base = name_from_file(path.name.removesuffix(INFO_SUFFIX).removesuffix("_info"))
    return [name for name in catalog.tomogram_names(project.layout) if base_name(name) == base]


def _choose_tomogram(project: Project, path: Path, info: TomogramInfo, named: str | None) -> VersionChoice:
    if named is not None:
        return VersionChoice(_as_eman2_tomogram(project, named))
    names = matching_tomograms(project, path)
    if not names:
        raise ProjectError(f"No tomogram of the project has the name in {path.name}.", "Name it: --tomogram TOMOGRAM")
    versions = [_as_eman2_tomogram(project, name) for name in names]
    return choose_version(
        info, versions, [], preferred_tag=None, version_option=lambda version: f"--tomogram {version.name}"
    )


def _as_eman2_tomogram(project: Project, name: str) -> Eman2Tomogram:
    """Return a tomogram of the project with the voxel size in its file, which EMAN2 used too."""
    record = catalog.load_tomogram(project.layout, name)
    volume = find_volume(project, name)
    with volume.open() as reader:
        return Eman2Tomogram(name, base_name(name), volume.path, reader.grid, Filtering(record.chain))
