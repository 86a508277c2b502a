"""`annotations export` and `annotations import`: to other tools and back."""

import argparse
from typing import get_args

from tomoseg_tui.cli.common import open_project, print_json, progress_bar, say, wants_json, write_history
from tomoseg_tui.core.tiles import Place, place_from_id
from tomoseg_tui.errors import UsageError
from tomoseg_tui.workflow.annotations.import_annotations import Annotated, label_map
from tomoseg_tui.workflow.exchange.export_formats import Form
from tomoseg_tui.workflow.exchange.export_tiles import LoanWish, lend
from tomoseg_tui.workflow.exchange.import_masks import MaskImport, take_masks


def annotations_export(arguments: argparse.Namespace) -> None:
    """Write tiles or slices with their annotations for other tools."""
    project = open_project(arguments)
    wish = LoanWish(
        arguments.output,
        next((form for form in get_args(Form) if form == arguments.form), None),
        tuple(arguments.feature),
        _places(arguments),
        arguments.tomogram,
        arguments.slab,
        arguments.force,
    )
    with progress_bar("annotations") as on_progress:
        loan = lend(project, wish, on_progress)
    if wants_json(arguments):
        print_json({"tiles": loan.tiles, "manifest": str(loan.manifest), "files": [str(file) for file in loan.files]})
        return
    for remark in loan.remarks:
        say(f"Note: {remark}")
    for feature, file in loan.masks.items():
        say(f"{feature}: {file}")
    say(f"{loan.tiles} tiles are in {loan.image}, the masks beside it. Painted there, they come back by:")
    say(f"  tomoseg annotations import {loan.manifest}")


def _places(arguments: argparse.Namespace) -> tuple[Place, ...]:
    if arguments.tiles and arguments.tomogram:
        raise UsageError("--tiles and --tomogram are both named.", "Name one of them.")
    return tuple(place_from_id(tile_id) for tile_id in arguments.tiles or ())


def annotations_import(arguments: argparse.Namespace) -> None:
    """Import what was exported, a label volume, or a stack of masks."""
    project = open_project(arguments)
    if arguments.map and arguments.feature:
        raise UsageError("--map names the features of values, --feature the one of all masks.", "Say one of them.")
    if arguments.tiles and arguments.tomogram:
        raise UsageError("The tiles of the masks are named twice.", "Name --tiles ID... or --tomogram T, one of them.")
    wish = MaskImport(
        arguments.file,
        arguments.tomogram,
        _places(arguments),
        arguments.feature,
        label_map(arguments.map) if arguments.map else None,
        arguments.manifest,
        arguments.image,
        arguments.replace,
    )
    with progress_bar("annotations") as on_progress:
        done = take_masks(project, wish, on_progress)
    write_history(arguments, project)
    _say_annotated(done)


def _say_annotated(done: Annotated) -> None:
    for feature in done.new_features:
        say(f"Made the feature {feature}.")
    for remark in done.remarks:
        say(f"Note: {remark}")
    for left in done.left:
        say(f"Left: {left}")
    say(f"{done.annotated} annotations taken, {done.none_here} tiles hold none, {len(done.left)} left as they were.")
