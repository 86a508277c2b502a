"""What is known of the audits of some tiles: the last one, one that runs, and what another would cost."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import AuditReport
from tomoseg_tui.tui.format import gigabytes, roughly
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.train.training_cost import find_pace
from tomoseg_tui.workflow.audit.audit_request import FOLDS, AuditRequest, plan_audit
from tomoseg_tui.workflow.training.training_plan import USUAL_FLOPS_A_CORE
from tomoseg_tui.workflow.views import SuspectView, look_at_audit


@dataclass(frozen=True)
class AuditKnown:
    """The last audit of the tiles, or what one would be."""

    name: str = ""
    created: str = ""
    views: tuple[SuspectView, ...] = ()
    """Its tiles; none if there was no audit yet."""
    job: str = ""
    """In words: an audit of the same tiles whose job is not done."""
    cost: str = ""
    """In words: what an audit takes; known where there was none."""


def look_for_audit(facts: Facts, request: AuditRequest) -> AuditKnown:
    """Return the last audit of the tiles that a request names; reads tiles, so only threads call it.

    Raises
    ------
    TomosegError
        If its pictures cannot be read; or if there was none, for whatever `tomoseg audit` would refuse.
    """
    project = Project.open(facts.project.layout.root)
    job = _unfinished(facts, request)
    report = _last_report(project, request)
    if report is not None:
        return AuditKnown(report.name, report.created, tuple(look_at_audit(project, report.name)), job)
    return AuditKnown(job=job, cost=_cost(facts, project, request))


def _last_report(project: Project, request: AuditRequest) -> AuditReport | None:
    reports = [catalog.audit(project.layout, name) for name in catalog.audit_names(project.layout)]
    fitting = [one for one in reports if _same_tiles(one.trainset, one.features, request)]
    return max(fitting, key=lambda one: one.created, default=None)


def _same_tiles(trainset: str | None, features: tuple[str, ...], request: AuditRequest) -> bool:
    if request.trainset is not None:
        return trainset == request.trainset
    return trainset is None and features == request.features


def _unfinished(facts: Facts, request: AuditRequest) -> str:
    """Return in words how the newest audit of these tiles goes, if its job is not done."""
    for job in facts.jobs:  # newest first
        if job["kind"] == "audit":
            asked = _asked(facts, job)
            if _same_tiles(asked.get("trainset"), tuple(asked.get("features", ())), request):
                words = job["fault"] or job["message"] or ""
                return "" if job["state"] == "done" else f"job {job['id']} is {job['state']}. {words}".strip()
    return ""


def _asked(facts: Facts, job: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return Job(facts.project.layout.job_folder(str(job["id"]))).record().asked
    except TomosegError:
        return {}


def _cost(facts: Facts, project: Project, request: AuditRequest) -> str:
    plan = plan_audit(project, request)
    memory = f"about {gigabytes(plan.memory_bytes)} of memory"
    pace = find_pace(facts, request.device, plan.settings.network)
    if pace is not None:
        return f"about {roughly(plan.seconds(pace.flops_per_second))}, going by job {pace.job}; {memory}"
    usual = plan.seconds(USUAL_FLOPS_A_CORE * len(os.sched_getaffinity(0)))
    return f"{roughly(usual / 2)} to {roughly(usual * 2)}, a guess from the size of the network; {memory}"


def audit_in_words(known: AuditKnown) -> str:
    """Return what the screen says where no audit is done yet."""
    if known.job:
        return f"An audit of these tiles is not done: {known.job}\n\nIts tiles stand here when it is. 7 shows all jobs."
    return (
        "These tiles were not audited yet. An audit trains "
        f"{FOLDS} small networks, each on three quarters of the tiles, and lets it judge the rest. Then it lists the "
        "tiles on which annotation and network disagree, empty masks, masks that were moved, negatives that look "
        "positive, tiles that are there twice, and odd contrasts.\n\n"
        f"It takes {known.cost}.\n\nPress a to start it; it goes on when you leave."
    )
