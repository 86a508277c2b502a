"""What jobs take on this machine, and whether it has that: for commands and forms to say before the jobs start."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files import locks
from tomoseg_tui.files.disk_space import free_bytes
from tomoseg_tui.jobs.dependencies import JobStep
from tomoseg_tui.jobs.device_request import resolve_device, with_device
from tomoseg_tui.jobs.job import all_jobs
from tomoseg_tui.jobs.kinds import KINDS, load_function
from tomoseg_tui.jobs.run_benchmark import stored_timing
from tomoseg_tui.jobs.system_load import available_memory
from tomoseg_tui.jobs.timing_from_job import is_busy
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.workflow.estimates.estimator import (
    Cost,
    FreeResources,
    Speed,
    combine_costs,
    estimate,
    require_resources,
)

if TYPE_CHECKING:
    from tomoseg_tui.workflow.estimates.work import Work

MAX_JOBS_READ = 50
"""Earlier jobs that are looked at, the newest first."""
NONE_EXPECTED: Mapping[str, NetworkCard] = MappingProxyType({})


def work_of(
    project: Project, kind: str, request: Mapping[str, Any], expected: Mapping[str, NetworkCard] = NONE_EXPECTED
) -> "Work":
    """Return how much a job has to do on this machine; may read tiles, and ask the driver of GPUs.

    Parameters
    ----------
    project : Project
    kind : str
        One of `KINDS`.
    request : mapping
        What the job is asked to do.
    expected : mapping
        Cards of networks that are still to be trained, by run.

    Raises
    ------
    TomosegError
        If something that the request names is not there.
    """
    device = resolve_device(str(request.get("device", "cpu")))
    work: Work = load_function(KINDS[kind].work)(project, with_device(request, device.name), expected)
    return replace(work, device_note=device.note)


def works_of(
    project: Project, jobs: Sequence[JobStep], expected: Mapping[str, NetworkCard] = NONE_EXPECTED
) -> list["Work"]:
    """Return how much each job of a chain has to do; see `work_of`."""
    return [work_of(project, kind, request, expected) for kind, request, _ in jobs]


@dataclass(frozen=True)
class JobCosts:
    """What jobs take that are started together."""

    works: Sequence["Work"]
    costs: Sequence[Cost]
    """One a job."""
    free: FreeResources

    @property
    def total(self) -> Cost:
        """What they take together: only jobs that may each have a GPU do not wait for one another."""
        return combine_costs(self.costs, is_sequential=any(work.device != "gpu" for work in self.works))

    def require_resources(self, *, in_slurm: bool) -> None:
        """Refuse them if memory or disk does not suffice.

        Raises
        ------
        JobError
            Says what would fit.
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
    """Return what jobs take.

    Parameters
    ----------
    project : Project
    works : sequence of Work
        At least one.
    find_timing : callable
        Returns a timing of this machine for work of this kind, if there is one; by default one that is stored.
    """
    costs = []
    for work in works:
        timing = find_timing(work)
        costs.append(estimate(work, timing, None if timing else _earlier_speed(project.layout, work.workload.family)))
    return JobCosts(works, costs, _free_resources(project))


def _earlier_speed(layout: ProjectLayout, family: str) -> Speed | None:
    """Return the speed of the newest job alike that had this machine nearly to itself."""
    host = locks.this_process().host
    for job in all_jobs(layout)[:MAX_JOBS_READ]:
        with contextlib.suppress(TomosegError):
            record = job.record()
            speed, is_here = record.speed, record.owner is not None and record.owner.host == host
            if speed is not None and is_here and speed.family == family and not is_busy(speed.load):
                return Speed(speed.size_per_second, job.id)
    return None


def _free_resources(project: Project) -> FreeResources:
    """Return what jobs can have: free memory, or all where other jobs that are at work end first."""
    has_running_jobs = False
    with contextlib.suppress(TomosegError, OSError):
        has_running_jobs = any(not job.state().is_over for job in all_jobs(project.layout)[:10])
    return FreeResources(available_memory(after_other_jobs=has_running_jobs), free_bytes(project.layout.root))


def require_resources_for(
    project: Project, jobs: Sequence[JobStep], expected: Mapping[str, NetworkCard] = NONE_EXPECTED, *, in_slurm: bool
) -> None:
    """Refuse jobs for which memory or disk does not suffice; what cannot be estimated yet is let through.

    Raises
    ------
    JobError
        Says what would fit.
    """
    try:
        works = works_of(project, jobs, expected)
    except TomosegError:
        return
    estimate_jobs(project, works).require_resources(in_slurm=in_slurm)
