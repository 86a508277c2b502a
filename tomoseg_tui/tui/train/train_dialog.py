"""The form of a training: what is needed with good defaults, the rest folded away, the cost before the start."""

import re
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import msgspec
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Button, Collapsible, Input, Label, Select, Static

from tomoseg_tui.core.network_settings import NETWORKS
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.project.timings import Pace
from tomoseg_tui.tui.dialogs.base import CommandDialog
from tomoseg_tui.tui.run_location import Way
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.train.training_cost import Guess, guess_training, in_words
from tomoseg_tui.tui.widgets.benchmark_runner import Measurer, measure_key
from tomoseg_tui.tui.widgets.feature_list import FeatureList, list_features
from tomoseg_tui.tui.widgets.run_location_select import Where
from tomoseg_tui.workflow.training.train_request import TrainRequest

Number = TypeVar("Number", int, float)

SETTLE_SECONDS = 0.3
"""How long the form waits after a key before it looks at the tiles again."""
_DEVICE = re.compile(r"cpu|gpu(:\d+)?")
_FIELDS = {
    "name": ("Name", "its features and a number"),
    "epochs": ("Epochs", "as usual"),
    "learning_rate": ("Rate", "as usual"),
    "device": ("Device", "cpu, gpu or gpu:N"),
    "validation": ("Held out", "0.2"),
    "seed": ("Seed", "the project's"),
    "batch": ("Batch", "as usual"),
    "version": ("Version", "tag; as placed"),
}
"""Title and placeholder of each text field."""


_MADE_NOW = ("made now", "")
"""The choice beside the training sets that were built before."""


class Guessed(Message):
    """A thread has looked at what the form asks for."""

    def __init__(self, number: int, outcome: Guess | TomosegError) -> None:
        super().__init__()
        self.number, self.outcome = number, outcome


