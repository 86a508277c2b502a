"""`tiles` and `annotations`, but for what is drawn."""

import argparse

from tomoseg_tui.cli.common import (
    numbers,
    open_project,
    print_json,
    print_table,
    progress_bar,
    say,
    wants_json,
    write_history,
)
from tomoseg_tui.core.names import base_of
from tomoseg_tui.core.tiles import Place, place_from_id
from tomoseg_tui.errors import UsageError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow import annotating, tiling
from tomoseg_tui.workflow.annotating import Annotated
from tomoseg_tui.workflow.tiling import Placed


def tiles_add(arguments: argparse.Namespace) -> None:
    """Place a tile."""
    project = open_project(arguments)
    x, y, z = numbers(arguments.at, "--at", 3)
    place = Place(arguments.tomogram, z, y, x, arguments.size)
    placed = tiling.place_tiles(project, [tiling.wish(place, arguments.feature, negative=arguments.negative)])
    write_history(arguments, project)
    _say_placed(placed)


def tiles_import(arguments: argparse.Namespace) -> None:
    """Place tiles from a CSV file."""
    project = open_project(arguments)
    placed = tiling.place_tiles(project, tiling.wishes_of_file(arguments.file))
    write_history(arguments, project)
    _say_placed(placed)


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
    rows = [tiling.tile_listing(tile) for tile in catalog.all_tiles(project.layout)]
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
    where = tiling.remove_tiles(project, [place_from_id(tile_id) for tile_id in arguments.ids])
    write_history(arguments, project)
    say(f"{len(set(arguments.ids))} tiles with their annotations are in {where}.")


def annotations_import(arguments: argparse.Namespace) -> None:
    """Import a label volume or a stack of masks."""
    project = open_project(arguments)
    done = _import_volume(arguments, project) if arguments.map else _import_stack(arguments, project)
    write_history(arguments, project)
    for feature in done.new_features:
        say(f"Made the feature {feature}.")
    for remark in done.remarks:
        say(f"Note: {remark}")
    for left in done.left:
        say(f"Left: {left}")
    say(f"{done.annotated} annotations taken, {done.none_here} tiles hold none, {len(done.left)} left as they were.")


def _import_volume(arguments: argparse.Namespace, project: Project) -> Annotated:
    if arguments.feature or arguments.tiles:
        raise UsageError("--map is for label volumes, --feature and --tiles for stacks of masks.", "Say one of them.")
    if not arguments.tomogram:
        raise UsageError("The tomogram of the label volume is not named.", "Name it: --tomogram T")
    labels = annotating.label_map(arguments.map)
    with progress_bar("annotations") as on_progress:
        return annotating.import_label_volume(
            project, arguments.file, arguments.tomogram, labels, replace=arguments.replace, on_progress=on_progress
        )


def _import_stack(arguments: argparse.Namespace, project: Project) -> Annotated:
    if not arguments.feature:
        raise UsageError(
            "It is not said what the file shows.",
            "A label volume: --tomogram T --map 1=F; a stack of masks: --feature F --tomogram T, or --tiles ID...",
        )
    if bool(arguments.tiles) == bool(arguments.tomogram):
        raise UsageError("The tiles of the masks are not named.", "Name --tiles ID... or --tomogram T, one of them.")
    places = (
        [place_from_id(tile_id) for tile_id in arguments.tiles]
        if arguments.tiles
        else [tile.place for tile in catalog.tiles_of(project.layout, arguments.tomogram)]
    )
    return annotating.import_masks(project, arguments.file, arguments.feature, places, replace=arguments.replace)


def annotations_list(arguments: argparse.Namespace) -> None:
    """List what is known of each feature on each tile."""
    project = open_project(arguments)
    rows = annotating.annotation_listing(project)
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
        annotating.set_none_here(project, place, arguments.feature)
    elif annotating.set_done(project, place, arguments.feature) == 0:
        say(f"Note: {place.id} is done for {arguments.feature} without one pixel of it. Was --none meant?")
    write_history(arguments, project)
