"""What forms say of time, memory and disk before a start: measured by one key, and refused where it does not fit."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.job_project import hooked
from helpers.map_project import band, give_map, give_network
from helpers.pilot import MakeApp, open_tab, prose_on, until
from textual.pilot import Pilot

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui import cost
from tomoseg_tui.tui.apply.apply_dialog import ApplyDialog
from tomoseg_tui.tui.apply.cell_grid import CellGrid
from tomoseg_tui.tui.cost import FreeResources
from tomoseg_tui.tui.importing.preprocess_dialog import PreprocessDialog
from tomoseg_tui.tui.train.train_dialog import TrainDialog

Lack = Callable[..., None]
LetMeasure = Callable[[], None]
MEASURED = re.compile(r"About [\d.]+ (s|min), as measured here; about")
"""How long it takes depends on what else this machine does."""


@pytest.fixture(autouse=True)
def _nothing_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what other tests have measured out of it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def let_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LetMeasure:
    """Hold the processes that measure; return what lets them begin."""
    file = tmp_path / "hold"
    file.touch()
    worker = f"import os, time\nwhile os.path.exists({str(file)!r}):\n    time.sleep(0.02)"
    for name, value in hooked(tmp_path / "hooks", worker=worker).items():
        monkeypatch.setenv(name, value)
    return file.unlink


@pytest.fixture
def mapped(small_project: Project) -> Project:
    """Maps of both features on alpha."""
    give_network(small_project)
    give_map(small_project, "alpha", "both.microtubule", band(slice(0, 32), 80))
    give_map(small_project, "alpha", "both.membrane", band(slice(24, 56), 100))
    return small_project


@pytest.fixture
def lack(monkeypatch: pytest.MonkeyPatch) -> Lack:
    """Let a machine have no more than so much left."""

    def set_room(*, memory: int = 10**12, disk: int = 10**12) -> None:
        monkeypatch.setattr(cost, "free_resources", lambda _project, *, others: FreeResources(memory, disk))  # noqa: ARG005

    return set_room


async def says(pilot: Pilot[None], words: str) -> None:
    await until(pilot, lambda: words in prose_on(pilot), seconds=180)


async def says_what_was_measured(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: MEASURED.search(prose_on(pilot)), seconds=180)


def children() -> list[str]:
    """Return the command lines of the processes that measure for this one."""
    lines = [" ".join(child.cmdline()) for child in psutil.Process().children() if child.is_running()]
    return [line for line in lines if "--measure" in line]


def kept_starts(app: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Keep the commands of what would be started."""
    started: list[list[str]] = []
    monkeypatch.setattr(app, "start_job", lambda words, _prepare, **_: started.append(words))
    return started


async def test_a_merge_tells_memory_and_disk_and_its_time_once_it_is_measured(
    mapped: Project, make_app: MakeApp, let_measure: LetMeasure
) -> None:
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        await open_tab(pilot, 6)
        await says(pilot, "Time: ctrl+t measures; about")
        await says(pilot, "221 kB of the disk.")
        await pilot.press("ctrl+t")
        await says(pilot, "Measuring ...; about")
        let_measure()
        await says_what_was_measured(pilot)


async def test_a_merge_that_does_not_fit_is_refused_as_by_the_command(
    mapped: Project, make_app: MakeApp, lack: Lack
) -> None:
    lack(disk=1000)
    async with make_app(mapped).run_test(size=(120, 40), notifications=True) as pilot:
        await open_tab(pilot, 6)
        await says(pilot, "! It takes 221 kB of the disk, 1 kB are free. Make about 220 kB of room there, or")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app._notifications)
        assert not list(mapped.layout.jobs.glob("[0-9]*"))


