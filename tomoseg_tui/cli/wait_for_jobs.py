"""Wait for jobs, show their progress or log, and report how they end."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tomoseg_tui.cli.common import create_progress_bar, echo, print_json, wants_json
from tomoseg_tui.errors import SettingsError
from tomoseg_tui.files.text import printable, unfiltered
from tomoseg_tui.jobs.job import LOG_TIME, Job, JobState, read_with_retries
from tomoseg_tui.jobs.launch import watch
from tomoseg_tui.jobs.notifications import REPORTED_STATES, format_job_end, terminal_notification
from tomoseg_tui.project.user_config import config_file, read_config


def wait_for_job(arguments: argparse.Namespace, job: Job) -> int:
    """Watch a job until it is over; return its exit code. Ctrl-C leaves it running."""
    try:
        state = _watch_job(job)
    except KeyboardInterrupt:
        echo(f"\nJob {job.id} continues. See it: tomoseg jobs show {job.id}; stop it: tomoseg jobs stop {job.id}")
        return 130
    _notify_terminal([(job, state)])
    if state is JobState.DONE:
        if wants_json(arguments):
            print_json(_with_absolute_paths(job) or {"job": job.id})
        return 0
    return _report_failure(job, state)


def wait_for_jobs(jobs: Sequence[Job]) -> int:
    """Watch jobs until all are over; return the first exit code that is not 0. Ctrl-C leaves them running."""
    finished: list[tuple[Job, JobState]] = []
    codes = []
    try:
        for job in jobs:
            record, state = job.record(), _watch_job(job)
            finished.append((job, state))
            if state is JobState.DONE:
                echo(f"Job {job.id} ({record.kind} {record.name}) is done.")
            codes.append(0 if state is JobState.DONE else _report_failure(job, state))
    except KeyboardInterrupt:
        echo(f"\nThe other {len(jobs) - len(finished)} jobs continue. See them: tomoseg jobs")
        return 130
    _notify_terminal(finished)
    return next((code for code in codes if code), 0)


def _watch_job(job: Job) -> JobState:
    return _watch_with_progress_bar(job) if sys.stderr.isatty() else _watch_without_terminal(job)


def _report_failure(job: Job, state: JobState) -> int:
    """Print how a job that is not done has ended; return its exit code."""
    listing = job.listing()
    echo(f"tomoseg: job {job.id} is {state}. {listing['fault'] or 'Finished parts are saved.'}")
    echo(f"  {listing['fix'] or f'Resume it: tomoseg jobs resume {job.id}'}")
    if state is JobState.FAILED:
        return job.record().exit_code or 1
    return 130 if state is JobState.STOPPED else 1


def _notify_terminal(finished: Sequence[tuple[Job, JobState]]) -> None:
    """Notify the user through the terminal how jobs have ended."""
    reported = [(job, state) for job, state in finished if state in REPORTED_STATES]
    if not reported or not sys.stderr.isatty():
        return
    worst = next((end for end in reported if end[1] is not JobState.DONE), reported[-1])
    record = worst[0].record()
    text = format_job_end(worst[0].id, record.kind, record.name, worst[1])
    try:
        notification = terminal_notification(text, read_config(config_file()).notice, os.environ)
        print(notification, end="", file=unfiltered(sys.stderr), flush=True)
    except SettingsError as fault:
        echo(f"Note: no notification was sent. {fault}")


def _with_absolute_paths(job: Job) -> dict[str, Any]:
    """Return the result of a job, with absolute paths instead of those relative to the project."""
    root, result = job.project_folder, job.result()
    if "file" in result:
        result["file"] = str(root / result["file"])
    if "files" in result:
        result["files"] = [str(root / file) for file in result["files"]]
    return result


def _watch_with_progress_bar(job: Job) -> JobState:
    record = job.record()
    with create_progress_bar() as progress:
        task = progress.add_task(printable(f"{record.kind} {record.name}"), total=1.0, message="starting")
        offset = 0
        for _ in watch(job):
            current = job.progress()
            progress.update(task, completed=current.progress, message=printable(current.message))
            offset = _print_new_log_lines(job, offset, progress.console.print)
    return read_with_retries(job, Job.state)


def _watch_without_terminal(job: Job) -> JobState:
    offset = 0
    for _ in watch(job):
        offset = _print_new_log_lines(job, offset, echo)
    return read_with_retries(job, Job.state)


def _print_new_log_lines(job: Job, offset: int, show_line: Callable[[str], object]) -> int:
    """Print the lines for the user that were logged after `offset`; return the offset of the next line."""
    with contextlib.suppress(OSError), job.log_file.open("rb") as log:
        log.seek(offset)
        complete = log.read().rpartition(b"\n")
        for line in complete[0].decode(errors="replace").splitlines():
            if time := LOG_TIME.match(line):
                show_line(printable(line[time.end() :], preserve="\t"))
        return offset + len(complete[0]) + len(complete[1])
    return offset
