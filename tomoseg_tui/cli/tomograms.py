"""`import`, `preprocess` and `tomograms`."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from tomoseg_tui.cli.common import (
    damage_of,
    echo,
    open_project,
    print_json,
    print_table,
    progress_bar,
    wants_json,
    write_history,
)
from tomoseg_tui.commands.options import request_from
from tomoseg_tui.core.tiles import Tile
from tomoseg_tui.errors import ChangedFileError, TomosegError, UsageError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import find_tomogram_change
from tomoseg_tui.project.records import Damage, TomogramRecord, format_filter_chain
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes


def format_shape(shape_zyx: tuple[int, int, int]) -> str:
    """Return a shape for people."""
    return " x ".join(str(length) for length in shape_zyx)


def _tomogram_listing(
    project: Project, name: str, record: TomogramRecord, tiles: Sequence[Tile], damage: Damage | None = None
) -> dict[str, Any]:
    """Return a tomogram as `tomograms --json` prints it."""
    layout = project.layout
    path = layout.tomogram_folder(name) / record.file  # the file of a link is absolute, which replaces the folder
    return {
        "name": name,
        "shape_zyx": list(record.shape_zyx),
        "voxel_size_angstrom": record.voxel_size_angstrom,
        "origin_angstrom": list(record.origin_xyz_angstrom),
        "nstart": list(record.nstart_xyz),
        "polarity": record.polarity,
        "type": record.type,
        "tiles": len(tiles),
        "maps": sum(1 for _ in catalog.maps_of(layout, name, damage)),
        "labels": sum(1 for _ in catalog.labels_of(layout, name, damage)),
        "path": str(path),
        "linked": record.linked,
        "mean": record.mean,
        "sigma": record.sigma,
        "preprocessing": msgspec.to_builtins(record.chain),
        "preprocessing_angstrom": list(record.chain_angstrom),
        "binned": record.binned,
        "made_from": record.made_from,
        "imported": record.imported,
        "changed": _find_change(project, name, record) or None,
    }


def _find_change(project: Project, name: str, record: TomogramRecord) -> str:
    """Return what is wrong with a tomogram's file, as a sentence; empty if nothing is."""
    try:
        return find_tomogram_change(project.layout, name, record)[1]
    except TomosegError as error:
        return error.fault


def tomograms_list(arguments: argparse.Namespace) -> None:
    """List the tomograms."""
    project = open_project(arguments)
    layout, damage = project.layout, damage_of(arguments)
    records = catalog.load_tomograms(layout, catalog.tomogram_names(layout), damage)
    tiles = catalog.share_tiles(records, {name: catalog.tiles_on(layout, name, damage) for name in records})
    rows = [_tomogram_listing(project, name, record, tiles[name], damage) for name, record in records.items()]
    if wants_json(arguments):
        print_json(rows)
        return
    for row in rows:
        row["shape"] = format_shape(tuple(row["shape_zyx"]))
        row["filters"] = format_filter_chain(records[row["name"]].chain)
        row["voxel"] = f"{row['voxel_size_angstrom']:g}"
    columns = {
        "name": "tomogram", "shape": "z x y x x", "voxel": "Å/voxel", "polarity": "protein",
        "tiles": "tiles", "maps": "maps", "filters": "filters", "type": "type",
    }  # fmt: skip
    print_table(rows, columns, empty="No tomogram yet. Import one: tomoseg import FILE")
    for row in rows:
        if row["changed"]:
            echo(f"Note: {row['name']}: {row['changed']} See: tomoseg tomograms refresh {row['name']}")


def tomograms_rename(arguments: argparse.Namespace) -> None:
    """Rename a tomogram."""
    from tomoseg_tui.workflow.tomograms.renaming import rename_tomogram

    project = open_project(arguments)
    rename_tomogram(project, arguments.old, arguments.new)
    write_history(arguments, project)
    echo(f"Renamed {arguments.old} to {arguments.new}.")


def tomograms_remove(arguments: argparse.Namespace) -> None:
    """Move a tomogram to the trash."""
    from tomoseg_tui.workflow.tomograms.renaming import remove_tomogram

    project = open_project(arguments)
    trash_folder = remove_tomogram(project, arguments.name)
    write_history(arguments, project)
    echo(f"Moved {arguments.name} with its tiles, annotations and results to {trash_folder}.")


def tomograms_refresh(arguments: argparse.Namespace) -> None:
    """Take a file that has changed since its import as it is now."""
    from tomoseg_tui.workflow.tomograms.refreshing import plan_refresh, refresh_tomogram

    project, name = open_project(arguments), arguments.name
    plan = plan_refresh(project, name, file=arguments.file, voxel_size_angstrom=arguments.voxel_size_angstrom)
    lines = [*plan.changes, *plan.consequences]
    if lines and not arguments.yes and not sys.stdin.isatty():
        raise ChangedFileError(" ".join(lines), f"Take it as it is: tomoseg tomograms refresh {name} --yes")
    for line in lines:
        echo(line)
    if lines and not arguments.yes:
        print(f"Take {name} as it is now? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            echo(f"{name} stays as it was recorded.")
            return
    refresh_tomogram(project, plan)
    if lines:
        write_history(arguments, project)
    echo(f"{name} is recorded as it is now." if lines else f"{name} has not changed since its import.")
    if wants_json(arguments):
        tiles = catalog.tiles_of(project.layout, name)
        print_json(_tomogram_listing(project, name, catalog.load_tomogram(project.layout, name), tiles))


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
        rows = []
        for done in imported:
            tiles = catalog.tiles_of(project.layout, done.name)
            rows.append({**_tomogram_listing(project, done.name, done.record, tiles), "remarks": list(done.remarks)})
        print_json(rows)


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse a command without files, and options that need --eman2."""
    if not arguments.files:
        raise UsageError("No file and no EMAN2 project was given.", "See tomoseg import --help")
    if arguments.list or arguments.map or arguments.version is not None:
        raise UsageError("--list, --map and --version are for an EMAN2 project.", "Give the project: --eman2 DIR")


def preprocess(arguments: argparse.Namespace) -> int:
    """Filter or bin tomograms, as a job."""
    from tomoseg_tui.cli.start_job import start_job  # an import needs no jobs
    from tomoseg_tui.jobs.dependencies import pending_outputs
    from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest, check_preprocess

    project = open_project(arguments)
    request = request_from(arguments, PreprocessRequest)
    check_preprocess(project, request, pending=pending_outputs(project.layout, arguments.after).tomograms)
    if not arguments.estimate:
        echo(f"New versions: {', '.join(request.target(name) for name in request.tomograms)}.")
    return start_job(arguments, project, "preprocess", msgspec.to_builtins(request))