class TrainsetsRead(Message):
    """A thread has looked which training sets there are."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names


class TrainForm(CommandDialog[tuple[TrainRequest, Way]]):
    """Asks what to train, and where. The answer's name is empty where the usual one is meant; escape gives none.

    Parameters
    ----------
    facts : Facts
        The project.
    request : TrainRequest
        What the form begins with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "Start", id="train_form.start", tooltip="Start the training"),
        Binding("escape", "dismiss", "Cancel", id="train_form.cancel", tooltip="Leave without training"),
        measure_key("train_form"),
        Binding("down", "app.focus_next", "Next", show=False, id="train_form.next", tooltip="Next field"),
        Binding("up", "app.focus_previous", "Before", show=False, id="train_form.before", tooltip="Field before"),
    ]

    def __init__(self, facts: Facts, request: TrainRequest) -> None:
        super().__init__()
        self._facts, self._begun = facts, request
        self._asked = 0
        self._timer: Timer | None = None
        self._fault: TomosegError | None = None
        self._guess_shown: Guess | None = None

    # What it looks like

    def compose(self) -> ComposeResult:
        """Make the fields."""
        with Vertical(id="train-form", classes="dialog") as box:
            box.border_subtitle = "F1 keys"
            yield Static(self._title(), classes="dialog-title")
            with VerticalScroll(id="form-body", can_focus=False):
                one = self._facts.features if len(self._facts.features) == 1 else ()
                yield list_features(self._facts, chosen=self._begun.features or one)
                yield _row(Label("Network"), self._networks(), Label("From"), self._earlier())
                yield _row(*self._field("epochs"), *self._field("learning_rate"), *self._field("device"))
                yield _row(*self._field("name"), Label("Where"), Where(self._facts))
                with Collapsible(title="more: held out, seed, batch, version, training set", id="form-more"):
                    yield _row(*self._field("validation"), *self._field("seed"), *self._field("batch"))
                    yield _row(*self._field("version"), Label("Trainset"), self._trainsets())
                yield Static("", id="form-plan", markup=False)
            yield Measurer(self._facts.project)
            with Horizontal(id="form-buttons"):
                yield Button("Start (ctrl+s)", id="start", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="cancel", compact=True)

    def _title(self) -> str:
        start = self._begun.made_from
        return f"Train on from {start}, at a tenth of its learning rate" if start else "Train a network"

    def _networks(self) -> Select[str]:
        options = [("default", "default"), *((name, name) for name in sorted(NETWORKS))]
        return Select(options, value=self._begun.network, allow_blank=False, compact=True, id="network")

    def _earlier(self) -> Select[str]:
        options = [("nothing", ""), *((card.name, card.name) for card in self._facts.networks)]
        return Select(options, value=self._begun.made_from or "", allow_blank=False, compact=True, id="made_from")

    def _trainsets(self) -> Select[str]:
        return Select([_MADE_NOW], value="", allow_blank=False, compact=True, id="trainset")

    def _field(self, name: str) -> tuple[Label, Input]:
        title, placeholder = _FIELDS[name]
        value = getattr(self._begun, name)
        text = "" if value is None else str(value)
        return Label(title), Input(text, placeholder=placeholder, compact=True, id=name)

    def on_mount(self) -> None:
        """Let the features have the focus, and look at the tiles."""
        self.query_one(FeatureList).focus()
        self._read_trainsets()
        self._look_soon()

    @work(thread=True, group="trainsets")
    def _read_trainsets(self) -> None:
        folder = self._facts.project.layout.trainsets
        self.post_message(TrainsetsRead(sorted(path.stem for path in folder.glob("[!.]*.h5"))))

    @on(TrainsetsRead)
    def offer_trainsets(self, event: TrainsetsRead) -> None:
        """Offer the training sets that were built before."""
        self.query_one("#trainset", Select).set_options([_MADE_NOW, *((name, name) for name in event.names)])

    # What it says

    @on(Input.Changed)
    @on(Select.Changed)
    @on(FeatureList.Changed)
    def _look_soon(self) -> None:
        """Look at the tiles once nobody types."""
        self._asked += 1
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SETTLE_SECONDS, self._look)

    def _look(self) -> None:
        try:
            request = self.request()
        except TomosegError as fault:
            self.post_message(Guessed(self._asked, fault))
            return
        measured, in_slurm = dict(self.query_one(Measurer).paces), self.query_one(Where).way.in_slurm
        self._guess(self._asked, request, measured, in_slurm=in_slurm)

    @work(thread=True, exclusive=True, group="guess")
    def _guess(self, number: int, request: TrainRequest, measured: dict[str, Pace], *, in_slurm: bool) -> None:
        try:
            outcome: Guess | TomosegError = guess_training(self._facts, request, measured, in_slurm=in_slurm)
        except TomosegError as fault:
            outcome = fault
        except OSError as fault:
            outcome = UsageError(f"{fault.strerror or fault}: {fault.filename}.", "Check the tomograms.")
        self.post_message(Guessed(number, outcome))

    @on(Guessed)
    def show_guess(self, event: Guessed) -> None:
        """Say what the training would be, or what keeps it from being."""
        if event.number != self._asked:
            return
        self._fault = event.outcome if isinstance(event.outcome, TomosegError) else None
        self._guess_shown = event.outcome if isinstance(event.outcome, Guess) else None
        self._say()
        if self._guess_shown is not None:
            self._show_usual(self._guess_shown)

    def _say(self) -> None:
        plan, guess, measurer = self.query_one("#form-plan", Static), self._guess_shown, self.query_one(Measurer)
        if guess is not None:
            state = measurer.words(measured=guess.cost.measured)
            plan.update("\n".join(in_words(guess, self.query_one("#device", Input).value or "cpu", state)))
        elif self._fault is not None:
            state = measurer.words(measured=True)
            plan.update(Text.assemble((f"! {self._fault.fault} ", "bold"), f"{self._fault.fix} {state}"))

    def _show_usual(self, guess: Guess) -> None:
        """Let empty fields tell what will be taken."""
        self.query_one("#name", Input).placeholder = guess.name
        settings = guess.plan.settings
        self.query_one("#epochs", Input).placeholder = f"{settings.epochs}"
        self.query_one("#learning_rate", Input).placeholder = f"{settings.learning_rate:g}"
        self.query_one("#batch", Input).placeholder = f"{settings.batch}"

    def action_measure(self) -> None:
        """Measure how long it takes."""
        try:
            asked = msgspec.to_builtins(self.request())
        except TomosegError:
            self.app.bell()
            return
        self.query_one(Measurer).measure(lambda: [("train", asked)])

    @on(Measurer.Turned)
    def take_measurement(self) -> None:
        """Say that it is measured, and then what has come of it."""
        self._say()
        if not self.query_one(Measurer).busy:
            self._look_soon()

    # What is answered

    def commands(self) -> list[list[str]]:
        """Return the command that starts the same."""
        return [[*train_words(self.request()), *self.query_one(Where).way.words]]

    def request(self) -> TrainRequest:
        """Return what is asked for.

        Raises
        ------
        UsageError
            If a field holds no number, or the device is none.
        """
        trainset, made_from = self._choice("trainset"), self._choice("made_from")
        device = self._text("device") or "cpu"
        if not _DEVICE.fullmatch(device):
            raise UsageError(f"There is no device {device!r}.", "Write cpu, gpu, or gpu:N with N from 0.")
        return TrainRequest(
            name=self._text("name"),
            trainset=trainset,
            features=() if trainset else self._features(made_from),
            network=self._choice("network") or "default",
            made_from=made_from,
            epochs=self._number("epochs", int),
            learning_rate=self._number("learning_rate", float),
            batch=self._number("batch", int),
            device=device,
            seed=self._number("seed", int),
            validation=self._number("validation", float),
            version=self._text("version") or None,
        )

    def _features(self, made_from: str | None) -> tuple[str, ...]:
        """Return the features chosen, in the order of the network that it starts from."""
        chosen = self.query_one(FeatureList).chosen
        earlier = self._facts.network(made_from)
        order = [*earlier.features] if earlier is not None and set(earlier.features) == set(chosen) else []
        return tuple(order or [feature for feature in self._facts.features if feature in chosen])

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _choice(self, name: str) -> str | None:
        value = self.query_one(f"#{name}", Select).value
        return value if isinstance(value, str) and value else None

    def _number(self, name: str, kind: Callable[[str], Number]) -> Number | None:
        text = self._text(name)
        try:
            return kind(text) if text else None
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise UsageError(f"{_FIELDS[name][0]} is {text!r}.", f"Write {wanted}, or nothing for the usual.") from None

    def action_start(self) -> None:
        """Answer, unless something is in the way."""
        try:
            request = self.request()
        except TomosegError as fault:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        if self._fault is not None:
            self.notify(self._fault.fix, title=self._fault.fault, severity="error")
            return
        self.dismiss((request, self.query_one(Where).way))

    @on(Button.Pressed)
    def press(self, event: Button.Pressed) -> None:
        """Answer by enter or mouse."""
        if event.button.id == "start":
            self.action_start()
        else:
            self.dismiss(None)

    @on(Input.Submitted)
    def go_on(self) -> None:
        """Go to the next field."""
        self.focus_next()


def _row(*widgets: Any) -> Horizontal:
    return Horizontal(*widgets, classes="form-row")


def train_words(request: TrainRequest) -> list[str]:
    """Return the arguments of the command that starts this training."""
    options: dict[str, object] = {
        "--trainset": request.trainset,
        "--name": request.name or None,
        "--network": None if request.network == "default" else request.network,
        "--from": request.made_from,
        "--epochs": request.epochs,
        "--learning-rate": request.learning_rate,
        "--batch": request.batch,
        "--device": None if request.device == "cpu" else request.device,
        "--seed": request.seed,
        "--validation": request.validation,
        "--version": request.version,
    }
    words = ["train"]
    for feature in request.features:
        words += ["--feature", feature]
    for option, value in options.items():
        if value is not None:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    return words
