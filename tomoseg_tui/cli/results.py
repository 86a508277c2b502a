"""`apply`, `merge`, `evaluate` and `export`."""

import argparse
from pathlib import Path

import msgspec

from tomoseg_tui.cli.common import (
    echo,
    open_project,
    open_project_if_any,
    print_json,
    print_table,
    progress_bar,
    wants_json,
)
from tomoseg_tui.cli.start_job import start_job
from tomoseg_tui.commands.options import request_from
from tomoseg_tui.jobs.dependencies import pending_outputs
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, check_apply_before_outputs
from tomoseg_tui.workflow.evaluate import evaluate as score
from tomoseg_tui.workflow.evaluate import scores_as_json
from tomoseg_tui.workflow.export import export_volume
from tomoseg_tui.workflow.merge.merge_request import merge_request


def apply(arguments: argparse.Namespace) -> int:
    """Apply a network, as a job."""
    project = open_project(arguments)
    output = None if arguments.output is None else project.layout.stored_path(Path(arguments.output))
    request = request_from(arguments, ApplyRequest, output=output)
    for remark in check_apply_before_outputs(project, request, pending_outputs(project.layout, arguments.after)):
        echo(f"Note: {remark}")
    return start_job(arguments, project, "apply", msgspec.to_builtins(request))


def merge(arguments: argparse.Namespace) -> int:
    """Merge maps into a label volume, as a job."""
    project = open_project(arguments)
    request = merge_request(
        project,
        arguments.tomogram,
        arguments.map_specs,
        name=arguments.name,
        output=arguments.output,
        force=arguments.force,
        pending=pending_outputs(project.layout, arguments.after),
    )
    return start_job(arguments, project, "merge", msgspec.to_builtins(request))


def evaluate(arguments: argparse.Namespace) -> None:
    """Score a map or a label volume against the truth."""
    project = open_project_if_any(arguments)
    counts = score(
        project,
        arguments.predicted,
        arguments.truth,
        dict(arguments.label),
        threshold=arguments.threshold,
        z=arguments.z,
        on_remark=lambda line: echo(f"Note: {line}"),
    )
    if wants_json(arguments):
        print_json(scores_as_json(counts))
        return
    rows = [
        {
            "label": label,
            **{name: f"{getattr(label_counts, name):.4f}" for name in ("dice", "iou", "precision", "recall")},
        }
        for label, label_counts in counts.items()
    ]
    columns = {"label": "label", "dice": "Dice", "iou": "IoU", "precision": "precision", "recall": "recall"}
    print_table(rows, columns, empty="")


def export(arguments: argparse.Namespace) -> None:
    """Write a volume to a file."""
    project = open_project_if_any(arguments)
    with progress_bar("export") as on_progress:
        remark = export_volume(
            project, arguments.name, arguments.output, force=arguments.force, on_progress=on_progress
        )
    if remark:
        echo(f"Note: {remark}")
    echo(f"Wrote {arguments.name} to {arguments.output}.")
