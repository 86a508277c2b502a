"""Standard and deviating MRC files, built byte by byte from the format's fields."""

import os
import struct
import tracemalloc
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any, Literal

import mrcfile
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import ShapeError, TomogramError, TomosegError, UnreadableTomogramError
from tomoseg_tui.io.mrc import MrcReader, MrcWriter, copy_sparse

MODES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
CODES = sorted(MODES.values())
SHAPES = st.tuples(st.integers(2, 6), st.integers(1, 6), st.integers(1, 9))
FLOATS = st.floats(-1e6, 1e6, width=32)


def mrc_bytes(
    values: NDArray[Any],
    mode: int,
    *,
    order: Literal["<", ">"] = "<",
    stamp: bytes = b"DD\0\0",
    imod_flags: int | None = None,
    limits: tuple[float, float] = (0, -1),
    extended: bytes = b"",
    axes: tuple[int, int, int] = (1, 2, 3),
    space_group: int = 1,
    cell_xyz: Sequence[float] | None = None,
) -> bytes:
    """Build a file from MRC2014's table of fields, with voxel size 2 Å."""
    size_xyz = values.shape[::-1]
    head = bytearray(1024)

    def put(place: int, code: str, *values: float) -> None:
        struct.pack_into(f"{order}{len(values)}{code}", head, place, *values)

    put(0, "i", *size_xyz, mode, 0, 0, 0, *size_xyz)
    put(40, "f", *(cell_xyz or [2.0 * length for length in size_xyz]), 90, 90, 90)
    put(64, "i", *axes)
    put(76, "f", *limits, 0)
    put(88, "i", space_group, len(extended))
    if imod_flags is not None:
        put(152, "i", 1146047817, imod_flags)
    head[208:216] = b"MAP " + stamp
    return bytes(head) + extended + values.astype(values.dtype.newbyteorder(order)).tobytes()


def read_bytes(path: Path, content: bytes, **options: Any) -> NDArray[Any]:
    """Write content to a file and read the whole volume."""
    path.write_bytes(content)
    with MrcReader(path, **options) as reader:
        return reader.read_slices(0, reader.grid.shape_zyx[0])


@pytest.fixture
def ramp_file(tmp_path: Path, ramp: NDArray[np.int16], ramp_grid: VoxelGrid) -> Path:
    path = tmp_path / "ramp.mrc"
    with MrcWriter(path, ramp_grid, "i2") as writer:
        writer.write_slices(0, ramp)
    return path


@settings(max_examples=60, deadline=None)
@given(data=st.data(), code=st.sampled_from(CODES), shape=SHAPES)
def test_a_written_file_is_read(folder: Path, data: st.DataObject, code: str, shape: tuple[int, int, int]) -> None:
    values = data.draw(arrays(code, shape))
    grid = VoxelGrid(
        shape,
        data.draw(st.floats(0.1, 1000)),
        data.draw(st.tuples(FLOATS, FLOATS, FLOATS)),
        data.draw(st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 3)),
    )
    path = folder / "law.mrc"
    with MrcWriter(path, grid, code) as writer:
        writer.write_slices(0, values)
    with MrcReader(path) as reader:
        np.testing.assert_array_equal(reader.read_slices(0, shape[0]), values)
        assert reader.dtype == reader.read_slices(0, 1).dtype == values.dtype
        assert reader.grid.voxel_size_angstrom == pytest.approx(grid.voxel_size_angstrom, rel=1e-6)
        assert reader.grid.origin_xyz_angstrom == grid.origin_xyz_angstrom
        assert reader.grid.nstart_xyz == grid.nstart_xyz
        assert reader.grid.shape_zyx == shape
        assert reader.warnings == ()


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    mode=st.sampled_from(sorted(MODES)),
    order=st.sampled_from("<>"),
    stamp=st.sampled_from([b"DD\0\0", b"DA\0\0", b"\x11\x11\0\0", b"\0\0\0\0", b"\xff\xff\xff\xff"]),
    shape=SHAPES,
)
def test_the_byte_order_is_found_with_any_machine_stamp(
    folder: Path, data: st.DataObject, mode: int, order: Literal["<", ">"], stamp: bytes, shape: tuple[int, int, int]
) -> None:
    values = data.draw(arrays(MODES[mode], shape))
    read = read_bytes(folder / "order.mrc", mrc_bytes(values, mode, order=order, stamp=stamp))
    assert read.dtype == values.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, values)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), shape=st.tuples(*[st.integers(1, 12)] * 3), code=st.sampled_from([">i2", "<f4", "i1"]))
