"""`jobs`: list, show, stop, resume and kill jobs."""

import argparse
import shutil
import sys

from tomoseg_tui.cli.common import damage_of, echo, open_project, print_json, print_table, wants_json, write_history
from tomoseg_tui.cli.wait_for_jobs import wait_for_job
from tomoseg_tui.files.text import printable
from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.dependencies import resume_with_dependents
from tomoseg_tui.jobs.job import JobState, find_job
from tomoseg_tui.jobs.job_list import JobListCache
from tomoseg_tui.jobs.lost_worker import TAIL_LINES, read_tail
from tomoseg_tui.jobs.slurm.status import format_location


def jobs_list(arguments: argparse.Namespace) -> None:
    """List the jobs, newest first."""
    project = open_project(arguments)
    job_list = JobListCache(project.layout)
    rows = [job.listing for job in job_list.poll()]
    damage_of(arguments).extend(job_list.damage)
    if wants_json(arguments):
        print_json(rows)
        return
    for row in rows:
        row["done"] = f"{100 * row['progress']:.0f} %"
        row["where"] = format_location(row["host"], row["slurm"], row["partition"])
        row["left"] = None if row["eta_seconds"] is None else _format_minutes(row["eta_seconds"])
    columns = {
        "id": "id", "kind": "kind", "name": "name", "state": "state", "done": "done", "left": "left",
        "where": "where", "message": "", "fault": "fault",
    }  # fmt: skip
    print_table(rows, columns, empty="No job yet. train, audit, apply, merge and preprocess start jobs.")


def _format_minutes(seconds: float) -> str:
    minutes, remainder = divmod(round(seconds), 60)
    return f"{minutes}:{remainder:02}"


def jobs_show(arguments: argparse.Namespace) -> None:
    """Show the state of a job."""
    job = find_job(open_project(arguments).layout, arguments.id)
    listing = job.listing()
    if wants_json(arguments):
        print_json(listing)
        return
    for key, value in listing.items():
        if value is not None:
            print(f"{key:18} {printable(str(value))}")


def jobs_log(arguments: argparse.Namespace) -> None:
    """Print the log of a job."""
    job = find_job(open_project(arguments).layout, arguments.id)
    if not job.log_file.exists():
        echo(f"Job {job.id} has no log yet.")
        return
    with job.log_file.open("r", encoding="utf-8", errors="replace") as log:
        shutil.copyfileobj(log, sys.stdout)  # piece by piece: a line may be endless
    lines = read_tail(job.tensorflow_log_file)[-TAIL_LINES:]
    if lines and job.state() in {JobState.FAILED, JobState.LOST}:
        print("\ntensorflow.log ends with:")
        for line in lines:
            print(line)


def jobs_stop(arguments: argparse.Namespace) -> None:
    """Stop a job; its finished parts are saved."""
    project = open_project(arguments)
    project.require_current_format()
    job = find_job(project.layout, arguments.id)
    was_over = job.state().is_over
    state = launch.stop(job)
    write_history(arguments, project)
    echo(f"Job {job.id} was already {state}." if was_over else f"Job {job.id} is {state}; finished parts are saved.")


def jobs_kill(arguments: argparse.Namespace) -> None:
    """End a job immediately."""
    project = open_project(arguments)
    project.require_current_format()
    job = find_job(project.layout, arguments.id)
    state = launch.kill(job)
    write_history(arguments, project)
    echo(f"Job {job.id} is {state}.")


def jobs_resume(arguments: argparse.Namespace) -> int:
    """Resume a job, and the jobs that depend on it."""
    project = open_project(arguments)
    project.require_current_format()
    job = find_job(project.layout, arguments.id)
    slurm = None
    if arguments.slurm is not None:
        submission = job.record().slurm
        slurm = (submission.settings if submission else project.settings.slurm).with_options(arguments.slurm)
    resumed, dependents = resume_with_dependents(
        project.layout, job, at_once=arguments.now, slurm=slurm, here=arguments.here
    )
    if not resumed:
        echo(f"Job {job.id} is already done.")
        return 0
    write_history(arguments, project)
    if dependents:
        echo(f"Jobs that depend on it continue too: {', '.join(dependent.id for dependent in dependents)}.")
    if arguments.wait:
        return wait_for_job(arguments, job)
    if wants_json(arguments):
        print_json({"job": job.id})
    else:
        echo(f"Job {job.id} continues.")
    return 0
