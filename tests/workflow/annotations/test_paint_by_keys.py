"""How few keys a microtubule needs: tiles of the sample data painted by their keys, and compared with the truth.

The cursor begins in the middle of the tile; a letter moves it by one pixel, a capital by eight (h left, j down, k up,
l right; down is towards greater y in the array, whichever way a screen shows it). `B` selects the band through two
points, which extends to the borders, as wide as the widest brush; a space sets a point, enter paints, enter marks
done.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.metrics import confusion
from tomoseg_tui.core.paint_tools import BRUSH_WIDTHS, Pixel, filament_mask
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import effective_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import read_tile_values
from tomoseg_tui.workflow.annotations.paint_session import PaintSession
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes

STEPS = {"h": (0, -1), "j": (1, 0), "k": (-1, 0), "l": (0, 1)}
LEAP = 8
MOST_KEYS, LEAST_DICE = 25, 0.8
KEYS_BEYOND = 4
"""Further keys on a screen: to open the tile, select the tool and its width, and answer a question."""

TILES = [
    (TileLocation("cell_a", 25, 254, 83), "LL JJLk", 0.96),
    (TileLocation("cell_a", 33, 285, 53), "HJ JLLk", 0.94),
    (TileLocation("cell_a", 15, 242, 98), "Jj JJLl", 0.87),
]
"""A location, the keys to the first point and from there to the second, and the resulting Dice."""


def moved(at: Pixel, keys: str) -> Pixel:
    for key in keys:
        dy, dx = STEPS[key.lower()]
        far = LEAP if key.isupper() else 1
        at = (at[0] + far * dy, at[1] + far * dx)
    return at


@pytest.fixture
def cell_a(project: Project, sample_data: Path) -> Project:
    import_volumes(project, [sample_data / "cell_a.mrc"], ImportRequest(polarity="dark", voxel_size_angstrom=13.6))
    place_tiles(project, [tile_placement(place, "microtubule", negative=False) for place, _, _ in TILES])
    return project


def truth(sample_data: Path, place: TileLocation) -> NDArray[np.bool_]:
    with open_volume(sample_data / "cell_a_labels.mrc.gz") as labels:
        return np.asarray(read_tile_values(labels, place)[0] == 1, np.bool_)


def test_a_microtubule_is_painted_by_a_band_of_two_points(cell_a: Project, sample_data: Path) -> None:
    """From empty to done without the network's map; `len(keys)` counts the space between the points."""
    for place, keys, dice in TILES:
        assert len(f"B{keys} \n\n") + KEYS_BEYOND <= MOST_KEYS
        first, second = keys.split(" ")
        start = moved((32, 32), first)
        mask = filament_mask((64, 64), start, moved(start, second), BRUSH_WIDTHS[-1])
        with PaintSession.open(cell_a, place) as painting:
            painting.stroke("microtubule", mask, FEATURE, "band")
            painting.mark_done("microtubule")
        layer = effective_layer(cell_a.layout, catalog.tile_at(cell_a.layout, place), "microtubule")
        assert layer is not None
        reached = confusion(layer == FEATURE, truth(sample_data, place), np.ones((64, 64), np.bool_)).dice
        assert reached >= max(dice, LEAST_DICE), place.id