def test_any_region_equals_slicing(folder: Path, data: st.DataObject, shape: tuple[int, int, int], code: str) -> None:
    values = np.arange(np.prod(shape)).astype(code).reshape(shape)
    mode = {"i2": 1, "f4": 2, "i1": 0}[code[-2:]]
    path = folder / "region.mrc"
    path.write_bytes(mrc_bytes(values, mode, order=">" if code == ">i2" else "<", extended=b"x" * 33))
    bounds = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in shape]
    (z0, z1), (y0, y1), (x0, x1) = bounds
    with MrcReader(path, flat=True) as reader:
        region = reader.read_region((z0, y0, x0), (z1 - z0, y1 - y0, x1 - x0))
    np.testing.assert_array_equal(region, values[z0:z1, y0:y1, x0:x1])


def test_any_written_region_is_at_its_position(tmp_path: Path, ramp: NDArray[np.int16], ramp_grid: VoxelGrid) -> None:
    path = tmp_path / "blocks.mrc"
    MrcWriter(path, ramp_grid, np.int16).close()
    for z, y, x in product((0, 3), (0, 4), (0, 2)):
        with MrcWriter.reopen(path) as writer:
            writer.write_region((z, y, x), ramp[z : z + 3, y : y + 4, x : x + 5])
    with MrcReader(path) as reader:
        np.testing.assert_array_equal(reader.read_slices(0, 5), ramp)


