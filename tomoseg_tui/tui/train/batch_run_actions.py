"""The key of the Train tab that starts a whole run: train, then apply, then merge."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.dependencies import launch_chain
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.run_location import RunLocation
from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.train.batch_run_dialog import BatchRunDialog, batch_run_argv
from tomoseg_tui.tui.train.requirements import snapshot_with_features
from tomoseg_tui.workflow.batch_run import BatchRunRequest, plan_batch_run, release_names, reserve_names


class BatchRunActions(Tab):
    """A tab from which a whole run is started."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "R",
            "run",
            "Run",
            show=False,
            id="train.run",
            tooltip="Train, then apply and merge on a list of tomograms: jobs that follow one another",
        ),
    ]

    def action_run(self) -> None:
        """Ask what to run, and start its jobs."""
        snapshot = snapshot_with_features(self)
        if snapshot is not None:
            self.app.push_screen(BatchRunDialog(snapshot), self._start_run)

    def _start_run(self, answer: tuple[BatchRunRequest, RunLocation] | None) -> None:
        if answer is not None:
            request, location = answer
            project, argv = self.tomoseg.project, [*batch_run_argv(request), *location.argv]
            self.tomoseg.run_in_thread("started", argv, lambda: _start_jobs(project, request, location))


def _start_jobs(project: Project, request: BatchRunRequest, location: RunLocation) -> str:
    """Start the jobs as the command does; return what is said of it."""
    plan = plan_batch_run(project, request)
    reserve_names(project, plan)
    try:
        slurm = location.slurm_settings(Project.open(project.layout.root).settings)  # they may have been edited since
        jobs = launch_chain(project.layout, plan.jobs, at_once=location.starts_at_once, slurm=slurm)
    except (TomosegError, OSError):
        release_names(project, plan.runs)
        raise
    message = f"Jobs {jobs[0].id} to {jobs[-1].id}: {', '.join(plan.runs)} on {', '.join(plan.tomograms)}."
    return " ".join([message, *dict.fromkeys(plan.remarks)])
