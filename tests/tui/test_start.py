"""The program starts with the replies of its terminal."""

import pytest

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
