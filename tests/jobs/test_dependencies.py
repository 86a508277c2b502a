"""Jobs that depend on others: real workers whose trainings only wait."""

import errno
import os
import signal
import subprocess
from typing import Any

import pytest
from helpers.cli_runner import wait_until
from helpers.job_project import tear_for_a_moment
from helpers.stub_worker import Stage, becomes, train

from tomoseg_tui.errors import JobError
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.dependencies import (
    JobStep,
    find_dependencies,
    launch_chain,
    pending_outputs,
    resume_with_dependents,
)
from tomoseg_tui.jobs.job import Job, JobState, create_job, find_job
from tomoseg_tui.jobs.scheduling import failed_dependency_error
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import now
from tomoseg_tui.workflow.job_interface import NO_PENDING_OUTPUTS, PendingOutputs

Projects = tuple[Project, Project]


def apply(project: Project, run: str, **how: Any) -> Job:
    asked = {"run": run, "tomograms": ["cell"]}
    return launch.launch(project.layout, "apply", asked, **how)


def test_a_job_starts_when_its_dependency_is_done(projects: Projects, stage: Stage) -> None:
    stage.hold("first")
    first = train(projects[0], "first")
    later = apply(projects[0], "later", after=["1"])
    listing = later.listing()
    assert (listing["state"], listing["after"], listing["place"]) == ("queued", ["1"], None)
    wait_until(lambda: later.listing()["waits_for"] == "waiting for job 1 (train first)")
    stage.let_go("first")
    becomes(later, JobState.DONE)
    assert first.state() is JobState.DONE
    assert stage.begun == ["first", "later"]


@pytest.mark.slow
def test_a_job_that_waits_for_a_dependency_is_not_in_the_queue(projects: Projects, stage: Stage) -> None:
    stage.hold("first")
    train(projects[0], "first")
    later = apply(projects[0], "later", after=["1"])
    second = train(projects[1], "second")
    wait_until(lambda: second.listing()["place"] == 1)
    assert later.listing()["place"] is None
    stage.let_go("first")  # which of the two is first now depends on which polls first
    becomes(second, JobState.DONE)
    becomes(later, JobState.DONE)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["failed", "stopped", "lost"])
def test_a_job_fails_with_its_dependency_and_names_it(projects: Projects, stage: Stage, end: str) -> None:
    project = projects[0]
    stage.hold("first")
    first = train(project, "first")
    later, last = apply(project, "later", after=["1"]), apply(project, "last", after=["2"])
    becomes(first, JobState.RUNNING)
    if end == "failed":
        stage.fail("first")
        stage.let_go("first")
    elif end == "stopped":
        launch.stop(first)
    else:
        launch._signal_group(first, signal.SIGKILL)
    becomes(last, JobState.FAILED)
    listing = later.listing()
    assert listing["fault"] == f"It depends on job 1 (train first), which is {end}."
    assert "tomoseg jobs resume 1" in listing["fix"]
    assert "job 2 (apply later on cell), which is failed" in last.listing()["fault"]
    with pytest.raises(JobError, match="depends on job 1"):
        resume_with_dependents(project.layout, later)
    if end == "failed":
        stage.fail("first", fails=False)
    else:
        stage.let_go("first")
    resumed, followers = resume_with_dependents(project.layout, first)
    assert (resumed, [job.id for job in followers]) == (True, ["2", "3"])
    becomes(last, JobState.DONE)


@pytest.mark.slow
def test_resuming_a_job_resumes_only_its_dependents(projects: Projects, stage: Stage) -> None:
    project = projects[0]
    stage.fail("first")
    stage.fail("own")
    first = train(project, "first")
    becomes(first, JobState.FAILED)
    own = train(project, "own")
    becomes(own, JobState.FAILED)
    with pytest.raises(JobError, match="Job 1 is failed"):
        find_dependencies(project.layout, ["1"])
    stage.fail("first", fails=False)
    assert resume_with_dependents(project.layout, first) == (True, [])
    becomes(first, JobState.DONE)
    assert own.state() is JobState.FAILED
    assert resume_with_dependents(project.layout, first) == (False, [])


@pytest.mark.slow
def test_a_chain_without_workers_is_resumed_with_its_first_job(projects: Projects, stage: Stage) -> None:
    """As after a power cut; the last job was just being launched and has no worker yet."""
    project = projects[0]
    stage.hold("first", "own")
    first = train(project, "first")
    later, last = apply(project, "later", after=["1"]), apply(project, "last", after=["2"])
    own = train(project, "own", at_once=True)
    becomes(own, JobState.RUNNING)
    bare = create_job(project.layout, "apply", "bare", {"run": "bare", "tomograms": ["cell"]}, after=["1", "3"])
    os.utime(bare.record_file, (0, 0))
    begun = create_job(project.layout, "apply", "begun", {"run": "begun", "tomograms": ["cell"]}, after=["1"])
    begun.set_state(JobState.RUNNING, started=now())
    for job in (own, last, later, first):
        launch._signal_group(job, signal.SIGKILL)
    everything = [first, later, last, own, bare, begun]
    wait_until(lambda: {job.state() for job in everything} == {JobState.LOST})
    stage.let_go("first", "own")
    resumed, followers = resume_with_dependents(project.layout, first)
    assert (resumed, [job.id for job in followers]) == (True, ["2", "3", "5"])
    becomes(bare, JobState.DONE)
    assert [job.state() for job in (first, later, last)] == [JobState.DONE] * 3
    assert (own.state(), begun.state()) == (JobState.LOST, JobState.LOST), "these must be resumed separately"


