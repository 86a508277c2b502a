"""A name that a job gave back when its worker did not come up, and another has taken since."""

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


def never_up(tomoseg: Tomoseg, hooks: Path, *words: str) -> None:
    assert "did not come up" in tomoseg(*words, code=2, env=hooked(hooks, worker=NEVER_UP)).err


@pytest.mark.slow
def test_a_job_does_not_go_on_under_a_name_that_is_another_jobs(
    kind: str, tubes_project: Project, tomoseg: Tomoseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (kind, "--feature", "tube", "--name", "mine")
    never_up(tomoseg, tmp_path / "hooks", *words)
    stage = Stage(tmp_path / "stage", monkeypatch)
    stage.hold("mine")
    tomoseg(*words, "--epochs", "9")
    what = {"train": "run", "audit": "audit"}[kind]
    before = job_of(tubes_project, "1").record()
    running = tomoseg("jobs", "resume", "1", code=2)
    assert f"The {what} mine is job 2's." in running.err
    stage.let_go("mine")
    becomes(job_of(tubes_project, "2"), JobState.DONE)
    assert tomoseg("jobs", "resume", "1", "--wait", code=2).err == running.err
    assert job_of(tubes_project, "1").record() == before
    assert stage.begun == ["mine"]


@pytest.mark.slow
def test_a_job_takes_its_name_anew_if_it_is_free(
    tubes_project: Project, tomoseg: Tomoseg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("train", "--feature", "tube", "--name", "mine")
    never_up(tomoseg, tmp_path / "hooks", *words)
    assert not tubes_project.layout.network_folder("mine").exists()
    stage = Stage(tmp_path / "stage", monkeypatch)
    tomoseg("jobs", "resume", "1", "--wait")
    assert stage.begun == ["mine"]
    assert "There is a run mine already" in tomoseg(*words, code=2).err


def test_a_name_that_waits_for_its_job_to_begin_is_taken(projects: tuple[Project, Project], stage: Stage) -> None:
    """As a worker finds it that was taken along when another job was resumed."""
    layout = projects[0].layout
    earlier, later = (create_job(layout, "train", "mine", {"name": "mine", "device": "cpu"}) for _ in range(2))
    launch.start_worker(earlier)
    becomes(earlier, JobState.FAILED)
    assert earlier.record().fault == "The run mine is job 2's."
    launch.start_worker(later)
    becomes(later, JobState.DONE)
    assert stage.begun == ["mine"]
