"""The table of job kinds is complete and has the expected answers."""

from collections.abc import Iterable
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest
from helpers.cli_runner import Tomoseg
from helpers.stub_worker import becomes

from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.dependencies import pending_outputs
from tomoseg_tui.jobs.device_request import device_request_for
from tomoseg_tui.jobs.job import JobState, create_job
from tomoseg_tui.jobs.kinds import KINDS, JobKind, slurm_submission_for
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.project.records import write_record
from tomoseg_tui.workflow.job_interface import PendingOutputs

REQUESTS: dict[str, dict[str, Any]] = {
    "train": {"name": "mt", "features": ["tube"], "device": "gpu", "workers": 5},
    "audit": {"name": "mt", "features": ["tube"], "device": "cpu"},
    "apply": {"run": "mt", "tomograms": ["cell", "b"], "device": "cpu", "workers": 1},
    "merge": {"tomogram": "cell", "maps": [], "name": "merged"},
    "preprocess": {"tomograms": ["cell", "b"], "factor": 2},
}
ANSWERS: dict[str, dict[str, object]] = {
    "train": {
        "runner": "runners.run_train:run_training", "early": False, "device": "a GPU", "folder": "networks/mt",
        "tasks": 1, "outputs": PendingOutputs(runs=frozenset({"mt"})), "title": "mt",
    },
    "audit": {
        "runner": "runners.run_audit:run_audit", "early": False, "device": "the CPU", "folder": "audits/mt",
        "tasks": 1, "outputs": PendingOutputs(), "title": "mt",
    },
    "apply": {
        "runner": "runners.run_apply:run_apply", "early": True, "device": "the CPU", "folder": "None",
        "tasks": 2, "outputs": PendingOutputs(maps=frozenset({("cell", "mt"), ("b", "mt")})), "title": "mt on cell b",
    },
    "merge": {
        "runner": "workflow.merge.merge_request:run_merge", "early": True, "device": "a core", "folder": "None",
        "tasks": 1, "outputs": PendingOutputs(), "title": "cell/merged",
    },
    "preprocess": {
        "runner": "workflow.tomograms.preprocessing:run_preprocess", "early": True, "device": "a core",
        "folder": "None", "tasks": 1, "title": "cell__bin2_preproc b__bin2_preproc",
        "outputs": PendingOutputs(tomograms=frozenset({"cell__bin2_preproc", "b__bin2_preproc"})),
    },
}  # fmt: skip
"""Answers of each kind before there was a table."""


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_has_the_expected_answers(name: str, project: Project) -> None:
    kind, request = KINDS[name], REQUESTS[name]
    folder = kind.output_folder(project.layout, request)
    submission = slurm_submission_for(name, request, SlurmSettings())
    assert submission is not None
    create_job(project.layout, name, "", request)
    assert ANSWERS[name] == {
        "runner": kind.runner,
        "early": kind.counts_work_early,
        "device": device_request_for(name, request, environment={}, find_driver=lambda: None).text,
        "folder": str(folder and folder.relative_to(project.layout.root)),
        "tasks": submission.tasks,
        "outputs": pending_outputs(project.layout, ["1"]),
        "title": kind.title(request),
    }


def test_every_field_of_every_kind_is_set() -> None:
    assert list(KINDS) == list(REQUESTS)
    for kind in KINDS.values():
        assert KINDS[kind.name] is kind
        for field in fields(JobKind):
            assert getattr(kind, field.name) not in {None, ""}, (kind.name, field.name)


def _references() -> Iterable[str]:
    return {reference for kind in KINDS.values() for reference in (kind.runner, kind.work, kind.benchmark)}


@pytest.mark.parametrize("reference", sorted(_references()))
def test_every_function_in_the_table_exists(reference: str) -> None:
    module, _, function = reference.partition(":")
    spec = find_spec(f"tomoseg_tui.{module}")  # the module may need TensorFlow, so it is not imported
    assert spec is not None
    assert f"\ndef {function}(" in Path(str(spec.origin)).read_text(encoding="utf-8")


def test_a_job_of_an_unknown_kind_is_listed_and_not_run(project: Project) -> None:
    """The job may be from a newer version of tomoseg."""
    tomoseg = Tomoseg(project.layout.root)
    job = create_job(project.layout, "train", "mt", {"name": "mt"})
    other = msgspec.structs.replace(job.record(), kind="pretrain", state=JobState.FAILED)
    write_record(job.record_file, other)
    (listing,) = tomoseg("jobs", "--json").json
    assert (listing["kind"], listing["name"], listing["state"]) == ("pretrain", "mt", "failed")
    refused = tomoseg("jobs", "resume", "1", code=2).err
    assert "has no jobs of the kind 'pretrain'" in refused
    assert "this one has train, audit, apply, merge, preprocess" in refused
    assert job.record() == other
    write_record(job.record_file, msgspec.structs.replace(other, state=JobState.QUEUED))
    launch.start_worker(job)
    becomes(job, JobState.FAILED)
    assert "'pretrain'" in str(job.record().fault)
