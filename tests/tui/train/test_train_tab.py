"""The Train tab, key by key, on a real project."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from helpers.pilot import MakeApp, open_tab, prose_on, until
from helpers.run_project import figures, last_command, put_job, put_run, tell_progress, waiting_worker
from textual.pilot import Pilot
from textual.widgets import Input, Select

from tomoseg_tui.errors import WorkerLostError
from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.train.compare_dialog import CompareRunsDialog
from tomoseg_tui.tui.train.train_dialog import TrainDialog
from tomoseg_tui.tui.train.train_tab import TrainTab
from tomoseg_tui.tui.train.triples import TripleCell, TripleRow
from tomoseg_tui.tui.widgets.feature_list import FeatureList

Asked = tuple[list[str], Callable[[], tuple[str, Any]]]


@asynccontextmanager
async def training(app: TomosegApp, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[Pilot[None], TrainTab]]:
    """Open the tab."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await open_tab(pilot, 4)
        tab = app.open_tab
        assert isinstance(tab, TrainTab)
        yield pilot, tab


@asynccontextmanager
async def at_the_form(app: TomosegApp, key: str = "t") -> AsyncIterator[tuple[Pilot[None], list[Asked]]]:
    """Open the form; jobs are recorded, not started."""
    started: list[Asked] = []

    def keep(
        argv: list[str],
        prepare: Callable[[], tuple[str, Any]],
        **_: object,
    ) -> None:
        started.append((argv, prepare))

    async with training(app) as (pilot, tab):
        app.start_job = keep  # type: ignore[method-assign]
        await until(pilot, lambda: not tab.has_class("-bare") or not app.snapshot or not app.snapshot.networks)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, TrainDialog))
        yield pilot, started


def notices(pilot: Pilot[None]) -> list[str]:
    return [notice.message for notice in pilot.app._notifications]


def triples(tab: TrainTab) -> TripleRow:
    return tab.query_one(TripleRow)


async def test_without_annotations_the_tab_explains_what_is_needed(project: Project, make_app: MakeApp) -> None:
    async with training(make_app(project)) as (pilot, _):
        await until(pilot, lambda: "Press 3 to annotate" in prose_on(pilot))


async def test_with_annotations_the_tab_explains_how_to_train(small_project: Project, make_app: MakeApp) -> None:
    async with training(make_app(small_project)) as (pilot, _):
        await until(pilot, lambda: "Press t to train" in prose_on(pilot))


