"""The form of a training: required fields with defaults, optional ones folded, and the cost."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Collapsible, Input, Label, Select, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.training import TRAIN
from tomoseg_tui.core.network_settings import NETWORKS
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.jobs.device_request import resolve_device
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.base import CommandDialog
from tomoseg_tui.tui.dialogs.form_fields import RunLocation, RunLocationSelect, option_input, read_options
from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.cost_line import CostLine, measure_binding
from tomoseg_tui.tui.widgets.feature_list import FeatureList, make_feature_list
from tomoseg_tui.workflow.estimates.estimator import Work
from tomoseg_tui.workflow.estimates.network_work import planned_training_work
from tomoseg_tui.workflow.training.train_request import (
    TrainingPlan,
    TrainRequest,
    check_training,
    parent_remarks,
    plan_training,
)

_NEW_TRAINSET = ("made now", "")
"""The choice beside the existing training sets."""


@dataclass(frozen=True)
class PlannedTraining:
    """A training that has not started."""

    name: str
    """Its name."""
    plan: TrainingPlan
    remarks: list[str]
    """Remarks on the run that it continues from."""

    def describe(self) -> str:
        """Return tiles and steps, one fact per line; problems are marked."""
        summary, settings = self.plan.summary, self.plan.settings
        tiles = "; ".join(
            f"with {feature} {summary.positive[feature]}, without {summary.negative[feature]}"
            for feature in summary.features
        )
        steps = f"{settings.epochs} epochs of {self.plan.steps} steps, learning rate {settings.learning_rate:g}"
        notes = [f"! {note}" for note in (*summary.notes, *self.remarks)]
        return "\n".join([f"Tiles {tiles}.", summary.held_out_reason, f"{steps}.", *notes])


@dataclass
class PlanReady(Message):
    """A thread has planned the training of the form; None if it is not possible."""

    number: int
    training: PlannedTraining | None


@dataclass
class TrainsetsLoaded(Message):
    """A thread has read the training sets."""

    names: list[str]


class TrainDialog(CommandDialog[tuple[TrainRequest, RunLocation]]):
    """Asks what to train, and where. In the answer, an empty name means the default; escape cancels."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start", id="train_form.start", tooltip="Start the training"),
        Binding("escape", "dismiss", "Cancel", id="train_form.cancel", tooltip="Close without training"),
        measure_binding("train_form"),
        Binding("down", "app.focus_next", "Next", show=False, id="train_form.next", tooltip="Next field"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="train_form.before", tooltip="Previous field"),
    ]

    def __init__(self, snapshot: ProjectSnapshot, request: TrainRequest) -> None:
        super().__init__()
        self._snapshot, self._initial = snapshot, request
        self._request_number = 0

    # Layout

    def compose(self) -> ComposeResult:
        with Vertical(id="train-form", classes="dialog") as box:
            box.border_subtitle = "F1 keys"
            yield Static(self._title(), classes="dialog-title")
            with VerticalScroll(id="form-body", can_focus=False):
                only_feature = self._snapshot.features if len(self._snapshot.features) == 1 else ()
                yield make_feature_list(self._snapshot, chosen=self._initial.features or only_feature)
                yield _row(Label("Network"), self._network_select(), Label("From"), self._parent_select())
                yield _row(*self._fields("epochs", "learning_rate", "device"))
                yield _row(*self._fields("name"), Label("Where"), RunLocationSelect(self._snapshot))
                with Collapsible(title="more: held out, seed, batch, version, training set", id="form-more"):
                    yield _row(*self._fields("validation", "seed", "batch"))
                    yield _row(*self._fields("version"), Label("Trainset"), self._trainset_select())
                yield Static("", id="form-plan", markup=False)
                yield CostLine(self._snapshot.project, id="form-cost")
            with Horizontal(id="form-buttons"):
                yield Button("Start (ctrl+s)", id="start", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="cancel", compact=True)

    def _title(self) -> str:
        parent = self._initial.made_from
        return f"Continue from {parent}, at a tenth of its learning rate" if parent else "Train a network"

    def _network_select(self) -> Select[str]:
        options = [("default", "default"), *((name, name) for name in sorted(NETWORKS))]
        return Select(options, value=self._initial.network, allow_blank=False, compact=True, id="network")

    def _parent_select(self) -> Select[str]:
        options = [("nothing", ""), *((card.name, card.name) for card in self._snapshot.networks)]
        return Select(options, value=self._initial.made_from or "", allow_blank=False, compact=True, id="made_from")

    def _trainset_select(self) -> Select[str]:
        return Select([_NEW_TRAINSET], value="", allow_blank=False, compact=True, id="trainset")

    def _fields(self, *keys: str) -> list[Label | Input]:
        """Return text fields, each with its label."""
        fields: list[Label | Input] = []
        for key in keys:
            fields += [Label(TRAIN.option(key).label), option_input(TRAIN, key, getattr(self._initial, key))]
        return fields

    def on_mount(self) -> None:
        self.query_one(FeatureList).focus()
        self._read_trainsets()
        self.update_cost()

    @work(thread=True, group="trainsets")
    def _read_trainsets(self) -> None:
        folder = self._snapshot.project.layout.trainsets
        self.post_message(TrainsetsLoaded(sorted(path.stem for path in folder.glob("[!.]*.h5"))))

    @on(TrainsetsLoaded)
    def offer_trainsets(self, event: TrainsetsLoaded) -> None:
        """Offer the existing training sets."""
        self.query_one("#trainset", Select).set_options([_NEW_TRAINSET, *((name, name) for name in event.names)])

    # Cost and plan

    @on(Input.Changed)
    @on(Select.Changed)
    @on(FeatureList.Changed)
    def update_cost(self) -> None:
        """Plan the training and show its cost, after a pause in typing."""
        self._request_number += 1
        number, cost_line = self._request_number, self.query_one(CostLine)
        try:
            request = self.request()
        except TomosegError as fault:
            cost_line.show_fault(fault)
            self.post_message(PlanReady(number, None))
        else:
            in_slurm = self.query_one(RunLocationSelect).location.in_slurm
            cost_line.estimate(lambda: self._plan(number, request), in_slurm=in_slurm)

    def _plan(self, number: int, request: TrainRequest) -> list[Work]:
        """Check and plan a training; a thread calls it."""
        training: PlannedTraining | None = None
        try:
            training = _planned_training(self._snapshot.project, request)
        finally:
            self.post_message(PlanReady(number, training))
        device = resolve_device(request.device)
        return [replace(planned_training_work(training.plan, device.name), device_note=device.note)]

    @on(PlanReady)
    def show_plan(self, event: PlanReady) -> None:
        """Describe the training, and show the defaults in empty fields."""
        if event.number != self._request_number:
            return
        training = event.training
        self.query_one("#form-plan", Static).update("" if training is None else training.describe())
        if training is not None:
            settings = training.plan.settings
            self.query_one("#name", Input).placeholder = training.name
            self.query_one("#epochs", Input).placeholder = f"{settings.epochs}"
            self.query_one("#learning_rate", Input).placeholder = f"{settings.learning_rate:g}"
            self.query_one("#batch", Input).placeholder = f"{settings.batch}"

    def action_measure(self) -> None:
        self.query_one(CostLine).measure()

    # Answer

    def commands(self) -> list[list[str]]:
        """Return the equivalent command."""
        return [to_argv(TRAIN, self.request(), **self.query_one(RunLocationSelect).location.options)]

    def request(self) -> TrainRequest:
        """Return the request.

        Raises
        ------
        UsageError
            If a field is not valid.
        """
        values = read_options(self, TRAIN)
        return TrainRequest(**values, features=() if values["trainset"] else self._features(values["made_from"]))

    def _features(self, made_from: str | None) -> tuple[str, ...]:
        """Return the chosen features, in the order of the network that it starts from."""
        chosen = self.query_one(FeatureList).chosen
        parent = self._snapshot.network(made_from)
        order = [*parent.features] if parent is not None and set(parent.features) == set(chosen) else []
        return tuple(order or [feature for feature in self._snapshot.features if feature in chosen])

    def action_start(self) -> None:
        fault = self.query_one(CostLine).fault
        try:
            request = self.request()
        except TomosegError as error:
            fault = error
        if fault is not None:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        self.dismiss((request, self.query_one(RunLocationSelect).location))

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """Answer; a button was pressed."""
        if event.button.id == "start":
            self.action_start()
        else:
            self.dismiss(None)

    @on(Input.Submitted)
    def focus_next_field(self) -> None:
        """Go to the next field."""
        self.focus_next()


