"""Slabs of one tomogram, read and predicted in this process."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import Listener
from helpers.job_project import GRID, read_volume, write_volume
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import Block
from tomoseg_tui.core.network_settings import DEFAULT_NETWORK, EMAN2_NETWORK, NetworkSettings, network_named
from tomoseg_tui.files import locks
from tomoseg_tui.files.locks import Owner
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.ml.checkpoints import save_weights
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.networks import build_network
from tomoseg_tui.project.records import TomogramRecord
from tomoseg_tui.runners import slabs
from tomoseg_tui.runners.slabs import (
    SlabWorker,
    WindowReader,
    group_starts,
    mirror_padding,
    probability_to_byte,
    slab_blocks,
)
from tomoseg_tui.workflow.apply.output import apply_task
from tomoseg_tui.workflow.job_interface import StopRequested

THREE = NetworkSettings(
    name="three", kind="unet", description="for tests", slices=7, slices_out=3, channels=(4,),
    fold=2,
)  # fmt: skip
SHAPE_ZYX = (14, 45, 50)
RECORD = TomogramRecord(
    file="cell.mrc", shape_zyx=SHAPE_ZYX, voxel_size_angstrom=10.0, origin_xyz_angstrom=(0, 0, 0),
    nstart_xyz=(0, 0, 0), polarity="dark", type="MRC", mean=0.0, sigma=1.0, imported="",
)  # fmt: skip
NORMALISER = (np.float32(2.0), np.float32(-0.5))
WHOLE = Block((0, 0, 0), (1, 45, 50), (0, 0, 0), (1, 45, 50))


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    path = tmp_path_factory.mktemp("three") / "best.weights.h5"
    save_weights(path, build_network(THREE, 2, seed=3))
    return Predictor(path, THREE, 2)


@pytest.fixture(scope="module")
def densities() -> NDArray[np.float32]:
    return 2 + np.random.default_rng(3).standard_normal(SHAPE_ZYX, dtype=np.float32)


@pytest.fixture(scope="module")
def cell(densities: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cell") / "cell.mrc"
    return write_volume(path, densities, replace(GRID, shape_zyx=SHAPE_ZYX))


def mapped(predictor: Predictor, cell: Path, folder: Path, z: str | None = None, patience: int = 10**9) -> Path:
    """Predict some slices into a folder, or resume there; return the map of feature b."""
    task = apply_task(RECORD, "cell", folder, z)
    if not folder.exists():
        folder.mkdir()
    for feature in "ab":
        if not task.draft(feature).exists():
            MrcWriter(task.draft(feature), RECORD.grid, np.int8).close()
    with open_volume(cell) as volume:
        worker = SlabWorker(predictor, {"a": 0, "b": 1}, task, WindowReader(volume, NORMALISER, THREE))
        worker.run([task], Listener(folder / "partial", patience))
    assert not list(folder.glob("*.claim.json"))
    return task.draft("b")


@pytest.fixture(scope="module")
def whole(predictor: Predictor, cell: Path, tmp_path_factory: pytest.TempPathFactory) -> NDArray[np.generic]:
    return read_volume(mapped(predictor, cell, tmp_path_factory.mktemp("whole") / "cell"))


def test_a_map_is_the_prediction_for_the_volume_with_its_mirrored_border(
    predictor: Predictor, densities: NDArray[np.float32], whole: NDArray[np.generic]
) -> None:
    """14 slices are four groups of three and two more: the last group extends beyond the volume."""
    normal = (densities - np.float32(2)) * np.float32(-0.5)
    mirrored = np.pad(normal, ((0, 0), (16, 17), (16, 16)), mode="reflect")
    windows = sliding_window_view(np.pad(mirrored, ((2, 3), (0, 0), (0, 0))), predictor.settings.slices, axis=0)[
        :: predictor.settings.slices_out
    ]
    found = np.concatenate([predictor.predict_group(np.ascontiguousarray(window)) for window in windows])
    expected = probability_to_byte(found[:14, 16 : 16 + 45, 16 : 16 + 50, 1])
    assert np.array_equal(whole, expected)
    assert whole.std() > 0


@pytest.mark.parametrize("z", ["0:14", "5:9", "6:12", "1:2", "10:13"])
def test_any_division_in_z_gives_the_same_bytes(
    z: str, predictor: Predictor, cell: Path, whole: NDArray[np.generic], tmp_path: Path
) -> None:
    start, stop = map(int, z.split(":"))
    found = read_volume(mapped(predictor, cell, tmp_path / "cell", z))
    assert np.array_equal(found[start:stop], whole[start:stop])
    assert not found[:start].any()
    assert not found[stop:].any()


def test_a_stop_within_a_slab_keeps_the_listed_ones_and_resumes_to_the_same_bytes(
    predictor: Predictor, cell: Path, whole: NDArray[np.generic], tmp_path: Path
) -> None:
    with pytest.raises(StopRequested):
        mapped(predictor, cell, tmp_path / "cell", patience=5)
    task = apply_task(RECORD, "cell", tmp_path / "cell", None)
    assert list(task.finished.read()) == [0]
    assert not list(task.folder.glob("*.claim.json"))
    assert np.array_equal(read_volume(mapped(predictor, cell, tmp_path / "cell")), whole)


def test_blocks_give_the_whole_slice_to_a_map_step(
    predictor: Predictor, cell: Path, whole: NDArray[np.generic], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slabs, "MAX_EDGE", 2 * THREE.margin_pixels + 12)
    assert len(slab_blocks(SHAPE_ZYX, THREE)) > 3
    found = read_volume(mapped(predictor, cell, tmp_path / "cell")).astype(np.int16)
    assert np.abs(found - whole.astype(np.int16)).max() <= 1


def test_each_slice_is_read_once(cell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_volume(cell) as volume:
        read: list[int] = []
        region = volume.read_region

        def noted(corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[np.generic]:
            read.append(corner_zyx[0])
            return region(corner_zyx, shape_zyx)

        monkeypatch.setattr(volume, "read_region", noted)
        reader = WindowReader(volume, NORMALISER, THREE)
        for first in group_starts((0, 14), 3):
            reader.window(WHOLE, first)
    assert sorted(read) == list(range(14))


def test_non_finite_densities_count_as_the_mean(tmp_path: Path, densities: NDArray[np.float32]) -> None:
    holed = densities.copy()
    holed[3, 4, 5], holed[3, 4, 6] = np.nan, np.inf
    with open_volume(write_volume(tmp_path / "holed.mrc", holed, replace(GRID, shape_zyx=SHAPE_ZYX))) as volume:
        window = WindowReader(volume, NORMALISER, THREE).window(WHOLE, 3)
    assert window.shape == (16 + 45 + 17, 16 + 50 + 16, 7)
    assert window[16 + 4, 16 + 5 : 16 + 7, 2].tolist() == [0, 0]
    assert np.isfinite(window).all()


@given(
    corner=st.integers(0, 40),
    length=st.integers(1, 40),
    beyond=st.integers(0, 40),
    name=st.sampled_from([DEFAULT_NETWORK, EMAN2_NETWORK]),
)
def test_only_the_border_of_a_volume_is_mirrored(corner: int, length: int, beyond: int, name: str) -> None:
    network = network_named(name)
    piece = Block((0, corner, 0), (1, length, 64), (0, corner, 0), (1, length, 64))
    (before, behind), _ = mirror_padding(piece, (1, corner + length + beyond, 64), network)
    assert before == (0 if corner else network.border_pixels)
    assert 0 <= behind - (0 if beyond else network.border_pixels) < network.stride
    assert (before + length + behind) % network.stride == 0
    assert before % network.stride == 0


@given(z=st.tuples(st.integers(0, 40), st.integers(1, 40)), group=st.integers(1, 5))
def test_groups_cover_a_range_and_begin_at_multiples(z: tuple[int, int], group: int) -> None:
    start, stop = z[0], z[0] + z[1]
    firsts = group_starts((start, stop), group)
    assert all(first % group == 0 for first in firsts)
    assert firsts[0] <= start < firsts[0] + group
    assert firsts[-1] < stop <= firsts[-1] + group


def test_probabilities_are_stored_in_127_steps() -> None:
    values = np.array([-0.1, 0, 0.5, 1, 1.2], np.float32)
    assert probability_to_byte(values).tolist() == [0, 0, 64, 127, 127]


def test_a_helper_leaves_claimed_slabs_and_lists_its_own_separately(
    predictor: Predictor, cell: Path, whole: NDArray[np.generic], tmp_path: Path
) -> None:
    folder, helper = tmp_path / "cell", Listener(tmp_path / "partial")
    folder.mkdir()
    helper.is_helper, helper.number = True, 2
    task = apply_task(RECORD, "cell", folder, None)
    MrcWriter(task.draft("b"), RECORD.grid, np.int8).close()
    another = Owner("another", "boot", 1, "1")
    locks.acquire(task.claim(1), another)
    with open_volume(cell) as volume:
        SlabWorker(predictor, {"b": 1}, task, WindowReader(volume, NORMALISER, THREE)).run([task], helper)
    assert set(task.finished.read()) == {0, 2}
    assert [path.name for path in folder.glob("*.jsonl")] == ["finished_2.jsonl"]
    locks.release(task.claim(1), another)
    assert np.array_equal(read_volume(mapped(predictor, cell, folder)), whole)
    assert len(task.finished.read()) == len(task.slabs)
