"""Import: what is accepted, what is refused, and that a refusal leaves the project unchanged."""

import bz2
import gzip
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.cli_runner import Run, Tomoseg, digest_of, interrupt, noise, write_mrc
from PIL import Image

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.io import eman2_hdf
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project.catalog import Project

Door = Callable[..., Run]


def _header(size_xyz: tuple[int, int, int], mode: int = 2, order: str = "<", cell: float = 10.0) -> bytearray:
    """Return the 1024 bytes of a minimal MRC header, built from the specification."""
    head = bytearray(1024)
    struct.pack_into(f"{order}10i", head, 0, *size_xyz, mode, 0, 0, 0, *size_xyz)
    struct.pack_into(f"{order}3f", head, 40, *(cell * n for n in size_xyz))
    struct.pack_into(f"{order}3f", head, 52, 90, 90, 90)
    struct.pack_into(f"{order}3i", head, 64, 1, 2, 3)
    head[208:216] = b"MAP " + (b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0")
    return head


def _ends_early(folder: Path) -> Path:
    whole = write_mrc(folder / "cut.mrc", noise((4, 64, 64)))
    whole.write_bytes(whole.read_bytes()[:-1000])
    return whole


def _promises_more(folder: Path) -> Path:
    path = folder / "promise.mrc"
    path.write_bytes(bytes(_header((512, 512, 100))) + bytes(512 * 512 * 4))
    return path


def _only_nan(folder: Path) -> Path:
    return write_mrc(folder / "void.mrc", np.full((3, 64, 64), np.nan, np.float32))


def _one_image(folder: Path) -> Path:
    return write_mrc(folder / "image.mrc", noise((1, 64, 64)))


def _text(folder: Path) -> Path:
    path = folder / "notes.mrc"
    path.write_text("Grid 3, square 5: good ice.\n" * 99)
    return path


def _empty(folder: Path) -> Path:
    path = folder / "empty.mrc"
    path.touch()
    return path


def _folder(folder: Path) -> Path:
    path = folder / "tomograms.mrc"
    path.mkdir()
    return path


def _picture(folder: Path) -> Path:
    path = folder / "slice.png"
    Image.new("L", (64, 64)).save(path)
    return path


def _missing(folder: Path) -> Path:
    return folder / "nowhere.mrc"


def _voxel_size_0(folder: Path) -> Path:
    return write_mrc(folder / "scale.mrc", noise(), voxel_size=0.0)


def _voxel_size_1(folder: Path) -> Path:
    return write_mrc(folder / "scale.mrc", noise(), voxel_size=1.0)


def _cut_archive(folder: Path) -> Path:
    path = folder / "cell.rec.gz"
    path.write_bytes(gzip.compress(write_mrc(folder / "plain.mrc", noise()).read_bytes())[:-500])
    return path


def _hdf_of_somebody_else(folder: Path) -> Path:
    path = folder / "data.hdf"
    with h5py.File(path, "w") as file:
        file["densities"] = noise()
    return path


@pytest.mark.parametrize(
    ("make", "output", "advised"),
    [
        (_ends_early, "cut.mrc is truncated", "Copy the file from its source again"),
        (_promises_more, "promise.mrc is truncated", "Copy the file from its source again"),
        (_only_nan, "all values are NaN", "Export it again"),
        (_one_image, "one image, not a volume", "tomogram"),
        (_text, "is a text file", "MRC"),
        (_empty, "is empty", "Copy the file from its source again"),
        (_folder, "is a folder", "Name the files in it"),
        (_picture, "slice.png", "MRC"),
        (_missing, "does not exist", "Check the name"),
        (_voxel_size_0, "voxel size 0", "--voxel-size"),
        (_voxel_size_1, "voxel size 1", "--voxel-size 1 if it really is 1"),
        (_cut_archive, "truncated archive", "Copy the file from its source again"),
        (_hdf_of_somebody_else, "data.hdf", ""),
    ],
)
def test_an_unusable_file_is_refused_and_the_project_is_unchanged(
    tomoseg: Tomoseg, tmp_path: Path, make: Callable[[Path], Path], output: str, advised: str
) -> None:
    err = tomoseg.refused("import", make(tmp_path))
    first, second = err.splitlines()[:2]
    assert output in first
    assert first.startswith("tomoseg: ")
    assert advised in second


def test_a_name_in_use_is_refused(tomoseg: Tomoseg, cell: Path) -> None:
    tomoseg("import", cell)
    err = tomoseg.refused("import", cell)
    assert "The name cell is taken." in err
    assert "--name" in err
    tomoseg("import", cell, "--name", "again")


def test_a_voxel_size_of_1_is_accepted_from_the_user(door: Door, tmp_path: Path) -> None:
    done = door("import", write_mrc(tmp_path / "a.mrc", noise(), voxel_size=1.0), "--voxel-size", 1, "--json")
    assert done.json[0]["voxel_size_angstrom"] == 1.0
    door("import", write_mrc(tmp_path / "b.mrc", noise(), voxel_size=0.0), "--voxel-size", 13.48)
    listed = {row["name"]: row["voxel_size_angstrom"] for row in door("tomograms", "--json").json}
    assert listed == {"a": 1.0, "b": 13.48}


@pytest.mark.parametrize("size", ["0", "-3", "nan", "inf", "ten"])
def test_an_invalid_voxel_size_is_refused(refused: Callable[..., str], cell: Path, size: str) -> None:
    assert "is not a number above 0" in refused("import", cell, f"--voxel-size={size}")


@pytest.mark.parametrize("option", [("--bin", "2"), ("--invert",)])
def test_a_link_cannot_change_densities(refused: Callable[..., str], cell: Path, option: tuple[str, ...]) -> None:
    assert "Leave --link out" in refused("import", cell, "--link", *option)


def test_a_link_to_an_archive_is_refused(refused: Callable[..., str], cell: Path) -> None:
    packed = cell.with_name("packed.mrc.gz")
    packed.write_bytes(gzip.compress(cell.read_bytes()))
    assert "is compressed and cannot be linked" in refused("import", packed, "--link")


def test_several_files_are_imported_together_or_not_at_all(
    refused: Callable[..., str], door: Door, tmp_path: Path
) -> None:
    good = [write_mrc(tmp_path / f"{name}.mrc", noise()) for name in "ab"]
    assert "cut.mrc" in refused("import", *good, _ends_early(tmp_path))
    (tmp_path / "other").mkdir()
    twin = write_mrc(tmp_path / "other" / "a.mrc", noise())
    assert "The name a is taken" in refused("import", *good, twin)
    assert "--name gives one name" in refused("import", *good, "--name", "c")
    assert len(door("import", *good, "--json").json) == 2


def test_a_copy_is_identical_to_the_file(door: Door, project: Project, cell: Path) -> None:
    door("import", cell)
    assert (project.layout.tomogram_folder("cell") / "cell.mrc").read_bytes() == cell.read_bytes()


def test_a_linked_file_is_not_moved_and_its_loss_is_reported(
    door: Door, refused: Callable[..., str], cell: Path
) -> None:
    row = door("import", cell, "--link", "--json").json[0]
    assert row["path"] == str(cell)
    assert row["linked"] is True
    cell.unlink()
    err = refused("show", "cell")
    assert "The file of tomogram cell is missing" in err
    assert str(cell) in err
    assert door("tomograms", "--json").json[0]["name"] == "cell"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("lamella 3.rec", "lamella_3"),
        ("TS_01.mrc.gz", "TS_01"),
        ("TS.01.MAP.bz2", "TS.01"),
        ("cell.st", "cell"),
        ("cell.ali", "cell"),
        ("zellkörper#2.mrc", "zellk_rper_2"),
        ("-p.mrc", "p"),
        ("..hidden.mrc", "hidden"),
        ("data.v2.dat", "data.v2.dat"),
    ],
)
def test_a_tomogram_gets_the_name_of_its_file(door: Door, tmp_path: Path, file: str, name: str) -> None:
    content = write_mrc(tmp_path / "x.mrc", noise()).read_bytes()
    packers: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress}
    packer = packers.get(Path(file).suffix, bytes)
    (tmp_path / file).write_bytes(packer(content))
    done = door("import", "--json", "--", tmp_path / file)
    assert done.json[0]["name"] == name
    odd = any(character in file for character in " ö#") or file[0] in "-."
    assert (f"{file} is named {name} in the project" in done.err) is odd


