"""Real workers of two projects in one queue; dead owners, unexpected files, and folders of other users."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from helpers.cli_runner import Tomoseg, wait_until
from helpers.job_project import is_gone
from helpers.stub_worker import Stage, becomes, queue, train

from tomoseg_tui.errors import JobError, SettingsError
from tomoseg_tui.files import locks
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.dependencies import launch_chain
from tomoseg_tui.jobs.device_queue import (
    QueuePosition,
    QueueSlot,
    Ticket,
    acquire_device_lock,
    queue_folder,
    read_ticket,
    user_name,
)
from tomoseg_tui.jobs.device_request import DeviceRequest
from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project.catalog import Project

CPU = DeviceRequest(("cpu",), "the CPU")
Projects = tuple[Project, Project]


def dead() -> locks.Owner:
    return msgspec.structs.replace(locks.this_process(), started="1")


def waits_for(job: Job) -> str:
    return str(job.listing()["waits_for"])


def place(folder: Path, job: str = "7", request: DeviceRequest = CPU) -> QueueSlot:
    return QueueSlot(folder, request, project="lamella", job=job)


@pytest.fixture
def folder() -> Path:
    return queue_folder()


def test_jobs_of_two_projects_run_one_by_one_in_launch_order(projects: Projects, stage: Stage) -> None:
    here, there = projects
    stage.hold("first", "second", "third")
    first, second, third = train(here, "first"), train(there, "second"), train(here, "third")
    becomes(first, JobState.RUNNING)
    assert (second.state(), third.state()) == (JobState.QUEUED, JobState.QUEUED)
    wait_until(lambda: waits_for(second) == "waiting for the CPU: job 1 of lamella is running")
    wait_until(lambda: waits_for(third) == "waiting for the CPU: job 1 is running, 1 job ahead")
    assert [job.listing()["place"] for job in (first, second, third)] == [None, 1, 2]
    stage.let_go("first")
    becomes(second, JobState.RUNNING)
    assert third.state() is JobState.QUEUED
    stage.let_go("second", "third")
    becomes(third, JobState.DONE)
    assert stage.begun == ["first", "second", "third"]
    wait_until(lambda: list(queue().iterdir()) == [])
    assert "Waiting for the CPU: job 1" in third.log_file.read_text()


@pytest.mark.slow
def test_a_waiting_job_uses_little_memory_and_cpu(projects: Projects, stage: Stage) -> None:
    stage.hold("first")
    train(projects[0], "first")
    waiting = train(projects[0], "waiting")
    owner = locks.owner_of(waiting.claim_file)
    assert owner is not None
    maps = Path(f"/proc/{owner.pid}/maps").read_text()
    assert "numpy" not in maps
    assert "tensorflow" not in maps
    stage.let_go("first")
    becomes(waiting, JobState.DONE)
    assert waiting.result()["numpy"] is False


def test_the_next_job_starts_when_the_running_one_is_killed(projects: Projects, stage: Stage) -> None:
    stage.hold("first")
    first, second = train(projects[0], "first"), train(projects[1], "second")
    owner = locks.owner_of(first.claim_file)
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    becomes(second, JobState.DONE)
    assert first.state() is JobState.LOST


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_a_waiting_job_ends_immediately_and_can_be_resumed(projects: Projects, stage: Stage, verb: str) -> None:
    stage.hold("first")
    train(projects[0], "first")
    waiting = train(projects[0], "waiting")
    owner = locks.owner_of(waiting.claim_file)
    assert owner is not None
    Tomoseg(projects[0].layout.root)("jobs", verb, "2")
    assert waiting.state() is JobState.STOPPED
    assert is_gone(owner.pid) or verb == "stop"
    stage.let_go("first")
    launch.resume(waiting)
    becomes(waiting, JobState.DONE)


@pytest.mark.slow
def test_a_waiting_job_does_not_count_as_never_started(projects: Projects, stage: Stage) -> None:
    stage.hold("first")
    train(projects[0], "first")
    waiting = train(projects[0], "waiting")
    long_ago = time.time() - 3600
    os.utime(waiting.record_file, (long_ago, long_ago))
    assert waiting.state() is JobState.QUEUED


@pytest.mark.slow
def test_a_job_can_start_without_waiting(projects: Projects, stage: Stage) -> None:
    stage.hold("first")
    first = train(projects[0], "first")
    hasty = train(projects[0], "hasty", at_once=True)
    becomes(hasty, JobState.DONE)
    assert first.state() is JobState.RUNNING


@pytest.mark.slow
def test_a_stopped_waiting_job_can_be_resumed_immediately(projects: Projects, stage: Stage) -> None:
    stage.hold("first")
    train(projects[0], "first")
    waiting = train(projects[0], "waiting")
    run = Tomoseg(projects[0].layout.root)
    run("jobs", "stop", "2")
    run("jobs", "resume", "2", "--now", "--wait")
    assert waiting.state() is JobState.DONE


def test_dead_owners_and_other_files_do_not_block_the_queue(projects: Projects, stage: Stage, folder: Path) -> None:
    host = locks.this_process().host
    (folder / f"{host}.cpu.0.lock").write_bytes(msgspec.json.encode(dead()))
    ticket = Ticket(dead(), "alice", "lamella", "3", ("cpu",))
    (folder / f"{1:020d}.{host}.1.ticket").write_bytes(msgspec.json.encode(ticket))
    (folder / f"{2:020d}.{host}.2.ticket").write_bytes(b"\xffrubbish")
    (folder / f"{3:020d}.{host}.3.ticket").mkdir()
    os.mkfifo(folder / f"{4:020d}.{host}.4.ticket")
    (folder / f"{5:020d}.{host}.5.ticket").symlink_to("nowhere")
    os.mkfifo(folder / f"{host}.core-0.0.lock")
    becomes(train(projects[0], "first"), JobState.DONE)
    assert not (folder / f"{1:020d}.{host}.1.ticket").exists()


def test_a_worker_that_hangs_does_not_block_the_queue(folder: Path) -> None:
    with place(folder) as older, place(folder, "8") as younger:
        position = younger.try_acquire()
        assert position == QueuePosition("waiting for the CPU: 1 job ahead", 1)
        for ticket in folder.glob("*.ticket"):
            os.utime(ticket, (0, 0))
        younger.heartbeat()
        assert younger.try_acquire() is None
        assert older.try_acquire() is not None


def test_a_ticket_is_written_again_when_the_folder_was_cleared(folder: Path) -> None:
    with place(folder) as waiting:
        for file in folder.iterdir():
            file.unlink()
        assert waiting.try_acquire() is None
        assert len(list(folder.glob("*.ticket"))) == 1
    assert list(folder.iterdir()) == []


def test_tickets_of_other_machines_are_ignored(folder: Path) -> None:
    elsewhere = msgspec.structs.replace(locks.this_process(), host="node17")
    ticket = Ticket(elsewhere, "alice", "lamella", "3", ("cpu",))
    (folder / f"{1:020d}.node17.1.ticket").write_bytes(msgspec.json.encode(ticket))
    (folder / "node17.cpu.0.lock").write_bytes(msgspec.json.encode(elsewhere))
    with place(folder) as mine:
        assert mine.try_acquire() is None


def test_old_incomplete_files_are_removed(folder: Path) -> None:
    for name in (".draft.ticket.x7", f"{1:020d}.a.1.ticket"):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (1, 1))
    with place(folder) as mine:
        assert mine.try_acquire() is None
    assert list(folder.iterdir()) == []


def test_running_jobs_are_named_with_user_or_project(folder: Path) -> None:
    host = locks.this_process().host
    owner = locks.this_process()
    for name, user, project in (("1", "alice", "lamella"), ("2", user_name(), "other"), ("3", user_name(), "lamella")):
        ticket = Ticket(owner, user, project, name, ("cpu",))
        (folder / f"{int(name):020d}.{host}.{name}.ticket").write_bytes(msgspec.json.encode(ticket))
    assert acquire_device_lock(folder, "cpu", owner) is not None
    with place(folder) as mine:
        position = mine.try_acquire()
    assert position is not None
    assert position.text == "waiting for the CPU: job 1 of alice and job 2 of other and 1 more are running"


def test_files_are_readable_by_all_users_with_any_umask(folder: Path) -> None:
    mask = os.umask(0o077)
    try:
        with place(folder) as mine:
            mine.try_acquire()
            modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    finally:
        os.umask(mask)
    assert modes == {0o644}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


def test_an_unusable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JobError, match="is not a folder") as caught:
        queue_folder({"TOMOSEG_QUEUE_FOLDER": str(tmp_path / "file")})
    assert "queue_folder = " in caught.value.fix


def test_a_folder_of_ours_gets_the_sticky_bit(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    assert queue_folder({"TOMOSEG_QUEUE_FOLDER": str(shared)}) == shared
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777, 0o2775])
def test_a_folder_of_another_user_without_sticky_bit_is_refused(tmp_path: Path, mode: int) -> None:
    theirs, link = tmp_path / "theirs", tmp_path / "link"
    theirs.mkdir()
    theirs.chmod(mode)
    os.chown(theirs, 65534, -1)
    with pytest.raises(JobError, match="no sticky bit") as caught:
        queue_folder({"TOMOSEG_QUEUE_FOLDER": str(theirs)})
    assert "chmod +t" in caught.value.fix
    assert "queue_folder = " in caught.value.fix
    theirs.chmod(0o1777)
    assert queue_folder({"TOMOSEG_QUEUE_FOLDER": str(theirs)}) == theirs
    link.symlink_to(theirs)
    assert queue_folder({"TOMOSEG_QUEUE_FOLDER": str(link)}) == link, "a link of ours"
    os.chown(link, 65534, -1, follow_symlinks=False)
    with pytest.raises(JobError, match="is not a folder"):
        queue_folder({"TOMOSEG_QUEUE_FOLDER": str(link)})


def test_neither_hidden_files_nor_targets_of_links_are_touched(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_bytes(msgspec.json.encode(locks.this_process()))
    (folder / ".bashrc").touch()
    for file in (own, folder / ".bashrc"):
        os.utime(file, (1, 1))
    for target, level in ((own, 0), (tmp_path / "nowhere", 1)):
        (folder / f"{locks.this_process().host}.cpu.{level}.lock").symlink_to(target)
    with place(folder) as mine:
        assert mine.try_acquire() is None
        mine.heartbeat()
    assert sorted(file.name for file in folder.iterdir() if not file.is_symlink()) == [".bashrc"]
    assert own.stat().st_mtime == 1


@pytest.mark.slow
def test_the_config_sets_the_folder_and_an_invalid_one_fails_the_job(
    projects: Projects, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config" / "tomoseg" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'queue_folder = "{tmp_path}/shared/queue"\n')
    assert queue_folder({"XDG_CONFIG_HOME": str(tmp_path / "config")}) == tmp_path / "shared" / "queue"
    config.write_text("queue_folder = 7\n")
    with pytest.raises(SettingsError, match="queue_folder must be of type str"):
        queue_folder({"XDG_CONFIG_HOME": str(tmp_path / "config")})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TOMOSEG_QUEUE_FOLDER")
    job = train(projects[0], "first")
    becomes(job, JobState.FAILED)
    assert "queue_folder" in str(job.record().fault)


def test_a_job_for_several_gpus_acquires_all_or_none(folder: Path) -> None:
    both, one = DeviceRequest(("gpu-0", "gpu-1"), "2 GPUs", 2), DeviceRequest(("gpu-1",), "GPU 1")
    with place(folder, "1", one) as first:
        assert first.try_acquire() is None
        with place(folder, "2", both) as second, place(folder, "3", DeviceRequest(("gpu-0",), "GPU 0")) as third:
            assert second.try_acquire() == QueuePosition("waiting for 2 GPUs: job 1 and job 3 are running", 0)
            assert second.devices == ()
            assert third.devices == ()


_AS_NOBODY = """
import os, sys, time
from tomoseg_tui.jobs.device_queue import QueueSlot, queue_folder
from tomoseg_tui.jobs.device_request import DeviceRequest
folder = queue_folder({"TOMOSEG_QUEUE_FOLDER": sys.argv[2]})
with QueueSlot(folder, DeviceRequest(("cpu",), ""), project="", job="") as warm:
    warm.try_acquire()  # imports what only root can read
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
slot = QueueSlot(queue_folder(), DeviceRequest(("cpu",), "the CPU"), project="nobodys", job="4")
with slot:
    position = slot.try_acquire()
    if position is not None:
        print("waits", flush=True)
    while position is not None:
        time.sleep(0.02)
        position = slot.try_acquire()
    print("has it", flush=True)
    sys.stdin.readline()
    if sys.argv[1] == "die":
        os._exit(9)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be somebody else")
