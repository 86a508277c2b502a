"""The Jobs tab, key by key, on a real project."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from helpers.pilot import MakeApp, open_tab, prose_on, until
from helpers.run_project import figures, last_command, put_job, put_run, tell_progress, waiting_worker
from textual.pilot import Pilot

from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.jobs import job as job_module
from tomoseg_tui.jobs.job import JobState, SlurmSubmission, find_job
from tomoseg_tui.jobs.slurm.status import SlurmStatusCache
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.project.records import now
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.jobs.jobs_tab import JobsTab, LogView
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest


@asynccontextmanager
async def watching(app: TomosegApp, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[Pilot[None], JobsTab]]:
    """Open the tab."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await open_tab(pilot, 7)
        tab = app.open_tab
        assert isinstance(tab, JobsTab)
        yield pilot, tab


async def test_without_jobs_the_tab_explains_jobs(project: Project, make_app: MakeApp) -> None:
    async with watching(make_app(project)) as (pilot, _):
        await until(pilot, lambda: "Press 4 to train a network" in prose_on(pilot))
        assert "started" not in prose_on(pilot)


async def test_the_first_job_can_be_controlled_immediately(small_project: Project, make_app: MakeApp) -> None:
    async with watching(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: "Press 4 to train a network" in prose_on(pilot))
        put_job(small_project, "merge", "alpha/merged")
        # The job is written in steps; a read in between shows it queued.
        await until(pilot, lambda: tab.query_one(Table).has_focus and "100%" in prose_on(pilot))
        await until(pilot, lambda: tab.job is not None and tab.job["state"] == "done")
        await pilot.pause()
        await pilot.press("r")
        await until(pilot, lambda: "Job 1 is done: there is nothing to resume." in prose_on(pilot))


async def test_jobs_are_listed_newest_first_with_state_and_progress(small_project: Project, make_app: MakeApp) -> None:
    put_job(small_project, "merge", "alpha/merged")
    lost = put_job(small_project, "apply", "mt on alpha", state="lost")
    tell_progress(lost, 0.43, "slab 3/7")
    async with watching(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: tab.query_one(Table).row_count == 2)
        text = prose_on(pilot)
        assert text.index("2 apply mt on alpha lost") < text.index("1 merge alpha/merged done")
        assert "43%" in text
        assert "900 MB" in text
        assert "The worker ended without an error message" in text
        assert "tomoseg jobs resume 2" in text


async def test_the_log_of_the_job_under_the_cursor_is_shown_and_grows(
    small_project: Project, make_app: MakeApp
) -> None:
    job = put_job(small_project, "merge", "alpha/merged", state="queued")
    worker = waiting_worker(job)
    try:
        async with watching(make_app(small_project)) as (pilot, tab):
            await until(pilot, lambda: "something of TensorFlow" in prose_on(pilot))
            assert "T" not in tab.query_one(LogView).lines[0].split(" ")[0]
            append_line(job.log_file, f"{now()} slab 1 of 3")
            await until(pilot, lambda: "slab 1 of 3" in prose_on(pilot))
    finally:
        worker.terminate()
        worker.wait()


async def test_enter_opens_log_and_curves_and_escape_returns(small_project: Project, make_app: MakeApp) -> None:
    put_run(small_project, "mt_1")
    async with watching(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: "best 2" in prose_on(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: not tab.query_one("#jobs-list").region)
        assert tab.query_one(LogView).has_focus
        assert "job 1 train mt_1 done" in prose_on(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: tab.query_one(Table).has_focus and tab.query_one("#jobs-list").region)


async def test_curves_are_shown_for_trainings_only_and_follow_the_cursor(
    small_project: Project, make_app: MakeApp
) -> None:
    put_run(small_project, "mt_1")
    put_job(small_project, "merge", "alpha/merged")
    async with watching(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: tab.job is not None and tab.job["kind"] == "merge")
        assert "loss" not in prose_on(pilot)
        assert tab.command_argv() == ["jobs", "show", "2"]
        await pilot.press("j")
        await until(pilot, lambda: "best 2" in prose_on(pilot))
        append_line(find_job(small_project.layout, "1").metrics_file, figures(9, best=True))


async def test_slash_filters_the_jobs(small_project: Project, make_app: MakeApp) -> None:
    put_job(small_project, "merge", "alpha/merged")
    put_job(small_project, "apply", "mt on alpha", state="lost")
    async with watching(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: tab.query_one(Table).row_count == 2)
        await pilot.press("slash", *"merge", "enter")
        await until(pilot, lambda: tab.query_one(Table).row_count == 1 and "1 of 2" in prose_on(pilot))
        assert tab.query_one(Table).has_focus
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, lambda: "no job matches the filter" in prose_on(pilot))
        await pilot.press("s", "r", "K")
        await until(pilot, lambda: "There is no job under the cursor." in prose_on(pilot))
        await pilot.press("slash", "escape")
        await until(pilot, lambda: tab.query_one(Table).row_count == 2)


