"""The key of the Train tab that starts a whole run: train, then apply, then merge."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.dependencies import launch_all
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.run_location import Way
from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.train.batch_run_dialog import RunForm, run_words
from tomoseg_tui.tui.train.requirements import facts_to_learn
from tomoseg_tui.workflow.batch_run import RunRequest, plan_run, release_names, reserve_names


class RunKeys(Tab):
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
        facts = facts_to_learn(self)
        if facts is not None:
            self.app.push_screen(RunForm(facts), self._start_run)

    def _start_run(self, answer: tuple[RunRequest, Way] | None) -> None:
        if answer is not None:
            request, way = answer
            project, words = self.tomoseg.project, [*run_words(request), *way.words]
            self.tomoseg.carry_out("started", words, lambda: _begin(project, request, way))


def _begin(project: Project, request: RunRequest, way: Way) -> str:
    """Start the jobs as the command does; return what is said of it."""
    plan = plan_run(project, request)
    reserve_names(project, plan)
    try:
        slurm = way.slurm(Project.open(project.layout.root).settings)  # they may have been edited since
        jobs = launch_all(project.layout, plan.steps, at_once=way.at_once, slurm=slurm)
    except (TomosegError, OSError):
        release_names(project, plan.runs)
        raise
    said = f"Jobs {jobs[0].id} to {jobs[-1].id}: {', '.join(plan.runs)} on {', '.join(plan.tomograms)}."
    return " ".join([said, *dict.fromkeys(plan.remarks)])