async def test_a_run_is_shown_with_curves_and_pictures(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    async with training(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: "best 2" in prose_on(pilot) and triples(tab).views)
        text = prose_on(pilot)
        assert "mt_1 done" in text
        assert "epoch 3/3" in text
        assert "worst 1/4" in text
        assert "Dice 0.00 1280 pixels differ alpha:48,48,0:64 held out" in text


async def test_a_running_training_without_a_network_is_listed_and_followed(
    small_project: Project, make_app: MakeApp
) -> None:
    request = {"name": "mt_1", "features": ["microtubule"]}
    job = put_job(small_project, "train", "mt_1", state="queued", asked=request)
    worker = waiting_worker(job)
    try:
        tell_progress(job, 0.1, "loss 0.5", 170, epoch=2, epochs=20)
        append_line(job.metrics_file, figures(1, best=True))
        async with training(make_app(small_project)) as (pilot, _):
            await until(pilot, lambda: "mt_1 running" in prose_on(pilot) and "best 1" in prose_on(pilot))
            assert "epoch 2/20 about 02:50 left" in prose_on(pilot)
            assert "mt_1 M now" in prose_on(pilot)
            assert "The pictures come when the training is over" in prose_on(pilot)
            append_line(job.metrics_file, figures(2, best=True))
            await until(pilot, lambda: "best 2" in prose_on(pilot))
    finally:
        worker.terminate()
        worker.wait()


async def test_s_stops_a_training_and_it_is_in_the_history(small_project: Project, make_app: MakeApp) -> None:
    job = put_job(small_project, "train", "mt_1", state="queued")
    worker = waiting_worker(job)
    try:
        async with training(make_app(small_project)) as (pilot, _):
            await until(pilot, lambda: "mt_1 running" in prose_on(pilot))
            await pilot.press("s")
            await until(pilot, lambda: "Job 1 is stopped; finished work is kept." in notices(pilot))
            await until(pilot, lambda: "mt_1 stopped" in prose_on(pilot))
    finally:
        worker.kill()
        worker.wait()
    assert last_command(small_project) == "tomoseg jobs stop 1"


async def test_a_finished_training_is_neither_stopped_nor_resumed(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    async with training(make_app(small_project)) as (pilot, _):
        await until(pilot, lambda: "mt_1 done" in prose_on(pilot))
        await pilot.press("s", "r")
        await until(pilot, lambda: len(notices(pilot)) == 2)
        assert notices(pilot) == ["Job 1 is done already.", "Job 1 is done: there is nothing to resume."]
    assert last_command(small_project) == ""


async def test_a_failed_training_shows_fault_and_fix(small_project: Project, make_app: MakeApp) -> None:
    put_job(small_project, "train", "mt_1", state="failed", fault="It diverged [1].", fix="Take a smaller rate.")
    async with training(make_app(small_project)) as (pilot, _):
        await until(pilot, lambda: "It diverged [1]. Take a smaller rate." in prose_on(pilot))


async def test_a_lost_training_keeps_its_curves_and_shows_the_reason(small_project: Project, make_app: MakeApp) -> None:
    job = put_job(small_project, "train", "mt_1", state="lost")
    append_line(job.metrics_file, figures(1, best=True))
    tell_progress(job, 0.1, "loss 0.5", epoch=2, epochs=20)
    async with training(make_app(small_project)) as (pilot, _):
        await until(pilot, lambda: "best 1" in prose_on(pilot) and "r resumes it" in prose_on(pilot))
        await until(pilot, lambda: "The worker ended without an error message" in prose_on(pilot))


async def test_the_enlarged_tile_keeps_the_focus_after_another_tab(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    async with training(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: triples(tab).views)
        await pilot.press("m")
        await open_tab(pilot, 7)
        await open_tab(pilot, 4)
        await until(pilot, lambda: triples(tab).has_focus)
        await pilot.press("m")
        assert triples(tab).large == "network"


async def test_enter_opens_the_card_and_y_copies_its_command(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    app = make_app(small_project)
    async with training(app) as (pilot, tab):
        await until(pilot, lambda: tab.run is not None)
        assert tab.command_argv() == ["networks", "show", "mt_1"]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ReportDialog))
        assert "microtubule: Dice 0.800, precision 0.700, recall 0.900" in prose_on(pilot)


async def test_triples_are_stepped_through_reversed_and_enlarged(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    async with training(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: triples(tab).views)
        await pilot.press("n")
        assert triples(tab).first_index == 1
        await pilot.press("N", "N")
        assert triples(tab).first_index == 3
        await pilot.press("w")
        assert (triples(tab).first_index, triples(tab).views[0].wrong_pixels) == (0, 0)
        await pilot.press("m")
        assert triples(tab).large == "annotation"
        await until(pilot, lambda: not tab.query_one("#train-top").display or "runs" not in prose_on(pilot))
        await pilot.press("m")
        await until(pilot, lambda: "network over it" in prose_on(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: triples(tab).large is None and "runs" in prose_on(pilot))


async def test_more_pictures_are_side_by_side_in_a_wide_terminal(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    for size, shown in (((80, 24), 1), ((200, 60), 1), ((250, 40), 2)):
        async with training(make_app(small_project), size) as (pilot, tab):
            await until(pilot, lambda tab=tab: triples(tab).views)  # type: ignore[misc]
            await until(
                pilot,
                lambda tab=tab, shown=shown: sum(cell.display for cell in tab.query(TripleCell)) == shown,  # type: ignore[misc]
            )


async def test_two_runs_are_compared(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    put_run(small_project, "mt_2", network="eman2", epochs=5)
    app = make_app(small_project)
    async with training(app, (120, 40)) as (pilot, tab):
        await until(pilot, lambda: tab.run is not None and tab.run.name == "mt_2")
        await pilot.press("d")
        await until(pilot, lambda: "* mt_2" in prose_on(pilot))
        await pilot.press("j", "d")
        await until(pilot, lambda: isinstance(app.screen, CompareRunsDialog) and "best 2" in prose_on(pilot))
        assert "≠ network eman2" in prose_on(pilot)
        assert not app._notifications
        await pilot.press("escape")
        assert not isinstance(app.screen, CompareRunsDialog)


async def test_the_legends_of_two_runs_are_complete_in_a_small_terminal(
    small_project: Project, make_app: MakeApp
) -> None:
    for name in ("mt_1", "mt_2"):
        job = put_run(small_project, name)
        append_line(job.metrics_file, figures(4, dice={"microtubule": 0.912, "membrane": 0.834}))
    async with training(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: tab.run is not None)
        await pilot.press("d", "j", "d")
        await until(pilot, lambda: prose_on(pilot).count("dice M 0.912 E 0.834") == 2)
        assert prose_on(pilot).count("loss T 0.25 V 0.375") == 2


async def test_a_mark_is_removed_by_the_same_key(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    async with training(make_app(small_project)) as (pilot, _):
        await until(pilot, lambda: "mt_1 done" in prose_on(pilot))
        await pilot.press("d")
        await until(pilot, lambda: "* mt_1" in prose_on(pilot))
        await pilot.press("d")
        await until(pilot, lambda: "* mt_1" not in prose_on(pilot))


# The form


async def test_the_form_describes_the_training(small_project: Project, make_app: MakeApp) -> None:
    async with at_the_form(make_app(small_project)) as (pilot, _):
        await until(pilot, lambda: "No feature is chosen. Choose one with space." in prose_on(pilot))
        await pilot.press("space")
        expected = (
            "Tiles with microtubule 1, without 1.",
            "Nothing was held out",
            "50 epochs of 25 steps, learning rate 0.004.",
            "on the CPU (auto: no GPU found here), a guess from its size; about 738 MB of memory, ",
            "! 2 tiles are not annotated for microtubule yet.",
        )
        await until(pilot, lambda: all(text in prose_on(pilot) for text in expected))
        assert pilot.app.screen.query_one("#name", Input).placeholder == "microtubule_1"


async def test_the_memory_of_a_graphics_card_without_measurement_is_unknown(
    small_project: Project, make_app: MakeApp
) -> None:
    async with at_the_form(make_app(small_project)) as (pilot, _):
        await pilot.press("space")
        pilot.app.screen.query_one("#device", Input).value = "gpu:1"
        await until(pilot, lambda: "on GPU 1, a guess from its size" in prose_on(pilot))
        await until(pilot, lambda: "an unknown amount of video memory" in prose_on(pilot))


async def test_start_requests_the_same_job_as_the_command(small_project: Project, make_app: MakeApp) -> None:
    async with at_the_form(make_app(small_project)) as (pilot, started):
        await pilot.press("space")
        pilot.app.screen.query_one("#epochs", Input).value = "3"
        await until(pilot, lambda: "3 epochs of 25 steps" in prose_on(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: started)
    argv, prepare = started[0]
    assert argv == ["train", "--feature", "microtubule", "--epochs", "3"]
    kind, request = prepare()
    assert (kind, request.name, request.epochs, request.features) == ("train", "microtubule_1", 3, ("microtubule",))


async def test_a_training_that_does_not_start_frees_its_name(
    small_project: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_job: object, **_how: object) -> None:
        raise WorkerLostError("The worker of job 1 did not start.", "Read its log: tomoseg jobs log 1")

    monkeypatch.setattr("tomoseg_tui.jobs.launch.start_worker", refuse)
    async with training(make_app(small_project)) as (pilot, _):
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, TrainDialog))
        await pilot.press("space")
        await until(pilot, lambda: "50 epochs of 25 steps" in prose_on(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "The worker of job 1 did not start." in prose_on(pilot))
    assert not small_project.layout.network_folder("microtubule_1").exists()
    assert last_command(small_project) == ""


async def test_an_impossible_training_is_not_started(small_project: Project, make_app: MakeApp) -> None:
    async with at_the_form(make_app(small_project)) as (pilot, started):
        await until(pilot, lambda: "No feature is chosen" in prose_on(pilot))
        await pilot.press("ctrl+s")
        assert isinstance(pilot.app.screen, TrainDialog)
        await pilot.press("space")
        pilot.app.screen.query_one("#epochs", Input).value = "many"
        await until(pilot, lambda: "Epochs is 'many'. Enter a whole number" in prose_on(pilot))
        await pilot.press("ctrl+s")
        assert isinstance(pilot.app.screen, TrainDialog)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, TrainDialog))
        assert not started


async def test_a_start_is_not_refused_for_an_error_that_was_just_corrected(
    small_project: Project, make_app: MakeApp
) -> None:
    async with at_the_form(make_app(small_project)) as (pilot, started):
        await until(pilot, lambda: "No feature is chosen" in prose_on(pilot))
        await pilot.press("space", "ctrl+s")
        await until(pilot, lambda: started)
    assert started[0][0] == ["train", "--feature", "microtubule"]


async def test_an_invalid_device_is_refused_with_a_clear_error(small_project: Project, make_app: MakeApp) -> None:
    async with at_the_form(make_app(small_project)) as (pilot, _):
        pilot.app.screen.query_one("#device", Input).value = "tpu"
        await until(pilot, lambda: "Device is 'tpu'. Enter auto, cpu, gpu, or gpu:N" in prose_on(pilot))


async def test_c_continues_from_the_run_at_a_tenth_of_its_rate(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1", learning_rate=0.02, network="eman2")
    async with at_the_form(make_app(small_project), "c") as (pilot, started):
        await until(pilot, lambda: "learning rate 0.002." in prose_on(pilot))
        assert pilot.app.screen.query_one(FeatureList).chosen == ("microtubule",)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: started)
    assert started[0][0] == ["train", "--feature", "microtubule", "--from", "mt_1"]


async def test_the_folded_part_offers_training_sets(small_project: Project, make_app: MakeApp) -> None:
    from tomoseg_tui.workflow.training.trainset import TrainsetRequest, build_trainset

    build_trainset(small_project, "tubes", TrainsetRequest(("microtubule",)))
    async with at_the_form(make_app(small_project)) as (pilot, started):
        choice = pilot.app.screen.query_one("#trainset", Select)
        await until(pilot, lambda: len(choice._options) == 2)
        choice.value = "tubes"
        await until(pilot, lambda: "Tiles with microtubule 1" in prose_on(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: started)
    assert started[0][0] == ["train", "--trainset", "tubes"]


async def test_repeated_snapshots_keep_the_cursor(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    put_run(small_project, "mt_2")
    app = make_app(small_project)
    async with training(app) as (pilot, tab):
        await until(pilot, lambda: tab.run is not None and triples(tab).views)
        await pilot.press("j")
        await until(pilot, lambda: tab.run is not None and tab.run.name == "mt_1")
        put_run(small_project, "mt_3")
        app.refresh_snapshot()
        await until(pilot, lambda: "mt_3" in prose_on(pilot))
        assert tab.run is not None
        assert tab.run.name == "mt_1"
    assert Job(small_project.layout.job_folder("3")).metrics_file.exists()
