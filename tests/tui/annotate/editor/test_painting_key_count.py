"""The number of keys to paint a microtubule by keyboard alone and without a network: from an empty to a done tile."""

from pathlib import Path

import numpy as np
import pytest
from helpers.pilot import MakeApp, open_tab, until
from textual.pilot import Pilot

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.metrics import confusion
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.editor.editor_view import StatusLine
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes

MOST_KEYS, LEAST_DICE = 25, 0.8
TILES = {
    TileLocation("cell_a", 24, 35, 193): ("t", "pageup", "space", "pagedown", "K", "K", "home", "space", "enter"),
    TileLocation("cell_a", 25, 254, 83): ("t", "L", "L", "space", "pagedown", "H", "H", "space", "enter"),
    TileLocation("cell_a", 33, 285, 53): ("t", "K", "H", "space", "J", "home", "space", "enter"),
}
"""Three tiles of sample_data/tiles.csv, and the keys. Each repeat of a held key counts; two keys that the second and
third tile do not need (the filament tool is still selected) are counted too, so that each tile is independent."""


@pytest.fixture
def sample_project(project: Project, sample_data: Path) -> Project:
    request = ImportRequest(link=True, polarity="dark")
    import_volumes(project, [sample_data / "cell_a.mrc"], request)
    place_tiles(project, [tile_placement(place, "microtubule", negative=False) for place in TILES])
    return Project.open(project.layout.root)


async def test_a_microtubule_needs_at_most_25_keys(
    sample_project: Project, make_app: MakeApp, sample_data: Path
) -> None:
    app = make_app(sample_project, tab="annotate")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_tab(pilot, 3)
        await until(pilot, lambda: app.query_one("#annotate-tile").border_title)
        for place, keys in TILES.items():
            count = 1 if place is next(iter(TILES)) else 0
            if count:
                await pilot.press("p")
            await until(pilot, lambda place=place: _is_open(pilot, place))  # type: ignore[misc]
            await pilot.press(*keys)
            await pilot.pause()
            count += len(keys)
            if isinstance(app.screen, Confirm):
                await pilot.press("y")
                count += 1
            await until(pilot, lambda place=place: _is_done(sample_project, place))  # type: ignore[misc]
            assert count <= MOST_KEYS
            assert confusion(*_painted_and_true(sample_project, place, sample_data)).dice >= LEAST_DICE


def _is_open(pilot: Pilot[None], place: TileLocation) -> bool:
    above, below = (pilot.app.screen.query_one(f"#paint-{name}", StatusLine).text for name in ("above", "below"))
    return f"{place.x},{place.y},{place.z}" in above and "undo 0" in below


def _is_done(project: Project, place: TileLocation) -> bool:
    return catalog.tile_at(project.layout, place).state_of("microtubule") is FeatureState.ANNOTATED


def _painted_and_true(project: Project, place: TileLocation, sample_data: Path) -> tuple[np.ndarray, np.ndarray]:
    layer = read_layer(project.layout, place, "microtubule")
    assert layer is not None
    with open_volume(sample_data / "cell_a_labels.mrc.gz") as labels:
        truth = labels.read_region(place.corner_zyx, (1, place.size, place.size))[0] == 1
    return layer == FEATURE, truth
