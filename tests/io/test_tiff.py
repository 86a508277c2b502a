"""TIFF stacks: plain, compressed, by ImageJ, by OME, coloured, and truncated."""

import json
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tomoseg_tui.core.grid import ValueMeaning, VoxelGrid
from tomoseg_tui.errors import ShapeError, TomosegError, UnreadableTomogramError
from tomoseg_tui.io import tiff
from tomoseg_tui.io.formats import open_stack
from tomoseg_tui.io.tiff import TiffVolume, write_stack, write_volume

SHAPES = st.tuples(st.integers(2, 5), st.integers(1, 6), st.integers(1, 7))
CODES = ["u1", "i1", "u2", "i2", "f2", "f4"]
UNUSED_BYTES = 16
"""tifffile ends a file of several pages with a resolution that no page refers to; it can be missing."""
FLOATS = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=50, deadline=None)
@given(data=st.data(), shape=SHAPES, code=st.sampled_from(CODES))
def test_a_written_file_is_read(folder: Path, data: st.DataObject, shape: tuple[int, int, int], code: str) -> None:
    values = data.draw(arrays(code, shape))
    origin = data.draw(st.tuples(FLOATS, FLOATS, FLOATS))
    grid = VoxelGrid(
        shape, data.draw(st.floats(0.1, 1000)), origin, data.draw(st.tuples(*[st.integers(-999, 999)] * 3))
    )
    cut = data.draw(st.integers(0, shape[0]))
    write_volume(folder / "law.tif", iter([values[:cut], values[cut:]]), grid, code)
    with TiffVolume(folder / "law.tif") as reader:
        read = reader.read_slices(0, shape[0])
        assert read.dtype == reader.dtype == {"i1": np.int16, "f2": np.float32}.get(code, values.dtype)
        assert (reader.grid, reader.warnings) == (grid, ())
        np.testing.assert_array_equal(read, values)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), shape=SHAPES, byteorder=st.sampled_from("<>"), compression=st.sampled_from([None, "zlib"]))
def test_any_region_equals_slicing(
    folder: Path, data: st.DataObject, shape: tuple[int, int, int], byteorder: Any, compression: str | None
) -> None:
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    path = folder / "region.tif"
    with tifffile.TiffWriter(path, byteorder=byteorder) as writer:
        for plane in values:
            writer.write(plane, compression=compression, contiguous=False, photometric="minisblack", metadata=None)
    (z0, z1), (y0, y1), (x0, x1) = (sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape)
    with TiffVolume(path) as reader:
        region = reader.read_region((z0, y0, x0), (z1 - z0, y1 - y0, x1 - x0))
    assert region.dtype == np.dtype(np.int16)
    np.testing.assert_array_equal(region, values[z0:z1, y0:y1, x0:x1])


@pytest.mark.parametrize(
    ("unit", "spacing", "expected"),
    [
        ("nm", 1.052, 10.52),
        ("micron", 0.001052, 10.52),
        ("angstrom", 10.52, 10.52),
        ("pixel", 1.0, 0.0),
        ("inch", 0.1, 0.0),
    ],
)
def test_imagej_gives_the_voxel_size_only_in_units_of_length(
    tmp_path: Path, unit: str, spacing: float, expected: float
) -> None:
    values = np.zeros((3, 4, 5), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        imagej=True,
        resolution=(1 / spacing, 1 / spacing),
        metadata={"unit": unit, "spacing": spacing, "axes": "ZYX"},
    )
    with TiffVolume(tmp_path / "a.tif") as reader:
        assert reader.grid.voxel_size_angstrom == pytest.approx(expected, rel=1e-5)
        assert reader.grid.shape_zyx == (3, 4, 5)
        assert reader.warnings == ()


@pytest.mark.parametrize(("unit", "size"), [("nm", 1.052), ("Å", 10.52), ("µm", 0.001052)])
def test_ome_gives_the_voxel_size(tmp_path: Path, unit: str, size: float) -> None:
    metadata: dict[str, Any] = {"axes": "ZYX"}
    metadata |= {f"PhysicalSize{axis}": size for axis in "XYZ"} | {f"PhysicalSize{axis}Unit": unit for axis in "XYZ"}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((3, 4, 5), np.uint8), ome=True, metadata=metadata)
    with TiffVolume(tmp_path / "a.ome.tif") as reader:
        assert reader.grid.voxel_size_angstrom == pytest.approx(10.52)


