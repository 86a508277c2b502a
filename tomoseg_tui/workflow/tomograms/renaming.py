"""Give a feature or a tomogram another name wherever the project speaks of it, or take a tomogram away."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from tomoseg_tui.core.names import check_feature_name, check_name
from tomoseg_tui.core.tiles import Tile
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files import locks
from tomoseg_tui.project import catalog, stroke_log
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout, sidecar_of
from tomoseg_tui.project.paint_locks import refuse_painted
from tomoseg_tui.project.project_settings import read_settings, write_settings
from tomoseg_tui.project.records import write_record


def rename_feature(project: Project, old: str, new: str) -> None:
    """Rename a feature in settings, tiles, annotations, training sets, cards, audits, maps and label volumes.

    The settings come last: a rename that was cut short is finished by saying it again.

    Raises
    ------
    ProjectError
        If there is no such feature, the new name is taken, or a job is running.
    """
    project.refuse_newer()
    check_feature_name(new)
    catalog.require_feature(project, old)
    _refuse_running_jobs(project.layout)
    with locks.holding(project.layout.settings_claim):
        settings = read_settings(project.layout.settings)
        if new in settings.features:
            raise ProjectError(f"There is a feature {new} already.", "Choose another name.")
        _refuse_painted(project.layout, catalog.all_tiles(project.layout))
        _rename_in_tiles(project.layout, old, new)
        from tomoseg_tui.io.trainset_file import rename_feature as rename_in_training_set  # noqa: PLC0415  # HDF5

        own = [*project.layout.networks.glob("*/trainset.h5"), *project.layout.audits.glob("*/trainset.h5")]
        for path in [*project.layout.trainsets.glob("[!.]*.h5"), *own]:
            rename_in_training_set(path, old, new)
        _rename_in_networks(project.layout, old, new)
        _rename_in_audits(project.layout, old, new)
        _rename_in_results(project.layout, old, new)
        names = tuple(new if name == old else name for name in settings.features)
        write_settings(project.layout.settings, replace(settings, features=names))


def _rename_in_tiles(layout: ProjectLayout, old: str, new: str) -> None:
    for tile in catalog.all_tiles(layout):
        pairs = [
            (layout.tile_state(tile.place, old), layout.tile_state(tile.place, new)),
            (layout.annotation(tile.place, old), layout.annotation(tile.place, new)),
        ]
        with locks.holding(layout.tile_claim(tile.place)):
            refuse_painted(layout, tile.place)
            _rename_in_journal(layout.strokes(tile.place), old, new)
            for source, target in pairs:
                if source.exists():
                    source.rename(target)


def _rename_in_journal(strokes: Path, old: str, new: str) -> None:
    """Let what was painted be of the new name; a rename that was cut short has perhaps done so already."""
    known = stroke_log.read_journal(strokes)
    if known is not None and any(line.feature == old for line in known.lines):
        stroke_log.note(strokes, stroke_log.RENAMED, old, new)


def _rename_in_networks(layout: ProjectLayout, old: str, new: str) -> None:
    for run in catalog.network_names(layout):
        card = catalog.network(layout, run)
        if old in card.features:
            features = {new if name == old else name: score for name, score in card.features.items()}
            write_record(layout.network_card(run), msgspec.structs.replace(card, features=features))


def _rename_in_audits(layout: ProjectLayout, old: str, new: str) -> None:
    for name in catalog.audit_names(layout):
        report = catalog.audit(layout, name)
        if old in report.features:
            features = tuple(new if feature == old else feature for feature in report.features)
            tiles = tuple(
                msgspec.structs.replace(tile, feature=new) if tile.feature == old else tile for tile in report.tiles
            )
            write_record(layout.audit_report(name), msgspec.structs.replace(report, features=features, tiles=tiles))


def _rename_in_results(layout: ProjectLayout, old: str, new: str) -> None:
    for tomogram in catalog.tomogram_names(layout):
        for path, made in list(catalog.maps_of(layout, tomogram)):
            if made.feature == old:
                target = layout.map_file(tomogram, made.run, new)
                path.rename(target)
                sidecar_of(path).unlink()
                write_record(sidecar_of(target), msgspec.structs.replace(made, feature=new))
        for path, labels in list(catalog.labels_of(layout, tomogram)):
            entries = {
                number: msgspec.structs.replace(entry, feature=new) if entry.feature == old else entry
                for number, entry in labels.labels.items()
            }
            write_record(sidecar_of(path), msgspec.structs.replace(labels, labels=entries))


def _refuse_running_jobs(layout: ProjectLayout) -> None:
    """Refuse to move what a living job may be writing."""
    held = [claim.parent.name for claim in layout.jobs.glob("*/claim.json") if locks.is_held(claim)]
    if held:
        raise ProjectError(f"Job {held[0]} is running.", f"Wait for it, or stop it: tomoseg jobs stop {held[0]}")


def _refuse_painted(layout: ProjectLayout, tiles: Sequence[Tile]) -> None:
    """Refuse to move what somebody paints."""
    for tile in tiles:
        refuse_painted(layout, tile.place)


def _rooms_of(layout: ProjectLayout, name: str) -> list[Path]:
    rooms = (layout.tomograms, layout.tiles, layout.annotations, layout.maps, layout.labels)
    return [room / name for room in rooms]


def rename_tomogram(project: Project, old: str, new: str) -> None:
    """Rename a tomogram with its tiles, annotations, maps and label volumes.

    Raises
    ------
    ProjectError
        If there is no such tomogram, the new name is taken, or a job is running.
    """
    project.refuse_newer()
    check_name(new, "tomogram")
    record = catalog.tomogram(project.layout, old)
    _refuse_running_jobs(project.layout)
    _refuse_painted(project.layout, catalog.tiles_on(project.layout, old))
    taken = [folder for folder in _rooms_of(project.layout, new) if folder.exists()]
    if taken:
        raise ProjectError(f"The name {new} is taken.", "Choose another.")
    if not record.linked:
        folder = project.layout.tomogram_folder(old)
        file = f"{new}{Path(record.file).suffix}"
        (folder / record.file).rename(folder / file)
        write_record(project.layout.tomogram_record(old), msgspec.structs.replace(record, file=file))
    rooms = zip(_rooms_of(project.layout, old), _rooms_of(project.layout, new), strict=True)
    for source, target in reversed(list(rooms)):
        if source.exists():
            source.rename(target)
    for path, made in list(catalog.maps_of(project.layout, new)):
        write_record(sidecar_of(path), msgspec.structs.replace(made, tomogram=new))
    for path, labels in list(catalog.labels_of(project.layout, new)):
        write_record(sidecar_of(path), msgspec.structs.replace(labels, tomogram=new))


def remove_tomogram(project: Project, name: str) -> Path:
    """Move a tomogram with all that belongs to it to the trash; a linked file stays where it is.

    Returns
    -------
    Path
        Where everything is now.
    """
    project.refuse_newer()
    catalog.tomogram(project.layout, name)
    _refuse_running_jobs(project.layout)
    _refuse_painted(project.layout, catalog.tiles_on(project.layout, name))
    folders = _rooms_of(project.layout, name)
    return project.trash([(folder, f"{folder.parent.name}/{name}") for folder in folders])