def _planned_training(project: Project, request: TrainRequest) -> PlannedTraining:
    """Check and plan a training; refuses what `tomoseg train` refuses."""
    if not request.features and request.trainset is None:
        raise UsageError("No feature is chosen.", "Choose one with space.")
    project = Project.open(project.layout.root)  # features may have been added since
    name = request.name or catalog.free_name(project.layout.networks, request.features, request.trainset)
    named = msgspec.structs.replace(request, name=name)
    remarks = parent_remarks(project, named, check_training(project, named))
    return PlannedTraining(name, plan_training(project, named), remarks)


def _row(*widgets: Any) -> Horizontal:
    return Horizontal(*widgets, classes="form-row")


def ask_for_training(app: JobApp, snapshot: ProjectSnapshot, request: TrainRequest) -> None:
    """Ask what to train, with `request` as initial values, and start it."""
    project = app.project

    def start(answer: tuple[TrainRequest, RunLocation] | None) -> None:
        if answer is not None:
            requested, location = answer

            def prepare() -> tuple[str, TrainRequest]:
                name = requested.name or catalog.free_name(
                    project.layout.networks, requested.features, requested.trainset
                )
                named = msgspec.structs.replace(requested, name=name)
                check_training(project, named)
                return "train", named

            app.start_job(to_argv(TRAIN, requested, **location.options), prepare, location=location)

    app.push_screen(TrainDialog(snapshot, request), start)
