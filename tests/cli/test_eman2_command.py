"""EMAN2 projects on the command line: what is imported, what is skipped, and which options are needed."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Run, digest_of, noise, write_mrc
from helpers.eman2_project import SHAPE_ZYX, EmanFolder, box, cut, smooth_noise
from numpy.typing import NDArray

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]
GOOD, BAD = [(50, 40, 3), (70, 50, 5)], [(33, 60, 7)]
MAPS = ("--map", "good=microtubule", "--map", "bad=microtubule:negative")


def masks(count: int, size: int = 64) -> list[NDArray[np.float32]]:
    """Return different masks, none of them symmetric."""
    found = np.zeros((count, size, size), np.float32)
    for index in range(count):
        found[index, 20 : 24 + index, 10:30] = 1
    return list(found)


def from_centre(xyz: tuple[int, int, int]) -> tuple[float, float, float]:
    x, y, z = ((at - n // 2) * 4.0 for at, n in zip(xyz, reversed(SHAPE_ZYX), strict=True))
    return x, y, z


@pytest.fixture
def eman(tmp_path: Path) -> EmanFolder:
    """A project as in EMAN2's tutorial: an 8-bit tomogram and its filtered version, two sets, tiles, masks."""
    folder = EmanFolder(tmp_path / "E")
    folder.tomogram("t__bin4.hdf", smooth_noise(), bits=8)
    filtered = smooth_noise(seed=3).clip(-3, 3)
    folder.tomogram("t__bin4_preproc.hdf", filtered)
    folder.log("e2tomoseg_preproc.py tomograms/t__bin4.hdf --proctag=preproc --ppid=-2")
    folder.info(
        "t",
        apix_unbin=2.5,
        boxes_3d=[box(from_centre(at)) for at in GOOD] + [box(from_centre(at), 1) for at in BAD],
        class_list={"0": {"name": "good", "boxsize": 256}, "1": {"name": "bad", "boxsize": 256}},
        curves=[[1, 2, 3, 0, 0]],
    )
    source = "t__bin4_preproc.hdf"
    folder.stack("t__bin4_preproc_good.hdf", [cut(filtered, at) for at in GOOD], source=source, xyz=GOOD)
    folder.stack("t__bin4_preproc_good_seg.hdf", masks(2), source=source, xyz=GOOD)
    folder.stack("t__bin4_preproc_bad.hdf", [cut(filtered, at) for at in BAD], source=source, xyz=BAD)
    (folder.root / "particles" / "t__bin4_preproc_good_trainset.hdf").touch()
    (folder.root / "neuralnets" / "nnet_save__good.hdf").touch()
    return folder


