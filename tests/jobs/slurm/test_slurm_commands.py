"""The exact commands for Slurm; Slurm is not needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tomoseg_tui.errors import JobError
from tomoseg_tui.jobs.slurm import commands
from tomoseg_tui.jobs.slurm.commands import SlurmTask
from tomoseg_tui.project.project_settings import SlurmSettings


def test_the_script_runs_the_worker_for_any_folder_name(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s $HOME; "100%" `id`\nnext' / "3"
    folder.mkdir(parents=True)
    (tmp_path / "slurm.sh").write_text(commands.job_script(folder))
    shown = subprocess.run(["sh", "-n", str(tmp_path / "slurm.sh")], check=False, capture_output=True, text=True)
    assert (shown.returncode, shown.stderr) == (0, "")
    arguments = commands.job_script(folder).partition("exec ")[2]
    split = subprocess.run(["sh", "-c", f"printf '%s\\0' {arguments}"], check=True, capture_output=True, text=True)
    expected = [sys.executable, "-m", "tomoseg_tui.jobs.worker", "--slurm", str(folder)]
    assert split.stdout.split("\0")[:-1] == expected


def test_one_worker_writes_the_log_of_the_job() -> None:
    arguments = commands.sbatch_command(
        Path("/data/100%/jobs/3"), "train", SlurmSettings(partition="gpu", gres="gpu:1")
    )
    assert arguments == [
        "sbatch",
        "--parsable",
        "--requeue",
        "--export=ALL",
        "--open-mode=append",
        "--signal=B:TERM@60",
        "--job-name=tomoseg-3-train",
        "--chdir=/data/100%/jobs/3",
        "--output=/data/100%%/jobs/3/output.log",
        "--partition=gpu",
        "--gres=gpu:1",
        "/data/100%/jobs/3/slurm.sh",
    ]


def test_several_workers_are_an_array_with_a_log_each_and_can_have_dependencies() -> None:
    arguments = commands.sbatch_command(Path("/jobs/3"), "apply", SlurmSettings(), tasks=4, after=["17", "19"])
    assert "--array=0-3" in arguments
    assert "--output=/jobs/3/task_%a.log" in arguments
    assert "--dependency=afterany:17:19" in arguments


@pytest.mark.parametrize(
    ("environment", "task"),
    [
        ({"SLURM_JOB_ID": "7"}, SlurmTask("7", None)),
        ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0"}, SlurmTask("7", 0)),
    ],
)
def test_a_worker_knows_which_task_it_is(environment: dict[str, str], task: SlurmTask) -> None:
    assert commands.this_task(environment) == task
    assert task.name == ("7" if task.number is None else "7_0")  # Slurm's 7 alone would be the whole array


def test_a_worker_that_slurm_did_not_start_fails() -> None:
    with pytest.raises(JobError, match="did not start this worker"):
        commands.this_task({})


def test_killing_a_job_of_another_user_raises_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    output = "scancel: error: Kill job error on job id 7: Access/permission denied"
    (tmp_path / "scancel").write_text(f"#!/bin/sh\necho '{output}' >&2; exit 1\n")
    (tmp_path / "scancel").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(
        JobError, match="does not let you end this job: Kill job error on job id 7: Access/permission denied"
    ):
        commands.send_stop_signal("7")
    (tmp_path / "scancel").write_text("#!/bin/sh\necho 'scancel: error: Invalid job id specified' >&2; exit 1\n")
    commands.send_stop_signal("7")


@pytest.mark.parametrize(
    "printed",
    [
        "4711",
        "4711;slaking",
        "sbatch: no partition specified, using default partition serial\n4711",
        "--------\n     Welcome to the cluster\n--------\n\n--> Verifying valid submit host...OK\n4711\n",
        "Your quota: 12\n4711;slaking\nThis job is charged to lab.\n\n",
        "\x1b[1;32m12 nodes are free\x1b[0m\r\n\x1b[32m4711\x1b[0m\r\n",
        "Submitted batch job 4711",
        "Submitted batch job 4711 on cluster slaking",
        "sbatch: Submitted batch job 4711",
    ],
)
def test_the_job_id_is_found_among_banners(printed: str) -> None:
    assert commands.read_job_id(printed) == "4711"


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("", "the id of the job."),
        ("\n \n", "the id of the job."),
        ("Welcome to \x1b]0;x\x07node12", "“Welcome to \\x1b]0;x\\x07node12”"),
    ],
)
def test_an_answer_without_an_id_is_refused(printed: str, said: str) -> None:
    with pytest.raises(JobError, match="Slurm did not print the id of the job") as caught:
        commands.read_job_id(printed)
    assert said in caught.value.fault
    assert "squeue --me" in caught.value.fix


def test_error_messages_are_found_among_banners_with_any_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "sbatch").write_bytes(b"#!/bin/sh\necho 'Gr\xfc\xdfe\nsbatch: error: No money.' >&2; exit 1\n")
    (tmp_path / "squeue").write_bytes(b"#!/bin/sh\necho 'Gr\xfc\xdfe'; echo; echo RUNNING\n")
    for command in ("sbatch", "squeue"):
        (tmp_path / command).chmod(0o755)
    with pytest.raises(JobError, match=r"^Slurm rejected the job: No money\. See"):
        commands.submit(tmp_path, "train", SlurmSettings())
    assert commands.is_running(SlurmTask("7", None))
    (tmp_path / "squeue").write_text("#!/bin/sh\necho 'RUNNING low on quota'; echo COMPLETING\n")
    assert not commands.is_running(SlurmTask("7", None))


def test_scancel_without_a_controller_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "scancel").write_text(
        "#!/bin/sh\necho 'Welcome\nscancel: error: Unable to contact slurm controller (connect failure)' >&2; exit 1\n"
    )
    (tmp_path / "scancel").chmod(0o755)
    with pytest.raises(JobError, match="did not end the job: Unable to contact slurm controller"):
        commands.send_stop_signal("7")


def test_a_missing_slurm_and_a_rejected_job_give_different_errors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JobError, match="no Slurm on this machine: sbatch is not found"):
        commands.submit(tmp_path, "train", SlurmSettings())
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 'sbatch: error: invalid partition specified: x' >&2; exit 1\n")
    (tmp_path / "sbatch").chmod(0o755)
    with pytest.raises(JobError, match="Slurm rejected the job: invalid partition specified: x"):
        commands.submit(tmp_path, "train", SlurmSettings(partition="x"))