@pytest.mark.parametrize("name", ["", ".x", "a b", "a/b", "ä", "x" * 101, "-x", "../x"])
def test_a_name_with_other_characters_is_refused(refused: Callable[..., str], cell: Path, name: str) -> None:
    assert "cannot be the name of a tomogram" in refused("import", cell, f"--name={name}")


def test_an_imported_version_gets_the_name_of_its_file_even_if_binned(door: Door, cell: Path) -> None:
    row = door("import", cell, "--bin", 2, "--json").json[0]
    assert row["name"] == "cell"
    assert (row["shape_zyx"], row["voxel_size_angstrom"], row["binned"]) == ([4, 64, 64], 20.0, 2)
    with open_volume(Path(row["path"])) as binned, open_volume(cell) as whole:
        cube = whole.read_region((2, 4, 6), (2, 2, 2)).astype(np.float64)
        assert binned.read_region((1, 2, 3), (1, 1, 1)).item() == pytest.approx(cube.mean(), abs=1e-5)
        assert binned.grid.origin_xyz_angstrom == whole.grid.origin_xyz_angstrom


def test_inverting_changes_the_densities_and_the_record(door: Door, cell: Path) -> None:
    row = door("import", cell, "--invert", "--json").json[0]
    assert row["polarity"] == "bright"
    with open_volume(Path(row["path"])) as turned, open_volume(cell) as whole:
        np.testing.assert_array_equal(turned.read_slices(0, 8), -whole.read_slices(0, 8).astype(np.float32))


