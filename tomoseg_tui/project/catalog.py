"""List and read the tomograms, tiles, annotations, networks, maps and labels of a project by name."""

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tomoseg_tui.core.names import base_name, check_feature_name
from tomoseg_tui.core.tiles import Tile, TileLocation, location_from_folder
from tomoseg_tui.errors import NotAProjectError, ProjectError
from tomoseg_tui.files.text import require_utf8
from tomoseg_tui.project import changes
from tomoseg_tui.project.history import HistoryEntry
from tomoseg_tui.project.layout import FOLDERS, ProjectLayout, find_project, sidecar_of
from tomoseg_tui.project.project_settings import ProjectSettings, encode_settings, read_settings, write_settings
from tomoseg_tui.project.records import (
    AuditReport,
    Damage,
    LabelSidecar,
    MapSidecar,
    NetworkCard,
    TomogramRecord,
    read_each,
    read_record,
    read_states,
)


@dataclass(frozen=True)
class Project:
    """An open project: its paths and its settings."""

    layout: ProjectLayout
    settings: ProjectSettings
    entry: HistoryEntry | None = None
    """The running command, if a change of several files is to write it into the history."""

    @classmethod
    def open(cls, folder: Path) -> "Project":
        """Open the project in a folder.

        Raises
        ------
        NotAProjectError
            If the folder is not a project.
        UsageError
            If its name is not UTF-8.
        """
        layout = ProjectLayout(folder.absolute())
        require_utf8(str(layout.root))
        changes.finish_if_possible(layout)
        return cls(layout, read_settings(layout.settings))

    @classmethod
    def find_enclosing(cls, folder: Path) -> "Project":
        """Open the project of a folder: the folder itself or its nearest parent that is a project."""
        root = find_project(folder)
        if root is None:
            raise NotAProjectError(
                f"{folder} is not in a tomoseg project.", "Create one: tomoseg init DIR; or name one: --project DIR."
            )
        return cls.open(root)

    def require_current_format(self) -> None:
        """Raise an error if the project has a newer format, which this version can only read; called before writing."""
        if self.settings.is_newer:
            raise ProjectError(
                f"{self.layout.root} has format {self.settings.format} of a newer tomoseg; it can only be read.",
                "Install a newer tomoseg to change it.",
            )
        changes.begin_writing(self.layout)

    def new_trash_folder(self) -> Path:
        """Return the path of a new folder in the trash, named by the time."""
        return self.layout.trash / f"{datetime.now(UTC):%Y%m%dT%H%M%S}_{secrets.token_hex(4)}"


def make_project(folder: Path) -> Project:
    """Make a folder a project.

    Raises
    ------
    ProjectError
        If it is already a project, is inside another, or cannot be written.
    """
    layout = ProjectLayout(folder.absolute())
    require_utf8(str(layout.root))
    if layout.settings.exists():
        raise ProjectError(f"{folder} is already a project.", f"Open it: tomoseg {folder}")
    outer = find_project(layout.root)
    if outer is not None:
        raise ProjectError(f"{folder} is inside the project {outer}.", "Choose a folder outside it.")
    try:
        for folder_name in FOLDERS:
            (layout.root / folder_name).mkdir(parents=True, exist_ok=True)
        write_settings(layout.settings, ProjectSettings())
    except OSError as fault:
        raise ProjectError(f"{folder} cannot be made a project: {fault.strerror}.", "Choose another folder.") from fault
    return Project.open(layout.root)


def add_feature(project: Project, name: str, *, entry: HistoryEntry | None = None) -> bool:
    """Add a feature unless it exists; return whether it was added. `entry` is the command, if it does only this."""
    check_feature_name(name)
    if name in project.settings.features:
        return False
    with changes.change_files(project.layout, entry) as change:
        return bool(stage_features(project.layout, change, [name]))


def stage_features(layout: ProjectLayout, change: changes.Change, names: Iterable[str]) -> list[str]:
    """Add features to the project as a part of a change; return those that are new."""
    settings = read_settings(layout.settings)
    new = [check_feature_name(name) for name in dict.fromkeys(names) if name not in settings.features]
    if new:
        change.write(layout.settings, encode_settings(replace(settings, features=(*settings.features, *new))))
    return new


