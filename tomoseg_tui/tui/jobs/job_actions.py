"""Stop, resume and kill a job from any tab: the same as the commands, in a thread."""

from collections.abc import Callable

from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.dependencies import resume_with_dependents
from tomoseg_tui.jobs.job import Job, JobState, find_job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.project_settings import SlurmSettings
from tomoseg_tui.tui.format import JobListing
from tomoseg_tui.tui.job_app import JobApp

HERE, IN_SLURM = "here", "slurm"
"""Where a job can be resumed."""


def is_live(job: JobListing) -> bool:
    """Return whether a job runs or waits."""
    return not JobState(job["state"]).is_over


def stop_job(app: JobApp, job: JobListing) -> None:
    """Request a job to save its work and stop."""
    if not is_live(job):
        app.notify(f"Job {job['id']} is {job['state']} already.", severity="warning")
        return
    app.notify(f"Job {job['id']} is asked to save its work and stop.", timeout=3)
    _run_job_command(
        app, "stop", job, lambda target: f"Job {target.id} is {launch.stop(target)}; finished work is kept."
    )


def resume_job(app: JobApp, job: JobListing) -> None:
    """Resume a stopped, failed or lost job."""
    if can_resume(app, job):
        _run_job_command(app, "resume", job, _resume)


def can_resume(app: JobApp, job: JobListing) -> bool:
    """Return whether a job can be resumed; notify why not."""
    if JobState(job["state"]).can_resume:
        return True
    hint = "s stops it first" if is_live(job) else "there is nothing to resume"
    app.notify(f"Job {job['id']} is {job['state']}: {hint}.", severity="warning")
    return False


def resume_elsewhere(app: JobApp, job: JobListing, location: str) -> None:
    """Resume a job on this machine if `place` is `HERE`, else in Slurm with the settings of project.toml."""
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
        f", with {', '.join(dependent.id for dependent in dependents)} that depend on it" if dependents else ""
    )
    return f"Job {target.id} is resumed{dependents_text}."


def kill_job(app: JobApp, job: JobListing) -> None:
    """Kill a job immediately; the caller asks first."""
    _run_job_command(app, "kill", job, lambda target: f"Job {target.id} is {launch.kill(target)}.")


def _run_job_command(app: JobApp, verb: str, job: JobListing, action: Callable[[Job], str], *options: str) -> None:
    layout, job_id = app.project.layout, str(job["id"])
    argv = ["jobs", verb, job_id, *options]
    app.run_in_thread(verb, argv, lambda: action(find_job(layout, job_id)), is_long=True)
