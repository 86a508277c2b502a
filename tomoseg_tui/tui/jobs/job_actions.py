"""Stop, resume and kill a job from any tab: what the commands of the same names do, in a thread."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tomoseg_tui.jobs import launch
from tomoseg_tui.jobs.dependencies import resume_with_followers
from tomoseg_tui.jobs.job import Job, JobState, find_job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.slurm_settings import SlurmSettings

if TYPE_CHECKING:
    from tomoseg_tui.tui.app import TomosegApp

HERE, IN_SLURM = "here", "slurm"
"""Where a job can go on."""
Listing = Mapping[str, Any]
"""A job as `jobs --json` prints it."""


def is_live(job: Listing) -> bool:
    """Tell whether a worker is at it or is about to be."""
    return not JobState(job["state"]).is_over


def stop_job(app: "TomosegApp", job: Listing) -> None:
    """Ask a job to keep its work and end."""
    if not is_live(job):
        app.notify(f"Job {job['id']} is {job['state']} already.", severity="warning")
        return
    app.notify(f"Job {job['id']} is asked to keep its work and stop.", timeout=3)
    _carry_out(app, "stop", job, lambda found: f"Job {found.id} is {launch.stop(found)}; what is finished is kept.")


def resume_job(app: "TomosegApp", job: Listing) -> None:
    """Go on with a job that was stopped, has failed or is lost."""
    if can_resume(app, job):
        _carry_out(app, "resume", job, _resumed)


def can_resume(app: "TomosegApp", job: Listing) -> bool:
    """Tell whether a job can go on; say why not."""
    if JobState(job["state"]).can_resume:
        return True
    todo = "s stops it first" if is_live(job) else "there is nothing to resume"
    app.notify(f"Job {job['id']} is {job['state']}: {todo}.", severity="warning")
    return False


def resume_elsewhere(app: "TomosegApp", job: Listing, place: str) -> None:
    """Go on with a job on this machine if the place is `HERE`, else in Slurm with what project.toml asks for."""
    if place == HERE:
        _carry_out(app, "resume", job, lambda found: _resumed(found, here=True), "--here")
        return
    root = app.project.layout.root

    def hand_over(found: Job) -> str:
        return _resumed(found, slurm=Project.open(root).settings.slurm)  # it may have been edited since

    _carry_out(app, "resume", job, hand_over, "--slurm")


def _resumed(found: Job, *, slurm: SlurmSettings | None = None, here: bool = False) -> str:
    layout = ProjectLayout(found.folder.parent.parent)
    resumed, followers = resume_with_followers(layout, found, slurm=slurm, here=here)
    if not resumed:
        return f"Job {found.id} is done already."
    others = f", and so do {', '.join(other.id for other in followers)} that come after it" if followers else ""
    return f"Job {found.id} goes on{others}."


def kill_job(app: "TomosegApp", job: Listing) -> None:
    """End a job at once; ask before this is called."""
    _carry_out(app, "kill", job, lambda found: f"Job {found.id} is {launch.kill(found)}.")


def _carry_out(app: "TomosegApp", verb: str, job: Listing, act: Callable[[Job], str], *options: str) -> None:
    layout, job_id = app.project.layout, str(job["id"])
    app.carry_out(verb, ["jobs", verb, job_id, *options], lambda: act(find_job(layout, job_id)))


def state_in_words(job: Listing) -> str:
    """Return what there is to say of a job's state: where it is, or its fault and what to do."""
    if job["fault"]:
        return f"{job['fault']} {job['fix'] or ''}".strip()
    if job["state"] == "stopped":
        return "Stopped; what is finished is kept. r resumes it."
    return str(job["message"] or "")
