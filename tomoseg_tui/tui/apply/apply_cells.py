"""The state of one network for one tomogram: no map yet, a map, a job, or a reason against it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Any

from tomoseg_tui.project.records import MapSidecar, NetworkCard, TomogramRecord
from tomoseg_tui.tui.format import format_clock, format_progress_bar, format_time
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot, TomogramSnapshot
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.apply.output import SLAB
from tomoseg_tui.workflow.volume_names import parse_z_range

BAR_CELLS = 5
"""Columns of a progress bar."""


class CellState(StrEnum):
    """State of a network for a tomogram."""

    EMPTY = "empty"
    DONE = "done"
    PART = "part"
    STALE = "stale"
    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True)
class Compatibility:
    """Whether a network can be applied to a tomogram."""

    fault: str = ""
    """Why not; empty if it can."""
    fix: str = ""
    short_reason: str = ""
    """The reason in a few words."""
    can_override: bool = False
    """True if --anyway overrides it."""
    remarks: tuple[str, ...] = ()
    """Remarks if it can."""


@dataclass(frozen=True)
class Cell:
    """One cell of the grid."""

    state: CellState
    text: str
    """Short text for the grid."""
    reason: str
    """Full text."""
    job: str | None = None
    fraction: float = 0.0
    can_mark: bool = True


@dataclass(frozen=True)
class ApplyJob:
    """A job of the project and its request."""

    listing: Mapping[str, Any]
    request: ApplyRequest

    @property
    def state(self) -> str:
        """State as in `jobs`."""
        return str(self.listing["state"])


def short_reason(card: NetworkCard, record: TomogramRecord, *, scale: bool, filters: bool) -> str:
    """Return why a network does not fit, short enough for the grid."""
    if scale:
        return f"no: {record.voxel_size_angstrom:g}, not {card.voxel_size_angstrom:g} Å"
    return "no: other filters" if filters else "no: see below"


def cell_for(
    snapshot: ProjectSnapshot,
    jobs: Sequence[ApplyJob],
    compatibility: Compatibility,
    card: NetworkCard,
    tomogram: TomogramSnapshot,
) -> Cell:
    """Return the state of a network for a tomogram."""
    maps = [sidecar for sidecar in tomogram.maps if sidecar.run == card.name]
    job = next((job for job in jobs if job.request.run == card.name and tomogram.name in job.request.tomograms), None)
    if job is not None and not _is_published(job, maps):
        if job.state in {"queued", "running"}:
            return _busy_cell(snapshot, job, tomogram.name)
        if job.state in {"stopped", "failed", "lost"}:
            return _failed_cell(job)
    if maps:
        return _mapped_cell(card, tomogram, maps, compatibility)
    if compatibility.fault:
        return Cell(
            CellState.REFUSED,
            compatibility.short_reason,
            f"{compatibility.fault} {compatibility.fix}",
            can_mark=compatibility.can_override,
        )
    return Cell(
        CellState.EMPTY, "-", " ".join(["Not applied yet: space marks it, enter starts.", *compatibility.remarks])
    )


def _is_published(job: ApplyJob, maps: Sequence[MapSidecar]) -> bool:
    """Return whether a job has published its maps of a tomogram."""
    features = job.request.features
    own_maps = [sidecar for sidecar in maps if not features or sidecar.feature in features]
    return bool(own_maps) and all(sidecar.created >= str(job.listing["created"]) for sidecar in own_maps)


def _busy_cell(snapshot: ProjectSnapshot, job: ApplyJob, name: str) -> Cell:
    job_id, progress = job.listing["id"], float(job.listing["progress"])
    fraction, is_waiting = _tomogram_progress(snapshot, job.request, name, progress)
    if job.state == "queued" or is_waiting:
        return Cell(
            CellState.QUEUED,
            "queued",
            f"Job {job_id} {job.listing.get('waits_for') or 'waits for its turn'}; s stops the job.",
            job_id,
            0.0,
            False,
        )
    eta = format_clock(job.listing["eta_seconds"])
    progress_text = f"{format_progress_bar(fraction, BAR_CELLS)} {fraction:4.0%}"
    text = f"Job {job_id} is running" + (f", about {eta} left in total" if eta else "")
    return Cell(
        CellState.RUNNING, f"{progress_text} {eta}".rstrip(), f"{text}; s stops the job.", job_id, fraction, False
    )


def _tomogram_progress(
    snapshot: ProjectSnapshot, request: ApplyRequest, name: str, progress: float
) -> tuple[float, bool]:
    """Return the progress of a job on one tomogram, and whether another tomogram comes first."""
    slabs = [_count_slabs(snapshot, other, request.z) for other in request.tomograms]
    index = request.tomograms.index(name)
    done = progress * sum(slabs) - sum(slabs[:index])
    return min(max(done / max(slabs[index], 1), 0.0), 1.0), index > 0 and done < 0.5


def _count_slabs(snapshot: ProjectSnapshot, name: str, z: str | None) -> int:
    tomogram = snapshot.tomogram(name)
    if tomogram is None:
        return 0
    start, stop = parse_z_range(z, tomogram.record.shape_zyx[0])
    return ceil(stop / SLAB) - start // SLAB


def _failed_cell(job: ApplyJob) -> Cell:
    job_id, error_text = job.listing["id"], f"{job.listing['fault'] or ''} {job.listing['fix'] or ''}".strip()
    state = CellState(job.state)
    share = f" {job.listing['progress']:.0%}" if job.listing["progress"] else ""
    reason = f"Job {job_id} is {state}: finished slices are kept, r resumes it. {error_text}"
    return Cell(state, f"{state}{share}", reason.strip(), job_id)


def _mapped_cell(
    card: NetworkCard, tomogram: TomogramSnapshot, maps: Sequence[MapSidecar], compatibility: Compatibility
) -> Cell:
    missing = [feature for feature in card.features if feature not in {sidecar.feature for sidecar in maps}]
    stale = [sidecar for sidecar in maps if sidecar.weights_digest != card.weights_digest]
    depth = tomogram.record.shape_zyx[0]
    partial = [sidecar for sidecar in maps if list(sidecar.slices) != [(0, depth)]]
    refusal = f" {compatibility.fault} {compatibility.fix}" if compatibility.fault else ""
    can_mark = not compatibility.fault or compatibility.can_override
    if stale:
        reason = (
            f"The network has changed since this map was made ({format_time(stale[0].created)}): apply it "
            f"again.{refusal}"
        )
        return Cell(CellState.STALE, "stale", reason, can_mark=can_mark)
    if missing:
        reason = f"There is no map of {', '.join(missing)} yet.{refusal}"
        return Cell(CellState.PART, f"{len(maps)} of {len(card.features)} maps", reason, can_mark=can_mark)
    if partial:
        ranges = ", ".join(f"{start}-{stop - 1}" for start, stop in partial[0].slices) or "nothing"
        reason = f"The map covers z {ranges} of 0-{depth - 1}.{refusal}"
        return Cell(CellState.PART, f"z {ranges}", reason, can_mark=can_mark)
    reason = f"Maps of {', '.join(card.features)}, made {format_time(maps[0].created)}."
    inverted_note = " The densities were inverted: the tomogram has the other polarity." if maps[0].sign < 0 else ""
    return Cell(CellState.DONE, "done", reason + inverted_note, can_mark=can_mark)
