"""Read what a viewport needs of a slice, at the resolution it needs, and cache it.

Slices larger than the screen are averaged over blocks while they are read; of a plain MRC file, only some rows of
each block are read while the picture moves. For volumes of any size, memory stays within `MAX_BYTES`.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from math import log2
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.errors import ShapeError
from tomoseg_tui.io.mrc import MrcReader
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.render.greys import GreyWindow, to_grey, window_from_sample
from tomoseg_tui.render.viewport import Viewport
from tomoseg_tui.tui.canvas.slice_drawing import CanvasView, Overlay

MAX_BYTES = 24 << 20
"""Limit of the slices cached for one canvas, and the same limit for their labels."""
CONTRASTS = (("usual", 0.5), ("strong", 4.0), ("soft", 0.02))
"""Names of the contrasts, and the percentages of voxels that are black and white in each."""

_WIDE_WINDOW_PERCENT = 0.02
"""Percentages clipped to black and white when slices are converted to greys, before the contrast is applied."""
_OVERSAMPLING = 1.5
"""Voxels of the averaged slice per point of the screen: fewer give a moiré pattern."""
_WHOLE_SLICE_PIXELS = 1 << 20
"""The largest averaged slice that is read completely, so that panning reads nothing, pixels."""
_ROWS_IN_MOTION = 4
"""Rows of each block that are read while the picture moves."""
_BAND_BYTES = 4 << 20
"""Bytes to read at a time."""
_SNAP_BLOCKS = 64
"""Parts are widened to multiples of so many blocks, so that small pans hit the cache."""
_SAMPLE_SIZE = 200_000
"""Number of values sampled for the grey window."""


@dataclass(frozen=True)
class SlicePart:
    """Which part of which slice, and how fine."""

    z: int
    corner_yx: tuple[int, int]
    shape_yx: tuple[int, int]
    """Size in voxels before averaging."""
    block: int
    """Edge of the averaged blocks, voxels."""
    rows: int
    """Rows to read of each block."""


@final
class SliceCache:
    """Parts of the slices of one open volume.

    Parameters
    ----------
    reader : VolumeReader
        An open reader; the caller closes it.
    """

    def __init__(self, reader: VolumeReader) -> None:
        self.reader = reader
        self.shape_zyx = reader.grid.shape_zyx
        self._value_cache = _ArrayCache(MAX_BYTES)
        self._label_cache = _ArrayCache(MAX_BYTES)
        self._overlay: Overlay | None = None
        self._windows: dict[tuple[int, int], GreyWindow] = {}
        self._contrast_tables: dict[tuple[int, ...], NDArray[np.uint8]] = {}

    def part_for(self, view: CanvasView, viewport: Viewport) -> SlicePart:
        """Choose which part to read for the points of a viewport."""
        _, height, width = self.shape_zyx
        voxels_per_point = 1 / (viewport.zoom * viewport.pixels_per_cell_xy[0])
        block = max(1, int(voxels_per_point / _OVERSAMPLING))
        is_sparse = not view.at_rest and isinstance(self.reader, MrcReader)
        rows = min(block, _ROWS_IN_MOTION) if is_sparse else block
        if (height // block) * (width // block) <= _WHOLE_SLICE_PIXELS:
            return SlicePart(view.z, (0, 0), (height, width), block, rows)
        columns, lines = viewport.cells_xy
        top, left = viewport.pixel_at_cell(0, 0)
        bottom, right = viewport.pixel_at_cell(columns, lines)
        start_y, stop_y = _widen_range(bottom, top, height, _SNAP_BLOCKS * block)
        start_x, stop_x = _widen_range(left, right, width, _SNAP_BLOCKS * block)
        return SlicePart(view.z, (start_y, start_x), (stop_y - start_y, stop_x - start_x), block, rows)

    def values(self, part: SlicePart) -> NDArray[Any]:
        """Return the averaged values of a part, shape (blocks along y, blocks along x)."""
        values = self._value_cache.get(part)
        if values is None:
            values = self._value_cache.put(part, self._read(part))
        return values

    def greys(self, view: CanvasView, viewport: Viewport) -> NDArray[np.uint8]:
        """Return the greys of the points of a viewport, with a contrast."""
        part = self.part_for(view, viewport)
        values = self.values(part)
        part_viewport = _viewport_on_part(part, values.shape, viewport)
        raster = part_viewport.raster(self._wide_greys(part, values))
        key = view.contrast, part.block, part.rows, round(4 * log2(viewport.zoom)), viewport.pixels_per_cell_xy[0]
        if key not in self._contrast_tables:
            is_inside = (
                part_viewport.raster(np.ones(values.shape, np.uint8), labels=True) > 0
            )  # black outside the slice
            table, is_flat = _contrast_table(raster[is_inside], CONTRASTS[view.contrast][1])
            if is_flat:
                return table[raster]
            self._contrast_tables[key] = table
        return self._contrast_tables[key][raster]

    def labels(self, view: CanvasView) -> NDArray[np.uint8] | None:
        """Return the labels of a slice; None without an overlay.

        Raises
        ------
        ShapeError
            If the shapes of labels and slice differ.
        TomosegError
            If the computation raises one.
        """
        if view.overlay is not self._overlay:
            self._overlay = view.overlay
            self._label_cache.clear()
        if view.overlay is None:
            return None
        labels = self._label_cache.get(view.z)
        if labels is None:
            labels = view.overlay.compute(view.z)
            if labels.shape != self.shape_zyx[1:]:
                raise ShapeError(
                    f"Labels of shape {labels.shape} do not match slices of shape {self.shape_zyx[1:]} (y, x).",
                    "Choose labels that were made from this tomogram.",
                )
            self._label_cache.put(view.z, labels)
        return labels

    def parts_ahead(self, view: CanvasView, viewport: Viewport) -> list[SlicePart]:
        """List the parts that are likely needed next, in the direction of travel, as many as the cache can hold."""
        if not view.next_z_step:
            return []
        part = self.part_for(view, viewport)
        max_parts = MAX_BYTES // max(1, 2 * self.values(part).nbytes)
        next_slices = (view.z + view.next_z_step * step for step in range(1, min(12, max_parts) + 1))
        return [replace(part, z=z) for z in next_slices if 0 <= z < self.shape_zyx[0]]

    def _wide_greys(self, part: SlicePart, values: NDArray[Any]) -> NDArray[np.uint8]:
        key = part.block, part.rows
        window = self._windows.get(key)
        if window is None:
            sample = values.reshape(-1)[:: max(1, values.size // _SAMPLE_SIZE)]
            window = window_from_sample(sample, _WIDE_WINDOW_PERCENT, 100 - _WIDE_WINDOW_PERCENT)
            if np.ptp(sample) > 0:
                self._windows[key] = window
        if values.dtype.itemsize == 1:
            byte_values = np.arange(256, dtype=np.uint8)
            return np.asarray(to_grey(byte_values.view(values.dtype)[np.newaxis], window)[0][values.view(np.uint8)])
        return to_grey(values, window)

    def _read(self, part: SlicePart) -> NDArray[Any]:
        if part.block == 1:
            return self._read_rows(part, part.corner_yx[0], part.shape_yx[0])
        if part.rows < part.block:
            return self._read_some_rows(part)
        return self._read_all_rows(part)

    def _read_some_rows(self, part: SlicePart) -> NDArray[np.float32]:
        """Read a few rows in the middle of each block."""
        stop = part.corner_yx[0] + part.shape_yx[0]
        means = []
        for top in range(part.corner_yx[0], stop, part.block):
            first = min(top + (part.block - part.rows) // 2, stop - 1)
            band = self._read_rows(part, first, min(part.rows, stop - first))
            means.append(band.mean(axis=0, dtype=np.float32))
        return _block_means(np.stack(means), part.block, axis=1)

    def _read_all_rows(self, part: SlicePart) -> NDArray[np.float32]:
        """Read band by band, so that only a band of a slice of 4096 x 4096 floats is in memory."""
        row_bytes = part.shape_yx[1] * self.reader.dtype.itemsize
        step = part.block * max(1, _BAND_BYTES // (part.block * row_bytes))
        start, stop = part.corner_yx[0], part.corner_yx[0] + part.shape_yx[0]
        bands = []
        for top in range(start, stop, step):
            band = self._read_rows(part, top, min(step, stop - top))
            bands.append(_block_means(_block_means(band, part.block, axis=0), part.block, axis=1))
        return np.concatenate(bands)

    def _read_rows(self, part: SlicePart, row: int, rows: int) -> NDArray[Any]:
        return np.asarray(self.reader.read_region((part.z, row, part.corner_yx[1]), (1, rows, part.shape_yx[1]))[0])


def _widen_range(low: float, high: float, length: int, snap: int) -> tuple[int, int]:
    """Widen a range by half its length on each side, within the slice and to multiples of snap."""
    margin = (high - low) / 2
    start, stop = int((low - margin) // snap) * snap, -int(-(high + margin) // snap) * snap
    start = min(max(0, start), max(0, length - 1))
    return start, max(start + 1, min(length, stop))


def _block_means(values: NDArray[Any], block: int, *, axis: int) -> NDArray[np.float32]:
    """Average runs of voxels along one axis; the last run may be shorter."""
    starts = np.arange(0, values.shape[axis], block)
    sums = np.add.reduceat(values, starts, axis=axis, dtype=np.float32)
    counts = np.diff(starts, append=values.shape[axis]).astype(np.float32)
    return np.asarray(sums / np.expand_dims(counts, 1 - axis), dtype=np.float32)


def _viewport_on_part(part: SlicePart, shape: tuple[int, ...], viewport: Viewport) -> Viewport:
    """Return the viewport on the averaged part that matches one on the slice."""
    y, x = viewport.centre_yx
    centre = (y - part.corner_yx[0]) / part.block, (x - part.corner_yx[1]) / part.block
    return replace(viewport, image_shape_yx=(shape[0], shape[1]), zoom=viewport.zoom * part.block, centre_yx=centre)


def _contrast_table(raster: NDArray[np.uint8], percent: float) -> tuple[NDArray[np.uint8], bool]:
    """Return the grey table that stretches the contrast, and whether the picture is flat."""
    window = window_from_sample(raster, percent, 100 - percent)
    return to_grey(np.arange(256, dtype=np.uint8)[np.newaxis], window)[0], bool(np.ptp(raster) == 0)


@final
class _ArrayCache:
    """Recently used arrays, up to a number of bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._cached_bytes = 0
        self._arrays: OrderedDict[object, NDArray[Any]] = OrderedDict()

    def get(self, key: object) -> NDArray[Any] | None:
        """Return an array and mark it as used; None if it is absent."""
        array = self._arrays.get(key)
        if array is not None:
            self._arrays.move_to_end(key)
        return array

    def put(self, key: object, array: NDArray[Any]) -> NDArray[Any]:
        """Store an array, and drop the least recently used ones until all fit; the newest always stays."""
        self._arrays[key] = array
        self._cached_bytes += array.nbytes
        while self._cached_bytes > self._max_bytes and len(self._arrays) > 1:
            self._cached_bytes -= self._arrays.popitem(last=False)[1].nbytes
        return array

    def clear(self) -> None:
        """Drop all arrays."""
        self._arrays.clear()
        self._cached_bytes = 0
