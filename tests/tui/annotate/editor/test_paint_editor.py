"""The paint editor of the Annotate tab, with keys and mouse, on a real project."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import pairwise

import numpy as np
import pytest
from helpers.cli_runner import make_card, put_card, write_map
from helpers.pilot import MakeApp, open_tab, prose_on, until, words_on
from numpy.typing import NDArray
from textual.events import MouseDown, MouseMove, MouseScrollUp, MouseUp
from textual.pilot import Pilot

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE
from tomoseg_tui.core.paint_tools import brush_mask, filament_mask, polyline_mask, rectangle_mask
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.user_config import UserConfig
from tomoseg_tui.tui.annotate.annotate_tab import AnnotateTab
from tomoseg_tui.tui.annotate.editor.editor_view import StatusLine
from tomoseg_tui.tui.annotate.editor.paint_editor import PaintEditor
from tomoseg_tui.tui.annotate.tile_list import TileList
from tomoseg_tui.tui.annotate.tile_pane import TilePane
from tomoseg_tui.tui.annotate.tile_view import TileContext
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.workflow.annotations.paint_session import PaintSession, paint_lock_owner
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement

ANNOTATED, WANTED, NEGATIVE = (
    TileLocation("alpha", 6, 48, 48),
    TileLocation("alpha", 12, 50, 40),
    TileLocation("alpha", 18, 48, 48),
)
BETA = TileLocation("beta", 12, 48, 48)
SHAPE = (64, 64)
MIDDLE = (32, 32)


class Painter:
    """The program with a tile in the editor."""

    def __init__(self, app: TomosegApp, pilot: Pilot[None], project: Project) -> None:
        self.app, self.pilot, self._project = app, pilot, project

    @property
    def tab(self) -> AnnotateTab:
        tab = self.app.open_tab
        assert isinstance(tab, AnnotateTab)
        return tab

    @property
    def easel(self) -> PaintEditor:
        return self.tab.query_one(PaintEditor)

    @property
    def below(self) -> str:
        return self.easel.query_one("#paint-below", StatusLine).text

    @property
    def above(self) -> str:
        return self.easel.query_one("#paint-above", StatusLine).text

    @property
    def seen(self) -> NDArray[np.uint8]:
        """Return the greys of the tile as displayed."""
        scene = self.easel.canvas.scene
        assert scene is not None
        return scene.grey

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def on_disk(self, place: TileLocation = WANTED, feature: str = "microtubule") -> NDArray[np.uint8]:
        """Wait until everything is on disk; return the layer on disk."""
        await until(self.pilot, lambda: "on disk" in self.below)
        layer = read_layer(self._project.layout, place, feature)
        return np.zeros(SHAPE, np.uint8) if layer is None else layer

    async def open(self, place: TileLocation) -> None:
        """Open a tile in the editor."""
        self.tab.show_tile(place.id, "microtubule")
        await self.press("p")
        await self.at(place)

    async def at(self, place: TileLocation) -> None:
        await until(self.pilot, lambda: f"{place.x},{place.y},{place.z}" in self.above and "undo" in self.below)

    def notices(self) -> str:
        return "\n".join(f"{notice.title} {notice.message}" for notice in self.app._notifications)


@asynccontextmanager
async def painting(
    app: TomosegApp, project: Project, place: TileLocation | None = WANTED, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Painter]:
    async with app.run_test(size=size, notifications=True) as pilot:
        await open_tab(pilot, 3)
        painter = Painter(app, pilot, project)
        await until(pilot, lambda: painter.tab.query_one("#annotate-tile").border_title)
        if place is not None:
            await painter.open(place)
        yield painter


def state(project: Project, place: TileLocation, feature: str = "microtubule") -> FeatureState | None:
    return catalog.tile_at(project.layout, place).state_of(feature)


def history(project: Project) -> list[str]:
    lines = project.layout.history.read_text().splitlines() if project.layout.history.exists() else []
    return [json.loads(line)["command"] for line in lines]


# Opening and closing


async def test_p_opens_the_tile_in_the_editor_and_escape_returns(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        assert painter.easel.canvas.has_focus
        assert not painter.tab.query_one(TilePane).display
        assert "M microtubule" in painter.above
        assert "brush 3 px" in painter.below
        assert "40,50,12" in painter.below
        await painter.press("escape")
        await until(painter.pilot, lambda: painter.tab.query_one(TileList).has_focus)
        assert painter.tab.query_one(TilePane).display
        assert paint_lock_owner(small_project, WANTED) is None


async def test_a_click_on_the_tile_opens_it_without_painting(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project, None) as painter:
        await painter.pilot.click("#annotate-here")
        await until(painter.pilot, lambda: "undo 0" in painter.below)
        assert painter.easel.canvas.has_focus


async def test_keys_of_the_list_are_disabled_while_painting(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("slash", "I")
        assert painter.easel.canvas.has_focus
        assert len(painter.app.screen_stack) == 1


async def test_the_canvas_has_the_focus_when_the_tab_is_opened_again(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("d", "l", "l")
        await painter.press("2")
        await until(painter.pilot, lambda: painter.app.open_tab is not None and painter.app.open_tab.id == "tiles")
        layer = await _eventually(painter, small_project, WANTED)
        assert (layer == FEATURE).sum() == polyline_mask(SHAPE, [(32, 32), (32, 34)], 3).sum()
        await painter.press("3")
        await until(painter.pilot, lambda: painter.easel.canvas.has_focus)


async def _eventually(painter: Painter, project: Project, place: TileLocation) -> NDArray[np.uint8]:
    await until(painter.pilot, lambda: read_layer(project.layout, place, "microtubule") is not None)
    layer = read_layer(project.layout, place, "microtubule")
    assert layer is not None
    return layer


# Tools


PAINTED = (
    (("space",), FEATURE, brush_mask(SHAPE, MIDDLE, 3)),
    (("right_square_bracket",) * 2 + ("space",), FEATURE, brush_mask(SHAPE, MIDDLE, 5)),
    (("left_square_bracket",) * 2 + ("x", "space"), NOT_FEATURE, brush_mask(SHAPE, MIDDLE, 3)),
    (("x", "space"), IGNORED, brush_mask(SHAPE, MIDDLE, 3)),
    (("x", "d", "l", "l", "k", "d"), FEATURE, polyline_mask(SHAPE, [(32, 32), (32, 34), (33, 34)], 3)),
    (("s", "space", "L", "space", "K", "enter"), FEATURE, polyline_mask(SHAPE, [(32, 32), (32, 40), (40, 40)], 5)),
    (("t", "space", "K", "L", "space"), FEATURE, filament_mask(SHAPE, (32, 32), (40, 40), 15)),
    (("r", "space", "k", "L", "space"), FEATURE, rectangle_mask(SHAPE, (32, 32), (33, 40))),
    (("a", "space", "L", "space", "K", "space", "H", "enter"), FEATURE, rectangle_mask(SHAPE, (32, 32), (40, 40))),
    (("b", "home", "pageup", "space"), FEATURE, brush_mask(SHAPE, (63, 0), 3)),
)
"""Keys after an undo, the pixels they paint, and where; in this order, because tools keep their widths."""


async def test_every_tool_paints_with_the_keyboard(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        for keys, value, wanted in PAINTED:
            await painter.press(*keys)
            assert np.array_equal(await painter.on_disk() == value, wanted), keys
            assert state(small_project, WANTED) is FeatureState.WANTED
            await painter.press("u", "escape", "p")
            await painter.at(WANTED)


async def test_erasing_growing_and_shrinking_change_the_paint(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("r", "space", "L", "K", "space", "greater_than_sign")
        assert (await painter.on_disk() == FEATURE).sum() == 81 + 36
        await painter.press("less_than_sign", "less_than_sign")
        assert (await painter.on_disk() == FEATURE).sum() == 49
        await painter.press("e", "h", "h", "h", "j", "j", "j", "space")
        assert (await painter.on_disk() == FEATURE).sum() == 49 - 9


async def test_wand_and_fill_find_their_regions(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("w", *("right_square_bracket",) * 60, "left_parenthesis", "left_parenthesis", "space")
        found = await painter.on_disk() == FEATURE
        assert found[32, 32]
        assert 50 < found.sum() <= 201
        assert not found[:20].any()
        await painter.press("u", "a", "space", "L", "space", "K", "space", "H", "enter", "less_than_sign")
        await painter.press("g", "space")
        await until(painter.pilot, lambda: "not inside a closed outline" in painter.notices())


async def test_fill_closes_an_outline(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("s", *("left_square_bracket",) * 4)
        await painter.press("space", "L", "space", "K", "space", "H", "space", "J", "enter")
        await painter.press("k", "l", "g", "space")
        assert np.array_equal(await painter.on_disk() == FEATURE, rectangle_mask(SHAPE, (32, 32), (40, 40)))


async def test_the_network_tool_selects_above_the_cards_threshold(small_project: Project, make_app: MakeApp) -> None:
    put_card(small_project, make_card("net", features=("microtubule",)))
    values = np.zeros((24, 96, 96), np.int8)
    values[12, 18:50] = 127
    write_map(small_project, "net.microtubule", values, tomogram="alpha")
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("space", "m", "space")
        assert np.array_equal(await painter.on_disk() == FEATURE, np.arange(64)[:, None] < np.full((1, 64), 32))


async def test_without_a_network_the_tool_reports_it(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("m", "space")
        await until(painter.pilot, lambda: "No prediction of" in painter.notices())


async def test_escape_drops_an_open_shape_before_it_closes_the_editor(
    small_project: Project, make_app: MakeApp
) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("s", "space", "L", "escape")
        assert painter.easel.canvas.has_focus
        assert "point" not in painter.below
        assert not (await painter.on_disk()).any()


# Undo


async def test_undo_and_redo_are_on_disk_and_survive_the_program(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("space", "L", "space", "H", "H", "space")
        assert "undo 3" in painter.below
        await painter.press("u", "u")
        assert np.array_equal(await painter.on_disk() == FEATURE, brush_mask(SHAPE, MIDDLE, 3))
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        assert "undo 1" in painter.below
        await painter.press("ctrl+r")
        assert (await painter.on_disk() == FEATURE).sum() == 2 * brush_mask(SHAPE, MIDDLE, 3).sum()
        await painter.press("u", "u")
        assert not (await painter.on_disk() == FEATURE).any()
        await painter.press("u")
        await until(painter.pilot, lambda: "nothing to undo" in painter.notices())


async def test_undo_removes_the_last_point_of_an_open_shape(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("s", "space", "L", "space", "u")
        assert "1 point" in painter.below


# Features and view


async def test_each_feature_is_painted_into_its_own_layer(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("space", "f")
        assert "E membrane" in painter.above
        await painter.press("L", "space")
        assert np.array_equal(await painter.on_disk(feature="membrane") == FEATURE, brush_mask(SHAPE, (32, 40), 3))
        assert np.array_equal(await painter.on_disk() == FEATURE, brush_mask(SHAPE, MIDDLE, 3))
        await until(painter.pilot, lambda: state(small_project, WANTED, "membrane") is FeatureState.WANTED)
        await painter.press("F")
        assert "M microtubule" in painter.above


async def test_filters_change_the_view_only(small_project: Project, make_app: MakeApp) -> None:
    before = {path: path.read_bytes() for path in small_project.layout.root.rglob("[!.]*") if path.is_file()}
    async with painting(make_app(small_project, tab="annotate"), small_project, size=(120, 40)) as painter:
        seen = [painter.seen]
        for key, description in (("v", "smooth"), ("c", "strong"), ("v", "z-1..z+1"), ("right_curly_bracket", "z+1")):
            await painter.press(key)
            assert description in painter.above
            seen.append(painter.seen)
        assert all(not np.array_equal(a, b) for a, b in pairwise(seen))
        await painter.press("o")
        assert "outline" in painter.above
        await painter.press("escape")
    after = {path: path.read_bytes() for path in small_project.layout.root.rglob("[!.]*") if path.is_file()}
    assert after == before


async def test_zoom_keeps_the_cursor_in_view(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        zooms = []
        for key in ("plus", "plus", "plus", "plus", "plus", "plus", "minus", "0"):
            await painter.press(key, "L", "K")
            zooms.append(painter.easel.canvas.zoom)
            port, scene = painter.easel.canvas.pixel_view, painter.easel.canvas.scene
            assert port is not None
            assert scene is not None
            assert scene.cursor_yx is not None
            ys, xs = port.indices()
            y, x = scene.cursor_yx
            assert y in ys
            assert x in xs
        assert zooms == [2, 3, 4, 6, 8, 8, 6, 1]


# Other slices


async def test_paint_is_copied_from_another_slice_and_interpolated(small_project: Project, make_app: MakeApp) -> None:
    between = TileLocation("alpha", 9, 48, 48)
    place_tiles(small_project, [tile_placement(between, "microtubule", negative=False)])
    async with painting(make_app(small_project, tab="annotate"), small_project, between) as painter:
        await painter.press("C")
        await until(painter.pilot, lambda: "Copied from z 6" in painter.notices())
        assert (await painter.on_disk(between) == FEATURE).sum() == 512
        await painter.press("i")
        await until(painter.pilot, lambda: "not painted both below and above" in painter.notices())


async def test_a_slice_between_two_painted_slices_is_interpolated(small_project: Project, make_app: MakeApp) -> None:
    between, above = TileLocation("alpha", 9, 48, 48), TileLocation("alpha", 12, 48, 48)
    place_tiles(small_project, [tile_placement(place, "microtubule", negative=False) for place in (between, above)])
    with PaintSession.open(small_project, above) as painted:
        painted.stroke("microtubule", rectangle_mask(SHAPE, (32, 0), (39, 63)), FEATURE, "box")
    async with painting(make_app(small_project, tab="annotate"), small_project, between) as painter:
        await painter.press("i")
        await until(painter.pilot, lambda: "Interpolated between z 6 and z 12" in painter.notices())
        rows = np.flatnonzero((await painter.on_disk(between) == FEATURE).all(axis=1))
        assert (rows.min() + rows.max()) / 2 == pytest.approx(33.5, abs=0.5)


# From tile to tile


async def test_enter_marks_done_and_opens_the_next_unfinished_tile(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("t", "space", "K", "space", "enter")
        await _say_yes(painter)
        await painter.at(BETA)
        await until(painter.pilot, lambda: state(small_project, WANTED) is FeatureState.ANNOTATED)
        await until(painter.pilot, lambda: history(small_project))
        assert history(small_project) == [f"tomoseg annotations set {WANTED.id} --feature microtubule --done"]
        layer = read_layer(small_project.layout, WANTED, "microtubule")
        assert layer is not None
        assert set(np.unique(layer).tolist()) == {NOT_FEATURE, FEATURE}
        assert painter.easel.canvas.has_focus
        assert "filament" in painter.below
        await painter.press("space", "K", "space", "enter")
        await _say_yes(painter)
        await until(painter.pilot, lambda: "All tiles are done" in painter.notices())


async def _say_yes(painter: Painter) -> None:
    """Answer a question, if there is one."""
    await painter.pilot.pause()
    if isinstance(painter.app.screen, Confirm):
        await painter.press("y")


async def test_n_steps_through_the_tiles_including_the_one_just_done(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("space", "enter")
        await _say_yes(painter)
        await painter.at(BETA)
        await painter.press("N")
        await painter.at(WANTED)
        assert "done" in painter.above
        await painter.press("u")
        await until(painter.pilot, lambda: state(small_project, WANTED) is FeatureState.WANTED)
        await painter.press("N")
        await until(painter.pilot, lambda: "no other tile" in painter.notices())


async def test_a_tile_with_warnings_is_marked_only_after_asking(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("enter")
        await until(painter.pilot, lambda: isinstance(painter.app.screen, Confirm))
        await painter.press("n")
        assert state(small_project, WANTED) is FeatureState.WANTED
        assert painter.easel.canvas.has_focus


async def test_none_here_asks_if_something_is_painted_and_can_be_undone(
    small_project: Project, make_app: MakeApp
) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("space", "B")
        await until(painter.pilot, lambda: isinstance(painter.app.screen, Confirm))
        await painter.press("y")
        await painter.at(BETA)
        await until(painter.pilot, lambda: state(small_project, WANTED) is FeatureState.NONE_HERE)
        await painter.press("N")
        await painter.at(WANTED)
        await painter.press("u")
        assert np.array_equal(await painter.on_disk() == FEATURE, brush_mask(SHAPE, MIDDLE, 3))


async def test_a_stroke_on_a_tile_marked_none_asks_first(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project, NEGATIVE) as painter:
        await painter.press("space")
        await until(painter.pilot, lambda: isinstance(painter.app.screen, Confirm))
        await painter.press("n")
        assert state(small_project, NEGATIVE) is FeatureState.NONE_HERE
        await painter.press("space", "y")
        assert np.array_equal(await painter.on_disk(NEGATIVE) == FEATURE, brush_mask(SHAPE, MIDDLE, 3))
        assert state(small_project, NEGATIVE) is FeatureState.WANTED


# Other users, and errors


@contextmanager
def somebody_else(project: Project, place: TileLocation) -> Iterator[subprocess.Popen[str]]:
    """Let another process paint a tile and hold its lock until released."""
    code = (
        "import sys, numpy as np\nfrom pathlib import Path\n"
        "from tomoseg_tui.core.tiles import parse_tile_id\nfrom tomoseg_tui.project.catalog import Project\n"
        "from tomoseg_tui.workflow.annotations.paint_session import PaintSession\n"
        "painting = PaintSession.open(Project.open(Path(sys.argv[1])), parse_tile_id(sys.argv[2]))\n"
        "painting.stroke('microtubule', np.eye(64, dtype=bool), 2, 'brush')\n"
        "painting.save()\nprint('kept', flush=True)\n"
        "sys.stdin.readline()\npainting.close()\n"
    )
    command = [sys.executable, "-c", code, str(project.layout.root), place.id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "kept\n"
        try:
            yield process
        finally:
            process.kill()


async def test_a_tile_painted_by_somebody_else_is_read_only_and_names_them(
    small_project: Project, make_app: MakeApp
) -> None:
    with somebody_else(small_project, WANTED) as process:
        async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
            assert "READ ONLY" in painter.below
            await painter.press("space")
            await until(painter.pilot, lambda: f"process {process.pid} on" in painter.notices())
            assert "undo 1" in painter.below  # the stroke of the other process


async def test_the_second_painter_is_warned_and_sees_the_strokes_of_the_first(
    small_project: Project, make_app: MakeApp
) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        with somebody_else(small_project, WANTED) as process:
            await painter.press("space")
            await until(painter.pilot, lambda: "READ ONLY" in painter.below)
            assert f"process {process.pid} on" in painter.notices()
            layer = read_layer(small_project.layout, WANTED, "microtubule")
            assert layer is not None
            assert (layer == FEATURE).sum() == 64
            assert "64 px" in painter.above


async def test_strokes_that_cannot_be_written_are_kept_and_tried_again(
    small_project: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, is_full = PaintSession.save, [True]

    def kept(self: PaintSession) -> int:
        if is_full[0]:
            raise ProjectError("The disk is full.", "Make room.")
        return keep(self)

    monkeypatch.setattr(PaintSession, "save", kept)
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("space", "L", "space")
        await until(painter.pilot, lambda: "NOT ON DISK: 2" in painter.below)
        assert "The disk is full." in painter.notices()
        await painter.press("q")
        await until(painter.pilot, lambda: "2 strokes cannot be written" in prose_on(painter.pilot))
        await painter.press("n", "escape", "p")
        await painter.at(WANTED)
        assert "undo 2" in painter.below
        assert "18 px" in painter.above
        is_full[0] = False
        assert (await painter.on_disk() == FEATURE).sum() == 2 * brush_mask(SHAPE, MIDDLE, 3).sum()


async def test_quitting_with_the_pen_down_loses_nothing(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("space", "d", "L", "q")
    layer = read_layer(small_project.layout, WANTED, "microtubule")
    assert layer is not None
    assert np.array_equal(layer == FEATURE, polyline_mask(SHAPE, [(32, 32), (32, 40)], 3))


# The mouse


async def pull(painter: Painter, *pixels: tuple[int, int], button: int = 1) -> None:
    """Press a button on the first pixel (y, x), move over the others, and release it."""
    port = painter.easel.canvas.pixel_view
    assert port is not None
    left, top = port.corner_xy
    cells = [
        (left + (x - port.top_left[1]) * port.zoom, top + (63 - y - port.top_left[0]) * port.zoom // 2)
        for y, x in pixels
    ]
    await painter.pilot._post_mouse_events([MouseDown], "#paint-canvas", offset=cells[0], button=button)
    for cell in cells[1:]:
        await painter.pilot._post_mouse_events([MouseMove], "#paint-canvas", offset=cell, button=button)
    await painter.pilot._post_mouse_events([MouseUp], "#paint-canvas", offset=cells[-1], button=button)
    await painter.pilot.pause()


def _is_painted(project: Project, wanted: NDArray[np.bool_]) -> bool:
    layer = read_layer(project.layout, WANTED, "microtubule")
    return layer is not None and np.array_equal(layer == FEATURE, wanted)


async def test_dragging_paints_a_line_and_the_right_button_erases_it(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("plus", "left_square_bracket", "left_square_bracket")
        await pull(painter, (36, 24), (36, 40), (30, 40))
        wanted = polyline_mask(SHAPE, [(36, 24), (36, 40), (30, 40)], 1)
        await until(painter.pilot, lambda: _is_painted(small_project, wanted))
        assert "undo 1" in painter.below
        await pull(painter, (36, 24), (36, 30), button=3)
        left = wanted & ~polyline_mask(SHAPE, [(36, 24), (36, 30)], 1)
        await until(painter.pilot, lambda: _is_painted(small_project, left))


async def test_the_view_does_not_move_while_the_mouse_paints(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("plus")
        before = painter.easel.canvas.pixel_view
        await pull(painter, (25, 17), (25, 46))
        await until(painter.pilot, lambda: "undo 1" in painter.below)
        assert painter.easel.canvas.pixel_view == before
        await painter.press("l")
        assert painter.easel.canvas.pixel_view != before


async def test_a_key_selects_which_of_two_pixels_in_a_cell_the_mouse_paints(
    small_project: Project, make_app: MakeApp
) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("left_square_bracket", "left_square_bracket")
        port = painter.easel.canvas.pixel_view
        assert port is not None
        upper = 63 - port.top_left[0] - 10
        await pull(painter, (upper, 20))
        await until(painter.pilot, lambda: _is_painted(small_project, brush_mask(SHAPE, (upper, 20), 1)))
        await painter.press("comma")
        await pull(painter, (upper, 20))
        await until(
            painter.pilot, lambda: _is_painted(small_project, rectangle_mask(SHAPE, (upper, 20), (upper - 1, 20)))
        )


async def test_the_wheel_zooms_and_tools_can_be_clicked(small_project: Project, make_app: MakeApp) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.pilot._post_mouse_events([MouseScrollUp], "#paint-canvas", offset=(10, 10), button=0)
        await until(painter.pilot, lambda: "x2" in painter.above)
        await painter.pilot.click("#annotate-tools", offset=(4, 3))
        await until(painter.pilot, lambda: "filament" in painter.below)
        await painter.pilot.click("#annotate-tools", offset=(4, 12))
        await until(painter.pilot, lambda: "ignore" in painter.below)


# Help and layout


async def test_the_help_lists_every_key_and_the_quickest_way_for_a_microtubule(
    small_project: Project, make_app: MakeApp
) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project, size=(120, 60)) as painter:
        await painter.press("question_mark")
        await until(painter.pilot, lambda: "paint.filament" in words_on(painter.pilot))
        assert "to paint a microtubule: t, move to a point on its axis, space" in prose_on(painter.pilot)


async def test_keys_of_the_editor_can_be_rebound(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate", config=UserConfig(keys={"paint.filament": "z"}))
    async with painting(app, small_project) as painter:
        await painter.press("z")
        assert "filament 15" in painter.below
        assert "z filament" in words_on(painter.pilot)


@pytest.mark.parametrize(
    "variables", [{"NO_COLOR": "1"}, {"TOMOSEG_RENDERER": "ascii"}, {"TOMOSEG_RENDERER": "braille"}]
)
async def test_it_works_without_colours_and_in_characters(
    small_project: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    async with painting(make_app(small_project, tab="annotate"), small_project) as painter:
        await painter.press("0", "plus", "space")
        assert np.array_equal(await painter.on_disk() == FEATURE, brush_mask(SHAPE, MIDDLE, 3))
        canvas = "\n".join(line[:64] for line in words_on(painter.pilot).splitlines()[3:-2])
        assert "M" in canvas
        assert ">" in canvas


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (160, 50), (200, 60), (250, 70)])
async def test_the_tile_fits_at_every_size(small_project: Project, make_app: MakeApp, size: tuple[int, int]) -> None:
    async with painting(make_app(small_project, tab="annotate"), small_project, size=size) as painter:
        canvas = painter.easel.canvas
        assert canvas.size.width >= (64 if size[0] < 160 else 128)
        assert canvas.size.height >= size[1] - 5
        assert canvas.zoom == (1 if size[0] < 160 else 2)
        beside = painter.easel.query_one(TileContext)
        assert beside.display == (size[0] not in {80, 160})
