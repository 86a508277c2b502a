"""The display of a tile: filters and contrast of the densities, which are never written."""

from pathlib import Path

import numpy as np
from helpers.cli_runner import bring, noise

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project.catalog import Project, make_project
from tomoseg_tui.tui.annotate.editor.view_filters import FILTERS, TileSlices, ViewSettings, read_tile_slices


def sheet(*, below: bool = True) -> TileSlices:
    values = np.random.default_rng(3).normal(size=(3, 16, 16)).astype(np.float32)
    return TileSlices(values[0] if below else None, values[1], values[2], np.ones((16, 16), np.bool_))


def test_without_a_filter_greys_have_the_order_of_the_densities() -> None:
    grey, here = ViewSettings().greys(sheet()).ravel(), sheet().here.ravel()
    order = np.argsort(here)
    assert (np.diff(grey[order].astype(int)) >= 0).all()


def test_the_smooth_filter_smooths_and_the_mean_filter_averages_three_slices() -> None:
    def roughness(sight: ViewSettings) -> float:
        return float(np.abs(np.diff(sight.greys(sheet()).astype(float))).mean())

    smooth = ViewSettings().next_filter()
    assert roughness(smooth) < roughness(ViewSettings())
    mean = smooth.next_filter()
    parts = sheet()
    assert parts.below is not None
    assert parts.above is not None
    wanted = (parts.below + parts.here + parts.above) / 3
    assert np.corrcoef(mean.greys(parts).ravel(), wanted.ravel())[0, 1] > 0.99
    assert mean.next_filter() == ViewSettings()


def test_only_adjacent_slices_can_be_shown() -> None:
    up = ViewSettings().step_z(1).step_z(1)
    assert up.z_offset == 1
    beside = ViewSettings().neighbour_greys(sheet())[1]
    assert beside is not None
    assert np.array_equal(up.greys(sheet()), beside)
    assert ViewSettings().neighbour_greys(sheet(below=False))[0] is None
    assert ViewSettings().step_z(-1).description == "z-1"


def test_differences_from_the_default_view_are_described() -> None:
    assert ViewSettings().description == ""
    assert ViewSettings().next_filter().next_contrast().description == f"{FILTERS[1]} strong"


def test_slices_are_read_in_sigmas_and_are_0_outside_the_volume(tmp_path: Path) -> None:
    project: Project = make_project(tmp_path / "project")
    values = noise((8, 48, 48), seed=2)
    bring(project, "alpha", values)
    read = read_tile_slices(project.layout, TileLocation("alpha", 0, 8, 24, 32))
    assert read.below is None
    assert read.above is not None
    wanted = (values[0].astype(np.float32) - values.mean()) / values.std()
    assert np.allclose(read.here[8:], wanted[:24, 8:40], atol=0.02)
    assert not read.inside[:8].any()
    assert (read.here[:8] == 0).all()
