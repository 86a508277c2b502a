"""A file that has changed since its record was written: noticed, refused, and taken as it is after a yes."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import Tomoseg, make_card, noise, put_card, write_map, write_mrc

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ChangedFileError, ProjectError, ShapeError, UnknownVoxelSizeError
from tomoseg_tui.io.mrc_header import make_header
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import (
    find_tomogram_change,
    measure_file_state,
    open_tomogram,
    require_unchanged,
)
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import MapSidecar, read_record, write_record
from tomoseg_tui.workflow.annotations.import_annotations import TileLayer, store_layers
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, check_apply
from tomoseg_tui.workflow.exchange.export_tiles import TileExportRequest, export_tiles
from tomoseg_tui.workflow.export import export_volume
from tomoseg_tui.workflow.merge.merge_request import merge_request
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest, check_preprocess
from tomoseg_tui.workflow.tomograms.refreshing import plan_refresh, refresh_tomogram
from tomoseg_tui.workflow.training.trainset import TrainsetRequest, gather_tiles
from tomoseg_tui.workflow.views import load_slice_view, load_tile_view

PLACE = TileLocation("ts", 3, 64, 64, 64)


@pytest.fixture
def linked(project: Project, tmp_path: Path) -> Path:
    """The file of a linked tomogram named ts."""
    path = write_mrc(tmp_path / "ts.mrc", noise((6, 128, 128)), voxel_size=13.48)
    import_volumes(project, [path], ImportRequest(link=True))
    return path


def scale(path: Path) -> None:
    """Make the tomogram again, scaled otherwise."""
    write_mrc(path, (100 * noise((6, 128, 128)).astype(np.float32) + 5000).astype(np.float32), voxel_size=13.48)


def change_of(project: Project) -> str:
    return find_tomogram_change(project.layout, "ts", catalog.load_tomogram(project.layout, "ts"))[1]


def test_another_scaling_is_named(project: Project, linked: Path) -> None:
    scale(linked)
    assert change_of(project) == "ts.mrc has changed since its import: other densities."


@pytest.mark.parametrize(
    ("values", "voxel_size", "words"),
    [
        (noise((7, 67, 131)), 13.48, "shape (7, 67, 131) (z, y, x), it was (6, 128, 128)"),
        (noise((6, 128, 128)), 10.0, "voxel size 10 Å in its header, it was 13.48"),
        (noise((6, 128, 128))[::-1], 13.48, "other densities"),
    ],
    ids=["shape", "voxel size", "densities"],
)
def test_what_changed_is_named(
    project: Project, linked: Path, values: np.ndarray[Any, Any], voxel_size: float, words: str
) -> None:
    write_mrc(linked, values, voxel_size=voxel_size)
    os.utime(linked, ns=(1, 1))
    assert change_of(project) == f"ts.mrc has changed since its import: {words}."


def test_one_changed_slice_of_a_small_volume_is_noticed(project: Project, linked: Path) -> None:
    values = noise((6, 128, 128))
    values[4] = 0
    write_mrc(linked, values, voxel_size=13.48)
    assert "other densities" in change_of(project)


def test_a_touched_or_copied_file_has_not_changed_and_its_record_gets_the_time(
    project: Project, linked: Path, tmp_path: Path
) -> None:
    record = catalog.load_tomogram(project.layout, "ts")
    shutil.copy(linked, tmp_path / "copy.mrc")
    (tmp_path / "copy.mrc").replace(linked)
    os.utime(linked, ns=(5, 5))
    assert not change_of(project)
    renewed = catalog.load_tomogram(project.layout, "ts")
    assert renewed.file_state is not None
    assert renewed.file_state.modified_ns == 5
    assert msgspec.structs.replace(renewed, file_state=record.file_state) == record


def test_the_same_densities_in_another_number_type_are_no_change(project: Project, linked: Path) -> None:
    write_mrc(linked, noise((6, 128, 128)).astype(np.float32), voxel_size=13.48)
    assert not change_of(project)


def test_an_unchanged_file_is_not_read(project: Project, linked: Path) -> None:
    file_stat = linked.stat()
    linked.write_bytes(b"?" * file_stat.st_size)
    os.utime(linked, ns=(0, file_stat.st_mtime_ns))
    assert not change_of(project), "size and time are as recorded, so that listing many tomograms stays fast"


def test_keys_of_a_later_version_survive_a_renewed_time(project: Project, linked: Path) -> None:
    path = project.layout.tomogram_record("ts")
    path.write_text(path.read_text().replace("{", '{"later": 1,', 1))
    os.utime(linked, ns=(5, 5))
    assert not change_of(project)
    assert '"later": 1' in path.read_text()


def prepare(project: Project) -> None:
    """Annotate a tile, and make a network and a map."""
    place_tiles(project, [tile_placement(PLACE, "tube", negative=False)])
    layer = np.full((64, 64), 2, np.uint8)
    layer[:32] = 1
    store_layers(project, [TileLayer(PLACE, "tube", layer)], "masks.mrc")
    put_card(project, make_card("net", features=("tube",), voxel_size_angstrom=13.48))
    path = write_map(project, "net.tube", np.zeros((6, 128, 128), np.int8), tomogram="ts")
    sidecar = read_record(sidecar_of(path), MapSidecar)
    write_record(sidecar_of(path), msgspec.structs.replace(sidecar, file_state=measure_file_state(path)))


USES: dict[str, Callable[[Project, Path], object]] = {
    "apply": lambda project, _: check_apply(project, ApplyRequest(run="net", tomograms=("ts",))),
    "merge": lambda project, _: merge_request(project, "ts", ["net=0.5"], name="m", output=None, force=False),
    "train": lambda project, _: gather_tiles(project, "set", TrainsetRequest(("tube",))),
    "preprocess": lambda project, _: check_preprocess(project, PreprocessRequest(("ts",))),
    "export": lambda project, folder: export_volume(project, "ts", folder / "x.mrc"),
    "tile export": lambda project, folder: export_tiles(
        Project.open(project.layout.root), TileExportRequest(folder / "t.mrc", force=True)
    ),
    "slice export": lambda project, folder: export_tiles(
        Project.open(project.layout.root), TileExportRequest(folder / "t.mrc", slice_margin=0, force=True)
    ),
    "tile view": lambda project, _: load_tile_view(project, PLACE),
    "worker": lambda project, _: open_tomogram(
        project.layout, "ts", catalog.load_tomogram(project.layout, "ts")
    ).close(),
}


@pytest.mark.parametrize("use", USES)
def test_whatever_reads_a_changed_tomogram_refuses_it(project: Project, linked: Path, tmp_path: Path, use: str) -> None:
    prepare(project)
    USES[use](project, tmp_path)
    for path in tmp_path.glob("[tx].*"):
        path.unlink()
    scale(linked)
    with pytest.raises(ChangedFileError, match=r"ts.mrc has changed since its import: other densities") as caught:
        USES[use](project, tmp_path)
    assert "tomoseg tomograms refresh ts" in caught.value.fix


def test_a_changed_tomogram_can_be_looked_at(project: Project, linked: Path) -> None:
    write_mrc(linked, noise((7, 67, 131)), voxel_size=10.0)
    seen = load_slice_view(project, "ts").properties
    assert "has changed since its import" in str(seen["changed"])
    assert (seen["shape_zyx"], seen["voxel_size_angstrom"]) == ([7, 67, 131], 10.0)


def test_a_map_that_was_replaced_is_not_merged(project: Project, linked: Path) -> None:
    prepare(project)
    path = project.layout.map_file("ts", "net", "tube")
    path.write_bytes(path.read_bytes()[:-1000] + b"\x05" * 1000)
    os.utime(path, ns=(5, 5))
    with pytest.raises(ChangedFileError, match=r"net.tube.mrc has changed since it was made") as caught:
        merge_request(project, "ts", ["net=0.5"], name="m", output=None, force=False)
    assert caught.value.fix == "Make it again: tomoseg apply net ts"
    assert "has changed" in export_volume(project, "ts/net.tube", linked.with_name("x.mrc"))


def without_state(project: Project) -> None:
    """Let the record be one of an earlier version."""
    record = catalog.load_tomogram(project.layout, "ts")
    write_record(project.layout.tomogram_record("ts"), msgspec.structs.replace(record, file_state=None))


def test_a_record_of_an_earlier_version_gets_its_state_when_it_is_used(project: Project, linked: Path) -> None:
    state = catalog.load_tomogram(project.layout, "ts").file_state
    without_state(project)
    assert not change_of(project)
    require_unchanged(project.layout, "ts", catalog.load_tomogram(project.layout, "ts"))
    assert catalog.load_tomogram(project.layout, "ts").file_state == state


def test_a_record_of_an_earlier_version_still_shows_another_scaling(project: Project, linked: Path) -> None:
    without_state(project)
    scale(linked)
    with pytest.raises(ChangedFileError, match=r"mean .* and sigma .*, it had mean"):
        require_unchanged(project.layout, "ts", catalog.load_tomogram(project.layout, "ts"))


def test_refreshing_measures_again_and_says_what_hangs_on_it(project: Project, linked: Path) -> None:
    prepare(project)
    old = catalog.load_tomogram(project.layout, "ts")
    scale(linked)
    plan = plan_refresh(project, "ts")
    assert catalog.load_tomogram(project.layout, "ts") == old, "a plan writes nothing"
    text = " ".join([*plan.changes, *plan.consequences])
    for words in ("other densities", "mean 4995", "1 tiles are on it", "net.tube", "apply and merge again"):
        assert words in text
    refresh_tomogram(project, plan)
    new = catalog.load_tomogram(project.layout, "ts")
    assert new.mean == pytest.approx(100 * old.mean + 5000)
    assert new.sigma == pytest.approx(100 * old.sigma)
    assert not change_of(project)
    assert not plan_refresh(project, "ts").changes


def test_bytes_keep_the_sign_that_they_had_at_the_import(project: Project, tmp_path: Path) -> None:
    """A header without statistics and flag leaves the sign to a sample, which may decide otherwise later."""
    head = bytearray(make_header(VoxelGrid((4, 64, 64), 10.0), np.dtype("i1")))
    head[76:88], head[152:160] = bytes(12), bytes(8)
    densities = np.random.default_rng(7).normal(0, 20, (4, 64, 64))
    (tmp_path / "ts.mrc").write_bytes(bytes(head) + (densities + 128).astype("u1").tobytes())
    import_volumes(project, [tmp_path / "ts.mrc"], ImportRequest(link=True))
    old = catalog.load_tomogram(project.layout, "ts")
    assert old.byte_sign == "unsigned"
    (tmp_path / "ts.mrc").write_bytes(bytes(head) + densities.astype("i1").tobytes())
    plan = plan_refresh(project, "ts")
    assert (plan.record.byte_sign, plan.record.type) == ("unsigned", old.type)
    assert "read as unsigned, as before, but look signed now" in plan.consequences[0]


def test_another_shape_is_refused_while_tiles_are_outside_it(project: Project, linked: Path) -> None:
    place_tiles(project, [tile_placement(PLACE, "tube", negative=False)])
    write_mrc(linked, noise((6, 67, 131)), voxel_size=13.48)
    with pytest.raises(ShapeError, match=r"1 of its tiles are outside: ts:64,64,3:64"):
        plan_refresh(project, "ts")
    write_mrc(linked, noise((8, 150, 150)), voxel_size=13.48)
    plan = plan_refresh(project, "ts")
    assert plan.record.shape_zyx == (8, 150, 150)


def test_a_voxel_size_given_by_the_user_is_not_replaced_by_a_header(project: Project, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "ts.mrc", noise((6, 64, 64)), voxel_size=1.0)
    import_volumes(project, [path], ImportRequest(link=True, voxel_size_angstrom=13.48))
    write_mrc(path, noise((6, 64, 64), seed=2), voxel_size=1.0)
    assert plan_refresh(project, "ts").record.voxel_size_angstrom == 13.48
    write_mrc(path, noise((6, 64, 64), seed=2), voxel_size=10.0)
    with pytest.raises(UnknownVoxelSizeError, match=r"recorded with 13\.48"):
        plan_refresh(project, "ts")
    assert plan_refresh(project, "ts", voxel_size_angstrom=10.0).record.voxel_size_angstrom == 10.0


def test_a_link_whose_file_has_moved_is_given_its_new_place(project: Project, linked: Path) -> None:
    linked.rename(linked.with_name("moved.mrc"))
    with pytest.raises(ProjectError, match=r"The file of tomogram ts is missing: .*ts.mrc"):
        plan_refresh(project, "ts")
    refresh_tomogram(project, plan_refresh(project, "ts", file=linked.with_name("moved.mrc")))
    record = catalog.load_tomogram(project.layout, "ts")
    assert catalog.volume_path(project.layout, "ts", record) == linked.with_name("moved.mrc")
    assert not change_of(project)


def test_the_commands_name_the_change_and_refresh_after_a_yes(project: Project, linked: Path) -> None:
    tomoseg = Tomoseg(project.layout.root)
    scale(linked)
    refusal = tomoseg.refused("tomograms", "refresh", "ts")
    assert "ts.mrc has changed since its import: other densities." in refusal
    assert "tomoseg tomograms refresh ts --yes" in refusal
    assert tomoseg("tomograms", "refresh", "ts", "--yes", "--json").json["changed"] is None
    assert "tomograms refresh ts --yes" in project.layout.history.read_text()
