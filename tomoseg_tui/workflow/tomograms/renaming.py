"""Rename a feature or a tomogram in all files of the project, or remove a tomogram."""

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from tomoseg_tui.core.names import check_feature_name, check_name
from tomoseg_tui.core.tiles import Tile
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import draft_path
from tomoseg_tui.project import catalog, stroke_log
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.changes import Change, change_files
from tomoseg_tui.project.layout import ProjectLayout, sidecar_of
from tomoseg_tui.project.paint_locks import require_not_painted
from tomoseg_tui.project.project_settings import encode_settings, read_settings
from tomoseg_tui.project.records import encode_record

Value = TypeVar("Value")


def rename_feature(project: Project, old: str, new: str) -> None:
    """Rename a feature in everything but the history and the jobs, which say what was done.

    Raises
    ------
    ProjectError
        If there is no such feature, the new name is in use, or a job is running.
    """
    project.require_current_format()
    check_feature_name(new)
    catalog.require_feature(project, old)
    layout = project.layout
    with change_files(layout, project.entry, tile_folders=layout.tiles.glob("*/*/")) as change:
        settings = read_settings(layout.settings)
        if new in settings.features:
            raise ProjectError(f"There is a feature {new} already.", "Choose another name.")
        require_no_running_jobs(layout)
        for tile in catalog.all_tiles(layout):
            _rename_in_tile(change, layout, tile, old, new)
        feature = _FeatureNames(old, new)
        for rename in (
            _rename_in_trainsets,
            _rename_in_triples,
            _rename_in_networks,
            _rename_in_audits,
            _rename_in_results,
        ):
            rename(change, layout, feature)
        change.write(layout.settings, encode_settings(replace(settings, features=feature.names(settings.features))))


def _rename_in_tile(change: Change, layout: ProjectLayout, tile: Tile, old: str, new: str) -> None:
    """Take the old mark away first, and put the new one last: a mark without its layer would be wrong."""
    require_not_painted(layout, tile.location)
    log_path = layout.stroke_log(tile.location)
    log = stroke_log.read_stroke_log(log_path)
    if log is not None and any(entry.feature == old for entry in log.entries):
        draft = change.draft_for(log_path)
        shutil.copyfile(log_path, draft)
        stroke_log.append_event(draft, stroke_log.RENAMED, old, new)
    old_state, new_state = layout.tile_state(tile.location, old), layout.tile_state(tile.location, new)
    hidden_state = draft_path(new_state)
    change.move(old_state, hidden_state)
    change.move(layout.annotation(tile.location, old), layout.annotation(tile.location, new))
    change.move(hidden_state, new_state)


@dataclass(frozen=True)
class _FeatureNames:
    """The old and the new name of a feature."""

    old: str
    new: str

    def name(self, name: str) -> str:
        return self.new if name == self.old else name

    def names(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(self.name, names))

    def keys(self, values: Mapping[str, Value]) -> dict[str, Value]:
        return {self.name(name): value for name, value in values.items()}

    def text(self, text: str) -> str:
        """Return a sentence with the new name where it has the old one as a word."""
        return re.sub(rf"(?<![\w.-]){re.escape(self.old)}(?![\w-]|\.\w)", self.new, text)

    def texts(self, texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(self.text, texts))


def _rename_in_trainsets(change: Change, layout: ProjectLayout, feature: _FeatureNames) -> None:
    from tomoseg_tui.io.trainset_file import read_summary, replace_summary  # noqa: PLC0415  # HDF5

    run_trainsets = [*layout.networks.glob("*/trainset.h5"), *layout.audits.glob("*/trainset.h5")]
    for path in [*layout.trainsets.glob("[!.]*.h5"), *run_trainsets]:
        summary = read_summary(path)
        if feature.old in summary.features:
            draft = change.draft_for(path)
            shutil.copyfile(path, draft)
            renamed = msgspec.structs.replace(
                summary,
                features=feature.names(summary.features),
                positive=feature.keys(summary.positive),
                negative=feature.keys(summary.negative),
                held_out_reason=feature.text(summary.held_out_reason),
                notes=feature.texts(summary.notes),
            )
            replace_summary(draft, renamed)


def _rename_in_triples(change: Change, layout: ProjectLayout, feature: _FeatureNames) -> None:
    from tomoseg_tui.io.triples_file import read_triples, write_triples  # noqa: PLC0415  # HDF5

    for path in [*layout.networks.glob("*/triples.h5"), *layout.audits.glob("*/triples.h5")]:
        triples = read_triples(path)
        if feature.old in triples.features:
            write_triples(change.draft_for(path), replace(triples, features=feature.names(triples.features)))


