"""Any file is opened, or refused with a clear error."""

import bz2
import gzip
import os
import struct
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import TomogramError, TomosegError, UnreadableTomogramError
from tomoseg_tui.io import eman2_hdf, formats, tiff
from tomoseg_tui.io.formats import SUPPORTED_SUFFIXES, copy_unpacked, open_stack, open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.mrc_header import make_header

SAMPLE = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="session")
def contents(tmp_path_factory: pytest.TempPathFactory, ramp: NDArray[np.int16], ramp_grid: VoxelGrid) -> Path:
    """Return the same volume in each format."""
    place = tmp_path_factory.mktemp("contents")
    with MrcWriter(place / "mrc", ramp_grid, np.int16) as writer:
        writer.write_slices(0, ramp)
    eman2_hdf.write_volume(place / "hdf", iter([ramp]), ramp_grid)
    tiff.write_volume(place / "tif", iter([ramp]), ramp_grid, np.int16)
    return place


def packed(content: bytes, archive: str) -> bytes:
    if archive == "gzip":
        return gzip.compress(content)
    return bz2.compress(content) if archive == "bzip2" else content


@pytest.mark.parametrize("name", ["a.mrc", "a.rec.gz", "a", "a.txt"])
@pytest.mark.parametrize("archive", ["plain", "gzip", "bzip2"])
@pytest.mark.parametrize("kind", ["mrc", "hdf", "tif"])
def test_the_format_is_detected_by_content_for_any_name(
    tmp_path: Path,
    contents: Path,
    ramp: NDArray[np.int16],
    ramp_grid: VoxelGrid,
    kind: str,
    archive: str,
    name: str,
) -> None:
    (tmp_path / name).write_bytes(packed((contents / kind).read_bytes(), archive))
    with open_volume(tmp_path / name) as reader:
        assert (reader.path, reader.compressed) == (tmp_path / name, archive != "plain")
        assert reader.grid == ramp_grid
        np.testing.assert_array_equal(reader.read_region((1, 2, 3), (3, 3, 3)), ramp[1:4, 2:5, 3:6])


def test_the_sample_is_read() -> None:
    with open_volume(SAMPLE / "cell_a.mrc") as densities, open_volume(SAMPLE / "cell_a_labels.mrc.gz") as labels:
        assert densities.grid == labels.grid
        assert densities.grid.shape_zyx == (48, 320, 320)
        assert densities.grid.voxel_size_angstrom == 13.6
        assert densities.kind == "MRC mode 0, signed bytes"
        assert set(np.unique(labels.read_slices(20, 24))) <= set(range(7))


@pytest.mark.parametrize("kind", ["mrc", "tif"])
def test_an_archive_leaves_no_temporary_file_when_the_process_is_killed(
    tmp_path: Path, contents: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The file has no name even while it is written."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    found: list[list[Path]] = []
    read_chunk = formats._read_chunk

    def watched(stream: object, path: Path, done_bytes: int) -> bytes:
        found.append(list(scratch.iterdir()))
        return read_chunk(stream, path, done_bytes)

    monkeypatch.setattr(formats, "_read_chunk", watched)
    (tmp_path / f"a.{kind}.gz").write_bytes(gzip.compress((contents / kind).read_bytes()))
    with open_volume(tmp_path / f"a.{kind}.gz") as reader:
        assert reader.read_slices(0, 1).shape == (1, 6, 7)
        assert list(scratch.iterdir()) == []
    assert len(found) > 1
    assert not any(found)


def test_the_sign_of_bytes_is_passed_on(tmp_path: Path) -> None:
    with MrcWriter(tmp_path / "a.mrc", VoxelGrid((2, 2, 2), 1.0), np.int8) as writer:
        writer.write_slices(0, np.full((2, 2, 2), -1, np.int8))
    with open_volume(tmp_path / "a.mrc", byte_sign="unsigned") as reader:
        assert reader.read_slices(0, 2).max() == 255


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(["mrc", "hdf", "tif"]),
    archive=st.sampled_from(["plain", "gzip", "bzip2"]),
    cut=st.floats(0, 1, exclude_max=True),
    suffix=st.sampled_from([".mrc", ".mrc.gz", ".hdf", ".tif", ""]),
)
def test_any_truncated_file_is_refused_with_a_clear_error(
    folder: Path, contents: Path, kind: str, archive: str, cut: float, suffix: str
) -> None:
    content = packed((contents / kind).read_bytes(), archive)
    path = folder / f"cut{suffix}"
    # tifffile ends files with 16 bytes that nothing refers to; a file without them is complete.
    path.write_bytes(content[: int(cut * (len(content) - 16))])
    with pytest.raises(UnreadableTomogramError) as caught:
        open_volume(path)
    assert path.name in caught.value.fault
    assert caught.value.fix