def test_polarity_is_declared_and_dark_by_default(door: Door, cell: Path) -> None:
    assert door("import", cell, "--json").json[0]["polarity"] == "dark"
    assert door("import", cell, "--name", "b", "--polarity", "bright", "--json").json[0]["polarity"] == "bright"


def test_a_volume_smaller_than_a_tile_is_imported_with_a_warning(door: Door, tmp_path: Path) -> None:
    done = door("import", write_mrc(tmp_path / "small.mrc", noise((6, 40, 80))))
    assert "small.mrc is smaller than a tile: (6, 40, 80) voxels (z, y, x)" in done.err


def test_a_flat_volume_and_a_volume_with_nan_are_imported_with_warnings(door: Door, tmp_path: Path) -> None:
    done = door("import", write_mrc(tmp_path / "flat.mrc", np.full((4, 64, 64), 3, np.int16)), "--json")
    assert "sigma is taken as 1" in done.err
    assert (done.json[0]["mean"], done.json[0]["sigma"]) == (3.0, 1.0)
    holes = noise().astype(np.float32)
    expected = float(holes[1:].mean(dtype=np.float64))
    holes[0] = np.nan
    done = door("import", write_mrc(tmp_path / "holes.mrc", holes), "--json")
    assert "NaN or infinity, which count as the mean" in done.err
    assert done.json[0]["mean"] == pytest.approx(expected)


def _bytes_file(path: Path, low: float, high: float) -> Path:
    head = _header((64, 64, 4), mode=0)
    struct.pack_into("<3f", head, 76, low, high, (low + high) / 2)
    path.write_bytes(bytes(head) + bytes([10, 200]) * (64 * 64 * 2))
    return path


def test_unsigned_bytes_are_detected_from_the_header_and_can_be_overridden(door: Door, tmp_path: Path) -> None:
    reported = door("import", _bytes_file(tmp_path / "told.mrc", 10, 200), "--json").json[0]
    assert (reported["type"], reported["mean"]) == ("MRC mode 0, unsigned bytes", 105.0)
    signed = door("import", _bytes_file(tmp_path / "signed.mrc", -56, 10), "--json").json[0]
    assert (signed["type"], signed["mean"]) == ("MRC mode 0, signed bytes", -23.0)
    forced = door("import", _bytes_file(tmp_path / "forced.mrc", -56, 10), "--bytes", "unsigned", "--json").json[0]
    assert forced["mean"] == 105.0
    assert door("show", "forced", "--json").json["maximum"] == 200.0


