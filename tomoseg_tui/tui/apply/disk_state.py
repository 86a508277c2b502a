"""What the Apply tab asks the disk: what jobs were asked, which networks fit, which slices are there.

Only threads call this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import prod
from pathlib import Path
from typing import Any

import msgspec

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.job import find_job
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.project.timings import Pace, known_paces, paces_file
from tomoseg_tui.tui.apply.apply_cells import ApplyJob, Fit, short_reason
from tomoseg_tui.tui.images.map_overlays import MapSource
from tomoseg_tui.tui.state.snapshot import Facts, TomogramFacts
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, check_apply
from tomoseg_tui.workflow.apply.output import task_under_way
from tomoseg_tui.workflow.apply_estimates import PastApply
from tomoseg_tui.workflow.training.trainset import VOXEL_SIZE_TOLERANCE
from tomoseg_tui.workflow.volume_names import z_range


@dataclass(frozen=True)
class ApplyLook:
    """One look."""

    asked: Mapping[str, ApplyRequest]
    """By job."""
    fits: Mapping[tuple[str, str], Fit]
    """By network and tomogram."""
    past: tuple[PastApply, ...]
    paces: Mapping[str, Pace] = field(default_factory=dict)
    """What was measured on this machine."""


@dataclass(frozen=True)
class MapView:
    """A tomogram and what one network says of it."""

    tomogram: str
    run: str
    path: Path | None
    """Of the densities; None if the file is gone."""
    fault: str
    """Why it is gone, and what to do; empty if it is there."""
    sources: tuple[MapSource, ...]
    newest: int | None
    """First slice of the slab that a running job has finished last."""
    made: tuple[str, ...]
    """When the maps were finished; differs if they were made again."""


def look(facts: Facts, known: Mapping[str, ApplyRequest]) -> ApplyLook:
    """Ask the disk what the facts do not hold; what jobs were asked never changes, so `known` is not read again."""
    project = facts.project
    asked = {
        str(job["id"]): known.get(job["id"]) or _asked(project, job) for job in facts.jobs if job["kind"] == "apply"
    }
    held = {number: request for number, request in asked.items() if request is not None}
    fits = {
        (card.name, tomogram.name): fit_of(project, card, tomogram)
        for card in facts.networks
        for tomogram in facts.tomograms
    }
    done = (job for job in facts.jobs if job["state"] == "done" and job["id"] in held)
    past = [_past(facts, job, held[job["id"]]) for job in done]
    return ApplyLook(held, fits, tuple(job for job in past if job is not None), known_paces(paces_file()))


def apply_jobs(facts: Facts, asked: Mapping[str, ApplyRequest]) -> list[ApplyJob]:
    """Return the apply jobs whose requests are known, newest first."""
    return [ApplyJob(job, asked[job["id"]]) for job in facts.jobs if job["id"] in asked]


def _asked(project: Project, job: Mapping[str, Any]) -> ApplyRequest | None:
    try:
        return msgspec.convert(find_job(project.layout, job["id"]).record().asked, ApplyRequest)
    except (TomosegError, msgspec.ValidationError):
        return None


def fit_of(project: Project, card: NetworkCard, tomogram: TomogramFacts) -> Fit:
    """Make the check that the command makes, and keep what it says."""
    request = ApplyRequest(run=card.name, tomograms=(tomogram.name,))
    try:
        return Fit(remarks=tuple(check_apply(project, request)))
    except TomosegError as fault:
        said = fault
    try:
        check_apply(project, msgspec.structs.replace(request, anyway=True))
    except TomosegError:
        anyway = False
    else:
        anyway = True
    size, wanted = tomogram.record.voxel_size_angstrom, card.voxel_size_angstrom
    scale = abs(size - wanted) > VOXEL_SIZE_TOLERANCE * wanted
    return Fit(said.fault, said.fix, short_reason(card, tomogram.record, scale=scale, filters=anyway), anyway)


def _past(facts: Facts, job: Mapping[str, Any], asked: ApplyRequest) -> PastApply | None:
    """Return what a finished job took; None if it cannot be told."""
    card, tomograms = facts.network(asked.run), [facts.tomogram(name) for name in asked.tomograms]
    if card is None or not job["started"] or not job["ended"]:
        return None
    shapes = [tomogram.record.shape_zyx for tomogram in tomograms if tomogram is not None]
    spans = [z_range(asked.z, shape[0]) for shape in shapes]
    voxels = sum((stop - start) * prod(shape[1:]) for (start, stop), shape in zip(spans, shapes, strict=True))
    seconds = (datetime.fromisoformat(job["ended"]) - datetime.fromisoformat(job["started"])).total_seconds()
    return PastApply(card.network, asked.device, asked.workers, voxels, seconds, job["peak_memory_bytes"], asked.tta)


def view_of(facts: Facts, jobs: list[ApplyJob], run: str, name: str) -> MapView | None:
    """Return what there is to see of a network in a tomogram: the maps in the making, else the finished ones."""
    card, tomogram = facts.network(run), facts.tomogram(name)
    if card is None or tomogram is None:
        return None
    layout = facts.project.layout
    path: Path | None = None
    fault = ""
    try:
        path = catalog.volume_path(layout, name, tomogram.record)
    except TomosegError as gone:
        fault = f"{gone.fault}\n{gone.fix}"
    growing = _growing(facts, jobs, card, tomogram)
    if growing is not None:
        return MapView(name, run, path, fault, *growing, ())
    order = list(card.features)
    mine = [made for made in tomogram.maps if made.run == run]
    maps = sorted(mine, key=lambda made: order.index(made.feature) if made.feature in order else len(order))
    sources = tuple(
        MapSource(layout.map_file(name, run, made.feature), made.feature, made.threshold, tuple(made.slices))
        for made in maps
    )
    return MapView(name, run, path, fault, sources, None, tuple(made.created for made in maps))


def _growing(
    facts: Facts, jobs: list[ApplyJob], card: NetworkCard, tomogram: TomogramFacts
) -> tuple[tuple[MapSource, ...], int | None] | None:
    """Return the maps that a job is making, or has left in the making, and the slab that it finished last."""
    job = next((job for job in jobs if job.asked.run == card.name and tomogram.name in job.asked.tomograms), None)
    if job is None or job.state == "done":
        return None
    partial = facts.project.layout.job_folder(job.listing["id"]) / "partial"
    task = task_under_way(partial, tomogram.record, tomogram.name, job.asked.z)
    if task is None:
        return None
    wanted = job.asked.features or tuple(card.features)
    try:
        filled = [tuple(task.filled(feature)) for feature in wanted]
    except (TomosegError, OSError):
        return None  # being published just now
    sources = [
        MapSource(task.draft(feature), feature, card.features[feature].threshold, ranges)
        for feature, ranges in zip(wanted, filled, strict=True)
        if feature in card.features
    ]
    numbers = list(task.finished.all())
    return tuple(sources), task.slabs[numbers[-1]][0] if numbers and job.state == "running" else None
