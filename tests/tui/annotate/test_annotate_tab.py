"""The Annotate tab, key by key, on a real project."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import make_card, noise, put_card, write_map, write_mrc
from helpers.pilot import MakeApp, open_tab, prose_on, until, words_on
from textual.pilot import Pilot

from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project, add_feature
from tomoseg_tui.tui.annotate.annotate_tab import AnnotateTab
from tomoseg_tui.tui.annotate.import_masks_dialog import ImportMasksDialog
from tomoseg_tui.tui.annotate.tile_list import TileList
from tomoseg_tui.tui.annotate.tile_view import AnnotatedTileView
from tomoseg_tui.tui.app import TomosegApp
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.report import ReportDialog

ANNOTATED, WANTED, NEGATIVE = (
    TileLocation("alpha", 6, 48, 48),
    TileLocation("alpha", 12, 50, 40),
    TileLocation("alpha", 18, 48, 48),
)


@asynccontextmanager
async def annotating(
    app: TomosegApp, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[Pilot[None], AnnotateTab]]:
    """Open the tab and wait until a tile is shown, if there is one."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await open_tab(pilot, 3)
        tab = app.open_tab
        assert isinstance(tab, AnnotateTab)
        if app.snapshot is not None and app.snapshot.all_tiles:
            await until(pilot, lambda: tab.query_one(AnnotatedTileView).border_title)
        yield pilot, tab


def ids(tab: AnnotateTab) -> list[str | None]:
    return [row.value for row in tab.query_one(TileList).rows]


def state(project: Project, place: TileLocation, feature: str) -> FeatureState | None:
    return catalog.tile_at(project.layout, place).state_of(feature)


def notices(app: TomosegApp) -> str:
    return "\n".join(f"{notice.title} {notice.message}" for notice in app._notifications)


def history(project: Project) -> list[str]:
    lines = project.layout.history.read_text().splitlines() if project.layout.history.exists() else []
    return [json.loads(line)["command"] for line in lines]


async def go_to(pilot: Pilot[None], tab: AnnotateTab, place: TileLocation) -> None:
    """Move the cursor to a tile and wait until it is shown."""
    await pilot.press("g")
    for _ in range(ids(tab).index(place.id)):
        await pilot.press("j")
    await until(pilot, lambda: f"{place.x},{place.y},{place.z}" in str(tab.query_one(AnnotatedTileView).border_title))


async def test_an_empty_project_is_asked_to_import_first(project: Project, make_app: MakeApp) -> None:
    async with annotating(make_app(project, tab="annotate")) as (pilot, _):
        assert "Press 1 to import a tomogram." in words_on(pilot)


async def test_without_tiles_good_tiles_are_described(small_project: Project, make_app: MakeApp) -> None:
    for folder in small_project.layout.tiles.iterdir():
        folder.rename(small_project.layout.trash / folder.name)
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, _):
        await until(pilot, lambda: "Press 2 to place tiles." in words_on(pilot))
        assert "ignore" in words_on(pilot)


async def test_unfinished_tiles_for_the_chosen_feature_come_first(small_project: Project, make_app: MakeApp) -> None:
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, tab):
        assert ids(tab) == [WANTED.id, "beta:48,48,12:64", ANNOTATED.id, NEGATIVE.id]
        assert tab.query_one("#annotate-left").border_subtitle == "2 to do, 4 tiles"
        titles = []
        for key in ("f", "f", "f", "F"):
            await pilot.press(key)
            titles.append(str(tab.query_one("#annotate-left").border_title))
            if len(titles) == 1:
                assert ids(tab)[0] == NEGATIVE.id
        assert titles == ["E membrane", "* all features", "M microtubule", "* all features"]


