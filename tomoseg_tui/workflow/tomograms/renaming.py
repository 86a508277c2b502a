"""Rename a feature or a tomogram in all files of the project, or remove a tomogram."""

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
from tomoseg_tui.project.paint_locks import require_not_painted
from tomoseg_tui.project.project_settings import read_settings, write_settings
from tomoseg_tui.project.records import write_record


def rename_feature(project: Project, old: str, new: str) -> None:
    """Rename a feature in settings, tiles, annotations, training sets, cards, audits, maps and label volumes.

    The settings are written last, so that an interrupted rename can be repeated.

    Raises
    ------
    ProjectError
        If there is no such feature, the new name is in use, or a job is running.
    """
    project.require_current_format()
    check_feature_name(new)
    catalog.require_feature(project, old)
    _require_no_running_jobs(project.layout)
    with locks.held(project.layout.settings_claim):
        settings = read_settings(project.layout.settings)
        if new in settings.features:
            raise ProjectError(f"There is a feature {new} already.", "Choose another name.")
        _require_none_painted(project.layout, catalog.all_tiles(project.layout))
        _rename_in_tiles(project.layout, old, new)
        from tomoseg_tui.io.trainset_file import rename_trainset_feature as rename_in_training_set  # noqa: PLC0415  # HDF5

        run_trainsets = [*project.layout.networks.glob("*/trainset.h5"), *project.layout.audits.glob("*/trainset.h5")]
        for path in [*project.layout.trainsets.glob("[!.]*.h5"), *run_trainsets]:
            rename_in_training_set(path, old, new)
        _rename_in_networks(project.layout, old, new)
        _rename_in_audits(project.layout, old, new)
        _rename_in_results(project.layout, old, new)
        names = tuple(new if name == old else name for name in settings.features)
        write_settings(project.layout.settings, replace(settings, features=names))


def _rename_in_tiles(layout: ProjectLayout, old: str, new: str) -> None:
    for tile in catalog.all_tiles(layout):
        pairs = [
            (layout.tile_state(tile.location, old), layout.tile_state(tile.location, new)),
            (layout.annotation(tile.location, old), layout.annotation(tile.location, new)),
        ]
        with locks.held(layout.tile_claim(tile.location)):
            require_not_painted(layout, tile.location)
            _rename_in_stroke_log(layout.stroke_log(tile.location), old, new)
            for source, target in pairs:
                if source.exists():
                    source.rename(target)


def _rename_in_stroke_log(strokes: Path, old: str, new: str) -> None:
    """Rename the feature in the stroke log, unless an interrupted rename has done so."""
    log = stroke_log.read_stroke_log(strokes)
    if log is not None and any(line.feature == old for line in log.entries):
        stroke_log.append_event(strokes, stroke_log.RENAMED, old, new)


def _rename_in_networks(layout: ProjectLayout, old: str, new: str) -> None:
    for run in catalog.network_names(layout):
        card = catalog.load_network_card(layout, run)
        if old in card.features:
            features = {new if name == old else name: score for name, score in card.features.items()}
            write_record(layout.network_card(run), msgspec.structs.replace(card, features=features))


def _rename_in_audits(layout: ProjectLayout, old: str, new: str) -> None:
    for name in catalog.audit_names(layout):
        report = catalog.load_audit_report(layout, name)
        if old in report.features:
            features = tuple(new if feature == old else feature for feature in report.features)
            tiles = tuple(
                msgspec.structs.replace(tile, feature=new) if tile.feature == old else tile for tile in report.tiles
            )
            write_record(layout.audit_report(name), msgspec.structs.replace(report, features=features, tiles=tiles))


def _rename_in_results(layout: ProjectLayout, old: str, new: str) -> None:
    for tomogram in catalog.tomogram_names(layout):
        for path, sidecar in list(catalog.maps_of(layout, tomogram)):
            if sidecar.feature == old:
                target = layout.map_file(tomogram, sidecar.run, new)
                path.rename(target)
                sidecar_of(path).unlink()
                write_record(sidecar_of(target), msgspec.structs.replace(sidecar, feature=new))
        for path, labels in list(catalog.labels_of(layout, tomogram)):
            entries = {
                number: msgspec.structs.replace(entry, feature=new) if entry.feature == old else entry
                for number, entry in labels.labels.items()
            }
            write_record(sidecar_of(path), msgspec.structs.replace(labels, labels=entries))


def _require_no_running_jobs(layout: ProjectLayout) -> None:
    """Raise an error if a running job may be writing."""
    running = [claim.parent.name for claim in layout.jobs.glob("*/claim.json") if locks.is_held(claim)]
    if running:
        raise ProjectError(f"Job {running[0]} is running.", f"Wait for it, or stop it: tomoseg jobs stop {running[0]}")


def _require_none_painted(layout: ProjectLayout, tiles: Sequence[Tile]) -> None:
    """Raise an error if a tile is being painted."""
    for tile in tiles:
        require_not_painted(layout, tile.location)


def _tomogram_folders(layout: ProjectLayout, name: str) -> list[Path]:
    parents = (layout.tomograms, layout.tiles, layout.annotations, layout.maps, layout.labels)
    return [parent / name for parent in parents]


def rename_tomogram(project: Project, old: str, new: str) -> None:
    """Rename a tomogram with its tiles, annotations, maps and label volumes.

    Raises
    ------
    ProjectError
        If there is no such tomogram, the new name is in use, or a job is running.
    """
    project.require_current_format()
    check_name(new, "tomogram")
    record = catalog.load_tomogram(project.layout, old)
    _require_no_running_jobs(project.layout)
    _require_none_painted(project.layout, catalog.tiles_on(project.layout, old))
    existing = [folder for folder in _tomogram_folders(project.layout, new) if folder.exists()]
    if existing:
        raise ProjectError(f"The name {new} is taken.", "Choose another name.")
    if not record.linked:
        folder = project.layout.tomogram_folder(old)
        file = f"{new}{Path(record.file).suffix}"
        (folder / record.file).rename(folder / file)
        write_record(project.layout.tomogram_record(old), msgspec.structs.replace(record, file=file))
    folder_pairs = zip(_tomogram_folders(project.layout, old), _tomogram_folders(project.layout, new), strict=True)
    for source, target in reversed(list(folder_pairs)):
        if source.exists():
            source.rename(target)
    for path, sidecar in list(catalog.maps_of(project.layout, new)):
        write_record(sidecar_of(path), msgspec.structs.replace(sidecar, tomogram=new))
    for path, labels in list(catalog.labels_of(project.layout, new)):
        write_record(sidecar_of(path), msgspec.structs.replace(labels, tomogram=new))


def remove_tomogram(project: Project, name: str) -> Path:
    """Move a tomogram with its tiles, annotations, maps and labels to the trash; a linked file is not moved.

    Returns
    -------
    Path
        The folder in the trash.
    """
    project.require_current_format()
    catalog.load_tomogram(project.layout, name)
    _require_no_running_jobs(project.layout)
    _require_none_painted(project.layout, catalog.tiles_on(project.layout, name))
    folders = _tomogram_folders(project.layout, name)
    return project.move_to_trash([(folder, f"{folder.parent.name}/{name}") for folder in folders])
