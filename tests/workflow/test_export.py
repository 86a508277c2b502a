"""Exports have the same numbers on the same grid in another format."""

from pathlib import Path

import h5py
import mrcfile
import numpy as np
import pytest
import tifffile
from helpers.cli_runner import noise, write_map, write_mrc

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import ProjectError, UsageError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.publish import copy_to_output
from tomoseg_tui.project.records import LabelEntry, LabelSidecar, read_record, write_record
from tomoseg_tui.workflow.export import export_volume
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes

ORIGIN, NSTART = (100.5, -20.0, 5.0), (3, -2, 1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_mrc(tmp_path / "cell.mrc", noise(), voxel_size=1.0, origin_xyz=ORIGIN, nstart_xyz=NSTART)


@pytest.fixture
def known(project: Project, source: Path) -> Project:
    """Return a project whose tomogram has another voxel size than its file."""
    import_volumes(project, [source], ImportRequest(voxel_size_angstrom=13.5))
    return project


@pytest.mark.parametrize("suffix", ["mrc", "hdf", "tif"])
def test_values_voxel_size_origin_and_nstart_are_exported(known: Project, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out.{suffix}"
    export_volume(known, "cell", target)
    with open_volume(target) as written:
        np.testing.assert_array_equal(written.read_slices(0, 6), noise())
        assert written.grid == VoxelGrid((6, 64, 64), 13.5, ORIGIN, NSTART)


@pytest.mark.parametrize("suffix", ["mrc", "hdf", "tif"])
def test_an_export_imported_and_exported_again_is_the_same(known: Project, tmp_path: Path, suffix: str) -> None:
    first, second = tmp_path / f"first.{suffix}", tmp_path / f"second.{suffix}"
    export_volume(known, "cell", first)
    import_volumes(known, [first], ImportRequest())
    export_volume(known, "first", second)
    with open_volume(first) as one, open_volume(second) as two:
        assert one.grid == two.grid
        np.testing.assert_array_equal(one.read_slices(0, 6), two.read_slices(0, 6))


def give_labels(project: Project, names: list[str]) -> None:
    path = project.layout.label_file("cell", "merged")
    path.parent.mkdir(parents=True)
    labels = {str(number): LabelEntry(name, "net", 0.5) for number, name in enumerate(names, start=1)}
    write_mrc(path, (noise() & 1).astype(np.int8))
    write_record(sidecar_of(path), LabelSidecar(tomogram="cell", name="merged", labels=labels, conflicts=[]))


def text_of(path: Path) -> str:
    """Return the text that an exported file holds about its numbers."""
    if path.suffix == ".mrc":
        with mrcfile.open(path) as volume:
            return "\n".join(volume.get_labels())
    if path.suffix == ".hdf":
        with h5py.File(path) as file:
            return bytes(file["MDF/images/0"].attrs["EMAN.tomoseg_meaning"]).decode()
    with tifffile.TiffFile(path) as tiff:
        assert tiff.imagej_metadata is not None
        return str(tiff.imagej_metadata["Info"])


@pytest.mark.parametrize("suffix", ["mrc", "hdf", "tif"])
def test_an_export_says_what_its_numbers_mean(known: Project, tmp_path: Path, suffix: str) -> None:
    give_labels(known, ["microtubule", "membrane"])
    write_map(known, "net.tube", noise() & 127)
    for name, words in {
        "cell/merged": ("1 = microtubule (net, threshold 0.500)", "2 = membrane", "0 = none of these"),
        "cell/net.tube": ("probability of tube by the network net", "0 to 127 is probability 0 to 1"),
        "cell": ("protein is dark",),
    }.items():
        target = tmp_path / f"out_{name.replace('/', '_')}.{suffix}"
        export_volume(known, name, target)
        text = text_of(target)
        for word in words:
            assert word in text
        assert not sidecar_of(target).exists()


def test_labels_for_which_a_header_has_no_room_get_a_file_beside(known: Project, tmp_path: Path) -> None:
    give_labels(known, [f"feature_with_a_long_name_{number}" for number in range(40)])
    export_volume(known, "cell/merged", tmp_path / "out.mrc")
    assert read_record(tmp_path / "out.json", LabelSidecar).labels["40"].feature == "feature_with_a_long_name_39"
    assert text_of(tmp_path / "out.mrc").endswith(" ...")


def test_a_copy_for_the_user_says_what_its_labels_mean(known: Project, tmp_path: Path) -> None:
    give_labels(known, ["microtubule"])
    path = known.layout.label_file("cell", "merged")
    sidecar = read_record(sidecar_of(path), LabelSidecar)
    copy_to_output(path, tmp_path / "copy.mrc", sidecar, begun_mark=tmp_path / "begun", force=False)
    assert "1 = microtubule" in text_of(tmp_path / "copy.mrc")
    with open_volume(path) as one, open_volume(tmp_path / "copy.mrc") as two:
        np.testing.assert_array_equal(one.read_slices(0, 6), two.read_slices(0, 6))


def test_labels_as_tiff_are_unsigned_bytes_that_are_shown_bright(known: Project, tmp_path: Path) -> None:
    give_labels(known, ["microtubule", "membrane"])
    export_volume(known, "cell/merged", tmp_path / "out.tif")
    with tifffile.TiffFile(tmp_path / "out.tif") as tiff:
        assert tiff.series[0].dtype == np.uint8
        assert tiff.imagej_metadata is not None
        assert (tiff.imagej_metadata["min"], tiff.imagej_metadata["max"]) == (0.0, 2.0)


def test_unsigned_bytes_are_written_with_an_unambiguous_sign(project: Project, tmp_path: Path) -> None:
    import_volumes(
        project,
        [write_mrc(tmp_path / "bytes.mrc", noise())],
        ImportRequest(byte_sign="unsigned", voxel_size_angstrom=2),
    )
    export_volume(project, "bytes", tmp_path / "out.mrc")
    with open_volume(tmp_path / "out.mrc") as written:
        assert written.dtype == np.int16
        np.testing.assert_array_equal(written.read_slices(0, 6), noise().view(np.uint8))


def test_a_file_is_exported_without_a_project(source: Path, tmp_path: Path) -> None:
    export_volume(None, str(source), tmp_path / "out.tif")
    with open_volume(tmp_path / "out.tif") as written:
        assert written.grid.voxel_size_angstrom == 1.0


def test_an_existing_file_is_replaced_only_with_force(known: Project, tmp_path: Path) -> None:
    target = tmp_path / "out.mrc"
    target.write_text("mine")
    with pytest.raises(ProjectError, match=r"out.mrc exists"):
        export_volume(known, "cell", target)
    assert target.read_text() == "mine"
    export_volume(known, "cell", target, force=True)
    assert target.stat().st_size > 1024


@pytest.mark.parametrize("name", ["out.png", "out", "out.mrc.gz"])
def test_another_suffix_is_refused(known: Project, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"\.mrc, \.hdf or \.tif"):
        export_volume(known, "cell", tmp_path / name)
    assert not (tmp_path / name).exists()


def test_a_missing_folder_is_not_created(known: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="does not exist"):
        export_volume(known, "cell", tmp_path / "nowhere" / "out.mrc")
    with pytest.raises(ProjectError, match="There is no tomogram, map, label volume or file 'lost'"):
        export_volume(known, "lost", tmp_path / "out.mrc")
    assert not (tmp_path / "out.mrc").exists()