async def test_another_feature_goes_to_its_first_tile_to_do(small_project: Project, make_app: MakeApp) -> None:
    """Else the next key would paint it on a tile of another feature."""
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, tab):
        await go_to(pilot, tab, ANNOTATED)
        await pilot.press("f")  # membrane has no tile to do, and this one is not a tile of it
        await until(pilot, lambda: tab.query_one(TileList).row_key == NEGATIVE.id)
        await pilot.press("F")
        await until(pilot, lambda: tab.query_one(TileList).row_key == WANTED.id)
        await go_to(pilot, tab, ANNOTATED)
        await pilot.press("F")  # all features: the tile stays
        assert tab.query_one(TileList).row_key == ANNOTATED.id


async def test_a_tile_is_shown_with_its_pixels_and_its_annotation(small_project: Project, make_app: MakeApp) -> None:
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, tab):
        await go_to(pilot, tab, ANNOTATED)
        await until(pilot, lambda: tab.query_one(AnnotatedTileView).border_subtitle == "M done 512 px")
        picture = tab.query_one("#annotate-here", StillCanvas).picture
        assert picture is not None
        assert picture.labels is not None
        assert np.count_nonzero(picture.labels) == 512
        volume = noise((24, 96, 96), seed=0)[6, 16:80, 16:80]
        assert np.corrcoef(picture.grey.ravel(), volume.ravel())[0, 1] > 0.99


async def test_o_cycles_overlay_outline_and_off(small_project: Project, make_app: MakeApp) -> None:
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, tab):
        await go_to(pilot, tab, ANNOTATED)
        canvas, seen = tab.query_one("#annotate-here", StillCanvas), []
        for _ in range(4):
            assert canvas.picture is not None
            seen.append((canvas.picture.labels is not None, canvas.picture.outlined))
            await pilot.press("o")
        assert seen == [(True, False), (True, True), (False, False), (True, False)]


async def test_slash_filters_and_escape_shows_all_again(small_project: Project, make_app: MakeApp) -> None:
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, tab):
        await pilot.press("slash", *"done")
        await until(pilot, lambda: ids(tab) == [ANNOTATED.id, NEGATIVE.id])
        await pilot.press("enter")
        assert tab.query_one(TileList).has_focus
        assert tab.query_one("#annotate-left").border_subtitle == "2 to do, 2 of 4"
        await pilot.press("escape")
        await until(pilot, lambda: len(ids(tab)) == 4)


async def test_enter_asks_before_a_tile_without_a_marked_pixel_is_done(
    small_project: Project, make_app: MakeApp
) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, tab):
        await go_to(pilot, tab, WANTED)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "No pixel of microtubule is marked" in words_on(pilot)
        await pilot.press("n")
        assert state(small_project, WANTED, "microtubule") is FeatureState.WANTED
        await pilot.press("enter", "y")
        await until(pilot, lambda: state(small_project, WANTED, "microtubule") is FeatureState.ANNOTATED)
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == [f"tomoseg annotations set {WANTED.id} --feature microtubule --done"]


async def test_a_done_tile_moves_down_and_the_cursor_goes_to_the_next_unfinished_one(
    small_project: Project, make_app: MakeApp
) -> None:
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, tab):
        await go_to(pilot, tab, WANTED)
        await pilot.press("enter", "y")
        await until(pilot, lambda: ids(tab)[0] == "beta:48,48,12:64")
        assert tab.query_one(TileList).row_key == "beta:48,48,12:64"


async def test_enter_marks_a_painted_tile_done_without_a_question(small_project: Project, make_app: MakeApp) -> None:
    layout = small_project.layout
    layer = np.zeros((64, 64), np.uint8)
    layer[:4] = 2
    layout.annotation_folder(WANTED).mkdir(parents=True, exist_ok=True)
    np.save(layout.annotation(WANTED, "microtubule"), layer)
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, tab):
        await go_to(pilot, tab, WANTED)
        assert "unseen" in str(tab.query_one(AnnotatedTileView).border_subtitle)
        await pilot.press("enter")
        await until(pilot, lambda: state(small_project, WANTED, "microtubule") is FeatureState.ANNOTATED)
        done = read_layer(layout, WANTED, "microtubule")
        assert done is not None
        assert np.bincount(done.ravel()).tolist() == [0, 3840, 256]


