"""Networks in a real Slurm: a preempted training, and an array that shares the slabs of an apply."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg, wait_until
from helpers.job_project import NETWORKS_HOOK, SLOW_STEPS, copied, held_workers, hooked
from helpers.slurm_cluster import Cluster

from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project.catalog import Project

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

TRAINING = ("--feature", "tube", "--network", "tiny", "--epochs", 3, "--batch", 2, "--seed", 3)


def _wait(holds: Callable[[], bool]) -> None:
    """Wait as long as TensorFlow may need to be imported several times in parallel."""
    wait_until(holds, seconds=240)


def job_of(project: Project, job_id: str) -> Job:
    """Return a job by its number; the first two trained and applied `net`."""
    return Job(project.layout.job_folder(job_id))


def number_of(job: Job) -> str:
    """Return Slurm's number of a job."""
    part = job.record().slurm
    assert part is not None
    return str(part.job)


def map_of(project: Project, run: str) -> bytes:
    return project.layout.map_file("tubes", run, "tube").read_bytes()


@pytest.fixture(scope="module")
def applied_template(tubes_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project whose network `net` was trained and applied here by jobs 1 and 2, on one core."""
    place = tmp_path_factory.mktemp("applied")
    shutil.copytree(tubes_template.parent, place / "tubes")
    env = {**hooked(place / "tiny", NETWORKS_HOOK), "SLURM_CPUS_ON_NODE": "1"}  # sums depend on the number of threads
    run = Tomoseg(place / "tubes" / "project")
    run("train", *TRAINING, "--name", "net", "--wait", env=env)
    run("apply", "net", "tubes", "--wait", env=env)
    return place / "tubes" / "project"


@pytest.fixture
def project(applied_template: Path, tmp_path: Path) -> Iterator[Project]:
    """Return a copy of it for one test, after which its jobs are ended."""
    yield from copied(applied_template, tmp_path / "applied")


@pytest.fixture
def tomoseg(project: Project) -> Tomoseg:
    """Return the program, run in that copy."""
    return Tomoseg(project.layout.root)


def test_a_preempted_training_resumes_and_an_array_applies_it_like_one_worker(
    cluster: Cluster, project: Project, tomoseg: Tomoseg, tmp_path: Path
) -> None:
    """The settings are those of `net`, so the network and the map are the same."""
    env = hooked(tmp_path / "slow", NETWORKS_HOOK, worker=SLOW_STEPS.format(seconds=0.1))
    tomoseg("train", *TRAINING, "--name", "again", "--slurm", "cpus=1", env=env)
    tomoseg("apply", "again", "tubes", "--workers", 3, "--slurm", "cpus=1", "--after", "3", env=env)
    training, applying = job_of(project, "3"), job_of(project, "4")
    _wait(lambda: len(training.metrics()) > 0)
    cluster("scancel", "--signal=TERM", "--batch", number_of(training))
    _wait(lambda: training.state() is JobState.QUEUED)
    assert 0 < len(training.metrics()) < 3
    assert applying.listing()["waits_for"] == "waiting in Slurm: Dependency"
    _wait(lambda: training.state() is JobState.DONE)
    _wait(lambda: applying.state().is_over)
    assert applying.state() is JobState.DONE, applying.listing()
    assert map_of(project, "again") == map_of(project, "net")
    logs = [log.read_text() for log in (applying.log_file, *applying.folder.glob("task_*.log"))]
    assert {f"task {number}." for number in range(3)} <= {line[-7:] for log in logs for line in log.splitlines()}


def test_when_the_owner_of_an_array_is_killed_another_task_takes_over(
    cluster: Cluster, project: Project, tomoseg: Tomoseg, tmp_path: Path
) -> None:
    undisturbed = map_of(project, "net")
    project.layout.map_file("tubes", "net", "tube").unlink()
    workers = held_workers(tmp_path / "held", NETWORKS_HOOK)
    tomoseg("apply", "net", "tubes", "--workers", 2, "--slurm", "cpus=1", env=workers.env)
    job = job_of(project, "3")
    _wait(lambda: job.record().owner is not None)
    first = job.record().owner
    assert first is not None
    _wait(lambda: len(list(job.partial.glob("*/tubes/finished*.jsonl"))) == 2)
    os.kill(first.pid, signal.SIGKILL)
    _wait(lambda: job.record().owner not in {None, first})
    workers.let_go()
    _wait(lambda: job.state().is_over)
    assert job.state() is JobState.DONE, job.listing()
    assert map_of(project, "net") == undisturbed
