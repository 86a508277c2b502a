"""A title beside a slice changes without redrawing the slice."""

import pytest
from helpers.canvas_app import CanvasApp
from helpers.pilot import until, words_on
from textual.app import ComposeResult
from textual.geometry import Region

from tomoseg_tui.tui.canvas.panel import CanvasPanel
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas


class FramedApp(CanvasApp):
    """A canvas in a frame."""

    CSS = "CanvasPanel { border: round green; }"

    def compose(self) -> ComposeResult:
        with CanvasPanel(id="area"):
            yield SliceCanvas()


async def test_changed_titles_are_drawn() -> None:
    app = FramedApp()
    async with app.run_test(size=(40, 10)) as pilot:
        panel = app.query_one(CanvasPanel)
        for z in range(3):
            panel.border_title, panel.border_subtitle = f"z {z}", f"below {z}"
            await until(pilot, lambda z=z: f"z {z}" in words_on(pilot).splitlines()[0])  # type: ignore[misc]
            assert f"below {z}" in words_on(pilot).splitlines()[-1]


async def test_only_the_two_lines_with_titles_are_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FramedApp()
    async with app.run_test(size=(40, 10)) as pilot:
        panel = app.query_one(CanvasPanel)
        await pilot.pause()
        drawn: list[Region] = []
        monkeypatch.setattr(panel, "_set_dirty", lambda *regions: drawn.extend(regions))
        panel.border_title = "z 1"
        panel.border_title = "z 1"
        assert {region.y for region in drawn} == {-1, 8}  # relative to the content
        assert all(region.height == 1 for region in drawn)
        assert len(drawn) == 2
