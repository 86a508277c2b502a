"""Jobs with the real command line and real signals; they are merges, which need no network."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.cli_runner import Run, Tomoseg, interrupt, wait_until
from helpers.job_project import Held, hooked, is_gone, tear_for_a_moment

from tomoseg_tui.files import locks
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project.catalog import Project

MERGE = ("merge", "tubes", "--map", "one=0.5")
BROKEN = (
    "from tomoseg_tui.workflow.merge import merge_request\ndef fail(*_):\n    {}\nmerge_request._merge_slabs = fail"
)


def job_of(project: Project, job_id: str = "1") -> Job:
    return Job(project.layout.job_folder(job_id))


def slabs_of(job: Job) -> int:
    """Return the number of listed slabs."""
    listed = job.partial / "finished.jsonl"
    return listed.read_bytes().count(b"\n") if listed.exists() else 0


def pid_of(job: Job) -> int:
    owner = job.record().owner
    assert owner is not None
    return owner.pid


@pytest.fixture
def undisturbed(one_map: Path, tomoseg: Tomoseg, tubes_project: Project) -> bytes:
    """The label volume of an undisturbed merge."""
    tomoseg(*MERGE, "--name", "undisturbed", "--wait")
    return tubes_project.layout.label_file("tubes", "undisturbed").read_bytes()


def test_waiting_for_a_job_returns_its_exit_code(one_map: Path, tomoseg: Tomoseg) -> None:
    done = tomoseg(*MERGE, "--wait")
    assert (done.out, "Done." in done.err) == ("", True)
    shown = tomoseg("jobs", "show", "1", "--json").json
    assert (shown["state"], shown["progress"], shown["fault"], shown["fix"]) == ("done", 1.0, None, None)
    assert shown["peak_memory_bytes"] > 10**7
    for moment in ("created", "started", "ended"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown[moment])
    assert [job["id"] for job in tomoseg("jobs", "--json").json] == ["1"]
    assert "Done." in tomoseg("jobs", "log", "1").out


@pytest.mark.slow
def test_without_wait_the_id_is_printed_and_the_job_continues(
    one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    assert tomoseg(*MERGE, "--name", "other", "--json", env=held.env).json == {"job": "1"}
    assert tomoseg(*MERGE, env=held.env).out == "2\n"
    job = job_of(tubes_project, "2")
    assert job.state() is JobState.RUNNING
    assert os.getsid(pid_of(job)) == pid_of(job)
    wait_until(lambda: 0.3 < job.progress().progress < 0.4)
    held.let_go()
    assert list(launch.watch(job))[-1] is JobState.DONE
    wait_until(lambda: not job.claim_file.exists())
    assert not job.partial.exists()


def test_a_stopped_job_resumes_from_its_slabs_with_the_same_bytes(
    undisturbed: bytes, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, env=held.env)
    job = job_of(tubes_project, "2")
    wait_until(lambda: slabs_of(job) > 0)
    assert "is stopped; finished parts are saved" in tomoseg("jobs", "stop", "2").err
    kept = slabs_of(job)
    assert (job.state(), job.record().exit_code, kept) == (JobState.STOPPED, 130, 1)
    assert not tubes_project.layout.label_file("tubes", "merged").exists()
    assert "was already stopped" in tomoseg("jobs", "stop", "2").err
    tomoseg("jobs", "resume", "2", "--wait")
    assert tubes_project.layout.label_file("tubes", "merged").read_bytes() == undisturbed
    again = tomoseg("jobs", "resume", "2")
    assert "is already done" in again.err


def test_a_job_whose_worker_was_killed_is_lost_and_resumes_with_the_same_bytes(
    undisturbed: bytes, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    process = tomoseg.start(*MERGE, "--wait", env=held.env)
    job = job_of(tubes_project, "2")
    wait_until(lambda: slabs_of(job) > 0)
    os.kill(pid_of(job), signal.SIGKILL)
    wait_until(lambda: job.state() is JobState.LOST, seconds=10)
    _, output = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "job 2 is lost. The worker was ended by SIGKILL (Killed): by the system" in output
    assert "tomoseg jobs resume 2" in output
    assert tomoseg("jobs", "show", "2", "--json").json["state"] == "lost"
    tomoseg("jobs", "resume", "2", "--wait")
    assert tubes_project.layout.label_file("tubes", "merged").read_bytes() == undisturbed
    assert [folder.name for folder in job.folder.iterdir() if folder.name.startswith(".")] == []


@pytest.mark.slow
def test_a_killed_job_is_stopped_and_can_be_resumed(
    one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, env=held.env)
    job = job_of(tubes_project)
    worker = pid_of(job)
    assert "Job 1 is stopped" in tomoseg("jobs", "kill", "1").err
    assert is_gone(worker)
    assert (job.state(), job.record().fault) == (JobState.STOPPED, "Killed.")
    tomoseg("jobs", "resume", "1", "--wait")
    assert job.state() is JobState.DONE
    assert "Job 1 is done" in tomoseg("jobs", "kill", "1").err


def merging(tomoseg: Tomoseg, held: Held, project: Project) -> tuple[subprocess.Popen[str], Job]:
    """Start a command that waits for its merge; the merge is held after some of its slabs."""
    process = tomoseg.start(*MERGE, "--wait", env=held.env)
    job = job_of(project)
    wait_until(lambda: slabs_of(job) > 0)
    return process, job


def test_ctrl_c_leaves_the_job_running_and_reports_it(
    one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    process, job = merging(tomoseg, held, tubes_project)
    interrupt(process)
    _, output = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Job 1 continues" in output
    assert "Traceback" not in output
    assert job.state() is JobState.RUNNING
    held.let_go()
    wait_until(lambda: job.state() is JobState.DONE)


@pytest.mark.slow
def test_waiting_continues_if_the_record_cannot_be_read_for_a_moment(
    one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    process, job = merging(tomoseg, held, tubes_project)
    tear_for_a_moment(job)
    held.let_go()
    _, output = process.communicate(timeout=60)
    assert (process.returncode, "cannot be read" in output) == (0, False), output


@pytest.mark.slow
def test_a_terminal_shows_a_progress_bar(one_map: Path, tubes_project: Project, held: Held) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "tomoseg_tui", *MERGE, "--wait"],
        cwd=tubes_project.layout.root, env={**os.environ, **held.env, "TERM": "xterm", "COLUMNS": "100"},
        stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = bytearray()
    try:
        while piece := os.read(ours, 4096):
            shown += piece
            if b"33%" in shown:
                held.hold.unlink(missing_ok=True)
    except OSError:  # the terminal's other end has closed
        pass
    os.close(ours)
    assert process.wait() == 0
    assert b"slices 0-7" in shown
    assert b"Done." in shown


@pytest.mark.slow
def test_only_one_of_two_commands_resumes_a_job(
    one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, env=held.env)
    tomoseg("jobs", "stop", "1")
    rivals = [tomoseg.start("jobs", "resume", "1", env=held.env) for _ in range(3)]
    output = [rival.communicate(timeout=60)[1] for rival in rivals]
    assert sorted(rival.returncode for rival in rivals) == [0, 2, 2], output
    assert "Traceback" not in "".join(output)
    job = job_of(tubes_project)
    held.let_go()
    wait_until(lambda: job.state().is_over)
    assert job.state() is JobState.DONE
    assert "Traceback" not in job.log_file.read_text()


@pytest.mark.slow
def test_a_running_job_is_not_started_twice(
    one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, env=held.env)
    job = job_of(tubes_project)
    assert "tomoseg jobs stop 1" in tomoseg("jobs", "resume", "1", code=2).err
    other = subprocess.run(
        [sys.executable, "-m", "tomoseg_tui.jobs.worker", str(job.folder)], capture_output=True, text=True, check=False
    )
    assert other.returncode == 2
    assert "in use by process" in other.stdout
    assert job.state() is JobState.RUNNING


def test_a_user_error_exits_with_2_and_has_a_fault_and_a_fix(
    one_map: Path, tomoseg: Tomoseg, tubes_project: Project, tmp_path: Path
) -> None:
    fault = "from tomoseg_tui.errors import TomogramError; raise TomogramError('It is torn.', 'Sew it.')"
    failed = tomoseg(*MERGE, "--wait", code=2, env=hooked(tmp_path / "hooks", worker=BROKEN.format(fault)))
    assert "job 1 is failed. It is torn.\n  Sew it." in failed.err
    listing = job_of(tubes_project).listing()
    assert (listing["state"], listing["fault"], listing["fix"]) == ("failed", "It is torn.", "Sew it.")
    tomoseg("jobs", "resume", "1", "--wait")
    assert job_of(tubes_project).listing()["fault"] is None


def test_an_internal_error_exits_with_1_and_its_traceback_is_in_the_log(
    one_map: Path, tomoseg: Tomoseg, tubes_project: Project, tmp_path: Path
) -> None:
    env = hooked(tmp_path / "hooks", worker=BROKEN.format("raise KeyError('nobody foresaw this')"))
    failed = tomoseg(*MERGE, "--wait", code=1, env=env)
    assert "KeyError: 'nobody foresaw this'" in failed.err
    assert "tomoseg jobs log 1" in failed.err
    assert "Traceback" not in failed.err
    assert "Traceback" in job_of(tubes_project).log_file.read_text()


def test_the_signal_of_a_worker_is_reported_with_the_last_line_of_tensorflow(
    one_map: Path, tomoseg: Tomoseg, tubes_project: Project, tmp_path: Path
) -> None:
    crash = "import os, signal; os.system('echo no such device > $PWD/jobs/1/tensorflow.log'); os.kill(os.getpid(), 11)"
    env = hooked(tmp_path / "hooks", worker=BROKEN.format(crash))
    failed = tomoseg(*MERGE, "--wait", code=1, env=env)
    assert "SIGSEGV (Segmentation fault): a crash inside a library" in failed.err
    assert "“no such device”" in failed.err
    log = tomoseg("jobs", "log", "1").out
    assert "Fatal Python error: Segmentation fault" in log
    assert log.rstrip().endswith("tensorflow.log ends with:\nno such device")
    tomoseg("jobs", "resume", "1", "--wait")


def test_an_exception_of_a_library_is_not_reported_as_a_bug_of_tomoseg(
    one_map: Path, tomoseg: Tomoseg, tmp_path: Path
) -> None:
    env = hooked(tmp_path / "hooks", worker=BROKEN.format("import json; json.loads('{')"))
    failed = tomoseg(*MERGE, "--wait", code=1, env=env)
    assert "Unexpected error in json: JSONDecodeError: Expecting property name" in failed.err
    env = hooked(tmp_path / "other", worker=BROKEN.format("raise MemoryError('1 PB')"))
    failed = tomoseg(*MERGE, "--name", "two", "--wait", code=2, env=env)
    assert "not enough memory: 1 PB" in failed.err


@pytest.mark.slow
def test_a_damaged_project_fails_the_job_with_a_message(
    one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, env=held.env)
    tomoseg("jobs", "stop", "1")
    job = job_of(tubes_project)
    kept = tubes_project.layout.settings.read_bytes()
    tubes_project.layout.settings.write_text("format = ")
    assert launch.resume(job)
    wait_until(lambda: job.state().is_over)
    assert (job.state(), job.record().exit_code) == (JobState.FAILED, 2)
    assert "project.toml" in str(job.record().fault)
    tubes_project.layout.settings.write_bytes(kept)


def limited(tomoseg: Tomoseg, kilobytes: int, *arguments: str) -> Run:
    """Run a command whose processes cannot write files beyond a length, as on a full disk."""
    script = f"ulimit -f {kilobytes}; exec {sys.executable} -m tomoseg_tui {' '.join(arguments)}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tomoseg.folder, capture_output=True, text=True, check=False, timeout=120
    )
    return Run(done.returncode, done.stdout, done.stderr)


def test_a_full_disk_fails_the_job_and_it_can_be_resumed(
    undisturbed: bytes, tomoseg: Tomoseg, tubes_project: Project
) -> None:
    failed = limited(tomoseg, 100, *MERGE, "--wait")
    assert failed.code == 2, failed.err
    listing = job_of(tubes_project, "2").listing()
    assert listing["state"] == "failed"
    assert "labels.mrc" in listing["fault"]
    assert listing["fix"]
    tomoseg("jobs", "resume", "2", "--wait")
    assert tubes_project.layout.label_file("tubes", "merged").read_bytes() == undisturbed


def test_a_full_disk_creates_no_job(one_map: Path, tomoseg: Tomoseg, tubes_project: Project) -> None:
    failed = limited(tomoseg, 0, *MERGE)
    assert failed.code == 2, failed.err
    assert "Disk full: " in failed.err
    assert list(tubes_project.layout.jobs.iterdir()) == []


@pytest.mark.slow
def test_a_job_whose_worker_cannot_start_fails_immediately(
    one_map: Path, tomoseg: Tomoseg, tubes_project: Project, tmp_path: Path
) -> None:
    env = hooked(tmp_path / "hooks", worker="import os\nos._exit(3)")
    assert "did not start" in tomoseg(*MERGE, code=2, env=env).err
    assert job_of(tubes_project).state() is JobState.FAILED
    tomoseg("jobs", "resume", "1", "--wait")


@pytest.mark.slow
def test_a_job_that_was_killed_before_its_start_does_not_start(
    one_map: Path, tomoseg: Tomoseg, tubes_project: Project
) -> None:
    tomoseg(*MERGE, "--wait")
    job = job_of(tubes_project)
    job.record_file.write_text(job.record_file.read_text().replace('"done"', '"stopped"'))
    arguments = [sys.executable, "-m", "tomoseg_tui.jobs.worker", str(job.folder)]
    assert subprocess.run(arguments, capture_output=True, check=False).returncode == 2
    assert job.record().state is JobState.STOPPED


@pytest.mark.slow
def test_a_worker_shows_other_hosts_that_it_is_alive(
    one_map: Path, tomoseg: Tomoseg, held: Held, tubes_project: Project
) -> None:
    tomoseg(*MERGE, env=held.env)
    job = job_of(tubes_project)
    began = job.claim_file.stat().st_mtime
    wait_until(lambda: job.claim_file.stat().st_mtime > began, seconds=5)
    assert locks.age_seconds(job.claim_file) < 3
    wait_until(lambda: job.progress().peak_memory_bytes > 0)


@pytest.mark.slow
def test_a_job_on_another_host_must_be_stopped_there(one_map: Path, tomoseg: Tomoseg, tubes_project: Project) -> None:
    tomoseg(*MERGE, "--wait")
    job = job_of(tubes_project)
    job.record_file.write_text(job.record_file.read_text().replace('"done"', '"running"'))
    job.claim_file.write_text('{"host": "node17", "boot_id": "b", "pid": 1, "started": "1"}')
    for verb in ("stop", "kill"):
        assert "ssh node17" in tomoseg("jobs", verb, "1", code=2).err
    assert job.state() is JobState.RUNNING
    job.claim_file.unlink()


@pytest.mark.slow
def test_ending_a_job_during_its_submission_does_not_kill_the_submitting_command(
    one_map: Path, tomoseg: Tomoseg, tubes_project: Project, tmp_path: Path
) -> None:
    slow = tmp_path / "sbatch"
    slow.write_text(f"#!/bin/sh\nwhile [ ! -e {tmp_path}/answer ]; do sleep 0.05; done\necho error: No. >&2; exit 1\n")
    slow.chmod(0o755)
    process = tomoseg.start(*MERGE, "--slurm", env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"})
    job = job_of(tubes_project)
    wait_until((job.folder / "slurm.sh").exists)
    before = job.record()
    for verb in ("stop", "kill"):
        refused = tomoseg("jobs", verb, "1", code=2).err
        assert f"Process {process.pid} is submitting job 1." in refused
        assert "Try again in a moment." in refused
    assert (job.record(), process.poll()) == (before, None)
    (tmp_path / "answer").touch()
    _, output = process.communicate(timeout=60)
    assert (process.returncode, "Slurm rejected the job: No." in output) == (2, True)


@pytest.mark.slow
def test_a_job_continues_after_its_terminal_is_closed(
    one_map: Path, tubes_project: Project, held: Held, tmp_path: Path
) -> None:
    if shutil.which("tmux") is None:
        assert os.environ.get("CI") != "1", "tmux is missing, so the survival of jobs was not tested"
        pytest.skip("tmux is missing: whether a job survives its terminal was NOT tested (make tools installs it)")
    server = ["tmux", "-L", f"tomoseg-{os.getpid()}-{time.monotonic_ns()}", "-f", "/dev/null"]
    command = f"{sys.executable} -m tomoseg_tui {' '.join(MERGE)} --wait"
    subprocess.run(
        [*server, "new-session", "-d", "-x", "80", "-y", "24", command],
        cwd=tubes_project.layout.root, env={**os.environ, **held.env}, check=True,
    )  # fmt: skip
    job = job_of(tubes_project)
    try:
        wait_until(lambda: slabs_of(job) > 0)
    finally:
        subprocess.run([*server, "kill-server"], check=True)
    assert job.state() is JobState.RUNNING
    held.let_go()
    wait_until(lambda: job.state().is_over)
    assert job.state() is JobState.DONE
