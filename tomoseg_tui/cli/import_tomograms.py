"""`import`: import tomograms; `cli.eman2` imports EMAN2 projects."""

import argparse

from tomoseg_tui.cli.common import echo, open_project, print_json, progress_bar, wants_json, write_history
from tomoseg_tui.cli.tomograms import format_shape, tomogram_listing
from tomoseg_tui.commands.options import request_from
from tomoseg_tui.errors import UsageError
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes


def import_files(arguments: argparse.Namespace) -> None:
    """Import tomograms, or an EMAN2 project."""
    if arguments.folder is not None:
        from tomoseg_tui.cli.eman2 import run_eman2_import  # few users need it

        run_eman2_import(arguments)
        return
    _check_options(arguments)
    project = open_project(arguments)
    request = request_from(arguments, ImportRequest)
    with progress_bar("import") as on_progress:
        imported = import_volumes(project, arguments.files, request, on_progress)
    write_history(arguments, project)
    for tomogram in imported:
        for remark in tomogram.remarks:
            echo(f"Note: {remark}")
        record = tomogram.record
        echo(
            f"{tomogram.name}: {format_shape(record.shape_zyx)} voxels (z, y, x), {record.voxel_size_angstrom:g} "
            "Å/voxel, "
            f"protein {record.polarity}, {record.type}{', linked' if record.linked else ''}."
        )
    if wants_json(arguments):
        print_json([tomogram_listing(project, tomogram.name) for tomogram in imported])


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse a command without files, and options that need --eman2."""
    if not arguments.files:
        raise UsageError("No file and no EMAN2 project was given.", "See tomoseg import --help")
    if arguments.list or arguments.map or arguments.version is not None:
        raise UsageError("--list, --map and --version are for an EMAN2 project.", "Give the project: --eman2 DIR")
