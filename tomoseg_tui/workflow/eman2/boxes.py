"""Boxes of one EMAN2 info file as tiles on a tomogram that is in the project already."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.core.names import base_of, name_from_file
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.eman2_info import TomogramInfo, read_info
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.eman2.box_coordinates import Chosen, placed_boxes, tile_edge, version_for_boxes
from tomoseg_tui.workflow.eman2.box_sets import Meaning, meanings_of
from tomoseg_tui.workflow.eman2.filter_history import Filtering
from tomoseg_tui.workflow.eman2.import_plan import size_remarks
from tomoseg_tui.workflow.eman2.project import EmanTomogram
from tomoseg_tui.workflow.tiles.placing import Wish, wish
from tomoseg_tui.workflow.volume_names import find_volume

INFO_SUFFIX = ".json"


@dataclass(frozen=True)
class InfoWishes:
    """What an info file asks for."""

    wishes: tuple[Wish, ...]
    remarks: tuple[str, ...]


def set_names(info: TomogramInfo) -> list[str]:
    """Return the sets that have boxes, by name."""
    return sorted({info.sets[box.set_id].name for box in info.boxes})


def wishes_of_info(project: Project, path: Path, *, tomogram: str | None, told: Mapping[str, Meaning]) -> InfoWishes:
    """Read the boxes of an EMAN2 info file as tiles.

    Parameters
    ----------
    project : Project
    path : Path
        ``NAME_info.json``.
    tomogram : str, optional
        On which tomogram; found by the file's name if None.
    told : mapping
        What sets mean; others are the feature of their name.

    Raises
    ------
    TomosegError
        If the file is malformed, has no boxes, it is not clear on which tomogram, or what a set means.
    """
    info = _info_with_boxes(path)
    meanings = meanings_of(set_names(info), told, f"tomoseg tiles import {path}")
    chosen = _tomogram(project, path, info, tomogram)
    boxes = [box for box in placed_boxes(info, chosen.version) if not meanings[box.set_name].is_left]
    wishes = tuple(
        wish(
            Place(chosen.version.name, *box.centre_zyx, tile_edge(box.size)),
            meanings[box.set_name].feature,
            negative=meanings[box.set_name].negative,
            where=box.where,
        )
        for box in boxes
    )
    return InfoWishes(wishes, (*([chosen.remark] if chosen.remark else []), *size_remarks(boxes)))


def read_boxes(project: Project, path: Path) -> tuple[dict[str, int], list[str]]:
    """Return how many boxes each set of an info file has, and the project's tomograms, its own ones first.

    Raises
    ------
    TomosegError
        If the file is malformed or has no boxes, or the project has no tomogram.
    """
    info = _info_with_boxes(path)
    own, names = candidates(project, path), catalog.tomogram_names(project.layout)
    if not names:
        raise ProjectError("There is no tomogram yet.", "Import it first; then its boxes.")
    sets = [info.sets[box.set_id].name for box in info.boxes]
    return {name: sets.count(name) for name in sorted(set(sets))}, sorted(names, key=lambda name: name not in own)


def _info_with_boxes(path: Path) -> TomogramInfo:
    info = read_info(path)
    if not info.boxes:
        raise ProjectError(f"{path.name} has no boxes.", "Give an info file of a tomogram that was boxed in EMAN2.")
    return info


def candidates(project: Project, path: Path) -> list[str]:
    """Return the tomograms to which an info file belongs by its name."""
    base = name_from_file(path.name.removesuffix(INFO_SUFFIX).removesuffix("_info"))
    return [name for name in catalog.tomogram_names(project.layout) if base_of(name) == base]


def _tomogram(project: Project, path: Path, info: TomogramInfo, named: str | None) -> Chosen:
    if named is not None:
        return Chosen(_version(project, named))
    names = candidates(project, path)
    if not names:
        raise ProjectError(f"No tomogram of the project is called as {path.name} says.", "Name it: --tomogram TOMOGRAM")
    versions = [_version(project, name) for name in names]
    return version_for_boxes(info, versions, [], like=None, say=lambda version: f"--tomogram {version.name}")


def _version(project: Project, name: str) -> EmanTomogram:
    """Return a tomogram of the project with the voxel size that its file says: EMAN2 computed with that."""
    record = catalog.tomogram(project.layout, name)
    volume = find_volume(project, name)
    with volume.open() as reader:
        return EmanTomogram(name, base_of(name), volume.path, reader.grid, Filtering(record.chain))
