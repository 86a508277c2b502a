"""The Merge tab: thresholds, order and choice take effect immediately; the written labels equal the shown ones."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import Listener
from helpers.map_project import band, give_map, give_network
from helpers.pilot import MakeApp, open_tab, prose_on, until, words_on
from numpy.typing import NDArray
from textual.pilot import Pilot
from textual.widgets import Input

from tomoseg_tui.jobs.job import create_job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.merge.merge_tab import MergeTab
from tomoseg_tui.workflow.merge.merge_request import run_merge

CARD = ["merge", "alpha", "--map", "both:microtubule=card", "--map", "both:membrane=card"]
Started = list[tuple[list[str], tuple[str, Any]]]


@pytest.fixture
def mapped(small_project: Project) -> Project:
    """alpha: microtubule 0.63 in rows 0-31, membrane 0.79 in rows 24-55; beta: an older map of microtubule."""
    give_network(small_project)
    give_map(small_project, "alpha", "both.microtubule", band(slice(0, 32), 80), created="2026-02-02T00:00:00Z")
    give_map(small_project, "alpha", "both.membrane", band(slice(24, 56), 100), created="2026-02-02T00:00:00Z")
    give_map(small_project, "beta", "both.microtubule", band(slice(0, 8)))
    return small_project


@asynccontextmanager
async def merging(app: TomosegApp, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[Pilot[None], MergeTab]]:
    """Open the tab and wait until the slice is shown, if there is one."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await open_tab(pilot, 6)
        tab = app.open_tab
        assert isinstance(tab, MergeTab)
        if tab._tomogram_name is not None:
            await until(pilot, lambda: tab._view.canvas.shape_zyx is not None)
        yield pilot, tab


def labels(tab: MergeTab, z: int = 12) -> NDArray[np.uint8]:
    """Return the overlay of the canvas on a slice."""
    overlay = tab.query_one(SliceCanvas)._overlay
    assert overlay is not None
    return overlay.compute(z)


def rows(tab: MergeTab, label: int) -> list[int]:
    """Return the rows of a label."""
    return [row for row, values in enumerate(labels(tab)) if (values == label).any()]


def _shows(tab: MergeTab, name: str) -> bool:
    return tab.query_one(SliceCanvas).volume_name == name


def keep_starts(app: TomosegApp, monkeypatch: pytest.MonkeyPatch) -> Started:
    """Record the jobs that would be started, and start none."""
    started: Started = []
    monkeypatch.setattr(app, "start_job", lambda argv, prepare: started.append((argv, prepare())))
    return started


async def press(pilot: Pilot[None], keys: Sequence[str]) -> None:
    await pilot.press(*keys)
    await pilot.pause()


async def test_without_a_map_the_next_key_is_named(small_project: Project, make_app: MakeApp) -> None:
    async with merging(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: "Press 5 to apply one." in prose_on(pilot))
        await press(pilot, ["enter", "space", "t", "l", "v", "K", "right_square_bracket"])
        assert tab.command_argv() is None


async def test_it_opens_at_the_newest_maps_with_the_cards_thresholds(mapped: Project, make_app: MakeApp) -> None:
    async with merging(make_app(mapped)) as (pilot, tab):
        assert tab.command_argv() == CARD
        await until(pilot, lambda: "alpha z 12/24" in prose_on(pilot))
        assert rows(tab, 1) == list(range(24))
        assert rows(tab, 2) == list(range(24, 56))
        await until(pilot, lambda: "1 lost 768 here to 2" in prose_on(pilot))
        assert "2,304" in words_on(pilot)


async def test_the_overlay_follows_every_key(mapped: Project, make_app: MakeApp) -> None:
    async with merging(make_app(mapped)) as (pilot, tab):
        await press(pilot, ["right"])
        assert tab.command_argv() == [*CARD[:3], "both:microtubule=0.51", *CARD[4:]]
        await press(pilot, ["L", "plus", "plus"])
        assert rows(tab, 1) == []
        await until(pilot, lambda: "no voxel is disputed" in prose_on(pilot))
        await press(pilot, ["H", "H", "minus", "h", "left"])
        assert rows(tab, 1) == list(range(24))
        assert tab.command_argv() == [*CARD[:3], "both:microtubule=0.4", *CARD[4:]]
        await press(pilot, ["equals_sign"])
        assert tab.command_argv() == CARD


async def test_space_includes_and_excludes_maps(mapped: Project, make_app: MakeApp) -> None:
    async with merging(make_app(mapped)) as (pilot, tab):
        await press(pilot, ["space"])
        assert tab.command_argv() == ["merge", "alpha", "--map", "both:membrane=card"]
        assert rows(tab, 1) == list(range(24, 56))
        await until(pilot, lambda: "1 of 2 maps" in prose_on(pilot))
        await press(pilot, ["j", "space"])
        assert tab.command_argv() is None
        await press(pilot, ["enter"])
        await until(pilot, lambda: "Choose at least one map" in prose_on(pilot))


