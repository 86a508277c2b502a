"""The Import tab and its dialogs, key by key, on a real project."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from helpers.cli_runner import bring, noise, write_mrc
from helpers.pilot import MakeApp, open_tab, prose_on, until, words_on
from textual.pilot import Pilot
from textual.widgets import DirectoryTree, Input

from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.ask_text import AskText
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.importing.add_files_dialog import AddFilesDialog
from tomoseg_tui.tui.importing.import_tab import ImportTab
from tomoseg_tui.tui.importing.preprocess_dialog import PreprocessDialog
from tomoseg_tui.tui.tiles.tiles_tab import TilesTab
from tomoseg_tui.tui.widgets.table import Table


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to an otherwise empty folder, so that the tree is short."""
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")


@asynccontextmanager
async def importing(app: TomosegApp, size: tuple[int, int] = (80, 24)) -> AsyncIterator[tuple[Pilot[None], ImportTab]]:
    """Open the tab."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await open_tab(pilot, 1)
        tab = app.open_tab
        assert isinstance(tab, ImportTab)
        yield pilot, tab


def table(tab: ImportTab) -> Table:
    return tab.query_one("#import-table", Table)


def names(project: Project) -> list[str]:
    return catalog.tomogram_names(project.layout)


def history(project: Project) -> list[str]:
    lines = project.layout.history.read_text().splitlines() if project.layout.history.exists() else []
    return [json.loads(line)["command"] for line in lines]


async def put(pilot: Pilot[None], text: str) -> None:
    """Replace the text of the focused field, without pressing key by key."""
    await until(pilot, lambda: isinstance(pilot.app.focused, Input))
    field = pilot.app.focused
    assert isinstance(field, Input)
    field.value = text
    field.cursor_position = len(text)
    await pilot.pause()


async def add_files(pilot: Pilot[None], text: str) -> AddFilesDialog:
    """Open the dialog and add the files of a path."""
    await pilot.press("i")
    await until(pilot, lambda: isinstance(pilot.app.screen, AddFilesDialog))
    dialog = pilot.app.screen
    assert isinstance(dialog, AddFilesDialog)
    await put(pilot, text)
    await pilot.press("enter")
    return dialog


async def test_an_empty_project_explains_the_tab_and_names_the_next_key(project: Project, make_app: MakeApp) -> None:
    async with importing(make_app(project)) as (pilot, tab):
        await until(pilot, lambda: "Press i to add files." in prose_on(pilot))
        assert tab.command_argv() is None
        await pilot.press("p", "R", "x", "space", "enter")
        assert tab.tomoseg.open_tab is tab


async def test_list_slice_header_and_histogram_are_shown(small_project: Project, make_app: MakeApp) -> None:
    async with importing(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: tab.query_one(SliceCanvas).shape_zyx == (24, 96, 96))
        await until(pilot, lambda: "▇" in words_on(pilot))
        text = prose_on(pilot)
        assert "alpha 24 96 96 10 dark 3 0" in text
        assert "96 x 96 x 24 voxels" in text
        assert "made from volume.mrc" in text
        assert tab.command_argv() == ["show", "alpha"]


async def test_a_deviating_tomogram_is_labelled(small_project: Project, make_app: MakeApp) -> None:
    bring(small_project, "gamma", noise((6, 96, 96)), voxel_size=20.0, polarity="bright")
    async with importing(make_app(small_project), (120, 40)) as (pilot, tab):
        await until(pilot, lambda: "voxel size, polarity" in prose_on(pilot))
        await pilot.press("j", "j")
        await until(pilot, lambda: "! polarity: protein bright, in the others dark" in prose_on(pilot))
        assert tab.chosen is not None
        assert tab.chosen.name == "gamma"


async def test_a_missing_linked_file_is_reported(small_project: Project, make_app: MakeApp, tmp_path: Path) -> None:
    (small_project.layout.tomogram_folder("alpha") / "alpha.mrc").unlink()
    async with importing(make_app(small_project), (120, 40)) as (pilot, _):
        await until(pilot, lambda: "The file of tomogram alpha is missing" in prose_on(pilot))


async def test_a_file_that_has_changed_is_marked_and_taken_as_it_is_by_a_key(
    small_project: Project, make_app: MakeApp
) -> None:
    path = small_project.layout.tomogram_folder("alpha") / "alpha.mrc"
    write_mrc(path, noise((24, 96, 96), seed=3), voxel_size=10.0)
    async with importing(make_app(small_project), (120, 40)) as (pilot, _):
        await until(pilot, lambda: "alpha.mrc has changed since its import" in prose_on(pilot))
        await pilot.press("u")
        await until(pilot, lambda: "Take alpha as it is now?" in prose_on(pilot))
        await pilot.press("y")
        await until(pilot, lambda: history(small_project) == ["tomoseg tomograms refresh alpha --yes"])
        await until(pilot, lambda: "has changed" not in prose_on(pilot))


async def test_files_are_added_by_pattern_and_imported_with_their_options(
    project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    for seed, name in enumerate(("one", "two")):
        write_mrc(tmp_path / "data" / f"{name}.mrc", noise((6, 64, 64), seed=seed), voxel_size=13.5)
    async with importing(make_app(project)) as (pilot, tab):
        dialog = await add_files(pilot, f"{tmp_path}/data/*.mrc")
        await until(pilot, lambda: len(dialog.candidates) == 2)
        await pilot.press("b", "p", "t", "s", "s", "j", "l")
        first, second = (candidate.request for candidate in dialog.candidates)
        assert (first.factor, first.polarity, first.invert, first.byte_sign) == (2, "bright", True, "unsigned")
        assert (second.link, second.factor) == (True, 1)
        await until(pilot, lambda: "bright→dark" in prose_on(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: names(project) == ["one", "two"])
        await until(pilot, lambda: table(tab).row_count == 2)
        assert catalog.load_tomogram(project.layout, "one").voxel_size_angstrom == 27.0
        assert catalog.load_tomogram(project.layout, "two").linked
        await until(pilot, lambda: len(history(project)) == 2)
        assert history(project)[0].endswith("one.mrc --polarity bright --bin 2 --invert --bytes unsigned")


async def test_a_missing_voxel_size_is_requested_immediately(
    project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    write_mrc(tmp_path / "data" / "one.mrc", noise(), voxel_size=0.0)
    async with importing(make_app(project)) as (pilot, _):
        dialog = await add_files(pilot, f"{tmp_path}/data")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
        await put(pilot, "-3")
        await pilot.press("enter")
        await until(pilot, lambda: "Voxel size is '-3'" in prose_on(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is dialog)
        await pilot.press("enter")
        await until(pilot, lambda: "voxel size?" in prose_on(pilot))
        assert names(project) == []
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
        await put(pilot, "13.48")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is dialog)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: names(project) == ["one"])
        assert catalog.load_tomogram(project.layout, "one").voxel_size_angstrom == 13.48


async def test_a_taken_name_must_be_changed_and_a_file_can_be_dropped(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    for name in ("alpha", "zeta"):
        write_mrc(tmp_path / "data" / f"{name}.mrc", noise(), voxel_size=10.0)
    async with importing(make_app(small_project)) as (pilot, tab):
        await until(pilot, lambda: table(tab).row_count == 2)
        dialog = await add_files(pilot, f"{tmp_path}/data")
        await until(pilot, lambda: "name taken" in prose_on(pilot))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
        await put(pilot, "alpha_2")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is dialog)
        await pilot.press("j", "x", "ctrl+y")
        assert [candidate.name for candidate in dialog.candidates] == ["alpha_2"]
        await until(pilot, lambda: pilot.app.clipboard.endswith("alpha.mrc --name alpha_2"))
        await pilot.press("enter")
        await until(pilot, lambda: "alpha_2" in names(small_project))


async def test_options_are_applied_to_all_files(project: Project, make_app: MakeApp, tmp_path: Path) -> None:
    for name in "ab":
        write_mrc(tmp_path / "data" / f"{name}.mrc", noise())
    async with importing(make_app(project)) as (pilot, _):
        dialog = await add_files(pilot, f"{tmp_path}/data")
        await until(pilot, lambda: len(dialog.candidates) == 2)
        await pilot.press("l", "v")
        await put(pilot, "15")
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is dialog)
        await pilot.press("a")
        requests = [candidate.request for candidate in dialog.candidates]
        assert [(request.link, request.voxel_size_angstrom) for request in requests] == [(True, 15.0)] * 2


async def test_tab_completes_the_path_and_the_tree_adds_files(
    project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    path = write_mrc(tmp_path / "data" / "only_one.mrc", noise())
    async with importing(make_app(project)) as (pilot, _):
        dialog = await add_files(pilot, f"{tmp_path}/data/nothing*")
        await until(pilot, lambda: "no file" in prose_on(pilot))
        await put(pilot, f"{tmp_path}/data/on")
        await pilot.press("tab")
        await until(pilot, lambda: dialog.query_one("#add-path", Input).value == str(path))
        await pilot.press("tab", "down")
        tree = dialog.query_one(DirectoryTree)
        assert pilot.app.focused is tree
        await until(pilot, lambda: tree.cursor_node is not None and str(tree.cursor_node.label) == path.name)
        await pilot.press("enter")
        await until(pilot, lambda: [candidate.path for candidate in dialog.candidates] == [path])
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is not dialog)
        assert names(project) == []


async def test_a_preview_shows_the_filters_and_enter_starts_a_job(
    small_project: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[Any] = []

    def start_job(argv: list[str], prepare: Any) -> None:
        requests.append((argv, prepare()))

    app = make_app(small_project)
    monkeypatch.setattr(app, "start_job", start_job)
    async with importing(app) as (pilot, tab):
        await pilot.press("space", "space")
        assert tab.command_argv() == ["preprocess", "alpha", "beta"]
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PreprocessDialog))
        after = app.screen.query_one("#filters-after")
        await until(pilot, lambda: after.picture is not None)  # type: ignore[attr-defined]
        await put(pilot, "far")
        await until(pilot, lambda: "Low-pass is 'far'" in prose_on(pilot))
        await put(pilot, "0.2")
        await until(pilot, lambda: "details finer than 50 Å are attenuated" in prose_on(pilot))
        await pilot.press("ctrl+y")
        await until(pilot, lambda: app.clipboard == "tomoseg preprocess alpha beta --lowpass 0.2")
        await pilot.press("enter")
        await until(pilot, lambda: requests)
        argv, (kind, request) = requests[0]
        assert argv == ["preprocess", "alpha", "beta", "--lowpass", "0.2"]
        assert (kind, request.tomograms, request.lowpass) == ("preprocess", ("alpha", "beta"), 0.2)


async def test_filters_can_be_switched_off_to_bin_only(
    small_project: Project, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[list[str]] = []
    app = make_app(small_project)
    monkeypatch.setattr(app, "start_job", lambda argv, _prepare: requests.append(argv))
    async with importing(app) as (pilot, _):
        await pilot.press("p")
        await until(pilot, lambda: isinstance(app.screen, PreprocessDialog))
        await pilot.press("ctrl+f")
        await until(pilot, lambda: "No operation was chosen" in prose_on(pilot))
        app.screen.query_one("#factor", Input).focus()
        await put(pilot, "2")
        await until(pilot, lambda: "into alpha__bin2" in prose_on(pilot))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: requests == [["preprocess", "alpha", "--bin", "2", "--no-filter"]])


async def test_a_tomogram_is_renamed(small_project: Project, make_app: MakeApp) -> None:
    async with importing(make_app(small_project)) as (pilot, _):
        await pilot.press("R")
        await put(pilot, "no name")
        await pilot.press("enter")
        await until(pilot, lambda: "cannot be the name" in prose_on(pilot))
        await put(pilot, "lamella_1")
        await pilot.press("enter")
        await until(pilot, lambda: names(small_project) == ["beta", "lamella_1"])
        await until(pilot, lambda: history(small_project) == ["tomoseg tomograms rename alpha lamella_1"])


async def test_a_tomogram_is_removed_after_asking(small_project: Project, make_app: MakeApp) -> None:
    async with importing(make_app(small_project)) as (pilot, tab):
        await pilot.press("j", "x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert "Tiles with their annotations (1)" in prose_on(pilot)
        await pilot.press("y")
        await until(pilot, lambda: names(small_project) == ["alpha"])
        await until(pilot, lambda: table(tab).row_count == 1)
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == ["tomoseg tomograms remove beta"]


async def test_enter_opens_the_tiles_of_the_tomogram_and_slash_filters_the_list(
    small_project: Project, make_app: MakeApp
) -> None:
    async with importing(make_app(small_project)) as (pilot, tab):
        await pilot.press("slash")
        await put(pilot, "bet")
        await until(pilot, lambda: table(tab).row_count == 1)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(tab.tomoseg.open_tab, TilesTab))
        tiles_tab = tab.tomoseg.open_tab
        assert tiles_tab is not None
        await until(pilot, lambda: str(tiles_tab.query_one("#tiles-view").border_title).startswith("beta"))


async def test_panels_are_side_by_side_in_a_wide_terminal(small_project: Project, make_app: MakeApp) -> None:
    async with importing(make_app(small_project)) as (pilot, tab):
        left, right = tab.query_one("#import-list"), tab.query_one("#import-view")
        assert left.region.bottom <= right.region.y
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: left.region.right <= right.region.x)
