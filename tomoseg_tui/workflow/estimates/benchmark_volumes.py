"""Do a little of a merge or a preprocess, on the very volumes, to learn how long all of it will take."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.filters import PIECE_VOXELS, binned_shape, preprocess
from tomoseg_tui.core.grid import Grid
from tomoseg_tui.core.statistics import measure, sample_bands
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Pace
from tomoseg_tui.workflow.job_interface import slab_ranges
from tomoseg_tui.workflow.merge.merge_request import SLAB, MergeRequest, merge_slab
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.volume_names import byte_sign_of

ENOUGH_SECONDS = 2.0
"""After this no further slab is begun."""
FEWEST = 3
"""Slabs that are timed in any case, where there are so many."""
CROP_PIECES = 4
"""Of a large volume only slices that make about as many pieces are filtered."""
CLOSING_SECONDS = 0.2
"""The last words of a job: sidecar, result and record, each waited for."""


def measure_plain(
    project: Project, kind: str, asked: dict[str, Any], folder: Path, since: float, peak_bytes: Callable[[], int]
) -> Pace:
    """Do a little of a merge, whose unit is a slab, or of a preprocess, whose unit is a voxel of the result.

    Parameters
    ----------
    project : Project
    kind : str
        `merge` or `preprocess`.
    asked : dict
        The recipe's request.
    folder : Path
        Empty; the caller removes it.
    since : float
        When this process was started, as `time.time` tells.
    peak_bytes : callable
        Tells the most memory that it has had.
    """
    if kind == "merge":
        (ready, unit), after = _sample_merge(project, msgspec.convert(asked, MergeRequest), folder), 0.0
    else:
        ready, unit, after = _sample_preprocess(project, msgspec.convert(asked, PreprocessRequest), folder)
    return Pace(start_seconds=ready - since + after + CLOSING_SECONDS, unit_seconds=unit, memory_bytes=peak_bytes())


def _sample_merge(project: Project, request: MergeRequest, folder: Path) -> tuple[float, float]:
    """Merge some slabs; return when the first was begun, and the seconds of one."""
    grid = catalog.tomogram(project.layout, request.tomogram).grid
    paths = [project.layout.map_file(request.tomogram, one.run, one.feature) for one in request.maps]
    with ExitStack() as opened:
        readers = [opened.enter_context(open_volume(path, byte_sign="signed")) for path in paths]
        out = opened.enter_context(MrcWriter(folder / "labels.mrc", grid, np.dtype(np.int8)))
        slabs = slab_ranges(0, grid.shape_zyx[0], SLAB)
        ends = [time.time()]
        for z in slabs:
            merge_slab(readers, [one.threshold for one in request.maps], z, out)
            out.sync()
            ends.append(time.time())
            if len(ends) > FEWEST and ends[-1] - ends[0] > ENOUGH_SECONDS:
                break
    return ends[0], (ends[-1] - ends[0]) / (len(ends) - 1)


@dataclass(frozen=True)
class _Crop:
    """The first slices of a volume, as the filters want it."""

    reader: VolumeReader
    slices: int

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        return (self.slices, *self.reader.grid.shape_zyx[1:])

    def read_region(self, corner_zyx: tuple[int, int, int], shape_zyx: tuple[int, int, int]) -> NDArray[Any]:
        return self.reader.read_region(corner_zyx, shape_zyx)


def _sample_preprocess(project: Project, request: PreprocessRequest, folder: Path) -> tuple[float, float, float]:
    """Filter the first slices of the first tomogram.

    Returns
    -------
    tuple of float
        When that was begun, the seconds of a voxel, and those of finding mean and sigma of what all tomograms become.
    """
    name = request.tomograms[0]
    record = catalog.tomogram(project.layout, name)
    plane = prod(record.shape_zyx[1:])
    slices = min(record.shape_zyx[0], max(request.factor, 16, CROP_PIECES * PIECE_VOXELS * request.factor**3 // plane))
    shape_zyx = binned_shape((slices, *record.shape_zyx[1:]), request.factor)
    path = catalog.volume_path(project.layout, name, record)
    grid = Grid(shape_zyx, record.voxel_size_angstrom)
    with (
        open_volume(path, byte_sign=byte_sign_of(record)) as source,
        MrcWriter(folder / "version.mrc", grid, np.dtype(np.float32)) as out,
    ):
        ready = time.time()
        for corner, values in preprocess(
            _Crop(source, slices), request.chain, factor=request.factor, scale=record.scale
        ):
            out.write_region(corner, values)
        out.sync()
        ended = time.time()
        measure(source, sample_bands(binned_shape(record.shape_zyx, request.factor)))  # as of the result
        measured = time.time() - ended
    return ready, (ended - ready) / prod(shape_zyx), len(request.tomograms) * measured