@settings(max_examples=150, deadline=None)
@given(
    content=st.binary(max_size=3000),
    magic=st.sampled_from([b"", b"\x1f\x8b\x08", b"BZh9", b"\x89HDF\r\n\x1a\n", b"II*\0", b"MM\0+"]),
    suffix=st.sampled_from([".mrc", ".map.bz2", ".hdf", ".tif", ".png"]),
)
def test_random_bytes_cause_only_clear_errors(folder: Path, content: bytes, magic: bytes, suffix: str) -> None:
    path = folder / f"random{suffix}"
    path.write_bytes(magic + content)
    for opener in (open_volume, open_stack):
        with pytest.raises(TomosegError) as caught:
            opener(path)
        assert caught.value.fix


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("empty.mrc", b"", "0 bytes"),
        ("empty.mrc.gz", gzip.compress(b""), "0 bytes"),
        ("notes.mrc", b"These are notes about the tomogram, 13.48 \xc3\x85.\n" * 40, "text file"),
        ("table.csv", b"tomogram,x,y,z\n", "text file"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(2000), r"\(.png\) is neither"),
        ("noise", bytes(2000), r"\(no suffix\) is neither"),
        ("noise.rec", bytes(2000), "header is damaged"),
        ("short.mrc", bytes(100), "is truncated"),
        ("twice.mrc.gz", gzip.compress(gzip.compress(b"densities")), "archive within an archive"),
        ("cut.mrc.gz", gzip.compress(bytes(5000))[:-12], "damaged or truncated archive"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # archives contain the time, which test ids must not
)
def test_a_file_that_is_not_a_volume_is_refused_with_a_clear_error(
    tmp_path: Path, name: str, content: bytes, text: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableTomogramError, match=text) as caught:
        open_volume(tmp_path / name)
    assert name in caught.value.fault
    assert caught.value.fix


