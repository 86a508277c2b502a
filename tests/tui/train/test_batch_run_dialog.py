"""A batch run from the Train tab, waiting jobs in the Jobs tab, and notifications of their end; without a network."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.pilot import MakeApp, open_tab, prose_on, until
from helpers.pseudo_terminal import Terminal
from helpers.run_project import last_command
from helpers.stub_worker import Stage, becomes, train
from textual.widgets import Input

from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import JobState, all_jobs, find_job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.jobs.jobs_tab import JobTable
from tomoseg_tui.tui.train.batch_run_dialog import BatchRunDialog

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(small_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Trainings that wait until released; they end with the test."""
    yield Stage(tmp_path / "stage", monkeypatch)
    for job in all_jobs(small_project.layout):
        launch.kill(job)


async def test_capital_r_asks_and_starts_a_sequence_of_jobs(
    small_project: Project, make_app: MakeApp, stage: Stage
) -> None:
    stage.hold("mt")
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 4)
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, BatchRunDialog))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "No feature is chosen." in prose_on(pilot))
        await pilot.press("space")
        for name, value in (("tomograms", "alpha, beta"), ("name", "mt"), ("epochs", "3"), ("device", "gpu9")):
            app.screen.query_one(f"#{name}", Input).value = value
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Device is 'gpu9'. Enter auto, cpu, gpu, or gpu:N" in prose_on(pilot))
        app.screen.query_one("#device", Input).value = ""
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Jobs 1 to 5: mt on alpha, beta." in prose_on(pilot), seconds=60)
        await pilot.press("7")
        await until(pilot, lambda: app.screen.query_one(JobTable).row_count == 5)
        await until(pilot, lambda: "1 job running, 4 waiting" in prose_on(pilot))
        await until(pilot, lambda: "waiting for job 4 (apply mt on beta)" in prose_on(pilot))
        assert "5 merge beta/merged queued after 4" in prose_on(pilot)
    text = "tomoseg run --feature microtubule --tomogram alpha --tomogram beta --name mt --epochs 3"
    assert last_command(small_project) == text


async def test_an_impossible_run_is_refused_with_a_clear_error(
    small_project: Project, make_app: MakeApp, stage: Stage
) -> None:
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 4)
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, BatchRunDialog))
        await pilot.press("space")
        app.screen.query_one("#tomograms", Input).value = "nowhere"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "nowhere" in prose_on(pilot) and not isinstance(app.screen, BatchRunDialog))
    assert all_jobs(small_project.layout) == []
    assert list(small_project.layout.networks.iterdir()) == []


async def test_waiting_jobs_show_their_place_and_the_reason(
    small_project: Project, make_app: MakeApp, stage: Stage
) -> None:
    stage.hold("first", "second")
    train(small_project, "first")
    train(small_project, "second")
    train(small_project, "third")
    app = make_app(small_project)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await open_tab(pilot, 7)
        await until(pilot, lambda: "1 job running, 2 waiting" in prose_on(pilot))
        await until(pilot, lambda: "waiting for the CPU: job 1 is running, 1 job ahead" in prose_on(pilot))
        assert "3 train third queued place 2" in prose_on(pilot)
        assert "2 train second queued place 1" in prose_on(pilot)
        await pilot.press("s")
        await until(pilot, lambda: find_job(small_project.layout, "3").state() is JobState.STOPPED)
        await until(pilot, lambda: "Stopped; finished work is kept. r resumes it." in prose_on(pilot))


async def test_resuming_a_job_also_resumes_its_dependents(
    small_project: Project, make_app: MakeApp, stage: Stage
) -> None:
    stage.fail("first")
    first = train(small_project, "first")
    later = train(small_project, "later", after=["1"])
    becomes(later, JobState.FAILED)
    stage.fail("first", fails=False)
    app = make_app(small_project)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await open_tab(pilot, 7)
        await until(pilot, lambda: app.screen.query_one(JobTable).row_count == 2)
        await pilot.press("r")
        # The details show it too, before any key: only a notification shows that the key was handled.
        await until(pilot, lambda: any("Resume it first" in notice.message for notice in app._notifications))
        await pilot.press("j", "r")
        await until(pilot, lambda: "Job 1 is resumed, with 2 that depend on it." in prose_on(pilot))
    becomes(later, JobState.DONE)
    assert first.state() is JobState.DONE


def test_the_program_notifies_the_terminal_of_finished_jobs(
    small_project: Project, stage: Stage, tmp_path: Path
) -> None:
    config = tmp_path / "config" / "tomoseg" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[notice]\nosc = "9"\n')
    stage.hold("first")
    job = train(small_project, "first")
    root = str(small_project.layout.root)
    with Terminal([sys.executable, "-m", "tomoseg_tui", root], environment={"TMUX": ""}) as terminal:
        terminal.wait_for(lambda out: b"1 job running" in out, seconds=60)
        assert b"\x1b]9;" not in terminal.output
        stage.let_go("first")
        terminal.wait_for(lambda out: b"\x07\x1b]9;tomoseg: job 1 (train first) is done\x07" in out, seconds=60)
    assert job.state() is JobState.DONE
