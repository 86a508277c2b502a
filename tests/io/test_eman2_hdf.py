"""EMAN2's HDF5 files: written by this program, and built entry by entry as by EMAN2."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import ShapeError, TomosegError, UnreadableTomogramError
from tomoseg_tui.io.eman2_hdf import (
    Attribute,
    Eman2Volume,
    read_image_stack,
    read_stack_headers,
    write_image_stack,
    write_volume,
)

SHAPES = st.tuples(st.integers(2, 5), st.integers(1, 6), st.integers(1, 7))
FLOATS = st.floats(-1e6, 1e6, width=32)


def eman_file(path: Path, images: list[NDArray[Any]], **attributes: float) -> Path:
    """Write a file as EMAN2 does, without the writer under test."""
    with h5py.File(path, "w") as file:
        group = file.create_group("MDF/images")
        group.attrs["imageid_max"] = np.array([len(images) - 1], np.int32)
        for index, image in enumerate(images):
            entry = group.create_group(str(index))
            entry["image"] = image
            for key, value in attributes.items():
                entry.attrs[f"EMAN.{key}"] = np.array([value], np.int32 if isinstance(value, int) else np.float32)
    return path


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=SHAPES)
def test_a_written_volume_is_read(folder: Path, data: st.DataObject, shape: tuple[int, int, int]) -> None:
    values = data.draw(arrays(np.float32, shape))
    origin = data.draw(st.tuples(FLOATS, FLOATS, FLOATS))
    grid = VoxelGrid(
        shape, data.draw(st.floats(0.1, 1000)), origin, data.draw(st.tuples(*[st.integers(-999, 999)] * 3))
    )
    cut = data.draw(st.integers(0, shape[0]))
    write_volume(folder / "law.hdf", iter([values[:cut], values[cut:]]), grid)
    with Eman2Volume(folder / "law.hdf") as reader:
        np.testing.assert_array_equal(reader.read_slices(0, shape[0]), values)
        assert reader.dtype == reader.read_slices(0, 1).dtype == np.float32
        assert reader.grid.voxel_size_angstrom == pytest.approx(grid.voxel_size_angstrom, rel=1e-6)
        assert reader.grid.origin_xyz_angstrom == grid.origin_xyz_angstrom
        assert reader.grid.nstart_xyz == grid.nstart_xyz
        assert reader.warnings == ()


@pytest.mark.parametrize("stored", ["u1", "i1", "u2", "i2", "f4", ">f4", "i4"])
def test_any_stored_type_is_read_unchanged(tmp_path: Path, ramp: NDArray[np.int16], stored: str) -> None:
    values = ramp.astype(stored)
    with Eman2Volume(eman_file(tmp_path / "a.hdf", [values], apix_x=13.48)) as reader:
        read = reader.read_slices(0, 5)
        assert read.dtype == reader.dtype == values.dtype.newbyteorder("=")
        assert read.dtype.isnative
        assert reader.grid.voxel_size_angstrom == 13.48
        np.testing.assert_array_equal(read, values)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), shape=SHAPES, bits=st.integers(1, 16), low=FLOATS, span=st.floats(1, 1e6, width=32))
def test_bit_reduced_densities_are_scaled_back_in_any_region(
    folder: Path, data: st.DataObject, shape: tuple[int, int, int], bits: int, low: float, span: float
) -> None:
    high = float(np.float32(low + span))
    raw = data.draw(arrays(np.uint8 if bits <= 8 else np.uint16, shape, elements=st.integers(0, 2**bits - 1)))
    path = eman_file(
        folder / "bits.hdf", [raw], stored_renderbits=bits, stored_rendermin=low, stored_rendermax=high, apix_x=10.0
    )
    expected = (raw / (2**bits - 1) * (high - low) + low).astype(np.float32)
    (z0, z1), (y0, y1), (x0, x1) = (sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in shape)
    with Eman2Volume(path) as reader:
        region = reader.read_region((z0, y0, x0), (z1 - z0, y1 - y0, x1 - x0))
        assert region.dtype == reader.dtype == np.float32
        np.testing.assert_array_equal(region, expected[z0:z1, y0:y1, x0:x1])
        assert reader.kind == f"EMAN2 HDF5, {bits}-bit reduced"


def test_integers_are_exact_in_eight_bits(tmp_path: Path) -> None:
    """EMAN2 stores integers with at most 256 values as min .. min + 255, so each of the 255 steps is 1."""
    raw = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    path = eman_file(tmp_path / "a.hdf", [raw], stored_renderbits=8, stored_rendermin=-100.0, stored_rendermax=155.0)
    with Eman2Volume(path) as reader:
        np.testing.assert_array_equal(reader.read_slices(0, 4), raw.astype(np.float32) - 100)


def test_with_zero_bits_densities_are_not_scaled(tmp_path: Path, ramp: NDArray[np.int16]) -> None:
    values = ramp.astype(np.float32)
    path = eman_file(tmp_path / "a.hdf", [values], stored_renderbits=0, stored_rendermin=0.0, stored_rendermax=1.0)
    with Eman2Volume(path) as reader:
        np.testing.assert_array_equal(reader.read_slices(0, 5), values)


def test_compressed_chunks_are_read_by_region(tmp_path: Path) -> None:
    values = np.arange(20 * 24 * 28, dtype=np.uint16).reshape(20, 24, 28)
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        file.create_dataset("MDF/images/0/image", data=values, chunks=(1, 8, 28), compression="gzip")
        file["MDF/images"].attrs["imageid_max"] = np.int32(0)
    with Eman2Volume(tmp_path / "a.hdf") as reader:
        np.testing.assert_array_equal(reader.read_region((3, 5, 7), (9, 11, 13)), values[3:12, 5:16, 7:20])


def test_without_apix_the_voxel_size_is_unknown(tmp_path: Path) -> None:
    with Eman2Volume(eman_file(tmp_path / "a.hdf", [np.zeros((2, 3, 4), np.float32)])) as reader:
        assert reader.grid.voxel_size_angstrom == 0


def test_anisotropic_voxels_are_reported(tmp_path: Path) -> None:
    path = eman_file(tmp_path / "a.hdf", [np.zeros((2, 3, 4), np.float32)], apix_x=10.0, apix_y=10.0, apix_z=12.0)
    with Eman2Volume(path) as reader:
        assert "10 x 10 x 12" in reader.warnings[0]


def test_further_volumes_are_reported(tmp_path: Path) -> None:
    with Eman2Volume(eman_file(tmp_path / "a.hdf", [np.zeros((2, 3, 4), np.float32)] * 2)) as reader:
        assert "2 volumes" in reader.warnings[0]


@settings(max_examples=20, deadline=None)
@given(data=st.data(), shape=st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 7)))
def test_a_written_stack_is_read(folder: Path, data: st.DataObject, shape: tuple[int, int, int]) -> None:
    images = data.draw(arrays(np.float32, shape))
    write_image_stack(folder / "stack.hdf", images, voxel_size_angstrom=10.0)
    np.testing.assert_array_equal(read_image_stack(folder / "stack.hdf"), images)


def test_a_bit_reduced_stack_is_scaled_back(tmp_path: Path) -> None:
    masks = [np.array([[0, 255], [255, 0]], np.uint8), np.zeros((2, 2), np.uint8)]
    path = eman_file(tmp_path / "a.hdf", masks, stored_renderbits=8, stored_rendermin=0.0, stored_rendermax=1.0)
    np.testing.assert_array_equal(read_image_stack(path), np.stack(masks) / 255)


def test_a_volume_is_a_stack_of_its_slices(tmp_path: Path, ramp: NDArray[np.int16]) -> None:
    np.testing.assert_array_equal(read_image_stack(eman_file(tmp_path / "a.hdf", [ramp])), ramp)


def test_images_of_different_shapes_are_refused(tmp_path: Path) -> None:
    path = eman_file(tmp_path / "a.hdf", [np.zeros((2, 3)), np.zeros((3, 3))])
    with pytest.raises(UnreadableTomogramError, match="images of shapes"):
        read_image_stack(path)


def test_header_entries_have_the_types_that_eman2_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf"
    attributes: list[dict[str, Attribute]] = [
        {"valid_set": 1, "score": 0.5, "source": "tömo.hdf", "good": True, "kernel": [15, 15], "x": [0.5, 1]}
    ]
    write_image_stack(path, np.ones((1, 4, 6)), voxel_size_angstrom=13.48, attributes=attributes)
    with h5py.File(path) as file:
        assert file["MDF/images"].attrs["imageid_max"].dtype == np.int32
        group = file["MDF/images/0"]
        attrs = group.attrs
        assert {
            key: attrs[f"EMAN.{key}"].dtype for key in ("nx", "is_complex", "valid_set", "kernel")
        } == dict.fromkeys(("nx", "is_complex", "valid_set", "kernel"), np.dtype(np.int32))
        assert {attrs[f"EMAN.{key}"].dtype for key in ("apix_x", "score", "x")} == {np.dtype(np.float32)}
        assert [int(attrs[f"EMAN.{key}"][0]) for key in ("nx", "ny", "nz", "datatype")] == [6, 4, 1, 7]
        assert attrs["EMAN.good"].dtype == np.int8
        assert attrs["EMAN.good"][0] == ord("T")
        assert group["image"].dtype == np.float32
        kind = h5py.h5a.open(group.id, b"EMAN.source").get_type()
        assert not kind.is_variable_str()
        assert kind.get_size() == len("tömo.hdf".encode()) + 1


def test_files_have_the_earliest_version_of_hdf5(tmp_path: Path) -> None:
    write_image_stack(tmp_path / "a.hdf", np.ones((1, 2, 2)), voxel_size_angstrom=1.0)
    assert (tmp_path / "a.hdf").read_bytes()[8] == 0, "version of the superblock"


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ShapeError):
        write_volume(tmp_path / "a.hdf", iter([np.zeros((2, 3, 4))]), VoxelGrid((3, 3, 4), 1.0))
    assert list(tmp_path.iterdir()) == []


def test_stacks_of_another_shape_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="expected"):
        write_image_stack(tmp_path / "a.hdf", np.zeros((3, 4)), voxel_size_angstrom=1.0)
    with pytest.raises(ShapeError, match="1 sets of attributes"):
        write_image_stack(tmp_path / "a.hdf", np.zeros((2, 3, 4)), voxel_size_angstrom=1.0, attributes=[{}])


def _eman1(file: Any) -> None:
    file.attrs["num_dataset"] = 1


def _foreign(file: Any) -> None:
    file["volume"] = np.zeros((2, 2, 2))


def _empty(file: Any) -> None:
    file.create_group("MDF/images").attrs["imageid_max"] = -1


def _without_densities(file: Any) -> None:
    file.create_group("MDF/images/0")


def _complex(file: Any) -> None:
    file["MDF/images/0/image"] = np.zeros((2, 2, 2))
    file["MDF/images/0"].attrs["EMAN.is_complex"] = 1


def _strings(file: Any) -> None:
    file["MDF/images/0/image"] = np.full((2, 2, 2), b"text")


def _line(file: Any) -> None:
    file["MDF/images/0/image"] = np.zeros(5)


def _stack(file: Any) -> None:
    for index in range(3):
        file[f"MDF/images/{index}/image"] = np.zeros((4, 4))


def _worded_apix(file: Any) -> None:
    file["MDF/images/0/image"] = np.zeros((2, 2, 2))
    file["MDF/images/0"].attrs["EMAN.apix_x"] = np.bytes_("ten")


@pytest.mark.parametrize(
    ("fill", "text"),
    [
        (_eman1, "EMAN1"),
        (_foreign, "not one of EMAN2"),
        (_empty, "without images"),
        (_without_densities, "HDF5 says"),
        (_complex, "Fourier"),
        (_strings, "expected real"),
        (_line, "expected"),
        (_stack, "stack of 3 two-dimensional images"),
        (_worded_apix, "HDF5 says"),
    ],
)
def test_hdf5_without_an_eman2_volume_is_refused_with_a_clear_error(
    tmp_path: Path, fill: Callable[[Any], None], text: str
) -> None:
    with h5py.File(tmp_path / "a.hdf", "w") as file:
        fill(file)
    with pytest.raises(UnreadableTomogramError, match=text) as caught:
        Eman2Volume(tmp_path / "a.hdf")
    assert caught.value.fix


def test_one_image_is_a_volume_only_with_flat(tmp_path: Path) -> None:
    path = eman_file(tmp_path / "a.hdf", [np.arange(6, dtype=np.float32).reshape(2, 3)])
    with pytest.raises(UnreadableTomogramError, match="one image"):
        Eman2Volume(path)
    with Eman2Volume(path, flat=True) as reader:
        assert reader.read_region((0, 1, 0), (1, 1, 3)).tolist() == [[[3, 4, 5]]]


@pytest.fixture(scope="module")
def valid_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hdf") / "valid.hdf"
    write_volume(path, iter([np.ones((4, 5, 6), np.float32)]), VoxelGrid((4, 5, 6), 10.0))
    return path


@settings(max_examples=60, deadline=None)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_refused_with_a_clear_error(folder: Path, valid_file: Path, cut: float) -> None:
    content = valid_file.read_bytes()
    (folder / "cut.hdf").write_bytes(content[: int(cut * len(content))])
    with pytest.raises(UnreadableTomogramError):
        Eman2Volume(folder / "cut.hdf")


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4))
def test_changed_bytes_cause_only_clear_errors(
    folder: Path, valid_file: Path, changes: list[tuple[float, int]]
) -> None:
    content = bytearray(valid_file.read_bytes())
    for place, byte in changes:
        content[int(place * len(content))] = byte
    (folder / "changed.hdf").write_bytes(content)
    try:
        with Eman2Volume(folder / "changed.hdf") as reader:
            reader.read_slices(0, 1)
    except TomosegError:
        return


def test_written_headers_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf"
    attributes: list[dict[str, Attribute]] = [
        {"ptcl_source_image": "tomograms/tömo.hdf", "ptcl_source_coord": [1.0, -2.5, 3.0], "valid_set": 1},
        {"ptcl_source_image": "", "score": 0.5},
    ]
    write_image_stack(path, np.ones((2, 4, 6)), voxel_size_angstrom=13.5, attributes=attributes)
    first, second = read_stack_headers(path)
    assert {key: first[key] for key in attributes[0]} == attributes[0]
    assert (first["nx"], first["ny"], first["nz"], first["apix_x"]) == (6, 4, 1, 13.5)
    assert (second["ptcl_source_image"], second["score"]) == ("", 0.5)
