"""The command line run in this process, and volumes to import."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.cli_runner import Run, digest_of, noise, write_mrc

from tomoseg_tui.cli.main import run
from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]


@pytest.fixture
def door(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Door:
    """Like `tomoseg`, but in this process: faster, for tests of many variants."""
    monkeypatch.chdir(project.layout.root)

    def command(*arguments: object, code: int = 0) -> Run:
        capsys.readouterr()
        ended = run([str(word) for word in arguments])
        captured = capsys.readouterr()
        done = Run(ended, captured.out, captured.err)
        assert done.code == code, f"exit {done.code}\n{done.out}\n{done.err}"
        return done

    return command


@pytest.fixture
def refused(door: Door, project: Project) -> Callable[..., str]:
    """Run a command that must exit with 2, print nothing and leave the project unchanged; return its stderr."""

    def command(*arguments: object) -> str:
        before = digest_of(project.layout.root)
        done = door(*arguments, code=2)
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
    """A project with the tomogram `cell`."""
    door("import", cell)
    return project
