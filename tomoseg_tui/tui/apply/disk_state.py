"""What the Apply tab reads from disk: requests of jobs, compatibility of networks, available slices.

For threads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tomoseg_tui.core.grid import SCALE_TOLERANCE, differs_in_size
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.job import find_job
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.tui.apply.apply_cells import ApplyJob, Compatibility, short_reason
from tomoseg_tui.tui.images.map_overlays import MapSource
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot, TomogramSnapshot
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, check_apply
from tomoseg_tui.workflow.apply.output import running_task
from tomoseg_tui.workflow.job_interface import parse_request


@dataclass(frozen=True)
class ApplyDiskState:
    """What was read."""

    requests: Mapping[str, ApplyRequest]
    """Requests by job."""
    compatibility: Mapping[tuple[str, str], Compatibility]
    """Compatibility by network and tomogram."""


@dataclass(frozen=True)
class MapView:
    """A tomogram and the maps of one network."""

    tomogram: str
    run: str
    path: Path | None
    """Path of the densities; None if the file is missing."""
    fault: str
    """Why it is missing, and the fix; empty if it exists."""
    sources: tuple[MapSource, ...]
    newest_z: int | None
    """First slice of the slab that a running job has finished last."""
    created: tuple[str, ...]
    """When the maps were finished; changes if they are made again."""


def read_apply_state(snapshot: ProjectSnapshot, cached: Mapping[str, ApplyRequest]) -> ApplyDiskState:
    """Read what the snapshot does not contain; requests never change, so those in `cached` are not read again."""
    project = snapshot.project
    by_job = {
        str(job["id"]): cached.get(job["id"]) or _read_request(project, job)
        for job in snapshot.jobs
        if job["kind"] == "apply"
    }
    requests = {number: request for number, request in by_job.items() if request is not None}
    compatibility = {
        (card.name, tomogram.name): check_compatibility(project, card, tomogram)
        for card in snapshot.networks
        for tomogram in snapshot.tomograms
    }
    return ApplyDiskState(requests, compatibility)


def apply_jobs(snapshot: ProjectSnapshot, requests: Mapping[str, ApplyRequest]) -> list[ApplyJob]:
    """Return the apply jobs with known requests, newest first."""
    return [ApplyJob(job, requests[job["id"]]) for job in snapshot.jobs if job["id"] in requests]


def _read_request(project: Project, job: Mapping[str, Any]) -> ApplyRequest | None:
    try:
        return parse_request(find_job(project.layout, job["id"]).record().asked, ApplyRequest)
    except TomosegError:
        return None


def check_compatibility(project: Project, card: NetworkCard, tomogram: TomogramSnapshot) -> Compatibility:
    """Make the same check as the command, and return its result."""
    request = ApplyRequest(run=card.name, tomograms=(tomogram.name,))
    try:
        return Compatibility(remarks=tuple(check_apply(project, request)))
    except TomosegError as fault:
        error = fault
    try:
        check_apply(project, msgspec.structs.replace(request, anyway=True))
    except TomosegError:
        can_override = False
    else:
        can_override = True
    size, expected = tomogram.record.voxel_size_angstrom, card.voxel_size_angstrom
    is_wrong_scale = differs_in_size(size, expected, tolerance=SCALE_TOLERANCE)
    return Compatibility(
        error.fault,
        error.fix,
        short_reason(card, tomogram.record, scale=is_wrong_scale, filters=can_override),
        can_override,
    )


def map_view(snapshot: ProjectSnapshot, jobs: list[ApplyJob], run: str, name: str) -> MapView | None:
    """Return the maps of a network in a tomogram: unfinished ones, else the finished ones."""
    card, tomogram = snapshot.network(run), snapshot.tomogram(name)
    if card is None or tomogram is None:
        return None
    layout = snapshot.project.layout
    path: Path | None = None
    fault = ""
    try:
        path = catalog.volume_path(layout, name, tomogram.record)
    except TomosegError as error:
        fault = f"{error.fault}\n{error.fix}"
    unfinished = _unfinished_maps(snapshot, jobs, card, tomogram)
    if unfinished is not None:
        return MapView(name, run, path, fault, *unfinished, ())
    order = list(card.features)
    run_maps = [sidecar for sidecar in tomogram.maps if sidecar.run == run]
    maps = sorted(
        run_maps, key=lambda sidecar: order.index(sidecar.feature) if sidecar.feature in order else len(order)
    )
    sources = tuple(
        MapSource(
            layout.map_file(name, run, sidecar.feature), sidecar.feature, sidecar.threshold, tuple(sidecar.slices)
        )
        for sidecar in maps
    )
    return MapView(name, run, path, fault, sources, None, tuple(sidecar.created for sidecar in maps))


def _unfinished_maps(
    snapshot: ProjectSnapshot, jobs: list[ApplyJob], card: NetworkCard, tomogram: TomogramSnapshot
) -> tuple[tuple[MapSource, ...], int | None] | None:
    """Return the unfinished maps of a running or interrupted job, and the slab that it finished last."""
    job = next((job for job in jobs if job.request.run == card.name and tomogram.name in job.request.tomograms), None)
    if job is None or job.state == "done":
        return None
    partial = snapshot.project.layout.job_folder(job.listing["id"]) / "partial"
    task = running_task(partial, tomogram.record, tomogram.name, job.request.z)
    if task is None:
        return None
    features = job.request.features or tuple(card.features)
    try:
        filled = [tuple(task.filled(feature)) for feature in features]
    except (TomosegError, OSError):
        return None  # being published right now
    sources = [
        MapSource(task.draft(feature), feature, card.features[feature].threshold, ranges)
        for feature, ranges in zip(features, filled, strict=True)
        if feature in card.features
    ]
    numbers = list(task.finished.read())
    return tuple(sources), task.slabs[numbers[-1]][0] if numbers and job.state == "running" else None
