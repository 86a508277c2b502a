"""All kinds of jobs in one table: what runs each, what it needs, what it makes and its title.

Functions of other packages are given as text and imported when they are called, so that a waiting worker loads neither
numpy nor TensorFlow. `run` is not a kind: it is a chain of jobs of these kinds.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tomoseg_tui.errors import JobError
from tomoseg_tui.jobs.job import SlurmSubmission
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.project_settings import SlurmSettings

Request = Mapping[str, Any]
"""Request of a job, as stored in its record."""


@dataclass(frozen=True)
class JobKind:
    """One kind of job. `module:function` names a function below `tomoseg_tui`."""

    name: str
    makes: str
    """What a job of this kind makes, for people."""
    runner: str
    """Called with project, request and reporter; does the work and returns the result."""
    work: str
    """Called with project, request and the cards of networks that are not trained yet; returns a `Work`."""
    counts_work_early: bool
    """Whether the worker determines the work before it imports the runner; other runners count the tiles they read."""
    benchmark: str
    """Called with project, sample, an empty folder, the start of the process and a function that returns its peak
    memory; does a small part of the work and returns a `Timing`."""
    needs_whole_device: bool
    """False for jobs that take one core and little memory, and run beside others."""
    slurm_tasks: Callable[[Request], int]
    """Number of tasks of the Slurm array that share a job."""
    title: Callable[[Request], str]
    """Name of a job, for people."""
    output_folder: Callable[[ProjectLayout, Request], Path | None]
    """Folder that belongs to the job alone; None if complete results are moved into shared folders."""
    outputs: Callable[[Request], Mapping[str, Iterable[Any]]]
    """Outputs that later jobs can name before they exist: fields of `PendingOutputs`."""
    less_memory: str
    """What to do if memory does not suffice."""
    less_disk: str
    """An alternative, after ``or``, if disk space does not suffice."""


def load_function(reference: str) -> Any:
    """Import the function that a `module:function` of the table names."""
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(f"tomoseg_tui.{module}"), function)


def _apply_tasks(request: Request) -> int:
    workers = int(request.get("workers", 1))
    return workers if workers > 1 else len(request["tomograms"])


def _versions(request: Request) -> list[str]:
    names: list[str] = load_function("workflow.tomograms.preprocessing:version_names")(request)
    return names


class _KindTable(dict[str, JobKind]):
    """Kinds by name; an unknown name raises `JobError`."""

    def __missing__(self, name: str) -> JobKind:
        raise JobError(
            f"This version of tomoseg has no jobs of the kind {name!r}.",
            f"Use the version of tomoseg that made the job; this one has {', '.join(self)}.",
        )


_KINDS = (
    JobKind(
        name="train",
        makes="run",
        runner="runners.run_train:run_training",
        work="workflow.estimates.network_work:training_work",
        counts_work_early=False,
        benchmark="runners.benchmark_network:benchmark_training",
        needs_whole_device=True,
        slurm_tasks=lambda _request: 1,
        title=lambda request: str(request["name"]),
        output_folder=lambda layout, request: layout.network_folder(str(request["name"])),
        outputs=lambda request: {"runs": [request["name"]]},
        less_memory="Use a smaller --batch, or wait until other programs have ended.",
        less_disk="copy the project to a larger disk",
    ),
    JobKind(
        name="audit",
        makes="audit",
        runner="runners.run_audit:run_audit",
        work="workflow.estimates.network_work:audit_work",
        counts_work_early=False,
        benchmark="runners.benchmark_network:benchmark_audit",
        needs_whole_device=True,
        slurm_tasks=lambda _request: 1,
        title=lambda request: str(request["name"]),
        output_folder=lambda layout, request: layout.audit_folder(str(request["name"])),
        outputs=lambda _request: {},
        less_memory="Audit fewer features or a smaller training set, or wait until other programs have ended.",
        less_disk="copy the project to a larger disk",
    ),
    JobKind(
        name="apply",
        makes="map",
        runner="runners.run_apply:run_apply",
        work="workflow.estimates.network_work:apply_work",
        counts_work_early=True,
        benchmark="runners.benchmark_network:benchmark_apply",
        needs_whole_device=True,
        slurm_tasks=_apply_tasks,
        title=lambda request: f"{request['run']} on {' '.join(request['tomograms'])}",
        output_folder=lambda _layout, _request: None,
        outputs=lambda request: {"maps": [(name, request["run"]) for name in request["tomograms"]]},
        less_memory="Wait until other programs have ended, or use a machine with more memory.",
        less_disk="choose fewer tomograms, or a part with --feature or --z",
    ),
    JobKind(
        name="merge",
        makes="label volume",
        runner="workflow.merge.merge_request:run_merge",
        work="workflow.estimates.estimator:merge_work",
        counts_work_early=True,
        benchmark="workflow.estimates.benchmark_volumes:benchmark_merge",
        needs_whole_device=False,
        slurm_tasks=lambda _request: 1,
        title=lambda request: f"{request['tomogram']}/{request['name']}",
        output_folder=lambda _layout, _request: None,
        outputs=lambda _request: {},
        less_memory="Wait until other programs have ended, or merge fewer maps.",
        less_disk="copy the project to a larger disk",
    ),
    JobKind(
        name="preprocess",
        makes="tomogram",
        runner="workflow.tomograms.preprocessing:run_preprocess",
        work="workflow.estimates.estimator:preprocess_work",
        counts_work_early=True,
        benchmark="workflow.estimates.benchmark_volumes:benchmark_preprocess",
        needs_whole_device=False,
        slurm_tasks=lambda _request: 1,
        title=lambda request: " ".join(_versions(request)),
        output_folder=lambda _layout, _request: None,
        outputs=lambda request: {"tomograms": _versions(request)},
        less_memory="Wait until other programs have ended.",
        less_disk="choose fewer tomograms, or a larger --bin",
    ),
)
KINDS: Mapping[str, JobKind] = _KindTable({kind.name: kind for kind in _KINDS})
"""All kinds by name; an unknown name raises `JobError`."""


def slurm_submission_for(kind: str, request: dict[str, Any], settings: SlurmSettings | None) -> SlurmSubmission | None:
    """Return how a job is submitted; None without settings, for a job on this machine."""
    return None if settings is None else SlurmSubmission(settings=settings, tasks=KINDS[kind].slurm_tasks(request))
