"""The Apply tab: marks, starting, stopping, and the growing map over the tomogram."""

import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from helpers.cli_runner import noise, write_mrc
from helpers.map_project import band, begin_maps, give_job, give_map, give_network
from helpers.pilot import MakeApp, open_tab, prose_on, until, words_on
from textual.pilot import Pilot
from textual.widgets import Button, Input

from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.apply.apply_dialog import ApplyDialog
from tomoseg_tui.tui.apply.apply_tab import ApplyTab
from tomoseg_tui.tui.apply.cell_grid import CellGrid
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.form_fields import AsciiCheckbox
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes

ALPHA = ApplyRequest(run="both", tomograms=("alpha",))
Started = list[tuple[list[str], tuple[str, Any]]]


@pytest.fixture
def networked(small_project: Project) -> Project:
    """The small project with a network for both features."""
    give_network(small_project)
    return small_project


@asynccontextmanager
async def applying(app: TomosegApp, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[Pilot[None], ApplyTab]]:
    """Open the tab and wait until the disk has been read."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await open_tab(pilot, 5)
        tab = app.open_tab
        assert isinstance(tab, ApplyTab)
        await until(
            pilot, lambda: app.snapshot is not None and (tab._disk_state.compatibility or not app.snapshot.networks)
        )
        await pilot.pause()
        yield pilot, tab


def keep_starts(app: TomosegApp, monkeypatch: pytest.MonkeyPatch) -> Started:
    """Record the jobs that would be started, and start none."""
    started: Started = []
    monkeypatch.setattr(app, "start_job", lambda argv, prepare, **_: started.append((argv, prepare())))
    return started


def overlay_rows(tab: ApplyTab, z: int) -> list[int]:
    """Return the labelled rows of a slice."""
    overlay = tab.query_one(SliceCanvas)._overlay
    return [] if overlay is None else [row for row, labels in enumerate(overlay.compute(z)) if labels.any()]


async def start(pilot: Pilot[None], **typed: str) -> ApplyDialog:
    """Open the dialog and fill in its fields."""
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, ApplyDialog))
    dialog = pilot.app.screen
    assert isinstance(dialog, ApplyDialog)
    for name, value in typed.items():
        dialog.query_one(f"#{name}", Input).value = value
    await pilot.pause()
    return dialog


def price(dialog: ApplyDialog) -> str:
    return str(dialog.query_one("#apply-price").render())


async def test_without_tomograms_and_networks_the_next_key_is_named(project: Project, make_app: MakeApp) -> None:
    async with applying(make_app(project)) as (pilot, tab):
        await until(pilot, lambda: "Press 1 to import one." in prose_on(pilot))
        assert tab.command_argv() is None
        await pilot.press("space", "a", "enter", "s", "f", "right_square_bracket")
        assert not isinstance(pilot.app.screen, ApplyDialog)


async def test_without_a_network_training_is_named(small_project: Project, make_app: MakeApp) -> None:
    async with applying(make_app(small_project)) as (pilot, _):
        await until(pilot, lambda: "Press 4 to train one." in prose_on(pilot))
        give_network(small_project)
        await until(pilot, lambda: isinstance(pilot.app.focused, CellGrid))


async def test_marks_are_set_by_key_and_named_in_the_command(networked: Project, make_app: MakeApp) -> None:
    async with applying(make_app(networked)) as (pilot, tab):
        assert tab.command_argv() == ["apply", "both", "alpha"]
        await pilot.press("j", "space")
        assert tab.command_argv() == ["apply", "both", "beta"]
        assert "*" in words_on(pilot)
        await pilot.press("a")
        assert tab.command_argv() == ["apply", "both", "alpha", "beta"]
        await pilot.press("a", "k")
        assert tab.command_argv() == ["apply", "both", "alpha"]


async def test_mark_all_skips_done_and_mismatched_cells(networked: Project, make_app: MakeApp) -> None:
    give_network(networked, "fine", voxel_size_angstrom=5.0)
    for feature in ("microtubule", "membrane"):
        give_map(networked, "alpha", f"both.{feature}", band(slice(0, 8)))
    async with applying(make_app(networked)) as (pilot, tab):
        await pilot.press("a")
        assert tab.command_argv() == ["apply", "both", "beta"]
        await pilot.press("a", "l", "a")
        await until(pilot, lambda: "No other tomogram fits fine" in prose_on(pilot))
        assert tab.command_argv() is None


async def test_a_refused_cell_gives_the_full_reason_and_cannot_be_marked(networked: Project, make_app: MakeApp) -> None:
    give_network(networked, "fine", voxel_size_angstrom=5.0)
    async with applying(make_app(networked), (120, 40)) as (pilot, tab):
        await pilot.press("l")
        message = "alpha has 10 Å/voxel, the network fine was trained at 5."
        await until(pilot, lambda: message in prose_on(pilot))
        assert "no: 10, not 5 Å" in prose_on(pilot)
        await pilot.press("space", "enter")
        await pilot.pause()
        assert not tab._marks
        assert not isinstance(pilot.app.screen, ApplyDialog)


async def test_one_job_per_network_is_started_after_asking(
    networked: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_network(networked, "second")
    app = make_app(networked)
    started = keep_starts(app, monkeypatch)
    async with applying(app) as (pilot, tab):
        await pilot.press("a", "l", "space")
        dialog = await start(pilot, z="8:16", workers="2", tta="4", half="half")
        assert "2 jobs; each device does one at a time." in prose_on(pilot)
        await until(
            pilot,
            lambda: (
                "on the CPU (auto: no GPU found here), a guess from its size; about 1.2 GB of memory" in price(dialog)
            ),
        )
        await pilot.press("enter")
        await until(pilot, lambda: len(started) == 2)
        assert not tab._marks
    (argv, (kind, request)), (other, _) = started
    settings = ["--z", "8:16", "--workers", "2", "--tta", "4", "--half"]
    assert argv == ["apply", "both", "alpha", "beta", *settings]
    assert (kind, request.run, request.tomograms, request.workers) == ("apply", "both", ("alpha", "beta"), 2)
    assert (request.tta, request.half) == (4, True)
    assert other == ["apply", "second", "alpha", *settings]


def says(dialog: ApplyDialog, message: str) -> bool:
    return message in price(dialog)


async def test_the_dialog_shows_errors_and_starts_nothing(
    networked: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(networked)
    started = keep_starts(app, monkeypatch)
    async with applying(app) as (pilot, _):
        dialog = await start(pilot, z="20:30")
        await until(pilot, partial(says, dialog, "does not fit"))
        await pilot.press("enter")
        assert pilot.app.screen is dialog
        wrong = (("workers", "0", "Workers"), ("device", "gpu:x", "gpu:x"), ("tta", "3", "1, 4 or 8"))
        for field, value, message in (("z", "", ""), ("half", "double", "full or half"), *wrong):
            dialog.query_one(f"#{field}", Input).value = value
            await until(pilot, partial(says, dialog, message))
            dialog.query_one(f"#{field}", Input).value = ""
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not dialog)
    assert not started


async def test_a_feature_can_be_left_out(
    networked: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(networked)
    started = keep_starts(app, monkeypatch)
    async with applying(app) as (pilot, _):
        dialog = await start(pilot)
        dialog.query_one("#feature-0").focus()
        await pilot.press("space")
        await until(pilot, lambda: "221 kB of disk space" in price(dialog))
        dialog.query_one("#start", Button).press()
        await until(pilot, lambda: started)
    assert started[0][0] == ["apply", "both", "alpha", "--feature", "membrane"]


async def test_a_single_map_can_also_be_written_to_a_file(
    networked: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    app = make_app(networked)
    started = keep_starts(app, monkeypatch)
    monkeypatch.chdir(tmp_path)
    async with applying(app) as (pilot, _):
        dialog = await start(pilot, output="map.mrc")
        assert "A file cannot contain 2 maps." in price(dialog)
        dialog.query_one("#feature-0", AsciiCheckbox).value = False
        dialog.query_one("#force", AsciiCheckbox).value = True
        await until(pilot, lambda: "442 kB of disk space" in price(dialog))
        dialog.query_one("#start", Button).press()
        await until(pilot, lambda: started)
    argv, (_, request) = started[0]
    file = str(tmp_path / "map.mrc")
    assert argv == ["apply", "both", "alpha", "--feature", "membrane", "--output", file, "--force"]
    assert (request.output, request.force) == (file, True)


async def test_other_filters_are_applied_anyway_only_if_marked(
    networked: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tomoseg_tui.project.records import FilterStep

    give_network(networked, "both", preprocessing=(FilterStep(0.25, 5.0, 3.0),))
    app = make_app(networked)
    started = keep_starts(app, monkeypatch)
    async with applying(app) as (pilot, _):
        await pilot.press("space")
        await start(pilot)
        assert "applied anyway: alpha" in prose_on(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: started)
    assert started[0][0] == ["apply", "both", "alpha", "--anyway"]


async def test_the_map_grows_with_the_finished_slabs(networked: Project, make_app: MakeApp) -> None:
    job = give_job(networked, ALPHA, JobState.RUNNING, progress=0.3)
    begin_maps(networked, job, ALPHA, "alpha", 1)
    async with applying(make_app(networked), (120, 40)) as (pilot, tab):
        canvas = tab.query_one(SliceCanvas)
        await until(pilot, lambda: canvas.z == 0 and overlay_rows(tab, 0) == list(range(32)))
        assert overlay_rows(tab, 6) == []
        await until(pilot, lambda: "6 of 24 mapped" in prose_on(pilot))
        begin_maps(networked, job, ALPHA, "alpha", 2)
        job.progress_file.write_text(job.progress_file.read_text().replace("0.3", "0.6"))
        await until(pilot, lambda: canvas.z == 6 and overlay_rows(tab, 6) == list(range(32)))
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: canvas.z == 7)
        begin_maps(networked, job, ALPHA, "alpha", 3)
        job.progress_file.write_text(job.progress_file.read_text().replace("0.6", "0.9"))
        await until(pilot, lambda: "mapped" in prose_on(pilot) and overlay_rows(tab, 12) == list(range(32)))
        assert canvas.z == 7
        await pilot.press("f")
        await until(pilot, lambda: canvas.z == 12)


async def test_it_opens_at_the_newest_job_even_if_the_disk_is_slow(
    networked: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tomoseg_tui.tui.apply.disk_state import read_apply_state

    give_job(networked, ApplyRequest(run="both", tomograms=("beta",)), JobState.RUNNING, progress=0.3)
    answered = threading.Event()
    monkeypatch.setattr(
        "tomoseg_tui.tui.apply.apply_tab.read_apply_state",
        lambda *facts: answered.wait(20) and read_apply_state(*facts),
    )
    async with make_app(networked).run_test() as pilot:
        await open_tab(pilot, 5)
        await until(pilot, lambda: "Checking which networks fit" in prose_on(pilot))
        assert pilot.app.query_one(CellGrid).field is None
        answered.set()
        await until(pilot, lambda: pilot.app.query_one(CellGrid).field == ("beta", "both"))
        await until(pilot, lambda: "beta z 12/24" in prose_on(pilot))


async def test_a_missing_linked_file_is_reported_in_place_of_its_slices(
    networked: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    file = write_mrc(tmp_path / "zeta.mrc", noise((24, 96, 96)))
    import_volumes(networked, [file], ImportRequest(link=True))
    file.unlink()
    async with applying(make_app(networked)) as (pilot, tab):
        await pilot.press("j", "j")
        await until(pilot, lambda: "zeta its file is missing" in prose_on(pilot))
        message = " ".join(strip.text.strip() for strip in tab.query_one(SliceCanvas)._strips).split()
        assert " ".join(message).startswith("The file of tomogram zeta is missing:")
        assert "Bring it or its disk back" in " ".join(message)


async def test_finished_maps_are_shown_over_their_tomogram(networked: Project, make_app: MakeApp) -> None:
    give_map(networked, "beta", "both.microtubule", band(slice(40, 50)))
    async with applying(make_app(networked), (200, 60)) as (pilot, tab):
        canvas = tab.query_one(SliceCanvas)
        await until(pilot, lambda: canvas.volume_name == "alpha")
        assert overlay_rows(tab, 3) == []
        await pilot.press("j")
        await until(pilot, lambda: canvas.volume_name == "beta" and overlay_rows(tab, 3) == list(range(40, 50)))
        await until(pilot, lambda: "M microtubule" in prose_on(pilot))


async def test_s_stops_the_job_of_the_cell(
    networked: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tomoseg_tui.jobs import launch

    stopped: list[str] = []

    def stop(job: Job) -> JobState:
        stopped.append(job.id)
        return JobState.STOPPED

    monkeypatch.setattr(launch, "stop", stop)
    job = give_job(networked, ALPHA, JobState.RUNNING, progress=0.3)
    async with applying(make_app(networked)) as (pilot, _):
        await until(pilot, lambda: "30%" in prose_on(pilot))
        await pilot.press("space", "s")
        await until(pilot, lambda: stopped == [job.id])
        await until(pilot, networked.layout.history.exists)
        await pilot.press("j", "s")
        await until(pilot, lambda: "This cell has no job." in prose_on(pilot))
    assert json.loads(networked.layout.history.read_text())["command"] == f"tomoseg jobs stop {job.id}"


async def test_r_resumes_a_stopped_job(networked: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    from tomoseg_tui.jobs import launch

    resumed: list[str] = []

    def resume(job: Job, **_how: object) -> bool:
        resumed.append(job.id)
        return True

    monkeypatch.setattr(launch, "resume", resume)
    job = give_job(networked, ALPHA, JobState.STOPPED, progress=0.3)
    async with applying(make_app(networked)) as (pilot, _):
        await until(pilot, lambda: "stopped 30%" in prose_on(pilot))
        await pilot.press("r")
        await until(pilot, lambda: resumed == [job.id])


async def test_a_new_snapshot_keeps_cursor_and_marks(networked: Project, make_app: MakeApp) -> None:
    app = make_app(networked)
    async with applying(app) as (pilot, tab):
        await pilot.press("j", "space")
        give_network(networked, "another")
        await until(pilot, lambda: app.snapshot is not None and len(app.snapshot.networks) == 2)
        await pilot.pause()
        assert tab.query_one(CellGrid).field == ("beta", "both")
        assert tab.command_argv() == ["apply", "both", "beta"]
        await pilot.press("h", "h", "h")
        assert tab.query_one(CellGrid).field == ("beta", "another")


@pytest.mark.parametrize("size", [(80, 24), (250, 60)])
async def test_it_fits_small_and_large_terminals(networked: Project, make_app: MakeApp, size: tuple[int, int]) -> None:
    async with applying(make_app(networked), size) as (pilot, tab):
        grid, canvas = tab.query_one(CellGrid).region, tab.query_one(SliceCanvas).region
        assert grid.width >= 38
        assert canvas.width >= 34
        assert canvas.height >= 17
        assert canvas.right <= size[0]
        await start(pilot)
        assert tab.app.screen.query_one("#start").region.bottom <= size[1]
