"""Predict the slabs of one tomogram: claim, read, compute, write, list; beside each other where that can be.

A slab is a range of z that is listed together; in it groups of slices are segmented at once, piece by piece
in y and x. Groups begin at multiples of their thickness counted from slice 0 of the tomogram and are always
computed whole, so that no result depends on the slices asked for, on the number of workers or on a stop.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.blocks import Piece, pieces
from tomoseg_tui.core.network_settings import NetworkSettings
from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.files import locks
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.runners.threaded_pipeline import in_three_threads
from tomoseg_tui.workflow.apply.output import ApplyTask
from tomoseg_tui.workflow.job_interface import Reporter, Stopped, stop_if_asked

EDGE = 1024
"""Most pixels along y and x that are predicted at once; what fits is not cut. A network of 32 channels on half the
grid then takes 0.4 GB, and a third of the work on slices of 4096 is margin."""
WAIT_SECONDS = 0.1
"""How often a worker looks whether the others have finished their slabs."""


@dataclass(frozen=True, eq=False)
class _Window:
    """What one group of slices is computed from, in one piece of y and x."""

    slab: int
    piece: Piece
    first: int
    """First slice of the group; it may lie outside of the slab."""
    densities: NDArray[np.float32]
    """Shape (y, x, slice), with what `WindowReader` puts around."""
    ends_slab: bool


@dataclass(frozen=True, eq=False)
class _Predicted:
    """What was computed from it."""

    window: _Window
    found: NDArray[np.float32]
    """Shape (slices_out, y, x, feature)."""


class WindowReader:
    """Reads what groups of slices are computed from; each slice is read and normalised once.

    Parameters
    ----------
    volume : VolumeReader
        The tomogram.
    normaliser : tuple of float32
        What to subtract from its densities, and what to multiply them with then.
    settings : NetworkSettings
        The network.
    """

    def __init__(
        self, volume: VolumeReader, normaliser: tuple[np.float32, np.float32], settings: NetworkSettings
    ) -> None:
        self._volume, self._normaliser, self._settings = volume, normaliser, settings
        self._planes: dict[tuple[int, ...], NDArray[np.float32]] = {}

    def window(self, piece: Piece, first: int) -> NDArray[np.float32]:
        """Return the normalised densities (y, x, slice) for the group that begins at slice `first`.

        They are mirrored at the border of the volume (`surroundings`), and 0 above and below it.
        """
        start, deep = first - self._settings.context_slices, self._volume.grid.shape_zyx[0]
        inside = range(max(start, 0), min(start + self._settings.slices, deep))
        self._planes = {self._key(piece, z): self._plane(piece, z) for z in inside}
        around = surroundings(piece, self._volume.grid.shape_zyx, self._settings)
        edges = [length + sum(sides) for length, sides in zip(piece.read_shape_zyx[1:], around, strict=True)]
        window = np.zeros((*edges, self._settings.slices), np.float32)
        for z in inside:
            window[..., z - start] = np.pad(self._planes[self._key(piece, z)], around, mode="reflect")
        return window

    def _plane(self, piece: Piece, z: int) -> NDArray[np.float32]:
        """Return one normalised slice of a piece, read only if the group before did not need it."""
        known = self._planes.get(self._key(piece, z))
        if known is not None:
            return known
        _, top, left = piece.read_corner_zyx
        read = self._volume.read_region((z, top, left), (1, *piece.read_shape_zyx[1:]))
        values: NDArray[np.float32] = read[0].astype(np.float32)
        mean, factor = self._normaliser
        values -= mean
        values *= factor
        values[~np.isfinite(values)] = 0
        return values

    @staticmethod
    def _key(piece: Piece, z: int) -> tuple[int, ...]:
        return (*piece.read_corner_zyx[1:], z)


class SlabWorker:
    """Predicts slabs of one tomogram.

    Parameters
    ----------
    predictor : Predictor
        The network.
    channels : mapping of str to int
        Outputs that maps are made of, by feature.
    task : ApplyTask
        What is to be done, and where it is written.
    reader : WindowReader
        The tomogram.
    """

    def __init__(self, predictor: Predictor, channels: dict[str, int], task: ApplyTask, reader: WindowReader) -> None:
        self._predictor, self._task, self._reader = predictor, task, reader
        self._channels = channels
        self._outs: dict[str, MrcWriter] = {}
        self._owner = locks.this_process()
        self._held: set[int] = set()

    def run(self, tasks: Sequence[ApplyTask], reporter: Reporter) -> None:
        """Predict what is free.

        The first process of a job waits for what others hold, and returns when all slabs are listed. A helper
        returns when nothing is free: what another leaves undone the first one finishes.
        """

        def write(made: _Predicted) -> None:
            self._write(made)
            if made.window.ends_slab:
                self._list_slab(made.window.slab, reporter.number)
                done = sum(len(task.finished.all()) for task in tasks)
                reporter.progress(done / sum(len(task.slabs) for task in tasks), self._task.tomogram)

        try:
            self._outs = {feature: MrcWriter.reopen(self._task.draft(feature)) for feature in self._channels}
            with locks.keeping_fresh(lambda: [self._task.claim(number) for number in list(self._held)]):
                in_three_threads(self._windows(reporter), self._predict, write, lambda: time.sleep(WAIT_SECONDS))
        finally:
            for out in self._outs.values():
                out.close()
            for number in list(self._held):
                self._release(number)

    def _windows(self, reporter: Reporter) -> Iterator[_Window | None]:
        """Yield the windows of all slabs that nobody else has claimed; None where others are at all of them."""
        while missing := set(range(len(self._task.slabs))) - set(self._task.finished.all()):
            any_claimed = False
            for number in sorted(missing):
                stop_if_asked(reporter)
                if self._claim(number):
                    any_claimed = True
                    for window in self._windows_of(number):
                        if reporter.should_stop():
                            raise Stopped
                        yield window
            if not any_claimed:
                if reporter.helps:
                    return
                yield None

    def _windows_of(self, number: int) -> Iterator[_Window]:
        z = self._task.slabs[number]
        parts = slab_pieces(self._task.record.shape_zyx, self._predictor.settings)
        firsts = group_starts(z, self._predictor.settings.slices_out)
        for part in parts:
            for first in firsts:
                ends = (part, first) == (parts[-1], firsts[-1])
                yield _Window(number, part, first, self._reader.window(part, first), ends)

    def _predict(self, window: _Window) -> _Predicted:
        return _Predicted(window, self._predictor.predict_group(window.densities))

    def _write(self, made: _Predicted) -> None:
        """Write what of a group lies in the slab and inside the piece."""
        piece, first = made.window.piece, made.window.first
        start, stop = self._task.slabs[made.window.slab]
        start, stop = max(start, first), min(stop, first + len(made.found))
        inside = self._inside(piece, made.found)[start - first : stop - first]
        for feature, out in self._outs.items():
            out.write_region((start, *piece.inside_corner_zyx[1:]), as_bytes(inside[..., self._channels[feature]]))

    def _inside(self, piece: Piece, found: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cut off what was only read for its surroundings; (slice, y, x, feature), a view."""
        (top, _), (left, _) = surroundings(piece, self._task.record.shape_zyx, self._predictor.settings)
        _, rows, columns = piece.inside_of_read
        return found[:, top:, left:][:, rows, columns]

    def _list_slab(self, number: int, worker: int) -> None:
        """List a slab once it is on disk."""
        for out in self._outs.values():
            out.sync()
        self._task.finished.add(number, number=worker)
        self._release(number)

    def _claim(self, number: int) -> bool:
        """Take a slab unless somebody is at it, which may be this process, or it is on disk."""
        try:
            locks.take(self._task.claim(number), self._owner)
        except AlreadyRunningError:
            return False
        self._held.add(number)
        if number not in self._task.finished.all():
            return True
        self._release(number)
        return False

    def _release(self, number: int) -> None:
        locks.release(self._task.claim(number), self._owner)
        self._held.discard(number)


