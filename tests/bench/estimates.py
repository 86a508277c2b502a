"""`make bench-estimates`: how near what `--estimate` says comes to what a job takes; each ratio a median of five.

Each measurement and the run that it foretells stand next to each other in time, and nothing is kept in between, so
that a machine that others use does not tell of itself. Prints a table; asserts nothing.
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
from support import Tomoseg
from tubes import GRID, make_tubes_project, tubes, write_volume

from tomoseg_tui.core.tomogram import Grid
from tomoseg_tui.io.room import taken_bytes
from tomoseg_tui.jobs.record import Job

LARGE = (4, 4, 4)
"""Copies of the small tomogram along z, y, x that the large one is made of."""
WORK: dict[str, tuple[object, ...]] = {
    "train": ("train", "--feature", "tube", "--epochs", 3, "--batch", 4, "--seed", 3),
    "apply": ("apply", "net", "large"),
    "merge": ("merge", "large", "--map", "net=0.5", "--map", "other=0.4"),
    "preprocess": ("preprocess", "large"),
}


@dataclass(frozen=True)
class Ratio:
    """What was foretold, divided by what it was."""

    seconds: float
    memory: float
    disk: float


def make_project(folder: Path) -> Path:
    """Make a project with a large tomogram, and two networks with their maps."""
    root = make_tubes_project(folder)
    run = Tomoseg(root)
    densities = np.tile(tubes()[0], LARGE)
    write_volume(folder / "large.mrc", densities, Grid(densities.shape, GRID.voxel_size_angstrom))
    run("import", "../large.mrc", "--polarity", "bright")
    words = ("train", "--feature", "tube", "--epochs", 1, "--batch", 4)
    for name in ("net", "other"):
        run(*words, "--name", name, "--wait")
        if "merge" in WORK:
            run("apply", name, "large", "--wait")
    return root


class Room:
    """Watches how much of the disk a folder takes, the most and at first."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._ended = folder, threading.Event()
        self.first = self.most = taken_bytes(folder)
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.005):  # a checkpoint that is being replaced is there twice, not for long
            try:
                self.most = max(self.most, taken_bytes(self._folder))
            except FileNotFoundError:
                continue  # a draft that has just gone


def seconds_of(job: Job) -> float:
    """Return the time from the start of a job's worker to its last word."""
    owner = job.record().owner
    assert owner is not None
    began = psutil.boot_time() + int(owner.started) / os.sysconf("SC_CLK_TCK")
    return float(job.record_file.stat().st_mtime - began)


def ratio_of(root: Path, kind: str, place: Path) -> Ratio:
    """Foretell a job of a fresh copy of a project, and run it."""
    copy = place / "copy"
    shutil.copytree(root, copy, symlinks=True)
    try:
        run = Tomoseg(copy)
        environment = {"XDG_CACHE_HOME": str(place / "cache")}
        said = run(*WORK[kind], "--estimate", "--json", env=environment).json
        shutil.rmtree(place / "cache", ignore_errors=True)
        with Room(copy) as room:
            run(*WORK[kind], "--wait")
        job = json.loads(run("jobs", "--json").out)[0]
        seconds = seconds_of(Job(copy / "jobs" / job["id"]))
        print(f"  {kind}: {said['seconds']:.1f} of {seconds:.1f} s, {said['memory_bytes'] / 1e6:.0f} of "
              f"{job['peak_memory_bytes'] / 1e6:.0f} MB, {said['disk_bytes'] / 1e6:.1f} of "
              f"{(room.most - room.first) / 1e6:.1f} MB of disk", flush=True)  # fmt: skip
        return Ratio(
            said["seconds"] / seconds,
            said["memory_bytes"] / job["peak_memory_bytes"],
            said["disk_bytes"] / (room.most - room.first),
        )
    finally:
        shutil.rmtree(copy)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(WORK))
    parser.add_argument("--runs", type=int, default=5)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tomoseg-bench-") as place:
        os.environ["TOMOSEG_QUEUE_FOLDER"] = f"{place}/queue"  # jobs of others must not come first
        root = make_project(Path(place) / "template")
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
        for kind in words.only.split(","):
            found = [ratio_of(root, kind, Path(place)) for _ in range(words.runs)]
            parts = {
                title: statistics.median(getattr(one, title) for one in found)
                for title in ("seconds", "memory", "disk")
            }
            print(f"{kind:12} foretold / found: " + ", ".join(f"{title} {part:.2f}" for title, part in parts.items()))


if __name__ == "__main__":
    main()
