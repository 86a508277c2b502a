"""The key a of the Train tab: tiles with suspicious labels."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from helpers.pilot import MakeApp, open_tab, prose_on, until
from helpers.run_project import put_audit, put_job, put_run, tell_progress
from textual.pilot import Pilot

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.annotate_tab import AnnotateTab
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.train.audit_dialog import AuditDialog
from tomoseg_tui.tui.train.train_tab import TrainTab

Asked = tuple[list[str], Callable[[], tuple[str, Any]]]


@asynccontextmanager
async def auditing(app: TomosegApp) -> AsyncIterator[tuple[Pilot[None], list[Asked]]]:
    """Open the audit screen of the first run; jobs are recorded, not started."""
    started: list[Asked] = []

    def keep(
        argv: list[str],
        prepare: Callable[[], tuple[str, Any]],
        **_: object,
    ) -> None:
        started.append((argv, prepare))

    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 4)
        app.start_job = keep  # type: ignore[method-assign]
        tab = app.open_tab
        assert isinstance(tab, TrainTab)
        await until(pilot, lambda: tab.run is not None)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AuditDialog))
        yield pilot, started


async def test_the_worst_tile_comes_first_with_the_reason_and_the_picture(
    small_project: Project, make_app: MakeApp
) -> None:
    put_run(small_project, "mt_1")
    put_audit(small_project, "old", created="2026-04-01T10:00:00Z", tiles=())
    put_audit(small_project, "microtubule_1")
    put_audit(small_project, "other", created="2026-06-01T10:00:00Z", features=("membrane",))
    async with auditing(make_app(small_project)) as (pilot, _):
        expected = (
            "microtubule_1, 01 May: 1 of 2 tiles are suspicious.",
            "1 alpha:48,48,6:64 microtubule negative 0.87",
            "The network predicts microtubule on 50 % of this negative tile.",
        )
        await until(pilot, lambda: all(text in prose_on(pilot) for text in expected))
        picture = pilot.app.screen.query_one(StillCanvas).picture
        assert picture is not None
        assert picture.grey.shape == (64, 3 * 64 + 4)
        await pilot.press("j")
        await until(pilot, lambda: "Annotation and network agree." in prose_on(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, AuditDialog))


async def test_enter_opens_the_tile_in_annotate(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    put_audit(small_project, "microtubule_1")
    app = make_app(small_project)
    async with auditing(app) as (pilot, _):
        await until(pilot, lambda: "0.87" in prose_on(pilot))
        await pilot.press("j", "enter")
        await until(pilot, lambda: isinstance(app.open_tab, AnnotateTab))
        tab = app.open_tab
        assert isinstance(tab, AnnotateTab)
        await until(pilot, lambda: tab.command_argv() is not None)
        assert tab.command_argv() == ["annotations", "set", "alpha:48,48,18:64", "--feature", "microtubule", "--done"]


async def test_a_removed_tile_is_reported(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    report = put_audit(small_project, "microtubule_1", tiles=())
    assert not report.tiles
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 3)
        tab = app.open_tab
        assert isinstance(tab, AnnotateTab)
        await until(pilot, lambda: "tiles" in prose_on(pilot))
        assert not tab.show_tile("alpha:1,2,3:64", "microtubule")


async def test_without_an_audit_one_is_offered_and_a_starts_it(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    async with auditing(make_app(small_project)) as (pilot, started):
        await until(pilot, lambda: "Press a to start it" in prose_on(pilot))
        assert "on the CPU (auto: no GPU found here), a guess from its size; about " in prose_on(pilot)
        assert "MB of memory" in prose_on(pilot)
        await pilot.press("a")
        await until(pilot, lambda: started)
    argv, prepare = started[0]
    assert argv == ["audit", "--feature", "microtubule"]
    kind, request = prepare()
    assert (kind, request.name, request.features, request.trainset) == (
        "audit",
        "microtubule_1",
        ("microtubule",),
        None,
    )


async def test_a_running_audit_is_reported(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    job = put_job(small_project, "audit", "microtubule_1", state="stopped", asked={"features": ["microtubule"]})
    tell_progress(job, 0.3, "part 2/4, epoch 1/5")
    async with auditing(make_app(small_project)) as (pilot, _):
        await until(pilot, lambda: "job 2 is stopped. part 2/4, epoch 1/5" in prose_on(pilot))


async def test_a_run_without_a_network_cannot_be_audited(small_project: Project, make_app: MakeApp) -> None:
    put_job(small_project, "train", "mt_1", state="failed", fault="It diverged.", fix="Take a smaller rate.")
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 4)
        await until(pilot, lambda: "mt_1 failed" in prose_on(pilot))
        await pilot.press("a")
        await until(pilot, lambda: "Choose a run with a finished epoch" in prose_on(pilot))
