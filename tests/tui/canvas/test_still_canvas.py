"""A picture that fills a widget."""

import numpy as np
import pytest
from helpers.pilot import until, words_on
from textual.app import App, ComposeResult

from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.tui.canvas.ansi_strip import AnsiStrip
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas


class StillApp(App[None]):
    """An app with only a still."""

    def compose(self) -> ComposeResult:
        yield StillCanvas(id="still")

    @property
    def still(self) -> StillCanvas:
        return self.query_one(StillCanvas)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")


def rows(app: StillApp) -> int:
    return sum(isinstance(strip, AnsiStrip) for strip in app.still._strips)


def picture(size: int = 64) -> Picture:
    grey = np.random.default_rng(7).integers(0, 256, (size, size), dtype=np.uint8)
    labels = np.zeros((size, size), np.uint8)
    labels[: size // 4] = 1
    return Picture(grey, labels, make_palette({1: "microtubule"}))


async def test_a_picture_fills_the_widget_and_follows_its_size() -> None:
    app = StillApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.still.show(picture())
        assert rows(app) == 24
        assert app.still._frame.columns == 48
        await pilot.resize_terminal(40, 30)
        await until(pilot, lambda: app.still._frame.columns == 40)


async def test_labels_are_lettered_with_small_y_at_the_bottom() -> None:
    app = StillApp()
    async with app.run_test(size=(80, 32)) as pilot:
        app.still.show(picture())
        await until(pilot, lambda: "M" in words_on(pilot))
        lines = words_on(pilot).splitlines()
        assert "M" not in "".join(lines[:23])
        assert "M" in "".join(lines[24:])


async def test_a_picture_shown_before_the_widget_has_a_size_is_drawn_later() -> None:
    app = StillApp()
    still = StillCanvas()
    async with app.run_test(size=(80, 24)) as pilot:
        still.show(picture())
        await app.still.remove()
        await app.mount(still)
        await until(pilot, lambda: rows(app) == 24)


async def test_none_shows_nothing() -> None:
    app = StillApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.still.show(picture())
        app.still.show(None)
        await pilot.pause()
        assert rows(app) == 0
        assert not words_on(pilot).strip()
