"""Training sets on disk: HDF5, ``format = 1``. Each tile is stored with its surroundings, unscaled.

Root attributes: ``format`` and ``summary`` (JSON). One group per tile, ``/tiles/00000`` and so on, with the datasets
``densities`` (z, y, x) in the source's type, ``inside`` (z, y, x) bool, ``layers`` (f, y, x) uint8, and the attribute
``facts`` (JSON). Compressed with gzip only, so that any HDF5 reader opens it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import h5py
import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files.structured import MalformedError, decode_json
from tomoseg_tui.io.hdf5_check import mark_sound, require_sound
from tomoseg_tui.io.raw_volume import translate_os_errors

FORMAT = 1
_DAMAGE = (OSError, KeyError, RuntimeError, TypeError, ValueError)
"""What h5py raises for a damaged file; MalformedError and UnicodeError are among these."""
_Read = TypeVar("_Read")


class TileMetadata(msgspec.Struct, frozen=True):
    """Properties of one tile of a training set, without its arrays."""

    id: str
    """Id of the tile in the project."""
    tomogram: str
    """Version that the densities are from."""
    space: str
    """Tiles of one space lie in one volume."""
    x: int
    y: int
    z: int
    size: int
    mean: float
    """Mean density of the tomogram."""
    sigma: float
    """Standard deviation of the tomogram."""
    sign: int
    """-1 if the densities must be inverted to the set's polarity."""
    signs: tuple[int, ...]
    """By feature: 1 annotated, -1 contains none, 0 unknown."""
    group: int
    """Tiles of one group overlap or are copies."""
    held_out: bool
    """True for validation tiles, which are never trained on."""
    digest: str
    """SHA-256 of densities and annotations; copies share it."""


@dataclass(frozen=True, eq=False)
class TrainsetTile:
    """One tile of a training set."""

    metadata: TileMetadata
    densities: NDArray[np.generic]
    """Shape (9, size + 64, size + 64) as (z, y, x), the source's type; values outside the volume are arbitrary."""
    inside: NDArray[np.bool_]
    """The same shape; False outside the volume."""
    layers: NDArray[np.uint8]
    """Shape (f, size, size): 0 unlabelled, 1 not feature, 2 feature, 3 ignore."""


class TrainsetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Properties of a training set, without its tiles."""

    name: str
    features: tuple[str, ...]
    tile_size: int
    voxel_size_angstrom: float
    polarity: str
    preprocessing: list[dict[str, float]]
    """The filter chain, the same for all its tomograms."""
    tomograms: tuple[str, ...]
    tiles: int
    positive: dict[str, int]
    negative: dict[str, int]
    held_out: int
    held_out_reason: str
    validation: float
    """Requested share of held-out tiles."""
    notes: tuple[str, ...] = ()
    digest: str = ""
    """SHA-256 of the tiles' digests, the split and the order of features."""
    versions: dict[str, str] = {}
    created: str = ""


def write_training_set(path: Path, summary: TrainsetSummary, tiles: Sequence[TrainsetTile]) -> None:
    """Write a training set; an existing file is emptied, and the caller provides a temporary name if needed."""
    with translate_os_errors(path), h5py.File(path, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["summary"] = msgspec.json.encode(summary).decode()
        for index, tile in enumerate(tiles):
            group = file.create_group(f"tiles/{index:05d}")
            group.attrs["facts"] = msgspec.json.encode(tile.metadata).decode()
            group.create_dataset("densities", data=tile.densities)
            group.create_dataset("inside", data=tile.inside, compression="gzip", compression_opts=1)
            group.create_dataset("layers", data=tile.layers, compression="gzip", compression_opts=1)
    mark_sound(path)


def read_summary(path: Path) -> TrainsetSummary:
    """Return the summary of a training set.

    Raises
    ------
    ProjectError
        If the file is damaged, not a training set, or of a newer format.
    """
    with _open_trainset(path) as file:
        return _decode_summary(path, file)


def read_training_set(path: Path) -> tuple[TrainsetSummary, list[TrainsetTile]]:
    """Return a training set with all its tiles.

    Raises
    ------
    ProjectError
        If the file is damaged, not a training set, or of a newer format.
    """
    with _open_trainset(path) as file:
        return _decode_summary(path, file), _read_each_tile(path, file, _read_tile)


def read_tile_snapshots(path: Path) -> list[TileMetadata]:
    """Return the properties of a training set's tiles, without reading their arrays.

    Raises
    ------
    ProjectError
        If the file is missing, damaged, not a training set, or of a newer format.
    """
    with _open_trainset(path) as file:
        _decode_summary(path, file)
        return _read_each_tile(path, file, _decode_snapshot)


def _open_trainset(path: Path) -> Any:
    try:
        require_sound(path)
        return h5py.File(path, "r")
    except (OSError, MalformedError) as fault:
        raise _damaged_error(path, fault) from fault


def _damaged_error(path: Path, fault: Exception) -> ProjectError:
    return ProjectError(f"{path} is not a training set: {fault}.", "Build it again: tomoseg trainset build NAME")


def _decode_summary(path: Path, file: Any) -> TrainsetSummary:
    try:
        if int(file.attrs["format"]) > FORMAT:
            raise ProjectError(f"{path} is of a newer format.", "Install a newer tomoseg to use it.")
        return decode_json(file.attrs["summary"], TrainsetSummary)
    except _DAMAGE as fault:
        raise _damaged_error(path, fault) from fault


def _read_each_tile(path: Path, file: Any, read: Callable[[Any], _Read]) -> list[_Read]:
    """Return the result of `read` for the group of each tile, in the order of the set."""
    try:
        groups = [file["tiles"][name] for name in sorted(file["tiles"])] if "tiles" in file else []
        return [read(group) for group in groups]
    except _DAMAGE as fault:
        raise _damaged_error(path, fault) from fault


def _read_tile(group: Any) -> TrainsetTile:
    return TrainsetTile(_decode_snapshot(group), group["densities"][...], group["inside"][...], group["layers"][...])


def _decode_snapshot(group: Any) -> TileMetadata:
    return decode_json(group.attrs["facts"], TileMetadata)


def replace_summary(path: Path, summary: TrainsetSummary) -> None:
    """Replace the summary of a training set; arrays are not changed."""
    with h5py.File(path, "r+") as file:
        file.attrs["summary"] = msgspec.json.encode(summary).decode()
    mark_sound(path)