@pytest.mark.parametrize("end", ["go", "die"])
def test_jobs_of_other_users_are_waited_for_and_their_dead_locks_skipped(tmp_path: Path, end: str) -> None:
    """Neither the folder nor the waiting process belongs to root, so the sticky bit applies."""
    folder = Path("/var/tmp") / f"tomoseg-test-{os.getpid()}-{time.monotonic_ns()}"
    env = {**os.environ, "TOMOSEG_QUEUE_FOLDER": str(folder)}
    try:
        with started(env, end, uid=65534) as theirs:
            expect_line(theirs, "has it")
            with started(env, "go", uid=65533) as ours:
                expect_line(ours, "waits")
                end_of(theirs)
                expect_line(ours, "has it")
                left = sorted(file.name for file in folder.iterdir() if file.name.endswith(".lock"))
                assert len(left) == (2 if end == "die" else 1)
                end_of(ours)
    finally:
        subprocess.run(["rm", "-rf", str(folder), f"{folder}-warm"], check=True)


def started(env: dict[str, str], end: str, *, uid: int) -> "subprocess.Popen[str]":
    code = _AS_NOBODY.replace("65534", str(uid))
    return subprocess.Popen(
        [sys.executable, "-c", code, end, env["TOMOSEG_QUEUE_FOLDER"] + "-warm"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def expect_line(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == line


def end_of(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    process.wait(20)


def test_an_unreadable_ticket_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "x.ticket").write_bytes(b"{}")
    assert read_ticket(tmp_path / "x.ticket") is None
    assert read_ticket(tmp_path / "absent.ticket") is None


@pytest.mark.slow
def test_jobs_that_are_started_together_run_in_order(projects: Projects, stage: Stage) -> None:
    """Jobs released by the same dependency do too, after the first of them has started."""
    project, names = projects[0], ["b", "a", "c"]
    later = [f"{name}2" for name in names]
    stage.hold("c", *later)
    together = [("train", {"name": name}, ()) for name in names]
    after = [("train", {"name": name}, (0, 1, 2)) for name in later]
    jobs = launch_chain(project.layout, [*together, *after])
    wait_until(lambda: all("waiting for job" in waits_for(job) for job in jobs[3:]))
    wait_until(lambda: stage.begun == names)
    stage.let_go("c")
    wait_until(lambda: {job.listing()["place"] for job in jobs[3:]} == {None, 1, 2})
    stage.let_go(*later)
    for job in jobs:
        becomes(job, JobState.DONE)
    begun = stage.begun[3:]
    assert begun[1:] == [name for name in later if name != begun[0]]
