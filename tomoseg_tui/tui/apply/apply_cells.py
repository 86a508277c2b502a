"""What stands between one network and one tomogram: nothing yet, a map, a job, or a reason against it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Any

from tomoseg_tui.project.records import MapSidecar, NetworkCard, TomogramRecord
from tomoseg_tui.tui.format import bar, clock, when
from tomoseg_tui.tui.state.snapshot import Facts, TomogramFacts
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.apply.output import SLAB
from tomoseg_tui.workflow.volume_names import z_range

BAR = 5
"""Cells of a bar."""


class CellState(StrEnum):
    """How a network stands to a tomogram."""

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

    @property
    def is_busy(self) -> bool:
        """True while a job is at it."""
        return self in {CellState.QUEUED, CellState.RUNNING}


@dataclass(frozen=True)
class Fit:
    """Whether a network can be applied to a tomogram."""

    fault: str = ""
    """Why not; empty if it can."""
    fix: str = ""
    short: str = ""
    """The reason in two words."""
    anyway: bool = False
    """True if --anyway would override it."""
    remarks: tuple[str, ...] = ()
    """What the user should know where it can."""


@dataclass(frozen=True)
class Cell:
    """One field of the grid."""

    state: CellState
    words: str
    """In few words, for the grid."""
    reason: str
    """In full."""
    job: str | None = None
    fraction: float = 0.0
    can_mark: bool = True


@dataclass(frozen=True)
class ApplyJob:
    """A job of the project and what it was asked."""

    listing: Mapping[str, Any]
    asked: ApplyRequest

    @property
    def state(self) -> str:
        """As `jobs` tells it."""
        return str(self.listing["state"])


def short_reason(card: NetworkCard, record: TomogramRecord, *, scale: bool, filters: bool) -> str:
    """Return why a network does not fit, in so few words that they stand in the grid."""
    if scale:
        return f"no: {record.voxel_size_angstrom:g}, not {card.voxel_size_angstrom:g} Å"
    return "no: other filters" if filters else "no: see below"


def cell_of(facts: Facts, jobs: Sequence[ApplyJob], fit: Fit, card: NetworkCard, tomogram: TomogramFacts) -> Cell:
    """Return what stands between a network and a tomogram.

    Parameters
    ----------
    facts : Facts
        The project.
    jobs : sequence of ApplyJob
        Apply jobs, newest first.
    fit : Fit
        Of this network and tomogram.
    card, tomogram : NetworkCard, TomogramFacts
        The two.
    """
    maps = [made for made in tomogram.maps if made.run == card.name]
    job = next((job for job in jobs if job.asked.run == card.name and tomogram.name in job.asked.tomograms), None)
    if job is not None and not _is_published(job, maps):
        if job.state in {"queued", "running"}:
            return _busy(facts, job, tomogram.name)
        if job.state in {"stopped", "failed", "lost"}:
            return _broken(job)
    if maps:
        return _mapped(card, tomogram, maps, fit)
    if fit.fault:
        return Cell(CellState.REFUSED, fit.short, f"{fit.fault} {fit.fix}", can_mark=fit.anyway)
    return Cell(CellState.EMPTY, "-", " ".join(["Not applied yet: space marks it, enter starts.", *fit.remarks]))


def _is_published(job: ApplyJob, maps: Sequence[MapSidecar]) -> bool:
    """Tell whether a job has put its maps of a tomogram in their place."""
    wanted = job.asked.features
    mine = [made for made in maps if not wanted or made.feature in wanted]
    return bool(mine) and all(made.created >= str(job.listing["created"]) for made in mine)


def _busy(facts: Facts, job: ApplyJob, name: str) -> Cell:
    number, progress = job.listing["id"], float(job.listing["progress"])
    mine, others_first = _share(facts, job.asked, name, progress)
    if job.state == "queued" or others_first:
        return Cell(
            CellState.QUEUED,
            "queued",
            f"Job {number} {job.listing.get('waits_for') or 'comes to it'}; s stops the job.",
            number,
            0.0,
            False,
        )
    left = clock(job.listing["eta_seconds"])
    words = f"{bar(mine, BAR)} {mine:4.0%}"
    said = f"Job {number} is at it" + (f", about {left} left for all of it" if left else "")
    return Cell(CellState.RUNNING, f"{words} {left}".rstrip(), f"{said}; s stops the job.", number, mine, False)


def _share(facts: Facts, asked: ApplyRequest, name: str, progress: float) -> tuple[float, bool]:
    """Return how much of one tomogram a job has, and whether another one comes first."""
    slabs = [_slabs(facts, other, asked.z) for other in asked.tomograms]
    place = asked.tomograms.index(name)
    done = progress * sum(slabs) - sum(slabs[:place])
    return min(max(done / max(slabs[place], 1), 0.0), 1.0), place > 0 and done < 0.5


def _slabs(facts: Facts, name: str, z: str | None) -> int:
    tomogram = facts.tomogram(name)
    if tomogram is None:
        return 0
    start, stop = z_range(z, tomogram.record.shape_zyx[0])
    return ceil(stop / SLAB) - start // SLAB


def _broken(job: ApplyJob) -> Cell:
    number, said = job.listing["id"], f"{job.listing['fault'] or ''} {job.listing['fix'] or ''}".strip()
    state = CellState(job.state)
    share = f" {job.listing['progress']:.0%}" if job.listing["progress"] else ""
    reason = f"Job {number} is {state}: what is finished is kept, r goes on. {said}"
    return Cell(state, f"{state}{share}", reason.strip(), number)


def _mapped(card: NetworkCard, tomogram: TomogramFacts, maps: Sequence[MapSidecar], fit: Fit) -> Cell:
    missing = [feature for feature in card.features if feature not in {made.feature for made in maps}]
    old = [made for made in maps if made.weights_digest != card.weights_digest]
    depth = tomogram.record.shape_zyx[0]
    short = [made for made in maps if list(made.slices) != [(0, depth)]]
    against = f" {fit.fault} {fit.fix}" if fit.fault else ""
    markable = not fit.fault or fit.anyway
    if old:
        said = f"The network has changed since this map was made ({when(old[0].created)}): apply it again.{against}"
        return Cell(CellState.STALE, "stale", said, can_mark=markable)
    if missing:
        said = f"There is no map of {', '.join(missing)} yet.{against}"
        return Cell(CellState.PART, f"{len(maps)} of {len(card.features)} maps", said, can_mark=markable)
    if short:
        ranges = ", ".join(f"{start}-{stop - 1}" for start, stop in short[0].slices) or "nothing"
        said = f"The map fills z {ranges} of 0-{depth - 1}.{against}"
        return Cell(CellState.PART, f"z {ranges}", said, can_mark=markable)
    said = f"Maps of {', '.join(card.features)}, made {when(maps[0].created)}."
    turned = " The densities were turned: its polarity is the other one." if maps[0].sign < 0 else ""
    return Cell(CellState.DONE, "done", said + turned, can_mark=markable)
