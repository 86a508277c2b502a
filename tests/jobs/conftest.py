"""A project with tubes, copied for each test; and trainings and merges that only wait."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Tomoseg
from helpers.job_project import SHAPE_ZYX, Held, copied, held_workers, make_map, make_tubes_project
from helpers.stub_worker import Stage

from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import all_jobs
from tomoseg_tui.project.catalog import Project, make_project


@pytest.fixture(scope="session")
def tubes_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one tomogram and tiles; only copies of it are changed."""
    return make_tubes_project(tmp_path_factory.mktemp("template") / "tubes")


@pytest.fixture
def tubes_project(tubes_template: Path, tmp_path: Path) -> Iterator[Project]:
    """A copy of the template for one test; its jobs are killed after the test."""
    yield from copied(tubes_template, tmp_path / "tubes")


@pytest.fixture
def tomoseg(tubes_project: Project) -> Tomoseg:
    """The program, run in the project with tubes."""
    return Tomoseg(tubes_project.layout.root)


@pytest.fixture
def one_map(tubes_project: Project) -> Path:
    """A random map in the project with tubes."""
    values = np.random.default_rng(3).integers(0, 128, SHAPE_ZYX).astype(np.int8)
    return make_map(tubes_project.layout, values, run="one")


@pytest.fixture
def held(tmp_path: Path) -> Held:
    """Merges that wait after the first of their three slabs."""
    return held_workers(tmp_path / "hooks")


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Trainings that wait until they are released."""
    return Stage(tmp_path / "stage", monkeypatch)


@pytest.fixture
def projects(tmp_path: Path) -> Iterator[tuple[Project, Project]]:
    """Two empty projects; their jobs are killed after the test."""
    made = make_project(tmp_path / "lamella"), make_project(tmp_path / "other")
    yield made
    for project in made:
        for job in all_jobs(project.layout):
            launch.kill(job)
