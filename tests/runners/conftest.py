"""A project with tubes, copied for each test, and a tiny network in the library."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg
from helpers.job_project import NETWORKS_HOOK, copied, hooked, make_tubes_project

from tomoseg_tui.project.catalog import Project


@pytest.fixture(scope="session")
def tubes_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with one tomogram and tiles, which tests only copy."""
    return make_tubes_project(tmp_path_factory.mktemp("template") / "tubes")


@pytest.fixture
def tubes_project(tubes_template: Path, tmp_path: Path) -> Iterator[Project]:
    """Return a copy of it for one test, after which its jobs are ended."""
    yield from copied(tubes_template, tmp_path / "tubes")


@pytest.fixture
def tomoseg(tubes_project: Project) -> Tomoseg:
    """Return the program, run in the project with tubes."""
    return Tomoseg(tubes_project.layout.root)


@pytest.fixture
def tiny(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a network `tiny`."""
    return hooked(tmp_path / "tiny", NETWORKS_HOOK)


@pytest.fixture(scope="session")
def trained_template(tubes_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project with two runs of the tiny network: `net`, and `negatives` with other weights."""
    place = tmp_path_factory.mktemp("trained")
    shutil.copytree(tubes_template.parent, place / "tubes")
    env = hooked(place / "tiny", NETWORKS_HOOK)
    run = Tomoseg(place / "tubes" / "project")
    for name, seed in (("net", 3), ("other", 4)):
        argv = ("--feature", "tube", "--network", "tiny", "--epochs", 3, "--batch", 2)
        run("train", *argv, "--name", name, "--seed", seed, "--wait", env=env)
    return place / "tubes" / "project"


@pytest.fixture
def trained_project(trained_template: Path, tmp_path: Path) -> Iterator[Project]:
    """Return a copy of that for one test."""
    yield from copied(trained_template, tmp_path / "trained")


@pytest.fixture
def trained(trained_project: Project) -> Tomoseg:
    """Return the program, run in the project with two networks."""
    return Tomoseg(trained_project.layout.root)
