"""Annotations from label volumes, stacks of masks, and states set on a tile."""

import errno
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from helpers.cli_runner import bring, digest_of, noise, write_mrc
from numpy.typing import NDArray

from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError, ShapeError, UsageError
from tomoseg_tui.io import eman2_hdf
from tomoseg_tui.project import annotation_files, catalog, changes
from tomoseg_tui.project.annotation_files import read_layer, write_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import LayerSource, StateRecord, now, write_record
from tomoseg_tui.workflow.annotations.import_annotations import (
    AnnotationResult,
    annotation_listing,
    import_label_volume,
    import_masks,
    set_done,
    set_none_here,
)
from tomoseg_tui.workflow.exchange.import_masks import MaskImportRequest, import_masks_from_file
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement

TUBE, EMPTY, NEGATIVE, STAR = (TileLocation("cell", 4, 64, x) for x in (40, 64, 70, 80))
"""To do on labels, to do off labels, marked none here, marked none here for all features."""


@pytest.fixture
def tiled(cell: Project) -> Project:
    wishes = [
        tile_placement(TUBE, "tube", negative=False),
        tile_placement(EMPTY, "tube", negative=False),
        tile_placement(NEGATIVE, "tube", negative=True),
        tile_placement(STAR, "*", negative=True),
    ]
    place_tiles(cell, wishes)
    return cell


def volume(folder: Path, *boxes: tuple[int, slice, slice], voxel_size: float = 10.0) -> Path:
    """Write a label volume with each label in a box, rows and columns of slice 4."""
    labels = np.zeros((8, 128, 128), np.int8)
    for label, rows, columns in boxes:
        labels[4, rows, columns] = label
    return write_mrc(folder / "labels.mrc", labels, voxel_size=voxel_size)


def import_volume(project: Project, path: Path, *mappings: str, replace: bool = False) -> AnnotationResult:
    return import_label_volume(project, path, "cell", parse_label_map(mappings), replace=replace)


def states(project: Project, place: TileLocation) -> dict[str, str]:
    tile = catalog.find_tile(project.layout, place)
    assert tile is not None
    return {feature: str(state) for feature, state in tile.states.items()}


def layer(project: Project, place: TileLocation, feature: str = "tube") -> NDArray[np.uint8]:
    found = read_layer(project.layout, place, feature)
    assert found is not None
    return found


def paint(project: Project, place: TileLocation, values: NDArray[np.uint8]) -> None:
    """Write a layer as a painted one."""
    write_layer(project.layout.annotation(place, "tube"), values, None)
    record = StateRecord(FeatureState.ANNOTATED, now(), LayerSource("painted", None, now()))
    write_record(project.layout.tile_state(place, "tube"), record)


def test_each_tile_is_annotated_from_the_volume_and_fully_labelled(tiled: Project, tmp_path: Path) -> None:
    import_volume(tiled, volume(tmp_path, (1, slice(60, 62), slice(10, 13))), "1=tube")
    values = layer(tiled, TUBE)  # covers rows 32-95 and columns 8-71
    assert set(np.unique(values)) == {1, 2}
    np.testing.assert_array_equal(np.argwhere(values == 2), [[y, x] for y in (28, 29) for x in (2, 3, 4)])


def test_states_follow_from_the_labels_within_a_tile(tiled: Project, tmp_path: Path) -> None:
    done = import_volume(
        tiled,
        volume(tmp_path, (1, slice(60, 62), slice(10, 13)), (2, slice(0, 128), slice(40, 45))),
        "1=tube",
        "2=wall",
    )
    assert states(tiled, TUBE) == {"tube": "annotated", "wall": "annotated"}
    assert states(tiled, EMPTY) == {"tube": "annotated", "wall": "annotated"}
    assert states(tiled, NEGATIVE) == {"tube": "none here", "wall": "annotated"}
    assert states(tiled, STAR) == {"*": "none here"}
    assert done.new_features == ["wall"]
    assert any("is wanted for tube, but none of its pixels" in remark for remark in done.remarks)
    assert (layer(tiled, EMPTY) == 1).all()


