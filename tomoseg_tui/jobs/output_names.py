"""Whose a name is: the folder of a run or an audit says which job makes it.

A job whose worker did not come up gives its name back, yet it can be resumed; by then another may have the name, and
what lies in the folder is no result of this one. Maps, labels and tomograms have no such folder: each is made beside
its place and put there whole.
"""

from pathlib import Path

from tomoseg_tui.errors import JobError
from tomoseg_tui.files.atomic import create_exclusively, sweep_drafts
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, all_jobs
from tomoseg_tui.project.layout import ProjectLayout, holder_of


def take_name(job: Job) -> None:
    """Take the name of what a job makes, unless it is done; its own, and one that is free, it gets.

    Raises
    ------
    JobError
        If the name is another job's by now.
    """
    record, layout = job.record(), ProjectLayout(job.folder.parent.parent)
    folder = _folder_of(layout, record)
    if folder is None or record.state is JobState.DONE:
        return
    holder = holder_of(folder)
    if not holder.exists():
        _refuse_promised(layout, job, record)
        sweep_drafts(holder)
        create_exclusively(holder, f"{job.id}\n")
    owner = holder.read_text(encoding="utf-8").strip()
    if owner != job.id:
        raise _taken(record, owner)


def _folder_of(layout: ProjectLayout, record: JobRecord) -> Path | None:
    folders = {"train": layout.network_folder, "audit": layout.audit_folder}
    return folders[record.kind](_name_of(record)) if record.kind in folders and _name_of(record) else None


def _name_of(record: JobRecord) -> str:
    return str(record.asked.get("name", ""))


def _refuse_promised(layout: ProjectLayout, job: Job, record: JobRecord) -> None:
    """Refuse a name that a later job got when it was launched, and that has not begun yet."""
    for other in all_jobs(layout):
        if int(other.id) <= int(job.id):
            return
        known = other.record()
        is_alike = known.kind == record.kind and _name_of(known) == _name_of(record)
        if is_alike and not other.state(known).is_over:
            raise _taken(record, other.id)


def _taken(record: JobRecord, owner: str) -> JobError:
    what = "run" if record.kind == "train" else record.kind
    return JobError(
        f"The {what} {_name_of(record)} is job {owner}'s.",
        f"Start this one anew with another name: tomoseg {record.kind} --name NAME",
    )
