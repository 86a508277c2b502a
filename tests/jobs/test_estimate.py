"""Estimates from earlier jobs, and the refusal of several jobs together."""

from typing import Any

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import bring
from helpers.run_project import put_job

from tomoseg_tui.errors import JobError
from tomoseg_tui.files import locks
from tomoseg_tui.jobs import estimate
from tomoseg_tui.jobs.estimate import JobCosts, estimate_jobs, require_resources_for, work_of
from tomoseg_tui.jobs.job import JobSpeed
from tomoseg_tui.jobs.job_timing import BUSY_THREADS_PER_CORE
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.estimates.estimator import GUESSED, MEASURED, Cost, FreeResources, Work
from tomoseg_tui.workflow.job_interface import Workload

REQUEST: dict[str, Any] = {"tomograms": ["cell"]}
HERE = locks.this_process()
ELSEWHERE = msgspec.structs.replace(HERE, host="elsewhere")
SPEED = JobSpeed(family="preprocess bin 1", size_per_second=1000.0, load=1.0)


@pytest.fixture
def cell(project: Project) -> Project:
    """A project with a tomogram of 8 x 40 x 50 voxels."""
    bring(project, "cell", np.random.default_rng(1).normal(size=(8, 40, 50)).astype(np.float32))
    return project


def done(project: Project, speed: JobSpeed | None = SPEED, owner: locks.Owner | None = HERE) -> None:
    put_job(project, "preprocess", "cell__preproc", owner=owner, speed=speed)


def cost_of(project: Project) -> Cost:
    return estimate_jobs(project, [work_of(project, "preprocess", REQUEST)]).total


def test_the_speed_is_that_of_the_newest_earlier_job(cell: Project) -> None:
    assert cost_of(cell).source == GUESSED
    done(cell)
    done(cell, msgspec.structs.replace(SPEED, size_per_second=4000.0))
    done(cell, None)
    cost = cost_of(cell)
    assert cost.source == "going by job 2"
    assert cost.seconds == pytest.approx(0.5 + 16_000 / 4000)


@pytest.mark.parametrize(
    ("speed", "owner"),
    [
        (msgspec.structs.replace(SPEED, load=1.01 * BUSY_THREADS_PER_CORE), HERE),
        (msgspec.structs.replace(SPEED, family="preprocess bin 2"), HERE),
        (SPEED, ELSEWHERE),
        (SPEED, None),
    ],
)
def test_jobs_on_busy_or_other_machines_or_of_other_work_are_ignored(
    cell: Project, speed: JobSpeed, owner: locks.Owner | None
) -> None:
    done(cell, speed, owner)
    assert cost_of(cell).source == GUESSED


def costs(*parts: tuple[str, str, int, int], free: FreeResources) -> JobCosts:
    """Return costs of jobs by kind, device, memory and disk."""
    works = [Work(kind, Workload("", 1), disk, 0.0, 1.0, 0.0, {}, device=device) for kind, device, _, disk in parts]
    return JobCosts(works, [Cost(1.0, memory, 0, disk, MEASURED) for _, _, memory, disk in parts], free)


def test_the_cost_of_jobs_is_sequential_unless_all_run_on_gpus() -> None:
    free = FreeResources(100, 100)
    assert costs(("apply", "gpu", 1, 1), ("apply", "gpu", 1, 1), free=free).total.seconds == 1.0
    for devices in (("cpu", "cpu"), ("gpu:1", "gpu:1"), ("gpu", "")):
        assert costs(*(("apply", device, 1, 1) for device in devices), free=free).total.seconds == 2.0


def test_memory_is_required_for_each_job_and_disk_space_for_all_together() -> None:
    jobs = (("train", "cpu", 60_000, 30_000), ("apply", "cpu", 60_000, 50_000))
    costs(*jobs, free=FreeResources(60_000, 80_000)).require_resources(in_slurm=False)
    with pytest.raises(JobError, match="80 kB of disk space; 79 kB is free") as caught:
        costs(*jobs, free=FreeResources(60_000, 79_000)).require_resources(in_slurm=False)
    assert "choose fewer tomograms" in caught.value.fix, "the fix is that of the largest job"
    with pytest.raises(JobError, match="60 kB of memory") as caught:
        costs(*jobs, free=FreeResources(59_000, 80_000)).require_resources(in_slurm=False)
    assert "--batch" in caught.value.fix


def test_jobs_with_pending_inputs_are_not_refused(cell: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "_free_resources", lambda _project: FreeResources(10, 10))
    require_resources_for(cell, [("preprocess", {"tomograms": ["later"]}, ())], in_slurm=False)
    with pytest.raises(JobError, match="disk space"):
        require_resources_for(cell, [("preprocess", REQUEST, ())], in_slurm=False)
