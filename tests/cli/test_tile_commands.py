"""Commands for tiles, annotations and training sets."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.cli_runner import Run, Tomoseg, noise, write_mrc

from tomoseg_tui.files.structured import read_json
from tomoseg_tui.project import records
from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]


def labels_file(folder: Path) -> Path:
    labels = np.zeros((8, 128, 128), np.int8)
    labels[:, :, 40] = 1
    return write_mrc(folder / "labels.mrc", labels, origin_xyz=(100.0, -20.0, 5.0))


@pytest.mark.slow
def test_the_sample_goes_from_tomogram_to_training_set(tomoseg: Tomoseg, sample_data: Path) -> None:
    tomoseg("import", sample_data / "cell_a.mrc")
    placed = tomoseg("tiles", "import", sample_data / "tiles.csv")
    assert "Created the feature microtubule." in placed.err
    assert "64 tiles placed." in placed.err
    maps = ("--map", "1=microtubule", "--map", "2=membrane")
    taken = tomoseg("annotations", "import", sample_data / "cell_a_labels.mrc.gz", "--tomogram", "cell_a", *maps)
    assert "Note:" not in taken.err
    built = tomoseg("trainset", "build", "both", "--feature", "microtubule", "--feature", "membrane", "--json")
    summary = built.json
    assert (summary["tiles"], summary["features"]) == (64, ["microtubule", "membrane"])
    assert 8 <= summary["held_out"] <= 20
    assert "Note: " in built.err
    assert tomoseg("trainset", "list", "--json").json == [summary]
    assert tomoseg("trainset", "show", "both", "--json").json == summary


def test_a_tile_is_placed_listed_and_removed(door: Door, with_cell: Project) -> None:
    done = door("tiles", "add", "cell", "--at", "64,60,4", "--feature", "tube")
    assert not done.out
    assert "Created the feature tube." in done.err
    assert "1 tile placed." in done.err
    door("tiles", "add", "cell", "--at", "64,60,4", "--feature", "wall", "--negative")
    door("tiles", "add", "cell", "--at", "30,60,2", "--feature", "*", "--negative", "--size", 32)
    assert door("tiles", "list", "--json").json == [
        {
            "id": "cell:30,60,2:32", "tomogram": "cell", "x": 30, "y": 60, "z": 2, "size": 32,
            "features": {"*": "none here"},
        },
        {
            "id": "cell:64,60,4:64", "tomogram": "cell", "x": 64, "y": 60, "z": 4, "size": 64,
            "features": {"tube": "wanted", "wall": "none here"},
        },
    ]  # fmt: skip
    assert door("features", "--json").json == [
        {"name": "tube", "positive": 1, "negative": 1},
        {"name": "wall", "positive": 0, "negative": 2},
    ]
    assert door("tomograms", "--json").json[0]["tiles"] == 2
    removed = door("tiles", "remove", "cell:64,60,4", "cell:30,60,2:32")
    assert str(with_cell.layout.trash) in removed.err
    assert door("tiles", "list", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("tiles", "add", "lost", "--at", "1,1,1", "--feature", "f"), "no tomogram 'lost'"),
        (("tiles", "add", "cell", "--at", "1,1", "--feature", "f"), "--at: '1,1' is not X,Y,Z in voxels"),
        (("tiles", "add", "cell", "--at", "1,1,99", "--feature", "f"), "z 0-7"),
        (("tiles", "add", "cell", "--at", "1,1,1", "--feature", "f", "--size", "40"), "40 pixels wide"),
        (("tiles", "add", "cell", "--at", "1,1,1", "--feature", "*"), "must be negative"),
        (("tiles", "add", "cell", "--at", "1,1,1", "--feature", "ignore"), "cannot be the name of a feature"),
        (("tiles", "add", "cell", "--at", "1,1,1", "--feature", "a/b"), "cannot be the name of a feature"),
        (("tiles", "remove", "cell:1,1,1:64"), "no tile cell:1,1,1:64"),
        (("tiles", "remove", "cell"), "'cell' is not a tile id"),
        (("tiles", "import", "lost.csv"), "lost.csv"),
        (("annotations", "import", "lost.mrc", "--tomogram", "cell", "--map", "1=f"), "no tiles to annotate"),
        (("annotations", "import", "x.mrc", "--tomogram", "cell"), "feature of the file is not named"),
        (("annotations", "import", "x.mrc", "--map", "1=f"), "tomogram of the label volume is not named"),
        (("annotations", "import", "x.mrc", "--feature", "f"), "tiles of the masks are not named"),
        (("annotations", "import", "x.mrc", "--feature", "f", "--map", "1=f"), "Give one of them"),
        (("annotations", "set", "cell:1,1,1:64", "--feature", "f", "--none"), "no feature 'f'"),
        (("features", "add", "*"), "cannot be the name of a feature"),
        (("features", "rename", "a", "b"), "no feature 'a'"),
        (("trainset", "build", "s", "--feature", "f"), "no feature 'f'"),
        (("trainset", "show", "s"), "no training set 's'"),
        (("train",), "Neither --trainset nor --feature was given"),
        (("train", "--feature", "f", "--trainset", "s"), "Both --trainset and --feature were given"),
        (("train", "--feature", "f"), "no feature 'f'"),
        (("train", "--feature", "f", "--device", "gpu:x"), "'gpu:x' is not auto, cpu, gpu, or gpu:N"),
        (("networks", "show", "r"), "no network 'r'"),
        (("networks", "triples", "r"), "no network 'r'"),
        (("jobs", "show", "1"), "no job '1'"),
        (("jobs", "log", "../1"), "no job '../1'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    refused: Callable[..., str], with_cell: Project, arguments: tuple[str, ...], output: str
) -> None:
    lines = refused(*arguments).splitlines()
    assert output in " ".join(lines)
    assert len(lines) == 2
    assert lines[1].startswith("  ")


def test_the_list_reports_tiles_on_another_binning(door: Door, with_cell: Project, cell: Path) -> None:
    door("import", cell, "--bin", 2, "--name", "cell__bin2")
    door("tiles", "add", "cell", "--at", "64,60,4", "--feature", "tube")
    assert "cell__bin2 has no tiles: those of cell are on another grid." in door("tiles", "list").err


@pytest.mark.parametrize("command", ["tiles list", "tomograms", "features", "annotations list"])
def test_a_list_reads_no_file_twice(
    door: Door, with_cell: Project, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for version in ("cell__a", "cell__b", "other"):
        shutil.copytree(with_cell.layout.tomogram_folder("cell"), with_cell.layout.tomogram_folder(version))
    for name in ("cell", "cell__a", "other"):
        door("tiles", "add", name, "--at", "64,60,4", "--feature", f"tube_{name}")
    paths: list[str] = []

    def read(path: Path | str, kind: type[Any]) -> Any:
        paths.append(str(path))
        return read_json(path, kind)

    monkeypatch.setattr(records, "read_json", read)
    door(*command.split())
    assert sorted(paths) == sorted(set(paths))
    assert len([path for path in paths if "/tiles/" in path]) == 3


def test_the_import_of_a_label_volume_reports_each_tile(door: Door, with_cell: Project, tmp_path: Path) -> None:
    for x in (40, 88):
        door("tiles", "add", "cell", "--at", f"{x},64,4", "--feature", "tube")
    door("tiles", "add", "cell", "--at", "60,64,4", "--feature", "tube", "--negative")
    done = door(
        "annotations", "import", labels_file(tmp_path), "--tomogram", "cell", "--map", "1=tube", "--map", "1=x", code=2
    )
    assert "--map names label 1 twice" in done.err
    done = door("annotations", "import", labels_file(tmp_path), "--tomogram", "cell", "--map", "1=tube")
    assert not done.out
    assert "Skipped: cell:60,64,4:64 is marked as holding no tube, but 64 of its pixels are labelled" in done.err
    assert "2 annotations imported, 0 tiles without the feature, 1 skipped." in done.err
    rows = {row["tile"]: row["state"] for row in door("annotations", "list", "--json").json}
    assert rows == {"cell:40,64,4:64": "annotated", "cell:60,64,4:64": "none here", "cell:88,64,4:64": "annotated"}


def test_a_stack_is_imported_for_all_tiles_of_a_tomogram_or_for_given_tiles(
    door: Door, refused: Callable[..., str], with_cell: Project, tmp_path: Path
) -> None:
    for x in (40, 88):
        door("tiles", "add", "cell", "--at", f"{x},64,4", "--feature", "tube")
    masks = write_mrc(tmp_path / "masks.mrc", (noise((2, 64, 64)) > 0).astype(np.int8))
    door("annotations", "import", masks, "--feature", "tube", "--tomogram", "cell")
    door("annotations", "import", masks, "--feature", "wall", "--tiles", "cell:88,64,4:64", "cell:40,64,4:64")
    states = {(row["tile"], row["feature"]): row["pixels"]["feature"] for row in door("annotations", "--json").json}
    assert states["cell:40,64,4:64", "tube"] == states["cell:40,64,4:64", "wall"]
    door("tiles", "add", "cell", "--at", "60,64,4", "--feature", "tube")
    err = refused("annotations", "import", masks, "--feature", "tube", "--tomogram", "cell")
    assert "contains 2 masks, but there are 3 tiles" in err


def test_a_tile_is_marked_as_done_or_none(door: Door, with_cell: Project) -> None:
    door("tiles", "add", "cell", "--at", "64,60,4", "--feature", "tube")
    tile = "cell:64,60,4:64"
    assert "Was --none meant?" in door("annotations", "set", tile, "--feature", "tube", "--done").err
    assert door("tiles", "list", "--json").json[0]["features"] == {"tube": "annotated"}
    door("annotations", "set", tile, "--feature", "tube", "--none")
    assert door("tiles", "list", "--json").json[0]["features"] == {"tube": "none here"}
