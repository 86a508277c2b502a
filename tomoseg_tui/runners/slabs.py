"""Predict the slabs of one tomogram: claim, read, compute, write, list; reading, computing and writing run in parallel.

A slab is a range of z that is listed at once. Its groups of slices are segmented one by one, block by block in y and
x. Groups begin at multiples of their thickness from slice 0 of the tomogram and are always computed completely, so that
results do not depend on the requested slices, the number of workers or interruptions.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import Block, split_into_blocks
from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.core.network_settings import NetworkSettings
from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.files import locks
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.workflow.apply.output import ApplyTask
from tomoseg_tui.workflow.job_interface import Reporter, StopRequested, stop_if_requested

Read = TypeVar("Read")
Made = TypeVar("Made")

MAX_EDGE = 1024
"""Largest edge in y and x predicted at once; a larger slice is divided. A network of 32 channels on half the grid then
takes 0.4 GB, and a third of the work on slices of 4096 is margin."""
WAIT_SECONDS = 0.1
"""Interval at which a worker checks whether the others have finished their slabs."""


@dataclass(frozen=True, eq=False)
class _InputWindow:
    """Input for one group of slices, in one block of y and x."""

    slab: int
    block: Block
    first_slice: int
    """First slice of the group; it may lie outside the slab."""
    densities: NDArray[np.float32]
    """Shape (y, x, slice), with the padding of `WindowReader`."""
    is_last: bool


@dataclass(frozen=True, eq=False)
class _Predicted:
    """Result for one input window."""

    window: _InputWindow
    probabilities: NDArray[np.float32]
    """Shape (slices_out, y, x, feature)."""


class WindowReader:
    """Reads the input of groups of slices; each slice is read and normalised once.

    Parameters
    ----------
    normalisation : tuple of float32
        Value to subtract from the densities, and factor to multiply them with.
    """

    def __init__(
        self, volume: VolumeReader, normalisation: tuple[np.float32, np.float32], settings: NetworkSettings
    ) -> None:
        self._volume, self._normalisation, self._settings = volume, normalisation, settings
        self._slices: dict[tuple[int, ...], NDArray[np.float32]] = {}

    def window(self, block: Block, first_slice: int) -> NDArray[np.float32]:
        """Return the normalised densities (y, x, slice) for the group that begins at slice `first_slice`.

        They are mirrored at the border of the volume in y and x (`mirror_padding`), and 0 above and below it.
        """
        first_read, depth = first_slice - self._settings.context_slices, self._volume.grid.shape_zyx[0]
        inside = range(max(first_read, 0), min(first_read + self._settings.slices, depth))
        self._slices = {self._key(block, z): self._read_slice(block, z) for z in inside}
        padding = mirror_padding(block, self._volume.grid.shape_zyx, self._settings)
        lengths = [length + sum(sides) for length, sides in zip(block.read_shape_zyx[1:], padding, strict=True)]
        window = np.zeros((*lengths, self._settings.slices), np.float32)
        for z in inside:
            window[..., z - first_read] = np.pad(self._slices[self._key(block, z)], padding, mode="reflect")
        return window

    def _read_slice(self, block: Block, z: int) -> NDArray[np.float32]:
        """Return one normalised slice of a block, cached if the previous group needed it."""
        cached = self._slices.get(self._key(block, z))
        if cached is not None:
            return cached
        _, top, left = block.read_corner_zyx
        region = self._volume.read_region((z, top, left), (1, *block.read_shape_zyx[1:]))
        values: NDArray[np.float32] = region[0].astype(np.float32)
        mean, factor = self._normalisation
        values -= mean
        values *= factor
        values[~np.isfinite(values)] = 0
        return values

    @staticmethod
    def _key(block: Block, z: int) -> tuple[int, ...]:
        return (*block.read_corner_zyx[1:], z)


class SlabWorker:
    """Predicts slabs of one tomogram.

    Parameters
    ----------
    channels : dict of str to int
        Index of the network's output for each feature with a map.
    """

    def __init__(self, predictor: Predictor, channels: dict[str, int], task: ApplyTask, reader: WindowReader) -> None:
        self._predictor, self._task, self._reader = predictor, task, reader
        self._channels = channels
        self._writers: dict[str, MrcWriter] = {}
        self._owner = locks.this_process()
        self._claimed: set[int] = set()

    def run(self, tasks: Sequence[ApplyTask], reporter: Reporter) -> None:
        """Predict free slabs.

        The first process of a job waits for slabs claimed by others, and returns when all are listed. A helper returns
        when none is free; the first process finishes the slabs that others abandon.
        """

        def write(predicted: _Predicted) -> None:
            self._write(predicted)
            if predicted.window.is_last:
                self._mark_finished(predicted.window.slab, reporter.number)
                done = sum(len(task.finished.read()) for task in tasks)
                reporter.progress(done / sum(len(task.slabs) for task in tasks), self._task.tomogram)

        try:
            self._writers = {feature: MrcWriter.reopen(self._task.draft(feature)) for feature in self._channels}
            with locks.heartbeat(lambda: [self._task.claim(slab) for slab in list(self._claimed)]):
                read_compute_write(self._windows(reporter), self._predict, write, lambda: time.sleep(WAIT_SECONDS))
        finally:
            for writer in self._writers.values():
                writer.close()
            for slab in list(self._claimed):
                self._release(slab)

    def _windows(self, reporter: Reporter) -> Iterator[_InputWindow | None]:
        """Yield the windows of all slabs that are free; None if others have claimed all that are missing."""
        while missing := set(range(len(self._task.slabs))) - set(self._task.finished.read()):
            any_claimed = False
            for slab in sorted(missing):
                stop_if_requested(reporter)
                if self._claim(slab):
                    any_claimed = True
                    for window in self._slab_windows(slab):
                        if reporter.should_stop():
                            raise StopRequested
                        yield window
            if not any_claimed:
                if reporter.is_helper:
                    return
                yield None

    def _slab_windows(self, slab: int) -> Iterator[_InputWindow]:
        z = self._task.slabs[slab]
        blocks = slab_blocks(self._task.record.shape_zyx, self._predictor.settings)
        starts = group_starts(z, self._predictor.settings.slices_out)
        for block in blocks:
            for start in starts:
                is_last = (block, start) == (blocks[-1], starts[-1])
                yield _InputWindow(slab, block, start, self._reader.window(block, start), is_last)

    def _predict(self, window: _InputWindow) -> _Predicted:
        return _Predicted(window, self._predictor.predict_group(window.densities))

    def _write(self, predicted: _Predicted) -> None:
        """Write the part of a group that lies in the slab and inside the block."""
        block, first_slice = predicted.window.block, predicted.window.first_slice
        start, stop = self._task.slabs[predicted.window.slab]
        start, stop = max(start, first_slice), min(stop, first_slice + len(predicted.probabilities))
        inside = self._crop_padding(block, predicted.probabilities)[start - first_slice : stop - first_slice]
        for feature, writer in self._writers.items():
            writer.write_region(
                (start, *block.inside_corner_zyx[1:]), probability_to_byte(inside[..., self._channels[feature]])
            )

    def _crop_padding(self, block: Block, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inside of the block without halo and padding; (slice, y, x, feature), a view."""
        (top, _), (left, _) = mirror_padding(block, self._task.record.shape_zyx, self._predictor.settings)
        _, rows, columns = block.inside_in_read
        return probabilities[:, top:, left:][:, rows, columns]

    def _mark_finished(self, slab: int, worker: int) -> None:
        """List a slab when it is on disk."""
        for writer in self._writers.values():
            writer.sync()
        self._task.finished.add(slab, process_number=worker)
        self._release(slab)

    def _claim(self, slab: int) -> bool:
        """Claim a slab unless a process, possibly this one, has claimed it, or it is finished."""
        try:
            locks.acquire(self._task.claim(slab), self._owner)
        except AlreadyRunningError:
            return False
        self._claimed.add(slab)
        if slab not in self._task.finished.read():
            return True
        self._release(slab)
        return False

    def _release(self, slab: int) -> None:
        locks.release(self._task.claim(slab), self._owner)
        self._claimed.discard(slab)


