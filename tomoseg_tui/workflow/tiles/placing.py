"""Place tiles with the state of a feature on them, and remove tiles."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tomoseg_tui.core.names import ANY_FEATURE, base_name, check_feature_name
from tomoseg_tui.core.tiles import DEFAULT_TILE_SIZE, FeatureState, Tile, TileLocation
from tomoseg_tui.errors import ProjectError, TomosegError, UsageError
from tomoseg_tui.io.coordinates import TileRow, read_tile_rows
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.changes import change_files
from tomoseg_tui.project.paint_locks import require_not_painted
from tomoseg_tui.project.records import StateRecord, TomogramRecord, encode_record, now


@dataclass(frozen=True)
class TilePlacement:
    """One feature, positive or negative, at one location."""

    location: TileLocation
    feature: str
    state: FeatureState
    """WANTED or NONE_HERE."""
    source: str = ""
    """Origin of the placement for messages, such as "line 7 of tiles.csv"."""


@dataclass
class PlacementResult:
    """Result of placing tiles."""

    added: int = 0
    """Number of new states."""
    existing: int = 0
    """Number of states that existed already."""
    new_features: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def tile_placement(location: TileLocation, feature: str, *, negative: bool, source: str = "") -> TilePlacement:
    """Return a placement; `*` can only be negative."""
    if feature == ANY_FEATURE and not negative:
        raise UsageError(
            f"{source or location.id}: feature * stands for all features, so its kind must be negative.",
            "Name a feature, or make the tile negative.",
        )
    if feature != ANY_FEATURE:
        check_feature_name(feature)
    return TilePlacement(location, feature, FeatureState.NONE_HERE if negative else FeatureState.WANTED, source)


def read_tile_placements(path: Path) -> list[TilePlacement]:
    """Read tiles from a CSV file with the header tomogram,x,y,z,feature,kind.

    Raises
    ------
    ProjectError
        If a value is invalid; the message names file, line and column.
    """
    return [_placement_of_row(row, path) for row in read_tile_rows(path)]


def _placement_of_row(row: TileRow, path: Path) -> TilePlacement:
    source = f"line {row.line} of {path.name}"
    try:
        location = TileLocation(row.tomogram, row.z, row.y, row.x, row.size or DEFAULT_TILE_SIZE)
        return tile_placement(location, row.feature, negative=row.kind == "negative", source=source)
    except TomosegError as fault:
        text = fault.fault if source in fault.fault else f"{source}: {fault.fault}"
        raise ProjectError(text, fault.fix) from fault


def place_tiles(project: Project, placements: Sequence[TilePlacement]) -> PlacementResult:
    """Place tiles, all or none.

    Unknown features are added to the project. If there is already a tile at a location, on this version of the tomogram
    or another on the same grid, the feature is added to it.

    Raises
    ------
    ProjectError
        If a tomogram is unknown, a centre is outside it, or a feature is both positive and negative at one location.
    """
    project.require_current_format()
    records = _records(project, placements)
    result, tiles_by_key = PlacementResult(), dict[tuple[object, ...], TileLocation]()
    resolved = [
        _resolve(project, placement, records[placement.location.tomogram], result, tiles_by_key)
        for placement in placements
    ]
    layout = project.layout
    folders = {layout.tile_folder(placement.location) for placement in resolved}
    with change_files(layout, tile_folders=folders) as change:
        _refuse_contradictions(project, resolved)
        features = (placement.feature for placement in resolved if placement.feature != ANY_FEATURE)
        result.new_features = catalog.stage_features(layout, change, features)
        new_states = {}
        for placement in resolved:
            catalog.load_tomogram(layout, placement.location.tomogram)  # it may have been renamed since
            path = layout.tile_state(placement.location, placement.feature)
            if path.exists() or path in new_states:
                result.existing += 1
            else:
                new_states[path] = encode_record(StateRecord(placement.state, now()))
        for path, record in new_states.items():
            change.write(path, record)
        result.added = len(new_states)
    return result


def _records(project: Project, placements: Sequence[TilePlacement]) -> dict[str, TomogramRecord]:
    records: dict[str, TomogramRecord] = {}
    for placement in placements:
        name = placement.location.tomogram
        try:
            records[name] = records.get(name) or catalog.load_tomogram(project.layout, name)
        except ProjectError as fault:
            prefix = _source_prefix(placement)
            raise ProjectError(f"{prefix}{'column tomogram: ' if prefix else ''}{fault.fault}", fault.fix) from fault
    return records


def _source_prefix(placement: TilePlacement) -> str:
    return f"{placement.source}: " if placement.source else ""


def _resolve(
    project: Project,
    placement: TilePlacement,
    record: TomogramRecord,
    result: PlacementResult,
    tiles_by_key: dict[tuple[object, ...], TileLocation],
) -> TilePlacement:
    """Check a placement, and return it for the tile that is already at its location or placed there earlier.

    `tiles_by_key` has the tiles of earlier placements, by location and the versions that share it.
    """
    location, prefix = placement.location, _source_prefix(placement)
    if not location.is_centred_in(record.shape_zyx):
        nz, ny, nx = record.shape_zyx
        column = next(axis for axis, n in (("x", nx), ("y", ny), ("z", nz)) if not 0 <= getattr(location, axis) < n)
        column_prefix = f"{prefix}column {column}: " if prefix.startswith("line ") else prefix
        raise ProjectError(
            f"{column_prefix}the centre x {location.x}, y {location.y}, z {location.z} is outside {location.tomogram}, "
            f"which has x 0-{nx - 1}, y 0-{ny - 1}, z 0-{nz - 1}.",
            "Give voxel coordinates counted from the corner, from 0.",
        )
    if location.exceeds(record.shape_zyx):
        result.remarks.append(
            f"{prefix}{location.id} extends beyond the volume; pixels outside are not used for training."
        )
    grid_key = (base_name(location.tomogram), record.shape_zyx, record.voxel_size_angstrom)
    key = (grid_key, location.z, location.y, location.x, location.size)
    if key not in tiles_by_key:
        existing = catalog.find_tile(project.layout, location)
        tiles_by_key[key] = location if existing is None else existing.location
    return replace(placement, location=tiles_by_key[key])


def _refuse_contradictions(project: Project, placements: Sequence[TilePlacement]) -> None:
    by_key: dict[tuple[TileLocation, str], TilePlacement] = {}
    for placement in placements:
        key = (placement.location, placement.feature)
        state = catalog.tile_at(project.layout, placement.location).states.get(placement.feature)
        earlier = by_key.setdefault(key, placement)
        if (
            state is not None and state.is_positive != placement.state.is_positive
        ) or earlier.state is not placement.state:
            raise ProjectError(
                f"{_source_prefix(placement)}{placement.feature} is both positive and negative at "
                f"{placement.location.id}.",
                f"Choose one; `tomoseg annotations set {placement.location.id} --feature {placement.feature} "
                "--none` "
                "or `tomoseg tiles remove` changes the project.",
            )


def remove_tiles(project: Project, locations: Sequence[TileLocation]) -> Path:
    """Move tiles with their annotations to the trash; return their folder.

    Raises
    ------
    ProjectError
        If there is no tile at one of the locations; nothing is moved then.
    """
    project.require_current_format()
    tiles = [catalog.require_tile(project.layout, location) for location in locations]
    layout, trash_folder = project.layout, project.new_trash_folder()
    places = dict.fromkeys(tile.location for tile in tiles)
    folders = [layout.tile_folder(location) for location in places]
    with change_files(layout, project.entry, tile_folders=folders) as change:
        for location in places:
            catalog.require_tile(layout, location)
            require_not_painted(layout, location)
            change.remove(layout.tile_claim(location))
            change.remove(layout.painting_claim(location))
            for folder in (layout.tile_folder(location), layout.annotation_folder(location)):
                change.move(folder, trash_folder / folder.relative_to(layout.root))
    return trash_folder


def tile_listing(tile: Tile) -> dict[str, object]:
    """Return a tile as printed by `tiles list --json`."""
    location = tile.location
    return {
        "id": location.id,
        "tomogram": location.tomogram,
        "x": location.x,
        "y": location.y,
        "z": location.z,
        "size": location.size,
        "features": {feature: str(state) for feature, state in sorted(tile.states.items())},
    }