def test_a_print_resolution_gives_no_voxel_size(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((3, 4, 5), np.uint8), resolution=(300, 300), photometric="minisblack")
    with TiffVolume(path) as reader:
        assert reader.grid == VoxelGrid((3, 4, 5), 0.0)


@pytest.mark.parametrize(
    ("stored", "never_negative", "written"),
    [
        (np.int8, True, np.uint8),
        (np.int8, False, np.int16),
        (np.int16, False, np.int16),
        (np.float32, False, np.float32),
    ],
)
def test_volumes_are_in_the_format_of_imagej(
    tmp_path: Path, ramp: NDArray[np.int16], ramp_grid: VoxelGrid, *, stored: Any, never_negative: bool, written: Any
) -> None:
    values = (ramp % 100 if never_negative else ramp % 100 - 50).astype(stored)
    meaning = ValueMeaning(("labels of a cell", "1 = tube"), (0.0, 2.0), is_never_negative=never_negative)
    write_volume(tmp_path / "a.tif", iter([values]), ramp_grid, stored, meaning)
    with tifffile.TiffFile(tmp_path / "a.tif") as other:
        assert (len(other.pages), other.is_imagej, other.is_bigtiff) == (5, True, False)
        assert (other.series[0].axes, other.series[0].dtype) == ("ZYX", written)
        metadata = other.imagej_metadata
        assert metadata is not None
        assert (metadata["unit"], metadata["spacing"]) == ("angstrom", 13.48)
        assert (metadata["min"], metadata["max"], metadata["Ranges"]) == (0.0, 2.0, (0.0, 2.0))
        info = json.loads(metadata["Info"])
        assert info["voxel_size_angstrom"] == 13.48
        assert info["meaning"][:2] == ["labels of a cell", "1 = tube"]
        assert any("Signed bytes were written as" in line for line in info["meaning"]) == (stored is np.int8)
        pixels, length = other.pages[0].tags["XResolution"].value
        assert length / pixels == pytest.approx(13.48)
        np.testing.assert_array_equal(other.asarray(), values)


def test_large_volumes_become_big_tiff(
    tmp_path: Path, ramp: NDArray[np.int16], ramp_grid: VoxelGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff, "CLASSIC_LIMIT_BYTES", 100)
    write_volume(tmp_path / "a.tif", iter([ramp]), ramp_grid, np.int16)
    assert (tmp_path / "a.tif").read_bytes()[:4] == b"II+\0"
    with TiffVolume(tmp_path / "a.tif") as reader:
        np.testing.assert_array_equal(reader.read_slices(0, 5), ramp)


def test_masks_of_one_bit_are_read_as_bytes(tmp_path: Path) -> None:
    masks = np.random.default_rng(7).random((3, 8, 9)) > 0.5
    tifffile.imwrite(tmp_path / "a.tif", masks, photometric="minisblack")
    with TiffVolume(tmp_path / "a.tif") as reader:
        assert reader.read_slices(0, 3).dtype == reader.dtype == np.uint8
        np.testing.assert_array_equal(reader.read_slices(0, 3), masks)


@pytest.mark.parametrize(
    ("values", "options"),
    [
        (np.zeros((3, 4, 5, 3), np.uint8), {"photometric": "rgb"}),
        (np.zeros((2, 3, 4, 5), np.uint8), {"imagej": True, "metadata": {"axes": "ZCYX"}}),
        (np.zeros((3, 4, 5), np.complex64), {"photometric": "minisblack"}),
    ],
)
def test_a_file_that_is_not_a_grey_stack_is_refused_with_a_clear_error(
    tmp_path: Path, values: NDArray[Any], options: dict[str, Any]
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, **options)
    with pytest.raises(UnreadableTomogramError, match="expected") as caught:
        TiffVolume(tmp_path / "a.tif")
    assert caught.value.fix