def mirror_padding(
    block: Block, shape_zyx: tuple[int, int, int], settings: NetworkSettings
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the number of mirrored pixels before and after a block, in y and in x.

    It is the network's `border_pixels` at the border of the volume, elsewhere 0. After the block it is increased to
    make the length a multiple of the network's stride.
    """
    spans = zip(block.read_corner_zyx[1:], block.read_shape_zyx[1:], shape_zyx[1:], strict=True)
    y, x = (_axis_padding(corner, length, axis_length, settings) for corner, length, axis_length in spans)
    return y, x


def _axis_padding(corner: int, length: int, axis_length: int, settings: NetworkSettings) -> tuple[int, int]:
    before = settings.border_pixels if corner == 0 else 0
    after = settings.border_pixels if corner + length == axis_length else 0
    return before, after + -(before + length + after) % settings.stride


def group_starts(z: tuple[int, int], group: int) -> range:
    """Return the first slices of the groups that contain the slices of a range.

    Examples
    --------
    >>> list(group_starts((10, 16), 3))
    [9, 12, 15]
    """
    return range(z[0] - z[0] % group, z[1], group)


def slab_blocks(shape_zyx: tuple[int, int, int], settings: NetworkSettings) -> list[Block]:
    """Return the blocks in y and x of every slab, as of one slice; whole slices if they are small enough."""
    margin = settings.margin_pixels
    return split_into_blocks(
        (1, *shape_zyx[1:]), slab=1, edge=MAX_EDGE, halo_zyx=(0, margin, margin), stride=settings.stride
    )


def probability_to_byte(probabilities: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return probabilities as stored in maps: 0..127 for 0..1, rounded."""
    return np.asarray(np.rint(np.clip(probabilities, 0, 1) * np.float32(MAX_MAP_VALUE)), np.int8)


def read_compute_write(
    items: Iterator[Read | None],
    compute: Callable[[Read], Made],
    write: Callable[[Made], None],
    wait: Callable[[], None],
) -> None:
    """Pass items from a reader through a computation to a writer.

    Parameters
    ----------
    items : iterator
        Advanced in a separate thread, one item ahead of the computation. None means that nothing can be read now.
    write : callable
        Called in a third thread, in order, at most one item behind.
    wait : callable
        Called in the calling thread for each None, when all results are written.

    Notes
    -----
    An error in any of the three is raised here, after the item being read and the item being written; no further item
    is started.
    """

    def read_next() -> tuple[Read | None] | None:
        for item in items:
            return (item,)
        return None

    with ThreadPoolExecutor(1, "reading") as read_executor, ThreadPoolExecutor(1, "writing") as write_executor:
        pending_write: Future[None] | None = None
        try:
            pending_read = read_executor.submit(read_next)
            while ready := pending_read.result():
                pending_read = read_executor.submit(read_next)
                results = [compute(item) for item in ready if item is not None]
                if pending_write is not None:
                    pending_write.result()
                if results:
                    pending_write = write_executor.submit(write, *results)
                else:
                    wait()
            if pending_write is not None:
                pending_write.result()
        finally:
            pending_read.cancel()
