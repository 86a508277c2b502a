"""`audit` and `audits`: tiles whose label is probably wrong, with reasons and images."""

import argparse
from typing import Any

import msgspec

from tomoseg_tui.cli.common import (
    damage_of,
    echo,
    open_project,
    print_json,
    print_table,
    require_trainset_or_features,
    wants_json,
)
from tomoseg_tui.cli.show import draw_triples
from tomoseg_tui.cli.start_job import start_job
from tomoseg_tui.commands.options import request_from
from tomoseg_tui.errors import UsageError
from tomoseg_tui.jobs.dependencies import pending_outputs
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import AuditedTile, read_each
from tomoseg_tui.workflow.audit.audit_request import AuditRequest, check_audit
from tomoseg_tui.workflow.views import load_audit_views

DEFAULT_WORST = 8
"""Tiles that are drawn by default."""
_KINDS = {1: "positive", -1: "negative", 0: "unknown"}


def audit(arguments: argparse.Namespace) -> int:
    """Rank tiles by how probably their label is wrong, as a job."""
    project = open_project(arguments)
    require_trainset_or_features(arguments)
    if arguments.output is not None and not arguments.wait:
        raise UsageError(
            "The image for --output is drawn when the audit is done.",
            "Add --wait, or draw it later: tomoseg audits show NAME -o FILE.png",
        )
    name = arguments.name or catalog.free_name(project.layout.audits, arguments.features, arguments.trainset)
    request = request_from(arguments, AuditRequest, name=name)
    check_audit(project, request, pending=pending_outputs(project.layout, arguments.after))
    if arguments.estimate:
        return start_job(arguments, project, "audit", msgspec.to_builtins(request))
    code = start_job(_with_json_suppressed(arguments), project, "audit", msgspec.to_builtins(request))
    if arguments.wait and code == 0:
        _report_audit(arguments, project, request.name)
    return code


def _with_json_suppressed(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return arguments with which the job's result is not printed as JSON: the list of tiles is printed instead."""
    return argparse.Namespace(**{**vars(arguments), "json": wants_json(arguments) and not arguments.wait})


def audits_list(arguments: argparse.Namespace) -> None:
    """List the audits."""
    project = open_project(arguments)
    names, damage = catalog.audit_names(project.layout), damage_of(arguments)
    reports = [
        report for _, report in read_each(names, lambda name: catalog.load_audit_report(project.layout, name), damage)
    ]
    rows = [
        {
            "name": report.name,
            "features": ", ".join(report.features),
            "trainset": report.trainset,
            "tiles": len(report.tiles),
            "suspected": sum(bool(tile.reasons) for tile in report.tiles),
            "created": report.created,
        }
        for report in reports
    ]
    if wants_json(arguments):
        print_json(rows)
        return
    columns = {
        "name": "audit", "features": "features", "trainset": "training set", "tiles": "tiles",
        "suspected": "to check", "created": "made",
    }  # fmt: skip
    print_table(rows, columns, empty="No audit yet. Start one: tomoseg audit --feature F --wait")


def audits_show(arguments: argparse.Namespace) -> None:
    """List the tiles of an audit, and draw those whose label is most probably wrong."""
    _report_audit(arguments, open_project(arguments), arguments.name)


def _report_audit(arguments: argparse.Namespace, project: Project, name: str) -> None:
    views = load_audit_views(project, name)
    chosen = views[: arguments.worst or DEFAULT_WORST]
    if wants_json(arguments):
        listed = views[: arguments.worst] if arguments.worst else views
        print_json([_audited_tile_json(rank, view.audited_tile) for rank, view in enumerate(listed, start=1)])
    if not wants_json(arguments) or arguments.output is not None:
        draw_triples(arguments, [view.triple for view in chosen])
    for rank, view in enumerate(chosen, start=1):
        audited_tile = view.audited_tile
        reasons = "; ".join(audited_tile.reasons) or "annotation and network agree"
        echo(
            f"{rank}  {audited_tile.tile}  {audited_tile.feature} {_KINDS[audited_tile.sign]}  "
            f"{audited_tile.suspicion:.2f}  {reasons}"
        )
    flagged_count = sum(bool(view.audited_tile.reasons) for view in views)
    echo(f"{flagged_count} of {len(views)} tiles should be checked.")
    echo("From left to right: image, annotation, and the output of a network that was not trained on the tile.")


def _audited_tile_json(rank: int, audited_tile: AuditedTile) -> dict[str, Any]:
    return {
        "rank": rank,
        "tile": audited_tile.tile,
        "feature": audited_tile.feature,
        "kind": _KINDS[audited_tile.sign],
        "suspicion": audited_tile.suspicion,
        "reason": "; ".join(audited_tile.reasons),
        "reasons": list(audited_tile.reasons),
        "dice": audited_tile.dice,
    }
