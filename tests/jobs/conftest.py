"""A project with tubes, copied for each test; and trainings that only wait."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from queued import Stage
from support import Tomoseg
from tubes import make_tubes_project

from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.record import all_jobs
from tomoseg_tui.project.catalog import Project, make_project


@pytest.fixture(scope="session")
def tubes_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one tomogram and tiles; never worked in."""
    return make_tubes_project(tmp_path_factory.mktemp("template") / "tubes")


@pytest.fixture
def tubes_project(tubes_template: Path, tmp_path: Path) -> Iterator[Project]:
    """A copy of it for one test; its jobs are ended with the test."""
    shutil.copytree(tubes_template.parent, tmp_path / "tubes")
    project = Project.open(tmp_path / "tubes" / "project")
    yield project
    for job in all_jobs(project.layout):
        launch.kill(job)


@pytest.fixture
def tomoseg(tubes_project: Project) -> Tomoseg:
    """The program, run in the project with tubes."""
    return Tomoseg(tubes_project.layout.root)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Trainings that wait until they are let go."""
    return Stage(tmp_path / "stage", monkeypatch)


@pytest.fixture
def projects(tmp_path: Path) -> Iterator[tuple[Project, Project]]:
    """Two empty projects; their jobs are ended with the test."""
    made = make_project(tmp_path / "lamella"), make_project(tmp_path / "other")
    yield made
    for project in made:
        for job in all_jobs(project.layout):
            launch.kill(job)
