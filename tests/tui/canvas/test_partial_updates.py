"""Only the changed cells of a line are sent. Pins private parts of Textual."""

import inspect

from helpers.pilot import MakeApp
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor
from textual.screen import Screen
from textual.strip import Strip

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.canvas.ansi_strip import AnsiStrip
from tomoseg_tui.tui.canvas.frame_pacing import PartialUpdateCompositor, SpansUpdate

LINE = AnsiStrip("\x1b[31mabcdefghij\x1b[0m", 10, Style(color="#ffffff", bgcolor="#000000"))


def sent(spans: list[tuple[int, int, int]], chops: list[dict[int, Strip | None]]) -> str:
    return SpansUpdate(chops, spans, [[*list(line)[1:], 30] for line in chops]).render_segments(Console())


def test_a_span_is_cropped_at_both_ends() -> None:
    assert sent([(0, 12, 15)], [{10: LINE}]) == "\x1b[1;13H\x1b[31mcde\x1b[0m"


def test_a_span_over_two_widgets_is_sent_in_two_parts() -> None:
    assert sent([(0, 8, 12)], [{0: LINE, 10: LINE}]) == "\x1b[1;9H\x1b[31mij\x1b[0m\x1b[1;11H\x1b[31mab\x1b[0m"


def test_cells_beside_a_span_are_not_sent() -> None:
    assert sent([(0, 0, 10)], [{0: None, 10: LINE}]) == ""


async def test_the_screen_of_the_program_sends_only_changes(project: Project, make_app: MakeApp) -> None:
    app = make_app(project)
    async with app.run_test():
        assert isinstance(app.screen._compositor, PartialUpdateCompositor)


def test_the_private_parts_of_textual_still_exist() -> None:
    assert list(inspect.signature(ChopsUpdate.__init__).parameters) == ["self", "chops", "spans", "chop_ends"]
    assert "return ChopsUpdate(chops, spans, chop_ends)" in inspect.getsource(Compositor.render_partial_update)
    assert "self._compositor = Compositor()" in inspect.getsource(Screen.__init__)
