"""Whose a name is: the folder of a run or an audit says which job makes it.

A job whose worker did not come up gives its name back, yet it can be resumed; by then another may have the name, and
what lies in the folder is no result of this one. Maps, labels and tomograms have no such folder: each is made beside
its place and put there whole.
"""

from pathlib import Path

from tomoseg_tui.errors import JobError
from tomoseg_tui.files.atomic import create_exclusively, remove_drafts
from tomoseg_tui.jobs.job import Job, JobRecord, JobState, all_jobs
from tomoseg_tui.project.layout import ProjectLayout, owner_file_of


def claim_output_name(job: Job) -> None:
    """Take the name of what a job makes, unless it is done; its own, and one that is free, it gets.

    Raises
    ------
    JobError
        If the name is another job's by now.
    """
    record, layout = job.record(), ProjectLayout(job.project_folder)
    folder = _output_folder(layout, record)
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


def _output_folder(layout: ProjectLayout, record: JobRecord) -> Path | None:
    folders = {"train": layout.network_folder, "audit": layout.audit_folder}
    return folders[record.kind](_output_name(record)) if record.kind in folders and _output_name(record) else None


def _output_name(record: JobRecord) -> str:
    return str(record.asked.get("name", ""))


def _require_not_reserved(layout: ProjectLayout, job: Job, record: JobRecord) -> None:
    """Refuse a name that a later job got when it was launched, and that has not begun yet."""
    for other in all_jobs(layout):
        if int(other.id) <= int(job.id):
            return
        other_record = other.record()
        is_same_output = other_record.kind == record.kind and _output_name(other_record) == _output_name(record)
        if is_same_output and not other.state(other_record).is_over:
            raise _name_in_use_error(record, other.id)


def _name_in_use_error(record: JobRecord, owner_id: str) -> JobError:
    output_kind = "run" if record.kind == "train" else record.kind
    return JobError(
        f"The {output_kind} {_output_name(record)} is job {owner_id}'s.",
        f"Start this one anew with another name: tomoseg {record.kind} --name NAME",
    )
