"""The form of a training: what is needed with good defaults, the rest folded away, the cost before the start."""

from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Button, Collapsible, Input, Label, Select, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.training import TRAIN
from tomoseg_tui.core.network_settings import NETWORKS
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.tui.dialogs.base import CommandDialog
from tomoseg_tui.tui.dialogs.form_fields import RunLocationSelect, option_input, read_options
from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.run_location import RunLocation
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.train.training_cost import TrainingCost, describe_training_cost, estimate_training_cost
from tomoseg_tui.tui.widgets.benchmark_runner import BenchmarkRunner, measure_binding
from tomoseg_tui.tui.widgets.feature_list import FeatureList, make_feature_list
from tomoseg_tui.workflow.training.train_request import (
    TrainRequest,
    check_training,
)

SETTLE_SECONDS = 0.3
"""How long the form waits after a key before it looks at the tiles again."""
_NEW_TRAINSET = ("made now", "")
"""The choice beside the training sets that were built before."""


@dataclass
class CostEstimated(Message):
    """A thread has looked at what the form asks for."""

    number: int
    outcome: TrainingCost | TomosegError


@dataclass
class TrainsetsLoaded(Message):
    """A thread has looked which training sets there are."""

    names: list[str]


class TrainDialog(CommandDialog[tuple[TrainRequest, RunLocation]]):
    """Asks what to train, and where. The answer's name is empty where the usual one is meant; escape gives none.

    Parameters
    ----------
    snapshot : ProjectSnapshot
        The project.
    request : TrainRequest
        What the form begins with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start", id="train_form.start", tooltip="Start the training"),
        Binding("escape", "dismiss", "Cancel", id="train_form.cancel", tooltip="Leave without training"),
        measure_binding("train_form"),
        Binding("down", "app.focus_next", "Next", show=False, id="train_form.next", tooltip="Next field"),
        Binding("up", "app.focus_previous", "Before", show=False, id="train_form.before", tooltip="Field before"),
    ]

    def __init__(self, snapshot: ProjectSnapshot, request: TrainRequest) -> None:
        super().__init__()
        self._snapshot, self._initial = snapshot, request
        self._request_number = 0
        self._timer: Timer | None = None
        self._fault: TomosegError | None = None
        self._cost: TrainingCost | None = None

    # What it looks like

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
            yield BenchmarkRunner(self._snapshot.project)
            with Horizontal(id="form-buttons"):
                yield Button("Start (ctrl+s)", id="start", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="cancel", compact=True)

    def _title(self) -> str:
        parent = self._initial.made_from
        return f"Train on from {parent}, at a tenth of its learning rate" if parent else "Train a network"

    def _network_select(self) -> Select[str]:
        options = [("default", "default"), *((name, name) for name in sorted(NETWORKS))]
        return Select(options, value=self._initial.network, allow_blank=False, compact=True, id="network")

    def _parent_select(self) -> Select[str]:
        options = [("nothing", ""), *((card.name, card.name) for card in self._snapshot.networks)]
        return Select(options, value=self._initial.made_from or "", allow_blank=False, compact=True, id="made_from")

    def _trainset_select(self) -> Select[str]:
        return Select([_NEW_TRAINSET], value="", allow_blank=False, compact=True, id="trainset")

    def _fields(self, *keys: str) -> list[Label | Input]:
        """Return text fields, each after its label."""
        fields: list[Label | Input] = []
        for key in keys:
            fields += [Label(TRAIN.option(key).label), option_input(TRAIN, key, getattr(self._initial, key))]
        return fields

    def on_mount(self) -> None:
        self.query_one(FeatureList).focus()
        self._read_trainsets()
        self._schedule_estimate()

    @work(thread=True, group="trainsets")
    def _read_trainsets(self) -> None:
        folder = self._snapshot.project.layout.trainsets
        self.post_message(TrainsetsLoaded(sorted(path.stem for path in folder.glob("[!.]*.h5"))))

    @on(TrainsetsLoaded)
    def offer_trainsets(self, event: TrainsetsLoaded) -> None:
        """Offer the training sets that were built before."""
        self.query_one("#trainset", Select).set_options([_NEW_TRAINSET, *((name, name) for name in event.names)])

    # What it says

    @on(Input.Changed)
    @on(Select.Changed)
    @on(FeatureList.Changed)
    def _schedule_estimate(self) -> None:
        """Look at the tiles once nobody types. Until then nothing is known to be wrong with what is filled in."""
        self._request_number, self._fault = self._request_number + 1, None
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SETTLE_SECONDS, self._start_estimate)

    def _start_estimate(self) -> None:
        try:
            request = self.request()
        except TomosegError as fault:
            self.post_message(CostEstimated(self._request_number, fault))
            return
        measured, in_slurm = (
            dict(self.query_one(BenchmarkRunner).timings),
            self.query_one(RunLocationSelect).location.in_slurm,
        )
        self._estimate_in_thread(self._request_number, request, measured, in_slurm=in_slurm)

    @work(thread=True, exclusive=True, group="guess")
    def _estimate_in_thread(
        self, number: int, request: TrainRequest, measured: dict[str, Timing], *, in_slurm: bool
    ) -> None:
        try:
            outcome: TrainingCost | TomosegError = estimate_training_cost(
                self._snapshot, request, measured, in_slurm=in_slurm
            )
        except TomosegError as fault:
            outcome = fault
        except OSError as fault:
            outcome = UsageError(f"{fault.strerror or fault}: {fault.filename}.", "Check the tomograms.")
        self.post_message(CostEstimated(number, outcome))

    @on(CostEstimated)
    def show_cost(self, event: CostEstimated) -> None:
        """Say what the training would be, or what keeps it from being."""
        if event.number != self._request_number:
            return
        self._fault = event.outcome if isinstance(event.outcome, TomosegError) else None
        self._cost = event.outcome if isinstance(event.outcome, TrainingCost) else None
        self._update_plan()
        if self._cost is not None:
            self._show_defaults(self._cost)

    def _update_plan(self) -> None:
        label, cost, measurer = self.query_one("#form-plan", Static), self._cost, self.query_one(BenchmarkRunner)
        if cost is not None:
            state = measurer.status_text(is_measured=cost.estimate.is_measured)
            label.update(
                "\n".join(describe_training_cost(cost, self.query_one("#device", Input).value or "cpu", state))
            )
        elif self._fault is not None:
            state = measurer.status_text(is_measured=True)
            label.update(Text.assemble((f"! {self._fault.fault} ", "bold"), f"{self._fault.fix} {state}"))

    def _show_defaults(self, cost: TrainingCost) -> None:
        """Let empty fields tell what will be taken."""
        self.query_one("#name", Input).placeholder = cost.name
        settings = cost.plan.settings
        self.query_one("#epochs", Input).placeholder = f"{settings.epochs}"
        self.query_one("#learning_rate", Input).placeholder = f"{settings.learning_rate:g}"
        self.query_one("#batch", Input).placeholder = f"{settings.batch}"

    def action_measure(self) -> None:
        try:
            request = msgspec.to_builtins(self.request())
        except TomosegError:
            self.app.bell()
            return
        self.query_one(BenchmarkRunner).measure(lambda: [("train", request)])

    @on(BenchmarkRunner.StateChanged)
    def show_measurement(self) -> None:
        """Say that it is measured, and then what has come of it."""
        self._update_plan()
        if not self.query_one(BenchmarkRunner).is_measuring:
            self._schedule_estimate()

    # What is answered

    def commands(self) -> list[list[str]]:
        """Return the command that starts the same."""
        return [to_argv(TRAIN, self.request(), **self.query_one(RunLocationSelect).location.options)]

    def request(self) -> TrainRequest:
        """Return what is asked for.

        Raises
        ------
        UsageError
            If a field cannot be read.
        """
        values = read_options(self, TRAIN)
        return TrainRequest(**values, features=() if values["trainset"] else self._features(values["made_from"]))

    def _features(self, made_from: str | None) -> tuple[str, ...]:
        """Return the features chosen, in the order of the network that it starts from."""
        chosen = self.query_one(FeatureList).chosen
        parent = self._snapshot.network(made_from)
        order = [*parent.features] if parent is not None and set(parent.features) == set(chosen) else []
        return tuple(order or [feature for feature in self._snapshot.features if feature in chosen])

    def action_start(self) -> None:
        try:
            request = self.request()
        except TomosegError as fault:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        if self._fault is not None:
            self.notify(self._fault.fix, title=self._fault.fault, severity="error")
            return
        self.dismiss((request, self.query_one(RunLocationSelect).location))

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """Answer by enter or mouse."""
        if event.button.id == "start":
            self.action_start()
        else:
            self.dismiss(None)

    @on(Input.Submitted)
    def focus_next_field(self) -> None:
        """Go to the next field."""
        self.focus_next()


def _row(*widgets: Any) -> Horizontal:
    return Horizontal(*widgets, classes="form-row")


def ask_for_training(app: JobApp, snapshot: ProjectSnapshot, request: TrainRequest) -> None:
    """Ask what to train, the form filled in with `request`, and start it."""
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
