"""The state of a job in Slurm, from its folder and Slurm's answers; Slurm is not needed."""

import os
from pathlib import Path

import pytest

from tomoseg_tui.errors import AlreadyRunningError, JobError
from tomoseg_tui.files import locks
from tomoseg_tui.files.locks import Owner
from tomoseg_tui.jobs import job as job_module
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, JobState, SlurmSubmission, all_jobs, create_job
from tomoseg_tui.jobs.job_list import JobListCache
from tomoseg_tui.jobs.kinds import slurm_submission_for
from tomoseg_tui.jobs.slurm import node_worker
from tomoseg_tui.jobs.slurm.commands import SlurmTask
from tomoseg_tui.jobs.slurm.status import SlurmStatusCache, log_marker
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.project_settings import SlurmSettings

ASKED = {"run": "net", "tomograms": ["a", "b", "c"], "workers": 1, "device": "cpu"}


class Says:
    """A Slurm with a fixed answer, or none."""

    def __init__(self) -> None:
        self.squeue: str | None = None
        self.asked = 0

    def __call__(self, arguments: list[str]) -> str | None:
        self.asked += arguments[0] == "squeue"
        return self.squeue if arguments[0] == "squeue" else None


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Says:
    says = Says()
    cache = SlurmStatusCache(says)  # type: ignore[arg-type]
    monkeypatch.setattr(job_module, "status_cache", lambda: cache)
    return says


@pytest.fixture
def job(project: Project) -> Job:
    part = SlurmSubmission(settings=SlurmSettings(time="1:00:00", memory="4G"), job="17")
    return create_job(project.layout, "merge", "cell/merged", {}, slurm=part)


def age(job: Job) -> None:
    """Make the record older than any cached answer of Slurm."""
    os.utime(job.record_file, (0, 0))


@pytest.mark.parametrize(
    ("on_disk", "output", "state", "waits_for"),
    [
        ("queued", "17|PENDING|main||Priority", "queued", "waiting in Slurm: Priority"),
        ("queued", "17|RUNNING|main|node1|None", "queued", None),  # its worker is starting
        ("running", "17|RUNNING|main|node1|None", "running", None),  # another task of the array becomes the owner
        ("running", "17|PENDING|main||BeginTime", "queued", "waiting in Slurm: BeginTime"),  # Slurm has requeued it
        ("running", "17|TIMEOUT|main|node1|TimeLimit", "lost", None),
        ("queued", "17|CANCELLED|main||None", "stopped", None),
        ("running", "17|CANCELLED|main|node1|None", "stopped", None),
        ("running", "", "lost", None),  # forgotten
        ("queued", None, "queued", None),  # on a machine without Slurm
        ("running", None, "lost", None),
    ],
)
def test_slurm_decides_the_state_of_a_job_without_a_live_worker(
    job: Job, says: Says, on_disk: str, output: str | None, state: str, waits_for: str | None
) -> None:
    if on_disk == "running":
        job.set_state(JobState.RUNNING)
    age(job)
    says.squeue = output
    listing = job.listing()
    assert (listing["state"], listing["waits_for"], listing["slurm"]) == (state, waits_for, "17")
    assert bool(listing["fault"]) is bool(listing["fix"]) is (state in {"lost", "stopped"})


def test_slurm_is_not_queried_while_the_worker_is_alive(job: Job, says: Says) -> None:
    locks.acquire(job.claim_file, Owner("node7", "boot", 4711, "1"))
    job.set_state(JobState.RUNNING, owner=Owner("node7", "boot", 4711, "1"))
    listing = job.listing()
    assert (listing["state"], listing["host"], says.asked) == ("running", "node7", 0)


def test_a_job_that_was_just_submitted_is_not_lost_because_of_a_cached_answer(job: Job, says: Says) -> None:
    says.squeue = ""
    assert job.state() is JobState.QUEUED
    age(job)
    assert job.state() is JobState.LOST


def test_the_error_of_a_job_that_never_started_says_what_a_node_needs(job: Job, says: Says) -> None:
    says.squeue = "17|FAILED|main|node1|NonZeroExitCode"
    age(job)
    assert job.listing()["fault"] == "Its worker did not start on the node."
    assert "this Python under the same paths" in job.listing()["fix"]


def test_the_cause_is_read_from_the_log_if_slurm_has_forgotten_the_job(job: Job, says: Says) -> None:
    says.squeue = ""
    job.set_state(JobState.RUNNING)
    age(job)
    oom = "slurmstepd: error: Detected 1 oom_kill event in StepId=17.batch.\n"
    job.log_file.write_text(f"2026-01-02T03:04:05Z Submitted as {log_marker('17')}.\n{oom}")
    assert "more memory than requested (4G)" in job.listing()["fault"]
    assert job.listing()["fix"] == "Resume it with more memory: tomoseg jobs resume 1 --slurm memory=8G"


