"""Inspection of mask files before an import."""

from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import write_map, write_mrc
from hypothesis import given, settings
from hypothesis import strategies as st

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ProjectError, TomosegError, UsageError
from tomoseg_tui.io.eman2_hdf import write_image_stack
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.mask_files import MAX_LABELS, ExportedFileInfo, MaskImportChoice, inspect_mask_file
from tomoseg_tui.workflow.exchange.export_tiles import TileExportRequest, export_tiles

SHAPE = (3, 20, 30)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32])
@settings(max_examples=10, deadline=None)
@given(values=st.lists(st.integers(-3, 9), min_size=1, max_size=5))
def test_all_labels_except_0_are_counted(
    tmp_path_factory: pytest.TempPathFactory, dtype: type[np.generic], values: list[int]
) -> None:
    volume = np.resize(np.array(values), SHAPE).astype(dtype)
    path = write_mrc(tmp_path_factory.mktemp("labels") / "labels.mrc", volume)
    found = inspect_mask_file(path, {SHAPE})
    expected = {int(value): int((volume == value).sum()) for value in np.unique(volume) if value}
    assert dict(found.voxels) == expected
    assert found.shape_zyx == SHAPE


def test_a_volume_that_fits_no_tomogram_is_not_counted(tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "labels.mrc", np.ones(SHAPE, np.int8))
    assert not inspect_mask_file(path, {(9, 9, 9)}).voxels


def test_densities_are_not_treated_as_labels(tmp_path: Path) -> None:
    values = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    assert len(values) * MAX_LABELS < values.size
    assert not inspect_mask_file(write_mrc(tmp_path / "map.mrc", values), {SHAPE}).voxels


def test_counting_stops_when_the_request_is_cancelled(tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "labels.mrc", np.ones(SHAPE, np.int8))
    assert not inspect_mask_file(path, {SHAPE}, lambda: True).voxels


def test_an_eman2_stack_is_detected_by_its_images(tmp_path: Path) -> None:
    path = tmp_path / "masks.hdf"
    write_image_stack(path, np.zeros((5, 64, 64), np.float32), voxel_size_angstrom=10.0)
    assert inspect_mask_file(path, set()).shape_zyx == (5, 64, 64)


def test_the_feature_names_of_our_label_volumes_are_suggested(small_project: Project) -> None:
    path = write_map(small_project, "net.tube", np.ones(SHAPE, np.int8), tomogram="alpha")
    path.with_suffix(".json").write_text(
        '{"tomogram": "alpha", "name": "merged", "conflicts": [],'
        ' "labels": {"1": {"feature": "tube", "run": "net", "threshold": 0.5}}}'
    )
    assert inspect_mask_file(path, {SHAPE}).names == {1: "tube"}


def test_a_file_that_is_not_a_volume_is_refused_with_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "words.mrc"
    path.write_text("words\n" * 300)
    with pytest.raises(TomosegError, match="text file"):
        inspect_mask_file(path, set())


def test_a_choice_gives_the_equivalent_command() -> None:
    place = TileLocation("alpha", 6, 48, 48)
    volume = MaskImportChoice(Path("/l.mrc"), "alpha", labels=("1=microtubule", "7=ignore"), replace=True)
    assert volume.argv() == [
        *("annotations", "import", "/l.mrc", "--tomogram", "alpha"),
        *("--map", "1=microtubule", "--map", "7=ignore", "--replace"),
    ]
    stack = MaskImportChoice(Path("/m.mrc"), None, (place,), feature="microtubule")
    assert stack.argv() == ["annotations", "import", "/m.mrc", "--tiles", place.id, "--feature", "microtubule"]


def test_an_invalid_choice_is_refused_before_the_import() -> None:
    with pytest.raises(UsageError):
        MaskImportChoice(Path("/l.mrc"), "alpha", labels=("1=microtubule", "1=membrane")).check()
    with pytest.raises((UsageError, ProjectError)):
        MaskImportChoice(Path("/m.mrc"), "alpha", feature="ignore").check()


def test_a_stack_is_imported_for_the_listed_tiles(small_project: Project, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "masks.mrc", np.ones((1, 64, 64), np.int8))
    result = MaskImportChoice(path, None, (TileLocation("beta", 12, 48, 48),), feature="microtubule").run_import(
        small_project
    )
    assert (result.annotated, result.none_here, result.skipped) == (1, 0, [])


def test_labels_of_a_stack_of_tiles_are_counted(tmp_path: Path) -> None:
    stack = np.zeros((2, 64, 64), np.int8)
    stack[0, 0, :3], stack[1, :2] = 1, 7
    assert dict(inspect_mask_file(write_mrc(tmp_path / "stack.mrc", stack), set()).voxels) == {1: 3, 7: 128}


def test_an_export_is_recognised_by_its_manifest(small_project: Project, tmp_path: Path) -> None:
    exported = export_tiles(small_project, TileExportRequest(tmp_path / "out.mrc"))
    found = inspect_mask_file(tmp_path / "out_membrane.mrc", set())
    assert found.exported == ExportedFileInfo(4, ("microtubule", "membrane"), "membrane", 1)
    assert found.shape_zyx == (4, 64, 64)
    assert inspect_mask_file(exported.manifest, set()).exported == ExportedFileInfo(
        4, ("microtubule", "membrane"), "microtubule", 2
    )
    choice = MaskImportChoice(exported.manifest, None, replace=True, is_export=True)
    choice.check()
    assert choice.argv() == ["annotations", "import", str(exported.manifest), "--replace"]
    assert choice.run_import(small_project).annotated == 2


def test_a_negative_label_is_not_parsed_as_an_option() -> None:
    assert MaskImportChoice(Path("/l.mrc"), "alpha", labels=("-127=tube",)).argv()[-1] == "--map=-127=tube"
