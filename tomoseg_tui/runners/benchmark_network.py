"""Do a little of a job's work in a process of its own, and tell what it took.

TensorFlow wakes, the network is built and compiled, and a few steps or slices are computed with it, as the job
will do it. Nothing is left but the figures.
"""

import os
import time
from collections.abc import Callable
from itertools import pairwise
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from tomoseg_tui.core.network_settings import TrainingSettings, network_named
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.step_timing import peak_video_bytes, time_steps
from tomoseg_tui.ml.tf_devices import prepare_device
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Pace
from tomoseg_tui.runners.slabs import WindowReader, as_bytes, group_starts, slab_pieces
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, normaliser
from tomoseg_tui.workflow.estimates.benchmark_volumes import CLOSING_SECONDS
from tomoseg_tui.workflow.volume_names import byte_sign_of

ENOUGH_SECONDS = 4.0
"""After this no further step or group of slices is begun."""
FEWEST = 3
"""Of them that are timed in any case."""


def measure_training(asked: dict[str, Any], folder: Path, since: float, peak_bytes: Callable[[], int]) -> Pace:
    """Take some steps of a training on noise; a unit is a step.

    Parameters
    ----------
    asked : dict
        ``network``, ``features``, ``batch``, ``tile``, ``device``.
    folder : Path
        Empty; the caller removes it.
    since : float
        When this process was started, as `time.time` tells.
    peak_bytes : callable
        Tells the most memory that it has had.
    """
    prepare_device(asked["device"], None)
    awake = time.time() - since
    settings = TrainingSettings(asked["network"], epochs=1, learning_rate=1e-3, batch=asked["batch"])
    found = time_steps(
        settings, features=asked["features"], tile=asked["tile"], enough_seconds=ENOUGH_SECONDS, fewest=FEWEST,
        folder=folder,
    )  # fmt: skip
    # The held-out tiles are looked at, and in the end all of them by a network of its own: both compile once more.
    start = awake + found.ready_seconds - found.step_seconds + 2 * found.compile_seconds + CLOSING_SECONDS
    return Pace(
        start_seconds=start,
        unit_seconds=found.step_seconds,
        judging_seconds=found.judging_seconds,
        memory_bytes=peak_bytes() - found.tiles_bytes,
        video_bytes=peak_video_bytes(),
    )


def measure_apply(project: Project, asked: dict[str, Any], since: float, peak_bytes: Callable[[], int]) -> Pace:
    """Predict some groups of slices of the first tomogram; a unit is a voxel, by one of the job's workers."""
    request = msgspec.convert(asked, ApplyRequest)
    threads = request.threads or max(1, len(os.sched_getaffinity(0)) // request.workers)
    prepare_device(request.device, threads)
    card = catalog.network(project.layout, request.run)
    settings = network_named(card.network)
    predictor = Predictor(project.layout.network_weights(request.run), settings, len(card.features), copies=request.tta)
    name = request.tomograms[0]
    record = catalog.tomogram(project.layout, name)
    piece = slab_pieces(record.shape_zyx, settings)[0]
    path = catalog.volume_path(project.layout, name, record)
    with open_volume(path, byte_sign=byte_sign_of(record)) as volume:
        reader = WindowReader(volume, normaliser(card, record), settings)
        ends: list[float] = []
        for first in group_starts((0, record.shape_zyx[0]), settings.slices_out):
            as_bytes(predictor.predict_group(reader.window(piece, first)))
            ends.append(time.time())
            if len(ends) > FEWEST and ends[-1] - ends[0] > ENOUGH_SECONDS:
                break
    laps = [after - before for before, after in pairwise(ends)] or [ends[0] - since]
    voxels = settings.slices_out * prod(piece.inside_shape_zyx[1:])
    return Pace(
        start_seconds=ends[0] - since - median(laps) + CLOSING_SECONDS,
        unit_seconds=median(laps) / voxels,
        memory_bytes=peak_bytes(),
        video_bytes=peak_video_bytes(),
    )
