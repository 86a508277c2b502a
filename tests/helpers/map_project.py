"""Shared by tests of maps: networks, maps and apply jobs, written as the program does."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from helpers.cli_runner import make_card, put_card, write_map, write_mrc
from tomoseg_tui.files import locks
from tomoseg_tui.jobs.job import Job, JobState, create_job
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import MapSidecar, read_record, write_record
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.apply.output import ApplyOutputHeader, apply_task

FEATURES = ("microtubule", "membrane")
SHAPE_ZYX = (24, 96, 96)


def band(rows: slice, value: int = 127) -> NDArray[np.int8]:
    """Return a map with probability 1 in some rows of every slice."""
    values = np.zeros(SHAPE_ZYX, np.int8)
    values[:, rows] = value
    return values


def give_network(project: Project, name: str = "both", **changes: Any) -> None:
    """Write a network for both features; the digest of its weights is that of `give_map`."""
    known: dict[str, Any] = {"features": FEATURES, "weights_digest": f"of {name}", **changes}
    put_card(project, make_card(name, **known))


def give_map(
    project: Project,
    tomogram: str,
    name: str,
    values: NDArray[np.int8],
    *,
    created: str = "2026-01-01T00:00:00Z",
    slices: list[tuple[int, int]] | None = None,
    threshold: float = 0.5,
) -> None:
    """Write the map RUN.FEATURE of a tomogram."""
    path = write_map(project, name, values, tomogram=tomogram, slices=slices, threshold=threshold)
    sidecar = read_record(sidecar_of(path), MapSidecar)
    write_record(sidecar_of(path), msgspec.structs.replace(sidecar, created=created))


def give_job(
    project: Project, request: ApplyRequest, state: JobState, *, progress: float = 0.0, message: str = ""
) -> Job:
    """Write an apply job as its worker does; the claim of a running one is held by this process."""
    job = create_job(
        project.layout, "apply", f"{request.run} on {' '.join(request.tomograms)}", msgspec.to_builtins(request)
    )
    reported = {"progress": progress, "message": message, "eta_seconds": 95.0, "peak_memory_bytes": 700_000_000}
    job.progress_file.write_bytes(msgspec.json.encode(reported))
    if state is not JobState.QUEUED:
        locks.acquire(job.claim_file, locks.this_process())
        job.set_state(JobState.RUNNING, owner=locks.this_process(), started="2026-01-01T00:00:00Z")
    if state not in {JobState.QUEUED, JobState.RUNNING}:
        locks.release(job.claim_file, locks.this_process())
        job.set_state(state, ended="2026-01-01T00:01:00Z", fault="It broke." if state is JobState.FAILED else None)
    return job


def begin_maps(project: Project, job: Job, request: ApplyRequest, tomogram: str, slabs: int) -> None:
    """Write some finished slabs of a job: probability 1 in rows 0-31."""
    record = catalog.load_tomogram(project.layout, tomogram)
    task = apply_task(record, tomogram, job.partial / "digest" / tomogram, request.z)
    task.folder.mkdir(parents=True, exist_ok=True)
    for feature in FEATURES:
        write_mrc(task.draft(feature), band(slice(0, 32) if feature == FEATURES[0] else slice(0, 0)))
    write_record(task.prepared_file, ApplyOutputHeader({}))
    for number in range(slabs):
        if number not in task.finished.read():
            task.finished.add(number)
