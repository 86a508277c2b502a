"""What a preprocess job keeps of a version in the making, so that it goes on where it was cut off.

Beside the folder that becomes the version stand what whole readings of the tomogram have found, and the list of pieces
that are on disk. They hold for one file with one chain of filters: of another, all begins anew.
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
    """What a version in the making is made of, and how."""

    record: TomogramRecord
    """The tomogram's."""
    bytes: int
    """Of its file."""
    modified_ns: int
    """When its file was last written to, nanoseconds since 1970."""
    chain: dict[str, float]
    factor: int
    piece_voxels: int
    """Where pieces begin depends on it."""


class VersionFolder:
    """A version in the making, and what is kept of it; a `Kept` of the filters.

    Parameters
    ----------
    folder : Path
        In the job's folder for results in the making.
    name : str
        Of the version.
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
        """How many pieces are on disk."""
        return len(self._pieces)

    @property
    def readings(self) -> int:
        """How many readings have come to their end."""
        return len(list(self._folder.glob("*.npy")))

    @property
    def is_begun(self) -> bool:
        """True if there is a version of an earlier life, whatever it was made of."""
        return self._header_file.exists()

    def resume(self, header: VersionOutputHeader) -> bool:
        """Take up what is kept if it was made of the same; tell whether it was."""
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
        """Leave nothing but the volume in the folder that becomes the version: the record is written last."""
        for path in self.draft.iterdir():
            if path != self.volume:
                path.unlink()

    def begin(self, header: VersionOutputHeader, grid: VoxelGrid, title: str) -> None:
        """Make an empty version; whatever was kept is gone."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._pieces = set()
        self.draft.mkdir(parents=True)
        with MrcWriter(self.volume, grid, np.dtype(np.float32), title=title) as writer:
            writer.sync()
        write_record(self._header_file, header)

    def load_result(self, reading: str) -> NDArray[Any] | None:
        """Return what a reading of the whole tomogram has found; None if it has not come to its end."""
        path = self._folder / f"{reading}.npy"
        values: NDArray[Any] | None = np.load(path, allow_pickle=False) if path.exists() else None
        return values

    def save_result(self, reading: str, values: NDArray[Any]) -> None:
        """Put on disk what a reading has found."""
        with atomic_output(self._folder / f"{reading}.npy") as draft, draft.open("wb") as stream:
            np.save(stream, values, allow_pickle=False)

    def has_block(self, corner_zyx: tuple[int, int, int]) -> bool:
        """Tell whether the piece that begins at a corner is on disk."""
        return corner_zyx in self._pieces

    def add_piece(self, corner_zyx: tuple[int, int, int], values: NDArray[Any], writer: MrcWriter) -> None:
        """Write a piece, and list it when it is on disk."""
        writer.write_region(corner_zyx, values)
        writer.sync()
        self._finished.add(len(self._pieces), corner_zyx=corner_zyx)
        self._pieces.add(corner_zyx)

    def remove(self) -> None:
        """Remove what is left when the version is in its place."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _corner(note: dict[str, object]) -> tuple[int, ...]:
    return tuple(msgspec.convert(note["corner_zyx"], list[int]))
