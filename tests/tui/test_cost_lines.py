"""Time, memory and disk space in forms: measured by a key, and refused if they do not suffice."""

import os
import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.cli_runner import Tomoseg, make_card
from helpers.job_project import hooked
from helpers.map_project import band, give_map, give_network
from helpers.pilot import MakeApp, open_tab, prose_on, until
from helpers.run_project import put_job, put_run
from textual.pilot import Pilot

from tomoseg_tui.files import locks
from tomoseg_tui.jobs import estimate
from tomoseg_tui.jobs.job import JobSpeed
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing, store_timing, timings_file
from tomoseg_tui.tui.apply.apply_dialog import ApplyDialog
from tomoseg_tui.tui.apply.cell_grid import CellGrid
from tomoseg_tui.tui.importing.preprocess_dialog import PreprocessDialog
from tomoseg_tui.tui.train.train_dialog import TrainDialog
from tomoseg_tui.tui.widgets.cost_line import CostLine
from tomoseg_tui.workflow.estimates.estimator import FreeResources, Work

Lack = Callable[..., None]
LetMeasure = Callable[[], None]
MEASURED = re.compile(
    r"About [\d.]+ (s|min)( on the CPU \(auto: no GPU found here\))?, measured on this machine; about"
)
"""Return the text without the time, which depends on the load of this machine."""


@pytest.fixture(autouse=True)
def _nothing_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the measurements of other tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def let_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LetMeasure:
    """Hold the measuring processes; return a function that releases them."""
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
    """Limit the free memory or disk space of the machine."""

    def set_free(*, memory: int = 10**12, disk: int = 10**12) -> None:
        monkeypatch.setattr(estimate, "_free_resources", lambda _project: FreeResources(memory, disk))

    return set_free


async def says(pilot: Pilot[None], text: str) -> None:
    await until(pilot, lambda: text in prose_on(pilot), seconds=180)


async def says_what_was_measured(pilot: Pilot[None]) -> None:
    await until(pilot, lambda: MEASURED.search(prose_on(pilot)), seconds=180)


def children() -> list[str]:
    """Return the command lines of the measuring processes of this process."""
    lines = [" ".join(child.cmdline()) for child in psutil.Process().children() if child.is_running()]
    return [line for line in lines if "--measure" in line]


