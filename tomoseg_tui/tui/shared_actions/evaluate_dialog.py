"""Ask what is scored against which truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Input, Select

from tomoseg_tui.errors import UsageError
from tomoseg_tui.io.formats import KNOWN_SUFFIXES
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.widgets.path_input import PathInput

HINT = (
    "The truth is a label volume on the same grid: a file, or a name of this project such as TOMOGRAM/NAME. "
    "A map counts above its threshold for each label of the truth; labels are compared number by number."
)


@dataclass(frozen=True)
class EvaluateWish:
    """What is scored, and how."""

    predicted: str
    truth: str
    """A name or a file."""
    labels: tuple[int, ...]
    threshold: str | None = None
    z: str | None = None


class Evaluate(Form[EvaluateWish]):
    """Prediction, truth, labels, threshold and slices.

    Parameters
    ----------
    names : sequence of str
        Maps and label volumes that may be meant, the likeliest first.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("Score against the truth", do="Score", hint=HINT)
        self._names = names

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        options = [(name, name) for name in self._names]
        yield self.row("Predicted", Select(options, value=self._names[0], allow_blank=False, compact=True, id="volume"))
        yield self.row("Truth", PathInput(KNOWN_SUFFIXES, placeholder="file or name; tab completes", id="truth"))
        yield self.row("Labels", Input("1", placeholder="such as 1 2", compact=True, id="labels"))
        yield self.row("Threshold", Input(placeholder="for maps: 0 to 1; the card's", compact=True, id="threshold"))
        yield self.row("Slices", Input(placeholder="all that is filled, or A:B without B", compact=True, id="z"))

    def on_mount(self) -> None:
        """Let the truth be typed at once."""
        self.query_one("#truth", Input).focus()

    def read(self) -> EvaluateWish:
        """Return what is wished for."""
        words = self.typed("labels").replace(",", " ").split()
        if not words or not all(word.isdecimal() for word in words):
            raise UsageError("No label is named.", "Give numbers of the truth's labels, such as 1 2.")
        if not self.typed("truth"):
            raise UsageError("No truth is named.", "Give a file or a name.")
        volume = str(self.query_one("#volume", Select).value)
        labels = tuple(dict.fromkeys(int(word) for word in words))
        truth = str(Path(self.typed("truth")).expanduser())
        return EvaluateWish(volume, truth, labels, self.typed("threshold") or None, self.typed("z") or None)
