"""`make bench` without DATA: all steps on the sample data, timed and scored, and the peak memory of an apply worker.

Prints a table; asserts nothing. Takes about ten minutes on two cores. The large tomogram is a sparse file of 16 GB
that takes about 0.5 GB on disk during the measurement.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.io.mrc import MrcWriter

MEGABYTE = 1e6
LARGE_ZYX = (1000, 4096, 4096)
FILLED = (490, 518)
"""Slices of the large tomogram with noise: --z 496:512 and the slices around it that the network reads."""


def tomoseg(project: Path, *arguments: str) -> str:
    """Run a command in a project; return its output."""
    command = [sys.executable, "-m", "tomoseg_tui", *arguments]
    return subprocess.run(command, cwd=project, check=True, stdout=subprocess.PIPE, text=True).stdout


def help_seconds(runs: int = 11) -> float:
    """Return the median time of `tomoseg --help`, including the start of Python."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "tomoseg_tui", "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def jobs_by_kind(project: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the project's jobs, newest first, by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for job in json.loads(tomoseg(project, "jobs", "--json")):
        found.setdefault(job["kind"], []).append(job)
    return found


def write_large_tomogram(path: Path, shape_zyx: tuple[int, int, int], filled: tuple[int, int]) -> None:
    """Write a sparse tomogram of signed bytes with noise in some slices."""
    chance = np.random.default_rng(0)
    with MrcWriter(path, VoxelGrid(shape_zyx, 13.6), np.int8) as out:
        for z in range(*filled):
            out.write_slices(z, chance.integers(-60, 60, (1, *shape_zyx[1:]), dtype=np.int8))


def measure(folder: Path, *, seed_runs: int) -> list[tuple[str, str]]:
    """Return the rows of the table: quantity and value."""
    rows = [("tomoseg --help, median of 11", f"{help_seconds():.3f} s")]
    project = folder / "demo"
    began = time.monotonic()
    tomoseg(folder, "demo", str(project))
    rows.append(("demo, without installing", f"{(time.monotonic() - began) / 60:.1f} min"))
    rows += _scores(project, "merged", "demo, seed 0")
    for seed in range(1, seed_runs):
        rows += _further_seed(project, seed)
    small = jobs_by_kind(project)["apply"][-1]["peak_memory_bytes"]
    rows.append(("apply worker's peak on cell_b", f"{small / MEGABYTE:.0f} MB"))
    large = folder / "large.mrc"
    write_large_tomogram(large, LARGE_ZYX, FILLED)
    began = time.monotonic()
    tomoseg(project, "import", str(large), "--link")
    rows.append(("link 1000 x 4096 x 4096", f"{time.monotonic() - began:.1f} s"))
    began = time.monotonic()
    tomoseg(project, "apply", "demo", "large", "--z", "496:512", "--wait")
    rows.append(("apply to its slices 496:512", f"{time.monotonic() - began:.0f} s"))
    peak = jobs_by_kind(project)["apply"][0]["peak_memory_bytes"]
    rows.append(("apply worker's peak there, above cell_b", f"{(peak - small) / MEGABYTE:.0f} MB"))
    return rows


def _scores(project: Path, labels: str, title: str) -> list[tuple[str, str]]:
    truth = str(project / "sample_data" / "cell_b_labels.mrc.gz")
    arguments = ["evaluate", f"cell_b/{labels}", truth, "--label", "1", "--label", "2", "--json"]
    found = json.loads(tomoseg(project, *arguments))["labels"]
    return [(f"{title}: Dice microtubule, membrane", f"{found['1']['dice']:.3f}, {found['2']['dice']:.3f}")]


def _further_seed(project: Path, seed: int) -> list[tuple[str, str]]:
    run = f"seed{seed}"
    arguments = ["--feature", "microtubule", "--feature", "membrane", "--seed", str(seed)]
    tomoseg(project, "train", *arguments, "--name", run, "--wait")
    tomoseg(project, "apply", run, "cell_b", "--wait")
    maps = ["--map", f"{run}:microtubule=card", "--map", f"{run}:membrane=card"]
    tomoseg(project, "merge", "cell_b", *maps, "--name", run, "--wait")
    return _scores(project, run, f"seed {seed}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="trainings with other seeds, the demo's counted")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tomoseg-bench-") as folder:
        rows = measure(Path(folder), seed_runs=arguments.seeds)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    for title, value in rows:
        print(f"{title:45} {value}")


if __name__ == "__main__":
    main()