async def test_a_click_marks_nothing(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, _):
        await pilot.click("#annotate-list", offset=(4, 1))
        await pilot.click("#annotate-list", offset=(4, 1))
        await pilot.pause()
        assert not isinstance(app.screen, Confirm)
        assert state(small_project, WANTED, "microtubule") is FeatureState.WANTED


async def test_b_marks_none_here(small_project: Project, make_app: MakeApp) -> None:
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, tab):
        await go_to(pilot, tab, WANTED)
        await pilot.press("B")
        await until(pilot, lambda: state(small_project, WANTED, "microtubule") is FeatureState.NONE_HERE)
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == [f"tomoseg annotations set {WANTED.id} --feature microtubule --none"]


async def test_b_asks_before_an_annotation_is_moved_to_the_trash(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, tab):
        await go_to(pilot, tab, ANNOTATED)
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("escape")
        assert state(small_project, ANNOTATED, "microtubule") is FeatureState.ANNOTATED
        await pilot.press("B", "y")
        await until(pilot, lambda: state(small_project, ANNOTATED, "microtubule") is FeatureState.NONE_HERE)
        assert list(small_project.layout.trash.rglob("microtubule.npy"))


async def test_with_all_features_b_leaves_annotated_ones_unchanged(small_project: Project, make_app: MakeApp) -> None:
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, tab):
        await pilot.press("F")
        await go_to(pilot, tab, ANNOTATED)
        await pilot.press("B")
        await until(pilot, lambda: state(small_project, ANNOTATED, "membrane") is FeatureState.NONE_HERE)
        assert state(small_project, ANNOTATED, "microtubule") is FeatureState.ANNOTATED


async def test_a_tile_marked_none_here_is_refused_with_a_clear_error(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, tab):
        await go_to(pilot, tab, NEGATIVE)
        await pilot.press("enter", "y")
        await until(pilot, lambda: "is marked as holding no microtubule" in notices(app))
        assert not history(small_project)


async def test_neighbours_and_the_plain_tile_are_shown_beside_it(small_project: Project, make_app: MakeApp) -> None:
    async with annotating(make_app(small_project, tab="annotate"), (120, 40)) as (pilot, tab):
        await go_to(pilot, tab, WANTED)
        volume = noise((24, 96, 96), seed=0)
        for name, z in (("above", 13), ("plain", 12), ("below", 11)):
            picture = tab.query_one(f"#around-{name} StillCanvas", StillCanvas).picture
            assert picture is not None
            assert np.corrcoef(picture.grey.ravel(), volume[z, 18:82, 8:72].ravel())[0, 1] > 0.99
        assert "no network" in words_on(pilot)


async def test_the_prediction_is_read_from_the_map_of_the_network(small_project: Project, make_app: MakeApp) -> None:
    put_card(small_project, make_card("net", features=("microtubule",)))
    values = np.zeros((24, 96, 96), np.int8)
    values[12, 18:50] = 127
    write_map(small_project, "net.microtubule", values, tomogram="alpha")
    async with annotating(make_app(small_project, tab="annotate"), (120, 40)) as (pilot, tab):
        await go_to(pilot, tab, WANTED)
        picture = tab.query_one("#around-opinion StillCanvas", StillCanvas).picture
        assert picture is not None
        assert (picture.grey[:32] == 255).all()
        assert (picture.grey[32:] == 0).all()
        assert "net M  map" in words_on(pilot)


