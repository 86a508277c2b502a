"""Which job owns an output name: the folder of a run or an audit names the job that makes it.

The folder is created when the job is launched, and its worker writes the job's number into it. If the worker does not
start, the name is free again; the job can still be resumed, but another job may own the name by then. Maps, labels and
tomograms have no such folder: each is written elsewhere and moved to its place when it is complete.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tomoseg_tui.errors import JobError, ProjectError, TomosegError
from tomoseg_tui.files.atomic import create_exclusively, remove_drafts
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, all_jobs
from tomoseg_tui.jobs.kinds import KINDS, Request
from tomoseg_tui.project.layout import ProjectLayout, owner_file_of


@contextlib.contextmanager
def output_reserved(layout: ProjectLayout, kind: str, request: Request) -> Iterator[None]:
    """Create the output folder of a job; remove it, if empty, when the job cannot be started.

    Raises
    ------
    ProjectError
        If the name is in use.
    """
    folder = _output_folder(layout, kind, request)
    if folder is not None:
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            raise ProjectError(
                f"The {KINDS[kind].makes} {folder.name} already exists.", "Choose another --name."
            ) from error
    try:
        yield
    except (TomosegError, OSError):
        if folder is not None:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def claim_output_name(job: Job) -> None:
    """Make a job that is not done the owner of its output name.

    Raises
    ------
    JobError
        If the name belongs to another job by now.
    """
    record, layout = job.record(), ProjectLayout(job.project_folder)
    folder = _output_folder(layout, record.kind, record.asked)
    if folder is None or record.state is JobState.DONE:
        return
    owner_file = owner_file_of(folder)
    if not owner_file.exists():
        _require_not_reserved(layout, job, record)
        remove_drafts(owner_file)
        create_exclusively(owner_file, f"{job.id}\n")
    owner_id = owner_file.read_text(encoding="utf-8").strip()
    if owner_id != job.id:
        raise _name_in_use_error(record, owner_id)


def _output_folder(layout: ProjectLayout, kind: str, request: Request) -> Path | None:
    find_folder = KINDS[kind].output_folder
    return find_folder(layout, request) if request.get("name") else None


def _require_not_reserved(layout: ProjectLayout, job: Job, record: JobRecord) -> None:
    """Refuse a name that a later job, which is not over, has reserved."""
    for other in all_jobs(layout):
        if int(other.id) <= int(job.id):
            return
        other_record = other.record()
        is_same_output = (other_record.kind, other_record.asked.get("name")) == (record.kind, record.asked["name"])
        if is_same_output and not other.state(other_record).is_over:
            raise _name_in_use_error(record, other.id)


def _name_in_use_error(record: JobRecord, owner_id: str) -> JobError:
    return JobError(
        f"The {KINDS[record.kind].makes} {record.asked['name']} belongs to job {owner_id}.",
        f"Start this job again with another name: tomoseg {record.kind} --name NAME",
    )
