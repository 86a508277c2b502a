"""What jobs will take, for a form to say before they are started, and whether this machine can hold them.

The figures and the words of a refusal are those of `--estimate`; a form says them in one line. What finds them wakes
h5py, which a tab that opens need not wait for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files.disk_space import format_bytes, free_bytes
from tomoseg_tui.jobs.estimate import work_of
from tomoseg_tui.jobs.kinds import KINDS
from tomoseg_tui.jobs.run_benchmark import stored_timing
from tomoseg_tui.jobs.system_load import available_memory
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.tui.format import format_rough_duration

if TYPE_CHECKING:
    from tomoseg_tui.workflow.estimates.estimator import Estimate
    from tomoseg_tui.workflow.estimates.work import Work

MEASURE_KEY = "ctrl+t"
"""The same in every form: no field takes it."""
JobRequest = tuple[str, dict[str, Any]]
"""Kind of a job, and what it is asked."""


@dataclass(frozen=True)
class FreeResources:
    """What this machine has left."""

    memory_bytes: int
    disk_bytes: int


def free_resources(project: Project, *, has_running_jobs: bool) -> FreeResources:
    """Return what there is; only threads call it.

    Parameters
    ----------
    project : Project
        On whose disk.
    has_running_jobs : bool
        Whether jobs are at work, which will have ended when another begins.
    """
    return FreeResources(available_memory(after_other_jobs=has_running_jobs), free_bytes(project.layout.root))


@dataclass(frozen=True)
class JobCost:
    """What one job takes."""

    estimate: "Estimate"
    fault: TomosegError | None
    """Why this machine cannot hold it, and what would help."""


def estimate_work(project: Project, job_request: JobRequest) -> "Work":
    """Return how much a job has to do, guessed for this machine."""
    return work_of(project, *job_request)


def cost_of(
    project: Project, job_request: JobRequest, timings: Mapping[str, Timing], *, has_running_jobs: bool
) -> JobCost:
    """Return what a job takes; only threads call it.

    Parameters
    ----------
    project : Project
    job_request : Ask
    timings : mapping
        What the form has measured, by key.
    has_running_jobs : bool
        Whether jobs are at work.

    Raises
    ------
    TomosegError
        If something that is asked for is not there.
    """
    from tomoseg_tui.workflow.estimates.estimator import estimate  # noqa: PLC0415

    work = estimate_work(project, job_request)
    job_estimate = estimate(work, timings.get(work.workload.key) or stored_timing(work.workload.key))
    return JobCost(
        job_estimate,
        resource_error(
            work.kind, job_estimate, free_resources(project, has_running_jobs=has_running_jobs), workers=work.workers
        ),
    )


def resource_error(
    kind: str, job_estimate: "Estimate", free: FreeResources, *, workers: int = 1
) -> TomosegError | None:
    """Return why a machine cannot hold a job, as the command says it; None if it can."""
    from tomoseg_tui.workflow.estimates.estimator import require_memory_and_disk  # noqa: PLC0415

    try:
        require_memory_and_disk(
            job_estimate,
            memory_bytes=free.memory_bytes,
            disk_bytes=free.disk_bytes,
            workers=workers,
            less_memory=KINDS[kind].less_memory,
            less_disk=KINDS[kind].less_disk,
        )
    except TomosegError as fault:
        return fault
    return None


def require_resources(project: Project, job_request: JobRequest, *, has_running_jobs: bool) -> None:
    """Refuse a job that this machine cannot hold, as the command does.

    Raises
    ------
    TomosegError
        Says what would help.
    """
    fault = cost_of(project, job_request, {}, has_running_jobs=has_running_jobs).fault
    if fault is not None:
        raise fault


def format_cost(cost: JobCost, benchmark_state: str) -> str:
    """Return what a job takes in one line, and why it cannot be.

    Parameters
    ----------
    cost : Price
    benchmark_state : str
        What there is to say of a measurement: see `format_benchmark_state`.
    """
    job_estimate = cost.estimate
    time_text = (
        f"About {format_rough_duration(job_estimate.seconds)}, as measured here" if job_estimate.is_measured else ""
    )
    line = f"{benchmark_state or time_text}; {format_resources(job_estimate)}."
    return f"{line}\n! {cost.fault.fault} {cost.fault.fix}" if cost.fault is not None else line


def format_resources(job_estimate: "Estimate") -> str:
    """Return what a job needs beside time."""
    video_text = f"{format_bytes(job_estimate.gpu_bytes)} of video memory, " if job_estimate.gpu_bytes else ""
    unknown_text = "video memory not known, " if job_estimate.gpu_bytes is None else ""
    return (
        f"about {format_bytes(job_estimate.memory_bytes)} of memory, "
        f"{video_text or unknown_text}{format_bytes(job_estimate.disk_bytes)} of the disk"
    )


def format_benchmark_state(*, is_measured: bool, is_running: bool, has_failed: bool) -> str:
    """Return what there is to say of a measurement; nothing where it is done."""
    if is_running:
        return "Measuring ..."
    if is_measured:
        return ""
    return "It cannot be measured" if has_failed else f"Time: {MEASURE_KEY} measures"