def kept_starts(app: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Record the commands of jobs that would be started."""
    started: list[list[str]] = []
    monkeypatch.setattr(app, "start_job", lambda argv, _prepare, **_: started.append(argv))
    return started


async def test_a_merge_shows_memory_and_disk_and_its_time_once_measured(
    mapped: Project, make_app: MakeApp, let_measure: LetMeasure
) -> None:
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        await open_tab(pilot, 6)
        await says(pilot, "About 1 s, a guess from its size; about")
        await says(pilot, "221 kB of disk space. ctrl+t measures it.")
        await pilot.press("ctrl+t")
        await says(pilot, "221 kB of disk space. Measuring ...")
        let_measure()
        await says_what_was_measured(pilot)


async def test_a_merge_that_does_not_fit_is_refused_like_by_the_command(
    mapped: Project, make_app: MakeApp, lack: Lack
) -> None:
    lack(disk=1000)
    async with make_app(mapped).run_test(size=(120, 40), notifications=True) as pilot:
        await open_tab(pilot, 6)
        await says(pilot, "! This takes 221 kB of disk space; 1 kB is free. Free about 220 kB on that disk, or")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app._notifications)
        assert not list(mapped.layout.jobs.glob("[0-9]*"))


async def test_a_filter_is_measured_and_the_measurement_ends_with_the_form(
    small_project: Project, make_app: MakeApp, let_measure: LetMeasure
) -> None:
    async with make_app(small_project).run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 1)
        await pilot.press("p")
        await says(pilot, "a guess from its size; about 300 MB of memory, 885 kB of disk space. ctrl+t measures it.")
        await pilot.press("ctrl+t")
        await until(pilot, children)
        await pilot.press("escape")
        await until(pilot, lambda: not children())  # it was held, so only the form can have ended it
        let_measure()
        await pilot.press("p")
        await says(pilot, "ctrl+t measures it.")
        await pilot.press("ctrl+t")
        await says_what_was_measured(pilot)


async def test_a_filter_that_does_not_fit_is_refused_until_its_settings_change(
    small_project: Project, make_app: MakeApp, lack: Lack, monkeypatch: pytest.MonkeyPatch
) -> None:
    lack(disk=500_000)
    app = make_app(small_project)
    started = kept_starts(app, monkeypatch)
    async with app.run_test(size=(120, 40)) as pilot:
        await open_tab(pilot, 1)
        await pilot.press("p")
        await says(pilot, "! This takes 885 kB of disk space; 500 kB is free.")
        await says(pilot, "or choose fewer tomograms, or a larger --bin.")
        await pilot.press("ctrl+s")
        assert isinstance(app.screen, PreprocessDialog)
        app.screen.query_one("#factor").value = "2"  # type: ignore[attr-defined]
        await until(pilot, lambda: "!" not in prose_on(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: started == [["preprocess", "alpha", "--bin", "2"]])


async def test_an_apply_that_does_not_fit_is_refused_unless_it_runs_in_slurm(
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
        await says(pilot, "! This takes about 604 MB of memory; 100 MB is available.")
        await pilot.press("enter")
        assert isinstance(app.screen, ApplyDialog)
        app.screen.query_one("#where").value = 2  # type: ignore[attr-defined]
        await until(pilot, lambda: "! This takes" not in prose_on(pilot))
        await pilot.press("ctrl+y")
        await until(pilot, lambda: app.clipboard == "tomoseg apply both alpha --slurm")
        app.screen.query_one("#start").press()  # type: ignore[attr-defined]
        await until(pilot, lambda: started == [["apply", "both", "alpha", "--slurm"]])


async def test_a_training_that_does_not_fit_gives_the_fix(
    small_project: Project, make_app: MakeApp, lack: Lack
) -> None:
    lack(memory=10**8)
    async with make_app(small_project).run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 4)
        await pilot.press("t")
        await pilot.press("space")
        await says(pilot, "Use a smaller --batch, or wait until other programs have ended.")
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
        await says(pilot, "on the CPU (auto: no GPU found here), a guess from its size; about")
        await says(pilot, "ctrl+t measures it.")
        await pilot.press("ctrl+t")
        await says(pilot, "Measuring ...")
        let_measure()
        await says(pilot, "measured on this machine; about")
        assert "ctrl+t" not in prose_on(pilot)


@pytest.mark.slow
async def test_a_failed_measurement_is_reported(mapped: Project, make_app: MakeApp, let_measure: LetMeasure) -> None:
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        await open_tab(pilot, 5)
        await until(pilot, lambda: pilot.app.screen.query_one(CellGrid).field)
        await pilot.press("enter")
        await says(pilot, "a guess from its size;")
        await says(pilot, "ctrl+t measures it.")
        await pilot.press("ctrl+t")
        await says(pilot, "Measuring ...")
        let_measure()
        await says(pilot, "It cannot be measured.")  # this network has no weights


# The command and the form

OPENED: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "train": (4, ("t", "space"), ("train", "--feature", "microtubule")),
    "audit": (4, ("a",), ("audit", "--feature", "microtubule")),
    "run": (4, ("R", "space"), ("run", "--feature", "microtubule", "--all")),
    "apply": (5, ("enter",), ("apply", "both", "alpha")),
    "merge": (6, (), ("merge", "alpha", "--map", "both:microtubule=card", "--map", "both:membrane=card")),
    "preprocess": (1, ("p",), ("preprocess", "alpha")),
}
"""Tab and keys that open a form, and the equivalent command."""
NO_BENCHMARK = "import sys\nif '--measure' in sys.argv: sys.exit(3)"


@pytest.fixture
def _nobody_can_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in hooked(tmp_path / "hooks", worker=NO_BENCHMARK).items():
        monkeypatch.setenv(name, value)


def works(project: Project) -> list[Work]:
    """Return the work of each kind of job in the forms."""
    features = {"name": "r", "features": ["microtubule"], "device": "auto"}
    maps = [{"run": "both", "feature": feature, "threshold": 0.5} for feature in ("microtubule", "membrane")]
    alpha = {"tomograms": ["alpha"], "device": "auto"}
    card = make_card("r", features=("microtubule",))
    return [
        estimate.work_of(project, kind, request, {"r": card})
        for kind, request in (
            ("train", features), ("audit", features), ("apply", {"run": "both", **alpha}),
            ("apply", {"run": "r", **alpha}), ("merge", {"tomogram": "alpha", "maps": maps}),
            ("merge", {"tomogram": "alpha", "maps": maps[:1]}), ("preprocess", {"tomograms": ["alpha"]}),
        )
    ]  # fmt: skip


def put_speeds(project: Project, *, load: float) -> None:
    """Add a finished job of each kind on this machine."""
    for work in works(project):
        workload = work.workload
        speed = JobSpeed(family=workload.family, size_per_second=workload.size / 100, load=load)
        put_job(project, "merge", "alpha/earlier", owner=locks.this_process(), speed=speed)


def put_timings(project: Project) -> None:
    """Add timings of this machine for each kind of job."""
    timing = Timing(start_seconds=3.0, unit_seconds=0.25, judging_seconds=0.5, memory_bytes=123_456_789)
    for work in works(project):
        store_timing(timings_file(os.environ), work.workload.key, timing)


SOURCES = {
    "nothing": "a guess from its size",
    "a timing": "measured on this machine",
    "a job": "going by job",
    "a job on a busy machine": "a guess from its size",
}
"""Where the time is from, by what is known."""


@pytest.mark.usefixtures("_nobody_can_measure")
@pytest.mark.parametrize(
    ("kind", "known"),
    [*product(OPENED, ("nothing", "a timing")), ("merge", "a job"), ("train", "a job on a busy machine")],
)
async def test_command_and_form_show_the_same_cost(mapped: Project, make_app: MakeApp, kind: str, known: str) -> None:
    put_run(mapped, "mt", state="stopped")
    if known.startswith("a job"):
        put_speeds(mapped, load=9.0 if "busy" in known else 1.0)
    if known == "a timing":
        put_timings(mapped)
    tab, keys, command = OPENED[kind]
    tomoseg = Tomoseg(mapped.layout.root)
    text = tomoseg(*command, "--estimate").out.splitlines()
    figures = tomoseg(*command, "--estimate", "--json").json
    line = next(line for line in reversed(text) if "about " in line).removeprefix("all: ")
    assert SOURCES[known] in line
    async with make_app(mapped).run_test(size=(160, 50)) as pilot:
        await open_tab(pilot, tab)
        if kind in {"apply", "audit"}:
            await until(pilot, lambda: pilot.app.query("RunTable, CellGrid") and "alpha" in prose_on(pilot))
        await pilot.press(*keys)
        if kind == "audit":
            await says(pilot, f"It takes {line}.")
            return
        expected = line.replace("about", "About", 1)
        await until(pilot, lambda: expected in str(pilot.app.screen.query_one(CostLine).render()), seconds=60)
        costs = pilot.app.screen.query_one(CostLine).costs
        assert costs is not None
        total = costs.total
    assert round(total.seconds, 1) == figures["seconds"]
    assert (total.memory_bytes, total.disk_bytes) == (figures["memory_bytes"], figures["disk_bytes"])
    assert (total.gpu_bytes, total.is_measured) == (figures["video_memory_bytes"], figures["measured"])