def require_feature(project: Project, name: str) -> str:
    """Return the name of an existing feature; raise ProjectError if the project has no such feature."""
    features = read_settings(project.layout.settings).features
    if name not in features:
        existing = ", ".join(features) or "none yet"
        raise ProjectError(
            f"There is no feature {name!r} (there are: {existing}).", f"Add it: tomoseg features add {name}"
        )
    return name


def tomogram_names(layout: ProjectLayout, base: str | None = None) -> list[str]:
    """Return the names of all tomograms, or of all versions of one, sorted."""
    try:
        names = os.listdir(layout.tomograms)  # noqa: PTH208  # for many tomograms, Paths take long
    except FileNotFoundError:
        return []
    return sorted(
        name
        for name in names
        if base in {None, base_name(name)} and name[0] != "." and layout.tomogram_record(name).exists()
    )


def load_tomogram(layout: ProjectLayout, name: str) -> TomogramRecord:
    """Return the record of a tomogram.

    Raises
    ------
    ProjectError
        If there is no such tomogram.
    """
    path = layout.tomogram_record(name)
    if "/" in name or not path.is_file():
        existing = ", ".join(tomogram_names(layout)) or "none yet"
        raise ProjectError(f"There is no tomogram {name!r} (there are: {existing}).", "Import it: tomoseg import FILE")
    return read_record(path, TomogramRecord)


def load_tomograms(
    layout: ProjectLayout, names: Iterable[str], damage: Damage | None = None
) -> dict[str, TomogramRecord]:
    """Return the records of several tomograms by name."""
    return dict(read_each(names, lambda name: load_tomogram(layout, name), damage))


def volume_path(layout: ProjectLayout, name: str, record: TomogramRecord) -> Path:
    """Return the path of a tomogram's volume; raise ProjectError if the file is missing."""
    path = layout.tomogram_folder(name) / record.file  # that of a link is absolute and stands for itself
    try:
        path.stat()
    except OSError as fault:
        state = "is missing" if isinstance(fault, FileNotFoundError) else f"cannot be reached ({fault.strerror})"
        fix = "Restore the file from a backup."
        if record.linked:
            fix = f"Bring it or its disk back, or name its new place: tomoseg tomograms refresh {name} --file FILE"
        raise ProjectError(f"The file of tomogram {name} {state}: {path}.", fix) from fault
    return path


def versions_sharing_tiles(layout: ProjectLayout, name: str, damage: Damage | None = None) -> list[str]:
    """Return the versions of a tomogram, `name` among them, on which its tiles have the same positions."""
    record = load_tomogram(layout, name)
    records = load_tomograms(layout, tomogram_names(layout, base_name(name)), damage)
    return [other for other in records if other == name or record.shares_tiles_with(records[other])]


def tile_locations(layout: ProjectLayout, version: str) -> list[TileLocation]:
    """Return the locations that have a folder on one version, by z, y, x; a folder without states is no tile."""
    try:
        names = os.listdir(layout.tiles / version)  # noqa: PTH208  # for ten thousand tiles, Paths take long
    except (FileNotFoundError, NotADirectoryError):
        return []
    locations = (location_from_folder(version, name) for name in names)
    return sorted(location for location in locations if location is not None)


def tiles_on(layout: ProjectLayout, version: str, damage: Damage | None = None) -> list[Tile]:
    """Return the tiles placed on one version, by z, y, x."""
    tiles = (tile_at(layout, location, damage) for location in tile_locations(layout, version))
    return [tile for tile in tiles if tile.states]


def tiles_of(layout: ProjectLayout, name: str, damage: Damage | None = None) -> list[Tile]:
    """Return the tiles that a tomogram shares with its versions on the same grid."""
    versions = versions_sharing_tiles(layout, name, damage)
    shared = (tile for version in versions for tile in tiles_on(layout, version, damage))
    return sorted(shared, key=lambda tile: tile.location)


def share_tiles(
    records: Mapping[str, TomogramRecord], placed: Mapping[str, Sequence[Tile]]
) -> dict[str, tuple[Tile, ...]]:
    """Return the tiles of each tomogram, by z, y, x: those placed on it, and on its versions on the same grid."""
    families: dict[str, list[str]] = {}
    for name in records:
        families.setdefault(base_name(name), []).append(name)
    shared = {}
    for name, record in records.items():
        versions = [
            other
            for other in families[base_name(name)]
            if placed[other] and (other == name or record.shares_tiles_with(records[other]))
        ]
        tiles = (tile for version in versions for tile in placed[version])
        shared[name] = tuple(sorted(tiles, key=lambda tile: tile.location) if len(versions) > 1 else tiles)
    return shared


