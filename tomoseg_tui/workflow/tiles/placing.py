"""Choose tiles: places in tomograms, and what each feature is there."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from tomoseg_tui.core.names import ANY_FEATURE, base_name, check_feature_name
from tomoseg_tui.core.tiles import DEFAULT_TILE_SIZE, FeatureState, Tile, TileLocation
from tomoseg_tui.errors import ProjectError, TomosegError, UsageError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import create_exclusively
from tomoseg_tui.io.coordinates import TileRow, read_tile_rows
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.paint_locks import require_not_painted
from tomoseg_tui.project.records import StateRecord, TomogramRecord, now


@dataclass(frozen=True)
class TilePlacement:
    """One feature wanted, or said to be absent, at one place."""

    location: TileLocation
    feature: str
    state: FeatureState
    """WANTED or NONE_HERE."""
    source: str = ""
    """Where the wish stands, for messages: "line 7 of tiles.csv"."""


@dataclass
class PlacementResult:
    """What placing tiles did."""

    added: int = 0
    """States that are new."""
    existing: int = 0
    """States that were there already."""
    new_features: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def tile_placement(location: TileLocation, feature: str, *, negative: bool, source: str = "") -> TilePlacement:
    """Return a wish; `*` goes with negative only."""
    if feature == ANY_FEATURE and not negative:
        raise UsageError(
            f"{source or location.id}: feature * means that a tile holds none of any, so its kind must be negative.",
            "Name the feature, or make it negative.",
        )
    if feature != ANY_FEATURE:
        check_feature_name(feature)
    return TilePlacement(location, feature, FeatureState.NONE_HERE if negative else FeatureState.WANTED, source)


def read_tile_placements(path: Path) -> list[TilePlacement]:
    """Read tiles from a CSV file with the header tomogram,x,y,z,feature,kind.

    Raises
    ------
    ProjectError
        Naming file, line and column of whatever is wrong.
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

    A feature that the project does not know yet is made. A place that has a tile already, on this
    version of the tomogram or another of the same grid, gets the feature added.

    Raises
    ------
    ProjectError
        If a tomogram is unknown, a centre lies outside, or a feature is wanted and absent at one place.
    """
    project.require_current_format()
    records = _records(project, placements)
    result, tiles_by_key = PlacementResult(), dict[tuple[object, ...], TileLocation]()
    resolved = [
        _resolve(project, placement, records[placement.location.tomogram], result, tiles_by_key)
        for placement in placements
    ]
    _refuse_contradictions(project, resolved)
    for feature in dict.fromkeys(placement.feature for placement in resolved):
        if feature != ANY_FEATURE and catalog.add_feature(project, feature):
            result.new_features.append(feature)
    for placement in resolved:
        if _write_state(project, placement):
            result.added += 1
        else:
            result.existing += 1
    return result


def _records(project: Project, placements: Sequence[TilePlacement]) -> dict[str, TomogramRecord]:
    records: dict[str, TomogramRecord] = {}
    for placement in placements:
        name = placement.location.tomogram
        try:
            records[name] = records.get(name) or catalog.load_tomogram(project.layout, name)
        except ProjectError as fault:
            raise ProjectError(f"{_source_prefix(placement)}{fault.fault}", fault.fix) from fault
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
    """Check the place and move the wish to the tile that is there, or comes there by an earlier wish.

    `tiles_by_key` keeps what earlier wishes came to, by place and the versions that share it.
    """
    location, prefix = placement.location, _source_prefix(placement)
    if not location.is_centred_in(record.shape_zyx):
        nz, ny, nx = record.shape_zyx
        raise ProjectError(
            f"{prefix}the centre x {location.x}, y {location.y}, z {location.z} lies outside of {location.tomogram}, "
            f"which has x 0-{nx - 1}, y 0-{ny - 1}, z 0-{nz - 1}.",
            "Give voxel coordinates counted from the corner, from 0.",
        )
    if location.exceeds(record.shape_zyx):
        result.remarks.append(f"{prefix}{location.id} sticks out of the volume; what lies outside teaches nothing.")
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
                f"{_source_prefix(placement)}{placement.feature} is said to be both present and absent at "
                f"{placement.location.id}.",
                f"Decide for one; `tomoseg annotations set {placement.location.id} --feature {placement.feature} "
                "--none` "
                "or `tomoseg tiles remove` changes what the project says.",
            )


def _write_state(project: Project, placement: TilePlacement) -> bool:
    layout, location = project.layout, placement.location
    folder = layout.tile_folder(location)
    folder.mkdir(parents=True, exist_ok=True)
    record = StateRecord(placement.state, now())
    try:
        with locks.held(layout.tile_claim(location)):
            return create_exclusively(layout.tile_state(location, placement.feature), state_text(record))
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()  # a full disk has room for a folder; one that holds something stays
        raise


def state_text(record: StateRecord) -> str:
    """Return a state as it stands in its file."""
    return json.dumps(msgspec.to_builtins(record)) + "\n"


def remove_tiles(project: Project, locations: Sequence[TileLocation]) -> Path:
    """Move tiles with their annotations to the trash; return where they are.

    Raises
    ------
    ProjectError
        If there is no tile at one of the places; nothing is moved then.
    """
    project.require_current_format()
    tiles = [catalog.require_tile(project.layout, location) for location in locations]
    unique_places = dict.fromkeys(tile.location for tile in tiles)
    for location in unique_places:
        require_not_painted(project.layout, location)
    with contextlib.ExitStack() as stack:
        for location in unique_places:
            stack.enter_context(locks.held(project.layout.tile_claim(location)))
        trash_folder = project.move_to_trash(
            [entry for location in unique_places for entry in _trash_entries(project, location)]
        )
    for location in unique_places:  # our own claims went along, and perhaps that of one who died painting
        for claim in (project.layout.tile_claim(location), project.layout.painting_claim(location)):
            (trash_folder / "tiles" / location.tomogram / location.folder_name / claim.name).unlink(missing_ok=True)
    return trash_folder


def _trash_entries(project: Project, location: TileLocation) -> list[tuple[Path, str]]:
    name = f"{location.tomogram}/{location.folder_name}"
    layout = project.layout
    return [
        (layout.tile_folder(location), f"tiles/{name}"),
        (layout.annotation_folder(location), f"annotations/{name}"),
    ]


def tile_listing(tile: Tile) -> dict[str, object]:
    """Return a tile as `tiles list --json` prints it."""
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