def surroundings(
    piece: Piece, shape_zyx: tuple[int, int, int], settings: NetworkSettings
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return how many mirrored pixels stand before and behind a piece in y and in x.

    At the border of the volume they are the network's `border_pixels`, elsewhere none; behind the piece as many
    more as make its length a multiple of the network's stride.
    """
    spans = zip(piece.read_corner_zyx[1:], piece.read_shape_zyx[1:], shape_zyx[1:], strict=True)
    y, x = (_around(corner, length, of, settings) for corner, length, of in spans)
    return y, x


def _around(corner: int, length: int, of: int, settings: NetworkSettings) -> tuple[int, int]:
    before = settings.border_pixels if corner == 0 else 0
    behind = settings.border_pixels if corner + length == of else 0
    return before, behind + -(before + length + behind) % settings.stride


def group_starts(z: tuple[int, int], group: int) -> range:
    """Return where the groups begin that together hold the slices of a range.

    Examples
    --------
    >>> list(group_starts((10, 16), 3))
    [9, 12, 15]
    """
    return range(z[0] - z[0] % group, z[1], group)


def slab_pieces(shape_zyx: tuple[int, int, int], settings: NetworkSettings) -> list[Piece]:
    """Return the pieces in y and x of every slab, as of one slice; whole slices where they fit."""
    margin = settings.margin_pixels
    return pieces((1, *shape_zyx[1:]), slab=1, edge=EDGE, halo_zyx=(0, margin, margin), stride=settings.stride)


def as_bytes(probabilities: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return probabilities as a map stores them: 0..127 for 0..1, rounded."""
    return np.asarray(np.rint(np.clip(probabilities, 0, 1) * np.float32(127)), np.int8)
