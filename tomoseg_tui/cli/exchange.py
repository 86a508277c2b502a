"""`annotations export` and `annotations import`: exchange annotations with other programs."""

import argparse
from dataclasses import asdict

from tomoseg_tui.cli.common import echo, open_project, print_json, progress_bar, wants_json, write_history
from tomoseg_tui.commands.options import request_from
from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.tiles import TileLocation, parse_tile_id
from tomoseg_tui.errors import UsageError
from tomoseg_tui.workflow.annotations.import_annotations import AnnotationResult
from tomoseg_tui.workflow.exchange.export_tiles import TileExportRequest, export_tiles
from tomoseg_tui.workflow.exchange.import_masks import MaskImportRequest, import_masks_from_file


def annotations_export(arguments: argparse.Namespace) -> None:
    """Write tiles or slices with their annotations for other programs."""
    project = open_project(arguments)
    request = request_from(arguments, TileExportRequest, places=_tile_locations(arguments))
    with progress_bar("annotations") as on_progress:
        tile_export = export_tiles(project, request, on_progress)
    if wants_json(arguments):
        print_json(
            {
                "tiles": tile_export.tiles,
                "manifest": str(tile_export.manifest),
                "files": [str(file) for file in tile_export.files],
            }
        )
        return
    for remark in tile_export.remarks:
        echo(f"Note: {remark}")
    for feature, file in tile_export.masks.items():
        echo(f"{feature}: {file}")
    echo(f"Wrote {tile_export.tiles} tiles to {tile_export.image}, and the masks beside it. Import painted masks with:")
    echo(f"  tomoseg annotations import {tile_export.manifest}")


def _tile_locations(arguments: argparse.Namespace) -> tuple[TileLocation, ...]:
    if arguments.tiles and arguments.tomogram:
        raise UsageError("Both --tiles and --tomogram were given.", "Give one of them.")
    return tuple(parse_tile_id(tile_id) for tile_id in arguments.tiles)


def annotations_import(arguments: argparse.Namespace) -> None:
    """Import exported masks, a label volume, or a stack of masks."""
    project = open_project(arguments)
    request = mask_import_request(arguments)
    with progress_bar("annotations") as on_progress:
        result = import_masks_from_file(project, request, on_progress)
    write_history(arguments, project)
    if wants_json(arguments):
        print_json(asdict(result))
        return
    _report_result(result)


def mask_import_request(arguments: argparse.Namespace) -> MaskImportRequest:
    """Return the request for an import of masks.

    Raises
    ------
    UsageError
        If options exclude each other.
    """
    if arguments.labels and arguments.feature:
        raise UsageError(
            "--map gives a feature for each label, --feature one feature for all masks.", "Give one of them."
        )
    labels = parse_label_map(arguments.labels) if arguments.labels else None
    return request_from(arguments, MaskImportRequest, places=_tile_locations(arguments), labels=labels)


def _report_result(result: AnnotationResult) -> None:
    for feature in result.new_features:
        echo(f"Created the feature {feature}.")
    for line in result.interpretations:
        echo(line)
    for remark in result.remarks:
        echo(f"Note: {remark}")
    for skipped in result.skipped:
        echo(f"Skipped: {skipped}")
    plural = "s" * (result.annotated != 1)
    echo(
        f"{result.annotated} annotation{plural} imported, {result.none_here} tiles without the feature, "
        f"{len(result.skipped)} skipped."
    )
