"""What jobs will take, for a form to say before they are started, and whether this machine can hold them.

The figures and the words of a refusal are those of `--estimate`; a form says them in one line. What finds them wakes
h5py, which a tab that opens need not wait for.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files.disk_space import free_bytes, in_units
from tomoseg_tui.jobs.run_benchmark import known_pace
from tomoseg_tui.jobs.system_load import memory_to_be_had
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Pace
from tomoseg_tui.tui.format import roughly

if TYPE_CHECKING:
    from tomoseg_tui.workflow.estimates.estimator import Estimate, Work

MEASURE_KEY = "ctrl+t"
"""The same in every form: no field takes it."""
Ask = tuple[str, dict[str, Any]]
"""Kind of a job, and what it is asked."""


@dataclass(frozen=True)
class Room:
    """What this machine has left."""

    memory_bytes: int
    disk_bytes: int


def room_of(project: Project, *, others: bool) -> Room:
    """Return what there is; only threads call it.

    Parameters
    ----------
    project : Project
        On whose disk.
    others : bool
        Whether jobs are at work, which will have ended when another begins.
    """
    return Room(memory_to_be_had(others_end_first=others), free_bytes(project.layout.root))


@dataclass(frozen=True)
class Price:
    """What one job takes."""

    found: "Estimate"
    fault: TomosegError | None
    """Why this machine cannot hold it, and what would help."""


def work_here(project: Project, ask: Ask) -> "Work":
    """Return how much a job has to do, guessed for this machine."""
    from tomoseg_tui.workflow.estimates.estimator import work_of  # noqa: PLC0415

    return work_of(project, *ask, cores=len(os.sched_getaffinity(0)))


def price_of(project: Project, ask: Ask, paces: Mapping[str, Pace], *, others: bool) -> Price:
    """Return what a job takes; only threads call it.

    Parameters
    ----------
    project : Project
    ask : Ask
    paces : mapping
        What the form has measured, by key.
    others : bool
        Whether jobs are at work.

    Raises
    ------
    TomosegError
        If something that is asked for is not there.
    """
    from tomoseg_tui.workflow.estimates.estimator import estimate  # noqa: PLC0415

    work = work_here(project, ask)
    found = estimate(work, paces.get(work.key) or known_pace(work.key))
    return Price(found, refusal(work.kind, found, room_of(project, others=others), workers=work.workers))


def refusal(kind: str, found: "Estimate", room: Room, *, workers: int = 1) -> TomosegError | None:
    """Return why a machine cannot hold a job, as the command says it; None if it can."""
    from tomoseg_tui.workflow.estimates.estimator import refuse_what_does_not_fit  # noqa: PLC0415

    try:
        refuse_what_does_not_fit(
            kind, found, memory_bytes=room.memory_bytes, disk_bytes=room.disk_bytes, workers=workers
        )
    except TomosegError as fault:
        return fault
    return None


def refuse(project: Project, ask: Ask, *, others: bool) -> None:
    """Refuse a job that this machine cannot hold, as the command does.

    Raises
    ------
    TomosegError
        Says what would help.
    """
    fault = price_of(project, ask, {}, others=others).fault
    if fault is not None:
        raise fault


def price_in_words(price: Price, state: str) -> str:
    """Return what a job takes in one line, and why it cannot be.

    Parameters
    ----------
    price : Price
    state : str
        What there is to say of a measurement: see `measuring_in_words`.
    """
    found = price.found
    time = f"About {roughly(found.seconds)}, as measured here" if found.measured else ""
    line = f"{state or time}; {needs_in_words(found)}."
    return f"{line}\n! {price.fault.fault} {price.fault.fix}" if price.fault is not None else line


def needs_in_words(found: "Estimate") -> str:
    """Return what a job needs beside time."""
    video = f"{in_units(found.video_bytes)} of video memory, " if found.video_bytes else ""
    unknown = "video memory not known, " if found.video_bytes is None else ""
    return f"about {in_units(found.memory_bytes)} of memory, {video or unknown}{in_units(found.disk_bytes)} of the disk"


def measuring_in_words(*, measured: bool, busy: bool, failed: bool) -> str:
    """Return what there is to say of a measurement; nothing where it is done."""
    if busy:
        return "Measuring ..."
    if measured:
        return ""
    return "It cannot be measured" if failed else f"Time: {MEASURE_KEY} measures"


def all_together(costs: Sequence["Estimate"], *, in_turn: bool) -> "Estimate":
    """Return what several jobs take.

    Parameters
    ----------
    costs : sequence of Estimate
        One a job.
    in_turn : bool
        Whether one waits for the other, as on the CPU; else each has a device of its own.
    """
    from tomoseg_tui.workflow.estimates.estimator import Estimate  # noqa: PLC0415

    join = (sum, max) if in_turn else (max, sum)
    videos = [one.video_bytes for one in costs]
    return Estimate(
        seconds=join[0](one.seconds for one in costs),
        memory_bytes=join[1](one.memory_bytes for one in costs),
        video_bytes=None if None in videos else max((one or 0 for one in videos), default=0),
        disk_bytes=sum(one.disk_bytes for one in costs),
        measured=all(one.measured for one in costs),
    )
