"""`import --eman2`: list or import an EMAN2 project."""

import argparse
from collections.abc import Mapping

from tomoseg_tui.cli.common import echo, open_project, print_json, print_table, progress_bar, wants_json, write_history
from tomoseg_tui.commands.options import request_from
from tomoseg_tui.errors import UsageError
from tomoseg_tui.files.disk_space import format_bytes
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import format_filter_chain
from tomoseg_tui.workflow.eman2.box_sets import Meaning, guess_meanings, parse_set_map, sounds_negative
from tomoseg_tui.workflow.eman2.import_plan import Eman2ImportPlan, Eman2ImportRequest, box_set_summaries, plan_import
from tomoseg_tui.workflow.eman2.import_project import Eman2ImportResult, import_eman2_project
from tomoseg_tui.workflow.eman2.project import Eman2Project, Eman2Tomogram, scan_project

_LARGE_IMPORT_BYTES = 1e9
"""Before more than this is copied, the size is printed, because copying takes long."""


def run_eman2_import(arguments: argparse.Namespace) -> None:
    """Import an EMAN2 project, or list its contents."""
    _check_options(arguments)
    set_map = parse_set_map(arguments.map)
    project = open_project(arguments)
    eman2_project = scan_project(arguments.folder)
    if arguments.list:
        _list_contents(arguments, project, eman2_project, set_map)
        return
    plan = plan_import(project, eman2_project, request_from(arguments, Eman2ImportRequest, meanings=set_map))
    _report_plan(plan)
    _run_import(arguments, project, plan)


def _check_options(arguments: argparse.Namespace) -> None:
    conflicting = ("name", "invert", "byte_sign")
    if arguments.files or arguments.factor != 1 or any(getattr(arguments, name) for name in conflicting):
        raise UsageError(
            "FILE, --name, --bin, --invert and --bytes are for single files, --eman2 is for a whole project.",
            "Leave them out, or import the files without --eman2.",
        )


def _report_plan(plan: Eman2ImportPlan) -> None:
    for tomogram in plan.existing_tomograms:
        echo(f"{tomogram.name} already exists and is skipped.")
    if plan.byte_count > _LARGE_IMPORT_BYTES:
        count = len(plan.new_tomograms)
        echo(f"Copying {count} tomograms, {format_bytes(plan.byte_count)}; --link links to them instead.")


def _run_import(arguments: argparse.Namespace, project: Project, plan: Eman2ImportPlan) -> None:
    """Run the import; it is written to the history even if it fails after a part was imported."""
    result = Eman2ImportResult()
    try:
        with progress_bar("import") as on_progress:
            import_eman2_project(project, plan, on_progress, result=result)
    finally:
        if result.has_changed:
            write_history(arguments, project)
    _report_result(result)
    if wants_json(arguments):
        print_json(_summary(result))


def _report_result(result: Eman2ImportResult) -> None:
    for remark in result.remarks:
        echo(f"Note: {remark}")
    for line in result.skipped:
        echo(f"Skipped: {line}")
    for tomogram in result.tomograms:
        record = tomogram.record
        shape, linked = " x ".join(str(n) for n in record.shape_zyx), ", linked" if record.linked else ""
        details = (
            f"{record.voxel_size_angstrom:g} Å/voxel, protein {record.polarity}, {format_filter_chain(record.chain)}"
        )
        echo(f"{tomogram.name}: {shape} voxels (z, y, x), {details}{linked}.")
    for feature in result.new_features:
        echo(f"Created the feature {feature}.")
    echo(result.summary)


def _summary(result: Eman2ImportResult) -> dict[str, object]:
    return {
        "tomograms": [tomogram.name for tomogram in result.tomograms],
        "tiles": result.tiles,
        "tiles_known": result.existing_tiles,
        "annotations": result.annotated,
        "features": result.new_features,
        "notes": result.remarks,
        "left": result.skipped,
    }


def _list_contents(
    arguments: argparse.Namespace, project: Project, eman2_project: Eman2Project, set_map: Mapping[str, Meaning]
) -> None:
    tomograms = [_tomogram_row(project, tomogram) for tomogram in eman2_project.tomograms]
    box_sets = box_set_summaries(eman2_project)
    guesses = guess_meanings([box_set.name for box_set in box_sets], set_map)
    sets = [
        {
            "set": box_set.name,
            "boxes": box_set.boxes,
            "tiles": box_set.tiles,
            "masks": box_set.masks,
            "means": guesses[box_set.name].text,
            "asked": sounds_negative(box_set.name) and box_set.name not in set_map,
        }
        for box_set in box_sets
    ]
    if wants_json(arguments):
        print_json({"tomograms": tomograms, "sets": sets, "left": list(eman2_project.skipped)})
        return
    titles = {"name": "tomogram", "shape": "z x y x x", "voxel": "Å/voxel", "filters": "filters", "state": "state"}
    print_table(tomograms, titles, empty="There are no tomograms.")
    for row in sets:
        row["means"] = f"{row['means']} (likely; confirm with --map)" if row["asked"] else row["means"]
    titles = {"set": "set", "boxes": "boxes", "tiles": "tiles", "masks": "with mask", "means": "means"}
    print_table(sets, titles, empty="There are no boxes and no tiles.")
    for line in eman2_project.skipped:
        echo(f"Skipped: {line}")


def _tomogram_row(project: Project, tomogram: Eman2Tomogram) -> dict[str, object]:
    exists = tomogram.name in catalog.tomogram_names(project.layout)
    voxel_size = tomogram.grid.voxel_size_angstrom
    return {
        "name": tomogram.name,
        "shape": " x ".join(str(length) for length in tomogram.grid.shape_zyx),
        "voxel": f"{voxel_size:g}" if voxel_size else "?",
        "filters": format_filter_chain(tomogram.filtering.chain),
        "state": "exists" if exists else "new",
    }
