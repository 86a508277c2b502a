"""Fixtures of the full-screen program: a small project, and the program on it."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import bring, noise, write_mrc
from helpers.pilot import MakeApp
from helpers.tmux_session import Tmux
from numpy.typing import NDArray

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project.catalog import Project, make_project
from tomoseg_tui.project.user_config import UserConfig
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.workflow.annotations.import_annotations import import_masks
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement

SHAPE_ZYX = (24, 96, 96)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Isolate config, sessions and logs of a test, and remove the environment of the terminal."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("NO_COLOR", "TOMOSEG_RENDERER", "TMUX"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def _small_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small project, made once and copied by the tests."""
    root = tmp_path_factory.mktemp("template") / "small"
    project = make_project(root)
    for seed, name in enumerate(("alpha", "beta")):
        bring(project, name, noise(SHAPE_ZYX, seed=seed))
    place_tiles(
        project,
        [
            tile_placement(TileLocation("alpha", 6, 48, 48), "microtubule", negative=False),
            tile_placement(TileLocation("alpha", 12, 50, 40), "microtubule", negative=False),
            tile_placement(TileLocation("alpha", 18, 48, 48), "membrane", negative=False),
            tile_placement(TileLocation("alpha", 18, 48, 48), "microtubule", negative=True),
            tile_placement(TileLocation("beta", 12, 48, 48), "microtubule", negative=False),
        ],
    )
    masks = write_mrc(root.parent / "masks.mrc", stripe()[np.newaxis])
    import_masks(Project.open(root), masks, "microtubule", [TileLocation("alpha", 6, 48, 48)])
    import_masks(Project.open(root), masks, "membrane", [TileLocation("alpha", 18, 48, 48)])
    return root


def stripe() -> NDArray[np.int8]:
    """Return a mask of a tile: a stripe of 8 of its 64 rows."""
    mask = np.zeros((64, 64), np.int8)
    mask[28:36] = 1
    return mask


@pytest.fixture
def small_project(_small_template: Path, tmp_path: Path) -> Project:
    """Two tomograms alpha and beta of 24 x 96 x 96 voxels of noise; microtubule and membrane; tiles.

    alpha: microtubule annotated at 48,48,6 and wanted at 40,50,12; at 48,48,18 membrane annotated and no
    microtubule. beta: microtubule wanted at 48,48,12.
    """
    shutil.copytree(_small_template, tmp_path / "small")
    return Project.open(tmp_path / "small")


@pytest.fixture
def make_app() -> MakeApp:
    """Return a function that makes the app: ``async with make_app(project, tab="tiles").run_test(...)``."""

    def make(project: Project, *, tab: str | None = None, config: UserConfig | None = None) -> TomosegApp:
        app = TomosegApp(project, config or UserConfig())
        app.animation_level = "none"
        if tab is not None:
            app.session = replace(app.session, tab=tab)
        return app

    return make


@pytest.fixture
def tmux(folder: Path, tmp_path: Path) -> Iterator[Tmux]:
    """A tmux session; the program is often used in tmux."""
    if shutil.which("tmux") is None:
        assert os.environ.get("CI") != "1", "tmux is missing; the program must be tested in it"
        pytest.skip("tmux is missing: the program was NOT walked through (make tools installs it)")
    environment = {
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "TEXTUAL_ANIMATIONS": "none",
        "LC_ALL": "C.UTF-8",
    }
    terminal = Tmux(folder, environment)
    yield terminal
    terminal.kill_server()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark most tests of whole programs as slow, because one takes half a second to start; those of the app stay."""
    for item in items:
        starts_program = "make_app" in getattr(item, "fixturenames", ())
        if starts_program and item.path.name != "test_app.py":
            item.add_marker(pytest.mark.slow)