def _rename_in_networks(change: Change, layout: ProjectLayout, feature: _FeatureNames) -> None:
    for run in catalog.network_names(layout):
        card = catalog.load_network_card(layout, run)
        if feature.old in card.features:
            counts = card.tile_counts
            renamed = msgspec.structs.replace(
                card,
                features=feature.keys(card.features),
                tile_counts=msgspec.structs.replace(
                    counts, positive=feature.keys(counts.positive), negative=feature.keys(counts.negative)
                ),
                notes=feature.texts(card.notes),
            )
            change.write(layout.network_card(run), encode_record(renamed))


def _rename_in_audits(change: Change, layout: ProjectLayout, feature: _FeatureNames) -> None:
    for name in catalog.audit_names(layout):
        report = catalog.load_audit_report(layout, name)
        if feature.old in report.features:
            tiles = tuple(
                msgspec.structs.replace(tile, feature=feature.name(tile.feature), reasons=feature.texts(tile.reasons))
                for tile in report.tiles
            )
            features, notes = feature.names(report.features), feature.texts(report.notes)
            renamed = msgspec.structs.replace(report, features=features, tiles=tiles, notes=notes)
            change.write(layout.audit_report(name), encode_record(renamed))


def _rename_in_results(change: Change, layout: ProjectLayout, feature: _FeatureNames) -> None:
    for tomogram in catalog.tomogram_names(layout):
        for path, sidecar in catalog.maps_of(layout, tomogram):
            if sidecar.feature == feature.old:
                target = layout.map_file(tomogram, sidecar.run, feature.new)
                if target.exists() or sidecar_of(target).exists():
                    raise ProjectError(
                        f"{target} exists already: with dots in names, two maps can have the same file name.",
                        "Choose another name.",
                    )
                change.write(sidecar_of(target), encode_record(msgspec.structs.replace(sidecar, feature=feature.new)))
                change.move(path, target)
                change.remove(sidecar_of(path))
        for path, volume in catalog.labels_of(layout, tomogram):
            runs = {entry.run for entry in volume.labels.values() if entry.feature == feature.old}
            if runs:
                labels = {
                    number: msgspec.structs.replace(entry, feature=feature.name(entry.feature))
                    for number, entry in volume.labels.items()
                }
                map_names = {f"{run}.{feature.old}": f"{run}.{feature.new}" for run in runs}
                maps = {map_names.get(name, name): digest for name, digest in volume.maps.items()}
                renamed = msgspec.structs.replace(volume, labels=labels, maps=maps)
                change.write(sidecar_of(path), encode_record(renamed))


def require_no_running_jobs(layout: ProjectLayout) -> None:
    """Raise an error if a running job may be writing."""
    running = [claim.parent.name for claim in layout.jobs.glob("*/claim.json") if locks.is_held(claim)]
    if running:
        raise ProjectError(f"Job {running[0]} is running.", f"Wait for it, or stop it: tomoseg jobs stop {running[0]}")


def _require_unused(layout: ProjectLayout, tomogram: str) -> None:
    """Raise an error if a job is running, or a tile of the tomogram is being painted."""
    require_no_running_jobs(layout)
    for tile in catalog.tiles_on(layout, tomogram):
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
    layout = project.layout
    catalog.load_tomogram(layout, old)
    with change_files(layout, project.entry, tile_folders=(layout.tiles / old).glob("*/")) as change:
        record = catalog.load_tomogram(layout, old)
        _require_unused(layout, old)
        folder_pairs = list(zip(_tomogram_folders(layout, old), _tomogram_folders(layout, new), strict=True))
        if any(target.exists() for _, target in folder_pairs):
            raise ProjectError(f"The name {new} is taken.", "Choose another name.")
        for source, target in reversed(folder_pairs):
            change.move(source, target)
        if not record.linked:
            folder, file = layout.tomogram_folder(new), f"{new}{Path(record.file).suffix}"
            change.move(folder / record.file, folder / file)
            change.write(layout.tomogram_record(new), encode_record(msgspec.structs.replace(record, file=file)))
        for path, sidecar in [*catalog.maps_of(layout, old), *catalog.labels_of(layout, old)]:
            renamed = msgspec.structs.replace(sidecar, tomogram=new)
            change.write(sidecar_of(path.parent.with_name(new) / path.name), encode_record(renamed))


def remove_tomogram(project: Project, name: str) -> Path:
    """Move a tomogram with its tiles, annotations, maps and labels to the trash; a linked file is not moved.

    Returns
    -------
    Path
        The folder in the trash.
    """
    project.require_current_format()
    layout, trash_folder = project.layout, project.new_trash_folder()
    catalog.load_tomogram(layout, name)
    with change_files(layout, project.entry, tile_folders=(layout.tiles / name).glob("*/")) as change:
        catalog.load_tomogram(layout, name)
        _require_unused(layout, name)
        for folder in _tomogram_folders(layout, name):
            change.move(folder, trash_folder / folder.parent.name / name)
    return trash_folder
