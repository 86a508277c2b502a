"""`import --eman2`: tell what an EMAN2 project holds, and bring it in."""

import argparse
from collections.abc import Mapping

from tomoseg_tui.cli.common import open_project, print_json, print_table, progress_bar, say, wants_json, write_history
from tomoseg_tui.errors import UsageError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import chain_in_words
from tomoseg_tui.workflow.eman2.box_sets import Meaning, guess, read_set_map, sounds_negative
from tomoseg_tui.workflow.eman2.import_plan import EmanPlan, EmanRequest, plan_import, sets_of
from tomoseg_tui.workflow.eman2.import_project import Brought, bring
from tomoseg_tui.workflow.eman2.project import EmanProject, EmanTomogram, look_at

_LONG_BYTES = 1e9
"""Copying more than this takes so long that it is told before."""


def import_project(arguments: argparse.Namespace) -> None:
    """Bring an EMAN2 project in, or list it."""
    _check_words(arguments)
    told = read_set_map(arguments.map)
    project = open_project(arguments)
    found = look_at(arguments.eman2)
    if arguments.list:
        _list(arguments, project, found, told)
        return
    request = EmanRequest(
        folder=arguments.eman2,
        link=arguments.link,
        voxel_size_angstrom=arguments.voxel_size,
        polarity=arguments.polarity,
        meanings=told,
        version=arguments.version,
    )
    plan = plan_import(project, found, request)
    _say_before(plan)
    _carry_out(arguments, project, plan)


def _check_words(arguments: argparse.Namespace) -> None:
    others = ("name", "invert", "bytes")
    if arguments.files or arguments.bin != 1 or any(getattr(arguments, name) for name in others):
        raise UsageError(
            "FILE, --name, --bin, --invert and --bytes are for single files, --eman2 is for a whole project.",
            "Leave them out, or import the files by themselves.",
        )


def _say_before(plan: EmanPlan) -> None:
    for tomogram in plan.there:
        say(f"{tomogram.name} is there already; it is passed over.")
    if plan.byte_count > _LONG_BYTES:
        count = len(plan.new)
        say(f"Copies {count} tomograms, {plan.byte_count / 1e9:.1f} GB; --link leaves them where they are.")


def _carry_out(arguments: argparse.Namespace, project: Project, plan: EmanPlan) -> None:
    """Bring it in; also an import that meets a fault on the way is written into the history."""
    done = Brought()
    try:
        with progress_bar("import") as on_progress:
            bring(project, plan, on_progress, done=done)
    finally:
        if done.has_changed:
            write_history(arguments, project)
    _say_done(done)
    if wants_json(arguments):
        print_json(_summary(done))


def _say_done(done: Brought) -> None:
    for remark in done.remarks:
        say(f"Note: {remark}")
    for line in done.left:
        say(f"Left: {line}")
    for one in done.tomograms:
        record = one.record
        shape, linked = " x ".join(str(n) for n in record.shape_zyx), ", linked" if record.linked else ""
        words = f"{record.voxel_size_angstrom:g} Å/voxel, protein {record.polarity}, {chain_in_words(record.chain)}"
        say(f"{one.name}: {shape} voxels (z, y, x), {words}{linked}.")
    for feature in done.new_features:
        say(f"Made the feature {feature}.")
    say(done.words)


def _summary(done: Brought) -> dict[str, object]:
    return {
        "tomograms": [one.name for one in done.tomograms],
        "tiles": done.tiles,
        "tiles_known": done.known,
        "annotations": done.annotated,
        "features": done.new_features,
        "notes": done.remarks,
        "left": done.left,
    }


# What is there


def _list(arguments: argparse.Namespace, project: Project, found: EmanProject, told: Mapping[str, Meaning]) -> None:
    tomograms = [_tomogram_row(project, tomogram) for tomogram in found.tomograms]
    facts_of_sets = sets_of(found)
    likely = guess([facts.name for facts in facts_of_sets], told)
    sets = [
        {
            "set": facts.name,
            "boxes": facts.boxes,
            "tiles": facts.tiles,
            "masks": facts.masks,
            "means": likely[facts.name].word,
            "asked": sounds_negative(facts.name) and facts.name not in told,
        }
        for facts in facts_of_sets
    ]
    if wants_json(arguments):
        print_json({"tomograms": tomograms, "sets": sets, "left": list(found.left)})
        return
    titles = {"name": "tomogram", "shape": "z x y x x", "voxel": "Å/voxel", "filters": "filters", "state": "state"}
    print_table(tomograms, titles, empty="There is no tomogram.")
    for row in sets:
        row["means"] = f"{row['means']} (likely; to be said by --map)" if row["asked"] else row["means"]
    titles = {"set": "set", "boxes": "boxes", "tiles": "tiles", "masks": "with mask", "means": "means"}
    print_table(sets, titles, empty="There are no boxes and no tiles.")
    for line in found.left:
        say(f"Left: {line}")


def _tomogram_row(project: Project, tomogram: EmanTomogram) -> dict[str, object]:
    there = tomogram.name in catalog.tomogram_names(project.layout)
    voxel_size = tomogram.grid.voxel_size_angstrom
    return {
        "name": tomogram.name,
        "shape": " x ".join(str(length) for length in tomogram.grid.shape_zyx),
        "voxel": f"{voxel_size:g}" if voxel_size else "?",
        "filters": chain_in_words(tomogram.filtering.chain),
        "state": "there already" if there else "new",
    }
