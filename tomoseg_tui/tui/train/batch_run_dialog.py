"""Ask for a whole run: what is learned, on which tomograms it is applied and merged."""

from textual.app import ComposeResult
from textual.widgets import Input, Static

from tomoseg_tui.errors import UsageError
from tomoseg_tui.tui.dialogs.base import CommandDialog
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.run_location import Way
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.widgets.feature_list import FeatureList, list_features
from tomoseg_tui.tui.widgets.run_location_select import Where
from tomoseg_tui.tui.widgets.tick import Tick
from tomoseg_tui.workflow.batch_run import RunRequest

HINT = (
    "Trains a network a feature, applies each to every tomogram, and merges the maps of each: jobs that follow one "
    "another. One that fails stops only what builds on it."
)
USUAL = RunRequest(())
"""The settings that the command has too."""


def run_words(request: RunRequest) -> list[str]:
    """Return the arguments of the command that does the same."""
    words = ["run"]
    for option, values in (("--feature", request.features), ("--tomogram", request.tomograms)):
        words += [word for value in values for word in (option, value)]
    words += [] if request.tomograms else ["--all"]
    words += ["--name", request.name] if request.name else []
    words += ["--together"] if request.together else []
    for option, value, usual in (
        ("--network", request.network, USUAL.network),
        ("--epochs", request.epochs, USUAL.epochs),
        ("--device", request.device, USUAL.device),
        ("--seed", request.seed, USUAL.seed),
        ("--labels", request.labels, USUAL.labels),
    ):
        words += [] if value == usual else [option, str(value)]
    return words


class RunForm(Form[tuple[RunRequest, Way]], CommandDialog[tuple[RunRequest, Way]]):
    """Features, tomograms, and how they are learned.

    Parameters
    ----------
    facts : Facts
        The project.
    """

    def __init__(self, facts: Facts) -> None:
        super().__init__("Train, apply, merge", do="Start", hint=HINT)
        self._facts = facts

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        features = self._facts.features
        yield list_features(self._facts, chosen=features if len(features) == 1 else ())
        yield self.row("Tomograms", Input(placeholder="all that fit, or names", compact=True, id="run-tomograms"))
        yield self.row("Name", Input(placeholder="features and a number", compact=True, id="run-name"))
        yield self.row("Labels", Input(placeholder=USUAL.labels, compact=True, id="run-labels"))
        yield self.row(
            "Network",
            Input(placeholder=USUAL.network, compact=True, id="run-network"),
            Static("Device", classes="form-label"),
            Input(placeholder="cpu, gpu or gpu:N", compact=True, id="run-device"),
        )
        yield self.row(
            "Epochs",
            Input(placeholder="as usual", compact=True, id="run-epochs"),
            Static("Seed", classes="form-label"),
            Input(placeholder="the project's", compact=True, id="run-seed"),
        )
        yield self.row("Where", Where(self._facts))
        yield Tick("one network for all features", compact=True, id="run-together")

    def on_mount(self) -> None:
        """Let the features have the focus."""
        self.query_one(FeatureList).focus()

    def commands(self) -> list[list[str]]:
        """Return the command that starts the same."""
        request, way = self.read()
        return [[*run_words(request), *way.words]]

    def read(self) -> tuple[RunRequest, Way]:
        """Return what is asked for, and where; whether it can be done is found out by a thread."""
        chosen = self.query_one(FeatureList).chosen
        if not chosen:
            raise UsageError("No feature is chosen.", "Choose one with space.")
        request = RunRequest(
            features=chosen,
            tomograms=tuple(self.typed("run-tomograms").replace(",", " ").split()),
            name=self.typed("run-name"),
            together=self.query_one("#run-together", Tick).value,
            network=self.typed("run-network") or USUAL.network,
            epochs=self._number("run-epochs"),
            device=self._device(),
            seed=self._number("run-seed"),
            labels=self.typed("run-labels") or USUAL.labels,
        )
        return request, self.query_one(Where).way

    def _number(self, name: str) -> int | None:
        text = self.typed(name)
        if text and not text.isdecimal():
            raise UsageError(f"{text!r} is no whole number.", "Write one, or nothing for the usual.")
        return int(text) if text else None

    def _device(self) -> str:
        text = self.typed("run-device") or USUAL.device
        kind, colon, number = text.partition(":")
        if text != "cpu" and (kind != "gpu" or (colon and not number.isdecimal())):
            raise UsageError(f"There is no device called {text!r}.", "Take cpu, gpu, or gpu:N with N from 0.")
        return text
