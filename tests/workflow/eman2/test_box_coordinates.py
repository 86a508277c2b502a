"""The version of a tomogram that EMAN2's boxes are placed on, and the positions of its tiles."""

from pathlib import Path

import pytest
from helpers.eman2_project import SHAPE_ZYX, EmanFolder, box, cut, smooth_noise

from tomoseg_tui.errors import UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.eman2.box_coordinates import tile_edge
from tomoseg_tui.workflow.eman2.import_plan import Eman2ImportPlan, Eman2ImportRequest, plan_import
from tomoseg_tui.workflow.eman2.project import is_eman2_project, scan_project
from tomoseg_tui.workflow.eman2.tile_stacks import inner_slice

HALF = (5, 48, 55)
XYZ = (50, 40, 3)


@pytest.fixture
def eman(tmp_path: Path) -> EmanFolder:
    """A project with one tomogram binned by 4 and by 8, without boxes."""
    folder = EmanFolder(tmp_path / "E")
    folder.tomogram("t__bin4.hdf", smooth_noise(), apix=10.0)
    folder.tomogram("t__bin8.hdf", smooth_noise(HALF), apix=20.0)
    return folder


def planned(project: Project, eman: EmanFolder, version: str | None = None) -> Eman2ImportPlan:
    return plan_import(project, scan_project(eman.root), Eman2ImportRequest(eman.root, version=version))


def where(plan: Eman2ImportPlan) -> list[tuple[str, tuple[int, int, int], int]]:
    return [(one.version.name, one.centre_zyx, one.size) for one in plan.boxes]


def from_centre(xyz: tuple[int, int, int], binning: int = 4) -> list[object]:
    x, y, z = ((at - n // 2) * binning for at, n in zip(xyz, reversed(SHAPE_ZYX), strict=True))
    return box((x, y, z))


def test_boxes_from_the_centre_are_placed_where_they_are_64_wide(project: Project, eman: EmanFolder) -> None:
    kind = {"0": {"name": "mt", "boxsize": 256}}
    eman.info("t", apix_unbin=2.5, boxes_3d=[from_centre(XYZ)], class_list=kind)
    plan = planned(project, eman)
    assert where(plan) == [("t__bin4", (3, 40, 50), 64)]
    assert any("placed on t__bin4" in remark and "--version bin4" in remark for remark in plan.remarks)
    eman.info("t", apix_unbin=2.5, boxes_3d=[from_centre(XYZ)], class_list={"0": {"name": "mt", "boxsize": 512}})
    assert where(planned(project, eman)) == [("t__bin8", (1, 20, 25), 64)]


def test_plain_voxels_are_placed_where_all_are_inside_or_the_user_is_asked(project: Project, eman: EmanFolder) -> None:
    eman.info("t", boxes_3d=[box(XYZ), box((100, 90, 9))])
    assert {name for name, _, _ in where(planned(project, eman))} == {"t__bin4"}
    eman.info("t", boxes_3d=[box(XYZ)])
    with pytest.raises(UsageError) as caught:
        planned(project, eman)
    assert "t__bin4 (10, 96, 110), t__bin8 (5, 48, 55)" in caught.value.fault
    assert "--version bin8" in caught.value.fix
    assert where(planned(project, eman, "bin8")) == [("t__bin8", (3, 40, 50), 64)]
    with pytest.raises(UsageError, match="has the tag"):
        planned(project, eman, "bin2")


def test_the_version_is_the_one_that_tiles_were_cut_from(project: Project, eman: EmanFolder) -> None:
    eman.info("t", boxes_3d=[box((20, 20, 1))], class_list={"0": "mt"})
    tile = cut(smooth_noise(HALF), (20, 20, 1), 32)
    eman.stack("t__bin8_mt.hdf", [tile], source="t__bin8.hdf", xyz=[(20, 20, 1)], shape_zyx=HALF)
    plan = planned(project, eman)
    assert where(plan) == [("t__bin8", (1, 20, 20), 64)]
    assert [(one.centre_zyx, one.set_names) for one in plan.tiles] == [((1, 20, 20), ("mt",))]


def test_a_filtered_version_is_chosen_among_those_of_one_grid(project: Project, tmp_path: Path) -> None:
    eman = EmanFolder(tmp_path / "E")
    for name in ("t", "t__a_preproc", "t__b"):
        eman.tomogram(f"{name}.hdf", smooth_noise().clip(-3, 3))
    eman.info("t", boxes_3d=[box(XYZ)])
    assert where(planned(project, eman))[0][0] == "t__a_preproc"
    assert where(planned(project, eman, ""))[0][0] == "t"


def test_names_with_one_underscore_have_an_info_file_of_their_own(project: Project, tmp_path: Path) -> None:
    eman = EmanFolder(tmp_path / "E")
    eman.tomogram("t.hdf", smooth_noise())
    eman.tomogram("t_preproc.hdf", smooth_noise(seed=1))
    eman.info("t_preproc", boxes_3d=[box(XYZ, 1)], class_list={"0": "mt", "1": "mem"})
    eman.stack("t_preproc__mem.hdf", [cut(smooth_noise(seed=1), XYZ)])
    eman.stack("t_preproc__odd_one.hdf", [cut(smooth_noise(seed=1), XYZ)])
    plan = planned(project, eman)
    assert where(plan) == [("t_preproc", (3, 40, 50), 64)]
    assert [tile.set_names for tile in plan.tiles] == [("mem",), ("odd_one",)]


def test_tiles_of_several_sets_in_one_stack_are_assigned_by_their_boxes(project: Project, tmp_path: Path) -> None:
    eman = EmanFolder(tmp_path / "E")
    values = smooth_noise()
    eman.tomogram("t.hdf", values)
    eman.info("t", boxes_3d=[box(XYZ), box((60, 50, 4), 1)], class_list={"0": "mt", "1": "mem"})
    places = [XYZ, (60, 50, 4), (70, 50, 4)]
    eman.stack("t__mt_mem.hdf", [cut(values, place) for place in places], source="t.hdf", xyz=places)
    assert [tile.set_names for tile in planned(project, eman).tiles] == [("mt",), ("mem",), ("mt_mem",)]


@pytest.mark.parametrize(("size", "edge"), [(1, 16), (16, 16), (17, 32), (33, 48), (50, 64), (64, 64), (65, 80)])
def test_a_box_lies_in_a_tile_with_the_same_centre(size: int, edge: int) -> None:
    assert tile_edge(size) == edge
    part = inner_slice(edge, size)
    assert 0 <= part.start < part.stop <= edge
    assert part.start + size // 2 == edge // 2


def test_an_eman2_project_is_recognised_by_its_folders(tmp_path: Path, eman: EmanFolder) -> None:
    assert is_eman2_project(eman.root)
    assert not is_eman2_project(tmp_path)
    with pytest.raises(UsageError, match="not an EMAN2 project"):
        scan_project(tmp_path)
