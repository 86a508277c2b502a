"""Ask what a training set of its own name is to hold."""

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.widgets import Input

from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import UsageError
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.feature_list import FeatureList, make_feature_list
from tomoseg_tui.workflow.training.trainset import TrainsetRequest

HINT = (
    "A set keeps its tiles as they are now, so that trainings can be compared; t then offers it under more. "
    "Without one a training takes the tiles as they are at its start."
)
DEFAULTS = TrainsetRequest(())
"""The settings that the command has too."""


@dataclass(frozen=True)
class BuildTrainsetRequest:
    """A training set that is to be built."""

    name: str
    request: TrainsetRequest

    def argv(self) -> list[str]:
        """Return the arguments of the command that builds the same."""
        argv = ["trainset", "build", self.name]
        for feature in self.request.features:
            argv += ["--feature", feature]
        if self.request.validation != DEFAULTS.validation:
            argv += ["--validation", f"{self.request.validation:g}"]
        return argv + (["--version", self.request.version] if self.request.version else [])


class BuildTrainsetDialog(Form[BuildTrainsetRequest]):
    """Features, name, share and version.

    Parameters
    ----------
    facts : Facts
        The project.
    """

    def __init__(self, snapshot: ProjectSnapshot) -> None:
        super().__init__("Build a training set", submit_label="Build", hint=HINT)
        self._snapshot = snapshot

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        features = self._snapshot.features
        yield make_feature_list(self._snapshot, chosen=features if len(features) == 1 else ())
        yield self.row("Name", Input(placeholder="such as tubes_1", compact=True, id="set-name"))
        yield self.row(
            "Held out", Input(placeholder=f"{DEFAULTS.validation:g} of the tiles", compact=True, id="set-share")
        )
        yield self.row("Version", Input(placeholder="tag; as placed", compact=True, id="set-version"))

    def on_mount(self) -> None:
        """Let the features have the focus."""
        self.query_one(FeatureList).focus()

    def read(self) -> BuildTrainsetRequest:
        """Return what is wished for."""
        chosen = self.query_one(FeatureList).chosen
        if not chosen:
            raise UsageError("No feature is chosen.", "Choose one with space.")
        name = check_name(self.field_text("set-name"), "training set")
        return BuildTrainsetRequest(
            name, TrainsetRequest(chosen, self._share(), self.field_text("set-version") or None)
        )

    def _share(self) -> float:
        typed = self.field_text("set-share")
        try:
            share = float(typed) if typed else DEFAULTS.validation
        except ValueError:
            share = -1.0
        if not 0 <= share <= 0.5:
            raise UsageError(f"{typed!r} is no share to hold out.", "Give 0 to 0.5; 0.2 is usual.")
        return share
