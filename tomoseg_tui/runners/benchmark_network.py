"""Do a small part of a job's work in a separate process, and measure its time and memory.

TensorFlow is imported, the network built and compiled, and a few steps or slices computed, as in the job. Nothing is
written.
"""

import os
import time
from collections.abc import Callable
from itertools import pairwise
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

from tomoseg_tui.core.network_settings import TrainingSettings, network_named
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.step_timing import time_training_steps
from tomoseg_tui.ml.tf_devices import peak_gpu_bytes, prepare_device
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import open_tomogram
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.runners.slabs import WindowReader, group_starts, probability_to_byte, slab_blocks
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, normalisation
from tomoseg_tui.workflow.audit.audit_request import FOLDS
from tomoseg_tui.workflow.estimates.benchmark_volumes import CLOSING_SECONDS
from tomoseg_tui.workflow.job_interface import parse_request

BUDGET_SECONDS = 4.0
"""Time after which no further step or group of slices is started."""
MIN_STEPS = 3
"""Least number of timed steps or groups."""


def benchmark_training(
    _project: Project, request: dict[str, Any], folder: Path, process_start: float, peak_bytes: Callable[[], int]
) -> Timing:
    """Time some training steps on noise; a unit is a step.

    Validation and, at the end, a network that predicts all tiles compile once each.

    Parameters
    ----------
    request : dict
        With the keys "network", "features", "batch", "tile" and "device".
    folder : Path
        An empty folder, which the caller removes.
    process_start : float
        Start of this process by `time.time`, s.
    peak_bytes : callable
        Returns the peak memory of this process, bytes.
    """
    return _benchmark_trainings(request, folder, process_start, peak_bytes, networks=1, compiled_predictions=2)


def benchmark_audit(
    _project: Project, request: dict[str, Any], folder: Path, process_start: float, peak_bytes: Callable[[], int]
) -> Timing:
    """Time some steps of an audit, as `benchmark_training`; each fold builds a network and predicts tiles with it."""
    return _benchmark_trainings(request, folder, process_start, peak_bytes, networks=FOLDS, compiled_predictions=FOLDS)


def _benchmark_trainings(
    request: dict[str, Any],
    folder: Path,
    process_start: float,
    peak_bytes: Callable[[], int],
    *,
    networks: int,
    compiled_predictions: int,
) -> Timing:
    prepare_device(request["device"], None)
    import_seconds = time.time() - process_start
    settings = TrainingSettings(request["network"], epochs=1, learning_rate=1e-3, batch=request["batch"])
    times = time_training_steps(
        settings,
        features=request["features"],
        tile_size=request["tile"],
        budget_seconds=BUDGET_SECONDS,
        min_steps=MIN_STEPS,
        folder=folder,
    )
    build_seconds = networks * (times.startup_seconds - times.step_seconds)
    return Timing(
        start_seconds=import_seconds + build_seconds + compiled_predictions * times.compile_seconds + CLOSING_SECONDS,
        unit_seconds=times.step_seconds,
        judging_seconds=times.validation_seconds,
        memory_bytes=peak_bytes() - times.tiles_bytes,
        video_bytes=peak_gpu_bytes(),
    )


def benchmark_apply(
    project: Project, raw_request: dict[str, Any], _folder: Path, process_start: float, peak_bytes: Callable[[], int]
) -> Timing:
    """Predict some groups of slices of the first tomogram; a unit is a voxel, computed by one of the job's workers."""
    request = parse_request(raw_request, ApplyRequest)
    threads = request.threads or max(1, len(os.sched_getaffinity(0)) // request.workers)
    prepare_device(request.device, threads)
    card = catalog.load_network_card(project.layout, request.run)
    settings = network_named(card.network)
    predictor = Predictor(project.layout.network_weights(request.run), settings, len(card.features), tta=request.tta)
    name = request.tomograms[0]
    record = catalog.load_tomogram(project.layout, name)
    block = slab_blocks(record.shape_zyx, settings)[0]
    with open_tomogram(project.layout, name, record) as volume:
        reader = WindowReader(volume, normalisation(card, record), settings)
        group_ends: list[float] = []
        for first_slice in group_starts((0, record.shape_zyx[0]), settings.slices_out):
            probability_to_byte(predictor.predict_group(reader.window(block, first_slice)))
            group_ends.append(time.time())
            if len(group_ends) > MIN_STEPS and group_ends[-1] - group_ends[0] > BUDGET_SECONDS:
                break
    intervals = [after - before for before, after in pairwise(group_ends)] or [group_ends[0] - process_start]
    voxels = settings.slices_out * prod(block.inside_shape_zyx[1:])
    return Timing(
        start_seconds=group_ends[0] - process_start - median(intervals) + CLOSING_SECONDS,
        unit_seconds=median(intervals) / voxels,
        memory_bytes=peak_bytes(),
        video_bytes=peak_gpu_bytes(),
    )
