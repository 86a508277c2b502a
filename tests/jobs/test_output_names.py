"""Output names that were released because the worker did not start, and then used by another job."""

from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg
from helpers.job_project import hooked
from helpers.stub_worker import Stage, becomes

from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, JobState, create_job
from tomoseg_tui.project.catalog import Project

NEVER_UP = "import os\nos._exit(3)"


def job_of(project: Project, job_id: str) -> Job:
    return Job(project.layout.job_folder(job_id))


@pytest.fixture(params=["train", "audit"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def never_up(tomoseg: Tomoseg, hooks: Path, *arguments: str) -> None:
    assert "did not start" in tomoseg(*arguments, code=2, env=hooked(hooks, worker=NEVER_UP)).err


@pytest.mark.slow
def test_a_job_does_not_resume_under_the_name_of_another_job(
    kind: str, tubes_project: Project, tomoseg: Tomoseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (kind, "--feature", "tube", "--name", "mine")
    never_up(tomoseg, tmp_path / "hooks", *arguments)
    stage = Stage(tmp_path / "stage", monkeypatch)
    stage.hold("mine")
    tomoseg(*arguments, "--epochs", "9")
    what = {"train": "run", "audit": "audit"}[kind]
    before = job_of(tubes_project, "1").record()
    running = tomoseg("jobs", "resume", "1", code=2)
    assert f"The {what} mine belongs to job 2." in running.err
    stage.let_go("mine")
    becomes(job_of(tubes_project, "2"), JobState.DONE)
    assert tomoseg("jobs", "resume", "1", "--wait", code=2).err == running.err
    assert job_of(tubes_project, "1").record() == before
    assert stage.begun == ["mine"]


@pytest.mark.slow
def test_a_resumed_job_reserves_its_name_again_if_it_is_free(
    tubes_project: Project, tomoseg: Tomoseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("train", "--feature", "tube", "--name", "mine")
    never_up(tomoseg, tmp_path / "hooks", *arguments)
    assert not tubes_project.layout.network_folder("mine").exists()
    stage = Stage(tmp_path / "stage", monkeypatch)
    tomoseg("jobs", "resume", "1", "--wait")
    assert stage.begun == ["mine"]
    assert "There is a run mine already" in tomoseg(*arguments, code=2).err


def test_the_name_of_a_queued_job_is_in_use(projects: tuple[Project, Project], stage: Stage) -> None:
    """As for a worker that is resumed as a dependent of another job."""
    layout = projects[0].layout
    earlier, later = (create_job(layout, "train", "mine", {"name": "mine", "device": "cpu"}) for _ in range(2))
    launch.start_worker(earlier)
    becomes(earlier, JobState.FAILED)
    assert earlier.record().fault == "The run mine belongs to job 2."
    launch.start_worker(later)
    becomes(later, JobState.DONE)
    assert stage.begun == ["mine"]
