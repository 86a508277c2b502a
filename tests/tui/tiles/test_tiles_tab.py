"""The Tiles tab, key by key, on a real project."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from helpers.pilot import MakeApp, open_tab, prose_on, until
from textual.pilot import Pilot
from textual.widgets import Input, Static

from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.ask_path import AskPath
from tomoseg_tui.tui.dialogs.ask_text import AskText
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.session import TuiSession
from tomoseg_tui.tui.tiles.tile_preview import TilePreview
from tomoseg_tui.tui.tiles.tiles_tab import TilesTab
from tomoseg_tui.tui.widgets.filter_line import FilterLine
from tomoseg_tui.tui.widgets.table import Table

FIRST, SECOND, THIRD = (
    TileLocation("alpha", 6, 48, 48),
    TileLocation("alpha", 12, 50, 40),
    TileLocation("alpha", 18, 48, 48),
)


@asynccontextmanager
async def browsing(app: TomosegApp, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[Pilot[None], TilesTab]]:
    """Open the tab and wait until its slice is shown, if there is a tomogram."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await open_tab(pilot, 2)
        tab = app.open_tab
        assert isinstance(tab, TilesTab)
        if app.snapshot is not None and app.snapshot.tomograms:
            await until(pilot, lambda: canvas(tab).shape_zyx is not None)
        yield pilot, tab


def canvas(tab: TilesTab) -> SliceCanvas:
    return tab.query_one("#tiles-slice", SliceCanvas)


def here(tab: TilesTab) -> tuple[int, int, int]:
    return (canvas(tab).z, *canvas(tab).cursor_yx)


async def go_to(pilot: Pilot[None], tab: TilesTab, at: str) -> None:
    """Type a voxel into the dialog and wait until the cursor is there."""
    await pilot.press("g")
    await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
    await type_words(pilot, at)
    await pilot.press("enter")
    x, y, z = (int(part) for part in at.split(","))
    await until(pilot, lambda: here(tab) == (z, y, x))


async def type_words(pilot: Pilot[None], text: str) -> None:
    """Type as if pasted, because a key at a time takes a tenth of a second each."""
    await until(pilot, lambda: isinstance(pilot.app.focused, Input))
    field = pilot.app.focused
    assert isinstance(field, Input)
    field.insert_text_at_cursor(text)
    await pilot.pause()


def tiles(project: Project, name: str = "alpha") -> list[TileLocation]:
    return [tile.location for tile in catalog.tiles_on(project.layout, name)]


def state(project: Project, place: TileLocation, feature: str) -> FeatureState | None:
    return catalog.tile_at(project.layout, place).state_of(feature)


def history(project: Project) -> list[str]:
    lines = project.layout.history.read_text().splitlines() if project.layout.history.exists() else []
    return [json.loads(line)["command"] for line in lines]


def _is_at(tab: TilesTab, place: TileLocation) -> bool:
    return here(tab) == (place.z, place.y, place.x)


def _is_wide(tab: TilesTab, columns: int) -> bool:
    return tab.size.width == columns


def notices(app: JobApp) -> str:
    return "\n".join(f"{notice.title} {notice.message}" for notice in app._notifications)


async def test_an_empty_project_explains_tiles_and_names_the_next_step(project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(project)) as (pilot, tab):
        await until(pilot, lambda: "Press 1 to import" in prose_on(pilot))
        assert tab.command_argv() is None
        await pilot.press("space", "x", "n", "g", "t")
        assert not isinstance(pilot.app.screen, AskText)


async def test_the_list_has_tiles_and_their_states(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project), (120, 40)) as (pilot, tab):
        await until(pilot, lambda: "M done" in prose_on(pilot))
        assert tab.query_one("#tiles-list").border_title == "3 tiles  M 2+1  E 1+0  ? 1"
        assert "E done, M none" in prose_on(pilot)


