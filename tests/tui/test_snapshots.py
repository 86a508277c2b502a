"""Pictures of the whole screen, 80x24 and 120x40: empty, filled, error, running.

`pytest tests/tui/test_snapshots.py --snapshot-update` renews them; check every changed one before committing it.
"""

import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from helpers.cli_runner import bring, write_mrc
from helpers.pilot import MakeApp, open_tab, prose_on, until
from helpers.run_project import figures, put_run, tell_progress
from textual.pilot import Pilot

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import append_line
from tomoseg_tui.files.locks import Owner
from tomoseg_tui.jobs.job import JobState, create_job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.import_masks_dialog import ImportMasksDialog
from tomoseg_tui.tui.app import TABS, TomosegApp
from tomoseg_tui.workflow.annotations.import_annotations import import_masks
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement

at_both_sizes = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
Prepare = Callable[[Pilot[Any]], Awaitable[None]]
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def _still_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the same machine load in every picture."""
    monkeypatch.setattr(psutil, "cpu_percent", lambda: 7.0)


def show_tab(tab: str, text: str, *, press: tuple[str, ...] = ()) -> Prepare:
    """Return a function that waits until a tab shows a text, and then presses keys."""

    async def prepare(pilot: Pilot[Any]) -> None:
        await open_tab(pilot, list(TABS).index(tab) + 1)
        await until(pilot, lambda: "CPU 7%" in prose_on(pilot) and text in prose_on(pilot))
        await pilot.press(*press)
        await pilot.pause()

    return prepare


@at_both_sizes
@pytest.mark.parametrize("tab", ["import", "annotate", "jobs"])
def test_an_empty_project(
    project: Project, make_app: MakeApp, snap_compare: Compare, tab: str, size: tuple[int, int]
) -> None:
    assert snap_compare(make_app(project, tab=tab), terminal_size=size, run_before=show_tab(tab, "Press"))


@pytest.fixture
def calm_project(project: Project, tmp_path: Path) -> Project:
    """A tomogram of large even squares with an annotated tile: noise would give pictures of megabytes."""
    squares = np.kron(np.random.default_rng(5).integers(-60, 60, (6, 6, 6)), np.ones((4, 16, 16))).astype(np.int8)
    bring(project, "calm", squares)
    places = [TileLocation("calm", 6, 48, 48), TileLocation("calm", 14, 40, 50)]
    place_tiles(project, [tile_placement(place, "microtubule", negative=False) for place in places])
    mask = np.zeros((1, 64, 64), np.int8)
    mask[:, 20:40, 8:] = 1
    import_masks(Project.open(project.layout.root), write_mrc(tmp_path / "mask.mrc", mask), "microtubule", places[:1])
    return Project.open(project.layout.root)


@at_both_sizes
def test_a_filled_project(
    calm_project: Project, make_app: MakeApp, snap_compare: Compare, size: tuple[int, int]
) -> None:
    prepare = show_tab("annotate", "calm 50,40,14 overlay", press=("j",))

    async def annotated(pilot: Pilot[Any]) -> None:
        await prepare(pilot)
        await until(pilot, lambda: "M done 1120 px" in prose_on(pilot))

    assert snap_compare(make_app(calm_project, tab="annotate"), terminal_size=size, run_before=annotated)


@at_both_sizes
def test_a_painted_tile(calm_project: Project, make_app: MakeApp, snap_compare: Compare, size: tuple[int, int]) -> None:
    """Paint of all three values, and an open filament; at 80x24 enlarged, so that pixels are blocks of cells."""

    async def painted(pilot: Pilot[Any]) -> None:
        await show_tab("annotate", "calm 50,40,14 overlay", press=("p",))(pilot)
        await until(pilot, lambda: "undo 0" in prose_on(pilot))
        await pilot.press(*(["plus"] if size[0] == 80 else []), "r", "space", "L", "k", "k", "space")
        await pilot.press("x", "k", "k", "space", "H", "k", "k", "space", "x", "J", "space", "j", "j", "L", "space")
        await pilot.press("x", "t", "left_square_bracket", "k", "space", "H", "k", "k")
        await until(pilot, lambda: "undo 3 on disk" in prose_on(pilot))

    assert snap_compare(make_app(calm_project, tab="annotate"), terminal_size=size, run_before=painted)


def test_an_error(
    calm_project: Project,
    make_app: MakeApp,
    snap_compare: Compare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "notes.mrc").write_text("nothing but words\n" * 100)
    monkeypatch.chdir(tmp_path)

    async def refused(pilot: Pilot[Any]) -> None:
        await show_tab("annotate", "M to do", press=("I",))(pilot)
        await until(pilot, lambda: isinstance(pilot.app.screen, ImportMasksDialog))
        pilot.app.screen.query_one("#masks-path").value = "notes.mrc"  # type: ignore[attr-defined]
        pilot.app.screen.query_one("#masks-tiles").focus()
        await until(pilot, lambda: "is a text file, not a volume" in prose_on(pilot))

    assert snap_compare(make_app(calm_project, tab="annotate"), run_before=refused)


LONG_AGO = "2020-02-02T08:10:20Z"


@pytest.fixture
def running_project(calm_project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A finished and a running training, as workers leave them, with fixed times and host."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    for module in ("tomoseg_tui.jobs.job", "helpers.run_project"):
        monkeypatch.setattr(f"{module}.now", lambda: LONG_AGO)
    put_run(calm_project, "microtubule_1", epochs=20, state="done")
    job = create_job(calm_project.layout, "train", "microtubule_2", {"features": ["microtubule"]})
    owner = Owner("gpu-server", "", 4321, "")
    job.set_state(JobState.RUNNING, owner=owner, started=LONG_AGO)
    job.log_file.write_text("".join(f"{LONG_AGO} {line}\n" for line in ("on the CPU, 2 cores", "8 tiles, 2 held out")))
    for epoch in range(1, 9):
        append_line(job.metrics_file, figures(epoch, best=epoch == 7))
    tell_progress(job, 0.4, "epoch 9/20  loss 0.125", 170, epoch=9, epochs=20)
    with locks.held(job.claim_file):
        yield calm_project
    monkeypatch.undo()
    time.tzset()


@at_both_sizes
@pytest.mark.parametrize(
    ("tab", "text"), [("train", "epoch 9/20"), ("jobs", "8 tiles, 2 held out")], ids=["train", "jobs"]
)
def test_a_running_training(
    running_project: Project, make_app: MakeApp, snap_compare: Compare, tab: str, text: str, size: tuple[int, int]
) -> None:
    prepare = show_tab(tab, text)

    async def drawn(pilot: Pilot[Any]) -> None:
        await prepare(pilot)
        await until(pilot, lambda: "best 7" in prose_on(pilot))

    assert snap_compare(make_app(running_project, tab=tab), terminal_size=size, run_before=drawn)


def test_quitting_while_a_job_runs(calm_project: Project, make_app: MakeApp, snap_compare: Compare) -> None:
    create_job(calm_project.layout, "train", "both", {})
    app: TomosegApp = make_app(calm_project, tab="annotate")

    async def ask(pilot: Pilot[Any]) -> None:
        await show_tab("annotate", "1 job running", press=("q",))(pilot)
        await until(pilot, lambda: "1 job continues without this window." in prose_on(pilot))

    assert snap_compare(app, run_before=ask)
