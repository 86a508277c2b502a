"""The front door of the program, and volumes to bring through it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cli_runner import Run, digest_of, noise, write_mrc

from tomoseg_tui.cli.main import run
from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]


@pytest.fixture
def door(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Door:
    """The same as `tomoseg`, without a process of its own: for the many variants."""
    monkeypatch.chdir(project.layout.root)

    def command(*words: object, code: int = 0) -> Run:
        capsys.readouterr()
        ended = run([str(word) for word in words])
        captured = capsys.readouterr()
        done = Run(ended, captured.out, captured.err)
        assert done.code == code, f"exit {done.code}\n{done.out}\n{done.err}"
        return done

    return command


@pytest.fixture
def refused(door: Door, project: Project) -> Callable[..., str]:
    """A command that must end with exit 2, print nothing, and leave the project as it was; returns its stderr."""

    def command(*words: object) -> str:
        before = digest_of(project.layout.root)
        done = door(*words, code=2)
        assert digest_of(project.layout.root) == before, "the project has changed"
        assert not done.out
        return done.err

    return command


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    """An MRC file of 8 x 128 x 128 signed bytes at 10 Å, with an origin."""
    return write_mrc(tmp_path / "cell.mrc", noise((8, 128, 128)), origin_xyz=(100.0, -20.0, 5.0), nstart_xyz=(3, -2, 1))


@pytest.fixture
def with_cell(project: Project, door: Door, cell: Path) -> Project:
    """A project that holds the tomogram `cell`."""
    door("import", cell)
    return project
