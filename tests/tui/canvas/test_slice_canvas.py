"""Every key and every call of the slice canvas, on a real volume, without a terminal."""

from pathlib import Path

import numpy as np
import pytest
from helpers.canvas_app import CanvasApp
from helpers.cli_runner import noise, write_mrc
from helpers.pilot import until, words_on
from numpy.typing import NDArray
from textual.events import MouseMove, MouseUp
from textual.pilot import Pilot

from tomoseg_tui.errors import ShapeError
from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.tui.canvas.ansi_strip import AnsiStrip
from tomoseg_tui.tui.canvas.render_thread import FrameReady
from tomoseg_tui.tui.canvas.slice_canvas import Box, SliceCanvas
from tomoseg_tui.tui.canvas.slice_drawing import CanvasView

SHAPE_ZYX = (24, 64, 96)
MIDDLE = (12, 32, 48)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LC_ALL", "")


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mrc(tmp_path_factory.mktemp("canvas") / "volume.mrc", noise(SHAPE_ZYX))


async def shown(pilot: Pilot[None]) -> SliceCanvas:
    """Wait until the canvas shows the expected slice at full quality."""
    app = pilot.app
    assert isinstance(app, CanvasApp)
    canvas = app.canvas
    await until(pilot, lambda: canvas._shown_view is not None and not canvas._is_rendering and not canvas._needs_frame)
    await pilot.pause()
    return canvas


def rows_of(canvas: SliceCanvas) -> list[str]:
    return [strip.ansi for strip in canvas._strips if isinstance(strip, AnsiStrip)]


def place(canvas: SliceCanvas) -> tuple[int, int, int]:
    return (canvas.z, *canvas.cursor_yx)


async def test_a_volume_opens_fitted_with_the_cursor_in_its_middle_and_reports_it(volume: Path) -> None:
    app = CanvasApp(volume)
    async with app.run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        assert canvas.shape_zyx == SHAPE_ZYX
        assert place(canvas) == MIDDLE
        assert canvas.zoom == pytest.approx(24 * 2 / 64)
        assert len(rows_of(canvas)) == 24
        await until(pilot, lambda: app.moves)
        assert (app.moves[-1].z, app.moves[-1].y, app.moves[-1].x) == MIDDLE
        assert app.moves[-1].control is canvas


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("h", (12, 32, 47)), ("left", (12, 32, 47)), ("l", (12, 32, 49)), ("right", (12, 32, 49)),
        ("k", (12, 33, 48)), ("up", (12, 33, 48)), ("j", (12, 31, 48)), ("down", (12, 31, 48)),
        ("H", (12, 32, 32)), ("L", (12, 32, 64)), ("K", (12, 48, 48)), ("J", (12, 16, 48)),
        ("shift+left", (12, 32, 32)), ("shift+up", (12, 48, 48)),
        ("left_square_bracket", (11, 32, 48)), ("right_square_bracket", (13, 32, 48)),
        ("left_curly_bracket", (2, 32, 48)), ("right_curly_bracket", (22, 32, 48)),
    ],
)  # fmt: skip
async def test_keys_move_the_cursor_and_the_slice(volume: Path, keys: str, expected: tuple[int, int, int]) -> None:
    app = CanvasApp(volume)
    async with app.run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        await pilot.press(keys)
        assert place(canvas) == expected
        await until(pilot, lambda: (app.moves[-1].z, app.moves[-1].y, app.moves[-1].x) == expected)


async def test_another_slice_is_another_picture(volume: Path) -> None:
    async with CanvasApp(volume).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        before = rows_of(canvas)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: canvas._shown_view is not None and canvas._shown_view.z == 13)
        assert rows_of(canvas) != before


async def test_the_cursor_stays_inside(volume: Path) -> None:
    async with CanvasApp(volume).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        canvas.go_to(z=1000, y=-5, x=1000)
        assert place(canvas) == (23, 0, 95)
        await pilot.press("right_square_bracket", "l", "j")
        assert place(canvas) == (23, 0, 95)


