"""`show`, `tiles show`, `networks triples` and the images of audits: drawn in the terminal or to a file."""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from tomoseg_tui.cli.common import echo, open_project, open_project_if_any, print_json, wants_json
from tomoseg_tui.core.tiles import parse_tile_id
from tomoseg_tui.errors import UsageError
from tomoseg_tui.files.text import unfiltered
from tomoseg_tui.render.colours import Palette, legend, make_palette
from tomoseg_tui.render.figures import enlarge_for_file, render_slice, render_triple
from tomoseg_tui.render.renderer import (
    GraphicsSupport,
    Picture,
    arrange_pictures,
    choose_renderer,
    colour_depth,
    render_picture,
)
from tomoseg_tui.workflow.export import export_png, export_triples
from tomoseg_tui.workflow.views import (
    SliceView,
    TileView,
    TripleView,
    load_slice_view,
    load_tile_view,
    load_triples,
    select_triples,
)

DEFAULT_COLUMNS = 80
"""Width if the output is not a terminal."""


def show(arguments: argparse.Namespace) -> None:
    """Draw a slice."""
    view = load_slice_view(
        open_project_if_any(arguments),
        arguments.name,
        z=arguments.z,
        at_xyz=arguments.at,
        labels=arguments.labels,
        slab=arguments.slab,
        smooth=arguments.smooth,
    )
    palette = make_palette(view.label_names)
    if wants_json(arguments):
        _print_slice_json(arguments, view, palette)
        return
    _output_picture(arguments, render_slice(view.values, view.labels, palette))
    if view.properties["changed"]:
        echo(f"Note: {view.properties['changed']}")
    ny, nx = view.values.shape
    averaged = f", mean of {view.properties['slab']}" if arguments.slab > 1 else ""
    smoothed = f", smoothed by {arguments.smooth:g} voxels" if arguments.smooth else ""
    echo(f"{view.name}  z {view.z}{averaged}{smoothed}  {nx} x {ny} pixels (x, y), y upwards")
    _echo_legend(palette)


def _print_slice_json(arguments: argparse.Namespace, view: SliceView, palette: Palette) -> None:
    if arguments.output is not None:
        _output_picture(arguments, render_slice(view.values, view.labels, palette))
    counted = {
        str(style.label): {"name": style.name, "letter": style.letter, "pixels": _count_pixels(view, style.label)}
        for style in palette
    }
    print_json({**view.properties, "labels": counted})


def _count_pixels(view: SliceView, label: int) -> int:
    return 0 if view.labels is None else int((view.labels == label).sum())


def tiles_show(arguments: argparse.Namespace) -> None:
    """Draw tiles, each beside its annotation."""
    project = open_project(arguments)
    views = [load_tile_view(project, parse_tile_id(tile_id)) for tile_id in arguments.ids]
    if wants_json(arguments):
        print_json([{"id": view.location.id, "features": dict(view.states)} for view in views])
        if arguments.output is None:
            return
    palette = make_palette(dict(enumerate(project.settings.features, start=1)))
    _output_picture(
        arguments, arrange_pictures([_tile_row(view, palette, project.settings.features) for view in views])
    )
    for view in views:
        echo(f"{view.location.id}  {', '.join(f'{feature}: {state}' for feature, state in view.states.items())}")
    _echo_legend(palette)


def _tile_row(view: TileView, palette: Palette, features: Sequence[str]) -> list[Picture]:
    """Return the image of a tile without and with its annotation; labels are numbered as in the project."""
    table = np.zeros(256, np.uint8)
    for number, feature in enumerate(view.features, start=1):
        table[number] = list(features).index(feature) + 1
    return [render_slice(view.values), render_slice(view.values, table[view.labels], palette)]


def networks_triples(arguments: argparse.Namespace) -> None:
    """Draw image, annotation and output of the tiles of a run, those with the largest difference first."""
    project = open_project(arguments)
    views = load_triples(project, arguments.name, feature=arguments.feature)
    if not views:
        raise UsageError(f"{arguments.name} has no annotated tiles.", "Train it again.")
    if arguments.output is not None and arguments.output.suffix.lower() in {".hdf", ".mrc"}:
        chosen = views[: arguments.worst] if arguments.worst else views
        export_triples(project, arguments.name, chosen, arguments.output, force=arguments.force)
        echo(f"Wrote {len(chosen)} triples to {arguments.output}, three images each.")
        return
    chosen = select_triples(views, arguments.worst)
    if wants_json(arguments):
        print_json([_triple_json(view) for view in chosen])
    if not wants_json(arguments) or arguments.output is not None:
        draw_triples(arguments, chosen)
    for number, view in enumerate(chosen, start=1):
        kind = "held out" if view.held_out else "trained on"
        echo(f"{number}  {view.tile}  {view.feature}  Dice {view.dice:.2f}, {view.wrong_pixels} pixels differ, {kind}")
    echo("From left to right: image, annotation, output. Output and annotation should be similar.")


def _triple_json(view: TripleView) -> Mapping[str, object]:
    return {
        "tile": view.tile,
        "feature": view.feature,
        "held_out": view.held_out,
        "dice": view.dice,
        "pixels_that_differ": view.wrong_pixels,
    }


def draw_triples(arguments: argparse.Namespace, views: Sequence[TripleView]) -> None:
    """Draw image, annotation and output of each tile in a row."""
    _output_picture(
        arguments, arrange_pictures([render_triple(view.image, view.annotation, view.output) for view in views])
    )


def _output_picture(arguments: argparse.Namespace, picture: Picture) -> None:
    """Draw to the file of --output, or to stdout."""
    if arguments.output is not None:
        export_png(enlarge_for_file(picture), arguments.output, force=arguments.force)
        return
    renderer = choose_renderer(arguments.renderer or "auto", os.environ, GraphicsSupport())
    columns = arguments.width or shutil.get_terminal_size((DEFAULT_COLUMNS, 24)).columns
    text = render_picture(picture, columns=columns, renderer=renderer, colours=colour_depth(os.environ))
    print(text, file=unfiltered(sys.stdout), flush=True)


def _echo_legend(palette: Palette) -> None:
    if palette:
        text = legend(palette, colour_depth(os.environ) if sys.stderr.isatty() else "none")
        print(text, file=unfiltered(sys.stderr))