def test_a_failed_job_does_not_stop_independent_jobs(projects: Projects, stage: Stage) -> None:
    project = projects[0]
    stage.fail("a")
    asked: list[dict[str, Any]] = [{"name": "t"}, {"run": "a", "tomograms": ["a"]}, {"run": "b", "tomograms": ["b"]}]
    steps = [
        ("train", asked[0], ()), ("apply", asked[1], (0,)), ("apply", asked[2], (0,)), ("apply", asked[2], (1, 2)),
    ]  # fmt: skip
    jobs = launch_chain(project.layout, steps)
    becomes(jobs[2], JobState.DONE)
    becomes(jobs[3], JobState.FAILED)
    assert [job.state() for job in jobs[:2]] == [JobState.DONE, JobState.FAILED]
    assert jobs[3].record().after == ("2", "3")
    assert "job 2" in str(jobs[3].record().fault)


@pytest.mark.slow
def test_a_job_keeps_waiting_if_its_dependency_cannot_be_read_for_a_moment(projects: Projects, stage: Stage) -> None:
    stage.hold("first")
    first = train(projects[0], "first")
    later = apply(projects[0], "later", after=["1"])
    becomes(first, JobState.RUNNING)
    tear_for_a_moment(first)
    stage.let_go("first")
    wait_until(lambda: later.state().is_over)
    assert (later.state(), later.record().fault) == (JobState.DONE, None)


@pytest.mark.slow
def test_a_job_whose_dependency_disappears_fails_with_a_message(projects: Projects, stage: Stage) -> None:
    stage.hold("first")
    train(projects[0], "first")
    later = apply(projects[0], "later", after=["1"])
    (projects[0].layout.job_folder("1") / "record.json").rename(projects[0].layout.root / "elsewhere.json")
    becomes(later, JobState.FAILED)
    assert "a job that was deleted" in str(later.record().fault)
    (projects[0].layout.root / "elsewhere.json").rename(projects[0].layout.job_folder("1") / "record.json")


def test_a_deleted_dependency_is_reported_immediately(projects: Projects) -> None:
    layout = projects[0].layout
    first = create_job(layout, "train", "first", {})
    later = create_job(layout, "apply", "later", {}, after=[first.id])
    launch.delete_job_folder(first)
    assert "a job that was deleted" in str(failed_dependency_error(later, later.record()))


def test_a_full_disk_at_the_start_of_a_worker_leaves_no_job(
    projects: Projects, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of one job nor of a chain; a job of the chain that has started stays."""
    layout, spawn = projects[0].layout, launch.spawn_worker

    def spawn_until_full(job: Job) -> "subprocess.Popen[bytes]":
        if job.record().kind == "apply":
            raise OSError(errno.ENOSPC, "No space left on device", str(job.log_file))
        return spawn(job)

    monkeypatch.setattr(launch, "spawn_worker", spawn_until_full)
    with pytest.raises(OSError, match="No space left"):
        apply(projects[0], "a")
    assert list(layout.jobs.iterdir()) == []
    steps: list[JobStep] = [("train", {"name": "b"}, ()), ("apply", {"run": "b", "tomograms": ["cell"]}, (0,))]
    with pytest.raises(OSError, match="No space left"):
        launch_chain(layout, [*steps, ("apply", {"run": "b", "tomograms": ["other"]}, (0,))])
    assert [folder.name for folder in layout.jobs.iterdir()] == ["1"]
    becomes(find_job(layout, "1"), JobState.DONE)
    stopped = create_job(layout, "apply", "b", {"run": "b", "tomograms": ["cell"]})
    stopped.set_state(JobState.STOPPED)
    with pytest.raises(OSError, match="No space left"):
        launch.resume(stopped)
    assert stopped.state() is JobState.STOPPED


@pytest.mark.slow
def test_pending_outputs_include_those_of_all_dependencies(projects: Projects, stage: Stage) -> None:
    project = projects[0]
    stage.hold("first")
    train(project, "first")
    apply(project, "later", after=["1"])
    made = pending_outputs(project.layout, ["2"])
    assert made == PendingOutputs(runs=frozenset({"first"}), maps=frozenset({("cell", "later")}))
    stage.let_go("first")
    becomes(find_job(project.layout, "2"), JobState.DONE)
    assert pending_outputs(project.layout, ["2"]) == NO_PENDING_OUTPUTS
