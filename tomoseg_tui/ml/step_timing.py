"""Time a few training steps on tiles of noise, to predict the duration of a training."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from tomoseg_tui.core.network_settings import TrainingSettings
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.ml.batches import epoch_batches
from tomoseg_tui.ml.training import TrainingRun

HELD_OUT_TILES = 2
"""Number of validation tiles."""
MAX_STEPS = 1000


@dataclass(frozen=True)
class StepTimes:
    """Measured times and memory."""

    startup_seconds: float
    """From the call to the second step: building, compiling."""
    step_seconds: float
    validation_seconds: float
    """Per validation tile."""
    compile_seconds: float
    """Additional time of the first validation."""
    tiles_bytes: int
    """Memory of the tiles."""


def time_training_steps(
    settings: TrainingSettings,
    *,
    features: int,
    tile_size: int,
    budget_seconds: float,
    min_steps: int,
    folder: Path,
    clock: Callable[[], float] = time.monotonic,
) -> StepTimes:
    """Train on noise for a limited time.

    Parameters
    ----------
    features, tile_size : int
        Number of outputs, and edge of a tile in pixels.
    budget_seconds : float
        Time from the second step after which no step is started, s.
    folder : Path
        Folder of a training; nothing is written.
    """
    start = clock()
    patches = _noise_patches(settings.batch + HELD_OUT_TILES, features, tile_size)
    run = TrainingRun(patches, settings, folder)
    batches = epoch_batches(patches, settings, 0, MAX_STEPS)
    step_ends: list[float] = []
    for step, batch in enumerate(batches):
        run.train_step(batch, step, MAX_STEPS)
        step_ends.append(clock())
        if len(step_ends) > min_steps and step_ends[-1] - step_ends[0] > budget_seconds:
            break
    batches.close()
    validation_times = [_time_call(run.validate, clock) for _ in range(3)]
    repeat_seconds = min(validation_times[1:])
    step_times = np.diff(step_ends)
    return StepTimes(
        step_ends[0] - start,
        float(median(step_times)),
        repeat_seconds / HELD_OUT_TILES,
        validation_times[0] - repeat_seconds,
        patches.densities.nbytes,
    )


def _noise_patches(tiles: int, features: int, tile_size: int) -> TilePatches:
    rng = np.random.default_rng(0)
    edge = tile_size + 2 * CONTEXT_PIXELS
    densities = rng.standard_normal((tiles, 2 * CONTEXT_SLICES + 1, edge, edge), dtype=np.float32)
    layers = rng.integers(1, 3, (tiles, features, tile_size, tile_size), dtype=np.uint8)
    held_out = np.arange(tiles) >= tiles - HELD_OUT_TILES
    names = tuple(f"feature_{number}" for number in range(features))
    return TilePatches(densities, layers, np.ones((tiles, features), np.int8), held_out, names)


def _time_call(function: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    function()
    return clock() - start
