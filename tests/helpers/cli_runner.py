"""Shared by tests of several packages: real processes, small files and records, and digests of folders."""

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.files import locks
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.jobs.job import all_jobs
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout, sidecar_of
from tomoseg_tui.project.records import (
    FeatureScore,
    FilterHistory,
    MapSidecar,
    NetworkCard,
    TileCounts,
    TomogramRecord,
    read_record,
    write_record,
)
from tomoseg_tui.workflow.job_interface import Workload
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes


def wait_until(holds: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait until a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def settle(root: Path) -> None:
    """Wait until no worker holds the claim of a job that is over; it is released after the end is recorded."""

    def is_settled() -> bool:
        return not any(
            job.record().state.is_over and locks.is_held(job.claim_file) for job in all_jobs(ProjectLayout(root))
        )

    wait_until(is_settled)


@dataclass(frozen=True)
class Run:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The output, parsed as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Tomoseg:
    """Runs the program in a folder, as a user does."""

    folder: Path

    def __call__(
        self, *arguments: object, code: int | None = 0, folder: Path | None = None, env: dict[str, str] | None = None
    ) -> Run:
        """Run to the end, also of a job that it waits for; `code` is the expected exit code, None for any."""
        with self.start(*arguments, folder=folder, env=env) as process:
            try:
                out, err = process.communicate(timeout=300)
            finally:
                process.kill()
        done = Run(process.returncode, out, err)
        assert code is None or done.code == code, f"exit {done.code}\n{out}\n{err}"
        assert done.code == 1 or "Traceback" not in err, err
        if "--wait" in arguments:
            settle(self.folder)
        return done

    def start(
        self, *arguments: object, folder: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Start the program in its own process group and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "tomoseg_tui", *map(str, arguments)],
            cwd=folder or self.folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def refused(self, *arguments: object, folder: Path | None = None) -> str:
        """Run a command that must exit with 2 and leave the folder unchanged; return its stderr."""
        before = digest_of(self.folder)
        done = self(*arguments, code=2, folder=folder)
        assert digest_of(self.folder) == before, "the project has changed"
        assert not done.out
        return done.err


@contextlib.contextmanager
def files_of_at_most(length: int) -> Iterator[None]:
    """Let writes beyond a length fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def interrupt(process: subprocess.Popen[str]) -> None:
    """Send the signal of Ctrl-C."""
    os.killpg(process.pid, signal.SIGINT)


def check_golden(name: str, content: str) -> None:
    """Compare with a golden file; `make golden` rewrites it, and its changes are reviewed."""
    path = Path(__file__).parents[1] / "golden" / name
    if os.environ.get("GOLDEN"):
        path.write_text(content, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == content, f"{name} differs; if that is meant: make golden"


def digest_of(folder: Path) -> dict[str, str]:
    """Return a digest of every file and folder inside a folder, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in sorted(folder.rglob("*"))
    }


def write_mrc(
    path: Path,
    values: NDArray[Any],
    *,
    voxel_size: float = 10.0,
    origin_xyz: tuple[float, float, float] = (0.0, 0.0, 0.0),
    nstart_xyz: tuple[int, int, int] = (0, 0, 0),
) -> Path:
    """Write an MRC file; return its path."""
    depth, height, width = values.shape
    grid = VoxelGrid((depth, height, width), voxel_size, origin_xyz, nstart_xyz)
    with MrcWriter(path, grid, values.dtype) as out:
        out.write_slices(0, values)
    return path


def noise(shape_zyx: tuple[int, int, int] = (6, 64, 64), *, seed: int = 7) -> NDArray[np.int8]:
    """Return bytes of noise, sigma about 20."""
    return np.random.default_rng(seed).normal(0, 20, shape_zyx).clip(-127, 127).astype(np.int8)