@pytest.mark.parametrize("compression", ["lzw", "zstd", "deflate", "packbits", "lzma"])
@pytest.mark.parametrize("code", ["u1", "i2", "f4"])
@pytest.mark.parametrize("predictor", [False, True])
def test_compressed_pages_are_read(tmp_path: Path, compression: str, code: str, predictor: bool) -> None:  # noqa: FBT001
    values = np.arange(3 * 40 * 50).reshape(3, 40, 50).astype(code)
    tifffile.imwrite(tmp_path / "a.tif", values, compression=compression, predictor=predictor, photometric="minisblack")
    with TiffVolume(tmp_path / "a.tif") as reader:
        np.testing.assert_array_equal(reader.read_slices(0, 3), values)


READ_WITHOUT_IMAGECODECS = """
import sys
sys.modules["imagecodecs"] = None
from pathlib import Path
from tomoseg_tui.errors import UnreadableTomogramError
from tomoseg_tui.io.tiff import TiffVolume
try:
    with TiffVolume(Path(sys.argv[1])) as reader:
        reader.read_slices(0, 1)
except UnreadableTomogramError as fault:
    print(fault)
"""


@pytest.mark.parametrize("compression", ["lzw", "zstd"])
def test_without_imagecodecs_a_compression_says_what_it_needs(tmp_path: Path, compression: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 40, 50), "u1"), compression=compression, photometric="minisblack")
    said = subprocess.run(
        [sys.executable, "-c", READ_WITHOUT_IMAGECODECS, str(tmp_path / "a.tif")],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.startswith("a.tif has a compression that needs imagecodecs")
    assert "pip install imagecodecs" in said
    assert "damaged" not in said


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((3, 40, 50), np.uint8), compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        places = [page.tags["Compression"].valueoffset for page in file.pages]
    content = bytearray(path.read_bytes())
    for place in places:
        content[place : place + 2] = (50099).to_bytes(2, "little")
    path.write_bytes(content)
    with TiffVolume(path) as reader, pytest.raises(UnreadableTomogramError, match=r"tifffile says “.*50099"):
        reader.read_slices(0, 1)


def test_images_of_several_shapes_are_reported(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(np.zeros((3, 4, 5), np.uint8), photometric="minisblack")
        writer.write(np.zeros((2, 2), np.uint8), photometric="minisblack")
    with TiffVolume(tmp_path / "a.tif") as reader:
        assert reader.grid.shape_zyx == (3, 4, 5)
        assert "several shapes" in reader.warnings[0]


def test_one_page_is_a_volume_only_if_asked_for(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.arange(6, dtype=np.uint8).reshape(2, 3))
    with pytest.raises(UnreadableTomogramError, match="one image"):
        TiffVolume(tmp_path / "a.tif")
    with TiffVolume(tmp_path / "a.tif", flat=True) as reader:
        assert reader.read_slices(0, 1).tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_slabs_of_another_total_leave_no_file(tmp_path: Path) -> None:
    for slabs in ([np.zeros((2, 3, 4), np.uint8)], [np.zeros((3, 3, 5), np.uint8)]):
        with pytest.raises(ShapeError):
            write_volume(tmp_path / "a.tif", iter(slabs), VoxelGrid((3, 3, 4), 1.0), np.uint8)
    with pytest.raises(TypeError):
        write_volume(tmp_path / "a.tif", iter([np.zeros((3, 3, 4))]), VoxelGrid((3, 3, 4), 1.0), np.uint8)
    assert list(tmp_path.iterdir()) == []


def test_compressed_pages_serve_several_threads(tmp_path: Path) -> None:
    values = np.arange(20 * 30 * 40, dtype=np.uint16).reshape(20, 30, 40)
    tifffile.imwrite(tmp_path / "a.tif", values, compression="zlib", photometric="minisblack")
    with TiffVolume(tmp_path / "a.tif") as reader, ThreadPoolExecutor(4) as pool:
        for z, region in enumerate(pool.map(lambda z: reader.read_region((z, 3, 5), (2, 20, 10)), range(18))):
            np.testing.assert_array_equal(region, values[z : z + 2, 3:23, 5:15])


@pytest.fixture(scope="module")
def valid_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return valid files of all kinds: ours, ImageJ's with its single page, OME, compressed, in strips."""
    place = tmp_path_factory.mktemp("tiff")
    values = np.random.default_rng(7).integers(0, 255, (4, 20, 30), np.uint8)
    write_volume(place / "own", iter([values]), VoxelGrid((4, 20, 30), 10.0), np.uint8)
    tifffile.imwrite(place / "imagej", values, imagej=True)
    tifffile.imwrite(place / "shaped", values, photometric="minisblack")
    tifffile.imwrite(place / "big", values, photometric="minisblack", bigtiff=True, metadata=None)
    tifffile.imwrite(place / "ome", values, ome=True)
    tifffile.imwrite(place / "zlib", values, photometric="minisblack", compression="zlib", rowsperstrip=7)
    return place


@settings(max_examples=250, deadline=None)
@given(kind=st.sampled_from(["own", "imagej", "shaped", "big", "ome", "zlib"]), cut=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused_with_a_clear_error(folder: Path, valid_files: Path, kind: str, cut: float) -> None:
    content = (valid_files / kind).read_bytes()
    length = int(cut * (len(content) - UNUSED_BYTES))
    (folder / "cut.tif").write_bytes(content[:length])
    with pytest.raises(UnreadableTomogramError), TiffVolume(folder / "cut.tif") as reader:
        reader.read_slices(0, 4)


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(["own", "imagej", "ome", "zlib"]),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    noise=st.binary(max_size=300),
)
def test_changed_and_random_bytes_cause_only_clear_errors(
    folder: Path, valid_files: Path, kind: str, changes: list[tuple[float, int]], noise: bytes
) -> None:
    content = bytearray((valid_files / kind).read_bytes())
    for place, byte in changes:
        content[int(place * min(len(content), 600))] = byte
    for candidate in (bytes(content), b"II*\0" + noise):
        (folder / "changed.tif").write_bytes(candidate)
        try:
            with TiffVolume(folder / "changed.tif") as reader:
                reader.read_slices(0, 1)
        except TomosegError:
            continue


@pytest.mark.parametrize("planes", [3, 4])
def test_three_or_four_masks_of_bytes_are_a_stack_not_colours(tmp_path: Path, planes: int) -> None:
    masks = np.arange(planes * 16 * 16, dtype=np.uint8).reshape(planes, 16, 16)
    path = tmp_path / "masks.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tifffile.imwrite(path, masks)
    assert np.array_equal(open_stack(path), masks)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dtype", ["i4", "u1"])
@pytest.mark.filterwarnings("ignore:.*are stored as RGB")
def test_labels_saved_by_napari_are_read(tmp_path: Path, count: int, dtype: str) -> None:
    """napari writes three or four labels as separate colour planes, compressed."""
    labels = np.random.default_rng(7).integers(0, 4, (count, 16, 24)).astype(dtype)
    tifffile.imwrite(tmp_path / "labels.tif", labels, compression="zlib", compressionargs={"level": 1})
    with TiffVolume(tmp_path / "labels.tif", flat=True) as reader:
        np.testing.assert_array_equal(reader.read_slices(0, count), labels)
        np.testing.assert_array_equal(reader.read_region((0, 3, 5), (1, 4, 6))[0], labels[0, 3:7, 5:11])


@pytest.mark.parametrize("count", [1, 3, 4, 5])
@pytest.mark.parametrize(("dtype", "is_imagej"), [("f4", True), ("u1", True), ("i4", False)])
def test_a_stack_for_fiji_and_napari_has_the_right_axes(
    tmp_path: Path,
    count: int,
    dtype: str,
    is_imagej: bool,  # noqa: FBT001
) -> None:
    images = np.arange(count * 16 * 24).reshape(count, 16, 24).astype(dtype)
    names = [f"tile {number}" for number in range(count)]
    write_stack(tmp_path / "a.tif", images, axes="TYX", voxel_size_angstrom=13.48, names=names)
    with tifffile.TiffFile(tmp_path / "a.tif") as written:
        assert written.is_imagej == is_imagej
        assert written.series[0].axes in {"TYX", "YX"}
        if is_imagej:
            assert written.imagej_metadata is not None
            assert written.imagej_metadata["Labels"] == (names if count > 1 else names[0])
    with TiffVolume(tmp_path / "a.tif", flat=True) as reader:
        np.testing.assert_array_equal(reader.read_slices(0, count), images)
        assert reader.grid.voxel_size_angstrom == (13.48 if is_imagej else 0)
