"""Time a few steps of a training on tiles of noise: what a step takes here says what all of them will."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tensorflow as tf

from tomoseg_tui.core.network_settings import TrainingSettings
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.ml.batches import epoch_batches
from tomoseg_tui.ml.training import TrainingRun

JUDGED = 2
"""Held-out tiles that are looked at."""
MOST_STEPS = 1000


@dataclass(frozen=True)
class StepTimes:
    """What was measured."""

    ready_seconds: float
    """From the call until the second step: building, compiling."""
    step_seconds: float
    judging_seconds: float
    """A held-out tile."""
    compile_seconds: float
    """The first look at held-out tiles takes so much longer."""
    tiles_bytes: int
    """Memory that the tiles took."""


def time_steps(
    settings: TrainingSettings,
    *,
    features: int,
    tile: int,
    enough_seconds: float,
    fewest: int,
    folder: Path,
    clock: Callable[[], float] = time.monotonic,
) -> StepTimes:
    """Train on noise until enough time is spent.

    Parameters
    ----------
    settings : TrainingSettings
        Network and batch.
    features, tile : int
        Outputs, and edge of a tile in pixels.
    enough_seconds : float
        After this, counted from the second step, no step is begun.
    fewest : int
        Steps that are timed in any case.
    folder : Path
        Where a training would write; nothing is written.
    clock : callable
        Tells seconds.
    """
    began = clock()
    patches = _noise(settings.batch + JUDGED, features, tile)
    run = TrainingRun(patches, settings, folder)
    batches = epoch_batches(patches, settings, 0, MOST_STEPS)
    ends: list[float] = []
    for step, batch in enumerate(batches):
        run.take_step(batch, step, MOST_STEPS)
        ends.append(clock())
        if len(ends) > fewest and ends[-1] - ends[0] > enough_seconds:
            break
    batches.close()
    looks = [_lap(run.judge_held_out, clock) for _ in range(3)]
    again = min(looks[1:])
    steps = np.diff(ends)
    return StepTimes(ends[0] - began, float(median(steps)), again / JUDGED, looks[0] - again, patches.densities.nbytes)


def _noise(tiles: int, features: int, size: int) -> TilePatches:
    rng = np.random.default_rng(0)
    edge = size + 2 * CONTEXT_PIXELS
    densities = rng.standard_normal((tiles, 2 * CONTEXT_SLICES + 1, edge, edge), dtype=np.float32)
    layers = rng.integers(1, 3, (tiles, features, size, size), dtype=np.uint8)
    held_out = np.arange(tiles) >= tiles - JUDGED
    names = tuple(f"feature_{number}" for number in range(features))
    return TilePatches(densities, layers, np.ones((tiles, features), np.int8), held_out, names)


def _lap(call: Callable[[], object], clock: Callable[[], float]) -> float:
    began = clock()
    call()
    return clock() - began


def peak_video_bytes() -> int:
    """Return the most memory of a GPU that TensorFlow has had; 0 on the CPU."""
    if not tf.config.get_visible_devices("GPU"):
        return 0
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
