"""Ask for a whole run, and start its jobs: what is learned, on which tomograms it is applied and merged."""

from textual.app import ComposeResult
from textual.widgets import Input, Static

from tomoseg_tui.errors import UsageError
from tomoseg_tui.jobs.dependencies import launch_chain
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.base import CommandDialog
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.dialogs.form_fields import AsciiCheckbox, RunLocationSelect
from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.run_location import RunLocation
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.feature_list import FeatureList, make_feature_list
from tomoseg_tui.workflow.batch_run import BatchRunRequest, plan_batch_run

HINT = (
    "Trains a network a feature, applies each to every tomogram, and merges the maps of each: jobs that follow one "
    "another. One that fails stops only what builds on it."
)
DEFAULTS = BatchRunRequest(())
"""The settings that the command has too."""


def batch_run_argv(request: BatchRunRequest) -> list[str]:
    """Return the arguments of the command that does the same."""
    argv = ["run"]
    for option, values in (("--feature", request.features), ("--tomogram", request.tomograms)):
        argv += [argument for value in values for argument in (option, value)]
    argv += [] if request.tomograms else ["--all"]
    argv += ["--name", request.name] if request.name else []
    argv += ["--together"] if request.together else []
    for option, value, default in (
        ("--network", request.network, DEFAULTS.network),
        ("--epochs", request.epochs, DEFAULTS.epochs),
        ("--device", request.device, DEFAULTS.device),
        ("--seed", request.seed, DEFAULTS.seed),
        ("--labels", request.labels, DEFAULTS.labels),
    ):
        argv += [] if value == default else [option, str(value)]
    return argv


class BatchRunDialog(Form[tuple[BatchRunRequest, RunLocation]], CommandDialog[tuple[BatchRunRequest, RunLocation]]):
    """Features, tomograms, and how they are learned.

    Parameters
    ----------
    snapshot : ProjectSnapshot
        The project.
    """

    def __init__(self, snapshot: ProjectSnapshot) -> None:
        super().__init__("Train, apply, merge", submit_label="Start", hint=HINT)
        self._snapshot = snapshot

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        features = self._snapshot.features
        yield make_feature_list(self._snapshot, chosen=features if len(features) == 1 else ())
        yield self.row("Tomograms", Input(placeholder="all that fit, or names", compact=True, id="run-tomograms"))
        yield self.row("Name", Input(placeholder="features and a number", compact=True, id="run-name"))
        yield self.row("Labels", Input(placeholder=DEFAULTS.labels, compact=True, id="run-labels"))
        yield self.row(
            "Network",
            Input(placeholder=DEFAULTS.network, compact=True, id="run-network"),
            Static("Device", classes="form-label"),
            Input(placeholder="cpu, gpu or gpu:N", compact=True, id="run-device"),
        )
        yield self.row(
            "Epochs",
            Input(placeholder="as usual", compact=True, id="run-epochs"),
            Static("Seed", classes="form-label"),
            Input(placeholder="the project's", compact=True, id="run-seed"),
        )
        yield self.row("Where", RunLocationSelect(self._snapshot))
        yield AsciiCheckbox("one network for all features", compact=True, id="run-together")

    def on_mount(self) -> None:
        self.query_one(FeatureList).focus()

    def commands(self) -> list[list[str]]:
        """Return the command that starts the same."""
        request, location = self.read()
        return [[*batch_run_argv(request), *location.argv]]

    def read(self) -> tuple[BatchRunRequest, RunLocation]:
        """Return what is asked for, and where; whether it can be done is found out by a thread."""
        chosen = self.query_one(FeatureList).chosen
        if not chosen:
            raise UsageError("No feature is chosen.", "Choose one with space.")
        request = BatchRunRequest(
            features=chosen,
            tomograms=tuple(self.field_text("run-tomograms").replace(",", " ").split()),
            name=self.field_text("run-name"),
            together=self.query_one("#run-together", AsciiCheckbox).value,
            network=self.field_text("run-network") or DEFAULTS.network,
            epochs=self._number("run-epochs"),
            device=self._device(),
            seed=self._number("run-seed"),
            labels=self.field_text("run-labels") or DEFAULTS.labels,
        )
        return request, self.query_one(RunLocationSelect).location

    def _number(self, name: str) -> int | None:
        text = self.field_text(name)
        if text and not text.isdecimal():
            raise UsageError(f"{text!r} is no whole number.", "Write one, or nothing for the usual.")
        return int(text) if text else None

    def _device(self) -> str:
        text = self.field_text("run-device") or DEFAULTS.device
        kind, colon, number = text.partition(":")
        if text != "cpu" and (kind != "gpu" or (colon and not number.isdecimal())):
            raise UsageError(f"There is no device called {text!r}.", "Take cpu, gpu, or gpu:N with N from 0.")
        return text


def ask_for_batch_run(app: JobApp, snapshot: ProjectSnapshot) -> None:
    """Ask what to run, and start its jobs."""
    project = app.project

    def start(answer: tuple[BatchRunRequest, RunLocation] | None) -> None:
        if answer is not None:
            request, location = answer
            argv = [*batch_run_argv(request), *location.argv]
            app.run_in_thread("started", argv, lambda: _start_jobs(project, request, location))

    app.push_screen(BatchRunDialog(snapshot), start)


def _start_jobs(project: Project, request: BatchRunRequest, location: RunLocation) -> str:
    """Start the jobs as the command does; return what is said of it."""
    plan = plan_batch_run(project, request)
    slurm = location.slurm_settings(Project.open(project.layout.root).settings)  # they may have been edited since
    jobs = launch_chain(project.layout, plan.jobs, at_once=location.starts_at_once, slurm=slurm)
    message = f"Jobs {jobs[0].id} to {jobs[-1].id}: {', '.join(plan.cards)} on {', '.join(plan.tomograms)}."
    return " ".join([message, *dict.fromkeys(plan.remarks)])
