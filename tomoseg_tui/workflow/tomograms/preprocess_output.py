"""Unfinished output of a preprocess job, from which it resumes after an interruption.

Beside the folder that becomes the version are the results of whole passes over the tomogram, and the list of blocks on
disk. They belong to one file and one filter chain; for others the job starts again.
"""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files.atomic import atomic_output
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.project.records import TomogramRecord, read_record, write_record
from tomoseg_tui.workflow.job_interface import FinishedSlabs


class VersionOutputHeader(msgspec.Struct, frozen=True):
    """Inputs of an unfinished version."""

    record: TomogramRecord
    """Record of the tomogram."""
    bytes: int
    """Length of its file."""
    modified_ns: int
    """Time of the file's last change, nanoseconds since 1970."""
    chain: dict[str, float]
    factor: int
    piece_voxels: int
    """Determines the corners of the blocks."""


class VersionFolder:
    """An unfinished version; a `PreprocessCheckpoint`.

    Parameters
    ----------
    folder : Path
        A folder within the job's folder of unfinished results.
    name : str
        Name of the version.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self.draft = folder / "version"
        """Becomes the tomogram's folder."""
        self.volume = self.draft / f"{name}.mrc"
        self._header_file = folder / "prepared.json"
        self._finished = FinishedSlabs(folder / "finished.jsonl")
        self._pieces: set[tuple[int, ...]] = set()

    @property
    def pieces(self) -> int:
        """Number of blocks on disk."""
        return len(self._pieces)

    @property
    def readings(self) -> int:
        """Number of finished passes."""
        return len(list(self._folder.glob("*.npy")))

    @property
    def is_begun(self) -> bool:
        """True if an earlier attempt left an unfinished version, whatever its inputs."""
        return self._header_file.exists()

    def resume(self, header: VersionOutputHeader) -> bool:
        """Resume the stored version if its inputs are the same; return whether they are."""
        try:
            is_same = read_record(self._header_file, VersionOutputHeader) == header
            MrcWriter.reopen(self.volume).close()
        except TomosegError:
            return False
        if is_same:
            self._pieces = {_corner(note) for note in self._finished.read().values()}
            self._remove_half_written()
        return is_same

    def _remove_half_written(self) -> None:
        """Remove all files but the volume from the future tomogram folder, where the record is written last."""
        for path in self.draft.iterdir():
            if path != self.volume:
                path.unlink()

    def begin(self, header: VersionOutputHeader, grid: VoxelGrid, title: str) -> None:
        """Create an empty version, replacing a stored one."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._pieces = set()
        self.draft.mkdir(parents=True)
        with MrcWriter(self.volume, grid, np.dtype(np.float32), title=title) as writer:
            writer.sync()
        write_record(self._header_file, header)

    def load_result(self, reading: str) -> NDArray[Any] | None:
        """Return the stored result of a pass over the whole tomogram; None if the pass did not finish."""
        path = self._folder / f"{reading}.npy"
        values: NDArray[Any] | None = np.load(path, allow_pickle=False) if path.exists() else None
        return values

    def save_result(self, reading: str, values: NDArray[Any]) -> None:
        """Store the result of a pass."""
        with atomic_output(self._folder / f"{reading}.npy") as draft, draft.open("wb") as stream:
            np.save(stream, values, allow_pickle=False)

    def has_block(self, corner_zyx: tuple[int, int, int]) -> bool:
        """Return whether the block with this corner is on disk."""
        return corner_zyx in self._pieces

    def add_piece(self, corner_zyx: tuple[int, int, int], values: NDArray[Any], writer: MrcWriter) -> None:
        """Write a block, and list it when it is on disk."""
        writer.write_region(corner_zyx, values)
        writer.sync()
        self._finished.add(len(self._pieces), corner_zyx=corner_zyx)
        self._pieces.add(corner_zyx)

    def remove(self) -> None:
        """Remove the remaining files after the version has been published."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _corner(note: dict[str, object]) -> tuple[int, ...]:
    return tuple(msgspec.convert(note["corner_zyx"], list[int]))