def test_mrcfile_reads_and_validates_a_written_file(
    tmp_path: Path, ramp: NDArray[np.int16], ramp_grid: VoxelGrid
) -> None:
    for code in CODES:
        path = tmp_path / f"{code}.mrc"
        values = (ramp // 8).astype(code)  # small, because mrcfile sums in the file's type
        as_float = values.astype(np.float64)
        writer = MrcWriter(path, ramp_grid, code, title="A ramp")
        writer.write_slices(0, values)
        writer.close(minimum=as_float.min(), maximum=as_float.max(), mean=as_float.mean(), rms=as_float.std())
        output = StringIO()
        assert mrcfile.validate(path, print_file=output), output.getvalue()
        with mrcfile.open(path) as other:
            np.testing.assert_array_equal(other.data, values)
            assert other.voxel_size.x == pytest.approx(13.48)
            assert (other.header.origin.x, other.header.nystart) == (-100.5, -2)
            assert other.header.rms == pytest.approx(as_float.std())
            assert other.get_labels() == ["A ramp"]


def test_mrcfile_validates_a_file_without_statistics(ramp_file: Path) -> None:
    assert mrcfile.validate(ramp_file, print_file=StringIO())


def test_a_file_written_by_mrcfile_is_read(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.int8).reshape(2, 3, 4) - 12
    with mrcfile.new(tmp_path / "other.mrc") as other:
        other.set_data(values)
        other.voxel_size = 10.52
    with MrcReader(tmp_path / "other.mrc") as reader:
        np.testing.assert_array_equal(reader.read_slices(0, 2), values)
        assert reader.grid.voxel_size_angstrom == 10.52


def test_signed_bytes_carry_the_stamp_of_imod(tmp_path: Path) -> None:
    MrcWriter(tmp_path / "map.mrc", VoxelGrid((2, 2, 2), 10.0), np.int8).close()
    head = (tmp_path / "map.mrc").read_bytes()
    assert struct.unpack_from("<ii", head, 152) == (1146047817, 1)
    assert struct.unpack_from("<i", head, 108) == (20141,)
    assert head[208:216] == b"MAP DD\0\0"


@pytest.mark.parametrize(
    ("options", "byte_sign", "expected"),
    [
        ({}, None, "int8"),
        ({"limits": (141.0, 163.0)}, None, "uint8"),
        ({"limits": (0.0, 128.0)}, None, "uint8"),
        ({"limits": (0.0, 127.0)}, None, "int8"),
        ({"limits": (-1.0, 200.0)}, None, "int8"),
        ({"imod_flags": 0}, None, "uint8"),
        ({"imod_flags": 1}, None, "int8"),
        ({"imod_flags": 1 | 4, "limits": (0.0, 200.0)}, None, "int8"),
        ({"imod_flags": 4, "limits": (-5.0, 5.0)}, None, "uint8"),
        ({"imod_flags": 1}, "unsigned", "uint8"),
        ({"limits": (141.0, 163.0)}, "signed", "int8"),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_sign_of_bytes_is_that_of_the_user_else_imod_else_the_range(
    tmp_path: Path, options: dict[str, Any], byte_sign: Any, expected: str, order: Literal["<", ">"]
) -> None:
    values = np.array([[[1, 150]], [[255, 0]]], np.uint8)
    read = read_bytes(tmp_path / "bytes.mrc", mrc_bytes(values, 0, order=order, **options), byte_sign=byte_sign)
    assert read.dtype == expected
    np.testing.assert_array_equal(read, values.view(expected))


def test_bytes_without_any_hint_are_read_as_signed_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(np.zeros((2, 2, 2), np.int8), 0))
    with MrcReader(tmp_path / "a.mrc") as reader:
        assert reader.kind == "MRC mode 0, signed bytes"
        assert "--bytes unsigned" in reader.warnings[0]


@pytest.mark.parametrize(
    ("mode", "text"), [(3, "complex"), (4, "complex"), (16, "red"), (101, "4-bit"), (7, "does not exist")]
)
def test_modes_without_densities_are_refused_by_name(tmp_path: Path, mode: int, text: str) -> None:
    with pytest.raises(UnreadableTomogramError, match=text) as caught:
        read_bytes(tmp_path / "a.mrc", mrc_bytes(np.zeros((2, 2, 2), np.float32), mode))
    assert caught.value.fix


def test_bytes_that_pack_two_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTomogramError, match="4 bits"):
        read_bytes(tmp_path / "a.mrc", mrc_bytes(np.zeros((2, 2, 2), np.int8), 0, imod_flags=16))


@pytest.mark.parametrize("axes", [(1, -2, 3), (0, 1, 2), (1, 1, 3)])
def test_axes_without_an_order_are_refused_with_a_clear_error(tmp_path: Path, axes: tuple[int, int, int]) -> None:
    with pytest.raises(UnreadableTomogramError, match="mapc, mapr, maps"):
        read_bytes(tmp_path / "a.mrc", mrc_bytes(np.zeros((2, 2, 2), np.int16), 1, axes=axes))


def test_axes_left_0_count_as_in_order(tmp_path: Path, ramp: NDArray[np.int16]) -> None:
    np.testing.assert_array_equal(read_bytes(tmp_path / "a.mrc", mrc_bytes(ramp, 1, axes=(0, 0, 0))), ramp)


def test_a_stack_of_volumes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTomogramError, match="stack of 1 volumes"):
        read_bytes(tmp_path / "a.mrc", mrc_bytes(np.zeros((2, 2, 2), np.int16), 1, space_group=401))


def test_one_image_is_refused_unless_flat_is_set(tmp_path: Path) -> None:
    content = mrc_bytes(np.ones((1, 4, 3), np.int16), 1, space_group=0, cell_xyz=(6.0, 8.0, float("inf")))
    with pytest.raises(UnreadableTomogramError, match="one image, not a volume"):
        read_bytes(tmp_path / "a.mrc", content)
    assert read_bytes(tmp_path / "a.mrc", content, flat=True).shape == (1, 4, 3)


def test_a_cell_with_unequal_edges_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(np.ones((2, 2, 2), np.int16), 1, cell_xyz=(4.0, 4.0, 5.0)))
    with MrcReader(tmp_path / "a.mrc") as reader:
        assert reader.grid.voxel_size_angstrom == 2.0
        assert "2 x 2 x 2.5 Å" in reader.warnings[0]


