"""Fixtures of several rooms: a project, the sample data, and the program itself."""

from pathlib import Path

import pytest
from support import Tomoseg

from tomoseg_tui.project.catalog import Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A real folder, empty but for what `init` makes."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Where cell_a.mrc, cell_b.mrc, their labels and tiles.csv lie."""
    return Path(__file__).parents[1] / "sample_data"


@pytest.fixture
def tomoseg(project: Project) -> Tomoseg:
    """The program, run as a process of its own in the project's folder."""
    return Tomoseg(project.layout.root)
