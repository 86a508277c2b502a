"""Folders and volumes for the tests of io."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return one folder for all examples of a property test; each rewrites its file."""
    return tmp_path_factory.mktemp("io")


@pytest.fixture(scope="session")
def ramp() -> NDArray[np.int16]:
    """Return numbers that all differ, with three unequal lengths, so that no two axes can be confused."""
    return np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7) - 100


@pytest.fixture(scope="session")
def ramp_grid(ramp: NDArray[Any]) -> VoxelGrid:
    return VoxelGrid((5, 6, 7), 13.48, (-100.5, 20.25, 3.0), (1, -2, 3))