def test_a_tile_without_a_state_becomes_none_here_if_no_pixel_is_labelled(tiled: Project, tmp_path: Path) -> None:
    done = import_volume(tiled, volume(tmp_path, (3, slice(60, 62), slice(10, 13))), "3=wall")
    assert states(tiled, TUBE)["wall"] == "annotated"
    assert states(tiled, EMPTY)["wall"] == "none here"
    assert (done.annotated, done.none_here) == (1, 2)
    assert read_layer(tiled.layout, EMPTY, "wall") is None


@pytest.mark.parametrize("place", [NEGATIVE, STAR])
def test_a_tile_marked_none_here_with_labels_is_not_changed_but_listed(
    tiled: Project, tmp_path: Path, place: TileLocation
) -> None:
    before = states(tiled, place)
    done = import_volume(tiled, volume(tmp_path, (1, slice(60, 62), slice(100, 101))), "1=tube")
    assert any(place.id in left and "2 of its pixels" in left for left in done.skipped)
    assert len(done.skipped) == 2
    assert states(tiled, place) == before
    assert read_layer(tiled.layout, place, "tube") is None


def test_unmapped_values_are_not_feature_and_ignored_ones_are_ignored(tiled: Project, tmp_path: Path) -> None:
    boxes = [(1, slice(60, 61), slice(10, 12)), (5, slice(61, 62), slice(10, 13)), (7, slice(62, 63), slice(10, 14))]
    import_volume(tiled, volume(tmp_path, *boxes), "1=tube", "7=ignore")
    assert np.bincount(layer(tiled, TUBE).ravel(), minlength=4).tolist() == [0, 64 * 64 - 6, 2, 4]


def test_two_labels_may_be_one_feature_and_two_volumes_may_label_one_pixel(tiled: Project, tmp_path: Path) -> None:
    import_volume(
        tiled,
        volume(tmp_path, (1, slice(60, 61), slice(10, 12)), (5, slice(61, 62), slice(10, 13))),
        "1=tube",
        "5=tube",
    )
    assert int((layer(tiled, TUBE) == 2).sum()) == 5


def test_pixels_outside_the_volume_are_unlabelled(cell: Project, tmp_path: Path) -> None:
    place_tiles(cell, [tile_placement(TileLocation("cell", 4, 10, 20), "tube", negative=False)])
    import_volume(cell, volume(tmp_path, (1, slice(0, 2), slice(0, 2))), "1=tube")
    values = layer(cell, TileLocation("cell", 4, 10, 20))
    assert (values[:22] == 0).all()
    assert (values[:, :12] == 0).all()
    assert (values[22:, 12:] > 0).all()
    assert (values[22:24, 12:14] == 2).all()


def test_a_volume_of_another_shape_is_refused_and_nothing_written(tiled: Project, tmp_path: Path) -> None:
    before = digest_of(tiled.layout.root)
    path = write_mrc(tmp_path / "labels.mrc", np.zeros((8, 128, 127), np.int8))
    with pytest.raises(ShapeError, match=r"\(8, 128, 127\), the tomogram cell has \(8, 128, 128\)"):
        import_volume(tiled, path, "1=tube")
    assert digest_of(tiled.layout.root) == before


def test_another_voxel_size_or_origin_is_a_remark_that_names_both(tiled: Project, tmp_path: Path) -> None:
    box = (1, slice(0, 1), slice(0, 1))
    (remark,) = [
        r for r in import_volume(tiled, volume(tmp_path, box, voxel_size=1.0), "1=tube").remarks if "Å/voxel" in r
    ]
    assert "1 Å/voxel, cell has 10" in remark
    assert not [
        r for r in import_volume(tiled, volume(tmp_path, box, voxel_size=10.09), "1=tube").remarks if "Å/voxel" in r
    ]
    moved = write_mrc(tmp_path / "moved.mrc", np.ones((8, 128, 128), np.int8), origin_xyz=(7.0, 0.0, 0.0))
    (remark,) = [r for r in import_volume(tiled, moved, "1=tube").remarks if "origin" in r]
    assert "(7.0, 0.0, 0.0)" in remark
    assert "(0.0, 0.0, 0.0)" in remark