async def test_space_places_a_tile_and_records_the_command(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await go_to(pilot, tab, "50,52,3")
        assert tab.command_argv() == ["tiles", "add", "alpha", "--at", "50,52,3", "--feature", "microtubule"]
        await pilot.press("space")
        await until(pilot, lambda: TileLocation("alpha", 3, 52, 50) in tiles(small_project))
        await until(pilot, lambda: tab.tile_at_cursor is not None)
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == ["tomoseg tiles add alpha --at 50,52,3 --feature microtubule"]


async def test_f_and_s_choose_the_feature_and_the_size_of_new_tiles(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        assert pilot.app.focused is canvas(tab)
        chosen = [tab.feature]
        for key in ("f", "f", "F", "s", "s", "s"):
            await pilot.press(key)
            chosen.append(tab.feature)
        assert chosen[:4] == ["microtubule", "membrane", "microtubule", "membrane"]
        assert tab.query_one("#tiles-view").border_subtitle == "E membrane  32 px"
        await go_to(pilot, tab, "50,52,3")
        await pilot.press("space")
        await until(pilot, lambda: TileLocation("alpha", 3, 52, 50, 32) in tiles(small_project))
        await until(pilot, lambda: history(small_project))
        assert history(small_project)[0].endswith("--feature membrane --size 32")


async def test_capital_b_places_a_negative_and_a_contradiction_is_reported(
    small_project: Project, make_app: MakeApp
) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await go_to(pilot, tab, "50,52,3")
        await pilot.press("B")
        place = TileLocation("alpha", 3, 52, 50)
        await until(pilot, lambda: state(small_project, place, "microtubule") is FeatureState.NONE_HERE)
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == ["tomoseg tiles add alpha --at 50,52,3 --feature microtubule --negative"]
        await pilot.press("space")
        await until(pilot, lambda: "both positive and negative" in notices(tab.tomoseg))
        assert "Choose one" in notices(tab.tomoseg)


async def test_the_tile_at_the_cursor_is_shown_with_its_warnings(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project), (120, 40)) as (pilot, tab):
        await go_to(pilot, tab, "20,48,23")
        assert tab.query_one(TilePreview).border_title == "here (20, 48, 23)"
        await until(pilot, lambda: "! partly outside" in prose_on(pilot))
        await go_to(pilot, tab, "50,50,17")
        await until(pilot, lambda: "! contradiction" in prose_on(pilot))


async def test_n_steps_through_the_tiles_and_shift_n_back(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await go_to(pilot, tab, "0,0,0")
        for place in (FIRST, SECOND, THIRD, FIRST):
            await pilot.press("n")
            await until(pilot, partial(_is_at, tab, place))
            assert tab.query_one("#tiles-table", Table).row_key == place.id
        await pilot.press("N")
        await until(pilot, lambda: here(tab) == (THIRD.z, THIRD.y, THIRD.x))


async def test_the_slice_follows_the_cursor_of_the_list(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        tab.query_one("#tiles-table", Table).focus()
        await pilot.press("j")
        await until(pilot, lambda: here(tab) == (SECOND.z, SECOND.y, SECOND.x))
        await pilot.press("g")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))


async def test_the_tile_is_shown_with_its_neighbours_and_states(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project), (120, 40)) as (pilot, tab):
        await go_to(pilot, tab, "48,48,6")
        shown = tab.query_one("#tile-here")
        await until(pilot, lambda: getattr(shown, "picture", None) is not None)
        assert tab.query_one(TilePreview).border_title == "tile (48, 48, 6)"
        assert "microtubule: annotated" in str(tab.query_one("#tile-words", Static).content)


