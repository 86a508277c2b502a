"""Speed of applying networks without start-up, absolute and relative to matrix products; run by the benchmark.

`python speed.py PROJECT TOMOGRAM RUN... [--rounds N]` applies each run and a U-Net of the size of UNet S alternately,
as apply does (read, compute, write), on the slices of one slab, or on a part of it for slow networks,
and multiplies two matrices in between. Prints JSON: for each the shortest time per slice, and the peak memory.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import tensorflow as tf
from helpers.cli_runner import Listener
from unet_s import build_unet_s, flops_per_pixel

from tomoseg_tui.core.network_settings import network_named
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.ml.inference import Predictor
from tomoseg_tui.ml.tf_devices import prepare_device
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.runners.slabs import SlabWorker, WindowReader
from tomoseg_tui.workflow.apply.apply_request import normalisation
from tomoseg_tui.workflow.apply.output import apply_task

MATRIX = 2048
"""Edge of the matrices whose product measures the speed of the machine."""
SLOW_FLOPS = 1e5
"""A network with more operations per pixel is timed on fewer slices."""
FAST_SLICES, SLOW_SLICES = 24, 2
PIXELS = 512 * 512
PRODUCTS = 3
"""Matrix products after each network in each round."""
FACTOR = np.random.default_rng(0).standard_normal((MATRIX, MATRIX), dtype=np.float32)


def applying(project: Project, run: str, tomogram: str, folder: Path) -> tuple[Callable[[], int], float]:
    """Return a function that applies a run to some slices and returns their number, and the FLOP per voxel."""
    card, record = catalog.load_network_card(project.layout, run), catalog.load_tomogram(project.layout, tomogram)
    settings = network_named(card.network)
    predictor = Predictor(project.layout.network_weights(run), settings, len(card.features))
    flops = settings.flops_per_pixel(len(card.features))
    slices = FAST_SLICES if flops < SLOW_FLOPS else SLOW_SLICES
    channels = {feature: place for place, feature in enumerate(card.features)}

    def apply() -> int:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            task = apply_task(record, tomogram, Path(place), f"0:{slices}")
            for feature in channels:
                MrcWriter(task.draft(feature), record.grid, np.int8).close()
            with open_volume(catalog.volume_path(project.layout, tomogram, record)) as volume:
                reader = WindowReader(volume, normalisation(card, record), settings)
                SlabWorker(predictor, channels, task, reader).run([task], Listener(Path(place)))
        return slices

    return apply, flops


def applying_unet_s(shape_yx: tuple[int, int]) -> tuple[Callable[[], int], float]:
    """Return a function that segments slices with an untrained U-Net of that size, without reading or writing."""
    model = build_unet_s()
    spec = tf.TensorSpec((1, *shape_yx, 1), tf.float32)
    function = tf.function(lambda image: model(image, training=False), input_signature=[spec], autograph=False)
    image = np.random.default_rng(0).standard_normal((1, *shape_yx, 1), dtype=np.float32)

    def apply() -> int:
        for _ in range(SLOW_SLICES):
            function(image).numpy()
        return SLOW_SLICES

    return apply, flops_per_pixel()


def multiply_matrices() -> int:
    """Multiply two matrices; return the number of products."""
    tf.matmul(FACTOR, FACTOR).numpy()
    return 1


@dataclass
class Timed:
    """The shortest times of a repeated operation."""

    wall_s: float = float("inf")
    cpu_s: float = float("inf")
    """CPU time of all threads; other load of the machine has less influence on it."""

    def again(self, work: Callable[[], int]) -> None:
        """Time one more repetition."""
        wall, cpu = time.perf_counter(), time.process_time()
        done = work()
        self.wall_s = min(self.wall_s, (time.perf_counter() - wall) / done)
        self.cpu_s = min(self.cpu_s, (time.process_time() - cpu) / done)


def measure(project: Project, tomogram: str, runs: list[str], rounds: int, folder: Path) -> dict[str, Any]:
    """Time all alternately; return the best of each."""
    record = catalog.load_tomogram(project.layout, tomogram)
    share = record.shape_zyx[1] * record.shape_zyx[2] / PIXELS
    asked = {run: applying(project, run, tomogram, folder) for run in runs}
    asked["unet_s"] = applying_unet_s(record.shape_zyx[1:])
    for apply, _ in asked.values():
        apply()  # the first one includes imports
    timed, product = {name: Timed() for name in asked}, Timed()
    for _ in range(rounds):
        for name, (apply, _) in asked.items():
            timed[name].again(apply)
            for _ in range(PRODUCTS):
                product.again(multiply_matrices)
    return {
        "matrix_flops": 2 * MATRIX**3 / product.wall_s,
        "networks": {
            name: {
                "s_per_slice": timed[name].wall_s / share,
                "cpu_s_per_slice": timed[name].cpu_s / share,
                "kflop": flops / 1e3,
                "share": _share(flops, timed[name].wall_s / share, product.wall_s),
                "cpu_share": _share(flops, timed[name].cpu_s / share, product.cpu_s),
            }
            for name, (_, flops) in asked.items()
        },
    }


def _share(flops: float, seconds_a_slice: float, seconds_a_product: float) -> float:
    """Return the speed of a network as a share of the speed of matrix products."""
    return flops * PIXELS / seconds_a_slice / (2 * MATRIX**3 / seconds_a_product)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("tomogram")
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    prepare_device("cpu")
    with tempfile.TemporaryDirectory(prefix="tomoseg-speed-") as folder:
        found = measure(
            Project.open(arguments.project), arguments.tomogram, arguments.runs, arguments.epochs, Path(folder)
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
