"""Previews of real volumes."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import bring, noise, write_mrc

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import UnreadableTomogramError, UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.tomograms.preview import (
    MIDDLE_EDGE,
    is_flat,
    load_middle_slice,
    preview_filters,
    read_volume_header,
)


def test_a_header_is_read_also_from_an_archive(tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "a.mrc", noise((6, 64, 64)), voxel_size=13.48)
    with path.open("rb") as plain, gzip.open(tmp_path / "a.mrc.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    plain_facts, packed_facts = (read_volume_header(tmp_path / name) for name in ("a.mrc", "a.mrc.gz"))
    assert plain_facts.grid == packed_facts.grid
    assert plain_facts.grid.voxel_size_angstrom == 13.48
    assert (plain_facts.compressed, packed_facts.compressed) == (False, True)


def test_a_header_of_another_file_is_refused_with_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.mrc").write_text("x,y,z\n")
    with pytest.raises(UnreadableTomogramError, match="text file"):
        read_volume_header(tmp_path / "a.mrc")


def test_the_middle_of_a_volume_is_its_central_slice(project: Project) -> None:
    values = noise((7, 64, 80))
    bring(project, "a", values)
    assert np.array_equal(load_middle_slice(project, "a"), values[3])


def test_only_the_middle_of_a_wide_volume_is_read(project: Project) -> None:
    values = noise((3, 64, MIDDLE_EDGE + 100))
    bring(project, "a", values)
    assert np.array_equal(load_middle_slice(project, "a"), values[1, :, 50:-50])


def test_without_filters_a_preview_is_the_slice_itself(project: Project) -> None:
    values = noise((9, 64, 64))
    bring(project, "a", values)
    view = preview_filters(project, "a", PreprocessRequest(("a",), lowpass=0, highpass=0, clamp=0))
    assert np.array_equal(view.before, values[4])
    assert np.array_equal(view.after, view.before)


def test_a_preview_resembles_the_result_of_the_filters(project: Project) -> None:
    """Compared with the whole volume through the same filters."""
    from tomoseg_tui.core.filters import FilterChain, preprocess
    from tomoseg_tui.io.formats import open_volume

    rng = np.random.default_rng(3)
    values = (rng.normal(0, 20, (40, 96, 96)) + 40 * np.sin(np.arange(96) / 15)).clip(-127, 127).astype(np.int8)
    path = bring(project, "a", values)
    view = preview_filters(project, "a", PreprocessRequest(("a",)))
    whole = np.zeros(values.shape, np.float32)
    with open_volume(path) as reader:
        source = _Whole(reader.read_slices(0, 40))
    for (z, y, x), piece in preprocess(source, FilterChain()):
        whole[z : z + piece.shape[0], y : y + piece.shape[1], x : x + piece.shape[2]] = piece
    assert np.corrcoef(view.after.ravel(), whole[20].ravel())[0, 1] > 0.97


class _Whole:
    def __init__(self, values: np.ndarray[tuple[int, ...], np.dtype[np.int8]]) -> None:
        self.values = values

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        depth, height, width = self.values.shape
        return depth, height, width

    def read_region(
        self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
        return self.values[tuple(slice(c, c + n) for c, n in zip(corner_zyx, shape_zyx, strict=True))]


def test_a_binned_preview_is_smaller(project: Project) -> None:
    bring(project, "a", noise((12, 64, 64)))
    view = preview_filters(project, "a", PreprocessRequest(("a",), factor=2, filtered=False))
    assert (view.before.shape, view.after.shape) == ((64, 64), (32, 32))


def test_a_thin_volume_has_a_preview_too(project: Project) -> None:
    bring(project, "a", noise((2, 64, 64)))
    view = preview_filters(project, "a", PreprocessRequest(("a",), lowpass=0.05))
    assert np.isfinite(view.after).all()


def test_a_setting_out_of_range_is_refused(project: Project) -> None:
    bring(project, "a", noise())
    with pytest.raises(UsageError):
        preview_filters(project, "a", PreprocessRequest(("a",), clamp=-1))


def test_a_tile_on_nothing_is_flat_and_on_noise_is_not(project: Project) -> None:
    values = noise((6, 64, 160))
    values[:, :, 80:] = 0
    bring(project, "a", values)
    assert not is_flat(project, TileLocation("a", 3, 32, 32))
    assert is_flat(project, TileLocation("a", 3, 32, 120))
