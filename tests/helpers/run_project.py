"""Shared by tests of trainings on the screen: runs, metrics and jobs, and a worker that only waits."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from helpers.cli_runner import make_card, put_card
from tomoseg_tui.files.atomic import append_line, write_atomically
from tomoseg_tui.io.triples_file import TripleSet, write_triples
from tomoseg_tui.jobs import WORKER_MODULE
from tomoseg_tui.jobs.job import Job, JobProgress, JobState, create_job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import AuditedTile, AuditReport, NetworkCard, TileCounts, now, write_record

_WAITING_WORKER = """
import signal, sys, time
from pathlib import Path
from tomoseg_tui.jobs import WORKER_MODULE
from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.files import locks
from tomoseg_tui.project.records import now
job, requests = Job(Path(sys.argv[1])), []
signal.signal(signal.SIGTERM, lambda *_: requests.append(1))
with locks.held(job.claim_file):
    job.set_state(JobState.RUNNING, owner=locks.this_process(), started=now())
    while not requests:
        time.sleep(0.02)
    job.set_state(JobState.STOPPED, ended=now(), exit_code=130)
"""


def figures(epoch: int, *, best: bool = False, dice: Mapping[str, float | None] | None = None) -> str:
    """Return the line of an epoch."""
    line = {
        "epoch": epoch,
        "training_loss": 1.0 / epoch,
        "held_out_loss": 1.5 / epoch,
        "held_out_dice": dice or {"microtubule": 1 - 1 / (epoch + 1)},
        "best": best,
        "seconds": 2.0 * epoch,
    }
    return msgspec.json.encode(line).decode()


def put_job(
    project: Project, kind: str, name: str, *, state: str = "done", asked: dict[str, Any] | None = None, **changes: Any
) -> Job:
    """Write the folder of a job in a given state."""
    job = create_job(project.layout, kind, name, asked or {})
    job.log_file.write_text(f"{now()} {kind} {name} begins\nsomething of TensorFlow\n", encoding="utf-8")
    if state != "queued":
        job.set_state(JobState.RUNNING, started=now())
    if state not in {"queued", "lost"}:
        job.set_state(JobState(state), ended=now(), **changes)
    return job


def put_run(project: Project, name: str, *, epochs: int = 3, state: str = "done", **changes: Any) -> Job:
    """Write a finished training: job, metrics, card and the triples of four tiles."""
    job = put_job(project, "train", name, state=state, asked={"name": name, "features": ["microtubule"]})
    for epoch in range(1, epochs + 1):
        append_line(job.metrics_file, figures(epoch, best=epoch == 2))
    card = make_card(
        name,
        features=("microtubule",),
        **{"network": "unet25d", "epochs_done": epochs, "epochs": epochs, "tile_counts": TileCounts({}, {}, 5, 1)}
        | {"weights_digest": f"of {name}", "batch": 16}
        | changes,
    )
    put_card(project, card)
    put_triples(project, card)
    return job


def put_triples(project: Project, card: NetworkCard) -> None:
    """Write triples: tiles 0 and 1 contain the feature and are held out; tile 0 is all wrong, tile 1 all right."""
    layers = np.ones((4, 1, 64, 64), np.uint8)
    layers[:2, 0, 20:40] = 2
    outputs = np.zeros((4, 1, 64, 64), np.float32)
    outputs[1, 0, 20:40] = 1
    outputs[3, 0, :2] = 1
    images = np.random.default_rng(7).normal(size=(4, 64, 64)).astype(np.float32)
    tiles = tuple(f"alpha:48,48,{z}:64" for z in range(4))
    held_out = np.array([True, True, False, False])
    write_triples(
        project.layout.network_triples(card.name), TripleSet(tiles, ("microtubule",), held_out, images, layers, outputs)
    )


def put_audit(project: Project, name: str, *, created: str = "2026-05-01T10:00:00Z", **changes: Any) -> AuditReport:
    """Write an audit of two tiles: the first has a reason, the second has none."""
    tiles = ("alpha:48,48,6:64", "alpha:48,48,18:64")
    output = ("the network predicts microtubule on 50 % of this negative tile",)
    doubtful = AuditedTile(
        tile=tiles[0], feature="microtubule", sign=-1, suspicion=0.87, reasons=output, dice=0.0, fold=0
    )
    good = AuditedTile(tile=tiles[1], feature="microtubule", sign=1, suspicion=0.01, reasons=(), dice=0.9, fold=1)
    known: dict[str, Any] = {
        "name": name,
        "features": ("microtubule",),
        "tiles": (doubtful, good),
        "network": "unet25d",
        "epochs": 5,
        "folds": 4,
        "seed": 0,
        "voxel_size_angstrom": 10.0,
        "created": created,
    }
    report = AuditReport(**known | changes)
    layers = np.ones((2, 1, 64, 64), np.uint8)
    outputs = np.zeros((2, 1, 64, 64), np.float32)
    outputs[0, 0, :32] = 1
    images = np.random.default_rng(7).normal(size=(2, 64, 64)).astype(np.float32)
    project.layout.audit_folder(name).mkdir(parents=True)
    write_triples(
        project.layout.audit_triples(name),
        TripleSet(tiles, ("microtubule",), np.ones(2, np.bool_), images, layers, outputs),
    )
    write_record(project.layout.audit_report(name), report)
    return report


def tell_progress(
    job: Job,
    done: float,
    message: str,
    eta_seconds: float | None = None,
    *,
    epoch: int | None = None,
    epochs: int | None = None,
) -> None:
    """Write the progress of a job."""
    progress = JobProgress(done, message, eta_seconds, 900_000_000, epoch=epoch, epochs=epochs)
    write_atomically(job.progress_file, msgspec.json.encode(progress))


def waiting_worker(job: Job) -> subprocess.Popen[bytes]:
    """Start a process that holds a job's claim and does nothing until it is asked to stop."""
    arguments = [sys.executable, "-c", _WAITING_WORKER, str(job.folder), WORKER_MODULE]  # marks the process as a worker
    return subprocess.Popen(arguments, start_new_session=True)


def last_command(project: Project) -> str:
    """Return the last line of the project's history; empty if there is none."""
    path: Path = project.layout.history
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return str(msgspec.json.decode(lines[-1])["command"]) if lines else ""
