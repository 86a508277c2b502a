"""`tomograms`: list, rename or remove them."""

import argparse
from typing import Any

import msgspec

from tomoseg_tui.cli.common import echo, open_project, print_json, print_table, wants_json, write_history
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import format_filter_chain


def format_shape(shape_zyx: tuple[int, int, int]) -> str:
    """Return a shape for people."""
    return " x ".join(str(length) for length in shape_zyx)


def tomogram_listing(project: Project, name: str) -> dict[str, Any]:
    """Return a tomogram as `tomograms --json` prints it."""
    layout = project.layout
    record = catalog.load_tomogram(layout, name)
    path = layout.tomogram_folder(name) / record.file  # the file of a link is absolute, which replaces the folder
    return {
        "name": name,
        "shape_zyx": list(record.shape_zyx),
        "voxel_size_angstrom": record.voxel_size_angstrom,
        "origin_angstrom": list(record.origin_xyz_angstrom),
        "nstart": list(record.nstart_xyz),
        "polarity": record.polarity,
        "type": record.type,
        "tiles": len(catalog.tiles_of(layout, name)),
        "maps": sum(1 for _ in catalog.maps_of(layout, name)),
        "labels": sum(1 for _ in catalog.labels_of(layout, name)),
        "path": str(path),
        "linked": record.linked,
        "mean": record.mean,
        "sigma": record.sigma,
        "preprocessing": msgspec.to_builtins(record.chain),
        "preprocessing_angstrom": list(record.chain_angstrom),
        "binned": record.binned,
        "made_from": record.made_from,
        "imported": record.imported,
    }


def tomograms_list(arguments: argparse.Namespace) -> None:
    """List the tomograms."""
    project = open_project(arguments)
    rows = [tomogram_listing(project, name) for name in catalog.tomogram_names(project.layout)]
    if wants_json(arguments):
        print_json(rows)
        return
    for row in rows:
        row["shape"] = format_shape(tuple(row["shape_zyx"]))
        row["filters"] = format_filter_chain(catalog.load_tomogram(project.layout, row["name"]).chain)
        row["voxel"] = f"{row['voxel_size_angstrom']:g}"
    columns = {
        "name": "tomogram", "shape": "z x y x x", "voxel": "Å/voxel", "polarity": "protein",
        "tiles": "tiles", "maps": "maps", "filters": "filters", "type": "type",
    }  # fmt: skip
    print_table(rows, columns, empty="No tomogram yet. Import one: tomoseg import FILE")


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