def test_a_list_of_jobs_queries_slurm_once_and_not_for_finished_jobs(project: Project, says: Says) -> None:
    says.squeue = "".join(f"{number}|PENDING|main||Priority\n" for number in range(60))
    for number in range(60):
        part = SlurmSubmission(settings=SlurmSettings(), job=str(number))
        job = create_job(project.layout, "merge", "cell/merged", {}, slurm=part)
        if number >= 50:
            job.set_state(JobState.RUNNING)
            job.set_state(JobState.DONE)
    rows = [seen.listing for seen in JobListCache(project.layout).poll()]
    assert [row["state"] for row in rows] == ["done"] * 10 + ["queued"] * 50
    assert says.asked == 1
    assert rows[0]["fault"] is None


@pytest.mark.parametrize(
    ("kind", "asked", "tasks"),
    [
        ("merge", {}, 1),
        ("apply", ASKED, 3),
        ("apply", ASKED | {"workers": 8}, 8),
        ("apply", ASKED | {"tomograms": ["a"]}, 1),
    ],
)
def test_an_apply_has_the_requested_number_of_tasks_or_one_per_tomogram(
    kind: str, asked: dict[str, object], tasks: int
) -> None:
    assert slurm_submission_for(kind, asked, SlurmSettings()) == SlurmSubmission(settings=SlurmSettings(), tasks=tasks)
    assert slurm_submission_for(kind, asked, None) is None


def test_a_worker_on_a_node_starts_no_helpers_and_uses_its_allocated_gpu(project: Project) -> None:
    part = SlurmSubmission(settings=SlurmSettings(gres="gpu:1"), tasks=8)
    job = create_job(project.layout, "apply", "net on a", ASKED | {"workers": 8}, slurm=part)
    there = node_worker.record_for_node(job.record())
    assert (there.asked["workers"], there.asked["device"], there.at_once) == (1, "gpu", True)
    assert job.record().asked["workers"] == 8


@pytest.mark.parametrize(("gres", "device"), [("gpu:1", "gpu"), ("", "auto")])
def test_auto_is_the_gpu_requested_from_slurm_or_else_resolved_on_the_node(
    project: Project, gres: str, device: str
) -> None:
    part = SlurmSubmission(settings=SlurmSettings(gres=gres))
    job = create_job(project.layout, "train", "net", {"name": "net", "device": "auto"}, slurm=part)
    assert node_worker.record_for_node(job.record()).asked["device"] == device


class Hand:
    """A worker with a given progress."""

    def __init__(self, first_done: float | None) -> None:
        self.first_done = first_done

    def log(self, line: str) -> None:
        """Do nothing."""

    def should_stop(self) -> bool:
        """Return False."""
        return False


def test_a_job_at_its_time_limit_is_requeued_as_long_as_it_makes_progress(job: Job) -> None:
    """Each run starts at the progress of the previous one; after three runs without progress the job fails."""
    job.set_state(JobState.RUNNING)
    ends = []
    for first_done in (0.1, 0.1, 0.2, 0.2, 0.2, 0.2):
        state, changes = node_worker._end_or_requeue(job, Hand(first_done), JobState.STOPPED, {})
        ends.append(state)
        if state is JobState.QUEUED:
            job.update_record(slurm=changes["slurm"])
    assert ends == [JobState.QUEUED] * 5 + [JobState.FAILED]
    assert "before anything new was finished" in changes["fault"]
    job.stop_file.touch()
    assert node_worker._end_or_requeue(job, Hand(0.9), JobState.STOPPED, {})[0] is JobState.STOPPED


def test_a_job_of_slurm_can_only_be_resumed_here_on_a_machine_without_slurm(
    project: Project, job: Job, says: Says, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It cannot be resumed in Slurm and stays unchanged; it can be resumed here unless Slurm has it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    says.squeue = "17|PENDING|main||Priority"
    with pytest.raises(AlreadyRunningError, match="Job 1 is queued"):
        launch.resume(job, here=True)
    job.set_state(JobState.RUNNING)
    job.set_state(JobState.STOPPED)
    before = job.record()
    with pytest.raises(JobError, match="to resume it here: --here"):
        launch.resume(job)
    assert job.record() == before
    launch.requeue(job, before, here=True)
    assert (job.record().slurm, job.state()) == (None, JobState.QUEUED)
    assert job.log_file.read_text().endswith("Continues on this machine.\n")


def test_a_worker_that_slurm_starts_late_ignores_a_job_that_was_resumed_elsewhere(job: Job) -> None:
    job.set_state(JobState.STOPPED)
    launch.requeue(job, job.record(), here=True)
    hand = Hand(None)
    ends = node_worker.run_slurm_task(
        job,
        SlurmTask("17", 2),
        hand,
        run_as_owner=lambda *_: pytest.fail("owned"),
        help_owner=lambda _: pytest.fail("helped"),
    )
    assert (ends, job.record().state) == (0, JobState.QUEUED)


def test_without_slurm_no_job_is_submitted_or_ended_there(
    project: Project, job: Job, says: Says, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JobError, match="There is no Slurm on this machine"):
        launch.launch(project.layout, "merge", {"tomogram": "cell", "name": "merged"}, slurm=SlurmSettings())
    assert [other.id for other in all_jobs(project.layout)] == ["1"]
    for end in (launch.stop, launch.kill):
        with pytest.raises(JobError, match="log in to a machine with Slurm"):
            end(job)
    assert (job.record().state, job.stop_file.exists()) == (JobState.QUEUED, False)