async def test_slurm_jobs_are_listed_with_the_reason_for_waiting(
    small_project: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = SlurmStatusCache(lambda _words: "1207|PENDING|gpu||Priority\n1208|TIMEOUT|gpu|node3|TimeLimit\n")
    monkeypatch.setattr(job_module, "status_cache", lambda: desk)
    put_job(small_project, "merge", "alpha/merged")
    for number, state in (("1207", "queued"), ("1208", "lost")):
        job = put_job(small_project, "train", f"mt_{number}", state=state)
        job.update_record(slurm=SlurmSubmission(settings=SlurmSettings(time="8:00:00"), job=number))
    async with watching(make_app(small_project), (110, 30)) as (pilot, tab):
        await until(pilot, lambda: tab.query_one(Table).row_count == 3)
        await until(pilot, lambda: "on Slurm 1208, gpu" in prose_on(pilot))
        assert "Slurm ended it at its time limit of 8:00:00" in prose_on(pilot)
        assert "2 train mt_1207 queued in Slurm" in prose_on(pilot)
        await pilot.press("down")
        await until(pilot, lambda: "waiting in Slurm: Priority" in prose_on(pilot))
        await pilot.press("slash", *"1207")
        await until(pilot, lambda: tab.query_one(Table).row_count == 1)


async def test_s_stops_the_job(small_project: Project, make_app: MakeApp) -> None:
    job = put_job(small_project, "merge", "alpha/merged", state="queued")
    worker = waiting_worker(job)
    try:
        async with watching(make_app(small_project)) as (pilot, _):
            await until(pilot, lambda: "alpha/merged running" in prose_on(pilot))
            await pilot.press("s")
            await until(pilot, lambda: job.record().state is JobState.STOPPED)
            await until(pilot, lambda: "r resumes it" in prose_on(pilot))
            await until(pilot, lambda: last_command(small_project) == "tomoseg jobs stop 1")
    finally:
        worker.kill()
        worker.wait()


async def test_kill_asks_first_and_then_ends_the_job(small_project: Project, make_app: MakeApp) -> None:
    job = put_job(small_project, "merge", "alpha/merged", state="queued")
    worker = waiting_worker(job)
    app = make_app(small_project)
    try:
        async with watching(app) as (pilot, _):
            await until(pilot, lambda: "alpha/merged running" in prose_on(pilot))
            await pilot.press("K")
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            await pilot.press("n")
            await until(pilot, lambda: not isinstance(app.screen, Confirm))
            assert worker.poll() is None
            await pilot.press("K", "y")
            await until(pilot, lambda: worker.poll() is not None and job.record().state is JobState.STOPPED)
            await until(pilot, lambda: "Killed." in prose_on(pilot))
            await until(pilot, lambda: last_command(small_project) == "tomoseg jobs kill 1")
    finally:
        worker.kill()
        worker.wait()


async def test_a_finished_job_is_not_killed(small_project: Project, make_app: MakeApp) -> None:
    put_job(small_project, "merge", "alpha/merged")
    app = make_app(small_project)
    async with watching(app) as (pilot, tab):
        await until(pilot, lambda: tab.job is not None)
        await pilot.press("K")
        await until(pilot, lambda: "Job 1 is done already." in prose_on(pilot))
        assert not isinstance(app.screen, Confirm)


async def test_r_resumes_a_stopped_job_to_its_end(small_project: Project, make_app: MakeApp) -> None:
    request = msgspec.to_builtins(PreprocessRequest(("alpha",)))
    job = put_job(small_project, "preprocess", "alpha__preproc", state="stopped", asked=request)
    async with watching(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: tab.job is not None)
        await pilot.press("r")
        await until(pilot, lambda: job.record().state is JobState.DONE, seconds=30)
        await until(pilot, lambda: "alpha__preproc done" in prose_on(pilot))
        await until(pilot, lambda: last_command(small_project) == "tomoseg jobs resume 1")


async def pick_elsewhere(pilot: Pilot[None], tab: JobsTab) -> None:
    """Resume the current job in another place."""
    await until(pilot, lambda: tab.job is not None)
    await pilot.press("R")
    await until(pilot, lambda: isinstance(pilot.app.screen, Pick))
    await pilot.press("enter")


@pytest.mark.slow
async def test_a_slurm_job_can_be_resumed_on_this_machine(small_project: Project, make_app: MakeApp) -> None:
    request = msgspec.to_builtins(PreprocessRequest(("alpha",)))
    job = put_job(small_project, "preprocess", "alpha__preproc", state="stopped", asked=request)
    job.update_record(slurm=SlurmSubmission(settings=SlurmSettings(), job="1207"))
    app = make_app(small_project)
    async with watching(app) as (pilot, tab):
        await pick_elsewhere(pilot, tab)
        await until(pilot, lambda: job.record().state is JobState.DONE, seconds=30)
        assert job.record().slurm is None
        await until(pilot, lambda: tab.job is not None and tab.job["state"] == "done")
        await pilot.press("R")
        await until(pilot, lambda: "Job 1 is done: there is nothing to resume." in prose_on(pilot))
        await until(pilot, lambda: last_command(small_project) == "tomoseg jobs resume 1 --here")


async def test_a_job_can_be_resumed_in_slurm_and_is_unchanged_without_slurm(
    small_project: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    job = put_job(small_project, "merge", "alpha/merged", state="stopped")
    app = make_app(small_project)
    async with watching(app) as (pilot, tab):
        await pick_elsewhere(pilot, tab)
        await until(pilot, lambda: "There is no Slurm on this machine" in prose_on(pilot))
    assert job.record().state is JobState.STOPPED


async def test_fault_and_fix_of_a_failed_job_are_shown(small_project: Project, make_app: MakeApp) -> None:
    put_job(small_project, "apply", "mt on beta", state="failed", fault="No room [/tmp] left.", fix="Make room.")
    async with watching(make_app(small_project)) as (pilot, _):
        await until(pilot, lambda: "No room [/tmp] left. Make room." in prose_on(pilot))
