"""Stop, resume and kill a job from any tab: what the commands of the same names do, in a thread."""

from collections.abc import Callable, Mapping
from typing import Any

from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.dependencies import resume_with_dependents
from tomoseg_tui.jobs.job import Job, JobState, find_job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.tui.job_app import JobApp

HERE, IN_SLURM = "here", "slurm"
"""Where a job can go on."""
JobListing = Mapping[str, Any]
"""A job as `jobs --json` prints it."""


def is_live(job: JobListing) -> bool:
    """Tell whether a worker is at it or is about to be."""
    return not JobState(job["state"]).is_over


def stop_job(app: JobApp, job: JobListing) -> None:
    """Ask a job to keep its work and end."""
    if not is_live(job):
        app.notify(f"Job {job['id']} is {job['state']} already.", severity="warning")
        return
    app.notify(f"Job {job['id']} is asked to keep its work and stop.", timeout=3)
    _run_job_command(
        app, "stop", job, lambda target: f"Job {target.id} is {launch.stop(target)}; what is finished is kept."
    )


def resume_job(app: JobApp, job: JobListing) -> None:
    """Go on with a job that was stopped, has failed or is lost."""
    if can_resume(app, job):
        _run_job_command(app, "resume", job, _resume)


def can_resume(app: JobApp, job: JobListing) -> bool:
    """Tell whether a job can go on; say why not."""
    if JobState(job["state"]).can_resume:
        return True
    hint = "s stops it first" if is_live(job) else "there is nothing to resume"
    app.notify(f"Job {job['id']} is {job['state']}: {hint}.", severity="warning")
    return False


def resume_elsewhere(app: JobApp, job: JobListing, location: str) -> None:
    """Go on with a job on this machine if the place is `HERE`, else in Slurm with what project.toml asks for."""
    if location == HERE:
        _run_job_command(app, "resume", job, lambda target: _resume(target, local=True), "--here")
        return
    root = app.project.layout.root

    def resume_in_slurm(target: Job) -> str:
        return _resume(target, slurm=Project.open(root).settings.slurm)  # it may have been edited since

    _run_job_command(app, "resume", job, resume_in_slurm, "--slurm")


def _resume(target: Job, *, slurm: SlurmSettings | None = None, local: bool = False) -> str:
    layout = ProjectLayout(target.project_folder)
    resumed, dependents = resume_with_dependents(layout, target, slurm=slurm, here=local)
    if not resumed:
        return f"Job {target.id} is done already."
    dependents_text = (
        f", and so do {', '.join(dependent.id for dependent in dependents)} that come after it" if dependents else ""
    )
    return f"Job {target.id} goes on{dependents_text}."


def kill_job(app: JobApp, job: JobListing) -> None:
    """End a job at once; ask before this is called."""
    _run_job_command(app, "kill", job, lambda target: f"Job {target.id} is {launch.kill(target)}.")


def _run_job_command(app: JobApp, verb: str, job: JobListing, action: Callable[[Job], str], *options: str) -> None:
    layout, job_id = app.project.layout, str(job["id"])
    app.run_in_thread(verb, ["jobs", verb, job_id, *options], lambda: action(find_job(layout, job_id)))


def describe_state(job: JobListing) -> str:
    """Return what there is to say of a job's state: where it is, or its fault and what to do."""
    if job["fault"]:
        return f"{job['fault']} {job['fix'] or ''}".strip()
    if job["state"] == "stopped":
        return "Stopped; what is finished is kept. r resumes it."
    return str(job["message"] or "")
