"""Cost of jobs on this machine, and whether its resources suffice; commands and forms show it before the start."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import psutil

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files import locks
from tomoseg_tui.files.disk_space import free_bytes
from tomoseg_tui.jobs.dependencies import JobStep
from tomoseg_tui.jobs.device_request import resolve_device, with_device
from tomoseg_tui.jobs.job import all_jobs
from tomoseg_tui.jobs.job_timing import is_busy
from tomoseg_tui.jobs.kinds import KINDS, load_function
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.project.timings import Timing, stored_timing
from tomoseg_tui.workflow.estimates.estimator import (
    Cost,
    FreeResources,
    Speed,
    Work,
    combine_costs,
    estimate,
    require_resources,
)

MAX_JOBS_READ = 50
"""Earlier jobs that are read, newest first."""
NONE_EXPECTED: Mapping[str, NetworkCard] = MappingProxyType({})


def work_of(
    project: Project, kind: str, request: Mapping[str, Any], expected: Mapping[str, NetworkCard] = NONE_EXPECTED
) -> "Work":
    """Return the amount of work of a job on this machine; may read tiles and query the GPU driver.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    request : mapping
        Request of the job.
    expected : mapping
        Cards of networks that are not trained yet, by run.

    Raises
    ------
    TomosegError
        If something that the request names does not exist.
    """
    device = resolve_device(str(request.get("device", "cpu")))
    work: Work = load_function(KINDS[kind].work)(project, with_device(request, device.name), expected)
    return replace(work, device_note=device.note)


def works_of(
    project: Project, jobs: Sequence[JobStep], expected: Mapping[str, NetworkCard] = NONE_EXPECTED
) -> list["Work"]:
    """Return the amount of work of each job of a chain; see `work_of`."""
    return [work_of(project, kind, request, expected) for kind, request, _ in jobs]


@dataclass(frozen=True)
class JobCosts:
    """Cost of jobs that are started together."""

    works: Sequence["Work"]
    costs: Sequence[Cost]
    """One per job."""
    free: FreeResources

    @property
    def total(self) -> Cost:
        """Cost of all jobs together: they run one after the other, unless all run on GPUs."""
        return combine_costs(self.costs, is_sequential=any(work.device != "gpu" for work in self.works))

    def require_resources(self, *, in_slurm: bool) -> None:
        """Refuse the jobs if memory or disk space does not suffice.

        Raises
        ------
        JobError
            Names what would fit.
        """
        largest = max(self.works, key=lambda work: work.disk_bytes)
        for work, cost in [*zip(self.works, self.costs, strict=True), (largest, self.total)]:
            kind = KINDS[work.kind]
            require_resources(
                cost,
                self.free,
                less_memory=kind.less_memory,
                less_disk=kind.less_disk,
                workers=work.workers,
                in_slurm=in_slurm,
            )


def estimate_jobs(
    project: Project,
    works: Sequence["Work"],
    find_timing: Callable[["Work"], Timing | None] = lambda work: stored_timing(work.workload.key),
) -> JobCosts:
    """Return the cost of jobs.

    Parameters
    ----------
    find_timing : callable
        Returns a timing of this machine for some work, or None; by default a stored one.
    """
    costs = []
    for work in works:
        timing = find_timing(work)
        costs.append(estimate(work, timing, None if timing else _earlier_speed(project.layout, work.workload.family)))
    return JobCosts(works, costs, _free_resources(project))


def _earlier_speed(layout: ProjectLayout, family: str) -> Speed | None:
    """Return the speed of the newest job of a family that ran here while the machine was not busy."""
    host = locks.this_process().host
    for job in all_jobs(layout)[:MAX_JOBS_READ]:
        with contextlib.suppress(TomosegError):
            record = job.record()
            speed, is_here = record.speed, record.owner is not None and record.owner.host == host
            if speed is not None and is_here and speed.family == family and not is_busy(speed.load):
                return Speed(speed.size_per_second, job.id)
    return None


def _free_resources(project: Project) -> FreeResources:
    """Return the free resources; all memory counts as free if other jobs of the project run, which end first."""
    memory, has_running_jobs = psutil.virtual_memory(), False
    with contextlib.suppress(TomosegError, OSError):
        has_running_jobs = any(not job.state().is_over for job in all_jobs(project.layout)[:10])
    return FreeResources(int(memory.total if has_running_jobs else memory.available), free_bytes(project.layout.root))


def require_resources_for(
    project: Project, jobs: Sequence[JobStep], expected: Mapping[str, NetworkCard] = NONE_EXPECTED, *, in_slurm: bool
) -> None:
    """Refuse jobs if memory or disk space does not suffice; jobs that cannot be estimated yet are accepted.

    Raises
    ------
    JobError
        Names what would fit.
    """
    try:
        works = works_of(project, jobs, expected)
    except TomosegError:
        return
    estimate_jobs(project, works).require_resources(in_slurm=in_slurm)
