"""Hand jobs to Slurm by its own commands, and take them back. What it says of them is read in `slurm_look`.

The cluster gets a small script that runs the same worker as on one machine, in the job's own folder. So a job
is told, stopped and resumed in one way wherever it runs, and of Slurm only the number has to be remembered.
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
"""How long before its time limit a job is told to keep its work. Slurm may say it up to a minute earlier."""
TIMEOUT_SECONDS = 60.0
"""How long a command of Slurm may take; its own time limit for messages is 10 s, and it tries again."""


@dataclass(frozen=True)
class SlurmTask:
    """What of a job of Slurm runs in this process."""

    job: str
    """Slurm's number of the job, or of the array it belongs to."""
    number: int | None
    """Its place in the array, if it is one."""

    @property
    def name(self) -> str:
        """What Slurm's commands call it."""
        return self.job if self.number is None else f"{self.job}_{self.number}"


def this_task(environment: Mapping[str, str] = os.environ) -> SlurmTask:
    """Return what Slurm has started this process for.

    Raises
    ------
    JobError
        If it was not started by Slurm.
    """
    number = environment.get("SLURM_ARRAY_TASK_ID")
    job = environment.get("SLURM_ARRAY_JOB_ID") or environment.get("SLURM_JOB_ID")
    if not job:
        raise JobError("This worker was not started by Slurm.", "Resume the job: tomoseg jobs resume ID")
    return SlurmTask(job, None if number is None else int(number))


def job_script(folder: Path) -> str:
    """Return what a node runs for a job: the same worker, in the place of the shell, so that signals reach it."""
    argv = [sys.executable, "-m", WORKER_MODULE, "--slurm", str(folder)]
    return (
        "#!/bin/sh\n"
        "# Runs a job of tomoseg on a node; written by tomoseg, which reads it never.\n"
        "export PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1\n"
        f"exec {shlex.join(argv)}\n"
    )


def sbatch_command(
    folder: Path, kind: str, settings: SlurmSettings, *, tasks: int = 1, after: Sequence[str] = ()
) -> list[str]:
    """Return the command that hands a job's script to Slurm.

    Parameters
    ----------
    folder : Path
        The job's.
    kind : str
        Of job; part of the name that squeue shows.
    settings : SlurmSettings
        What to ask for.
    tasks : int
        Workers that share the job; more than one are an array.
    after : sequence of str
        Slurm's numbers of jobs that must have ended before.
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
        # Not afterok: how a job has ended its record says best, and the worker that comes after looks there.
        *([f"--dependency=afterany:{':'.join(after)}"] if after else []),
        *settings.options,
        str(folder / "slurm.sh"),
    ]


def submit(folder: Path, kind: str, settings: SlurmSettings, *, tasks: int = 1, after: Sequence[str] = ()) -> str:
    """Hand a job to Slurm; return the number that it gives it.

    Raises
    ------
    JobError
        If there is no Slurm here, or it does not take the job.
    """
    (folder / "slurm.sh").write_text(job_script(folder), encoding="utf-8")
    for log in folder.glob("task_*.log"):  # of workers that were handed over before
        log.unlink()
    output = run_command(sbatch_command(folder, kind, settings, tasks=tasks, after=after), "Slurm did not take the job")
    return read_job_id(output)


def read_job_id(output: str) -> str:
    r"""Return the number of a job from what sbatch prints: its last line that is one.

    Sites print banners and lines of information beside it, whatever options ask for.

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
        f"Slurm did not say which number the job has{last_line}.",
        "See whether it is in the queue: squeue --me; cancel it there, and start it again.",
    )


def run_command(argv: Sequence[str], fault: str) -> str:
    """Run one of Slurm's commands; return what it prints.

    Raises
    ------
    JobError
        If it is not there or fails; its own words follow those of `fault`.
    """
    completed = _run(argv, fault)
    if completed.returncode:
        raise JobError(
            f"{fault}: {error_message(completed.stderr or completed.stdout)}.",
            "See what there is: sinfo; then say it: --slurm KEY=VALUE",
        )
    return completed.stdout


def _run(argv: Sequence[str], fault: str) -> subprocess.CompletedProcess[str]:
    """Run one of Slurm's commands to its end, whatever its exit code is."""
    require_command(argv[0])
    try:
        return run_slurm(argv, TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise JobError(f"{fault}: {argv[0]} does not answer.", "Look whether it is up: sinfo") from error
    except OSError as error:
        raise JobError(
            f"{fault}: {argv[0]} cannot be run: {error.strerror}.", f"See: ls -l $(which {argv[0]})"
        ) from error


def error_message(stderr: str) -> str:
    r"""Return what a command of Slurm complains of, in one line; of banners beside it nothing.

    Examples
    --------
    >>> error_message("Welcome!\nsbatch: error: invalid partition: x\nsbatch: error: Submission failed: No.\n")
    'invalid partition: x; Submission failed: No'
    """
    lines = output_lines(stderr)
    errors = [line for line in lines if "error: " in line] or lines
    return "; ".join(printable(line.rpartition("error: ")[2].strip().rstrip(".")) for line in errors) or (
        "it does not say why"
    )


def is_available() -> bool:
    """Tell whether jobs can be handed to Slurm on this machine."""
    return shutil.which("sbatch") is not None


def require_command(command: str = "sbatch") -> None:
    """Refuse what needs Slurm where there is none.

    Raises
    ------
    JobError
        If the command is not found.
    """
    if shutil.which(command) is None:
        raise JobError(
            f"There is no Slurm on this machine: {command} is not found.",
            "Leave --slurm out to compute here (of resume: --here), or log in where Slurm is.",
        )


def send_stop_signal(job: str) -> None:
    """Take a job out of the queue where it waits, and tell it to keep its work where it runs."""
    _cancel("--state=PENDING", job)
    _cancel("--signal=TERM", "--batch", job)


def kill_slurm_job(job: str) -> None:
    """End all of a job at once."""
    _cancel("--state=PENDING", job)
    _cancel("--signal=KILL", "--batch", job)
    _cancel(job)


def cancel_waiting(job: str) -> None:
    """Take tasks that have not begun out of the queue; the others have left nothing to do."""
    _cancel("--state=PENDING", job)


def _cancel(*options: str) -> None:
    """Run scancel; that a job is gone already is no fault.

    Raises
    ------
    JobError
        If it is not there, or the job is another user's.
    """
    completed = _run(["scancel", *options], "Slurm did not end the job")
    if "denied" in completed.stderr:
        raise JobError(
            f"Slurm does not let you end it: {error_message(completed.stderr)}.", "Ask whoever has started it."
        )
    if "contact slurm controller" in completed.stderr:
        raise JobError(f"Slurm did not end the job: {error_message(completed.stderr)}.", "Look whether it is up: sinfo")


def is_running(task: SlurmTask) -> bool:
    """Tell whether a task has its place still; it has none while Slurm ends it for somebody.

    Raises
    ------
    JobError
        If Slurm does not say.
    """
    output = run_command(["squeue", "--noheader", f"--jobs={task.name}", "--format=%T"], "Slurm does not answer")
    return [line for line in output_lines(output) if line in STATES] == ["RUNNING"]


def requeue_task(task: SlurmTask) -> None:
    """Ask for this process's place anew; Slurm ends the process for it.

    Raises
    ------
    JobError
        If Slurm does not take it back.
    """
    run_command(["scontrol", "requeue", task.name], "Slurm did not take the job back")