async def test_go_to_refuses_a_voxel_outside_with_a_clear_error(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await pilot.press("g")
        await type_words(pilot, "99,1,1")
        await pilot.press("enter")
        await until(pilot, lambda: "x ranges up to 95" in prose_on(pilot))
        await pilot.press("ctrl+u")
        await type_words(pilot, "there")
        await pilot.press("enter")
        await until(pilot, lambda: "is not a voxel" in prose_on(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.focused is canvas(tab))


async def test_x_moves_the_tile_to_the_trash_after_asking(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await go_to(pilot, tab, "48,48,6")
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert "trash" in prose_on(pilot)
        await pilot.press("n")
        assert FIRST in tiles(small_project)
        await pilot.press("x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: FIRST not in tiles(small_project))
        await until(pilot, lambda: tab.tile_at_cursor is None)
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == ["tomoseg tiles remove alpha:48,48,6:64"]
        assert list(small_project.layout.trash.iterdir())
        await pilot.press("x")
        await until(pilot, lambda: "not on the centre of a tile" in notices(tab.tomoseg))


async def test_another_tomogram_is_picked_by_its_name(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, Pick))
        await type_words(pilot, "bet")
        await pilot.press("enter")
        await until(pilot, lambda: str(tab.query_one("#tiles-list").border_title).startswith("1 tile "))
        assert str(tab.query_one("#tiles-view").border_title).startswith("beta")


async def test_a_feature_is_picked_by_a_part_of_its_name_or_added(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await pilot.press("a")
        await type_words(pilot, "memb")
        await pilot.press("enter")
        await until(pilot, lambda: tab.feature == "membrane")
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, Pick))
        await type_words(pilot, "actin")
        await pilot.press("enter")
        await until(pilot, lambda: tab.tomoseg.snapshot is not None and "actin" in tab.tomoseg.snapshot.features)
        assert tab.feature == "actin"
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == ["tomoseg features add actin"]


async def test_a_tile_without_any_feature_is_placed_by_b_only(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await go_to(pilot, tab, "50,52,3")
        await pilot.press("a", "down", "down", "enter")
        await until(pilot, lambda: tab.feature == "*")
        await pilot.press("space")
        await until(pilot, lambda: "B places it" in notices(tab.tomoseg))
        await pilot.press("B")
        place = TileLocation("alpha", 3, 52, 50)
        await until(pilot, lambda: state(small_project, place, "anything") is FeatureState.NONE_HERE)


async def test_without_a_feature_space_asks_for_one_first(project: Project, make_app: MakeApp) -> None:
    from helpers.cli_runner import bring, noise

    bring(project, "cell", noise((6, 96, 96)))
    async with browsing(make_app(project)) as (pilot, tab):
        assert "Avoid places where you are not sure" in prose_on(pilot)
        await pilot.press("space")
        await until(pilot, lambda: isinstance(pilot.app.screen, Pick))
        await type_words(pilot, "tube")
        await pilot.press("enter")
        await until(pilot, lambda: tiles(project, "cell"))
        assert tab.feature == "tube"


async def test_a_feature_is_renamed_and_stays_chosen(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await pilot.press("R", "ctrl+u")
        await type_words(pilot, "tube")
        await pilot.press("enter")
        await until(pilot, lambda: tab.tomoseg.snapshot is not None and "tube" in tab.tomoseg.snapshot.features)
        await until(pilot, lambda: tab.feature == "tube")
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == ["tomoseg features rename microtubule tube"]


async def test_the_list_is_filtered(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        table = tab.query_one("#tiles-table", Table)
        await pilot.press("slash")
        await type_words(pilot, "membrane")
        await until(pilot, lambda: table.row_count == 1)
        await pilot.press("enter")
        assert pilot.app.focused is table
        assert tab.query_one(FilterLine).has_class("-open")
        await pilot.press("slash", "escape")
        await until(pilot, lambda: table.row_count == 3)
        assert not tab.query_one(FilterLine).has_class("-open")


async def test_tiles_are_imported_from_a_csv_file(small_project: Project, make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("tomogram,x,y,z,feature,kind\nalpha,40,40,2,actin,positive\n")
    async with browsing(make_app(small_project)) as (pilot, _):
        await pilot.press("I")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskPath))
        await type_words(pilot, f"{tmp_path}/mo")
        await pilot.press("tab")
        await until(pilot, lambda: "more.csv" in prose_on(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: TileLocation("alpha", 2, 40, 40) in tiles(small_project))
        await until(pilot, lambda: history(small_project) == [f"tomoseg tiles import {tmp_path / 'more.csv'}"])


async def test_an_invalid_csv_file_is_reported_with_its_line(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    (tmp_path / "more.csv").write_text("tomogram,x,y,z,feature,kind\ngamma,40,40,2,actin,positive\n")
    async with browsing(make_app(small_project)) as (pilot, tab):
        await pilot.press("I")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskPath))
        await type_words(pilot, f"{tmp_path}/more.csv")
        await pilot.press("enter")
        await until(pilot, lambda: "line 2 of more.csv" in notices(tab.tomoseg))


async def test_a_click_goes_to_a_tile_and_a_double_click_places_one(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        slice_canvas = canvas(tab)
        slice_canvas.post_message(SliceCanvas.Picked(slice_canvas, 6, 50, 44))
        await until(pilot, lambda: here(tab) == (6, 48, 48))
        for _ in range(2):
            slice_canvas.post_message(SliceCanvas.Picked(slice_canvas, 6, 80, 80))
        await until(pilot, lambda: TileLocation("alpha", 6, 80, 80) in tiles(small_project))
        await pilot.click("#tiles-slice", offset=(20, 9))
        await until(pilot, lambda: here(tab)[1:] != (80, 80))


async def test_the_last_position_is_restored(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project)
    app.session = TuiSession("tiles", "beta", 20, 0.5, "membrane")
    async with browsing(app) as (pilot, tab):
        await until(pilot, lambda: canvas(tab).z == 20)
        assert tab.feature == "membrane"
        session = tab.updated_session(TuiSession())
        assert (session.tomogram, session.z, session.feature) == ("beta", 20, "membrane")
        await until(pilot, lambda: tab.updated_session(TuiSession()).zoom == 0.5)


async def test_a_new_snapshot_keeps_the_cursor(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        await go_to(pilot, tab, "9,8,7")
        catalog.add_feature(small_project, "actin")
        tab.tomoseg.refresh_snapshot()
        await until(pilot, lambda: tab.tomoseg.snapshot is not None and "actin" in tab.tomoseg.snapshot.features)
        assert here(tab) == (7, 8, 9)


async def test_it_fits_low_and_tall_terminals(small_project: Project, make_app: MakeApp) -> None:
    async with browsing(make_app(small_project)) as (pilot, tab):
        assert tab.has_class("-low")
        for size in ((120, 40), (200, 60), (200, 24), (80, 24)):
            await pilot.resize_terminal(*size)
            await until(pilot, partial(_is_wide, tab, size[0]))
            lowest = max(widget.region.bottom for widget in tab.query("#tiles-list, #tiles-tile, #tiles-view"))
            assert lowest <= tab.region.bottom