def test_with_an_empty_cell_the_voxel_size_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(np.ones((2, 2, 2), np.int16), 1, cell_xyz=(0.0, 0.0, 0.0)))
    with MrcReader(tmp_path / "a.mrc") as reader:
        assert reader.grid.voxel_size_angstrom == 0


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True), code=st.sampled_from(["i1", "f4"]))
def test_a_truncated_file_is_refused_with_a_clear_error(folder: Path, cut: float, code: str) -> None:
    content = mrc_bytes(np.ones((3, 4, 5), code), 0 if code == "i1" else 2, extended=bytes(80))
    length = int(cut * len(content))
    assume(length != len(content) - 80)  # this long it is whole, but without its extended header
    with pytest.raises(UnreadableTomogramError, match=f"{length}") as caught:
        read_bytes(folder / "cut.mrc", content[:length])
    assert caught.value.fix


def test_a_header_without_densities_is_refused(tmp_path: Path) -> None:
    content = mrc_bytes(np.ones((3, 4, 5), np.int16), 1, extended=bytes(1024))
    with pytest.raises(UnreadableTomogramError, match="header without densities: 2168 bytes expected, 2048 found"):
        read_bytes(tmp_path / "a.mrc", content[:2048])


def test_a_file_that_shrinks_while_it_is_open_is_refused(ramp_file: Path) -> None:
    with MrcReader(ramp_file) as reader:
        os.truncate(ramp_file, 1100)
        with pytest.raises(UnreadableTomogramError, match="is truncated"):
            reader.read_slices(0, 5)


def test_bytes_after_the_densities_are_reported(tmp_path: Path, ramp: NDArray[np.int16]) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(ramp, 1) + b"12345")
    with MrcReader(tmp_path / "a.mrc") as reader:
        assert "5 bytes more" in reader.warnings[0]


@pytest.mark.parametrize("promised", [3200, 267, 1, -5, 2**31 - 1])
def test_an_extended_header_that_is_missing_is_reported(tmp_path: Path, ramp: NDArray[np.int16], promised: int) -> None:
    content = bytearray(mrc_bytes(ramp, 1))
    struct.pack_into("<i", content, 92, promised)
    (tmp_path / "a.mrc").write_bytes(content)
    with MrcReader(tmp_path / "a.mrc") as reader:
        assert f"promises an extended header of {promised} bytes" in reader.warnings[0]
        np.testing.assert_array_equal(reader.read_slices(0, len(ramp)), ramp)


@pytest.mark.parametrize(("extra", "warnings"), [(0, 0), (1000, 1)])
def test_an_extended_header_of_odd_length_is_skipped(
    tmp_path: Path, ramp: NDArray[np.int16], extra: int, warnings: int
) -> None:
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(ramp, 1, extended=b"x" * 267) + bytes(extra))
    with MrcReader(tmp_path / "a.mrc") as reader:
        assert len(reader.warnings) == warnings
        np.testing.assert_array_equal(reader.read_slices(0, len(ramp)), ramp)


@pytest.mark.parametrize("size", [(0, 4, 4), (-1, 4, 4), (4, 4, 2**30)])
def test_impossible_sizes_are_refused(tmp_path: Path, size: tuple[int, int, int]) -> None:
    content = bytearray(mrc_bytes(np.ones((4, 4, 4), np.int16), 1))
    struct.pack_into("<3i", content, 0, *size)
    with pytest.raises(UnreadableTomogramError, match="header is damaged"):
        read_bytes(tmp_path / "a.mrc", bytes(content))


def test_an_extended_header_of_negative_length_is_refused(tmp_path: Path) -> None:
    content = bytearray(mrc_bytes(np.ones((4, 4, 4), np.int16), 1))
    struct.pack_into("<i", content, 92, -5)
    content += bytes(3)
    with pytest.raises(UnreadableTomogramError, match="extended part"):
        read_bytes(tmp_path / "a.mrc", bytes(content))


