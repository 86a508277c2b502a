"""`show`, `tiles show`, `networks triples`, and what audits draw: pictures in the terminal, or in a file."""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from tomoseg_tui.cli.common import maybe_project, numbers, open_project, print_json, say, wants_json
from tomoseg_tui.core.tiles import place_from_id
from tomoseg_tui.errors import UsageError
from tomoseg_tui.render.figures import picture_of_slice, pictures_of_triple, rgb_for_file
from tomoseg_tui.render.overlay import Palette, legend, make_palette
from tomoseg_tui.render.renderer import (
    Picture,
    TerminalAnswers,
    choose_renderer,
    colour_depth,
    draw,
    lay_out,
)
from tomoseg_tui.workflow.export import export_png, export_triples
from tomoseg_tui.workflow.views import (
    SliceView,
    TileView,
    TripleView,
    chosen_triples,
    look_at_slice,
    look_at_tile,
    look_at_triples,
)

USUAL_COLUMNS = 80
"""Width where no terminal tells its own."""


def show(arguments: argparse.Namespace) -> None:
    """Draw a slice."""
    at = numbers(arguments.at, "--at", 3) if arguments.at else None
    view = look_at_slice(
        maybe_project(arguments),
        arguments.name,
        z=arguments.z,
        at_xyz=None if at is None else (at[0], at[1], at[2]),
        labels=arguments.labels,
    )
    palette = make_palette(view.label_names)
    if wants_json(arguments):
        _show_json(arguments, view, palette)
        return
    _put(arguments, picture_of_slice(view.values, view.labels, palette))
    ny, nx = view.values.shape
    say(f"{view.name}  z {view.z}  {nx} x {ny} pixels (x, y), y upwards")
    _say_legend(palette)


def _show_json(arguments: argparse.Namespace, view: SliceView, palette: Palette) -> None:
    if arguments.output is not None:
        _put(arguments, picture_of_slice(view.values, view.labels, palette))
    counted = {
        str(style.label): {"name": style.name, "letter": style.letter, "pixels": _pixels_of(view, style.label)}
        for style in palette
    }
    print_json({**view.facts, "labels": counted})


def _pixels_of(view: SliceView, label: int) -> int:
    return 0 if view.labels is None else int((view.labels == label).sum())


def tiles_show(arguments: argparse.Namespace) -> None:
    """Draw tiles, each beside its annotation."""
    project = open_project(arguments)
    views = [look_at_tile(project, place_from_id(tile_id)) for tile_id in arguments.ids]
    if wants_json(arguments):
        print_json([{"id": view.place.id, "features": dict(view.states)} for view in views])
        if arguments.output is None:
            return
    palette = make_palette(dict(enumerate(project.settings.features, start=1)))
    _put(arguments, lay_out([_tile_row(view, palette, project.settings.features) for view in views]))
    for view in views:
        say(f"{view.place.id}  {', '.join(f'{feature}: {state}' for feature, state in view.states.items())}")
    _say_legend(palette)


def _tile_row(view: TileView, palette: Palette, features: Sequence[str]) -> list[Picture]:
    """Return a tile alone, and with its annotation; labels numbered as in the project."""
    table = np.zeros(256, np.uint8)
    for number, feature in enumerate(view.features, start=1):
        table[number] = list(features).index(feature) + 1
    return [picture_of_slice(view.values), picture_of_slice(view.values, table[view.labels], palette)]


def triples(arguments: argparse.Namespace) -> None:
    """Draw image, annotation and output of the tiles of a run, those first on which they differ most."""
    project = open_project(arguments)
    views = look_at_triples(project, arguments.name, feature=arguments.feature)
    if not views:
        raise UsageError(f"{arguments.name} has no tile that was looked at.", "Train it again.")
    if arguments.output is not None and arguments.output.suffix.lower() in {".hdf", ".mrc"}:
        chosen = views[: arguments.worst] if arguments.worst else views
        export_triples(project, arguments.name, chosen, arguments.output, force=arguments.force)
        say(f"{len(chosen)} triples are in {arguments.output}, three images each.")
        return
    chosen = chosen_triples(views, arguments.worst)
    if wants_json(arguments):
        print_json([_triple_json(view) for view in chosen])
    if not wants_json(arguments) or arguments.output is not None:
        draw_triples(arguments, chosen)
    for number, view in enumerate(chosen, start=1):
        kind = "held out" if view.held_out else "trained on"
        say(f"{number}  {view.tile}  {view.feature}  Dice {view.dice:.2f}, {view.wrong} pixels differ, {kind}")
    say("From left to right: image, annotation, output; the third should look like the second.")


def _triple_json(view: TripleView) -> Mapping[str, object]:
    return {
        "tile": view.tile,
        "feature": view.feature,
        "held_out": view.held_out,
        "dice": view.dice,
        "pixels_that_differ": view.wrong,
    }


def draw_triples(arguments: argparse.Namespace, views: Sequence[TripleView]) -> None:
    """Draw image, annotation and output of tiles, a row each."""
    _put(arguments, lay_out([pictures_of_triple(view.image, view.annotation, view.output) for view in views]))


def _put(arguments: argparse.Namespace, picture: Picture) -> None:
    """Draw into the file that is named, else on stdout."""
    if arguments.width is not None and arguments.width < 1:
        raise UsageError(f"--width {arguments.width} is out of range.", "Take 1 column or more.")
    if arguments.output is not None:
        export_png(rgb_for_file(picture), arguments.output, force=arguments.force)
        return
    renderer = choose_renderer(arguments.renderer or "auto", os.environ, TerminalAnswers())
    columns = arguments.width or shutil.get_terminal_size((USUAL_COLUMNS, 24)).columns
    text = draw(picture, columns=columns, renderer=renderer, colours=colour_depth(os.environ))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _say_legend(palette: Palette) -> None:
    if palette:
        say(legend(palette, colour_depth(os.environ) if sys.stderr.isatty() else "none"))
