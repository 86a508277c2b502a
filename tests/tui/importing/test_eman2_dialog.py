"""An EMAN2 project, and the boxes of one info file, imported with keys."""

import json
from pathlib import Path

import pytest
from helpers.cli_runner import bring
from helpers.eman2_project import EmanFolder, box, cut, smooth_noise
from helpers.pilot import MakeApp, open_tab, prose_on, until
from textual.pilot import Pilot
from textual.widgets import DirectoryTree, Input, Select

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import read_states
from tomoseg_tui.tui.dialogs.ask_path import AskPath
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.importing.add_files_dialog import AddFilesDialog
from tomoseg_tui.tui.importing.box_set_rows import BoxSetRow, format_counts
from tomoseg_tui.tui.importing.eman2_dialog import Eman2ImportDialog
from tomoseg_tui.tui.tiles.import_boxes_dialog import ImportBoxesDialog

XYZ = (50, 40, 3)


@pytest.fixture
def eman(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EmanFolder:
    """A project with a tomogram, boxes of two sets, tiles and masks; the program starts in its folder."""
    folder, values = EmanFolder(tmp_path / "E"), smooth_noise()
    folder.tomogram("t.hdf", values)
    folder.info("t", boxes_3d=[box(XYZ), box((60, 50, 5), 1)], class_list={"0": "good", "1": "bad"}, curves=[[0] * 5])
    folder.stack("t__good.hdf", [cut(values, XYZ)], source="t.hdf", xyz=[XYZ])
    folder.stack("t__good_seg.hdf", [(cut(values, XYZ) > 1)], source="t.hdf", xyz=[XYZ])
    monkeypatch.chdir(folder.root)
    return folder


async def put(pilot: Pilot[None], field: Input, text: str) -> None:
    field.focus()
    field.value = text
    await pilot.pause()


def history(project: Project) -> list[str]:
    return [json.loads(line)["command"] for line in project.layout.history.read_text().splitlines()]


def meaning(pilot: Pilot[None], name: str) -> Input:
    row = next(row for row in pilot.app.screen.query(BoxSetRow) if row.set_name == name)
    return row.query_one(Input)


async def test_the_folder_of_an_eman2_project_is_recognised_and_imported(
    project: Project, make_app: MakeApp, eman: EmanFolder
) -> None:
    async with make_app(project).run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 1)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, AddFilesDialog))
        await put(pilot, pilot.app.screen.query_one("#add-path", Input), str(eman.root))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Eman2ImportDialog))
        await until(pilot, lambda: "1 tomogram, 429 kB" in prose_on(pilot))
        text = prose_on(pilot)
        assert "not imported: Curves of 1 point: curves are not read." in text
        assert "1 box, 1 tile, 1 mask" in text
        assert "Import (ctrl+s)" in text
        assert meaning(pilot, "bad").value == "good:negative"
        await put(pilot, meaning(pilot, "bad"), "*")
        await pilot.press("enter")
        await until(pilot, lambda: "bad: * is for tiles without any feature." in prose_on(pilot))
        await put(pilot, meaning(pilot, "good"), "mt")
        await put(pilot, meaning(pilot, "bad"), "mt:negative")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReportDialog))
        await until(pilot, lambda: "1 tomogram imported, 2 tiles placed, 1 annotation imported." in prose_on(pilot))
        assert catalog.tomogram_names(project.layout) == ["t"]
        states = read_states(project.layout, TileLocation("t", 3, 40, 50))
        assert {feature: str(record.state) for feature, record in states.items()} == {"mt": "annotated"}
        await until(
            pilot,
            lambda: history(project) == [f"tomoseg import --eman2 {eman.root} --map bad=mt:negative --map good=mt"],
        )


@pytest.mark.slow
async def test_the_project_at_the_cursor_of_the_tree_is_found_and_missing_meanings_are_requested(
    project: Project, make_app: MakeApp, eman: EmanFolder
) -> None:
    eman.tomogram("u.hdf", smooth_noise(seed=2), apix=1.0)
    async with make_app(project).run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 1)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, AddFilesDialog))
        dialog = pilot.app.screen
        dialog.query_one(DirectoryTree).focus()
        await pilot.press("e")
        await until(pilot, lambda: isinstance(pilot.app.screen, Eman2ImportDialog))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Voxel size is ''" in prose_on(pilot))
        form = pilot.app.screen
        await put(pilot, form.query_one("#eman-voxel", Input), "13.5")
        form.query_one("#eman-protein", Select).value = "bright"
        await put(pilot, meaning(pilot, "bad"), "")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(pilot.app.screen, ReportDialog))
        records = {name: catalog.load_tomogram(project.layout, name) for name in ("t", "u")}
        assert {name: record.voxel_size_angstrom for name, record in records.items()} == {"t": 10.0, "u": 13.5}
        assert {record.polarity for record in records.values()} == {"bright"}
        options = ("--voxel-size 13.5", "--polarity bright", "--map bad=ignore")
        await until(pilot, lambda: all(option in history(project)[0] for option in options))


@pytest.mark.slow
async def test_an_error_is_reported_and_nothing_is_imported(
    project: Project, make_app: MakeApp, eman: EmanFolder
) -> None:
    bring(project, "t", smooth_noise((4, 64, 64)))
    async with make_app(project).run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 1)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, AddFilesDialog))
        await put(pilot, pilot.app.screen.query_one("#add-path", Input), str(eman.root))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Eman2ImportDialog))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "The name t belongs to another tomogram" in prose_on(pilot))
        assert not catalog.all_tiles(project.layout)
        (eman.root / "info" / "t_info.json").write_text("{")
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, AddFilesDialog))
        await put(pilot, pilot.app.screen.query_one("#add-path", Input), str(eman.root))
        await pilot.press("enter")
        await until(pilot, lambda: "t_info.json is damaged" in prose_on(pilot))


@pytest.mark.slow
async def test_the_boxes_of_an_info_file_are_imported_from_the_tiles_tab(
    project: Project, make_app: MakeApp, eman: EmanFolder
) -> None:
    bring(project, "a", smooth_noise())
    bring(project, "t", smooth_noise())
    empty = eman.info("empty")
    async with make_app(project).run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 2)
        for path in (empty, eman.root / "info" / "t_info.json"):
            await pilot.press("I")
            await until(pilot, lambda: isinstance(pilot.app.screen, AskPath))
            await put(pilot, pilot.app.screen.query_one("#path", Input), str(path))
            await pilot.press("enter")
            if path == empty:
                await until(pilot, lambda: "empty_info.json has no boxes" in prose_on(pilot))
        await until(pilot, lambda: isinstance(pilot.app.screen, ImportBoxesDialog))
        assert pilot.app.screen.query_one("#boxes-tomogram", Select).value == "t"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: len(catalog.all_tiles(project.layout)) == 2)
        tiles = {tile.location: dict(tile.states) for tile in catalog.all_tiles(project.layout)}
        assert {str(state) for state in tiles[TileLocation("t", 5, 50, 60)].values()} == {"none here"}
        await until(pilot, lambda: history(project)[-1].endswith("--tomogram t --map bad=good:negative"))


def test_counts_are_formatted_as_text() -> None:
    assert format_counts(box=3, tile=1, mask=0) == "3 boxes, 1 tile"
    assert format_counts(box=1) == "1 box"
    assert format_counts(box=0) == ""
