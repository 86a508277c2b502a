"""Tiles are exported with E and imported with I, on a real project."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.pilot import MakeApp, open_tab, prose_on, until
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Input, Select

from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.io.export_manifest import read_manifest
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.export_dialog import ExportTilesDialog
from tomoseg_tui.tui.annotate.import_masks_dialog import ImportMasksDialog
from tomoseg_tui.tui.annotate.tile_list import TileList

WANTED = TileLocation("alpha", 12, 50, 40)


def notices(pilot: Pilot[None]) -> str:
    return "\n".join(f"{notice.title} {notice.message}" for notice in pilot.app._notifications)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("alpha_tiles*"))


async def open_export(pilot: Pilot[None]) -> ExportTilesDialog:
    await open_tab(pilot, 3)
    await until(pilot, lambda: pilot.app.query_one(TileList).row_count)
    await pilot.press("E")
    await until(pilot, lambda: isinstance(pilot.app.screen, ExportTilesDialog))
    screen = pilot.app.screen
    assert isinstance(screen, ExportTilesDialog)
    return screen


async def import_file(pilot: Pilot[None], path: Path, message: str) -> ImportMasksDialog:
    """Open the import dialog, enter a file, and wait until it is described."""
    await pilot.press("I")
    await until(pilot, lambda: isinstance(pilot.app.screen, ImportMasksDialog))
    screen = pilot.app.screen
    assert isinstance(screen, ImportMasksDialog)
    screen.query_one("#masks-path", Input).value = str(path)
    await until(pilot, lambda: message in prose_on(pilot))
    return screen


async def test_tiles_are_exported_to_napari_and_the_painted_masks_are_imported(
    small_project: Project, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        dialog = await open_export(pilot)
        assert dialog.query_one("#path", Input).value == "alpha_tiles.tif"
        dialog.query_one("#slice_margin", Input).value = "few"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "Slices is 'few'. Enter a whole number from 0" in prose_on(pilot))
        dialog.query_one("#slice_margin", Input).value = ""
        await pilot.press("ctrl+s")
        await until(pilot, lambda: f"4 tiles are in {tmp_path / 'alpha_tiles.tif'}" in notices(pilot))
        file = tmp_path / "alpha_tiles_labels.tif"
        labels = tifffile.imread(file)
        manifest = read_manifest(tmp_path / "alpha_tiles.tiles.json")
        labels[[tile.id for tile in manifest.tiles].index(WANTED.id), :5] = 1
        tifffile.imwrite(file, labels, photometric="minisblack")
        await import_file(pilot, file, "was exported with 4 tiles")
        await until(pilot, lambda: "The masks of microtubule are imported" in prose_on(pilot))
        await pilot.press("ctrl+s")
        await until(
            pilot,
            lambda: catalog.tile_at(small_project.layout, WANTED).state_of("microtubule") is FeatureState.ANNOTATED,
        )
        layer = read_layer(small_project.layout, WANTED, "microtubule")
        assert layer is not None
        assert np.bincount(layer.ravel()).tolist() == [0, 59 * 64, 5 * 64]
        await until(pilot, lambda: f"annotations import {file}" in small_project.layout.history.read_text())


async def test_the_chosen_program_determines_the_form(
    small_project: Project, make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        dialog = await open_export(pilot)
        dialog.query_one("#form", Select).value = "hdf"
        await until(pilot, lambda: dialog.query_one("#path", Input).value == "alpha_tiles.hdf")
        dialog.query_one("#tiles", Select).value = "alpha"
        dialog.query_one("#feature", Select).value = "*"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "3 tiles are in" in notices(pilot))
        assert names_in(tmp_path) == [
            "alpha_tiles.hdf",
            "alpha_tiles.tiles.json",
            "alpha_tiles_membrane_seg.hdf",
            "alpha_tiles_microtubule_seg.hdf",
        ]
        painted = tmp_path / "alpha_tiles_seg.hdf"
        (tmp_path / "alpha_tiles_membrane_seg.hdf").rename(painted)
        dialog2 = await import_file(pilot, painted, "does not tell the feature: choose it")
        dialog2.query_one("#masks-feature", Input).value = "membrane"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "1 annotations imported" in prose_on(pilot))
        await until(pilot, lambda: "2 tiles came back unchanged and empty" in prose_on(pilot))


async def test_a_stack_of_labels_asks_for_each_feature(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:3], rgb[10:12] = (255, 0, 0), (0, 0, 255)
    path = tmp_path / "mask.png"
    Image.fromarray(rgb).save(path)
    app = make_app(small_project)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_tab(pilot, 3)
        await until(pilot, lambda: pilot.app.query_one(TileList).row_count)
        await pilot.press("slash", *"beta", "enter")
        await until(pilot, lambda: pilot.app.query_one(TileList).row_count == 1)
        await import_file(pilot, path, "A stack of labels, one image for each of the 1 tiles.")
        await until(pilot, lambda: "#0000ff not mapped" in prose_on(pilot))
        await pilot.press("tab", "tab", *"ignore", "tab", *"microtubule", "ctrl+s")
        beta = TileLocation("beta", 12, 48, 48)
        await until(pilot, lambda: read_layer(small_project.layout, beta, "microtubule") is not None)
        layer = read_layer(small_project.layout, beta, "microtubule")
        assert layer is not None
        assert np.bincount(layer.ravel()).tolist() == [0, 59 * 64, 3 * 64, 2 * 64]
