"""Images: every renderer in a pipe, PNG without margin, y upwards, text on stderr only."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Run, Tomoseg, write_map, write_mrc
from numpy.typing import NDArray
from PIL import Image

from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]


def flagged(shape_yx: tuple[int, int] = (64, 64)) -> NDArray[np.int8]:
    """Return a dark volume whose rows of large y are bright."""
    values = np.zeros((3, *shape_yx), np.int8)
    values[:, shape_yx[0] // 2 :] = 100
    return values


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    return write_mrc(tmp_path / "flag.mrc", flagged())


def test_ascii_output_is_the_image_only_and_y_points_up(tomoseg: Tomoseg, flag: Path) -> None:
    done = tomoseg("show", flag, "--renderer", "ascii", "--width", 64)
    rows = done.out.removesuffix("\n").split("\n")
    assert done.out.isascii()
    assert "\x1b" not in done.out
    assert {len(row) for row in rows} == {64}
    assert len(rows) == 32
    assert len(set(rows[0])) == 1
    assert rows[0].strip()
    assert not rows[-1].strip()
    assert "z 1  64 x 64 pixels (x, y), y upwards" in done.err


@pytest.mark.parametrize(
    ("renderer", "begins", "ends"),
    [("sixel", "\x1bP", "\x1b\\\n"), ("kitty", "\x1b_G", None), ("halfblock", None, None), ("braille", None, None)],
)
@pytest.mark.parametrize("term", ["dumb", "xterm-256color"])
def test_the_chosen_renderer_is_used_for_a_pipe(
    door: Door,
    flag: Path,
    monkeypatch: pytest.MonkeyPatch,
    renderer: str,
    begins: str | None,
    ends: str | None,
    term: str,
) -> None:
    monkeypatch.setenv("TERM", term)
    out = door("show", flag, "--renderer", renderer, "--width", 40).out
    if begins is not None:
        assert out.startswith(begins)
    if ends is not None:
        assert out.endswith(ends)
    marks = {"halfblock": "▀▄█ ", "braille": "".join(chr(0x2800 + k) for k in range(256))}
    if renderer in marks:
        assert set(_without_escapes(out)) <= {*marks[renderer], "\n"}
        assert "pixels" not in out


def _without_escapes(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_the_width_is_that_of_the_drawing(door: Door, flag: Path) -> None:
    for width in (10, 64, 200):
        rows = door("show", flag, "--renderer", "ascii", "--width", width).out.splitlines()
        assert max(map(len, rows)) <= width
    assert "'0' is not a whole number from 1" in door("show", flag, "--width", 0, code=2).err


@pytest.mark.parametrize(("shape_yx", "factor"), [((64, 64), 15), ((50, 100), 9), ((30, 961), 1), ((20, 480), 2)])
def test_a_png_is_the_slice_enlarged_by_a_whole_factor_without_a_margin(
    door: Door, tmp_path: Path, shape_yx: tuple[int, int], factor: int
) -> None:
    source = write_mrc(tmp_path / "flag.mrc", flagged(shape_yx))
    done = door("show", source, "-o", tmp_path / "out.png")
    assert not done.out
    with Image.open(tmp_path / "out.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    assert pixels.shape == (factor * shape_yx[0], factor * shape_yx[1])
    assert pixels[0, 0] == 255
    assert pixels[-1, -1] == 0


def test_a_png_is_not_overwritten_and_needs_the_right_suffix(door: Door, flag: Path, tmp_path: Path) -> None:
    (tmp_path / "out.png").write_text("mine")
    assert "exists" in door("show", flag, "-o", tmp_path / "out.png", code=2).err
    assert (tmp_path / "out.png").read_text() == "mine"
    door("show", flag, "-o", tmp_path / "out.png", "--force")
    assert "not the name of a PNG" in door("show", flag, "-o", tmp_path / "out.jpg", code=2).err


def test_at_shows_the_area_around_a_voxel(door: Door, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "wide.mrc", flagged((200, 300)))
    assert "z 2  128 x 128 pixels" in door("show", path, "--at", "150,100,2", "--renderer", "ascii").err
    assert "z 0  128 x 128" in door("show", path, "--at", "150,100,2", "--z", 0, "--renderer", "ascii").err
    for odd in ("150,100", "150,100,3", "300,100,0", "a,b,c"):
        door("show", path, "--at", odd, code=2)


def test_a_slab_is_the_mean_of_slices_and_can_be_smoothed(door: Door, tmp_path: Path) -> None:
    values = np.zeros((5, 16, 16), np.float32)
    values[:, 8, 8] = [0, 0, 100, 50, np.nan]
    path = write_mrc(tmp_path / "dot.mrc", values)

    def brightest(*words: object) -> float:
        return float(door("show", path, "--json", *words).json["maximum"])

    assert [brightest("--z", 2, "--slab", slab) for slab in (1, 2, 3)] == [100, 75, 50]
    assert brightest("--z", 0, "--slab", 3) == 0  # slices 0 and 1: there is none below
    assert brightest("--z", 2, "--smooth", 1) == pytest.approx(100 / (2 * np.pi), rel=0.01)
    assert brightest("--z", 4, "--smooth", 1) == 0  # NaN counts as the mean
    done = door("show", path, "--slab", 3, "--smooth", 0.5, "--renderer", "ascii")
    assert "z 2, mean of 3, smoothed by 0.5 voxels  16 x 16 pixels" in done.err
    door("show", path, "--slab", 0, code=2)


def test_labels_are_not_averaged(with_cell: Project) -> None:
    write_map(with_cell, "run.tube", np.full((8, 128, 128), 127, np.int8))
    tomoseg = Tomoseg(with_cell.layout.root)
    tomoseg("merge", "cell", "--map", "run=0.5", "--wait")
    refused = tomoseg.refused("show", "cell/merged", "--slab", 3)
    assert "cannot be averaged" in refused
    assert "--labels cell/merged" in refused


def test_json_output_is_one_object(door: Door, with_cell: Project, tmp_path: Path) -> None:
    labels = np.zeros((8, 128, 128), np.int8)
    labels[2, 5, 7:10] = 3
    path = write_mrc(tmp_path / "labels.mrc", labels)
    seen = door("show", "cell", "--z", 2, "--labels", path, "--json").json
    assert (seen["name"], seen["z"], seen["shape_zyx"]) == ("cell", 2, [8, 128, 128])
    assert (seen["voxel_size_angstrom"], seen["origin_angstrom"]) == (10.0, [100.0, -20.0, 5.0])
    assert seen["labels"]["3"]["pixels"] == 3
    assert len(seen["labels"]["3"]["letter"]) == 1


def test_labels_are_drawn_over_the_slice_with_colour_and_letter(door: Door, with_cell: Project, tmp_path: Path) -> None:
    values = np.zeros((8, 128, 128), np.int8)
    values[:, :64] = 127  # y below 64: the lower half of the picture
    write_map(with_cell, "run.tube", values)
    done = door("show", "cell", "--labels", "cell/run.tube", "--renderer", "ascii", "--width", 64)
    rows = done.out.splitlines()
    assert "t" in done.err
    assert set("".join(rows[-10:])) == {"T"} or set("".join(rows[-10:])) == {"t"}
    assert not set("".join(rows[:10])) & set("".join(rows[-10:]))
    door("show", "cell", "--labels", "cell/run.tube", "-o", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    coloured = np.ptp(pixels, axis=2) > 20
    assert coloured[-300:].mean() > 0.9
    assert not coloured[:300].any()


def test_tiles_are_drawn_beside_their_annotation(door: Door, with_cell: Project, tmp_path: Path) -> None:
    ids = [f"cell:{x},64,4:64" for x in (40, 80)]
    for x in (40, 80):
        door("tiles", "add", "cell", "--at", f"{x},64,4", "--feature", "tube")
    done = door("tiles", "show", *ids, "--renderer", "ascii", "--width", 66)
    assert done.out.isascii()
    assert all(f"{tile}  tube: wanted" in done.err for tile in ids)
    door("tiles", "show", *ids, "-o", tmp_path / "tiles.png")
    with Image.open(tmp_path / "tiles.png") as picture:
        assert picture.size[0] % (64 + 4 + 64) == 0
    assert door("tiles", "show", ids[0], "--json").json == [{"id": ids[0], "features": {"tube": "wanted"}}]
    assert "no tile" in door("tiles", "show", "cell:1,1,1:64", code=2).err


def test_a_file_outside_a_project_is_shown(tmp_path: Path, flag: Path) -> None:
    assert Tomoseg(tmp_path)("show", flag.name, "--renderer", "braille", "--width", 20).out
    assert "is a folder" in Tomoseg(tmp_path)("show", ".", code=2).err
