"""Submit and cancel jobs with Slurm's commands; `jobs.slurm.status` reads their state.

Slurm gets a small script that runs the same worker as on one machine, in the job's own folder. So a job is shown,
stopped and resumed in the same way wherever it runs, and only its Slurm job id has to be stored.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.errors import JobError
from tomoseg_tui.files.text import printable
from tomoseg_tui.jobs import WORKER_MODULE
from tomoseg_tui.jobs.slurm.status import STATES, output_lines, run_slurm
from tomoseg_tui.project.project_settings import SlurmSettings

_JOB_ID_LINE = re.compile(r"(?:(?:sbatch: )?Submitted batch job )?([1-9][0-9]*)(?:;\S*| on cluster \S+)?")
"""The line of sbatch with the number, with --parsable or where a site's wrapper drops that option."""
WARNING_SECONDS = 60
"""Time before its time limit at which Slurm asks a job to save its work; Slurm may do so up to a minute earlier."""
TIMEOUT_SECONDS = 60.0
"""Time limit of a command of Slurm; its own limit for messages is 10 s, and it retries."""


@dataclass(frozen=True)
class SlurmTask:
    """The task of Slurm that this process runs."""

    job: str
    """Slurm's job id, or that of the job array."""
    number: int | None
    """Index in the job array; None outside arrays."""

    @property
    def name(self) -> str:
        """Name of the task in Slurm's commands."""
        return self.job if self.number is None else f"{self.job}_{self.number}"


def this_task(environment: Mapping[str, str] = os.environ) -> SlurmTask:
    """Return the task of Slurm that this process runs.

    Raises
    ------
    JobError
        If Slurm did not start this process.
    """
    number = environment.get("SLURM_ARRAY_TASK_ID")
    job = environment.get("SLURM_ARRAY_JOB_ID") or environment.get("SLURM_JOB_ID")
    if not job:
        raise JobError("Slurm did not start this worker.", "Resume the job: tomoseg jobs resume ID")
    return SlurmTask(job, None if number is None else int(number))


def job_script(folder: Path) -> str:
    """Return the script of a job; the worker replaces the shell, so that signals reach it."""
    argv = [sys.executable, "-m", WORKER_MODULE, "--slurm", str(folder)]
    return (
        "#!/bin/sh\n"
        "# Runs a job of tomoseg on a node. Written by tomoseg for each submission.\n"
        "export PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONUTF8=1\n"
        f"exec {shlex.join(argv)}\n"
    )


def sbatch_command(
    folder: Path, kind: str, settings: SlurmSettings, *, tasks: int = 1, after: Sequence[str] = ()
) -> list[str]:
    """Return the command that submits the script of a job.

    Parameters
    ----------
    kind : str
        Kind of the job; part of the name that squeue shows.
    tasks : int
        Workers that share the job; more than one form a job array.
    after : sequence of str
        Slurm's ids of the jobs that must end first.
    """
    log = "output.log" if tasks == 1 else "task_%a.log"
    return [
        "sbatch",
        "--parsable",
        "--requeue",
        "--export=ALL",
        "--open-mode=append",
        f"--signal=B:TERM@{WARNING_SECONDS}",
        f"--job-name=tomoseg-{folder.name}-{kind}",
        f"--chdir={folder}",
        f"--output={str(folder).replace('%', '%%')}/{log}",
        *([f"--array=0-{tasks - 1}"] if tasks > 1 else []),
        # Not afterok: the worker itself reads from the records how its dependencies ended.
        *([f"--dependency=afterany:{':'.join(after)}"] if after else []),
        *settings.options,
        str(folder / "slurm.sh"),
    ]


def submit(folder: Path, kind: str, settings: SlurmSettings, *, tasks: int = 1, after: Sequence[str] = ()) -> str:
    """Submit a job to Slurm; return Slurm's job id.

    Raises
    ------
    JobError
        If there is no Slurm here, or it rejects the job.
    """
    (folder / "slurm.sh").write_text(job_script(folder), encoding="utf-8")
    for log in folder.glob("task_*.log"):  # of earlier submissions
        log.unlink()
    output = run_command(sbatch_command(folder, kind, settings, tasks=tasks, after=after), "Slurm rejected the job")
    return read_job_id(output)