async def test_a_filter_is_measured_and_the_measurement_ends_with_the_form(
    small_project: Project, make_app: MakeApp, let_measure: LetMeasure
) -> None:
    async with make_app(small_project).run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 1)
        await pilot.press("p")
        await says(pilot, "Time: ctrl+t measures; about 300 MB of memory, 885 kB of the disk.")
        await pilot.press("ctrl+t")
        await until(pilot, children)
        await pilot.press("escape")
        await until(pilot, lambda: not children())  # it was held: nothing but the form has ended it
        let_measure()
        await pilot.press("p")
        await says(pilot, "Time: ctrl+t measures")
        await pilot.press("ctrl+t")
        await says_what_was_measured(pilot)


async def test_a_filter_that_does_not_fit_stays_until_its_settings_do(
    small_project: Project, make_app: MakeApp, lack: Lack, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(disk=500_000)
    app = make_app(small_project)
    started = kept_starts(app, monkeypatch)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_tab(pilot, 1)
        await pilot.press("p")
        await says(pilot, "! It takes 885 kB of the disk, 500 kB are free.")
        await says(pilot, "or name fewer tomograms, or a larger --bin.")
        await pilot.press("ctrl+s")
        assert isinstance(app.screen, PreprocessDialog)
        app.screen.query_one("#factor").value = "2"  # type: ignore[attr-defined]
        await until(pilot, lambda: "!" not in prose_on(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: started == [["preprocess", "alpha", "--bin", "2"]])


async def test_an_apply_that_does_not_fit_is_refused_until_it_goes_to_slurm(
    mapped: Project, make_app: MakeApp, lack: Lack, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(memory=10**8)
    mapped.layout.settings.write_text(mapped.layout.settings.read_text() + '\n[slurm]\npartition = "gpu"\n')
    app = make_app(mapped)
    started = kept_starts(app, monkeypatch)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 5)
        await until(pilot, lambda: app.screen.query_one(CellGrid).field)
        await pilot.press("enter")
        await says(pilot, "! It takes about 604 MB of memory, 100 MB can be had.")
        await pilot.press("enter")
        assert isinstance(app.screen, ApplyDialog)
        app.screen.query_one("#where").value = 2  # type: ignore[attr-defined]
        await until(pilot, lambda: "! It takes" not in prose_on(pilot))
        await pilot.press("ctrl+y")
        await until(pilot, lambda: app.clipboard == "tomoseg apply both alpha --slurm")
        app.screen.query_one("#start").press()  # type: ignore[attr-defined]
        await until(pilot, lambda: started == [["apply", "both", "alpha", "--slurm"]])


async def test_a_training_that_does_not_fit_says_what_would_help(
    small_project: Project, make_app: MakeApp, lack: Lack
) -> None:
    lack(memory=10**8)
    async with make_app(small_project).run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 4)
        await pilot.press("t")
        await pilot.press("space")
        await says(pilot, "Take a smaller --batch, or let other programs end first.")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: pilot.app._notifications)
        assert isinstance(pilot.app.screen, TrainDialog)


@pytest.mark.slow
async def test_a_training_is_measured_from_its_form(
    small_project: Project, make_app: MakeApp, let_measure: LetMeasure
) -> None:
    async with make_app(small_project).run_test(size=(120, 40)) as pilot:
        await open_tab(pilot, 4)
        await pilot.press("t")
        await pilot.press("space")
        await says(pilot, "a guess from the size of the network; about")
        await says(pilot, "Time: ctrl+t measures")
        await pilot.press("ctrl+t")
        await says(pilot, "Measuring ...")
        let_measure()
        await says(pilot, "as measured here; about")
        assert "ctrl+t" not in prose_on(pilot)


@pytest.mark.slow
async def test_what_cannot_be_measured_is_said(mapped: Project, make_app: MakeApp, let_measure: LetMeasure) -> None:
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        await open_tab(pilot, 5)
        await until(pilot, lambda: pilot.app.screen.query_one(CellGrid).field)
        await pilot.press("enter")
        await says(pilot, "a first guess; ctrl+t measures")
        await pilot.press("ctrl+t")
        await says(pilot, "a first guess; measuring ...")
        let_measure()
        await says(pilot, "it cannot be measured")  # this network has no weights