def all_tiles(layout: ProjectLayout, damage: Damage | None = None) -> list[Tile]:
    """Return all tiles of the project, by tomogram, then z, y, x."""
    return [tile for name in tomogram_names(layout) for tile in tiles_on(layout, name, damage)]


def tile_at(layout: ProjectLayout, location: TileLocation, damage: Damage | None = None) -> Tile:
    """Return the tile at a location; without states if there is none."""
    states = {feature: record.state for feature, record in read_states(layout, location, damage).items()}
    return Tile(location, states)


def find_tile(layout: ProjectLayout, location: TileLocation) -> Tile | None:
    """Return the tile at a location, also if it was placed on another version on the same grid; None without one."""
    for version in versions_sharing_tiles(layout, location.tomogram):
        tile = tile_at(layout, TileLocation(version, location.z, location.y, location.x, location.size))
        if tile.states:
            return tile
    return None


def require_tile(layout: ProjectLayout, location: TileLocation) -> Tile:
    """Return the tile at a location.

    Raises
    ------
    ProjectError
        If there is none.
    """
    tile = find_tile(layout, location)
    if tile is None:
        raise ProjectError(f"There is no tile {location.id}.", "List the tiles: tomoseg tiles list")
    return tile


def network_names(layout: ProjectLayout) -> list[str]:
    """Return the names of all runs with a usable network, sorted."""
    return sorted(card.parent.name for card in layout.networks.glob("[!.]*/card.json"))


def load_network_card(layout: ProjectLayout, run: str) -> NetworkCard:
    """Return the card of a run.

    Raises
    ------
    ProjectError
        If there is no such run, or it has no usable network yet.
    """
    path = layout.network_card(run)
    if "/" in run or not path.is_file():
        if "/" not in run and layout.network_folder(run).is_dir():
            raise ProjectError(f"The run {run} has no finished epoch yet.", "Wait for it, or resume its job.")
        existing = ", ".join(network_names(layout)) or "none yet"
        raise ProjectError(
            f"There is no network {run!r} (there are: {existing}).", "Train one: tomoseg train --feature F"
        )
    return read_record(path, NetworkCard)


def audit_names(layout: ProjectLayout) -> list[str]:
    """Return the names of all finished audits, sorted."""
    return sorted(report.parent.name for report in layout.audits.glob("[!.]*/audit.json"))


def load_audit_report(layout: ProjectLayout, name: str) -> AuditReport:
    """Return the report of an audit.

    Raises
    ------
    ProjectError
        If there is no such audit, or it is not finished.
    """
    path = layout.audit_report(name)
    if "/" in name or not path.is_file():
        if "/" not in name and layout.audit_folder(name).is_dir():
            raise ProjectError(f"The audit {name} is not finished.", "Wait for it, or resume its job.")
        existing = ", ".join(audit_names(layout)) or "none yet"
        raise ProjectError(f"There is no audit {name!r} (there are: {existing}).", "Run one: tomoseg audit --feature F")
    return read_record(path, AuditReport)


def maps_of(layout: ProjectLayout, name: str, damage: Damage | None = None) -> Iterator[tuple[Path, MapSidecar]]:
    """Return the finished maps of a tomogram with their sidecars, by file name."""
    paths = (path for path in sorted((layout.maps / name).glob("[!.]*.mrc")) if sidecar_of(path).is_file())
    return read_each(paths, lambda path: read_record(sidecar_of(path), MapSidecar), damage)


def labels_of(layout: ProjectLayout, name: str, damage: Damage | None = None) -> Iterator[tuple[Path, LabelSidecar]]:
    """Return the finished label volumes of a tomogram with their sidecars, by file name."""
    paths = (path for path in sorted((layout.labels / name).glob("[!.]*.mrc")) if sidecar_of(path).is_file())
    return read_each(paths, lambda path: read_record(sidecar_of(path), LabelSidecar), damage)


def free_name(folder: Path, features: Sequence[str], trainset: str | None) -> str:
    """Return a name that nothing in a folder has yet: features or training set, and a number."""
    stem = (trainset or "_".join(features))[:90]
    number = 1
    while (folder / f"{stem}_{number}").exists():
        number += 1
    return f"{stem}_{number}"