def test_missing_files_folders_and_pipes_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mrc")
    for path, message in (
        (tmp_path / "none.mrc", "does not exist"),
        (tmp_path, "is a folder"),
        (tmp_path / "pipe.mrc", "pipe"),
    ):
        with pytest.raises(UnreadableTomogramError, match=message):
            open_volume(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").touch(0o000)
    with pytest.raises(TomogramError, match="cannot be opened"):
        open_volume(tmp_path / "a.mrc")


MASKS = (np.random.default_rng(7).random((3, 8, 9)) > 0.5).astype(np.uint8)


@pytest.mark.parametrize("archive", ["plain", "gzip"])
@pytest.mark.parametrize("kind", ["mrc", "hdf", "tif"])
def test_a_stack_of_masks_is_read_from_each_format(tmp_path: Path, kind: str, archive: str) -> None:
    path = tmp_path / "masks"
    if kind == "mrc":
        with MrcWriter(path, VoxelGrid((3, 8, 9), 0.0), np.int8) as writer:
            writer.write_slices(0, MASKS.astype(np.int8))
    elif kind == "hdf":
        eman2_hdf.write_image_stack(path, MASKS, voxel_size_angstrom=0)
    else:
        tifffile.imwrite(path, MASKS, photometric="minisblack")
    path.write_bytes(packed(path.read_bytes(), archive))
    np.testing.assert_array_equal(open_stack(path), MASKS)


def test_a_single_mask_is_a_stack_of_one(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", MASKS[0])
    assert open_stack(tmp_path / "a.tif").shape == (1, 8, 9)


def test_a_stack_of_images_in_hdf5_is_not_a_volume(tmp_path: Path) -> None:
    eman2_hdf.write_image_stack(tmp_path / "a.hdf", MASKS, voxel_size_angstrom=10.0)
    with pytest.raises(UnreadableTomogramError, match="stack of 3 two-dimensional"):
        open_volume(tmp_path / "a.hdf")


def test_hdf5_of_other_programs_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["volume"] = np.zeros((2, 2, 2))
    with pytest.raises(UnreadableTomogramError, match="not one of EMAN2"):
        open_volume(tmp_path / "a.h5")


def test_the_first_suffix_that_matches_is_the_longest() -> None:
    for name, suffix in {"a.mrc": ".mrc", "a.rec.gz": ".rec.gz", "a.st.bz2": ".st.bz2", "a.hdf": ".hdf"}.items():
        assert next(known for known in SUPPORTED_SUFFIXES if name.endswith(known)) == suffix


@pytest.mark.parametrize("archive", ["plain", "gzip", "bzip2"])
def test_a_copy_is_unpacked(tmp_path: Path, contents: Path, archive: str) -> None:
    (tmp_path / "a.mrc").write_bytes(packed((contents / "mrc").read_bytes(), archive))
    progress: list[float] = []
    copy_unpacked(tmp_path / "a.mrc", tmp_path / "copy.mrc", progress.append)
    assert (tmp_path / "copy.mrc").read_bytes() == (contents / "mrc").read_bytes()
    assert progress[-1] == 1.0


@pytest.mark.parametrize("axes", [(3, 2, 1), (3, 1, 2), (2, 1, 3), (1, 3, 2), (2, 3, 1)])
@pytest.mark.parametrize(("order", "cell_is_stored"), [("<", 0), (">", 0), ("<", 1)])
def test_exchanged_axes_are_read_in_order(
    tmp_path: Path, axes: tuple[int, int, int], order: str, cell_is_stored: int
) -> None:
    """mapc, mapr, maps say along which axis columns, rows and sections lie; the cell stays in x, y, z."""
    values = np.arange(5 * 6 * 7, dtype="i2").reshape(5, 6, 7)  # (z, y, x)
    columns, rows, sections = axes
    stored = np.ascontiguousarray(values.transpose(3 - sections, 3 - rows, 3 - columns))
    head = bytearray(1024)
    size_xyz, start_xyz = (7, 6, 5), (-1, 2, 3)
    words = [*(size_xyz[axis - 1] for axis in axes), 1, *(start_xyz[axis - 1] for axis in axes), *size_xyz]
    struct.pack_into(f"{order}10i", head, 0, *words)
    cell = words[:3] if cell_is_stored else size_xyz
    struct.pack_into(f"{order}6f", head, 40, *(13.48 * n for n in cell), 90, 90, 90)
    struct.pack_into(f"{order}3i", head, 64, *axes)
    struct.pack_into(f"{order}2i", head, 88, 1, 80)
    head[208:212] = b"MAP "
    path = tmp_path / "a.mrc"
    path.write_bytes(bytes(head) + bytes(80) + stored.astype(f"{order}i2").tobytes())
    copy = tmp_path / "copy.mrc"
    copy_unpacked(path, copy, lambda _done: None)
    for file in (path, copy):
        with open_volume(file) as reader:
            np.testing.assert_array_equal(reader.read_slices(0, 5), values)
            assert reader.grid == VoxelGrid((5, 6, 7), 13.48, (0.0, 0.0, 0.0), start_xyz)
            assert (reader.path, len(reader.warnings)) == (file, int(file == path))
    path.with_suffix(".mrc.gz").write_bytes(gzip.compress(path.read_bytes()))
    with open_volume(path.with_suffix(".mrc.gz")) as reader:
        np.testing.assert_array_equal(reader.read_region((1, 2, 3), (2, 3, 4)), values[1:3, 2:5, 3:7])


def test_exchanged_axes_of_bytes_keep_their_sign(tmp_path: Path) -> None:
    path, values = tmp_path / "a.mrc", np.arange(5 * 6 * 7, dtype=np.int8).reshape(5, 6, 7)
    head = bytearray(make_header(VoxelGrid((7, 6, 5), 10.0), np.dtype("i1")))
    struct.pack_into("<3i", head, 64, 3, 2, 1)
    path.write_bytes(bytes(head) + np.ascontiguousarray(values.transpose(2, 1, 0)).tobytes())
    with open_volume(path) as reader:
        np.testing.assert_array_equal(reader.read_slices(0, 5), values)


def test_an_ome_set_is_read_whole_or_refused_with_what_is_missing(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(0, 1, (6, 20, 30)).astype("f4")
    identifiers = {"a.ome.tif": "urn:uuid:a", "b.ome.tif": "urn:uuid:b"}
    planes = "".join(
        f'<TiffData FirstZ="{z}" FirstC="0" FirstT="0" IFD="{z % 3}" PlaneCount="1"><UUID FileName="{name}">'
        f"{identifiers[name]}</UUID></TiffData>"
        for z in range(6)
        for name in [list(identifiers)[z // 3]]
    )
    for name, part in zip(identifiers, (data[:3], data[3:]), strict=True):
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{identifiers[name]}"><Image '
            'ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="float" SizeX="30" SizeY="20" SizeZ="6" '
            'SizeC="1" SizeT="1" PhysicalSizeX="1.348" PhysicalSizeXUnit="nm" PhysicalSizeY="1.348" '
            'PhysicalSizeYUnit="nm" PhysicalSizeZ="1.348" PhysicalSizeZUnit="nm"><Channel ID="Channel:0:0" '
            f'SamplesPerPixel="1"/>{planes}</Pixels></Image></OME>'
        )
        with tifffile.TiffWriter(tmp_path / name) as writer:
            for number, plane in enumerate(part):
                writer.write(plane, description=None if number else xml, metadata=None, contiguous=False)
    for name in identifiers:
        with open_volume(tmp_path / name) as reader:
            np.testing.assert_array_equal(reader.read_slices(0, 6), data)
            assert reader.grid.voxel_size_angstrom == pytest.approx(13.48)
            assert "a.ome.tif, b.ome.tif" in reader.warnings[0]
    (tmp_path / "b.ome.tif").unlink()
    with pytest.raises(UnreadableTomogramError, match=r"missing beside it: b\.ome\.tif"):
        open_volume(tmp_path / "a.ome.tif")


def test_slices_that_imagej_saved_as_channels_are_read_with_a_remark(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(0, 1, (12, 20, 30)).astype("f4")
    for channels, path in ((12, tmp_path / "a.tif"), (3, tmp_path / "colours.tif")):
        metadata = {"axes": "CYX", "unit": "nm", "spacing": 1.348}
        tifffile.imwrite(path, data[:channels], imagej=True, metadata=metadata, resolution=(1 / 1.348, 1 / 1.348))
    with open_volume(tmp_path / "a.tif") as reader:
        np.testing.assert_array_equal(reader.read_slices(0, 12), data)
        assert reader.grid.voxel_size_angstrom == pytest.approx(13.48)
        assert "12 slices as channels" in reader.warnings[0]
    with pytest.raises(UnreadableTomogramError) as caught:
        open_volume(tmp_path / "colours.tif")
    assert "Re-order Hyperstack" in caught.value.fix
