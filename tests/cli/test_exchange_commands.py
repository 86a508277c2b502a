"""Export and import of annotations on the command line."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.cli_runner import Run, digest_of, noise, write_mrc
from PIL import Image

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]
FIRST, SECOND = "cell:40,64,4:64", "cell:88,64,4:64"


@pytest.fixture
def tiled(door: Door, with_cell: Project) -> Project:
    for x in (40, 88):
        door("tiles", "add", "cell", "--at", f"{x},64,4", "--feature", "tube")
    return with_cell


def marked(project: Project, x: int, feature: str = "tube") -> list[int]:
    """Return how many pixels of a tile have each value."""
    layer = read_layer(project.layout, TileLocation("cell", 4, 64, x), feature)
    assert layer is not None
    return [int((layer == value).sum()) for value in range(4)]


def test_exported_tiles_are_imported_after_painting_without_options(door: Door, tiled: Project, tmp_path: Path) -> None:
    done = door("annotations", "export", "-o", tmp_path / "out.tif")
    assert not done.out
    assert f"tube: {tmp_path / 'out_tube.tif'}" in done.err
    assert f"tomoseg annotations import {tmp_path / 'out.tiles.json'}" in done.err
    masks = tifffile.imread(tmp_path / "out_tube.tif")
    masks[1, :4] = 1
    tifffile.imwrite(tmp_path / "out_tube.tif", masks, photometric="minisblack")
    done = door("annotations", "import", tmp_path / "out_tube.tif")
    assert "1 annotation imported, 0 tiles without the feature, 0 skipped." in done.err
    assert "1 tiles came back unchanged and empty" in done.err
    assert marked(tiled, 88) == [0, 60 * 64, 4 * 64, 0]
    assert "annotations import" in tiled.layout.history.read_text()
    assert "annotations export" not in tiled.layout.history.read_text()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("out.mrc",), ["out.mrc", "out_tube.mrc", "out.tiles.json"]),
        (("cell__good.hdf",), ["cell__good.hdf", "cell__good_seg.hdf", "cell__good.tiles.json"]),
        (("out.tif", "--as", "napari"), ["out.tif", "out_labels.tif", "out.tiles.json"]),
        (("out.png",), ["out/image", "out/tube", "out/out.tiles.json"]),
        (("out", "--as", "png"), ["out/image", "out/tube", "out/out.tiles.json"]),
        (
            ("out.mrc", "--slab", "1", "--tomogram", "cell"),
            ["out.mrc", "out_tube.mrc", "out_frames.mrc", "out.tiles.json"],
        ),
    ],
)
def test_exported_files_have_the_names_that_other_programs_expect(
    door: Door, tiled: Project, tmp_path: Path, arguments: tuple[str, ...], names: list[str]
) -> None:
    reported = door("annotations", "export", "-o", tmp_path / arguments[0], *arguments[1:], "--json").json
    assert reported["tiles"] == 2
    assert reported["files"] == [str(tmp_path / name) for name in names]
    assert reported["manifest"] == reported["files"][-1]
    assert all(Path(file).exists() for file in reported["files"])
    err = door("annotations", "export", "-o", tmp_path / arguments[0], *arguments[1:], code=2).err
    assert " exists." in err
    door("annotations", "export", "-o", tmp_path / arguments[0], *arguments[1:], "--force")


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("-o", "out.txt"), "out.txt has no suffix of a format"),
        (("-o", "out"), "out has no suffix of a format"),
        (("-o", "out.mrc", "--as", "tif"), "out.mrc is not a name for --as tif"),
        (("-o", "nowhere/out.mrc"), "does not exist"),
        (("-o", "out.mrc", "--feature", "wall"), "no feature 'wall'"),
        (("-o", "out.mrc", "--tiles", "cell:1,1,1"), "no tile cell:1,1,1:64"),
        (("-o", "out.mrc", "--tomogram", "lost"), "no tomogram 'lost'"),
        (("-o", "out.mrc", "--tiles", FIRST, "--tomogram", "cell"), "Both --tiles and --tomogram were given"),
        (("-o", "out.mrc", "--slab", "-1"), "'-1' is not a whole number from 0"),
        (("-o", "out.png", "--slab", "1"), "cannot be written as PNGs"),
    ],
)
def test_an_invalid_export_is_refused(
    refused: Callable[..., str], tiled: Project, arguments: tuple[str, ...], output: str
) -> None:
    assert output in refused("annotations", "export", *arguments)


def test_an_export_without_tiles_or_with_several_tile_sizes_is_refused(
    door: Door, refused: Callable[..., str], with_cell: Project
) -> None:
    assert "The project has no tiles to export" in refused("annotations", "export", "-o", "out.mrc")
    door("tiles", "add", "cell", "--at", "40,64,4", "--feature", "*", "--negative")
    assert "No feature has a state" in refused("annotations", "export", "-o", "out.mrc")
    door("tiles", "add", "cell", "--at", "90,64,4", "--feature", "tube", "--size", 32)
    assert "32 and 64 pixels wide" in refused("annotations", "export", "-o", "out.mrc")


def test_slices_of_several_tomograms_are_refused(
    door: Door, refused: Callable[..., str], tiled: Project, cell: Path
) -> None:
    door("import", cell, "--name", "other")
    door("tiles", "add", "other", "--at", "40,64,4", "--feature", "tube")
    assert "several tomograms: cell, other" in refused("annotations", "export", "-o", "out.mrc", "--slab", "1")


# Masks written by other programs


def test_labels_without_a_feature_are_listed_with_a_command_to_import_them(
    door: Door, refused: Callable[..., str], tiled: Project, tmp_path: Path
) -> None:
    labels = np.zeros((8, 128, 128), np.int8)
    labels[4, 60:64, 30:40], labels[4, 70:72, 80:90], labels[4, 70:72, 100:103] = 1, 2, 7
    volume = write_mrc(tmp_path / "labels.mrc", labels, origin_xyz=(100.0, -20.0, 5.0))
    for more in ((), ("--feature", "tube")):
        err = refused("annotations", "import", volume, "--tomogram", "cell", *more)
        assert "labels.mrc contains 3 values besides 0: 1 (40), 2 (20), 7 (6)." in err
    line = err.splitlines()[1].partition("tomoseg ")[2]
    arguments = shlex.split(
        line.replace("1=FEATURE", "1=tube").replace("2=FEATURE", "2=wall").replace("7=FEATURE", "7=ignore")
    )
    assert arguments[:2] == ["annotations", "import"]
    door(*arguments)
    assert marked(tiled, 40) == [0, 64 * 64 - 40, 40, 0]
    assert marked(tiled, 88, "wall") == [0, 64 * 64 - 26, 20, 6]


def test_a_stack_of_labels_is_imported_with_a_map(
    door: Door, refused: Callable[..., str], tiled: Project, tmp_path: Path
) -> None:
    stack = np.zeros((2, 64, 64), np.uint8)
    stack[0, 0, :3], stack[1, 1, :5], stack[1, 2, :2] = 1, 200, 255
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, photometric="minisblack")
    err = refused("annotations", "import", path, "--tiles", FIRST, SECOND)
    assert "1 (3), 200 (5), 255 (2)" in err
    assert f"--tiles {FIRST} {SECOND} --map 1=FEATURE --map 200=FEATURE --map 255=FEATURE" in err
    maps = ("--map", "1=tube", "--map", "200=tube", "--map", "255=ignore")
    door("annotations", "import", path, "--tiles", FIRST, SECOND, *maps)
    assert marked(tiled, 40) == [0, 64 * 64 - 3, 3, 0]
    assert marked(tiled, 88) == [0, 64 * 64 - 7, 5, 2]
    stack = np.where(stack == 1, 1, 0)
    write_mrc(tmp_path / "short.mrc", stack[:1].astype(np.int8))
    assert "contains 1 masks, but there are 2 tiles" in refused(
        "annotations", "import", tmp_path / "short.mrc", "--tomogram", "cell", "--map", "1=tube"
    )


@pytest.mark.parametrize(
    ("values", "output"),
    [
        ((0, 100), "100 is taken as the feature"),
        ((-128, -127), "as IMOD writes; -127 is taken as the feature"),
        ((0.1, 0.9), "are taken as probabilities, 0.5 and above as the feature"),
        ((0, -1), "-1 is taken as the feature"),
    ],
)
def test_the_import_of_one_feature_reports_its_assumptions(
    door: Door, tiled: Project, tmp_path: Path, values: tuple[float, float], output: str
) -> None:
    low, high = values
    dtype = np.float32 if isinstance(low, float) else np.int8
    volume = np.full((8, 128, 128), low, dtype)
    volume[4, 60:64, 30:40] = high
    write_mrc(tmp_path / "volume.mrc", volume)
    assert (
        output in door("annotations", "import", tmp_path / "volume.mrc", "--tomogram", "cell", "--feature", "tube").err
    )
    assert marked(tiled, 40) == [0, 64 * 64 - 40, 40, 0]
    stack = np.full((2, 64, 64), low, dtype)
    stack[:, :2] = high
    write_mrc(tmp_path / "stack.mrc", stack)
    assert (
        output in door("annotations", "import", tmp_path / "stack.mrc", "--tomogram", "cell", "--feature", "tube").err
    )
    assert marked(tiled, 40) == [0, 62 * 64, 2 * 64, 0]


def coloured_png(folder: Path, *, indexed: bool) -> Path:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:3] = (255, 0, 0)
    rgb[10:12] = (0, 0, 255)
    image = Image.fromarray(rgb)
    path = folder / "mask.png"
    (image.quantize(4) if indexed else image).save(path)
    return path


@pytest.mark.parametrize("indexed", [False, True])
def test_colours_of_a_png_are_listed(
    door: Door,
    refused: Callable[..., str],
    tiled: Project,
    tmp_path: Path,
    indexed: bool,  # noqa: FBT001
) -> None:
    path = coloured_png(tmp_path, indexed=indexed)
    if not indexed:
        err = refused("annotations", "import", path, "--tiles", FIRST, "--feature", "tube")
        assert "2 values besides 0: #0000ff (128), #ff0000 (192)" in err
        assert "--map '#0000ff=FEATURE' --map '#ff0000=FEATURE'" in err
    door("annotations", "import", path, "--tiles", FIRST, "--map", "#FF0000=tube", "--map", "#0000ff=ignore")
    assert marked(tiled, 40) == [0, 59 * 64, 3 * 64, 2 * 64]


def test_a_black_and_white_png_needs_no_map(door: Door, tiled: Project, tmp_path: Path) -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[:3] = 255
    for mode in ("L", "RGB", "RGBA", "1", "P"):
        Image.fromarray(mask).convert(mode).save(tmp_path / "mask.png")
        done = door("annotations", "import", tmp_path / "mask.png", "--tiles", FIRST, "--feature", "tube")
        assert "Note" not in done.err
        assert marked(tiled, 40) == [0, 61 * 64, 3 * 64, 0]


def test_a_folder_of_pngs_is_a_stack(door: Door, refused: Callable[..., str], tiled: Project, tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    folder.mkdir()
    assert "is a folder, not a file" in refused(
        "annotations", "import", folder, "--tomogram", "cell", "--feature", "tube"
    )
    for number in (1, 2):
        Image.fromarray((noise((1, 64, 64), seed=number)[0] > 0).astype(np.uint8) * 255).save(folder / f"{number}.png")
    door("annotations", "import", folder, "--tomogram", "cell", "--feature", "tube")
    assert marked(tiled, 88)[2] == int((noise((1, 64, 64), seed=2) > 0).sum())


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("--map", "#ff00=tube"), "--map #ff00=tube is not understood"),
        (("--manifest", "lost.tiles.json"), "lost.tiles.json is not a manifest"),
        (("--tomogram", "cell", "--manifest", "lost.tiles.json"), "manifest names the tiles"),
        (("--tomogram", "cell", "--feature", "tube", "--tiles", FIRST), "Both --tiles and --tomogram were given"),
    ],
)
def test_an_invalid_import_is_refused(
    refused: Callable[..., str], tiled: Project, arguments: tuple[str, ...], output: str
) -> None:
    assert output in refused("annotations", "import", "x.mrc", *arguments)


def test_a_mapped_value_that_is_nowhere_ends_with_2_and_writes_nothing(
    door: Door, tiled: Project, tmp_path: Path
) -> None:
    values = np.zeros((8, 128, 128), np.int16)
    values[4, 60:64, 40] = 255
    path = write_mrc(tmp_path / "mask.mrc", values)
    before = digest_of(tiled.layout.root)
    done = door("annotations", "import", path, "--tomogram", "cell", "--map", "1=wall", code=2)
    assert "0 (131,068), 255 (4)" in done.err
    assert "--map 255=wall" in done.err
    assert digest_of(tiled.layout.root) == before
    done = door("annotations", "import", path, "--tomogram", "cell", "--map", "*=wall", "--json")
    assert (done.json["annotated"], done.json["none_here"]) == (1, 1)
    assert done.json["interpretations"] == ["mask.mrc: wall is * (4 voxels)."]


@pytest.mark.parametrize("options", [("--feature", "wall"), ("--map", "*=wall")])
def test_an_empty_mask_is_refused(door: Door, tiled: Project, tmp_path: Path, options: tuple[str, ...]) -> None:
    del tiled
    path = write_mrc(tmp_path / "mask.mrc", np.zeros((8, 128, 128), np.int16))
    assert "tomoseg" in door("annotations", "import", path, "--tomogram", "cell", *options, code=2).err
