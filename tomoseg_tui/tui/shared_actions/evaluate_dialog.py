"""Ask what is scored against which truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Input, Select

from tomoseg_tui.errors import UsageError
from tomoseg_tui.io.formats import SUPPORTED_SUFFIXES
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.widgets.path_input import PathInput

HINT = (
    "The truth is a label volume on the same grid: a file, or a name of this project such as TOMOGRAM/NAME. "
    "A map counts above its threshold for each label of the truth; labels are compared number by number."
)


@dataclass(frozen=True)
class EvaluationRequest:
    """What is scored, and how."""

    predicted: str
    truth: str
    """A name or a file."""
    labels: tuple[int, ...]
    threshold: str | None = None
    z: str | None = None


class EvaluateDialog(Form[EvaluationRequest]):
    """Prediction, truth, labels, threshold and slices.

    Parameters
    ----------
    names : sequence of str
        Maps and label volumes that may be meant, the likeliest first.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("Score against the truth", submit_label="Score", hint=HINT)
        self._names = names

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        options = [(name, name) for name in self._names]
        yield self.row("Predicted", Select(options, value=self._names[0], allow_blank=False, compact=True, id="volume"))
        yield self.row("Truth", PathInput(SUPPORTED_SUFFIXES, placeholder="file or name; tab completes", id="truth"))
        yield self.row("Labels", Input("1", placeholder="such as 1 2", compact=True, id="labels"))
        yield self.row("Threshold", Input(placeholder="for maps: 0 to 1; the card's", compact=True, id="threshold"))
        yield self.row("Slices", Input(placeholder="all that is filled, or A:B without B", compact=True, id="z"))

    def on_mount(self) -> None:
        """Let the truth be typed at once."""
        self.query_one("#truth", Input).focus()

    def read(self) -> EvaluationRequest:
        """Return what is wished for."""
        label_texts = self.field_text("labels").replace(",", " ").split()
        if not label_texts or not all(label_text.isdecimal() for label_text in label_texts):
            raise UsageError("No label is named.", "Give numbers of the truth's labels, such as 1 2.")
        if not self.field_text("truth"):
            raise UsageError("No truth is named.", "Give a file or a name.")
        volume = str(self.query_one("#volume", Select).value)
        labels = tuple(dict.fromkeys(int(label_text) for label_text in label_texts))
        truth = str(Path(self.field_text("truth")).expanduser())
        return EvaluationRequest(
            volume, truth, labels, self.field_text("threshold") or None, self.field_text("z") or None
        )
