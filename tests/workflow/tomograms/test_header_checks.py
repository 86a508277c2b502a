"""Headers that cannot be right are refused with what they could mean; doubtful ones are told."""

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import noise, write_mrc

from tomoseg_tui.errors import UnknownVoxelSizeError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportedTomogram, ImportRequest, import_volumes

SHAPE = (8, 96, 80)


def changed(
    folder: Path,
    *,
    cell: Sequence[float] = (),
    intervals: Sequence[int] = (),
    title: str = "",
    name: str = "t.mrc",
    shape: tuple[int, int, int] = SHAPE,
) -> Path:
    """Write a volume of 13.48 Å and change its header."""
    path = write_mrc(folder / name, noise(shape), voxel_size=13.48)
    content = bytearray(path.read_bytes())
    for place, code, values in ((28, "i", intervals), (40, "f", cell)):
        struct.pack_into(f"<{len(values)}{code}", content, place, *values)
    if title:
        content[220:224], content[224:304] = struct.pack("<i", 1), title.encode().ljust(80)
    path.write_bytes(content)
    return path


def bring_in(project: Project, path: Path, voxel_size: float | None = None) -> ImportedTomogram:
    return import_volumes(project, [path], ImportRequest(voxel_size_angstrom=voxel_size))[0]


@pytest.mark.parametrize(
    ("cell", "intervals", "reading"),
    [
        ((80 * 13.48, 96 * 13.48, 8 * 13.48), (1, 1, 1), "the cell of 1078.4 Å over 80 voxels gives 13.48 Å"),
        ((1.0, 1.0, 1.0), (), "the cell as the edge of one voxel gives 1 Å"),
        ((13.48, 13.48, 13.48), (), "the cell as the edge of one voxel gives 13.48 Å"),
        ((6.74, 6.74, 6.74), (), "the cell as the edge of one voxel gives 6.74 Å"),
        ((80 * 1.348e-9, 96 * 1.348e-9, 8 * 1.348e-9), (), "1.348e-09 m gives 13.48 Å"),
        ((80 * 1348, 96 * 1348, 8 * 1348), (), "1348 pm gives 13.48 Å"),
    ],
)
def test_an_impossible_voxel_size_is_refused_with_what_it_could_mean(
    project: Project, tmp_path: Path, cell: Sequence[float], intervals: Sequence[int], reading: str
) -> None:
    path = changed(tmp_path, cell=cell, intervals=intervals)
    with pytest.raises(UnknownVoxelSizeError, match="is not a real value") as caught:
        bring_in(project, path)
    if reading.endswith("gives 1 Å"):
        assert reading not in caught.value.fault
    else:
        assert reading in caught.value.fault
    assert bring_in(project, path, 13.48).record.voxel_size_angstrom == 13.48


def test_one_interval_along_all_axes_is_told_with_both_readings(project: Project, tmp_path: Path) -> None:
    imported = bring_in(project, changed(tmp_path, cell=(13.48, 13.48, 13.48), intervals=(1, 1, 1)))
    assert imported.record.voxel_size_angstrom == 13.48
    (remark,) = imported.remarks
    assert "13.48 Å/voxel of its header is used" in remark
    assert "the cell of 13.48 Å over 80 voxels gives 0.1685 Å" in remark


@pytest.mark.parametrize("z_cell", [13.48, 8 * 13.48, 1.0, 0.0])
def test_one_interval_along_z_alone_is_no_matter(project: Project, tmp_path: Path, z_cell: float) -> None:
    imported = bring_in(project, changed(tmp_path, cell=(80 * 13.48, 96 * 13.48, z_cell), intervals=(80, 96, 1)))
    assert (imported.record.voxel_size_angstrom, imported.remarks) == (13.48, ())


def test_a_z_size_that_differs_is_told_with_both_readings(project: Project, tmp_path: Path) -> None:
    (remark,) = bring_in(project, changed(tmp_path, cell=(80 * 13.48, 96 * 13.48, 8 * 26.96))).remarks
    assert "13.48 x 13.48 x 26.96 Å" in remark
    assert "resample" in remark


@pytest.mark.parametrize(("size", "reason"), [(0.4, "very small"), (0.4, "; 0.4 nm gives 4 Å"), (134.8, "very large")])
def test_a_rare_voxel_size_is_told(project: Project, tmp_path: Path, size: float, reason: str) -> None:
    (remark,) = bring_in(project, changed(tmp_path, cell=[size * n for n in SHAPE[::-1]])).remarks
    assert reason in remark


@pytest.mark.parametrize(
    ("shape", "reason"), [((96, 64, 128), "y and z are exchanged"), ((120, 96, 64), "x and z are exchanged")]
)
def test_a_volume_that_is_thinnest_along_another_axis_is_told(
    project: Project, tmp_path: Path, shape: tuple[int, int, int], reason: str
) -> None:
    (remark,) = bring_in(project, changed(tmp_path, shape=shape)).remarks
    assert reason in remark


def test_a_tilt_series_is_told_by_its_name_titles_or_mdoc(project: Project, tmp_path: Path) -> None:
    (tmp_path / "b.mrc.mdoc").touch()
    title = "    Tilt axis angle = 85.3, binning = 1  spot = 8  camera = 0"
    for path in (
        changed(tmp_path, name="a.st"),
        changed(tmp_path, name="b.mrc"),
        changed(tmp_path, name="c.mrc", title=title),
    ):
        (remark,) = bring_in(project, path).remarks
        assert "may be a tilt series" in remark
    reconstruction = changed(tmp_path, name="d.mrc", title=f"{title[:26]} TILT: Tomographic reconstruction")
    assert not bring_in(project, reconstruction).remarks


@pytest.mark.parametrize(
    ("mean", "sigma", "clipped", "is_told"),
    [
        (0, 7000, True, False),
        (0, 11000, True, False),
        (0, 20000, True, False),
        (20000, 6000, True, False),
        (20000, 6000, False, True),
        (32768, 3000, False, True),
    ],
)
def test_wrapped_16_bit_integers_are_told(
    project: Project, tmp_path: Path, mean: float, sigma: float, *, clipped: bool, is_told: bool
) -> None:
    densities = np.random.default_rng(7).normal(mean, sigma, (8, 128, 128))
    if clipped:
        values = np.clip(densities, -32768, 32767).astype(np.int16)
    else:
        values = (densities.astype(np.int64) & 0xFFFF).astype(np.uint16).view(np.int16)
    imported = bring_in(project, write_mrc(tmp_path / "t.mrc", values))
    assert any("unsigned, or a conversion has wrapped them" in remark for remark in imported.remarks) is is_told
