"""The session of the paint editor without widgets: changes, saving, and errors."""

import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.paint_tools import brush_mask
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError, TomosegError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.editor.edit_session import EditRequest, EditSession
from tomoseg_tui.tui.images.tile_images import PredictionSources
from tomoseg_tui.workflow.annotations.paint_session import PaintSession, paint_lock_owner

WANTED, BETA = TileLocation("alpha", 12, 50, 40), TileLocation("beta", 12, 48, 48)
SHAPE, MIDDLE = (64, 64), (32, 32)


class Screen:
    """Calls the functions that a session's thread passes on, like the UI loop, and records the reports."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self.opened: list[TomosegError | None] = []
        self.saved: list[TomosegError | None] = []
        self.session = EditSession(self.call_later, self.saved.append)

    def call_later(self, function: Callable[..., object], *arguments: object) -> None:
        self._calls.put(partial(function, *arguments))

    def wait_for(self, replies: list[TomosegError | None], count: int) -> TomosegError | None:
        while len(replies) < count:
            self._calls.get(timeout=10)()
        return replies[-1]

    def open(self, place: TileLocation = WANTED) -> TomosegError | None:
        features, tile = ("microtubule", "membrane"), catalog.tile_at(self._project.layout, place)
        request = EditRequest(self._project, tile, features, features, PredictionSources((), ()))
        self.session.open(request, self.opened.append)
        return self.wait_for(self.opened, len(self.opened) + 1)

    def dab(self) -> None:
        tool_input = self.session.tool_input
        assert tool_input is not None
        output = self.session.tool_state.press(tool_input)
        assert output is not None
        assert self.session.paint(output) is not None


@pytest.fixture
def screen(small_project: Project) -> Iterator[Screen]:
    screen = Screen(small_project)
    yield screen
    screen.session.end()


def is_painted(project: Project, place: TileLocation = WANTED) -> bool:
    layer = read_layer(project.layout, place, "microtubule")
    return layer is not None and np.array_equal(layer == FEATURE, brush_mask(SHAPE, MIDDLE, 3))


def test_a_session_imports_no_widgets() -> None:
    code = "import sys, tomoseg_tui.tui.annotate.editor.edit_session\nsys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_stroke_is_on_disk_when_the_session_reports_it(small_project: Project, screen: Screen) -> None:
    assert screen.open() is None
    screen.dab()
    assert screen.wait_for(screen.saved, 1) is None
    assert is_painted(small_project)
    assert screen.session.undo() is not None
    assert screen.session.undo() is None


def test_only_the_last_requested_tile_is_opened(screen: Screen, small_project: Project) -> None:
    features = ("microtubule",)
    for place in (WANTED, BETA):
        tile = catalog.tile_at(small_project.layout, place)
        request = EditRequest(small_project, tile, features, features, PredictionSources((), ()))
        screen.session.open(request, screen.opened.append)
    assert screen.wait_for(screen.opened, 1) is None
    assert screen.session.open_tile is not None
    assert screen.session.open_tile.tile.location == BETA


def test_the_unfinished_stroke_is_saved_when_the_tile_is_closed(small_project: Project, screen: Screen) -> None:
    screen.open()
    screen.session.tool_state.toggle_pen()
    screen.session.leave()
    screen.wait_for(screen.saved, 2)
    assert is_painted(small_project)
    assert paint_lock_owner(small_project, WANTED) is None


def test_a_missing_tile_is_an_error(screen: Screen) -> None:
    fault = screen.open(TileLocation("alpha", 3, 50, 40))
    assert fault is not None
    assert "no tile" in fault.fault
    assert screen.session.open_tile is None


def test_strokes_on_a_full_disk_survive_opening_another_tile_and_are_written_later(
    small_project: Project, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: PaintSession) -> int:
        raise ProjectError("The disk is full.", "Make room.")

    with monkeypatch.context() as patch:
        patch.setattr(PaintSession, "save", refuse)
        screen.open()
        screen.dab()
        fault = screen.wait_for(screen.saved, 1)
        assert fault is not None
        assert screen.session.unsaved_strokes == 1
        screen.open(BETA)
        assert screen.wait_for(screen.saved, 2) is None, "the same fault is said once"
        assert screen.session.unsaved_strokes == 1
        screen.open()
        assert screen.session.state is FeatureState.WANTED
        assert screen.session.unsaved_strokes == 1
    screen.session.retry()
    assert screen.wait_for(screen.saved, 4) is None
    assert screen.session.unsaved_strokes == 0
    assert is_painted(small_project)


def test_a_mark_is_in_the_history_once_it_is_saved(small_project: Project, screen: Screen) -> None:
    screen.open()
    marked: list[TomosegError | None] = []
    screen.session.mark(["microtubule"], "--none", lambda: marked.append(None))
    screen.wait_for(marked, 1)
    assert catalog.tile_at(small_project.layout, WANTED).state_of("microtubule") is FeatureState.NONE_HERE
    assert f"annotations set {WANTED.id} --feature microtubule --none" in small_project.layout.history.read_text()
    with pytest.raises(ProjectError, match="holding no microtubule"):
        screen.session.mark(["microtubule"], "--done", lambda: None)


def test_an_internal_error_in_the_thread_is_raised_on_the_ui_thread(
    screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen.open()

    def fail(_self: PaintSession) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(PaintSession, "save", fail)
        screen.dab()
        with pytest.raises(ZeroDivisionError):
            screen.wait_for(screen.saved, 1)
