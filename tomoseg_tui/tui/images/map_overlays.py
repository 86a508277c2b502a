"""Labels of one slice, made from maps for the canvas: above a threshold, or after a competition. For threads."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.merge import MergedBlock, merge_block
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.io.formats import open_volume

CACHE_BYTES = 48 * 2**20
"""Slices of maps kept, so that a threshold that changes waits for no disk."""

Slice = NDArray[np.int8]


@dataclass(frozen=True)
class MapSource:
    """A map, finished or in the making."""

    path: Path
    feature: str
    threshold: float
    filled: tuple[tuple[int, int], ...]
    """Ranges of z that can be read, the end excluded."""

    def covers(self, z: int) -> bool:
        """Tell whether a slice can be read."""
        return any(start <= z < stop for start, stop in self.filled)


class SliceCache:
    """Slices of maps and label volumes as they lie on disk, the latest used; usable from several threads."""

    def __init__(self, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes, self._held = most_bytes, 0
        self._slices: OrderedDict[tuple[Path, int], Slice] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path, z: int) -> Slice | None:
        """Return a slice, shape (y, x); None where the file is gone or shorter."""
        with self._lock:
            found = self._slices.get((path, z))
            if found is not None:
                self._slices.move_to_end((path, z))
                return found
        read = _read(path, z)
        if read is not None:
            self._keep((path, z), read)
        return read

    def clear(self) -> None:
        """Forget everything: files have changed."""
        with self._lock:
            self._slices.clear()
            self._held = 0

    def _keep(self, key: tuple[Path, int], found: Slice) -> None:
        with self._lock:
            if key not in self._slices:
                self._held += found.nbytes
            self._slices[key] = found
            while self._held > self._most_bytes and len(self._slices) > 1:
                _, dropped = self._slices.popitem(last=False)
                self._held -= dropped.nbytes


def _read(path: Path, z: int) -> Slice | None:
    """Read a slice anew: a map in the making is renamed when it is complete, so no file is held open."""
    try:
        with open_volume(path, byte_sign="signed") as reader:
            return np.asarray(reader.read_slices(z, z + 1)[0], np.int8)
    except (TomosegError, OSError):
        return None


class MergedSlices:
    """Lets maps compete for the voxels of a slice; the k-th map becomes label k.

    Parameters
    ----------
    sources : sequence of MapSource
        The maps, in the order of their labels.
    shape_yx : tuple of int
        Of a slice.
    cache : SliceCache
        Shared by those that read the same files.
    tell : callable, optional
        Told of each slice what the competition came to, from the thread that reads.
    """

    def __init__(
        self,
        sources: Sequence[MapSource],
        shape_yx: tuple[int, int],
        cache: SliceCache,
        tell: Callable[["MergedSlices", int, MergedBlock], None] | None = None,
    ) -> None:
        self._sources, self._shape_yx, self._cache, self._tell = tuple(sources), shape_yx, cache, tell

    def __call__(self, z: int) -> NDArray[np.uint8]:
        """Return the labels of a slice as stored, shape (y, x)."""
        maps = [self._slice(source, z) for source in self._sources]
        if not maps:
            return np.zeros(self._shape_yx, np.uint8)
        block = merge_block(maps, [source.threshold for source in self._sources])
        if self._tell is not None:
            self._tell(self, z, block)
        return block.labels.view(np.uint8)

    def _slice(self, source: MapSource, z: int) -> Slice:
        found = self._cache.read(source.path, z) if source.covers(z) else None
        if found is None or found.shape != self._shape_yx:
            return np.zeros(self._shape_yx, np.int8)
        return found


class LabelSlices:
    """Slices of a label volume that is written already."""

    def __init__(self, path: Path, shape_yx: tuple[int, int], cache: SliceCache) -> None:
        self._path, self._shape_yx, self._cache = path, shape_yx, cache

    def __call__(self, z: int) -> NDArray[np.uint8]:
        """Return the labels of a slice as stored, shape (y, x)."""
        found = self._cache.read(self._path, z)
        if found is None or found.shape != self._shape_yx:
            return np.zeros(self._shape_yx, np.uint8)
        return found.view(np.uint8)
