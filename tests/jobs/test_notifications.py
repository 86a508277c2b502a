"""Terminal notifications as bytes, and the user's command at the end of a job."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.cli_runner import wait_until
from helpers.job_project import is_gone
from helpers.stub_worker import Stage, becomes, train

from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.job import Job, JobState, create_job
from tomoseg_tui.jobs.notifications import run_on_finish, terminal_notification
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.user_config import NotificationConfig

Projects = tuple[Project, Project]


def configure(patch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "config" / "tomoseg").mkdir(parents=True, exist_ok=True)
    (folder / "config" / "tomoseg" / "config.toml").write_text(text)
    patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))


@pytest.mark.parametrize(
    ("notice", "environment", "expected"),
    [
        (NotificationConfig(), {}, "\x07"),
        (NotificationConfig(bell=False), {"TMUX": "/tmp/tmux"}, ""),
        (NotificationConfig(osc="777"), {}, "\x07\x1b]777;notify;tomoseg;it is done\x07"),
        (NotificationConfig(bell=False, osc="9"), {"TMUX": "x"}, "\x1bPtmux;\x1b\x1b]9;tomoseg: it is done\x07\x1b\\"),
    ],
)
def test_a_terminal_notification_follows_the_users_settings(
    notice: NotificationConfig, environment: dict[str, str], expected: str
) -> None:
    assert terminal_notification("it is done", notice, environment) == expected


def test_names_cannot_send_control_sequences() -> None:
    assert (
        terminal_notification("a\x1b]52;c;x\x07b\x9c", NotificationConfig(bell=False, osc="9"), {})
        == "\x1b]9;tomoseg: a\\x1b]52;c;x\\x07b\\x9c\x07"
    )


ODD = "a b;$(touch x)`y`\"'é\n*"


def test_the_users_command_gets_the_end_of_the_job(
    projects: Projects, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = tmp_path / "reported"
    code = (
        "import json, os, sys; "
        f"open({str(reported)!r}, 'a').write(json.dumps([sys.argv[1:], "
        "{k[12:]: v for k, v in os.environ.items() if k.startswith('TOMOSEG_JOB_')}]) + chr(10))"
    )
    configure(monkeypatch, tmp_path, f"on_finish = {json.dumps([sys.executable, '-c', code, ODD])}\n")
    layout = projects[0].layout
    job = create_job(layout, "train", ODD, {"name": "first"})
    launch.start_worker(job)
    becomes(job, JobState.DONE)
    stage.fail("second")
    failed = train(projects[0], "second")
    becomes(failed, JobState.FAILED)
    wait_until(lambda: reported.exists() and len(reported.read_text().splitlines()) == 2)
    lines: list[Any] = [json.loads(line) for line in reported.read_text().splitlines()]
    assert lines[0] == [[ODD], {
        "ID": "1", "KIND": "train", "NAME": ODD, "STATE": "done", "PROJECT": str(layout.root),
        "FOLDER": str(job.folder), "FAULT": "", "FIX": "",
    }]  # fmt: skip
    assert (lines[1][1]["STATE"], lines[1][1]["FAULT"], lines[1][1]["FIX"]) == ("failed", "It is torn.", "Sew it.")
    assert not (layout.root / "x").exists()


@pytest.mark.slow
def test_a_stopped_job_is_not_reported(
    projects: Projects, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, tmp_path, f'on_finish = ["touch", "{tmp_path}/told"]\n')
    stage.hold("first")
    job = train(projects[0], "first")
    becomes(job, JobState.RUNNING)
    assert launch.stop(job) is JobState.STOPPED
    owner = job.record().owner
    assert owner is not None
    wait_until(lambda: is_gone(owner.pid))  # the command would have run before that
    assert not (tmp_path / "reported").exists()


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        ('["/no/such/program"]', "on_finish was not run"),
        ('["false"]', "on_finish ended with code 1"),
        ('["a\\u0000b"]', "on_finish was not run"),
        ('["sleep", "60"]', "longer than 0.2 s"),
        ("3", "on_finish must be of type list"),
    ],
)
def test_a_command_that_fails_is_only_logged(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, output: str
) -> None:
    job = create_job(project.layout, "train", "first", {})
    job.set_state(JobState.RUNNING)
    job.set_state(JobState.DONE)
    configure(monkeypatch, tmp_path, f"on_finish = {arguments}\n")
    lines: list[str] = []
    run_on_finish(job, lines.append, timeout=0.2)
    assert len(lines) == 1
    assert output in lines[0]
    assert job.state() is JobState.DONE


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True])
def test_waiting_at_a_terminal_ends_with_a_notification(
    projects: Projects, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    configure(monkeypatch, tmp_path, '[notice]\nosc = "777"\n')
    stage.hold("first")
    if fails:
        stage.fail("first")
    job = train(projects[0], "first")
    launch.stop(job)
    shown = at_terminal(projects[0], job, stage)
    state = "failed" if fails else "done"
    assert f"\x07\x1b]777;notify;tomoseg;job 1 (train first) is {state}\x07".encode() in shown


def at_terminal(project: Project, job: Job, stage: Stage) -> bytes:
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"} | {"TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tomoseg_tui", "jobs", "resume", job.id, "--wait"],
        cwd=project.layout.root, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    becomes(job, JobState.RUNNING)
    stage.let_go("first")
    shown = bytearray()
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # the terminal's other end has closed
        pass
    os.close(ours)
    process.wait()
    return bytes(shown)