def test_a_big_endian_file_with_an_extended_header_keeps_its_values(door: Door, tmp_path: Path) -> None:
    head = _header((64, 64, 3), mode=1, order=">")
    struct.pack_into(">i", head, 92, 256)
    values = np.arange(3 * 64 * 64, dtype=">i2").reshape(3, 64, 64)
    (tmp_path / "big.rec").write_bytes(bytes(head) + bytes(256) + values.tobytes())
    row = door("import", tmp_path / "big.rec", "--json").json[0]
    assert row["voxel_size_angstrom"] == 10.0
    with open_volume(Path(row["path"])) as volume:
        np.testing.assert_array_equal(volume.read_slices(0, 3), values.astype(np.int16))


def test_plain_and_bit_reduced_eman2_volumes_are_imported(door: Door, tmp_path: Path) -> None:
    values = noise().astype(np.float32)
    eman2_hdf.write_volume(tmp_path / "plain.hdf", iter([values]), VoxelGrid(values.shape, 12.5, (1.0, 2.0, 3.0)))
    row = door("import", tmp_path / "plain.hdf", "--json").json[0]
    assert (row["voxel_size_angstrom"], row["origin_angstrom"]) == (12.5, [1.0, 2.0, 3.0])
    with h5py.File(tmp_path / "bits.hdf", "w") as file:
        group = file.create_group("MDF/images/0")
        file["MDF/images"].attrs["imageid_max"] = np.int32(0)
        group["image"] = np.arange(256, dtype=np.uint8).repeat(4 * 64 * 64 // 256).reshape(4, 64, 64)
        for key, value in (("stored_renderbits", 8), ("stored_rendermin", -2.0), ("stored_rendermax", 2.0)):
            group.attrs[f"EMAN.{key}"] = np.float32(value) if isinstance(value, float) else np.int32(value)
        for axis, length in zip("xyz", (64, 64, 4), strict=True):
            group.attrs[f"EMAN.apix_{axis}"] = np.float32(6.8)
            group.attrs[f"EMAN.n{axis}"] = np.int32(length)
    done = door("import", tmp_path / "bits.hdf", "--json")
    assert done.json[0]["voxel_size_angstrom"] == pytest.approx(6.8)
    seen = door("show", "bits", "--z", 3, "--json").json
    assert seen["maximum"] == pytest.approx(2.0, abs=1e-5)


def test_compressed_files_are_unpacked(door: Door, project: Project, cell: Path) -> None:
    for suffix, packer in ((".gz", gzip.compress), (".bz2", bz2.compress)):
        packed = cell.with_name(f"packed{suffix[1:]}.rec{suffix}")
        packed.write_bytes(packer(cell.read_bytes()))
        row = door("import", packed, "--json").json[0]
        assert Path(row["path"]).read_bytes() == cell.read_bytes()
        assert Path(row["path"]).suffix == ".rec"


def test_linking_sixteen_gigabytes_takes_seconds_and_little_memory(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "huge.mrc"
    with path.open("wb") as file:
        file.write(_header((4096, 4096, 1000), mode=0))
        file.truncate(1024 + 4096 * 4096 * 1000)
    script = (
        "import sys\nfrom tomoseg_tui.cli.main import run\n"
        f"code = run(['import', {str(path)!r}, '--link'])\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project.layout.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sigma is taken as 1" in done.stderr
    assert int(done.stdout) < 500_000  # kB: numpy and friends, and one band of slices


def test_a_full_disk_leaves_no_incomplete_tomogram(project: Project, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "large.mrc", noise((40, 256, 256)))
    before = digest_of(project.layout.root)

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    for options in ([], ["--invert"]):
        done = subprocess.run(
            [sys.executable, "-m", "tomoseg_tui", "import", str(path), *options],
            cwd=project.layout.root,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=small_disk,
        )
        assert done.returncode == 2, done.stderr
        assert "Disk full: " in done.stderr
        assert digest_of(project.layout.root) == before


def test_ctrl_c_exits_with_130_and_leaves_the_project_unchanged(tomoseg: Tomoseg, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "large.mrc", noise((2, 64, 64)))
    head = bytearray(path.read_bytes()[:1024])
    struct.pack_into("<3i", head, 0, 1024, 1024, 80)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(1024 + 80 * 1024 * 1024)
    before = digest_of(tomoseg.folder)
    with tomoseg.start("import", path, "--invert") as process:
        while process.poll() is None and not list(tomoseg.folder.glob("tomograms/.import.*")):
            time.sleep(0.01)
        interrupt(process)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == "tomoseg: interrupted.\n"
    assert digest_of(tomoseg.folder) == before
