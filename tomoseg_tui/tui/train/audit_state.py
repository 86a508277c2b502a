"""The audits of some tiles: the last one, a running one, and the cost of another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.estimate import estimate_jobs, work_of
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import AuditReport
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.workflow.audit.audit_request import FOLDS, AuditRequest
from tomoseg_tui.workflow.estimates.estimator import format_cost
from tomoseg_tui.workflow.views import AuditedTileView, load_audit_views


@dataclass(frozen=True)
class AuditState:
    """The last audit of the tiles, or the cost of one."""

    name: str = ""
    created: str = ""
    views: tuple[AuditedTileView, ...] = ()
    """Its tiles; empty if there was no audit yet."""
    job_text: str = ""
    """State of an unfinished audit of the same tiles, as text."""
    cost_text: str = ""
    """Cost of an audit as text; set if there was no audit yet."""


def load_audit_state(snapshot: ProjectSnapshot, request: AuditRequest) -> AuditState:
    """Return the last audit of the requested tiles; reads tiles, so only threads call it.

    Raises
    ------
    TomosegError
        If its images cannot be read; or, without an earlier audit, if `tomoseg audit` would refuse the request.
    """
    project = Project.open(snapshot.project.layout.root)
    job = _describe_unfinished(snapshot, request)
    report = _last_report(project, request)
    if report is not None:
        return AuditState(report.name, report.created, tuple(load_audit_views(project, report.name)), job)
    return AuditState(job_text=job, cost_text=_describe_cost(project, request))


def _last_report(project: Project, request: AuditRequest) -> AuditReport | None:
    reports = [catalog.load_audit_report(project.layout, name) for name in catalog.audit_names(project.layout)]
    matching = [report for report in reports if _has_same_tiles(report.trainset, report.features, request)]
    return max(matching, key=lambda report: report.created, default=None)


def _has_same_tiles(trainset: str | None, features: tuple[str, ...], request: AuditRequest) -> bool:
    if request.trainset is not None:
        return trainset == request.trainset
    return trainset is None and features == request.features


def _describe_unfinished(snapshot: ProjectSnapshot, request: AuditRequest) -> str:
    """Return the state of the newest audit of these tiles, if its job is not done."""
    for job in snapshot.jobs:  # newest first
        if job["kind"] == "audit":
            job_request = _read_job_request(snapshot, job)
            if _has_same_tiles(job_request.get("trainset"), tuple(job_request.get("features", ())), request):
                text = job["fault"] or job["message"] or ""
                return "" if job["state"] == "done" else f"job {job['id']} is {job['state']}. {text}".strip()
    return ""


def _read_job_request(snapshot: ProjectSnapshot, job: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return Job(snapshot.project.layout.job_folder(str(job["id"]))).record().asked
    except TomosegError:
        return {}


def _describe_cost(project: Project, request: AuditRequest) -> str:
    """Return the cost of an audit, and why it cannot be started if memory or disk space does not suffice."""
    costs = estimate_jobs(project, [work_of(project, "audit", msgspec.to_builtins(request))])
    text = f"{format_cost(costs.total)}."
    try:
        costs.require_resources(in_slurm=project.settings.default_slurm is not None)
    except TomosegError as fault:
        return f"{text}\n! {fault.fault} {fault.fix}"
    return text


def describe_audit(state: AuditState) -> str:
    """Return the text that is shown while no audit is done."""
    if state.job_text:
        return (
            f"An audit of these tiles is not done: {state.job_text}\n\nIts results appear here when it is. 7 shows all "
            "jobs."
        )
    return (
        "These tiles have not been audited. An audit trains "
        f"{FOLDS} small networks, each on three quarters of the tiles, which then predicts the others. It lists "
        "tiles on which annotation and network disagree, empty masks, masks that were moved, negatives that look "
        "positive, duplicate tiles, and unusual contrasts.\n\n"
        f"It takes {state.cost_text}\n\nPress a to start it; it continues when you quit."
    )