async def test_zoom_keeps_the_cursor_on_the_screen_and_fit_shows_all(volume: Path) -> None:
    async with CanvasApp(volume).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        fitted = canvas.zoom
        await pilot.press("L", *["plus"] * 6)
        assert canvas.zoom == pytest.approx(fitted * 8)
        column, row = canvas._viewport.cell_at_pixel(canvas.cursor_yx[0] + 0.5, canvas.cursor_yx[1] + 0.5)
        assert 0 < column < 80
        assert 0 < row < 24
        await pilot.press("minus")
        assert canvas.zoom == pytest.approx(fitted * 8 / 2**0.5)
        await pilot.press("0")
        assert canvas.zoom == pytest.approx(fitted)


async def test_the_view_follows_the_cursor_and_recentre_centres_it(volume: Path) -> None:
    async with CanvasApp(volume).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        canvas.set_zoom(4.0)
        for _ in range(4):
            await pilot.press("L")
            column, _ = canvas._viewport.cell_at_pixel(canvas.cursor_yx[0] + 0.5, canvas.cursor_yx[1] + 0.5)
            assert 0 <= column < 80
        await pilot.press("r")
        middle = canvas._viewport.cell_at_pixel(canvas.cursor_yx[0] + 0.5, canvas.cursor_yx[1] + 0.5)
        assert middle == pytest.approx((40, 12))


async def test_contrasts_cycle(volume: Path) -> None:
    async with CanvasApp(volume).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        names = [canvas.contrast]
        for _ in range(3):
            await pilot.press("c")
            names.append(canvas.contrast)
        assert names == ["usual", "strong", "soft", "usual"]


async def test_an_overlay_is_drawn_outlined_and_hidden(volume: Path) -> None:
    requested = []

    def compute(z: int) -> NDArray[np.uint8]:
        requested.append(z)
        labels = np.zeros(SHAPE_ZYX[1:], np.uint8)
        labels[16:48, 16:48] = 1
        return labels

    async with CanvasApp(volume).run_test(size=(96, 32)) as pilot:
        canvas = await shown(pilot)
        canvas.set_overlay(compute, make_palette({1: "microtubule"}))
        await until(pilot, lambda: "M" in words_on(pilot))
        painted = rows_of(canvas)
        await pilot.press("o")
        await until(pilot, lambda: canvas._shown_view is not None and canvas._shown_view.outlined)
        assert canvas.overlay_mode == "outline"
        await shown(pilot)
        assert rows_of(canvas) != painted
        await pilot.press("o")
        await until(pilot, lambda: "M" not in words_on(pilot))
        assert canvas.overlay_mode == "off"
        await pilot.press("o")
        await until(pilot, lambda: "M" in words_on(pilot))
        assert set(requested) == {12}


async def test_an_overlay_error_is_reported_and_the_slice_is_still_shown(volume: Path) -> None:
    def compute(_z: int) -> NDArray[np.uint8]:
        raise ShapeError("The map is of another shape.", "Apply the network again.")

    async with CanvasApp(volume).run_test(size=(80, 24), notifications=True) as pilot:
        canvas = await shown(pilot)
        canvas.set_overlay(compute)
        await until(pilot, lambda: "another shape" in words_on(pilot))
        assert rows_of(canvas)


async def test_boxes_are_drawn_with_their_letters(volume: Path) -> None:
    async with CanvasApp(volume).run_test(size=(96, 32)) as pilot:
        canvas = await shown(pilot)
        canvas.set_boxes([Box(12, 32, 48, 16, "Q", (255, 0, 0)), Box(20, 32, 48, 16, "W", (255, 0, 0))])
        await until(pilot, lambda: "Q" in words_on(pilot))
        assert "W" not in words_on(pilot)
        canvas.go_to(z=21)
        await until(pilot, lambda: "W" in words_on(pilot))


