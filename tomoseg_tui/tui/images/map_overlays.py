"""Labels of a slice, computed from maps: above a threshold, or after a merge. For threads."""

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
"""Number of map slices to cache, so that a change of threshold reads nothing."""

Slice = NDArray[np.int8]


@dataclass(frozen=True)
class MapSource:
    """A finished or unfinished map."""

    path: Path
    feature: str
    threshold: float
    filled_ranges: tuple[tuple[int, int], ...]
    """Ranges of z that can be read, end excluded."""

    def covers(self, z: int) -> bool:
        """Return whether a slice can be read."""
        return any(start <= z < stop for start, stop in self.filled_ranges)


class MapSliceCache:
    """Caches recently used slices of maps and label volumes as stored; thread-safe."""

    def __init__(self, max_bytes: int = CACHE_BYTES) -> None:
        self._max_bytes, self._cached_bytes = max_bytes, 0
        self._slices: OrderedDict[tuple[Path, int], Slice] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, path: Path, z: int) -> Slice | None:
        """Return a slice, shape (y, x); None if the file is missing or too short."""
        with self._lock:
            cached = self._slices.get((path, z))
            if cached is not None:
                self._slices.move_to_end((path, z))
                return cached
        values = _read_slice(path, z)
        if values is not None:
            self._store((path, z), values)
        return values

    def clear(self) -> None:
        """Clear the cache: files have changed."""
        with self._lock:
            self._slices.clear()
            self._cached_bytes = 0

    def _store(self, key: tuple[Path, int], values: Slice) -> None:
        with self._lock:
            if key not in self._slices:
                self._cached_bytes += values.nbytes
            self._slices[key] = values
            while self._cached_bytes > self._max_bytes and len(self._slices) > 1:
                _, dropped = self._slices.popitem(last=False)
                self._cached_bytes -= dropped.nbytes


def _read_slice(path: Path, z: int) -> Slice | None:
    """Read a slice; the file is not kept open, because an unfinished map is renamed when it is complete."""
    try:
        with open_volume(path, byte_sign="signed") as reader:
            return np.asarray(reader.read_slices(z, z + 1)[0], np.int8)
    except (TomosegError, OSError):
        return None


class MergedSlices:
    """Merges maps in a slice; the k-th map becomes label k.

    Parameters
    ----------
    sources : sequence of MapSource
        The maps, in the order of their labels.
    on_merged : callable, optional
        Called in the reading thread after each slice, with this object, z and the result.
    """

    def __init__(
        self,
        sources: Sequence[MapSource],
        shape_yx: tuple[int, int],
        cache: MapSliceCache,
        on_merged: Callable[["MergedSlices", int, MergedBlock], None] | None = None,
    ) -> None:
        self._sources, self._shape_yx, self._cache, self._on_merged = tuple(sources), shape_yx, cache, on_merged

    def __call__(self, z: int) -> NDArray[np.uint8]:
        """Return the labels of a slice as stored, shape (y, x)."""
        maps = [self._read_source(source, z) for source in self._sources]
        if not maps:
            return np.zeros(self._shape_yx, np.uint8)
        block = merge_block(maps, [source.threshold for source in self._sources])
        if self._on_merged is not None:
            self._on_merged(self, z, block)
        return block.labels.view(np.uint8)

    def _read_source(self, source: MapSource, z: int) -> Slice:
        values = self._cache.read(source.path, z) if source.covers(z) else None
        if values is None or values.shape != self._shape_yx:
            return np.zeros(self._shape_yx, np.int8)
        return values


class LabelSlices:
    """Slices of a written label volume."""

    def __init__(self, path: Path, shape_yx: tuple[int, int], cache: MapSliceCache) -> None:
        self._path, self._shape_yx, self._cache = path, shape_yx, cache

    def __call__(self, z: int) -> NDArray[np.uint8]:
        """Return the labels of a slice as stored, shape (y, x)."""
        values = self._cache.read(self._path, z)
        if values is None or values.shape != self._shape_yx:
            return np.zeros(self._shape_yx, np.uint8)
        return values.view(np.uint8)