def test_a_tomogram_without_tiles_is_refused(cell: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no tiles to annotate"):
        import_volume(cell, volume(tmp_path), "1=tube")


def test_painted_layers_are_replaced_only_with_replace(tiled: Project, tmp_path: Path) -> None:
    painted = np.full((64, 64), 2, np.uint8)
    paint(tiled, TUBE, painted)
    labels = volume(tmp_path, (1, slice(60, 62), slice(10, 13)))
    done = import_volume(tiled, labels, "1=tube")
    assert any("painted by a person" in left for left in done.skipped)
    np.testing.assert_array_equal(layer(tiled, TUBE), painted)
    import_volume(tiled, labels, "1=tube", replace=True)
    assert int((layer(tiled, TUBE) == 2).sum()) == 6
    (kept,) = tiled.layout.trash.glob("*/annotations/cell/40_64_4_64/tube.npy")
    np.testing.assert_array_equal(np.load(kept), painted)


def test_steps_that_are_repeated_after_a_kill_keep_the_old_layer(
    tiled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_volume(tiled, volume(tmp_path, (1, slice(60, 62), slice(10, 13))), "1=tube")
    carry_out = changes._carry_out
    monkeypatch.setattr(changes, "_carry_out", lambda *change: (carry_out(*change), carry_out(*change)))
    import_volume(tiled, volume(tmp_path, (1, slice(60, 64), slice(10, 13))), "1=tube", replace=True)
    assert int((layer(tiled, TUBE) == 2).sum()) == 12
    (kept,) = tiled.layout.trash.glob("*/annotations/cell/40_64_4_64/tube.npy")
    assert int((np.load(kept) == 2).sum()) == 6


def test_an_import_that_fails_on_the_way_writes_nothing(
    tiled: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_volume(tiled, volume(tmp_path, (1, slice(60, 62), slice(10, 99))), "1=tube")
    calls, before = itertools.count(), content_of(tiled.layout.root)
    encode = annotation_files._encode_layer

    def fail_at_the_second(*words: Any) -> bytes:
        if next(calls):
            raise OSError(errno.EIO, "broken")
        return encode(*words)

    monkeypatch.setattr(annotation_files, "_encode_layer", fail_at_the_second)
    with pytest.raises(OSError, match="broken"):
        import_volume(tiled, volume(tmp_path, (1, slice(60, 64), slice(10, 99))), "1=wall")
    assert next(calls) == 2
    assert content_of(tiled.layout.root) == before


def content_of(root: Path) -> dict[str, str]:
    return {path: digest for path, digest in digest_of(root).items() if digest != "folder" and ".writer." not in path}


def test_imported_layers_are_replaced_by_the_next_import(tiled: Project, tmp_path: Path) -> None:
    import_volume(tiled, volume(tmp_path, (1, slice(60, 62), slice(10, 13))), "1=tube")
    assert set_done(tiled, TUBE, "tube") == 6
    done = import_volume(tiled, volume(tmp_path, (1, slice(60, 64), slice(10, 13))), "1=tube")
    assert not [left for left in done.skipped if TUBE.id in left]
    assert int((layer(tiled, TUBE) == 2).sum()) == 12


def stack() -> NDArray[np.uint8]:
    """Return four masks for four tiles, in the order of the list; the third is empty."""
    masks = np.zeros((4, 64, 64), np.uint8)
    masks[0, 5, 7] = masks[1, 10, 20:24] = masks[3, 2, 3] = 255
    return masks


def masks_file(folder: Path, kind: str, masks: NDArray[np.uint8]) -> Path:
    path = folder / f"masks.{kind}"
    if kind == "mrc":
        return write_mrc(path, masks.astype(np.int16))
    if kind == "hdf":
        eman2_hdf.write_image_stack(path, masks.astype(np.float32), voxel_size_angstrom=10.0)
    else:
        tifffile.imwrite(path, masks, photometric="minisblack")
    return path


@pytest.mark.parametrize("kind", ["mrc", "hdf", "tif"])
def test_a_stack_gives_each_tile_its_mask_in_the_order_of_the_list(tiled: Project, tmp_path: Path, kind: str) -> None:
    places = [tile.location for tile in catalog.tiles_of(tiled.layout, "cell")]
    assert places == [TUBE, EMPTY, NEGATIVE, STAR]
    done = import_masks(tiled, masks_file(tmp_path, kind, stack()), "tube", places[::-1])
    assert np.argwhere(layer(tiled, TUBE) == 2).tolist() == [[5, 7]]
    assert np.argwhere(layer(tiled, EMPTY) == 2).tolist() == [[10, x] for x in (20, 21, 22, 23)]
    assert done.annotated == 2
    assert [left.split()[0] for left in done.skipped] == [STAR.id]


def test_a_stack_of_one_image_annotates_one_tile(tiled: Project, tmp_path: Path) -> None:
    import_masks(tiled, masks_file(tmp_path, "tif", stack()[0]), "tube", [TUBE])
    assert int((layer(tiled, TUBE) == 2).sum()) == 1


def test_a_stack_of_another_length_or_size_writes_nothing(tiled: Project, tmp_path: Path) -> None:
    before = digest_of(tiled.layout.root)
    path = masks_file(tmp_path, "mrc", stack())
    with pytest.raises(ShapeError, match="contains 4 masks, but there are 3 tiles"):
        import_masks(tiled, path, "tube", [TUBE, EMPTY, NEGATIVE])
    with pytest.raises(ShapeError, match="contains 4 masks, but there are 1 tiles"):
        import_masks(tiled, path, "tube", [TUBE] * 4)
    with pytest.raises(ShapeError, match=r"shape \(32, 32\)"):
        import_masks(tiled, masks_file(tmp_path, "tif", stack()[:, :32, :32]), "new", [TUBE, EMPTY, NEGATIVE, STAR])
    with pytest.raises(ProjectError, match="no tile cell:1,1,1:64"):
        import_masks(tiled, path, "tube", [TUBE, EMPTY, NEGATIVE, TileLocation("cell", 1, 1, 1)])
    assert digest_of(tiled.layout.root) == before


def test_none_moves_a_layer_to_the_trash(tiled: Project, tmp_path: Path) -> None:
    import_volume(tiled, volume(tmp_path, (1, slice(60, 62), slice(10, 13))), "1=tube")
    set_none_here(tiled, TUBE, "tube")
    assert states(tiled, TUBE) == {"tube": "none here"}
    assert read_layer(tiled.layout, TUBE, "tube") is None
    assert len(list(tiled.layout.trash.glob("*/annotations/cell/40_64_4_64/tube.npy"))) == 1


def test_done_makes_unlabelled_pixels_not_feature(tiled: Project) -> None:
    painted = np.zeros((64, 64), np.uint8)
    painted[0, :4] = [1, 2, 3, 2]
    paint(tiled, TUBE, painted)
    assert set_done(tiled, TUBE, "tube") == 2
    assert np.bincount(layer(tiled, TUBE).ravel(), minlength=4).tolist() == [0, 64 * 64 - 3, 2, 1]
    assert states(tiled, TUBE) == {"tube": "annotated"}


def test_states_of_unknown_tiles_or_features_are_refused(tiled: Project) -> None:
    before = digest_of(tiled.layout.root)
    with pytest.raises(ProjectError, match="no feature 'wall'"):
        set_none_here(tiled, TUBE, "wall")
    with pytest.raises(ProjectError, match="no tile"):
        set_done(tiled, TileLocation("cell", 0, 1, 1), "tube")
    with pytest.raises(ProjectError, match="holding no tube"):
        set_done(tiled, NEGATIVE, "tube")
    assert digest_of(tiled.layout.root) == before


def test_labels_of_one_version_annotate_the_shared_tiles(tiled: Project, tmp_path: Path) -> None:
    bring(tiled, "cell__preproc", noise((8, 128, 128)))
    labels = volume(tmp_path, (1, slice(60, 62), slice(10, 13)))
    assert import_label_volume(tiled, labels, "cell__preproc", parse_label_map(["1=tube"])).annotated == 2
    assert int((layer(tiled, TUBE) == 2).sum()) == 6


def test_the_listing_has_state_pixels_and_source(tiled: Project, tmp_path: Path) -> None:
    import_volume(tiled, volume(tmp_path, (1, slice(60, 62), slice(10, 13))), "1=tube")
    rows = {(row["tile"], row["feature"]): row for row in annotation_listing(tiled)}
    assert rows[TUBE.id, "tube"] == {
        "tile": TUBE.id,
        "feature": "tube",
        "state": "annotated",
        "pixels": {"unseen": 0, "not": 64 * 64 - 6, "feature": 6, "ignore": 0},
        "source": "labels.mrc",
    }
    assert rows[STAR.id, "*"]["pixels"] is None


def test_a_mapped_value_that_is_nowhere_is_refused_with_the_values_that_are_there(
    tiled: Project, tmp_path: Path
) -> None:
    before = digest_of(tiled.layout.root)
    path = volume(tmp_path, (3, slice(60, 62), slice(10, 13)))
    with pytest.raises(UsageError, match=r"no voxel of 1 \(wall\).*: 0 \(131,066\), 3 \(6\)") as caught:
        import_volume(tiled, path, "1=wall")
    assert caught.value.fix == "Map values that are there: --map 3=wall"
    assert digest_of(tiled.layout.root) == before


def test_what_an_import_decided_is_changed_by_a_later_one_with_replace(tiled: Project, tmp_path: Path) -> None:
    here, there = (volume(tmp_path, (3, slice(60, 62), columns)) for columns in (slice(10, 13), slice(110, 113)))
    there = there.rename(tmp_path / "there.mrc")
    here = volume(tmp_path, (3, slice(60, 62), slice(10, 13)))
    import_volume(tiled, there, "3=wall")
    assert (states(tiled, TUBE)["wall"], states(tiled, STAR)["*"]) == ("none here", "none here")
    left = import_volume(tiled, here, "3=wall").skipped
    assert any(TUBE.id in line and "import of there.mrc" in line and "--replace" in line for line in left)
    import_volume(tiled, here, "3=wall", replace=True)
    assert states(tiled, TUBE)["wall"] == "annotated"
    assert int((layer(tiled, TUBE, "wall") == 2).sum()) == 6
    import_volume(tiled, there, "3=wall", replace=True)
    assert states(tiled, TUBE)["wall"] == "none here"
    assert read_layer(tiled.layout, TUBE, "wall") is None


def test_what_a_person_set_to_none_is_no_import_word(tiled: Project, tmp_path: Path) -> None:
    path = volume(tmp_path, (3, slice(60, 62), slice(10, 13)))
    import_volume(tiled, path, "3=wall")
    set_none_here(tiled, TUBE, "wall")
    assert any(
        "marked as holding no wall, but 6" in line
        for line in import_volume(tiled, path, "3=wall", replace=True).skipped
    )
    assert states(tiled, TUBE)["wall"] == "none here"


def test_voxels_outside_all_tiles_are_told(tiled: Project, tmp_path: Path) -> None:
    remarks = import_volume(tiled, volume(tmp_path, (3, slice(0, 2), slice(0, 2))), "3=wall").remarks
    assert "None of the 4 voxels of wall lies in a tile." in remarks


def test_components_are_one_feature_by_a_star_or_a_range(tiled: Project, tmp_path: Path) -> None:
    labels = np.zeros((8, 128, 128), np.int16)
    labels[4, 60, 10:70] = np.arange(60) + 300
    labels[4, 61, 10:13] = 7
    path = write_mrc(tmp_path / "components.mrc", labels)
    done = import_volume(tiled, path, "*=tube", "7=ignore")
    assert "tube is *: 60 numbers from 300 to 359 (60 voxels)" in done.interpretations[0]
    assert np.bincount(layer(tiled, TUBE).ravel(), minlength=4)[2:].tolist() == [60, 3]
    import_volume(tiled, path, "300-309=tube")
    assert int((layer(tiled, TUBE) == 2).sum()) == 10


def test_a_stack_of_labels_without_the_mapped_value_is_refused(tiled: Project, tmp_path: Path) -> None:
    path = masks_file(tmp_path, "tif", stack())
    request = MaskImportRequest(path, places=(TUBE, EMPTY, NEGATIVE, STAR), labels=parse_label_map(["1=tube"]))
    with pytest.raises(UsageError, match="no voxel of 1 "):
        import_masks_from_file(tiled, request)
    import_masks_from_file(tiled, replace(request, labels=parse_label_map(["255=tube"])))
    assert int((layer(tiled, TUBE) == 2).sum()) == 1