async def test_a_click_picks_the_voxel_under_it(volume: Path) -> None:
    app = CanvasApp(volume)
    async with app.run_test(size=(96, 32)) as pilot:
        canvas = await shown(pilot)
        assert canvas.zoom == 1.0
        await pilot.click(canvas, offset=(10, 30))
        await until(pilot, lambda: app.picks)
        pick = app.picks[0]
        assert (pick.z, pick.x) == (12, 10)
        assert pick.y in {2, 3}  # two voxels are in one cell
        assert place(canvas) == (12, pick.y, 10)


async def drag(pilot: Pilot[None], canvas: SliceCanvas, *, by: tuple[int, int], button: int = 1) -> None:
    """Press the button, move the mouse and release it."""
    await pilot.mouse_down(canvas, offset=(20, 20), button=button)
    at = (20 + by[0], 20 + by[1])
    await pilot._post_mouse_events([MouseMove], canvas, offset=at, button=button)
    await pilot._post_mouse_events([MouseUp], canvas, offset=at, button=button)
    await pilot.pause()


async def test_dragging_pans_and_picks_nothing(volume: Path) -> None:
    app = CanvasApp(volume)
    async with app.run_test(size=(64, 40)) as pilot:
        canvas = await shown(pilot)
        await pilot.press("plus", "plus", "plus", "plus")
        assert canvas.zoom > 1
        before, cursor = canvas._centre_yx, canvas.cursor_yx
        await drag(pilot, canvas, by=(8, 3))
        moved = before[0] - canvas._centre_yx[0], before[1] - canvas._centre_yx[1]
        assert moved == pytest.approx((-3 * 2 / canvas.zoom, 8 / canvas.zoom))  # y points up, a cell is 1 x 2
        assert canvas.cursor_yx == cursor
        assert not app.picks
        await pilot.click(canvas, offset=(20, 20))
        await until(pilot, lambda: len(app.picks) == 1)


async def test_a_fully_visible_slice_is_not_dragged_and_other_buttons_drag_nothing(volume: Path) -> None:
    app = CanvasApp(volume)
    async with app.run_test(size=(64, 40)) as pilot:
        canvas = await shown(pilot)
        before = canvas._centre_yx
        await drag(pilot, canvas, by=(8, 3))
        assert canvas._centre_yx == before
        await pilot.press("plus", "plus", "plus", "plus")
        before = canvas._centre_yx
        await drag(pilot, canvas, by=(8, 3), button=3)
        assert canvas._centre_yx == before


async def test_a_button_released_outside_the_terminal_ends_the_drag(volume: Path) -> None:
    app = CanvasApp(volume)
    async with app.run_test(size=(64, 40)) as pilot:
        canvas = await shown(pilot)
        await pilot.press("plus", "plus", "plus", "plus")
        await pilot.mouse_down(canvas, offset=(20, 20))
        before = canvas._centre_yx
        await pilot.hover(canvas, offset=(30, 20))
        await pilot.pause()
        assert canvas._centre_yx == before
        assert app.mouse_captured is None


async def test_a_click_beside_the_slice_picks_nothing(volume: Path) -> None:
    app = CanvasApp(volume)
    async with app.run_test(size=(120, 24)) as pilot:
        await pilot.click(await shown(pilot), offset=(1, 1))
        await pilot.pause()
        assert not app.picks


async def test_requests_before_the_header_is_read_are_applied_later(volume: Path) -> None:
    app = CanvasApp()
    async with app.run_test(size=(80, 24)) as pilot:
        canvas = app.canvas
        canvas.open_volume(volume, name="volume", z=3)
        canvas.go_to(y=5, x=6)
        canvas.set_zoom(2.0)
        assert canvas.shape_zyx is None
        await shown(pilot)
        assert (*place(canvas), canvas.zoom) == (3, 5, 6, 2.0)


async def test_an_unreadable_file_is_reported_and_the_next_one_opens(volume: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mrc"
    broken.write_text("no volume")
    app = CanvasApp(broken)
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: "text file" in words_on(pilot))
        await pilot.press("l", "right_square_bracket", "plus", "0", "c", "o", "r")
        app.canvas.open_volume(volume)
        await shown(pilot)
        assert app.canvas.shape_zyx == SHAPE_ZYX


