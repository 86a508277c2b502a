"""Slices with labels, tiles, and names of volumes."""

from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import noise, write_map, write_mrc

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ProjectError, ShapeError, UsageError
from tomoseg_tui.project.annotation_files import write_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import set_done
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.views import load_slice_view, load_tile_view
from tomoseg_tui.workflow.volume_names import find_volume, intersect_ranges, merge_ranges, parse_z_range


def test_the_middle_slice_is_shown_by_default(cell: Project) -> None:
    values = noise((8, 128, 128))
    np.testing.assert_array_equal(load_slice_view(cell, "cell").values, values[4])
    np.testing.assert_array_equal(load_slice_view(cell, "cell", z=7).values, values[7])


@pytest.mark.parametrize("z", [-1, 8])
def test_a_slice_outside_is_refused(cell: Project, z: int) -> None:
    with pytest.raises(UsageError, match=f"no slice {z}"):
        load_slice_view(cell, "cell", z=z)
    with pytest.raises(UsageError, match="is outside"):
        load_slice_view(cell, "cell", at_xyz=(128, 0, 0))


def test_the_window_around_a_voxel_stays_inside_the_volume(tmp_path: Path) -> None:
    values = noise((3, 160, 200))
    path = write_mrc(tmp_path / "wide.mrc", values)
    view = load_slice_view(None, str(path), at_xyz=(199, 0, 2))
    assert view.z == 2
    np.testing.assert_array_equal(view.values, values[2, :128, 72:])


def test_labels_have_their_names(cell: Project, tmp_path: Path) -> None:
    labels = np.zeros((8, 128, 128), np.int8)
    labels[4, 3, 5] = 2
    view = load_slice_view(cell, "cell", labels=str(write_mrc(tmp_path / "labels.mrc", labels)))
    assert view.labels is not None
    assert np.argwhere(view.labels).tolist() == [[3, 5]]
    assert view.label_names == {2: "2"}
    with pytest.raises(ShapeError, match=r"\(6, 64, 64\)"):
        load_slice_view(cell, "cell", labels=str(write_mrc(tmp_path / "small.mrc", noise())))


def test_a_map_over_a_slice_is_thresholded(cell: Project) -> None:
    values = np.zeros((8, 128, 128), np.int8)
    values[4, 3, 5:7] = [63, 64]
    write_map(cell, "run.tube", values)
    view = load_slice_view(cell, "cell", labels="cell/run.tube")
    assert view.labels is not None
    assert np.argwhere(view.labels).tolist() == [[3, 6]]
    assert view.label_names == {1: "tube"}


def test_a_tile_is_shown_with_its_annotation(cell: Project) -> None:
    place = TileLocation("cell", 4, 64, 40)
    place_tiles(cell, [tile_placement(place, "tube", negative=False), tile_placement(place, "wall", negative=True)])
    layer = np.zeros((64, 64), np.uint8)
    layer[1, 2] = 2
    write_layer(cell.layout.annotation(place, "tube"), layer, None)
    fresh = Project.open(cell.layout.root)
    set_done(fresh, place, "tube")
    view = load_tile_view(fresh, place)
    np.testing.assert_array_equal(view.values, noise((8, 128, 128))[4, 32:96, 8:72])
    assert np.argwhere(view.labels).tolist() == [[1, 2]]
    assert view.states == {"tube": "annotated", "wall": "none here"}


def test_a_name_in_the_project_has_precedence_over_a_file(
    cell: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_mrc(tmp_path / "cell", noise())
    assert find_volume(cell, "cell").record is not None
    assert find_volume(cell, "./cell").path == Path("cell")


@pytest.mark.parametrize("name", ["lost", "cell/lost", "../tomograms/cell", "cell/../cell", "/", "cell/run.tube/x", ""])
def test_an_unknown_name_of_a_volume_is_refused(cell: Project, name: str) -> None:
    with pytest.raises(ProjectError):
        find_volume(cell, name)


def test_ranges_of_slices_are_parsed_merged_and_intersected() -> None:
    assert [parse_z_range(text, 10) for text in (None, "2:5", ":5", "2:")] == [(0, 10), (2, 5), (0, 5), (2, 10)]
    for odd in ("3", "5:5", "5:2", "0:11", "-1:4", "a:b", "1:2:3", "²:5"):
        with pytest.raises(ProjectError):
            parse_z_range(odd, 10)
    assert merge_ranges([(4, 6), (0, 2), (2, 3), (5, 9)]) == [(0, 3), (4, 9)]
    assert intersect_ranges([(0, 5), (7, 9)], [(3, 8)]) == [(3, 5), (7, 8)]