async def test_the_order_sets_the_labels(mapped: Project, make_app: MakeApp) -> None:
    async with merging(make_app(mapped)) as (pilot, tab):
        await press(pilot, ["J"])
        assert tab.command_argv() == [*CARD[:2], *CARD[4:6], *CARD[2:4], *CARD[6:]]
        assert rows(tab, 1) == list(range(24, 56))
        await press(pilot, ["K"])
        assert tab.command_argv() == CARD


async def test_t_chooses_another_tomogram_and_the_first_keeps_its_state(mapped: Project, make_app: MakeApp) -> None:
    async with merging(make_app(mapped)) as (pilot, tab):
        await press(pilot, ["right"])
        moved = tab.command_argv()
        for name in ("beta", "alpha"):
            await pilot.press("t")
            await until(pilot, lambda: isinstance(pilot.app.screen, Pick))
            pilot.app.screen.query_one(Input).value = name
            await press(pilot, ["enter"])
            await until(pilot, partial(_shows, tab, name))
            argv = tab.command_argv() or []
            assert argv[1] == name
        assert argv == moved


async def test_slices_are_stepped_through_from_the_list(mapped: Project, make_app: MakeApp) -> None:
    async with merging(make_app(mapped)) as (pilot, tab):
        canvas = tab.query_one(SliceCanvas)
        for key, z in (("right_square_bracket", 13), ("left_curly_bracket", 3), ("right_curly_bracket", 13)):
            await press(pilot, [key])
            assert canvas.z == z
        await press(pilot, ["left_square_bracket"])
        await until(pilot, lambda: "slice 12" in prose_on(pilot))


async def test_the_name_is_typed_and_an_invalid_one_refused(mapped: Project, make_app: MakeApp) -> None:
    async with merging(make_app(mapped)) as (pilot, tab):
        await press(pilot, ["n"])
        field = tab.query_one("#merge-name", Input)
        assert pilot.app.focused is field
        field.value = "a/b"
        await press(pilot, ["enter"])
        await until(pilot, lambda: "a/b" in prose_on(pilot))
        assert pilot.app.focused is field
        field.value = "first"
        await press(pilot, ["enter"])
        assert tab.command_argv() == [*CARD, "--name", "first"]
        await press(pilot, ["n", "escape", "5"])
        await until(pilot, lambda: pilot.app.query_one("#tabs").current == "apply")  # type: ignore[attr-defined]


async def test_enter_writes_and_the_written_volume_is_counted_and_shown(
    mapped: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(mapped)
    started = keep_starts(app, monkeypatch)
    async with merging(app, (120, 40)) as (pilot, tab):
        await press(pilot, ["v"])
        await until(pilot, lambda: "no label volume yet" in prose_on(pilot))
        await press(pilot, ["enter"])
        ((argv, (kind, request)),) = started
        assert (argv, kind, request.tomogram, request.name) == (CARD, "merge", "alpha", "merged")
        run_merge(mapped, msgspec.to_builtins(request), Listener(mapped.layout.root / "partial"))
        await until(pilot, lambda: "and all of merged" in prose_on(pilot))
        assert "1 lost 768 here, 18,432 in all to 2" in prose_on(pilot)
        await press(pilot, ["space", "v"])
        await until(pilot, lambda: "merged, all slices" in prose_on(pilot))
        assert rows(tab, 2) == list(range(24, 56))
        assert "alpha/merged z 12/24" in prose_on(pilot)
        await press(pilot, ["right", "enter"])
        assert rows(tab, 1) == list(range(24, 56))
        assert len(started) == 1


async def test_a_label_volume_is_replaced_only_after_asking(
    mapped: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(mapped)
    started = keep_starts(app, monkeypatch)
    async with merging(app) as (pilot, tab):
        await press(pilot, ["enter"])
        run_merge(mapped, msgspec.to_builtins(started[0][1][1]), Listener(mapped.layout.root / "partial"))
        await until(pilot, lambda: tab.tomogram is not None and tab.tomogram.labels)
        for key, starts in (("n", 1), ("y", 2)):
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
            await press(pilot, [key])
            assert len(started) == starts


async def test_a_running_merge_is_shown(mapped: Project, make_app: MakeApp) -> None:
    create_job(mapped.layout, "merge", "alpha/merged", {})
    async with merging(make_app(mapped)) as (pilot, _):
        await until(pilot, lambda: "job 1" in prose_on(pilot))


async def test_a_new_map_is_read_again(mapped: Project, make_app: MakeApp) -> None:
    async with merging(make_app(mapped)) as (pilot, tab):
        assert rows(tab, 1) == list(range(24))
        give_map(mapped, "alpha", "both.microtubule", band(slice(60, 70)), created="2026-02-03T00:00:00Z")
        await until(pilot, lambda: rows(tab, 1) == list(range(60, 70)))
