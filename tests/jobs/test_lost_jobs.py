"""Workers that ended without recording it: the state of their jobs, and that the jobs can be resumed."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from helpers.cli_runner import Tomoseg

from tomoseg_tui.files import locks
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, JobState, create_job, remove_stale_claims
from tomoseg_tui.project.catalog import Project


def test_a_stale_claim_of_a_done_job_is_removed_by_the_next_launch(project: Project) -> None:
    job = create_job(project.layout, "merge", "cell/merged", {})
    job.set_state(JobState.RUNNING)
    job.set_state(JobState.DONE)
    dead = locks.Owner(locks.this_process().host, "another boot", 1, "1")
    locks.acquire(job.claim_file, dead)
    remove_stale_claims(project.layout)
    assert not job.claim_file.exists()
    locks.acquire(job.claim_file, locks.this_process())
    remove_stale_claims(project.layout)
    assert job.claim_file.exists(), "the claim of a live process stays"


def test_a_job_whose_waiting_worker_was_killed_is_lost_immediately(project: Project) -> None:
    job = create_job(project.layout, "merge", "cell/merged", {})
    assert job.state() is JobState.QUEUED
    locks.acquire(job.claim_file, locks.Owner(locks.this_process().host, "another boot", 1, "1"))
    assert job.state() is JobState.LOST


def test_a_job_is_requeued_as_soon_as_its_worker_has_released_the_claim(project: Project) -> None:
    """A job that is shown as stopped can be resumed immediately, though its claim exists a moment longer."""
    job = create_job(project.layout, "merge", "cell/merged", {})
    job.set_state(JobState.RUNNING)
    job.set_state(JobState.STOPPED)
    locks.acquire(job.claim_file, locks.this_process())
    parting = threading.Timer(0.2, locks.release, (job.claim_file, locks.this_process()))
    parting.start()
    launch.requeue(job, job.record())
    parting.join()
    assert job.record().state is JobState.QUEUED
    assert not job.claim_file.exists()


@pytest.mark.slow
@pytest.mark.parametrize(("host", "boot"), [("elsewhere", "theirs"), (None, "another boot")])
def test_a_job_whose_machine_went_down_is_lost_and_can_be_resumed(
    tmp_path: Path, small_template: Path, host: str | None, boot: str
) -> None:
    """As seen from another host 30 s after the last heartbeat, and from the same host after a reboot."""
    shutil.copytree(small_template.parent, tmp_path / "copy", ignore=shutil.ignore_patterns("hooks"))
    tomoseg = Tomoseg(tmp_path / "copy" / small_template.name)
    tomoseg("merge", "tubes", "--map", "net:tube=0.5", "--wait")
    layout = Project.open(tomoseg.folder).layout
    whole = layout.label_file("tubes", "merged").read_bytes()
    job = create_job(layout, "merge", "tubes/merged", Job(layout.job_folder("3")).record().asked)
    owner = locks.Owner(host or locks.this_process().host, boot, os.getpid(), locks.this_process().started)
    locks.acquire(job.claim_file, owner)
    job.set_state(JobState.RUNNING, owner=owner)
    if host is not None:
        assert tomoseg("jobs", "show", job.id, "--json").json["state"] == "running", "its heartbeat is recent"
        last = job.claim_file.stat().st_mtime - locks.HEARTBEAT_LIMIT_SECONDS - 1
        os.utime(job.claim_file, (last, last))
    assert tomoseg("jobs", "show", job.id, "--json").json["state"] == "lost"
    layout.label_file("tubes", "merged").unlink()
    tomoseg("jobs", "resume", job.id, "--wait")
    assert job.state() is JobState.DONE
    assert layout.label_file("tubes", "merged").read_bytes() == whole