@settings(max_examples=150, deadline=None)
@given(data=st.data(), content=st.binary(max_size=1400))
def test_random_bytes_cause_only_clear_errors(folder: Path, data: st.DataObject, content: bytes) -> None:
    valid = bytearray(mrc_bytes(np.ones((3, 4, 5), np.int16), 1))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), max_size=6)):
        valid[place] = byte
    faults: list[TomosegError] = []
    for candidate in (content, bytes(valid)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                read_bytes(folder / "random.mrc", candidate)
        except TomosegError as fault:
            faults.append(fault)
    assert all(fault.fault and fault.fix for fault in faults)


def test_a_reader_serves_several_threads(tmp_path: Path) -> None:
    values = np.arange(40 * 50 * 60, dtype=np.float32).reshape(40, 50, 60)
    (tmp_path / "a.mrc").write_bytes(mrc_bytes(values, 2))
    with MrcReader(tmp_path / "a.mrc") as reader, ThreadPoolExecutor(4) as pool:
        regions = pool.map(lambda z: reader.read_region((z, 3, 5), (2, 40, 10)), range(38))
        for z, region in enumerate(regions):
            np.testing.assert_array_equal(region, values[z : z + 2, 3:43, 5:15])


def test_a_region_of_a_large_file_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.mrc"
    MrcWriter(path, VoxelGrid((64, 2048, 2048), 10.0), np.float32).close()
    with MrcReader(path) as reader:
        tracemalloc.start()
        reader.read_region((3, 100, 100), (40, 64, 64))
        reader.read_region((3, 100, 100), (2, 64, 1000))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 3 * 64 * 2048 * 4


def test_a_new_file_has_its_length_but_uses_no_disk_space(tmp_path: Path) -> None:
    path = tmp_path / "sparse.mrc"
    with MrcWriter(path, VoxelGrid((64, 512, 512), 10.0), np.int8) as writer:
        writer.write_slices(30, np.ones((1, 512, 512), np.int8))
        writer.sync()
    status = path.stat()
    assert status.st_size == 1024 + 64 * 512 * 512
    assert status.st_blocks * 512 < status.st_size / 8


def test_a_copy_keeps_holes_and_bytes(tmp_path: Path) -> None:
    path, copy = tmp_path / "sparse.mrc", tmp_path / "copy.mrc"
    with MrcWriter(path, VoxelGrid((64, 512, 512), 10.0), np.int8) as writer:
        writer.write_slices(30, np.full((1, 512, 512), 7, np.int8))
    copy_sparse(path, copy)
    assert copy.read_bytes() == path.read_bytes()
    assert copy.stat().st_blocks <= path.stat().st_blocks + 64


@given(content=st.binary(max_size=300))
@settings(max_examples=20, deadline=None)
def test_a_copy_of_a_file_without_holes_is_equal(folder: Path, content: bytes) -> None:
    (folder / "source").write_bytes(content)
    copy_sparse(folder / "source", folder / "target")
    assert (folder / "target").read_bytes() == content


def test_values_that_would_be_clipped_are_refused(tmp_path: Path) -> None:
    with MrcWriter(tmp_path / "a.mrc", VoxelGrid((2, 2, 2), 1.0), np.int8) as writer:
        with pytest.raises(TypeError, match="round and clip"):
            writer.write_slices(0, np.ones((1, 2, 2), np.float32))
        with pytest.raises(ShapeError):
            writer.write_slices(0, np.ones((1, 2, 3), np.int8))
        with pytest.raises(ShapeError):
            writer.write_region((1, 1, 1), np.ones((2, 1, 1), np.int8))


def test_a_type_without_a_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="float64"):
        MrcWriter(tmp_path / "a.mrc", VoxelGrid((2, 2, 2), 1.0), np.float64)
    assert not (tmp_path / "a.mrc").exists()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(TomogramError, match="missing"):
        MrcWriter(tmp_path / "missing" / "a.mrc", VoxelGrid((2, 2, 2), 1.0), np.int8)


def test_a_reopened_file_has_its_grid_and_type(ramp_file: Path, ramp_grid: VoxelGrid) -> None:
    with MrcWriter.reopen(ramp_file) as writer:
        assert (writer.grid, writer.dtype, writer.path) == (ramp_grid, np.dtype(np.int16), ramp_file)


def test_a_truncated_file_is_not_reopened(ramp_file: Path) -> None:
    os.truncate(ramp_file, 1100)
    with pytest.raises(UnreadableTomogramError, match="is truncated"):
        MrcWriter.reopen(ramp_file)


def test_a_closed_reader_raises_an_error(ramp_file: Path) -> None:
    reader = MrcReader(ramp_file)
    reader.close()
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read_slices(0, 1)


def test_a_copy_reports_its_progress(ramp_file: Path, tmp_path: Path) -> None:
    progress: list[float] = []
    copy_sparse(ramp_file, tmp_path / "copy.mrc", progress.append)
    assert progress == [1.0]
