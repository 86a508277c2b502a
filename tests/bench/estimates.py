"""`make bench-estimates`: ratio of the cost from `--estimate` to the real cost of a job; medians of five.

Each estimate and the job that it predicts run directly one after the other, and no timing is stored in between, so
that the load of a shared machine has little influence. Prints each ratio, and the medians of each kind
even if it is interrupted; asserts nothing. `--only preprocess` measures one kind.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.cli_runner import Tomoseg
from helpers.job_project import GRID, make_map, make_tubes_project, tubes, write_volume

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.files.disk_space import used_bytes
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.project.catalog import Project

WORK: dict[str, tuple[object, ...]] = {
    "train": ("train", "--feature", "tube", "--epochs", 3, "--batch", 4, "--seed", 3),
    "audit": ("audit", "--feature", "tube", "--epochs", 3, "--seed", 3),
    "apply": ("apply", "net", "large"),
    "merge": ("merge", "large", "--map", "net=0.5", "--map", "other=0.4"),
    "preprocess": ("preprocess", "large"),
}
COPIES = {"apply": (3, 3, 3), "merge": (10, 4, 4), "preprocess": (5, 4, 4)}
"""Repeats of the small tomogram along z, y, x in the large one: several seconds of work each."""


@dataclass(frozen=True)
class Ratio:
    """Predicted cost divided by real cost."""

    seconds: float
    memory: float
    disk: float


def make_project(folder: Path, kind: str) -> Path:
    """Make a project with the inputs of one kind of job."""
    root = make_tubes_project(folder)
    if kind not in COPIES:
        return root
    run, (densities, truth) = Tomoseg(root), tubes()
    large = np.tile(densities, COPIES[kind])
    grid = VoxelGrid(large.shape, GRID.voxel_size_angstrom)
    write_volume(folder / "large.mrc", large, grid)
    run("import", "../large.mrc", "--polarity", "bright")
    if kind == "apply":
        run("train", "--feature", "tube", "--epochs", 1, "--batch", 4, "--name", "net", "--wait")
    if kind == "merge":
        layout, rng = Project.open(root).layout, np.random.default_rng(3)
        for name in ("net", "other"):
            found = np.clip(80 * truth + rng.normal(10, 10, truth.shape), 0, 127).astype(np.int8)
            make_map(layout, np.tile(found, COPIES[kind]), run=name, tomogram="large", grid=grid)
    return root


PARTS = ("seconds", "memory", "disk")


class DiskMonitor:
    """Monitors the disk usage of a folder: at first and the maximum."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._ended = folder, threading.Event()
        self.first = self.most = used_bytes(folder)
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.005):  # a checkpoint that is being replaced exists twice for a moment
            try:
                self.most = max(self.most, used_bytes(self._folder))
            except FileNotFoundError:
                continue  # a draft that was just removed


def seconds_of(job: Job) -> float:
    """Return the time from the start of a job's worker to the recorded end."""
    owner = job.record().owner
    assert owner is not None
    began = psutil.boot_time() + int(owner.started) / os.sysconf("SC_CLK_TCK")
    return float(job.record_file.stat().st_mtime - began)


def ratio_of(root: Path, kind: str, place: Path) -> Ratio:
    """Estimate a job in a fresh copy of a project, and run it."""
    copy = place / "copy"
    shutil.copytree(root, copy, symlinks=True)
    try:
        run = Tomoseg(copy)
        environment = {"XDG_CACHE_HOME": str(place / "cache")}
        output = run(*WORK[kind], "--estimate", "--json", env=environment).json
        shutil.rmtree(place / "cache", ignore_errors=True)
        with DiskMonitor(copy) as disk:
            run(*WORK[kind], "--wait", env=environment)  # its stored timing is not used
        job = json.loads(run("jobs", "--json").out)[0]
        seconds = seconds_of(Job(copy / "jobs" / job["id"]))
        print(f"  {kind}: {output['seconds']:.1f} of {seconds:.1f} s, {output['memory_bytes'] / 1e6:.0f} of "
              f"{job['peak_memory_bytes'] / 1e6:.0f} MB, {output['disk_bytes'] / 1e6:.1f} of "
              f"{(disk.most - disk.first) / 1e6:.1f} MB of disk", flush=True)  # fmt: skip
        return Ratio(
            output["seconds"] / seconds,
            output["memory_bytes"] / job["peak_memory_bytes"],
            output["disk_bytes"] / (disk.most - disk.first),
        )
    finally:
        shutil.rmtree(copy)
        shutil.rmtree(place / "cache", ignore_errors=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(WORK), metavar="KIND,...")
    parser.add_argument("--count", type=int, default=5, help="runs of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tomoseg-bench-") as place:
        os.environ["TOMOSEG_QUEUE_FOLDER"] = f"{place}/queue"  # other jobs must not be ahead in the queue
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
        for kind in arguments.only.split(","):
            root = make_project(Path(place) / kind, kind)
            measure(root, kind, arguments.count, Path(place))
            shutil.rmtree(Path(place) / kind)


def measure(root: Path, kind: str, count: int, place: Path) -> None:
    """Measure one kind and print the medians, also after an interrupt."""
    found: list[Ratio] = []
    try:
        for _ in range(count):
            found.append(ratio_of(root, kind, place))  # noqa: PERF401  # results before an interrupt are used
    finally:
        if found:
            parts = {part: statistics.median(getattr(one, part) for one in found) for part in PARTS}
            output = ", ".join(f"{part} {value:.2f}" for part, value in parts.items())
            print(f"{kind:12} foretold / found, median of {len(found)}: {output}", flush=True)


if __name__ == "__main__":
    main()
