"""The sign of bytes is found in the densities where the header is silent, wrong or in doubt."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.io.mrc import MrcReader
from tomoseg_tui.io.mrc_header import make_header

SHAPE = (8, 64, 64)
NOT_COMPUTED, STALE, NOT_DETERMINED = (0.0, 0.0, 0.0), (-3.1, 4.2, 0.01), (0.0, -1.0, -2.0)


def noise(mean: float, sigma: float, dtype: str) -> NDArray[Any]:
    limits = np.iinfo(dtype)
    values = np.random.default_rng(7).normal(mean, sigma, SHAPE)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def read(
    path: Path, values: NDArray[Any], statistics: tuple[float, float, float], flags: int | None = None
) -> MrcReader:
    head = bytearray(make_header(VoxelGrid((values.shape[0], values.shape[1], values.shape[2]), 10.0), np.dtype("i1")))
    struct.pack_into("<3f", head, 76, *statistics)
    struct.pack_into("<2i", head, 152, *((0, 0) if flags is None else (1146047817, flags)))
    path.write_bytes(bytes(head) + values.tobytes())
    return MrcReader(path)


@pytest.mark.parametrize("statistics", [NOT_COMPUTED, STALE, NOT_DETERMINED, (-500.0, 500.0, 0.0), (10.0, 20.0, 112.0)])
@pytest.mark.parametrize(
    ("mean", "sigma", "dtype"),
    [(112, 45, "u1"), (128, 12, "u1"), (150, 5, "u1"), (128, 90, "u1"), (0, 30, "i1"), (-20, 8, "i1"), (0, 70, "i1")],
)
def test_a_header_that_does_not_fit_the_bytes_is_not_believed(
    tmp_path: Path, mean: float, sigma: float, dtype: str, statistics: tuple[float, float, float]
) -> None:
    values = noise(mean, sigma, dtype)
    with read(tmp_path / "a.mrc", values, statistics) as reader:
        np.testing.assert_array_equal(reader.read_slices(0, SHAPE[0]), values)
        assert reader.dtype == dtype
        (warning,) = reader.warnings
        assert f"--bytes {'signed' if dtype == 'u1' else 'unsigned'} if not" in warning


@pytest.mark.parametrize(("mean", "dtype"), [(112, "u1"), (0, "i1")])
def test_true_statistics_need_no_remark(tmp_path: Path, mean: float, dtype: str) -> None:
    values = noise(mean, 30, dtype)
    statistics = float(values.min()), float(values.max()), float(values.mean())
    with read(tmp_path / "a.mrc", values, statistics) as reader:
        assert (reader.dtype, reader.warnings) == (np.dtype(dtype), ())


def test_the_flag_of_imod_is_followed_but_doubted(tmp_path: Path) -> None:
    with read(tmp_path / "a.mrc", noise(112, 30, "u1"), NOT_COMPUTED, flags=1) as reader:
        assert reader.dtype == np.int8
        assert "IMOD's flag says that its bytes are signed, but they look unsigned" in reader.warnings[0]


@pytest.mark.parametrize("high", [255, 200])
def test_a_mask_without_statistics_is_unsigned(tmp_path: Path, high: int) -> None:
    values = np.zeros(SHAPE, np.uint8)
    values[2:4] = high
    with read(tmp_path / "a.mrc", values, NOT_COMPUTED) as reader:
        assert reader.dtype == np.uint8
