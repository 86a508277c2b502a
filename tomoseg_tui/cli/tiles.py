"""`tiles` and `annotations`, but for what is drawn and what goes to other tools."""

import argparse

from tomoseg_tui.cli.common import (
    numbers,
    open_project,
    print_json,
    print_table,
    say,
    wants_json,
    write_history,
)
from tomoseg_tui.core.names import base_of
from tomoseg_tui.core.tiles import Place, place_from_id
from tomoseg_tui.errors import UsageError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations import import_annotations
from tomoseg_tui.workflow.eman2.box_sets import read_set_map
from tomoseg_tui.workflow.eman2.boxes import INFO_SUFFIX, InfoWishes, wishes_of_info
from tomoseg_tui.workflow.tiles import placing
from tomoseg_tui.workflow.tiles.placing import Placed


def tiles_add(arguments: argparse.Namespace) -> None:
    """Place a tile."""
    project = open_project(arguments)
    x, y, z = numbers(arguments.at, "--at", 3)
    place = Place(arguments.tomogram, z, y, x, arguments.size)
    placed = placing.place_tiles(project, [placing.wish(place, arguments.feature, negative=arguments.negative)])
    write_history(arguments, project)
    _say_placed(placed)


def tiles_import(arguments: argparse.Namespace) -> None:
    """Place tiles from a CSV file, or from an info file of EMAN2."""
    project = open_project(arguments)
    asked = _asked_by(arguments, project)
    placed = placing.place_tiles(project, asked.wishes)
    placed.remarks[:0] = asked.remarks
    write_history(arguments, project)
    _say_placed(placed)


def _asked_by(arguments: argparse.Namespace, project: Project) -> InfoWishes:
    """Read the file."""
    if arguments.file.suffix.lower() == INFO_SUFFIX:
        told = read_set_map(arguments.map)
        return wishes_of_info(project, arguments.file, tomogram=arguments.tomogram, told=told)
    if arguments.map or arguments.tomogram:
        raise UsageError("--map and --tomogram are for info files of EMAN2, which end in .json.", "Leave them out.")
    return InfoWishes(tuple(placing.wishes_of_file(arguments.file)), ())


def _say_placed(placed: Placed) -> None:
    for feature in placed.new_features:
        say(f"Made the feature {feature}.")
    for remark in placed.remarks:
        say(f"Note: {remark}")
    known = f", {placed.known} were there already" if placed.known else ""
    say(f"{placed.added} placed{known}.")


def tiles_list(arguments: argparse.Namespace) -> None:
    """List the tiles, by tomogram, then z, y, x."""
    project = open_project(arguments)
    rows = [placing.tile_listing(tile) for tile in catalog.all_tiles(project.layout)]
    if wants_json(arguments):
        print_json(rows)
        return
    for row in rows:
        states = row["features"]
        if isinstance(states, dict):
            row["states"] = ", ".join(f"{feature} {state}" for feature, state in states.items())
    columns = {"id": "tile", "states": "features"}
    print_table(rows, columns, empty="No tile yet. Place one: tomoseg tiles add TOMOGRAM --at X,Y,Z --feature F")
    _say_where_versions_share(project)


def _say_where_versions_share(project: Project) -> None:
    """Tell which versions of a tomogram do not see tiles that were placed on another binning."""
    names = catalog.tomogram_names(project.layout)
    for name in names:
        if catalog.tiles_of(project.layout, name):
            continue
        elsewhere = [
            n for n in names if n != name and base_of(n) == base_of(name) and catalog.tiles_on(project.layout, n)
        ]
        if elsewhere:
            say(f"{name} has no tiles: those of {', '.join(elsewhere)} are on another grid.")


def tiles_remove(arguments: argparse.Namespace) -> None:
    """Move tiles to the trash."""
    project = open_project(arguments)
    where = placing.remove_tiles(project, [place_from_id(tile_id) for tile_id in arguments.ids])
    write_history(arguments, project)
    say(f"{len(set(arguments.ids))} tiles with their annotations are in {where}.")


def annotations_list(arguments: argparse.Namespace) -> None:
    """List what is known of each feature on each tile."""
    project = open_project(arguments)
    rows = import_annotations.annotation_listing(project)
    if wants_json(arguments):
        print_json(rows)
        return
    for row in rows:
        pixels = row["pixels"]
        row["amount"] = f"{pixels['feature']} px" if isinstance(pixels, dict) else None
    columns = {"tile": "tile", "feature": "feature", "state": "state", "amount": "feature pixels", "source": "from"}
    print_table(rows, columns, empty="No annotation yet. Import some: tomoseg annotations import FILE")


def annotations_set(arguments: argparse.Namespace) -> None:
    """Say that a tile is done, or holds none of a feature."""
    project = open_project(arguments)
    place = place_from_id(arguments.id)
    if arguments.none:
        import_annotations.set_none_here(project, place, arguments.feature)
    elif import_annotations.set_done(project, place, arguments.feature) == 0:
        say(f"Note: {place.id} is done for {arguments.feature} without one pixel of it. Was --none meant?")
    write_history(arguments, project)
