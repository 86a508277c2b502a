"""Three tiles are painted in a real tmux by keyboard and mouse despite a SIGKILL; a network is trained on them."""

import os
import signal
from pathlib import Path

import psutil
import pytest
from helpers.cli_runner import Tomoseg
from helpers.job_project import NETWORKS_HOOK, hooked
from helpers.tmux_session import Tmux

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.metrics import confusion
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes

FIRST, SECOND, THIRD = (
    TileLocation("cell_a", 24, 35, 193),
    TileLocation("cell_a", 25, 254, 83),
    TileLocation("cell_a", 33, 285, 53),
)
CANVAS_ROW = 4
"""First row of the picture on the screen, from 1; it starts in the first column."""


@pytest.fixture
def folder(project: Project, sample_data: Path) -> Path:
    """A project with three unfinished tiles and one marked none."""
    import_volumes(project, [sample_data / "cell_a.mrc"], ImportRequest(link=True, polarity="dark"))
    wishes = [tile_placement(place, "microtubule", negative=False) for place in (FIRST, SECOND, THIRD)]
    place_tiles(project, [*wishes, tile_placement(TileLocation("cell_a", 36, 117, 148), "microtubule", negative=True)])
    return project.layout.root


@pytest.mark.slow
def test_three_tiles_are_painted_despite_a_kill_and_a_network_is_trained_on_them(
    tmux: Tmux, folder: Path, sample_data: Path, tmp_path: Path
) -> None:
    open_painting(tmux, FIRST)
    paint_by_keyboard(tmux)
    finish(tmux, SECOND)
    paint_by_mouse(tmux)
    kill_in_the_middle(tmux)
    open_painting(tmux, SECOND, undo=1)
    tmux.press("b", "Space")
    tmux.wait_for("undo 2", "on disk")
    tmux.press_for("u", "undo 1")
    finish(tmux, THIRD)
    paint_by_both(tmux)
    tmux.press("Enter")
    answer_and_wait(tmux, "All tiles are done")
    tmux.press_for("q", "ENDED 0")
    check_what_was_painted(folder, sample_data)
    learn_from_it(folder, hooked(tmp_path / "tiny", NETWORKS_HOOK))


def open_painting(tmux: Tmux, place: TileLocation, *, undo: int = 0) -> None:
    tmux.start()
    tmux.wait_for("1 Import", "no job runs")
    tmux.press_for("3", "M microtubule", "to do")
    tmux.press_for("p", f"{place.x},{place.y},{place.z}", f"undo {undo}", "on disk")


def paint_by_keyboard(tmux: Tmux) -> None:
    tmux.press("t", "PPage", "Space", "NPage", "K", "K", "Home", "Space")
    tmux.wait_for("undo 1", "on disk")


def paint_by_mouse(tmux: Tmux) -> None:
    """Drag a filament over the tile; move events are as sparse as over a slow line."""
    tmux.press_for("t", "filament 15 px")
    mouse(tmux, "0", 48, 10, "M")
    mouse(tmux, "32", 44, 14, "M")
    mouse(tmux, "32", 40, 18, "M")
    mouse(tmux, "0", 40, 18, "m")
    tmux.wait_for("undo 1", "on disk")


def mouse(tmux: Tmux, button: str, column: int, row: int, end: str) -> None:
    """Send a mouse event in SGR encoding at a cell of the picture."""
    tmux.type(mouse_bytes(button, column, row, end))


def mouse_bytes(button: str, column: int, row: int, end: str) -> str:
    return f"\x1b[<{button};{column + 1};{row + CANVAS_ROW}{end}"


def kill_in_the_middle(tmux: Tmux) -> None:
    """Kill the program while the pen is down: only the unfinished stroke is lost."""
    tmux.press("b", "d", "l", "l")
    tmux.wait_for("PEN DOWN")
    shell = int(tmux.ask("#{pane_pid}"))
    for process in psutil.Process(shell).children(recursive=True):
        os.kill(process.pid, signal.SIGKILL)
    tmux.wait_for("ENDED 137")
    tmux.kill_server()


def finish(tmux: Tmux, following: TileLocation) -> None:
    tmux.press("Enter")
    answer_and_wait(tmux, f"{following.x},{following.y},{following.z}")
    tmux.wait_for("undo 0", "on disk")


def answer_and_wait(tmux: Tmux, text: str) -> None:
    """Answer yes to a question about the tile, if there is one, and wait for the result."""
    tmux.wait_until(lambda: tmux.sees("Mark it done anyway?") or tmux.sees(text), text)
    if tmux.sees("Mark it done anyway?"):
        tmux.press("y")
    tmux.wait_for(text)


def paint_by_both(tmux: Tmux) -> None:
    """Set the first point by a click that arrives together with the tool's key, the second by keyboard."""
    tmux.type("t" + mouse_bytes("0", 24, 5, "M") + mouse_bytes("0", 24, 5, "m"))
    tmux.wait_for("1 point")
    tmux.press("J", "Home", "Space")
    tmux.wait_for("undo 1", "on disk")


def check_what_was_painted(folder: Path, sample_data: Path) -> None:
    layout = Project.open(folder).layout
    with open_volume(sample_data / "cell_a_labels.mrc.gz") as labels:
        for place in (FIRST, SECOND, THIRD):
            layer = read_layer(layout, place, "microtubule")
            truth = labels.read_region(place.corner_zyx, (1, place.size, place.size))[0] == 1
            assert layer is not None
            assert (layer > 0).all()
            assert confusion(layer == FEATURE, truth).dice > 0.7, place


def learn_from_it(folder: Path, env: dict[str, str]) -> None:
    door = Tomoseg(folder)
    door("trainset", "build", "painted", "--feature", "microtubule")
    argv = ("--network", "tiny", "--epochs", 1, "--batch", 2, "--wait")
    door("train", "--trainset", "painted", "--name", "first", *argv, env=env)
    assert [network["name"] for network in door("networks", "--json").json] == ["first"]