def layer(
    project: Project, tile_id: str, feature: str = "microtubule"
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    name, at, size = tile_id.split(":")
    x, y, z = (int(number) for number in at.split(","))
    found = read_layer(project.layout, TileLocation(name, z, y, x, int(size)), feature)
    assert found is not None
    return found


def tiles(door: Door) -> dict[str, dict[str, str]]:
    return {row["id"]: row["features"] for row in door("tiles", "list", "--json").json}


def test_a_project_is_imported_with_tomograms_boxes_tiles_and_masks(
    door: Door, project: Project, eman: EmanFolder
) -> None:
    before = digest_of(eman.root)
    done = door("import", "--eman2", eman.root, *MAPS, "--json")
    assert digest_of(eman.root) == before
    assert done.json["tomograms"] == ["t__bin4", "t__bin4_preproc"]
    assert (done.json["tiles"], done.json["annotations"], done.json["features"]) == (3, 2, ["microtubule"])
    assert tiles(door) == {
        "t__bin4_preproc:50,40,3:64": {"microtubule": "annotated"},
        "t__bin4_preproc:70,50,5:64": {"microtubule": "annotated"},
        "t__bin4_preproc:33,60,7:64": {"microtubule": "none here"},
    }
    for at, mask in zip(("50,40,3", "70,50,5"), masks(2), strict=True):
        np.testing.assert_array_equal(layer(project, f"t__bin4_preproc:{at}:64") == 2, mask > 0)
    left = " ".join(done.json["left"])
    assert "Curves of 1 point" in left
    assert "particles/*_trainset.hdf, 1 file" in left
    assert "neuralnets/*.hdf, 1 file" in left
    rows = {row["name"]: row for row in door("tomograms", "--json").json}
    assert [step["lowpass"] for step in rows["t__bin4_preproc"]["preprocessing"]] == [0.25]
    assert rows["t__bin4"]["preprocessing"] == []
    assert rows["t__bin4_preproc"]["preprocessing_angstrom"][0]["lowpass_angstrom"] == 40.0
    assert "--eman2" in project.layout.history.read_text()


def test_a_second_import_changes_nothing_and_an_interrupted_one_continues(
    door: Door, project: Project, eman: EmanFolder
) -> None:
    door("import", eman.root / "tomograms" / "t__bin4.hdf")
    done = door("import", "--eman2", eman.root, *MAPS)
    assert "t__bin4 already exists and is skipped." in done.err
    assert "1 tomogram imported, 3 tiles placed, 2 annotations imported." in done.err
    before = digest_of(project.layout.root)
    again = door("import", "--eman2", eman.root, *MAPS)
    assert "0 tomograms imported, 0 tiles placed, 3 existed already, 0 annotations imported." in again.err
    assert digest_of(project.layout.root) == before


def test_annotations_painted_after_an_import_are_not_replaced(door: Door, project: Project, eman: EmanFolder) -> None:
    door("import", "--eman2", eman.root, *MAPS)
    door("annotations", "set", "t__bin4_preproc:33,60,7:64", "--feature", "microtubule", "--none")
    door("tiles", "remove", "t__bin4_preproc:33,60,7:64")
    door("tiles", "add", "t__bin4_preproc", "--at", "33,60,7", "--feature", "microtubule")
    done = door("import", "--eman2", eman.root, *MAPS)
    assert "bad.hdf, image 0, microtubule: the tile in the project is marked as the opposite." in done.err
    assert tiles(door)["t__bin4_preproc:33,60,7:64"] == {"microtubule": "wanted"}
    assert catalog.tomogram_names(project.layout)


def test_box_sets_with_a_negative_name_must_be_confirmed(
    refused: Callable[..., str], door: Door, eman: EmanFolder
) -> None:
    err = refused("import", "--eman2", eman.root, "--map", "good=microtubule")
    assert "The name of the set bad suggests tiles without a feature" in err
    assert f"tomoseg import --eman2 {eman.root} --map good=microtubule --map bad=microtubule:negative" in err
    door("import", "--eman2", eman.root, "--map", "bad=*:negative", "--map", "good=ignore")
    assert tiles(door) == {"t__bin4_preproc:33,60,7:64": {"*": "none here"}}


def test_the_list_shows_the_contents_and_changes_nothing(door: Door, project: Project, eman: EmanFolder) -> None:
    before = digest_of(project.layout.root)
    found = door("import", "--eman2", eman.root, "--list", "--json").json
    assert [(row["name"], row["state"]) for row in found["tomograms"]] == [
        ("t__bin4", "new"),
        ("t__bin4_preproc", "new"),
    ]
    assert found["sets"] == [
        {"set": "bad", "boxes": 1, "tiles": 1, "masks": 0, "means": "good:negative", "asked": True},
        {"set": "good", "boxes": 2, "tiles": 2, "masks": 2, "means": "good", "asked": False},
    ]
    arguments = door("import", "--eman2", eman.root, "--list")
    assert "good:negative (likely; confirm with --map)" in arguments.out
    assert "Skipped: Curves of 1 point" in arguments.err
    assert digest_of(project.layout.root) == before


def test_tomograms_can_be_linked_and_polarity_is_declared_except_for_inverted_versions(
    door: Door, eman: EmanFolder
) -> None:
    eman.log("e2tomoseg_preproc.py tomograms/t__bin4.hdf --invert")
    door("import", "--eman2", eman.root, *MAPS, "--link", "--polarity", "bright")
    rows = {row["name"]: row for row in door("tomograms", "--json").json}
    assert (rows["t__bin4"]["polarity"], rows["t__bin4_preproc"]["polarity"]) == ("bright", "dark")
    assert all(row["linked"] for row in rows.values())


def test_a_tile_that_differs_from_its_tomogram_is_skipped_and_reported(door: Door, tmp_path: Path) -> None:
    eman, values = EmanFolder(tmp_path / "E"), smooth_noise()
    eman.tomogram("t.hdf", values)
    places = [(50, 40, 3), (60, 50, 4), (70, 50, 4)]
    first, second, third = (cut(values, at) for at in places)
    other = cut(smooth_noise(seed=2), places[2])
    eman.stack("t__mt.hdf", [first, second[::-1], other], source="t.hdf", xyz=places)
    eman.stack("t__mt_seg.hdf", masks(3), source="t.hdf", xyz=places)
    eman.stack("t__lost.hdf", [third], source="gone.hdf", xyz=places[:1])
    done = door("import", "--eman2", eman.root)
    assert (
        "t__mt.hdf: 1 of 3 tiles (image 1) skipped: they differ from t at their position, unless flipped in y."
        in done.err
    )
    assert "t__mt.hdf: 1 of 3 tiles (image 2) skipped: they differ from t at their position (correlation 0" in done.err
    assert "t__lost.hdf: 1 of 1 tiles (image 0) skipped: the tomogram tomograms/gone.hdf does not exist." in done.err
    assert tiles(door) == {"t:50,40,3:64": {"mt": "annotated"}}


def test_a_stack_without_coordinates_is_matched_with_the_boxes_by_its_images(
    door: Door, project: Project, tmp_path: Path
) -> None:
    eman, values = EmanFolder(tmp_path / "E"), smooth_noise()
    eman.tomogram("t.hdf", values, bits=5)
    places = [(50, 40, 3), (60, 50, 4), (8, 50, 5)]
    eman.info("t", boxes_3d=[box(at) for at in places], class_list={"0": "mt"})
    images = [cut(values, places[2]), -2 * cut(values, places[0]) + 7, cut(values, (40, 40, 8))]
    eman.stack("t__mt.hdf", images)
    eman.stack("t__mt_seg.hdf", masks(3))
    done = door("import", "--eman2", eman.root)
    assert "(image 2) skipped: their headers have no positions, and they match no box." in done.err
    assert tiles(door) == {
        "t:50,40,3:64": {"mt": "annotated"},
        "t:60,50,4:64": {"mt": "wanted"},
        "t:8,50,5:64": {"mt": "annotated"},
    }
    np.testing.assert_array_equal(layer(project, "t:8,50,5:64", "mt") == 2, masks(3)[0] > 0)
    np.testing.assert_array_equal(layer(project, "t:50,40,3:64", "mt") == 2, masks(3)[1] > 0)


def test_a_flipped_stack_without_coordinates_is_skipped_and_the_difference_reported(door: Door, tmp_path: Path) -> None:
    eman, values = EmanFolder(tmp_path / "E"), smooth_noise()
    eman.tomogram("t.hdf", values)
    eman.info("t", boxes_3d=[box(GOOD[0])], class_list={"0": "mt"})
    eman.stack("t__mt.hdf", [cut(values, GOOD[0])[::-1]])
    eman.stack("u__mt.hdf", [cut(values, GOOD[0])])
    err = door("import", "--eman2", eman.root).err
    assert "and they match boxes only flipped in y." in err
    assert "u__mt.hdf: 1 of 1 tiles (image 0) skipped: their headers have no positions, and there is no box" in err


def test_boxes_of_other_sizes_become_tiles_with_the_same_centre(door: Door, project: Project, tmp_path: Path) -> None:
    eman, values = EmanFolder(tmp_path / "E"), smooth_noise()
    eman.tomogram("t.hdf", values)
    eman.info("t", boxes_3d=[box(GOOD[0])], class_list={"0": {"name": "mt", "boxsize": 39}})
    eman.stack("t__mt.hdf", [cut(values, GOOD[0], 39)], source="t.hdf", xyz=GOOD[:1])
    eman.stack("t__mt_seg.hdf", masks(1, 39), source="t.hdf", xyz=GOOD[:1])
    done = door("import", "--eman2", eman.root)
    assert "mt: boxes of 39 voxels become tiles of 48" in done.err
    assert tiles(door) == {"t:50,40,3:48": {"mt": "annotated"}}
    there = layer(project, "t:50,40,3:48", "mt")
    assert (there[5:44, 5:44] > 0).all()
    assert np.count_nonzero(there) == 39 * 39
    np.testing.assert_array_equal(there[5:44, 5:44] == 2, masks(1, 39)[0] > 0)


def test_masks_that_do_not_fit_their_tiles_are_skipped(door: Door, tmp_path: Path) -> None:
    eman, values = EmanFolder(tmp_path / "E"), smooth_noise()
    eman.tomogram("t.hdf", values)
    for name, count in (("a", 1), ("b", 2)):
        eman.stack(f"t__{name}.hdf", [cut(values, at) for at in GOOD], source="t.hdf", xyz=GOOD)
        eman.stack(f"t__{name}_seg.hdf", masks(count))
    eman.stack("t__b_seg.hdf", [mask * 3 + cut(values, GOOD[0]) for mask in masks(2)])
    eman.stack("t__c_seg.hdf", masks(1))
    err = door("import", "--eman2", eman.root).err
    assert "t__a_seg.hdf: its masks have shape (1, 64, 64), the tiles (2, 64, 64)" in err
    assert "t__b_seg.hdf contains many values" in err
    assert "t__c_seg.hdf: the stack of tiles that it belongs to does not exist" in err
    assert set(tiles(door)["t:50,40,3:64"].values()) == {"wanted"}


def test_a_box_in_two_contradicting_sets_is_skipped(door: Door, eman: EmanFolder) -> None:
    eman.info(
        "t", boxes_3d=[box((50, 40, 3), 0), box((50, 40, 3), 1), box((60, 40, 3), 0)], class_list={"0": "a", "1": "b"}
    )
    for stack in (eman.root / "particles").iterdir():
        stack.unlink()
    err = door("import", "--eman2", eman.root, "--map", "a=mt", "--map", "b=mt:negative").err
    assert "box 0 of t_info.json, mt: the boxes there are both positive and negative for the feature." in err
    assert tiles(door) == {"t__bin4_preproc:60,40,3:64": {"mt": "wanted"}}


def test_unusable_files_are_skipped_and_the_others_imported(door: Door, eman: EmanFolder) -> None:
    (eman.root / "tomograms" / "notes.hdf").write_text("no tomogram")
    (eman.root / "particles" / "odd.hdf").write_bytes(b"\x89HDF\r\n\x1a\n")
    eman.tomogram("void.hdf", np.full(SHAPE_ZYX, np.nan))
    eman.info("void", boxes_3d=[box(GOOD[0])], class_list={"0": "good"})
    eman.info("nobody", boxes_3d=[box(GOOD[0])], class_list={"0": "good"})
    write_mrc(eman.root / "tomograms" / "t__bin4.mrc", noise())
    done = door("import", "--eman2", eman.root, *MAPS, "--json")
    left = "\n".join(done.json["left"])
    assert "tomograms/notes.hdf: notes.hdf is a text file" in left
    assert "particles/odd.hdf: " in left
    assert "tomograms/void.hdf: void.hdf has no finite density" in left
    assert "1 boxes and 0 tiles are on tomograms that were not imported." in left
    assert "info/nobody_info.json: its 1 boxes have no tomogram." in left
    assert "tomograms/t__bin4.mrc: another file with that name is imported." in left
    assert (done.json["tiles"], done.json["annotations"]) == (3, 2)


def test_an_unclear_import_is_refused_and_names_the_missing_option(
    refused: Callable[..., str], door: Door, eman: EmanFolder, tmp_path: Path
) -> None:
    assert "is not an EMAN2 project" in refused("import", "--eman2", tmp_path)
    assert "for single files" in refused("import", "--eman2", eman.root, "--bin", 2)
    assert "for single files" in refused("import", "x.mrc", "--eman2", eman.root)
    assert "No file and no EMAN2 project was given" in refused("import")
    assert "are for an EMAN2 project" in refused("import", "x.mrc", "--list")
    assert "no set 'x'" in refused("import", "--eman2", eman.root, "--map", "x=y")
    assert "No tomogram has the tag 'bin9'" in refused("import", "--eman2", eman.root, *MAPS, "--version", "bin9")
    eman.tomogram("v.hdf", smooth_noise(), apix=1.0)
    assert "v.hdf: the header has a voxel size of 0 or 1 Å" in refused("import", "--eman2", eman.root, *MAPS)
    (eman.root / "info" / "v_info.json").write_text("{")
    assert "v_info.json is damaged" in refused("import", "--eman2", eman.root, *MAPS)
    (eman.root / "info" / "v_info.json").unlink()
    door("import", "--eman2", eman.root, *MAPS, "--voxel-size", 13.5)
    rows = {row["name"]: row["voxel_size_angstrom"] for row in door("tomograms", "--json").json}
    assert rows == {"t__bin4": 10.0, "t__bin4_preproc": 10.0, "v": 13.5}


def test_the_name_of_another_tomogram_is_refused(
    refused: Callable[..., str], door: Door, eman: EmanFolder, tmp_path: Path
) -> None:
    door("import", write_mrc(tmp_path / "t__bin4.mrc", noise()))
    err = refused("import", "--eman2", eman.root, *MAPS)
    assert "The name t__bin4 belongs to another tomogram: (6, 64, 64) voxels" in err
    assert "tomoseg tomograms rename t__bin4 OTHER" in err


def test_after_a_full_disk_the_same_command_continues_with_the_next_tomogram(
    door: Door, project: Project, tmp_path: Path
) -> None:
    eman = EmanFolder(tmp_path / "E")
    eman.tomogram("a.hdf", smooth_noise())
    eman.tomogram("b.hdf", smooth_noise((12, 96, 110)))
    eman.info("a", boxes_3d=[box(GOOD[0])])

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (450_000, 450_000))

    command = ["import", "--eman2", str(eman.root)]
    ended = subprocess.run(
        [sys.executable, "-m", "tomoseg_tui", *command],
        cwd=project.layout.root,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=small_disk,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Tomograms imported before: a." in ended.stderr
    assert "The same command continues from there." in ended.stderr
    assert sorted(path.name for path in project.layout.tomograms.iterdir()) == ["a"]
    assert len(project.layout.history.read_text().splitlines()) == 1
    assert "1 tomogram imported, 1 tile placed" in door(*command).err


# One info file


@pytest.fixture
def info(eman: EmanFolder, door: Door) -> Path:
    """An info file whose tomogram is in the project."""
    door("import", eman.root / "tomograms" / "t__bin4.hdf")
    return eman.root / "info" / "t_info.json"


def test_the_boxes_of_an_info_file_become_tiles(door: Door, info: Path) -> None:
    done = door("tiles", "import", info, *MAPS)
    assert "3 tiles placed." in done.err
    assert tiles(door) == {
        "t__bin4:50,40,3:64": {"microtubule": "wanted"},
        "t__bin4:70,50,5:64": {"microtubule": "wanted"},
        "t__bin4:33,60,7:64": {"microtubule": "none here"},
    }


def test_the_tomogram_of_an_info_file_can_be_given(door: Door, info: Path, eman: EmanFolder, tmp_path: Path) -> None:
    door("import", eman.root / "tomograms" / "t__bin4.hdf", "--name", "other")
    moved = info.rename(tmp_path / "boxes.json")
    door("tiles", "import", moved, *MAPS, "--tomogram", "other")
    assert set(tiles(door)) == {"other:50,40,3:64", "other:70,50,5:64", "other:33,60,7:64"}


def test_an_ambiguous_info_file_is_refused(
    refused: Callable[..., str], door: Door, info: Path, eman: EmanFolder, tmp_path: Path
) -> None:
    assert f"tomoseg tiles import {info} --map bad=good:negative" in refused("tiles", "import", info)
    lost = eman.info("lost", boxes_3d=[box(GOOD[0])])
    assert "--tomogram TOMOGRAM" in refused("tiles", "import", lost)
    assert "has no boxes" in refused("tiles", "import", eman.info("t", apix_unbin=2.5))
    plain = eman.info("t", boxes_3d=[box((400, 1, 1))])
    assert "box 0 of t_info.json: the centre x 400" in refused("tiles", "import", plain)
    door("import", eman.root / "tomograms" / "t__bin4.hdf", "--bin", 2, "--name", "t__bin8")
    plain.write_text(json.dumps({"boxes_3d": [[20, 20, 2]]}))
    assert "--tomogram t__bin" in refused("tiles", "import", plain)
    table = tmp_path / "tiles.csv"
    table.write_text("tomogram,x,y,z,feature,kind\n")
    assert "for EMAN2's info files" in refused("tiles", "import", table, "--tomogram", "t__bin4")


def test_a_flat_tile_matches_only_flat_densities(door: Door, tmp_path: Path) -> None:
    eman, values = EmanFolder(tmp_path / "E"), smooth_noise()
    values[3] = 2.0
    eman.tomogram("t.hdf", values)
    flat = np.full((64, 64), 2.0, np.float32)
    eman.stack("t__mt.hdf", [flat, flat], source="t.hdf", xyz=[(50, 50, 3), (50, 50, 5)])
    err = door("import", "--eman2", eman.root).err
    assert "t__mt.hdf: 1 of 2 tiles (image 1) skipped: they differ from t at their position (correlation 0.0)" in err
    assert set(tiles(door)) == {"t:50,50,3:64"}
