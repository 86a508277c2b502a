"""Training sets in the Train tab: build a named one, and show existing ones."""

from helpers.pilot import MakeApp, open_tab, prose_on, until
from helpers.run_project import last_command
from textual.widgets import Input

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.train.trainset_dialogs import BuildTrainsetDialog
from tomoseg_tui.workflow.training.trainset import TrainsetRequest, build_trainset, trainset_summaries


async def test_b_builds_a_named_set_and_shows_its_contents(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 4)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, BuildTrainsetDialog))
        await pilot.press("space")
        app.screen.query_one("#name", Input).value = "tubes"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ReportDialog))
        assert "microtubule: 1 positive tiles, 1 negative" in prose_on(pilot)
        await until(pilot, lambda: last_command(small_project) != "")
    assert last_command(small_project) == "tomoseg trainset build tubes --feature microtubule"
    assert [summary.name for summary in trainset_summaries(small_project)] == ["tubes"]


async def test_an_impossible_set_is_refused_in_the_dialog(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 4)
        await pilot.press("b")
        await until(pilot, lambda: isinstance(app.screen, BuildTrainsetDialog))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "No feature is chosen. Choose one with space." in prose_on(pilot))
        await pilot.press("space", "ctrl+s")
        await until(pilot, lambda: "No feature is chosen" not in prose_on(pilot))
        app.screen.query_one("#name", Input).value = "tubes"
        app.screen.query_one("#validation", Input).value = "most"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Held out is 'most'. Enter a number from 0 to 0.5" in prose_on(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, BuildTrainsetDialog))
    assert trainset_summaries(small_project) == []


async def test_capital_t_lists_the_sets_and_shows_one_in_full(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 4)
        await pilot.press("T")
        await until(pilot, lambda: "There is no training set yet; b builds one." in prose_on(pilot))
        build_trainset(small_project, "tubes", TrainsetRequest(("microtubule",)))
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, Pick) and "tubes microtubule 1+ 1-" in prose_on(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReportDialog) and "2 tiles of 64 pixels" in prose_on(pilot))


async def test_without_a_feature_there_is_nothing_to_build(project: Project, make_app: MakeApp) -> None:
    app = make_app(project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 4)
        await pilot.press("b")
        await until(pilot, lambda: "There is no feature to learn yet" in prose_on(pilot))