async def test_a_closed_volume_leaves_an_empty_canvas_and_keys_do_nothing(volume: Path) -> None:
    async with CanvasApp(volume).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        canvas.open_volume(None)
        assert canvas.shape_zyx is None
        await pilot.press("l", "right_square_bracket", "plus", "0", "c", "o", "r")
        await pilot.pause()
        assert not rows_of(canvas)
        assert not words_on(pilot).strip()


async def test_a_frame_of_a_closed_volume_is_dropped(volume: Path, tmp_path: Path) -> None:
    other = write_mrc(tmp_path / "other.mrc", noise((4, 32, 32), seed=1))
    async with CanvasApp(volume).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        source, view = canvas._source, canvas._shown_view
        assert source is not None
        assert view is not None
        late = FrameReady(source, view, canvas._frame, None)
        canvas.open_volume(other)
        await shown(pilot)
        rows = rows_of(canvas)
        canvas.post_message(late)
        await pilot.pause()
        assert rows_of(canvas) == rows


async def test_many_keys_give_few_frames_and_the_last_one_is_correct(
    volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with CanvasApp(volume).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        requested: list[int] = []
        draw = canvas._render_thread.draw

        def keep(view: CanvasView) -> None:
            requested.append(view.z)
            draw(view)

        monkeypatch.setattr(canvas._render_thread, "draw", keep)
        for step in [1] * 11 + [-1] * 20:
            canvas.action_slice(step)
        assert requested == [13]  # the others wait for that one
        await until(pilot, lambda: canvas._shown_view is not None and canvas._shown_view.z == canvas.z)
        assert requested == [13, 3]


async def test_a_small_change_sends_only_changed_rows(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with CanvasApp(volume).run_test(size=(96, 32)) as pilot:
        canvas = await shown(pilot)
        refreshed = []
        monkeypatch.setattr(canvas, "refresh", lambda *regions, **_more: refreshed.append(regions))
        await pilot.press("l")
        await until(pilot, lambda: refreshed)
        assert 0 < len(refreshed[0]) < 10


async def test_the_picture_follows_the_size_of_the_screen(volume: Path) -> None:
    async with CanvasApp(volume).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        before = canvas.zoom
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: canvas.zoom > before and len(rows_of(canvas)) == 40)


async def test_a_screenshot_contains_the_slice(volume: Path) -> None:
    async with CanvasApp(volume).run_test(size=(80, 24), notifications=True) as pilot:
        canvas = await shown(pilot)
        canvas.notify("over it")
        await until(pilot, lambda: "over it" in words_on(pilot))
        svg = pilot.app.export_screenshot()
        assert svg.count("<rect") > 500
        assert "over" in svg


@pytest.mark.parametrize("renderer", ["braille", "ascii"])
async def test_other_renderers_draw_in_characters(volume: Path, renderer: str) -> None:
    async with CanvasApp(volume, renderer=renderer).run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        assert all("▀" not in row for row in rows_of(canvas))
        assert sum(len(line.strip()) for line in words_on(pilot).splitlines()) > 300


async def test_without_colours_the_slice_is_dithered(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = CanvasApp(volume)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        canvas = await shown(pilot)
        assert canvas._shown_view is not None
        assert canvas._shown_view.style.colours == "none"
        app.notify("a toast cuts the rows")
        await until(pilot, lambda: "a toast" in words_on(pilot))


async def test_every_key_has_an_id_and_a_description() -> None:
    for binding in SliceCanvas.BINDINGS:
        assert not isinstance(binding, tuple)
        assert str(binding.id).startswith("canvas.")
        assert binding.tooltip
        assert binding.description


async def test_the_thread_ends_with_the_widget(volume: Path) -> None:
    app = CanvasApp(volume)
    async with app.run_test(size=(80, 24)) as pilot:
        canvas = await shown(pilot)
        thread = canvas._render_thread._thread
        assert thread is not None
        await canvas.remove()
        await until(pilot, lambda: not thread.is_alive())
