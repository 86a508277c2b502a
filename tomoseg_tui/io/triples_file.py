"""Triples on disk, HDF5: image, annotation and output of a run's tiles, to view them without the network."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ProjectError
from tomoseg_tui.io.hdf5_check import mark_sound, require_sound
from tomoseg_tui.io.raw_volume import translate_os_errors


@dataclass(frozen=True, eq=False)
class TripleSet:
    """Triples of n tiles of edge s with f features."""

    tiles: tuple[str, ...]
    """Ids of the tiles."""
    features: tuple[str, ...]
    held_out: NDArray[np.bool_]
    """Shape (n,): True for tiles that the network was not trained on."""
    images: NDArray[np.float32]
    """Shape (n, s, s), mean 0 and sigma 1 over the tomogram."""
    layers: NDArray[np.uint8]
    """Shape (n, f, s, s): 0 unlabelled, 1 not feature, 2 feature, 3 ignore."""
    outputs: NDArray[np.float32]
    """Shape (n, f, s, s), from 0 to 1."""


def write_triples(path: Path, triples: TripleSet) -> None:
    """Write triples; an existing file is emptied."""
    with translate_os_errors(path), h5py.File(path, "w") as file:
        file.attrs["format"] = 1
        file.attrs["tiles"] = list(triples.tiles)
        file.attrs["features"] = list(triples.features)
        for name in ("held_out", "images", "layers", "outputs"):
            file.create_dataset(name, data=getattr(triples, name), compression="gzip", compression_opts=1)
    mark_sound(path)


def read_triples(path: Path) -> TripleSet:
    """Read triples.

    Raises
    ------
    ProjectError
        If the file is missing or damaged.
    """
    with _open_triples(path) as file:
        return TripleSet(
            tuple(file.attrs["tiles"]),
            tuple(file.attrs["features"]),
            file["held_out"][...],
            file["images"][...],
            file["layers"][...],
            file["outputs"][...],
        )


def read_split(path: Path) -> dict[str, bool]:
    """Return by tile id whether the tile was held out, without reading the images.

    Raises
    ------
    ProjectError
        If the file is missing or damaged.
    """
    with _open_triples(path) as file:
        held_out: list[bool] = file["held_out"][...].tolist()
        return dict(zip(file.attrs["tiles"], held_out, strict=True))


@contextlib.contextmanager
def _open_triples(path: Path) -> Iterator[Any]:
    """Open triples; translate errors of missing or damaged files."""
    try:
        require_sound(path)
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as fault:
        raise ProjectError(
            f"The triples {path} cannot be read: {fault}.",
            "Wait until the training ends, or stop it: triples are written then.",
        ) from fault
