"""The program starts with the replies of its terminal."""

import sys

import pytest

from tomoseg_tui.cli.main import run
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.canvas.draw_style import draw_style_for
from tomoseg_tui.tui.canvas.slice_drawing import DrawStyle
from tomoseg_tui.tui.canvas.terminal_query import TerminalCapabilities, TerminalQuery
from tomoseg_tui.tui.start import start_tui

CELLS = (10, 20)


@pytest.mark.parametrize(
    ("answer", "still"),
    [
        (TerminalCapabilities(sixel=True, cell_pixels_xy=CELLS), "sixel"),
        (TerminalCapabilities(kitty=True, cell_pixels_xy=CELLS), "kitty"),
        (TerminalCapabilities(), ""),
    ],
)
def test_slices_are_drawn_with_the_capabilities_of_the_terminal(
    small_project: Project, monkeypatch: pytest.MonkeyPatch, answer: TerminalCapabilities, still: str
) -> None:
    styles: list[DrawStyle] = []
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(TerminalQuery, "finish", lambda _query: answer)
    monkeypatch.setattr(TomosegApp, "run", lambda app, **_mouse: styles.append(draw_style_for(app)))
    start_tui(small_project.layout.root)
    assert [style.still_renderer for style in styles] == [still]


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_crash_leaves_its_traceback_in_the_project(
    small_project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, in_thread: bool
) -> None:
    def crash(*_: object) -> None:
        raise ZeroDivisionError("seven by nothing")

    run_app = TomosegApp.run
    monkeypatch.setattr(TerminalQuery, "finish", lambda _query: TerminalCapabilities())
    monkeypatch.setattr(TomosegApp, "run", lambda app, **_mouse: run_app(app, headless=True, size=(100, 30)))
    monkeypatch.setattr(
        TomosegApp, "_open_last_tab", (lambda app: app.run_in_thread("", None, crash)) if in_thread else crash
    )
    for stream in (sys.stdin, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    assert run(["-p", str(small_project.layout.root)]) == 1
    log = small_project.layout.root / "crash.log"
    error = capsys.readouterr().err
    assert "ZeroDivisionError: seven by nothing\n  All that was saved is on disk, and jobs continue. " in error
    assert error.endswith(f"Please report it with the file {log}\n")
    assert len(error.splitlines()) == 2
    assert "in crash\n" in log.read_text()
