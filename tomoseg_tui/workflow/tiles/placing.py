"""Choose tiles: places in tomograms, and what each feature is there."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from tomoseg_tui.core.names import ANY_FEATURE, base_of, check_feature_name
from tomoseg_tui.core.tiles import DEFAULT_TILE, FeatureState, Place, Tile
from tomoseg_tui.errors import ProjectError, TomosegError, UsageError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import create_exclusively
from tomoseg_tui.io.coordinates import TileRow, read_tile_rows
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.paint_locks import refuse_painted
from tomoseg_tui.project.records import StateRecord, TomogramRecord, now


@dataclass(frozen=True)
class Wish:
    """One feature wanted, or said to be absent, at one place."""

    place: Place
    feature: str
    state: FeatureState
    """WANTED or NONE_HERE."""
    where: str = ""
    """Where the wish stands, for messages: "line 7 of tiles.csv"."""


@dataclass
class Placed:
    """What placing tiles did."""

    added: int = 0
    """States that are new."""
    known: int = 0
    """States that were there already."""
    new_features: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def wish(place: Place, feature: str, *, negative: bool, where: str = "") -> Wish:
    """Return a wish; `*` goes with negative only."""
    if feature == ANY_FEATURE and not negative:
        raise UsageError(
            f"{where or place.id}: feature * means that a tile holds none of any, so its kind must be negative.",
            "Name the feature, or make it negative.",
        )
    if feature != ANY_FEATURE:
        check_feature_name(feature)
    return Wish(place, feature, FeatureState.NONE_HERE if negative else FeatureState.WANTED, where)


def wishes_of_file(path: Path) -> list[Wish]:
    """Read tiles from a CSV file with the header tomogram,x,y,z,feature,kind.

    Raises
    ------
    ProjectError
        Naming file, line and column of whatever is wrong.
    """
    return [_wish_of_row(row, path) for row in read_tile_rows(path)]


def _wish_of_row(row: TileRow, path: Path) -> Wish:
    where = f"line {row.line} of {path.name}"
    try:
        place = Place(row.tomogram, row.z, row.y, row.x, row.size or DEFAULT_TILE)
        return wish(place, row.feature, negative=row.kind == "negative", where=where)
    except TomosegError as fault:
        text = fault.fault if where in fault.fault else f"{where}: {fault.fault}"
        raise ProjectError(text, fault.fix) from fault


def place_tiles(project: Project, wishes: Sequence[Wish]) -> Placed:
    """Place tiles, all or none.

    A feature that the project does not know yet is made. A place that has a tile already, on this
    version of the tomogram or another of the same grid, gets the feature added.

    Raises
    ------
    ProjectError
        If a tomogram is unknown, a centre lies outside, or a feature is wanted and absent at one place.
    """
    project.refuse_newer()
    records = _records(project, wishes)
    placed, places = Placed(), dict[tuple[object, ...], Place]()
    settled = [_settled(project, wanted, records[wanted.place.tomogram], placed, places) for wanted in wishes]
    _refuse_contradictions(project, settled)
    for feature in dict.fromkeys(wanted.feature for wanted in settled):
        if feature != ANY_FEATURE and catalog.add_feature(project, feature):
            placed.new_features.append(feature)
    for wanted in settled:
        if _write_state(project, wanted):
            placed.added += 1
        else:
            placed.known += 1
    return placed


def _records(project: Project, wishes: Sequence[Wish]) -> dict[str, TomogramRecord]:
    records: dict[str, TomogramRecord] = {}
    for wanted in wishes:
        name = wanted.place.tomogram
        try:
            records[name] = records.get(name) or catalog.tomogram(project.layout, name)
        except ProjectError as fault:
            raise ProjectError(f"{_where(wanted)}{fault.fault}", fault.fix) from fault
    return records


def _where(wanted: Wish) -> str:
    return f"{wanted.where}: " if wanted.where else ""


def _settled(
    project: Project,
    wanted: Wish,
    record: TomogramRecord,
    placed: Placed,
    places: dict[tuple[object, ...], Place],
) -> Wish:
    """Check the place and move the wish to the tile that is there, or comes there by an earlier wish.

    `places` keeps what earlier wishes came to, by place and the versions that share it.
    """
    place, where = wanted.place, _where(wanted)
    if not place.lies_in(record.shape_zyx):
        nz, ny, nx = record.shape_zyx
        raise ProjectError(
            f"{where}the centre x {place.x}, y {place.y}, z {place.z} lies outside of {place.tomogram}, "
            f"which has x 0-{nx - 1}, y 0-{ny - 1}, z 0-{nz - 1}.",
            "Give voxel coordinates counted from the corner, from 0.",
        )
    if place.sticks_out_of(record.shape_zyx):
        placed.remarks.append(f"{where}{place.id} sticks out of the volume; what lies outside teaches nothing.")
    shared = (base_of(place.tomogram), record.shape_zyx, record.voxel_size_angstrom)
    key = (shared, place.z, place.y, place.x, place.size)
    if key not in places:
        existing = catalog.find_tile(project.layout, place)
        places[key] = place if existing is None else existing.place
    return replace(wanted, place=places[key])


def _refuse_contradictions(project: Project, wishes: Sequence[Wish]) -> None:
    said: dict[tuple[Place, str], Wish] = {}
    for wanted in wishes:
        key = (wanted.place, wanted.feature)
        known = catalog.tile_at(project.layout, wanted.place).states.get(wanted.feature)
        earlier = said.setdefault(key, wanted)
        if (known is not None and known.is_positive != wanted.state.is_positive) or earlier.state is not wanted.state:
            raise ProjectError(
                f"{_where(wanted)}{wanted.feature} is said to be both present and absent at {wanted.place.id}.",
                f"Decide for one; `tomoseg annotations set {wanted.place.id} --feature {wanted.feature} --none` "
                "or `tomoseg tiles remove` changes what the project says.",
            )


def _write_state(project: Project, wanted: Wish) -> bool:
    layout, place = project.layout, wanted.place
    folder = layout.tile_folder(place)
    folder.mkdir(parents=True, exist_ok=True)
    record = StateRecord(wanted.state, now())
    try:
        with locks.holding(layout.tile_claim(place)):
            return create_exclusively(layout.tile_state(place, wanted.feature), state_text(record))
    except OSError:
        with contextlib.suppress(OSError):
            folder.rmdir()  # a full disk has room for a folder; one that holds something stays
        raise


def state_text(record: StateRecord) -> str:
    """Return a state as it stands in its file."""
    return json.dumps(msgspec.to_builtins(record)) + "\n"


def remove_tiles(project: Project, places: Sequence[Place]) -> Path:
    """Move tiles with their annotations to the trash; return where they are.

    Raises
    ------
    ProjectError
        If there is no tile at one of the places; nothing is moved then.
    """
    project.refuse_newer()
    tiles = [catalog.require_tile(project.layout, place) for place in places]
    found = dict.fromkeys(tile.place for tile in tiles)
    for place in found:
        refuse_painted(project.layout, place)
    with contextlib.ExitStack() as held:
        for place in found:
            held.enter_context(locks.holding(project.layout.tile_claim(place)))
        where = project.trash([thing for place in found for thing in _things_of(project, place)])
    for place in found:  # our own claims went along, and perhaps that of one who died painting
        for claim in (project.layout.tile_claim(place), project.layout.painting_claim(place)):
            (where / "tiles" / place.tomogram / place.folder_name / claim.name).unlink(missing_ok=True)
    return where


def _things_of(project: Project, place: Place) -> list[tuple[Path, str]]:
    name = f"{place.tomogram}/{place.folder_name}"
    layout = project.layout
    return [(layout.tile_folder(place), f"tiles/{name}"), (layout.annotation_folder(place), f"annotations/{name}")]


def tile_listing(tile: Tile) -> dict[str, object]:
    """Return a tile as `tiles list --json` prints it."""
    place = tile.place
    return {
        "id": place.id,
        "tomogram": place.tomogram,
        "x": place.x,
        "y": place.y,
        "z": place.z,
        "size": place.size,
        "features": {feature: str(state) for feature, state in sorted(tile.states.items())},
    }
