"""Ask for a batch run and start its jobs: features to train, tomograms to segment and merge."""

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Checkbox, Input, Select

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.training import RUN
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.jobs.dependencies import launch_chain
from tomoseg_tui.jobs.estimate import require_resources_for, works_of
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.base import CommandDialog
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.dialogs.form_fields import AsciiCheckbox, RunLocation, RunLocationSelect, read_options
from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.cost_line import CostLine, measure_binding
from tomoseg_tui.tui.widgets.feature_list import FeatureList, make_feature_list
from tomoseg_tui.workflow.batch_run import BatchRunRequest, plan_batch_run

if TYPE_CHECKING:
    from tomoseg_tui.workflow.estimates.estimator import Work

HINT = (
    "A sequence of jobs: one network per feature, maps of every tomogram, and labels. A failed job stops only the "
    "jobs that need its result."
)


def _works(project: Project, request: BatchRunRequest) -> list["Work"]:
    plan = plan_batch_run(project, request)
    return works_of(project, plan.jobs, plan.cards)


class BatchRunDialog(Form[tuple[BatchRunRequest, RunLocation]], CommandDialog[tuple[BatchRunRequest, RunLocation]]):
    """Features, tomograms, and the settings of the trainings."""

    BINDINGS: ClassVar[list[BindingType]] = [measure_binding("run_form")]

    def __init__(self, snapshot: ProjectSnapshot) -> None:
        super().__init__("Train, apply, merge", submit_label="Start", hint=HINT)
        self._snapshot = snapshot

    def rows(self) -> ComposeResult:
        """Make the rows of fields."""
        features = self._snapshot.features
        yield make_feature_list(self._snapshot, chosen=features if len(features) == 1 else ())
        for keys in (("tomograms",), ("name",), ("labels",), ("network", "device"), ("epochs", "seed")):
            yield self.option_row(RUN, *keys)
        yield self.row("Where", RunLocationSelect(self._snapshot))
        yield AsciiCheckbox("one network for all features", compact=True, id="together")
        yield CostLine(self._snapshot.project, id="run-cost")

    def on_mount(self) -> None:
        self.query_one(FeatureList).focus()
        self.update_cost()

    @on(Input.Changed)
    @on(Checkbox.Changed)
    @on(Select.Changed)
    @on(FeatureList.Changed)
    def update_cost(self) -> None:
        """Show the total cost of all jobs, once the form is complete."""
        project, cost_line = self._snapshot.project, self.query_one(CostLine)
        try:
            request, location = self.read()
        except TomosegError:
            cost_line.estimate(list)
            return
        cost_line.estimate(lambda: _works(project, request), in_slurm=location.in_slurm)

    def action_measure(self) -> None:
        self.query_one(CostLine).measure()

    def commands(self) -> list[list[str]]:
        """Return the equivalent command."""
        request, location = self.read()
        return [to_argv(RUN, request, **location.options)]

    def read(self) -> tuple[BatchRunRequest, RunLocation]:
        """Return the request and the run location; a thread checks whether they are valid."""
        chosen = self.query_one(FeatureList).chosen
        if not chosen:
            raise UsageError("No feature is chosen.", "Choose one with space.")
        request = BatchRunRequest(features=chosen, **read_options(self, RUN))
        return request, self.query_one(RunLocationSelect).location


def ask_for_batch_run(app: JobApp, snapshot: ProjectSnapshot) -> None:
    """Ask what to run, and start its jobs."""
    project = app.project

    def start(answer: tuple[BatchRunRequest, RunLocation] | None) -> None:
        if answer is not None:
            request, location = answer
            argv = to_argv(RUN, request, **location.options)
            app.run_in_thread("started", argv, lambda: _start_jobs(project, request, location))

    app.push_screen(BatchRunDialog(snapshot), start)


def _start_jobs(project: Project, request: BatchRunRequest, location: RunLocation) -> str:
    """Start the jobs like the command does; return the message to show."""
    plan = plan_batch_run(project, request)
    slurm = location.slurm_settings(
        Project.open(project.layout.root).settings
    )  # the settings may have been edited since
    require_resources_for(project, plan.jobs, plan.cards, in_slurm=slurm is not None)
    jobs = launch_chain(project.layout, plan.jobs, at_once=location.starts_at_once, slurm=slurm)
    message = f"Jobs {jobs[0].id} to {jobs[-1].id}: {', '.join(plan.cards)} on {', '.join(plan.tomograms)}."
    return " ".join([message, *dict.fromkeys(plan.remarks)])