def read_job_id(output: str) -> str:
    r"""Return the id of a job from the output of sbatch: its last line with an id.

    Some sites also print banners and information, whatever the options are.

    Raises
    ------
    JobError
        If there is none.

    Examples
    --------
    >>> read_job_id("Welcome to the cluster\n4711;slaking\n")
    '4711'
    """
    for line in reversed(output_lines(output)):
        if found := _JOB_ID_LINE.fullmatch(line):
            return found[1]
    last_line = "".join(f": “{printable(line)}”" for line in output_lines(output)[-1:])
    raise JobError(
        f"Slurm did not print the id of the job{last_line}.",
        "Check whether the job is queued (squeue --me), cancel it there, and start it again.",
    )


def run_command(argv: Sequence[str], fault: str) -> str:
    """Run a command of Slurm; return its output.

    Raises
    ------
    JobError
        If it is not found or fails; its error message follows `fault`.
    """
    completed = _run(argv, fault)
    if completed.returncode:
        raise JobError(
            f"{fault}: {error_message(completed.stderr or completed.stdout)}.",
            "See what the cluster has (sinfo), and choose it with --slurm KEY=VALUE.",
        )
    return completed.stdout


def _run(argv: Sequence[str], fault: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Slurm, whatever its exit code is."""
    require_command(argv[0])
    try:
        return run_slurm(argv, TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise JobError(f"{fault}: {argv[0]} does not answer.", "Check that Slurm is running: sinfo") from error
    except OSError as error:
        raise JobError(
            f"{fault}: {argv[0]} cannot be run: {error.strerror}.", f"See: ls -l $(which {argv[0]})"
        ) from error


def error_message(stderr: str) -> str:
    r"""Return the error messages of a command of Slurm in one line, without banners.

    Examples
    --------
    >>> error_message("Welcome!\nsbatch: error: invalid partition: x\nsbatch: error: Submission failed: No.\n")
    'invalid partition: x; Submission failed: No'
    """
    lines = output_lines(stderr)
    errors = [line for line in lines if "error: " in line] or lines
    return "; ".join(printable(line.rpartition("error: ")[2].strip().rstrip(".")) for line in errors) or (
        "no reason given"
    )


def require_command(command: str = "sbatch") -> None:
    """Raise an error if a command of Slurm is missing.

    Raises
    ------
    JobError
        If the command is not found.
    """
    if shutil.which(command) is None:
        raise JobError(
            f"There is no Slurm on this machine: {command} is not found.",
            "Run the job here, without --slurm (to resume it here: --here), or log in to a machine with Slurm.",
        )


def send_stop_signal(job: str) -> None:
    """Cancel the waiting tasks of a job, and ask the running ones to save their work and end."""
    _cancel("--state=PENDING", job)
    _cancel("--signal=TERM", "--batch", job)


def kill_slurm_job(job: str) -> None:
    """Kill all tasks of a job."""
    _cancel("--state=PENDING", job)
    _cancel("--signal=KILL", "--batch", job)
    _cancel(job)


def cancel_waiting(job: str) -> None:
    """Cancel the tasks that have not started; the others have finished the work."""
    _cancel("--state=PENDING", job)


def _cancel(*options: str) -> None:
    """Run scancel; a job that has already ended is not an error.

    Raises
    ------
    JobError
        If scancel is not found, or the job belongs to another user.
    """
    completed = _run(["scancel", *options], "Slurm did not end the job")
    if "denied" in completed.stderr:
        raise JobError(
            f"Slurm does not let you end this job: {error_message(completed.stderr)}.", "Ask the user who started it."
        )
    if "contact slurm controller" in completed.stderr:
        raise JobError(
            f"Slurm did not end the job: {error_message(completed.stderr)}.", "Check that Slurm is running: sinfo"
        )


def is_running(task: SlurmTask) -> bool:
    """Return whether Slurm considers a task running; False while Slurm is ending it.

    Raises
    ------
    JobError
        If Slurm does not answer.
    """
    output = run_command(["squeue", "--noheader", f"--jobs={task.name}", "--format=%T"], "Slurm does not answer")
    return [line for line in output_lines(output) if line in STATES] == ["RUNNING"]


def requeue_task(task: SlurmTask) -> None:
    """Put the task of this process back into Slurm's queue; Slurm then ends the process.

    Raises
    ------
    JobError
        If Slurm does not requeue it.
    """
    run_command(["scontrol", "requeue", task.name], "Slurm did not requeue the job")