async def test_an_external_change_is_shown_without_moving_the_cursor(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, tab):
        await go_to(pilot, tab, ANNOTATED)
        add_feature(small_project, "actin")
        small_project.layout.tile_state(NEGATIVE, "actin").write_text('{"state": "wanted", "at": ""}')
        await until(pilot, lambda: app.snapshot is not None and "actin" in app.snapshot.features)
        assert tab.query_one(TileList).row_key == ANNOTATED.id
        await pilot.press("f", "f")
        assert tab.query_one("#annotate-left").border_title == "A actin"
        await until(pilot, lambda: ids(tab)[0] == NEGATIVE.id)


async def test_an_unreadable_annotation_is_reported_with_its_fix(small_project: Project, make_app: MakeApp) -> None:
    small_project.layout.annotation(ANNOTATED, "microtubule").write_bytes(b"no array")
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, tab):
        await pilot.press("g", "j", "j")
        await until(pilot, lambda: "Restore it from a backup" in notices(app))
        assert tab.query_one(AnnotatedTileView).border_title == ""


# Importing


def label_file(folder: Path, *, shape: tuple[int, int, int] = (24, 96, 96)) -> Path:
    """Write labels: 1 in the lower half of each slice, 2 in a corner, 0 elsewhere."""
    labels = np.zeros(shape, np.int8)
    labels[:, : shape[1] // 2] = 1
    labels[:, -30:, -30:] = 2
    return write_mrc(folder / "labels.mrc", labels)


async def open_import(pilot: Pilot[None], path: Path) -> ImportMasksDialog:
    """Open the dialog and enter a file."""
    await pilot.press("I")
    await until(pilot, lambda: isinstance(pilot.app.screen, ImportMasksDialog))
    dialog = pilot.app.screen
    assert isinstance(dialog, ImportMasksDialog)
    dialog.query_one("#masks-path").value = str(path)  # type: ignore[attr-defined]
    await until(pilot, lambda: path.name in words_on(pilot) and "Reading" not in words_on(pilot))
    return dialog


async def test_a_label_volume_is_imported_with_the_suggested_labels(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, _):
        path = label_file(tmp_path)
        dialog = await open_import(pilot, path)
        assert "A label volume of alpha" in prose_on(pilot)
        assert "110,592 voxels" in words_on(pilot)
        await pilot.press("tab", "tab", *"microtub", "right", "tab", *"ignore", "ctrl+s")
        await until(pilot, lambda: dialog is not app.screen)
        await until(pilot, lambda: state(small_project, WANTED, "microtubule") is FeatureState.ANNOTATED)
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == [
            f"tomoseg annotations import {path} --tomogram alpha --map 1=microtubule --map 2=ignore"
        ]
        layer = read_layer(small_project.layout, WANTED, "microtubule")
        assert layer is not None
        assert set(np.unique(layer).tolist()) == {1, 2, 3}


async def test_tiles_that_an_import_skips_are_reported_with_the_reason(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, _):
        await open_import(pilot, label_file(tmp_path))
        await pilot.press("tab", "tab", *"microtubule", "tab", *"vesicle", "ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ReportDialog))
        await until(pilot, lambda: "left as it is" in prose_on(pilot))
        text = prose_on(pilot)
        assert "The feature vesicle was added." in text
        assert f"{NEGATIVE.id} is marked as holding no microtubule" in text
        assert "1 left unchanged." in text
        await pilot.press("escape")
        assert not isinstance(app.screen, ReportDialog)


async def test_a_stack_of_masks_is_imported_for_the_tiles_of_the_list(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    masks = np.zeros((1, 64, 64), np.int8)
    masks[:, 10:20] = 1
    path = write_mrc(tmp_path / "masks.mrc", masks)
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, tab):
        await pilot.press("slash", *"beta", "enter")
        await until(pilot, lambda: len(ids(tab)) == 1)
        await open_import(pilot, path)
        assert "A stack of masks, one for each of the 1 tiles." in prose_on(pilot)
        await pilot.press("ctrl+s")
        beta = TileLocation("beta", 12, 48, 48)
        await until(pilot, lambda: state(small_project, beta, "microtubule") is FeatureState.ANNOTATED)
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == [f"tomoseg annotations import {path} --tomogram beta --feature microtubule"]


async def test_a_file_that_does_not_fit_is_refused_with_the_expected_shape(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, _):
        dialog = await open_import(pilot, label_file(tmp_path, shape=(5, 80, 80)))
        await pilot.press("ctrl+s")
        assert "Expected: 24 x 96 x 96, or 3 masks of the size of the tiles." in prose_on(pilot)
        assert app.screen is dialog


async def test_a_file_that_is_not_a_volume_is_refused_with_a_clear_error(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    path = tmp_path / "notes.mrc"
    path.write_text("nothing but words\n" * 100)
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, _):
        await open_import(pilot, path)
        assert "is a text file, not a volume" in prose_on(pilot)
        await pilot.press("ctrl+s")
        assert "Enter a file first." in words_on(pilot)


async def test_labels_without_a_feature_are_not_imported(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, _):
        dialog = await open_import(pilot, label_file(tmp_path))
        await pilot.press("ctrl+s")
        assert "No label has a feature yet." in prose_on(pilot)
        await pilot.press("tab", "tab", *"a/b", "ctrl+s")
        await until(pilot, lambda: "a/b" in prose_on(pilot).split("1 is")[0])
        assert app.screen is dialog
        await pilot.press("escape")
        assert not history(small_project)


# Commands, session and layout


async def test_y_copies_the_command_equivalent_to_enter(small_project: Project, make_app: MakeApp) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, tab):
        await go_to(pilot, tab, WANTED)
        await pilot.press("y")
        assert app.clipboard == f"tomoseg annotations set {WANTED.id} --feature microtubule --done"


async def test_the_feature_is_restored_at_the_next_start(small_project: Project, make_app: MakeApp) -> None:
    async with annotating(make_app(small_project, tab="annotate")) as (pilot, _):
        await pilot.press("f", "q")
    async with annotating(make_app(small_project)) as (_, tab):
        assert tab.query_one("#annotate-left").border_title == "E membrane"


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (250, 60)])
async def test_every_picture_fits_at_every_size(
    small_project: Project, make_app: MakeApp, size: tuple[int, int]
) -> None:
    async with annotating(make_app(small_project, tab="annotate"), size) as (_, tab):
        canvases = [canvas for canvas in tab.query(StillCanvas) if canvas.is_on_screen]
        assert len(canvases) == (4 if size[1] < 40 else 5)
        assert all(canvas.size.width >= 12 and canvas.size.height >= 6 for canvas in canvases)
        assert tab.query_one("#annotate-here").size.height >= (19 if size[1] == 24 else 25)


async def test_probabilities_are_offered_as_a_mask_of_one_feature(
    small_project: Project, make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, _):
        path = write_mrc(tmp_path / "prob.mrc", np.linspace(0, 0.9, 24 * 96 * 96, dtype=np.float32).reshape(24, 96, 96))
        dialog = await open_import(pilot, path)
        assert "A mask of one feature in alpha" in prose_on(pilot)
        assert "are taken as probabilities" in prose_on(pilot)
        dialog.query_one("#masks-feature").value = "wall"  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == [f"tomoseg annotations import {path} --tomogram alpha --feature wall"]


async def test_hundreds_of_components_have_one_row(small_project: Project, make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(small_project, tab="annotate")
    async with annotating(app) as (pilot, _):
        labels = np.resize(np.arange(400, dtype=np.int16), (24, 96, 96))
        path = write_mrc(tmp_path / "parts.mrc", labels)
        await open_import(pilot, path)
        assert "399 values > 0" in words_on(pilot)
        await pilot.press("tab", "tab", *"wall", "ctrl+s")
        await until(pilot, lambda: history(small_project))
        assert history(small_project) == [f"tomoseg annotations import {path} --tomogram alpha --map '*=wall'"]
