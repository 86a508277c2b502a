"""`tiles` and `annotations`, except `tiles show`, and export and import of annotations."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tomoseg_tui.cli.common import (
    damage_of,
    echo,
    open_project,
    print_json,
    print_table,
    wants_json,
    write_history,
)
from tomoseg_tui.core.names import base_name
from tomoseg_tui.core.tiles import Tile, TileLocation, parse_tile_id
from tomoseg_tui.errors import UsageError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import Damage
from tomoseg_tui.workflow.tiles import placing
from tomoseg_tui.workflow.tiles.placing import PlacementResult

if TYPE_CHECKING:
    from tomoseg_tui.workflow.eman2.boxes import InfoPlacements


def tiles_add(arguments: argparse.Namespace) -> None:
    """Place a tile."""
    project = open_project(arguments)
    x, y, z = arguments.at
    location = TileLocation(arguments.tomogram, z, y, x, arguments.size)
    result = placing.place_tiles(
        project, [placing.tile_placement(location, arguments.feature, negative=arguments.negative)]
    )
    write_history(arguments, project)
    _report_result(result)


def tiles_import(arguments: argparse.Namespace) -> None:
    """Place tiles from a CSV file, or from an info file of EMAN2."""
    project = open_project(arguments)
    request = _read_placements(arguments, project)
    result = placing.place_tiles(project, request.placements)
    result.remarks[:0] = request.remarks
    write_history(arguments, project)
    _report_result(result)


def _read_placements(arguments: argparse.Namespace, project: Project) -> "InfoPlacements":
    """Read the tiles from a CSV file or an info file."""
    from tomoseg_tui.workflow.eman2.box_sets import parse_set_map  # a list of tiles needs no numpy
    from tomoseg_tui.workflow.eman2.boxes import INFO_SUFFIX, InfoPlacements, placements_from_info

    if arguments.file.suffix.lower() == INFO_SUFFIX:
        set_map = parse_set_map(arguments.map)
        return placements_from_info(project, arguments.file, tomogram=arguments.tomogram, declared=set_map)
    if arguments.map or arguments.tomogram:
        raise UsageError("--map and --tomogram are for EMAN2's info files, which end in .json.", "Leave them out.")
    return InfoPlacements(tuple(placing.read_tile_placements(arguments.file)), ())


def _report_result(result: PlacementResult) -> None:
    for feature in result.new_features:
        echo(f"Created the feature {feature}.")
    for remark in result.remarks:
        echo(f"Note: {remark}")
    existing_note = f", {result.existing} already existed" if result.existing else ""
    echo(f"{result.added} tile{'s' * (result.added != 1)} placed{existing_note}.")


def tiles_list(arguments: argparse.Namespace) -> None:
    """List the tiles, sorted by tomogram, z, y and x."""
    project = open_project(arguments)
    damage = damage_of(arguments)
    tiles = catalog.all_tiles(project.layout, damage)
    rows = [placing.tile_listing(tile) for tile in tiles]
    if wants_json(arguments):
        print_json(rows)
        return
    for row in rows:
        states = row["features"]
        if isinstance(states, dict):
            row["states"] = ", ".join(f"{feature} {state}" for feature, state in states.items())
    columns = {"id": "tile", "states": "features"}
    print_table(rows, columns, empty="No tile yet. Place one: tomoseg tiles add TOMOGRAM --at X,Y,Z --feature F")
    _echo_unshared_versions(project, tiles, damage)


def _echo_unshared_versions(project: Project, tiles: Sequence[Tile], damage: Damage) -> None:
    """Print which tomograms have no tiles because the tiles of their versions are on another grid."""
    records = catalog.load_tomograms(project.layout, catalog.tomogram_names(project.layout), damage)
    versions: dict[str, dict[str, None]] = {}
    for tile in tiles:
        versions.setdefault(base_name(tile.location.tomogram), {})[tile.location.tomogram] = None
    for name, record in records.items():
        others = [other for other in versions.get(base_name(name), ()) if other in records]
        if others and name not in others and not any(record.shares_tiles_with(records[other]) for other in others):
            echo(f"{name} has no tiles: those of {', '.join(others)} are on another grid.")


def tiles_remove(arguments: argparse.Namespace) -> None:
    """Move tiles to the trash."""
    project = open_project(arguments)
    trash_folder = placing.remove_tiles(project, [parse_tile_id(tile_id) for tile_id in arguments.ids])
    write_history(arguments, project)
    echo(f"Moved {len(set(arguments.ids))} tiles and their annotations to {trash_folder}.")


def annotations_list(arguments: argparse.Namespace) -> None:
    """List the annotations of each tile and feature."""
    from tomoseg_tui.workflow.annotations import import_annotations

    project = open_project(arguments)
    rows = import_annotations.annotation_listing(project, damage_of(arguments))
    if wants_json(arguments):
        print_json(rows)
        return
    for row in rows:
        pixels = row["pixels"]
        row["amount"] = f"{pixels['feature']} px" if isinstance(pixels, dict) else None
    columns = {"tile": "tile", "feature": "feature", "state": "state", "amount": "feature pixels", "source": "from"}
    print_table(rows, columns, empty="No annotation yet. Import some: tomoseg annotations import FILE")


def annotations_set(arguments: argparse.Namespace) -> None:
    """Mark a tile as done, or as containing none of a feature."""
    from tomoseg_tui.workflow.annotations import import_annotations

    project = open_project(arguments)
    location = parse_tile_id(arguments.id)
    if arguments.state == "none":
        import_annotations.set_none_here(project, location, arguments.feature)
        echo(f"{location.id} is marked as containing no {arguments.feature}.")
    else:
        if import_annotations.set_done(project, location, arguments.feature) == 0:
            echo(f"Note: {location.id} has no pixel of {arguments.feature}. Was --none meant?")
        echo(f"{location.id} is marked as done for {arguments.feature}.")
    write_history(arguments, project)
