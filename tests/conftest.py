"""Fixtures of several rooms: a project, the sample data, and the program itself. Each test has a queue of its own."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg
from helpers.reference_results import make_template
from helpers.slurm_cluster import Cluster, missing_commands, running_cluster

from tomoseg_tui.project.catalog import Project, make_project

_QUEUES = Path(tempfile.mkdtemp(prefix="tomoseg-test-queues-"))
_NUMBERS = itertools.count()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let the jobs of a test wait for one another only, and keep the user's own wishes and figures out of them."""
    number = next(_NUMBERS)
    os.environ["TOMOSEG_QUEUE_FOLDER"] = str(_QUEUES / str(number))
    os.environ["XDG_CACHE_HOME"] = str(_QUEUES / f"cache_{number}")
    os.environ["XDG_CONFIG_HOME"] = str(_QUEUES / "config")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # results are compared as the CPU computes them


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing in the temporary folder."""
    shutil.rmtree(_QUEUES, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Slurm of one node, which all programs that are started then speak with."""
    missing = missing_commands()
    if missing:
        assert os.environ.get("CI") != "1", f"{missing} are missing, and without them nobody knows whether Slurm works"
        pytest.skip(f"{missing} are missing: whether jobs run in Slurm was NOT tested (make test-slurm installs them)")
    with running_cluster(tmp_path_factory.mktemp("slurm")) as cluster, pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.env.items():
            patch.setenv(name, value)
        yield cluster


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A real folder, empty but for what `init` makes."""
    return make_project(tmp_path / "project")


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """Where cell_a.mrc, cell_b.mrc, their labels and tiles.csv lie."""
    return Path(__file__).parents[1] / "sample_data"


@pytest.fixture(scope="session")
def small_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a network of some 300 parameters, and maps by it; never worked in."""
    return make_template(tmp_path_factory.mktemp("small") / "template")


@pytest.fixture
def tomoseg(project: Project) -> Tomoseg:
    """The program, run as a process of its own in the project's folder."""
    return Tomoseg(project.layout.root)
