"""`show`, `tiles show` and `networks triples`: pictures in the terminal, or in a file."""

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.canvas.greys import to_grey, window_from_sample
from tomoseg_tui.canvas.overlay import Palette, legend, make_palette
from tomoseg_tui.canvas.renderer import (
    Picture,
    TerminalAnswers,
    choose_renderer,
    colour_depth,
    draw,
    lay_out,
    to_rgb,
)
from tomoseg_tui.cli.common import maybe_project, numbers, open_project, print_json, say, wants_json
from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.tiles import place_from_id
from tomoseg_tui.core.tomogram import Grid
from tomoseg_tui.errors import UsageError
from tomoseg_tui.io import eman_hdf
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.pictures import write_png
from tomoseg_tui.project import catalog
from tomoseg_tui.project.writing import drafted, refuse_existing
from tomoseg_tui.workflow.looking import (
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
PNG_PIXELS = 960
"""Width to which small pictures are enlarged in files, by whole factors."""


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
    _put(arguments, slice_picture(view, palette))
    ny, nx = view.values.shape
    say(f"{view.name}  z {view.z}  {nx} x {ny} pixels (x, y), y upwards")
    _say_legend(palette)


def _show_json(arguments: argparse.Namespace, view: SliceView, palette: Palette) -> None:
    if arguments.output is not None:
        _put(arguments, slice_picture(view, palette))
    counted = {
        str(style.label): {"name": style.name, "letter": style.letter, "pixels": _pixels_of(view, style.label)}
        for style in palette
    }
    print_json({**view.facts, "labels": counted})


def _pixels_of(view: SliceView, label: int) -> int:
    return 0 if view.labels is None else int((view.labels == label).sum())


def slice_picture(view: SliceView, palette: Palette) -> Picture:
    """Return a slice with its labels as a picture."""
    return Picture(_grey(view.values), view.labels, palette)


def _grey(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return to_grey(values, window_from_sample(values))


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
    grey = _grey(view.values)
    return [Picture(grey), Picture(grey, table[view.labels], palette)]


def triples(arguments: argparse.Namespace) -> None:
    """Draw image, annotation and output of the tiles of a run, those first on which they differ most."""
    project = open_project(arguments)
    views = look_at_triples(project, arguments.name, feature=arguments.feature)
    if not views:
        raise UsageError(f"{arguments.name} has no tile that was looked at.", "Train it again.")
    if arguments.output is not None and arguments.output.suffix.lower() in {".hdf", ".mrc"}:
        card = catalog.network(project.layout, arguments.name)
        chosen = views[: arguments.worst] if arguments.worst else views
        _write_stack(arguments.output, chosen, card.voxel_size_angstrom, force=arguments.force)
        say(f"{len(chosen)} triples are in {arguments.output}, three images each.")
        return
    chosen = chosen_triples(views, arguments.worst)
    if wants_json(arguments):
        print_json([_triple_json(view) for view in chosen])
    if not wants_json(arguments) or arguments.output is not None:
        _put(arguments, lay_out([_triple_row(view) for view in chosen]))
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


def _triple_row(view: TripleView) -> list[Picture]:
    annotated = np.where(view.annotation == FEATURE, np.uint8(255), np.uint8(0))
    annotated[view.annotation % 3 == 0] = 96  # not looked at, or ignored: neither white nor black
    output = np.rint(view.output * 255).astype(np.uint8)
    return [Picture(_grey(view.image)), Picture(annotated), Picture(output)]


def _write_stack(path: Path, views: Sequence[TripleView], voxel_size_angstrom: float, *, force: bool) -> None:
    """Write triples in the order of EMAN2's trainout: image, annotation, output, and so on; row 0 first."""
    refuse_existing(path, force=force)
    images = [
        plane for view in views for plane in (view.image, (view.annotation == FEATURE).astype(np.float32), view.output)
    ]
    stack = np.stack(images).astype(np.float32)  # (3 n, y, x)
    with drafted(path) as draft:
        if path.suffix.lower() == ".hdf":
            eman_hdf.write_image_stack(draft, stack, voxel_size_angstrom=voxel_size_angstrom)
        else:
            with MrcWriter(draft, Grid(stack.shape, voxel_size_angstrom), np.dtype(np.float32)) as out:
                out.write_slices(0, stack)


def _put(arguments: argparse.Namespace, picture: Picture) -> None:
    """Draw into the file that is named, else on stdout."""
    if arguments.width is not None and arguments.width < 1:
        raise UsageError(f"--width {arguments.width} is out of range.", "Take 1 column or more.")
    if arguments.output is not None:
        _write_picture(arguments, picture)
        return
    renderer = choose_renderer(arguments.renderer or "auto", os.environ, TerminalAnswers())
    columns = arguments.width or shutil.get_terminal_size((USUAL_COLUMNS, 24)).columns
    text = draw(picture, columns=columns, renderer=renderer, colours=colour_depth(os.environ))
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _write_picture(arguments: argparse.Namespace, picture: Picture) -> None:
    path: Path = arguments.output
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path.name} is no name of a PNG.", "Name a file that ends in .png")
    refuse_existing(path, force=arguments.force)
    with drafted(path) as draft:
        write_png(draft, to_rgb(picture, PNG_PIXELS if picture.grey.shape[1] <= PNG_PIXELS else None))


def _say_legend(palette: Palette) -> None:
    if palette:
        say(legend(palette, colour_depth(os.environ) if sys.stderr.isatty() else "none"))
