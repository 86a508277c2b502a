"""A small project for jobs: bright tubes in noise, with tiles; and hooks that slow down or break a worker."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from helpers.cli_runner import Tomoseg
from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, all_jobs
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout, sidecar_of
from tomoseg_tui.project.records import MapSidecar, write_record

SHAPE_ZYX = (24, 160, 160)
GRID = VoxelGrid(SHAPE_ZYX, 10.0, (100.0, 200.0, 300.0), (0, 0, 0))
PLACES = ((40, 40, 8), (112, 40, 9), (40, 112, 10), (112, 112, 11), (80, 80, 12), (40, 80, 13))

NETWORKS_HOOK = """
from tomoseg_tui.core.network_settings import NETWORKS, NetworkSettings
NETWORKS["tiny"] = NetworkSettings(
    name="tiny", kind="unet", description="for tests", slices=5, slices_out=3, channels=(4,), fold=2
)
"""
"""Registers a network that trains in a second."""

FULL_DEVICE = """
from tomoseg_tui.workflow.training import trainset
load = trainset.load_patches
def then_full(*words, **named):
    import tensorflow as tf
    from tomoseg_tui.ml.training import TrainingRun
    train_step = TrainingRun.train_step
    def step(self, *batch):
        if self.epochs_done:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return train_step(self, *batch)
    TrainingRun.train_step = step
    return load(*words, **named)
trainset.load_patches = then_full
"""
"""After the first epoch a batch does not fit in the device's memory."""

SLOW_STEPS = """
import time
from tomoseg_tui.workflow.training import trainset
load = trainset.load_patches
def slowly(*words, **named):
    from tomoseg_tui.runners import run_train
    on_step = run_train._TrainingListener.on_step
    def wait(self, *step):
        time.sleep({seconds})
        return on_step(self, *step)
    run_train._TrainingListener.on_step = wait
    return load(*words, **named)
trainset.load_patches = slowly
"""
"""Makes a worker pause after each training step."""

_HOLD_HOOK = """
import os, time
from tomoseg_tui.workflow import job_interface
stop_if_requested, calls = job_interface.stop_if_requested, []
def held(reporter):
    calls.append(1)
    while len(calls) > 1 and os.path.exists({hold!r}) and not reporter.should_stop():
        time.sleep(0.02)
    stop_if_requested(reporter)
job_interface.stop_if_requested = held
"""


@dataclass(frozen=True)
class Held:
    """Workers that finish one slab and then wait until they are released, stopped or killed."""

    env: dict[str, str]
    hold: Path

    def let_go(self) -> None:
        """Release the workers."""
        self.hold.unlink()


def held_workers(folder: Path, *hooks: str, worker: str = "") -> Held:
    """Return the environment for workers that wait after their first slab."""
    hold = folder / "hold"
    env = hooked(folder, *hooks, worker=f"{_HOLD_HOOK.format(hold=str(hold))}{worker}")
    hold.touch()
    return Held(env, hold)


def write_volume(path: Path, values: NDArray[np.generic], grid: VoxelGrid = GRID) -> Path:
    """Write an MRC file."""
    with MrcWriter(path, grid, values.dtype) as out:
        out.write_slices(0, values)
    return path


def read_volume(path: Path) -> NDArray[np.generic]:
    """Read all of an MRC file."""
    with open_volume(path) as volume:
        return volume.read_region((0, 0, 0), volume.grid.shape_zyx)


def tubes() -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Return densities with bright tubes, and where the tubes are."""
    rng = np.random.default_rng(7)
    z, y, x = np.mgrid[: SHAPE_ZYX[0], : SHAPE_ZYX[1], : SHAPE_ZYX[2]]
    truth = np.zeros(SHAPE_ZYX, np.int8)
    for _ in range(6):
        height, slope, depth = rng.uniform(20, 140), rng.uniform(-0.5, 0.5), rng.uniform(6, 18)
        truth[(y - height - slope * (x - 80)) ** 2 + (z - depth) ** 2 < 25] = 1
    densities = 2 * truth + rng.standard_normal(SHAPE_ZYX, dtype=np.float32)
    return densities.astype(np.float32), truth


def copied(template: Path, place: Path) -> Iterator[Project]:
    """Yield a copy of a project with the files beside it; kill its jobs afterwards."""
    shutil.copytree(template.parent, place)
    project = Project.open(place / template.name)
    yield project
    for job in all_jobs(project.layout):
        launch.kill(job)


def make_tubes_project(folder: Path, *, tomogram: str = "tubes", feature: str = "tube") -> Path:
    """Make a project with one tomogram and six annotated tiles, through the command line; return its folder."""
    folder.mkdir(parents=True)
    densities, truth = tubes()
    write_volume(folder / f"{tomogram}.mrc", densities)
    write_volume(folder / "truth.mrc", truth)
    lines = [f"{tomogram},{x},{y},{z},{feature},positive" for x, y, z in PLACES]
    (folder / "tiles.csv").write_text("\n".join(["tomogram,x,y,z,feature,kind", *lines, ""]))
    Tomoseg(folder)("init", "project")
    run = Tomoseg(folder / "project")
    run("import", f"../{tomogram}.mrc", "--polarity", "bright")
    run("tiles", "import", "../tiles.csv")
    run("annotations", "import", "../truth.mrc", "--tomogram", tomogram, "--map", f"1={feature}")
    return folder / "project"


def make_map(
    layout: ProjectLayout,
    values: NDArray[np.int8],
    *,
    run: str,
    feature: str = "tube",
    slices: list[tuple[int, int]] | None = None,
    tomogram: str = "tubes",
    grid: VoxelGrid = GRID,
) -> Path:
    """Write a map into a project, as apply does."""
    path = layout.map_file(tomogram, run, feature)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, values, grid)
    sidecar = MapSidecar(
        tomogram=tomogram, run=run, feature=feature, network="unet25d", weights_digest=f"digest of {run}",
        threshold=0.4, sign=1, mean=0.0, sigma=1.0, chain=(), voxel_size_angstrom=grid.voxel_size_angstrom,
        slices=slices or [(0, grid.shape_zyx[0])],
    )  # fmt: skip
    write_record(sidecar_of(path), sidecar)
    return path


def hooked(folder: Path, *hooks: str, worker: str = "") -> dict[str, str]:
    """Return an environment in which every process runs `hooks` when it starts, and workers also `worker`."""
    folder.mkdir(exist_ok=True)
    lines = [*hooks, "import sys", "if 'tomoseg_tui.jobs.worker' in sys.orig_argv:"]
    inner = [f"    {line}" for line in (worker or "pass").strip().splitlines()]
    (folder / "sitecustomize.py").write_text("\n".join([*lines, *inner, ""]))
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


def tear_for_a_moment(job: Job) -> None:
    """Make the next read of a job's record fail, as on a network; later reads succeed."""
    kept, pipe = job.folder / "kept", job.folder / "pipe"
    kept.hardlink_to(job.record_file)
    os.mkfifo(pipe)
    pipe.replace(job.record_file)  # a reader waits for the writer and gets nothing
    with job.record_file.open("wb"):
        kept.replace(job.record_file)


def is_gone(pid: int) -> bool:
    """Return whether a process has ended or is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in {"Z", "X"}
    except FileNotFoundError:
        return True


def blocks_of(path: Path) -> int:
    """Return the disk usage of a file, bytes."""
    return path.stat().st_blocks * 512
