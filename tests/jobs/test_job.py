import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from helpers.cli_runner import check_golden
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tomoseg_tui.errors import JobError, ProjectError
from tomoseg_tui.files import locks
from tomoseg_tui.files.locks import Owner
from tomoseg_tui.jobs.job import Job, JobProgress, JobRecord, JobState, all_jobs, create_job, find_job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import write_record

MAY_FOLLOW = {
    "queued": {"running", "failed", "stopped", "lost"},
    "running": {"done", "failed", "stopped", "lost", "queued"},  # queued: its time limit in Slurm was reached
    "done": set(),
    "failed": {"queued"},
    "stopped": {"queued"},
    "lost": {"queued", "stopped"},
}
DEAD = Owner("another", "boot", 2**22 + 1, "1")


@pytest.fixture
def job(project: Project) -> Job:
    return create_job(project.layout, "merge", "cell_a/merged", {"tomogram": "cell_a"})


def move_to(job: Job, *states: JobState) -> None:
    for state in states:
        job.set_state(state)


class JobLife(RuleBasedStateMachine):
    """The folder of a job, moved between states in any order."""

    @initialize()
    def begin(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.job = create_job(ProjectLayout(Path(self.place.name)), "train", "run", {})
        self.expected = "queued"

    @rule(to=st.sampled_from(JobState))
    def move(self, to: JobState) -> None:
        if str(to) in MAY_FOLLOW[self.expected]:
            self.job.set_state(to, fault=f"now {to}")
            self.expected = str(to)
        else:
            with pytest.raises(JobError, match="cannot become"):
                self.job.set_state(to)

    @rule()
    def write_half_a_progress(self) -> None:
        self.job.progress_file.write_bytes(b'{"progress": 0.')

    @invariant()
    def the_folder_tells_the_state(self) -> None:
        assert self.job.record().state == self.expected
        alive_or_over = self.expected if self.expected != "running" else "lost"  # no worker holds the claim here
        assert self.job.state() == alive_or_over
        assert self.job.listing()["state"] == alive_or_over

    def teardown(self) -> None:
        if hasattr(self, "place"):
            self.place.cleanup()


TestJobLife = JobLife.TestCase
TestJobLife.settings = settings(max_examples=20, stateful_step_count=12, deadline=None)


def test_the_record_on_disk_matches_the_golden_file(project: Project) -> None:
    job = Job(project.layout.job_folder("1"))
    job.folder.mkdir(parents=True)
    owner = Owner("host", "8c1e", 4711, "350918")
    record = JobRecord(
        kind="apply", name="run on cell_a", asked={"run": "run", "tomograms": ["cell_a"]}, state=JobState.FAILED,
        owner=owner, created="2026-01-02T03:04:05Z", started="2026-01-02T03:04:06Z", ended="2026-01-02T03:04:07Z",
        fault="It is wrong.", fix="Mend it.", exit_code=2,
    )  # fmt: skip
    write_record(job.record_file, record)
    check_golden("record.json", job.record_file.read_text())
    assert job.record() == record


def test_a_listing_has_the_keys_that_programs_rely_on(job: Job) -> None:
    keys = "id kind name state pid host progress created started ended peak_memory_bytes eta_seconds fault fix"
    listing = job.listing()
    assert set(keys.split()) <= set(listing)
    assert json.loads(json.dumps(listing)) == listing
    assert (listing["id"], listing["kind"], listing["state"], listing["progress"]) == ("1", "merge", "queued", 0.0)


def test_a_record_of_a_newer_version_is_read(job: Job) -> None:
    record = {**json.loads(job.record_file.read_bytes()), "of tomorrow": 1}
    job.record_file.write_text(json.dumps(record))
    assert job.record().kind == "merge"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": 3}'])
def test_a_damaged_record_is_refused(job: Job, content: str) -> None:
    job.record_file.write_text(content)
    with pytest.raises(ProjectError, match=r"record\.json cannot be read"):
        job.record()


@pytest.mark.parametrize("content", [b"", b'{"progress":0.5,"mess', b"\x00\x00", b'{"progress":"half"}'])
def test_a_damaged_progress_file_is_ignored(job: Job, content: bytes) -> None:
    job.progress_file.write_bytes(content)
    assert job.progress() == JobProgress()
    assert job.listing()["progress"] == 0.0


def test_the_progress_of_an_older_version_has_no_epoch(job: Job) -> None:
    job.progress_file.write_text('{"progress":0.5,"message":"epoch 2/20  loss 0.5","eta_seconds":9.0}')
    assert job.progress() == JobProgress(0.5, "epoch 2/20  loss 0.5", 9.0)
    assert (job.progress().epoch, job.progress().epochs) == (None, None)


def test_an_incomplete_line_of_metrics_is_skipped(job: Job) -> None:
    job.metrics_file.write_bytes(b'{"epoch":1}\n{"epoch":2,"training_lo')
    assert job.metrics() == [{"epoch": 1}]
    job.metrics_file.unlink()
    assert job.metrics() == []


@pytest.mark.parametrize("content", [None, b"", b'{"file": "lab'])
def test_a_missing_or_damaged_result_is_empty(job: Job, content: bytes | None) -> None:
    if content is not None:
        job.result_file.write_bytes(content)
    assert job.result() == {}


def test_a_running_job_with_a_live_worker_is_running(job: Job) -> None:
    locks.acquire(job.claim_file, locks.this_process())
    move_to(job, JobState.RUNNING)
    assert job.state() is JobState.RUNNING


@pytest.mark.parametrize("claim", [None, b"", msgspec.json.encode(DEAD)])
def test_a_running_job_without_a_worker_is_lost_and_has_a_fix(job: Job, claim: bytes | None) -> None:
    move_to(job, JobState.RUNNING)
    if claim is not None:
        job.claim_file.write_bytes(claim)
        os.utime(job.claim_file, (0, 0))
    assert job.state() is JobState.LOST
    assert job.listing()["fix"] == "Continue from its saved work: tomoseg jobs resume 1"


def test_a_job_that_no_worker_starts_is_lost_after_a_time(job: Job) -> None:
    assert job.state() is JobState.QUEUED
    long_ago = job.record_file.stat().st_mtime - 31
    os.utime(job.record_file, (long_ago, long_ago))
    assert job.state() is JobState.LOST


def test_a_done_job_has_full_progress(job: Job) -> None:
    job.progress_file.write_bytes(msgspec.json.encode(JobProgress(0.9, "nearly", 3.0)))
    move_to(job, JobState.RUNNING, JobState.DONE)
    assert (job.listing()["progress"], job.listing()["eta_seconds"]) == (1.0, None)


def test_jobs_are_numbered_and_listed_newest_first(project: Project) -> None:
    made = [create_job(project.layout, "train", f"run_{number}", {}).id for number in range(11)]
    (project.layout.jobs / "notes").mkdir()
    (project.layout.jobs / "99").mkdir()  # just being created: it has no record yet
    assert made == [str(number) for number in range(1, 12)]
    assert [job.id for job in all_jobs(project.layout)] == made[::-1]
    assert create_job(project.layout, "train", "run", {}).id == "100"


@pytest.mark.parametrize("job_id", ["7", "..", "1/..", "", "x"])
def test_an_unknown_job_is_refused(job: Job, project: Project, job_id: str) -> None:
    with pytest.raises(JobError, match="There is no job"):
        find_job(project.layout, job_id)
    assert find_job(project.layout, "1").id == "1"


def test_a_copied_project_contains_its_jobs(job: Job, project: Project, tmp_path: Path) -> None:
    copy: Any = shutil.copytree(project.layout.root, tmp_path / "copy")
    assert [other.listing() for other in all_jobs(ProjectLayout(copy))] == [job.listing()]
