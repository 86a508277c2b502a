"""EMAN2's info files: both conventions of coordinates, both forms of sets, and malformed files."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from helpers.eman2_project import EmanFolder, box
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.errors import ProjectError, TomosegError
from tomoseg_tui.io.eman2_info import BoxSet, InfoBox, TomogramInfo, read_commands, read_info

LENGTHS = st.integers(2, 4096)


@given(st.data(), st.tuples(LENGTHS, LENGTHS, LENGTHS), st.floats(0.5, 20), st.floats(0.1, 100))
def test_a_box_stored_from_the_centre_is_read_at_its_voxel(
    data: st.DataObject, shape_zyx: tuple[int, int, int], unbinned: float, voxel_size: float
) -> None:
    nz, ny, nx = shape_zyx
    voxel = tuple(data.draw(st.integers(0, n - 1)) for n in (nx, ny, nz))
    stored = tuple((at - n // 2) * voxel_size / unbinned for at, n in zip(voxel, (nx, ny, nz), strict=True))
    there = InfoBox(0, (stored[0], stored[1], stored[2]), "manual", 0)
    info = TomogramInfo("a_info.json", unbinned, (there,), {0: BoxSet("a")})
    assert info.voxel_xyz(there, shape_zyx, voxel_size) == voxel


@given(st.integers(1, 512), st.integers(1, 16))
def test_the_size_of_a_box_is_stored_in_unbinned_pixels(size: int, binning: int) -> None:
    info = TomogramInfo("a_info.json", 2.5, (), {0: BoxSet("a", round(size * 2.5 * binning / 2.5))})
    assert info.box_size(0, 2.5 * binning) == size


def test_plain_voxels_are_unchanged_for_any_voxel_size(tmp_path: Path) -> None:
    boxes = [box((12, 30, 5)), [7.0, 8, 9], box((1, 2, 3), 4)]
    path = EmanFolder(tmp_path).info("t", boxes_3d=boxes, class_list={"0": "mt", "1": {"name": "bad", "boxsize": 48}})
    info = read_info(path)
    assert [info.voxel_xyz(one, (9, 40, 40), 13.0) for one in info.boxes] == [(12, 30, 5), (7, 8, 9), (1, 2, 3)]
    assert [info.box_size(number, 13.0) for number in (0, 1, 4)] == [64, 48, 64]
    assert {number: kind.name for number, kind in info.sets.items()} == {0: "mt", 1: "bad", 4: "particles_04"}
    assert info.unbinned_angstrom is None


def test_a_file_may_have_no_boxes_and_its_curves_are_counted(tmp_path: Path) -> None:
    info = read_info(EmanFolder(tmp_path).info("t", tlt_params=[[0, 1]], curves=[[1, 2, 3, 0, 0]] * 7))
    assert (info.boxes, info.curve_points) == ((), 7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged, or not a JSON file"),
        ("[1]", "not a JSON object"),
        ('{"boxes_3d": {}}', "boxes_3d is {}"),
        ('{"boxes_3d": [[1, 2]]}', "box 0: expected [x, y, z"),
        ('{"boxes_3d": [[1, 2, "z", "manual", 0, 0]]}', "box 0"),
        ('{"boxes_3d": [[1, 2, NaN]]}', "box 0"),
        ('{"boxes_3d": [[1, 2, 1e999]]}', "box 0"),
        ('{"boxes_3d": [[1, 2, 3, "manual", 0, "x"]]}', "'x' is not the number of a set"),
        ('{"boxes_3d": [[1, 2, 3, "manual", 0, Infinity]]}', "is not the number of a set"),
        ('{"class_list": ["a"]}', "class_list"),
        ('{"class_list": {"a": "b"}}', "'a' is not the number of a set"),
        ('{"class_list": {"0": {"boxsize": 64}}}', "expected name and boxsize"),
        ('{"class_list": {"0": {"name": "a", "boxsize": 0}}}', "expected name and boxsize"),
        ('{"apix_unbin": 0}', "apix_unbin is 0"),
        ('{"apix_unbin": "2.5"}', "apix_unbin is '2.5'"),
        ("[" * 100_000, "damaged"),
    ],
)
def test_contents_that_eman2_would_not_write_are_refused_with_a_clear_error(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "t_info.json"
    path.write_text(text)
    with pytest.raises(ProjectError) as caught:
        read_info(path)
    assert message in caught.value.fault
    assert caught.value.fault.startswith("t_info.json")
    assert caught.value.fix


def test_a_missing_info_file_is_refused_with_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="t_info"):
        read_info(tmp_path / "t_info.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.sampled_from("01ab"), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["boxes_3d", "class_list", "apix_unbin", "curves"]), JSON))
def test_any_json_is_read_or_refused_with_a_clear_error(folder: Path, found: dict[str, Any]) -> None:
    path = folder / "t_info.json"
    path.write_text(json.dumps(found))
    with contextlib.suppress(TomosegError):
        read_info(path)


def test_the_log_gives_its_commands_for_any_content(tmp_path: Path) -> None:
    folder = EmanFolder(tmp_path)
    folder.log("/opt/eman/bin/e2proc3d.py a.hdf b.hdf", "e2version.py it's", "")
    assert read_commands(tmp_path / ".eman2log.txt") == [["e2proc3d.py", "a.hdf", "b.hdf"], ["e2version.py", "it's"]]
    assert read_commands(tmp_path / "none") == []
