"""Polling the list of jobs."""

import os
import shutil

import pytest
from helpers.run_project import put_job, tell_progress

from tomoseg_tui.files import locks
from tomoseg_tui.jobs.job import Job, JobState, all_jobs
from tomoseg_tui.jobs.job_list import JobListCache
from tomoseg_tui.project.catalog import Project


def listings(seen: JobListCache) -> list[dict[str, object]]:
    return [job.listing for job in seen.poll()]


def test_every_poll_equals_a_first_poll(project: Project) -> None:
    """Jobs are created, started, continued, ended, lost, resumed and removed."""
    seen = JobListCache(project.layout)

    def check() -> None:
        assert listings(seen) == [job.listing() for job in all_jobs(project.layout)]

    check()
    put_job(project, "merge", "alpha/merged")
    check()
    job = put_job(project, "train", "run", state="lost", asked={"features": ["mt"]})
    check()
    with locks.held(job.claim_file):
        check()
        tell_progress(job, 0.5, "epoch 5/10")
        check()
        assert seen.poll()[0].listing["message"] == "epoch 5/10"
    check()
    job.set_state(JobState.LOST)
    check()
    job.set_state(JobState.QUEUED)
    check()
    with locks.held(job.claim_file):
        job.set_state(JobState.RUNNING)
        check()
        job.set_state(JobState.DONE)
        check()
    assert [one.request for one in seen.poll()] == [{"features": ["mt"]}, {}]
    shutil.rmtree(job.folder)
    check()
    (project.layout.jobs / "7").mkdir()
    check()


def test_jobs_that_are_over_are_not_read_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for state in ("done", "failed", "stopped", "lost"):
        put_job(project, "merge", "alpha/merged", state=state)
    seen = JobListCache(project.layout)
    first = listings(seen)
    monkeypatch.setattr(Job, "record", lambda _job: pytest.fail("a job that is over was read again"))
    assert listings(seen) == first


def test_a_new_heartbeat_on_another_host_is_noticed(project: Project) -> None:
    job = put_job(project, "merge", "alpha/merged", state="lost")
    locks.acquire(job.claim_file, locks.Owner("elsewhere", "their boot", 1, "1"))
    os.utime(job.claim_file, (1, 1))
    seen = JobListCache(project.layout)
    assert seen.poll()[0].listing["state"] == "lost"
    os.utime(job.claim_file)
    assert seen.poll()[0].listing["state"] == "running"
