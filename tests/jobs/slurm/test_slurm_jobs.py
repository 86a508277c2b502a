"""Jobs in a real Slurm with one node; they are merges, which need no network."""

import os
import signal
from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg, wait_until
from helpers.job_project import Held, hooked
from helpers.slurm_cluster import Cluster

from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project.catalog import Project

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

MERGE = ("merge", "tubes", "--map", "one=0.5")
ALL_CPUS = "cpus=4"


def job_of(project: Project, job_id: str = "1") -> Job:
    return Job(project.layout.job_folder(job_id))


def slabs_of(job: Job) -> int:
    listed = job.partial / "finished.jsonl"
    return listed.read_bytes().count(b"\n") if listed.exists() else 0


def number_of(job: Job) -> str:
    """Return Slurm's id of a job."""
    part = job.record().slurm
    assert part is not None
    assert part.job is not None
    return part.job


@pytest.fixture
def undisturbed(one_map: Path, tomoseg: Tomoseg, tubes_project: Project) -> bytes:
    """The label volume of an undisturbed merge on this machine, job 1."""
    tomoseg(*MERGE, "--name", "undisturbed", "--wait")
    return tubes_project.layout.label_file("tubes", "undisturbed").read_bytes()


def merged(project: Project) -> bytes:
    return project.layout.label_file("tubes", "merged").read_bytes()


def test_a_job_runs_in_slurm_and_shows_where(
    cluster: Cluster, undisturbed: bytes, tomoseg: Tomoseg, tubes_project: Project
) -> None:
    done = tomoseg(*MERGE, "--slurm", "partition=main,time=1:00:00", "--wait")
    assert "Submitted as Slurm's job" in done.err
    assert merged(tubes_project) == undisturbed
    listing = tomoseg("jobs", "show", "2", "--json").json
    number = number_of(job_of(tubes_project, "2"))
    assert (listing["state"], listing["slurm"], listing["partition"]) == ("done", number, "main")
    assert listing["host"]
    wait_until(lambda: cluster.state(number) == "COMPLETED")
    shown = cluster("scontrol", "show", "job", number)
    assert "JobName=tomoseg-2-merge" in shown
    assert "TimeLimit=01:00:00" in shown
    assert f"{number}, main" in tomoseg("jobs").out


def test_a_stopped_job_resumes_in_slurm_from_its_slabs_with_the_same_bytes(
    cluster: Cluster, undisturbed: bytes, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, "--slurm", env=held.env)
    job = job_of(tubes_project, "2")
    wait_until(lambda: slabs_of(job) > 0)
    first = number_of(job)
    assert job.state() is JobState.RUNNING
    assert "is stopped; finished parts are saved" in tomoseg("jobs", "stop", "2").err
    assert (job.record().state, slabs_of(job)) == (JobState.STOPPED, 1)
    wait_until(lambda: cluster.state(first) in {"COMPLETED", "FAILED"})  # and it has not been requeued
    tomoseg("jobs", "resume", "2", "--slurm", "time=30", "--wait")
    assert merged(tubes_project) == undisturbed
    assert number_of(job) != first
    assert "TimeLimit=00:30:00" in cluster("scontrol", "show", "job", number_of(job))


def test_a_job_moves_to_slurm_and_back_with_its_slabs(
    cluster: Cluster, undisturbed: bytes, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, env=held.env)
    job = job_of(tubes_project, "2")
    wait_until(lambda: slabs_of(job) > 0)
    tomoseg("jobs", "stop", "2")
    tomoseg("jobs", "resume", "2", "--slurm", "time=30", env=held.env)
    wait_until(lambda: job.state() is JobState.RUNNING and slabs_of(job) > 0)
    first = number_of(job)
    assert "Stop it first: tomoseg jobs stop 2" in tomoseg("jobs", "resume", "2", "--here", code=2).err
    tomoseg("jobs", "stop", "2")
    kept = slabs_of(job)
    assert kept > 0
    wait_until(lambda: cluster.state(first) in {"COMPLETED", "FAILED", "CANCELLED"})
    done = tomoseg("jobs", "resume", "2", "--here", "--wait")
    assert "Continues on this machine." in done.err
    assert merged(tubes_project) == undisturbed
    record = job.record()
    assert (record.slurm, record.state, job.stop_file.exists()) == (None, JobState.DONE, False)


