"""Shared by tests of the queue: workers whose trainings and applies only wait until released, without a network."""

import os
from pathlib import Path
from typing import Any

import pytest

from helpers.cli_runner import wait_until
from helpers.job_project import hooked
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project.catalog import Project

_STUB = """
import os, sys, time, types
def runner(project, request, reporter):
    from tomoseg_tui.errors import TomogramError
    from tomoseg_tui.workflow.job_interface import stop_if_requested
    name = request.get("name") or request["run"]
    with open(os.path.join({folder!r}, "begun"), "a") as begun:
        begun.write(name + "\\n")
    while os.path.exists(os.path.join({folder!r}, "hold_" + name)):
        stop_if_requested(reporter)
        time.sleep(0.02)
    if os.path.exists(os.path.join({folder!r}, "fail_" + name)):
        raise TomogramError("It is torn.", "Sew it.")
    return dict(gpus=os.environ.get("CUDA_VISIBLE_DEVICES"), numpy="numpy" in sys.modules)
for module, function in (("train", "run_training"), ("audit", "run_audit"), ("apply", "run_apply")):
    stub = types.ModuleType("tomoseg_tui.runners.run_" + module)
    setattr(stub, function, runner)
    sys.modules[stub.__name__] = stub
"""


class Stage:
    """Controls workers: a job waits in its runner while its name is held, and fails if requested."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        for name, value in hooked(folder, worker=_STUB.format(folder=str(folder))).items():
            patch.setenv(name, value)

    def hold(self, *names: str) -> None:
        """Make jobs of these names wait in their runner."""
        for name in names:
            (self.folder / f"hold_{name}").touch()

    def let_go(self, *names: str) -> None:
        """Release them."""
        for name in names:
            (self.folder / f"hold_{name}").unlink()

    def fail(self, name: str, *, fails: bool = True) -> None:
        """Make a job fail, or succeed again."""
        if fails:
            (self.folder / f"fail_{name}").touch()
        else:
            (self.folder / f"fail_{name}").unlink()

    @property
    def begun(self) -> list[str]:
        """Names of the jobs in the order in which their runners started."""
        path = self.folder / "begun"
        return path.read_text().split() if path.exists() else []


def train(project: Project, name: str, *, device: str = "cpu", **how: Any) -> Job:
    """Start a training with a stub runner."""
    return launch.launch(project.layout, "train", {"name": name, "device": device}, **how)


def becomes(job: Job, state: JobState) -> None:
    """Wait for a state."""
    wait_until(lambda: job.state() is state, seconds=30)


def queue() -> Path:
    """Return the folder of the test's queue."""
    return Path(os.environ["TOMOSEG_QUEUE_FOLDER"])
