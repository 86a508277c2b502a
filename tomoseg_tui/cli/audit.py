"""`audit` and `audits`: tiles whose label looks wrong, with the reason and the picture."""

import argparse
from typing import Any

import msgspec

from tomoseg_tui.cli.common import open_project, print_json, print_table, promised, say, start_job, wants_json
from tomoseg_tui.cli.show import draw_triples
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import AuditedTile
from tomoseg_tui.workflow.audit.audit_request import (
    AuditRequest,
    check_audit,
    free_audit_name,
    release_audit,
    reserve_audit,
)
from tomoseg_tui.workflow.views import look_at_audit

USUAL_WORST = 8
"""So many tiles are drawn where nobody says how many."""
_KINDS = {1: "positive", -1: "negative", 0: "unknown"}


def audit(arguments: argparse.Namespace) -> int:
    """Rank the tiles whose label looks wrong, as a job."""
    project = open_project(arguments)
    if bool(arguments.trainset) == bool(arguments.feature):
        raise UsageError("It is not said what to audit.", "Name --trainset NAME or --feature F, one of them.")
    if arguments.output is not None and not arguments.wait:
        raise UsageError("There is no picture before the audit is done.", "Add --wait, or draw later: audits show NAME")
    features = tuple(arguments.feature)
    request = AuditRequest(
        name=arguments.name or free_audit_name(project, features, arguments.trainset),
        trainset=arguments.trainset,
        features=features,
        network=arguments.network,
        epochs=arguments.epochs,
        device=arguments.device,
        seed=arguments.seed,
        version=arguments.version,
    )
    check_audit(project, request, promised=promised(arguments, project))
    reserve_audit(project, request.name)
    say(f"The audit is called {request.name}.")
    try:
        code = start_job(_without_json(arguments), project, "audit", request.name, msgspec.to_builtins(request))
    except (TomosegError, OSError):
        release_audit(project, request.name)
        raise
    if arguments.wait and code == 0:
        _tell(arguments, project, request.name)
    return code


def _without_json(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the words of a command whose job must not print what it has to say: the list of tiles comes instead."""
    return argparse.Namespace(**{**vars(arguments), "json": wants_json(arguments) and not arguments.wait})


def audits_list(arguments: argparse.Namespace) -> None:
    """List the audits."""
    project = open_project(arguments)
    reports = [catalog.audit(project.layout, name) for name in catalog.audit_names(project.layout)]
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
        "suspected": "worth a look", "created": "made",
    }  # fmt: skip
    print_table(rows, columns, empty="No audit yet. Make one: tomoseg audit --feature F --wait")


def audits_show(arguments: argparse.Namespace) -> None:
    """List the tiles of an audit, and draw those whose label looks most wrong."""
    _tell(arguments, open_project(arguments), arguments.name)


def _tell(arguments: argparse.Namespace, project: Project, name: str) -> None:
    views = look_at_audit(project, name)
    chosen = views[: arguments.worst or USUAL_WORST]
    if wants_json(arguments):
        listed = views[: arguments.worst] if arguments.worst else views
        print_json([_plain(rank, view.found) for rank, view in enumerate(listed, start=1)])
    if not wants_json(arguments) or arguments.output is not None:
        draw_triples(arguments, [view.picture for view in chosen])
    for rank, view in enumerate(chosen, start=1):
        found = view.found
        why = "; ".join(found.reasons) or "annotation and network agree"
        say(f"{rank}  {found.tile}  {found.feature} {_KINDS[found.sign]}  {found.suspicion:.2f}  {why}")
    suspected = sum(bool(view.found.reasons) for view in views)
    say(f"{suspected} of {len(views)} tiles are worth a look.")
    say("From left to right: image, annotation, and a network that has not seen the tile.")


def _plain(rank: int, found: AuditedTile) -> dict[str, Any]:
    return {
        "rank": rank,
        "tile": found.tile,
        "feature": found.feature,
        "kind": _KINDS[found.sign],
        "suspicion": found.suspicion,
        "reason": "; ".join(found.reasons),
        "reasons": list(found.reasons),
        "dice": found.dice,
    }
