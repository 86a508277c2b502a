"""Do a little of a merge or a preprocess, on the very volumes, to learn how long all of it will take."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.binning import binned_shape
from tomoseg_tui.core.filters import BLOCK_VOXELS, preprocess
from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.statistics import measure_statistics, sample_bands
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import open_tomogram
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.workflow.job_interface import parse_request, slab_ranges
from tomoseg_tui.workflow.merge.merge_request import SLAB, MergeRequest, merge_slab
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest

MAX_SECONDS = 2.0
"""After this no further slab is begun."""
MIN_SLABS = 3
"""Slabs that are timed in any case, where there are so many."""
CROP_PIECES = 4
"""Of a large volume only slices that make about as many pieces are filtered."""
CLOSING_SECONDS = 0.2
"""The last words of a job: sidecar, result and record, each waited for."""


def benchmark_merge(
    project: Project, raw_request: dict[str, Any], folder: Path, process_start: float, peak_bytes: Callable[[], int]
) -> Timing:
    """Merge some slabs; a unit is a slab.

    Parameters
    ----------
    folder : Path
        Empty; the caller removes it.
    process_start : float
        When this process was started, as `time.time` returns it.
    peak_bytes : callable
        Returns the most memory that the process has had.
    """
    request = parse_request(raw_request, MergeRequest)
    grid = catalog.load_tomogram(project.layout, request.tomogram).grid
    paths = [project.layout.map_file(request.tomogram, choice.run, choice.feature) for choice in request.maps]
    with ExitStack() as stack:
        readers = [stack.enter_context(open_volume(path, byte_sign="signed")) for path in paths]
        writer = stack.enter_context(MrcWriter(folder / "labels.mrc", grid, np.dtype(np.int8)))
        slabs = slab_ranges(0, grid.shape_zyx[0], SLAB)
        slab_times = [time.time()]
        for z in slabs:
            merge_slab(readers, [choice.threshold for choice in request.maps], z, writer)
            writer.sync()
            slab_times.append(time.time())
            if len(slab_times) > MIN_SLABS and slab_times[-1] - slab_times[0] > MAX_SECONDS:
                break
    return Timing(
        start_seconds=slab_times[0] - process_start + CLOSING_SECONDS,
        unit_seconds=(slab_times[-1] - slab_times[0]) / (len(slab_times) - 1),
        memory_bytes=peak_bytes(),
    )


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


def benchmark_preprocess(
    project: Project, raw_request: dict[str, Any], folder: Path, process_start: float, peak_bytes: Callable[[], int]
) -> Timing:
    """Filter the first slices of the first tomogram, as `benchmark_merge`; a unit is a voxel of the result.

    Mean and sigma are found once for each tomogram: that is part of the start.
    """
    request = parse_request(raw_request, PreprocessRequest)
    name = request.tomograms[0]
    record = catalog.load_tomogram(project.layout, name)
    plane = prod(record.shape_zyx[1:])
    slices = min(record.shape_zyx[0], max(request.factor, 16, CROP_PIECES * BLOCK_VOXELS * request.factor**3 // plane))
    shape_zyx = binned_shape((slices, *record.shape_zyx[1:]), request.factor)
    grid = VoxelGrid(shape_zyx, record.voxel_size_angstrom)
    with (
        open_tomogram(project.layout, name, record) as source,
        MrcWriter(folder / "version.mrc", grid, np.dtype(np.float32)) as writer,
    ):
        work_start = time.time()
        for corner, values in preprocess(
            _Crop(source, slices), request.chain, factor=request.factor, scale=record.scale
        ):
            writer.write_region(corner, values)
        writer.sync()
        work_end = time.time()
        measure_statistics(source, sample_bands(binned_shape(record.shape_zyx, request.factor)))  # as of the result
        statistics_seconds = time.time() - work_end
    start_seconds = work_start - process_start + len(request.tomograms) * statistics_seconds
    return Timing(
        start_seconds=start_seconds + CLOSING_SECONDS,
        unit_seconds=(work_end - work_start) / prod(shape_zyx),
        memory_bytes=peak_bytes(),
    )
