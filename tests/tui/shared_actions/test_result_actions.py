"""Volumes are exported and scored from the tabs that show them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import write_mrc
from helpers.map_project import band, give_map, give_network
from helpers.pilot import MakeApp, open_tab, prose_on, until
from helpers.run_project import put_run
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Input, Select

from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.form_fields import AsciiCheckbox
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.dialogs.save_file import SaveFile
from tomoseg_tui.tui.shared_actions.file_actions import ExportActions
from tomoseg_tui.tui.shared_actions.result_actions import EvaluateDialog


@pytest.fixture
def mapped(small_project: Project) -> Project:
    """alpha with maps of both features: microtubule certain in rows 0-31, membrane in rows 24-55."""
    give_network(small_project)
    give_map(small_project, "alpha", "both.microtubule", band(slice(0, 32)), created="2026-02-02T00:00:00Z")
    give_map(small_project, "alpha", "both.membrane", band(slice(24, 56)), created="2026-02-02T00:00:00Z")
    return small_project


@asynccontextmanager
async def showing(project: Project, make_app: MakeApp, tab: int) -> AsyncIterator[tuple[Pilot[None], ExportActions]]:
    """Open a tab with volumes, and wait until they are shown."""
    app = make_app(project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, tab)
        shown = app.open_tab
        assert isinstance(shown, ExportActions)
        await until(pilot, shown.volume_names)
        yield pilot, shown


def notices(pilot: Pilot[None]) -> list[str]:
    return [notice.message for notice in pilot.app._notifications]


@pytest.mark.parametrize(
    ("tab", "names"),
    [
        (1, ["alpha"]),
        (5, ["alpha/both.membrane", "alpha/both.microtubule"]),
        (6, ["alpha/both.microtubule", "alpha/both.membrane"]),
    ],
)
async def test_the_shown_volume_is_offered_first(
    mapped: Project, make_app: MakeApp, tab: int, names: list[str]
) -> None:
    async with showing(mapped, make_app, tab) as (_, shown):
        assert shown.volume_names() == names


async def test_a_map_is_exported_and_another_file_is_not_replaced_without_asking(
    mapped: Project, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with showing(mapped, make_app, 6) as (pilot, _):
        await pilot.press("E")
        await until(pilot, lambda: isinstance(pilot.app.screen, SaveFile))
        dialog = pilot.app.screen
        dialog.query_one("#thing", Select).value = "alpha/both.membrane"
        await until(pilot, lambda: dialog.query_one("#path", Input).value == "alpha_both.membrane.mrc")
        dialog.query_one("#path", Input).value = "here.txt"
        await pilot.press("enter")
        await until(pilot, lambda: "here.txt is not the name of such a file." in prose_on(pilot))
        dialog.query_one("#path", Input).value = "here.mrc"
        await pilot.press("enter")
        await until(pilot, lambda: f"alpha/both.membrane was written to {tmp_path / 'here.mrc'}." in notices(pilot))
        await pilot.press("E", "ctrl+s")
        await until(pilot, (tmp_path / "alpha_both.microtubule.mrc").exists)
        await pilot.press("E", "ctrl+s")
        await until(pilot, lambda: "Choose another name, or replace it with --force." in notices(pilot))
        await pilot.press("E")
        await until(pilot, lambda: isinstance(pilot.app.screen, SaveFile))
        pilot.app.screen.query_one("#force", AsciiCheckbox).value = True
        (tmp_path / "alpha_both.microtubule.mrc").write_bytes(b"")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: (tmp_path / "alpha_both.microtubule.mrc").stat().st_size > 1024)
    with open_volume(tmp_path / "here.mrc") as reader:
        assert np.array_equal(reader.read_slices(3, 4)[0], band(slice(24, 56))[3])
    assert not mapped.layout.history.exists() or "export" not in mapped.layout.history.read_text()


async def test_a_map_is_scored_against_a_file(mapped: Project, make_app: MakeApp, tmp_path: Path) -> None:
    truth = write_mrc(tmp_path / "truth.mrc", band(slice(0, 16), 1))
    async with showing(mapped, make_app, 6) as (pilot, _):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, EvaluateDialog))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "No truth was given." in prose_on(pilot))
        pilot.app.screen.query_one("#truth", Input).value = str(truth)
        pilot.app.screen.query_one("#labels", Input).value = "one"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "No label was given." in prose_on(pilot))
        pilot.app.screen.query_one("#labels", Input).value = "1"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReportDialog))
        # 16 of the 32 rows that the map predicts are true: precision 1/2, recall 1, Dice 2/3, IoU 1/2.
        await until(pilot, lambda: "label 1: Dice 0.667, IoU 0.500, precision 0.500, recall 1.000" in prose_on(pilot))


async def test_the_slice_is_saved_as_a_picture_with_its_labels(
    mapped: Project, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with showing(mapped, make_app, 6) as (pilot, _):
        await until(pilot, lambda: "z 12/24" in prose_on(pilot))
        await pilot.press("P")
        await until(pilot, lambda: isinstance(pilot.app.screen, SaveFile))
        await pilot.press("enter")
        await until(pilot, lambda: f"alpha_z12 was written to {tmp_path / 'alpha_z12.png'}." in notices(pilot))
    with Image.open(tmp_path / "alpha_z12.png") as picture:
        rgb = np.asarray(picture.convert("RGB"))
    assert rgb.shape == (960, 960, 3)
    colourful = (rgb != rgb[..., :1]).any(axis=(1, 2))
    assert colourful[-560:].all()  # rows 0 to 55 are labelled, and y points up
    assert not colourful[:-560].any()


async def test_triples_are_written_as_picture_or_stack(
    small_project: Project, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put_run(small_project, "mt_1")
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 4)
        await until(pilot, lambda: "worst 1/4" in prose_on(pilot))
        await pilot.press("E", "enter")
        await until(pilot, lambda: f"mt_1 was written to {tmp_path / 'mt_1.png'}." in notices(pilot))
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, SaveFile))
        app.screen.query_one("#path", Input).value = "mt_1.mrc"
        await pilot.press("enter")
        await until(pilot, lambda: f"mt_1 was written to {tmp_path / 'mt_1.mrc'}." in notices(pilot))
    with open_volume(tmp_path / "mt_1.mrc") as reader:
        assert reader.grid.shape_zyx == (12, 64, 64)


async def test_volumes_that_cannot_be_scored_are_reported(mapped: Project, make_app: MakeApp, tmp_path: Path) -> None:
    truth = write_mrc(tmp_path / "truth.mrc", np.zeros((4, 8, 8), np.int8))
    async with showing(mapped, make_app, 5) as (pilot, _):
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, EvaluateDialog))
        pilot.app.screen.query_one("#truth", Input).value = str(truth)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Compare volumes on one grid." in prose_on(pilot))


async def test_without_volumes_the_keys_report_it(small_project: Project, make_app: MakeApp) -> None:
    give_network(small_project)
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 5)
        await until(pilot, lambda: "Not applied yet" in prose_on(pilot))
        await pilot.press("E", "e")
        await until(pilot, lambda: len(notices(pilot)) == 2)
        assert notices(pilot)[0] == "Nothing here can be exported yet."
        assert notices(pilot)[1] == "There is no map or label volume to score."