def test_a_waiting_job_shows_why_and_can_be_stopped_and_a_killed_job_ends_immediately(
    cluster: Cluster, one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, "--slurm", ALL_CPUS, env=held.env)
    running = job_of(tubes_project, "1")
    wait_until(lambda: slabs_of(running) > 0)
    tomoseg(*MERGE, "--name", "second", "--slurm", ALL_CPUS, env=held.env)
    second = tomoseg("jobs", "show", "2", "--json").json
    assert second["state"] == "queued"
    wait_until(lambda: tomoseg("jobs", "show", "2", "--json").json["waits_for"] == "waiting in Slurm: Resources")
    assert "waiting in Slurm: Resources" in tomoseg("jobs").out
    waiting = number_of(job_of(tubes_project, "2"))
    assert "is stopped" in tomoseg("jobs", "stop", "2").err
    assert (job_of(tubes_project, "2").record().state, cluster.state(waiting)) == (JobState.STOPPED, "CANCELLED")
    owner = running.record().owner
    assert owner is not None
    assert "Job 1 is stopped" in tomoseg("jobs", "kill", "1").err
    assert (running.record().fault, Path(f"/proc/{owner.pid}/cmdline").exists()) == ("Killed.", False)


def test_a_job_at_its_time_limit_is_requeued_and_ends_with_the_same_bytes(
    cluster: Cluster, undisturbed: bytes, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    """With a limit of one minute the warning comes immediately; Slurm checks limits twice a minute."""
    tomoseg(*MERGE, "--slurm", "time=1", env=held.env)
    job = job_of(tubes_project, "2")
    wait_until(lambda: slabs_of(job) > 0)
    wait_until(lambda: job.state() is JobState.QUEUED)
    assert slabs_of(job) == 1
    number = number_of(job)
    wait_until(lambda: str(job.listing()["waits_for"]).startswith("waiting in Slurm: "))
    held.let_go()
    wait_until(lambda: job.state() is JobState.DONE)
    assert merged(tubes_project) == undisturbed
    assert number_of(job) == number
    assert "the job is queued in Slurm again and continues from its saved work" in job.log_file.read_text()


def test_a_job_that_fails_in_slurm_reports_why_and_one_that_is_killed_is_lost(
    cluster: Cluster, one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project, tmp_path: Path
) -> None:
    broken = (
        "from tomoseg_tui.workflow.merge import merge_request\ndef fail(*_):\n    {}\nmerge_request._merge_slabs = fail"
    )
    fault = "from tomoseg_tui.errors import TomogramError; raise TomogramError('It is torn.', 'Sew it.')"
    env = hooked(tmp_path / "broken", worker=broken.format(fault))
    failed = tomoseg(*MERGE, "--slurm", "--wait", code=2, env=env)
    assert "job 1 is failed. It is torn.\n  Sew it." in failed.err
    tomoseg(*MERGE, "--slurm", env=held.env)
    job = job_of(tubes_project, "2")
    wait_until(lambda: slabs_of(job) > 0)
    owner = job.record().owner
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    wait_until(lambda: job.state() is JobState.LOST)
    listing = tomoseg("jobs", "show", "2", "--json").json
    assert (listing["state"], "Its state in Slurm is failed" in listing["fault"]) == ("lost", True)
    held.let_go()
    tomoseg("jobs", "resume", "2", "--wait")


def test_a_job_that_is_cancelled_with_scancel_is_stopped(
    cluster: Cluster, one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, "--slurm", env=held.env)
    job = job_of(tubes_project)
    wait_until(lambda: slabs_of(job) > 0)
    cluster("scancel", number_of(job))
    wait_until(lambda: job.state().is_over)
    assert (job.state(), job.listing()["fault"]) == (JobState.STOPPED, "It was cancelled in Slurm.")
    held.let_go()
    tomoseg("jobs", "resume", "1", "--wait")


@pytest.mark.parametrize(
    ("arguments", "output"), [("partition=nowhere", "invalid partition specified"), ("time=soon", "Invalid --time")]
)
def test_a_submission_that_slurm_rejects_creates_no_job(
    cluster: Cluster, one_map: Path, tomoseg: Tomoseg, tubes_project: Project, arguments: str, output: str
) -> None:
    refused = tomoseg.refused(*MERGE, "--slurm", arguments)
    assert f"Slurm rejected the job: {output}" in refused
    assert "sinfo" in refused


def test_jobs_depend_on_one_another_and_use_the_projects_settings(
    cluster: Cluster, one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    """If a job fails, the next one reports it, and is resumed with it."""
    settings = tubes_project.layout.settings
    settings.write_text(f'{settings.read_text()}\n[slurm]\nalways = true\npartition = "main"\ntime = "1:00:00"\n')
    tomoseg(*MERGE, env=held.env)
    tomoseg(*MERGE, "--name", "second", "--after", "1", env=held.env)
    tomoseg(*MERGE, "--name", "here", "--here", "--wait")
    first, second = job_of(tubes_project, "1"), job_of(tubes_project, "2")
    wait_until(lambda: slabs_of(first) > 0)
    wait_until(lambda: second.listing()["waits_for"] == "waiting in Slurm: Dependency")
    tomoseg("jobs", "stop", "1")
    wait_until(lambda: second.state() is JobState.FAILED)
    assert "depends on job 1" in str(second.record().fault)
    held.let_go()
    tomoseg("jobs", "resume", "1")
    wait_until(lambda: second.state() is JobState.DONE)
    assert job_of(tubes_project, "3").record().slurm is None
