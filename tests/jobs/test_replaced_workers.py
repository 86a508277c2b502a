"""Workers whose host was suspended until another worker took over their job: they check, and end."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from helpers.cli_runner import Tomoseg, wait_until
from helpers.job_project import held_workers, is_gone

from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.files.locks import Owner
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.project.catalog import Project

MERGE = ("merge", "tubes", "--map", "one=0.5")
HEARTLESS = "from tomoseg_tui.files import locks\nlocks.HEARTBEAT_SECONDS = 1000.0\n"
"""Lets a worker end before its first heartbeat."""
LONG_AGO = 1_000_000_000.0


@pytest.fixture
def other() -> Iterator[Owner]:
    """A live process that is not the job's first worker."""
    here = locks.this_process()
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        yield Owner(here.host, here.boot_id, process.pid, started)
        process.kill()


def take_over(job: Job, other: Owner) -> tuple[int, bytes]:
    """Give the job to another worker, as after a resume; return the first worker and the other's record."""
    worker = job.record().owner
    assert worker is not None
    assert locks.owner_of(job.claim_file) == worker
    job.update_record(owner=other, started="2026-01-01T00:00:00Z")
    write_atomically(job.claim_file, msgspec.json.encode(other))
    os.utime(job.claim_file, (LONG_AGO, LONG_AGO))
    return worker.pid, job.record_file.read_bytes()


def is_as_the_other_left_it(job: Job, other: Owner, record: bytes) -> bool:
    return (
        locks.owner_of(job.claim_file) == other
        and job.claim_file.stat().st_mtime == LONG_AGO
        and job.record_file.read_bytes() == record
        and (job.partial / "finished.jsonl").exists()
        and not job.result_file.exists()
    )


@pytest.mark.slow
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_worker_ends_when_another_process_has_its_claim(
    one_map: Path, tomoseg: Tomoseg, tubes_project: Project, tmp_path: Path, other: Owner, *, goes_on: bool
) -> None:
    """At the next heartbeat during its work, or before it records the end if that comes first."""
    held = held_workers(tmp_path / "hooks", worker=HEARTLESS if goes_on else "")
    tomoseg(*MERGE, env=held.env)
    job = Job(tubes_project.layout.job_folder("1"))
    wait_until((job.partial / "finished.jsonl").exists)
    pid, record = take_over(job, other)
    if goes_on:
        held.let_go()
    wait_until(lambda: is_gone(pid), seconds=20)
    assert is_as_the_other_left_it(job, other, record)
    log = tomoseg("jobs", "log", "1").out
    assert f"Process {pid} on {other.host} ends: another process has taken its job." in log
    assert "Done." not in log