def bring(
    project: Project,
    name: str,
    values: NDArray[Any],
    *,
    voxel_size: float = 10.0,
    polarity: str = "dark",
    chain: FilterHistory | None = None,
) -> Path:
    """Import values as a tomogram, with a filter chain in its record if one is given; return the volume's path."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_mrc(Path(folder) / "volume.mrc", values, voxel_size=voxel_size)
        import_volumes(project, [path], ImportRequest(name=name, polarity=polarity, voxel_size_angstrom=voxel_size))
    record_file = project.layout.tomogram_record(name)
    if chain is not None:
        record = read_record(record_file, TomogramRecord)
        write_record(record_file, msgspec.structs.replace(record, chain=chain))
    return project.layout.tomogram_folder(name) / f"{name}.mrc"


class Listener:
    """A `Reporter` that records all reports; requests a stop after `patience` checks."""

    def __init__(self, partial: Path, patience: int = 10**9) -> None:
        partial.mkdir(parents=True, exist_ok=True)
        self.partial = partial
        self.done: list[float] = []
        self.messages: list[str] = []
        self.lines: list[str] = []
        self.patience = patience
        self.number = 0
        self.is_helper = False
        self.device = ""

    def set_workload(self, load: Workload) -> None:
        """Predict nothing."""

    def set_device(self, name: str, text: str) -> None:
        """Record the device and its text."""
        self.device = name
        self.lines.append(text)

    def progress(self, done: float, message: str = "", *, epoch: int | None = None, epochs: int | None = None) -> None:
        """Record the progress."""
        assert (epoch is None) == (epochs is None)
        self.done.append(done)
        self.messages.append(message)

    def log(self, line: str) -> None:
        """Record a line."""
        self.lines.append(line)

    def metrics(self, figures: Mapping[str, object]) -> None:
        """Record metrics as a line."""
        self.lines.append(json.dumps(dict(figures)))

    def filter_metrics(self, wanted: Callable[[Mapping[str, object]], bool]) -> None:
        """Remove nothing."""

    def should_stop(self) -> bool:
        """Return whether patience has run out."""
        self.patience -= 1
        return self.patience < 0

    def start_helpers(self, count: int) -> None:
        """Start none."""


def write_map(
    project: Project,
    name: str,
    values: NDArray[np.int8],
    *,
    tomogram: str = "cell",
    threshold: float = 0.5,
    slices: list[tuple[int, int]] | None = None,
) -> Path:
    """Write a map ``RUN.FEATURE`` of a tomogram, as apply does."""
    run, _, feature = name.partition(".")
    path = project.layout.map_file(tomogram, run, feature)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mrc(path, values)
    sidecar = MapSidecar(
        tomogram=tomogram,
        run=run,
        feature=feature,
        network="default",
        weights_digest=f"of {run}",
        threshold=threshold,
        sign=1,
        mean=0.0,
        sigma=1.0,
        chain=(),
        voxel_size_angstrom=10.0,
        slices=slices or [(0, len(values))],
    )
    write_record(sidecar_of(path), sidecar)
    return path


def make_card(name: str = "run", *, features: tuple[str, ...] = ("tube",), **changes: Any) -> NetworkCard:
    """Return the card of a network of 10 Å, dark protein and no filter."""
    known = {
        "network": "default",
        "voxel_size_angstrom": 10.0,
        "polarity": "dark",
        "preprocessing": (),
        "tiles": 6,
        "tile_counts": TileCounts({}, {}, 5, 1),
        "learning_rate": 1e-3,
        "epochs": 2,
        "batch": 2,
        "seed": 0,
        "tile_size": 64,
    }
    scores = {feature: FeatureScore(0.4, 0.8, 0.7, 0.9, 1) for feature in features}
    return NetworkCard(**{**known, "name": name, "features": scores, **changes})


def put_card(project: Project, card: NetworkCard) -> None:
    """Write a run with a card."""
    project.layout.network_folder(card.name).mkdir(parents=True, exist_ok=True)
    write_record(project.layout.network_card(card.name), card)
