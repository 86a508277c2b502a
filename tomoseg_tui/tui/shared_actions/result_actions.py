"""Actions of tabs with maps and label volumes: export, pictures, scores against a ground truth, slice steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Select

from tomoseg_tui.commands.results import LABEL_PAIR
from tomoseg_tui.errors import UsageError
from tomoseg_tui.io.formats import SUPPORTED_SUFFIXES
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.shared_actions.file_actions import EXPORT_BINDING, PICTURE_BINDING, ExportActions, PictureActions
from tomoseg_tui.tui.widgets.path_input import PathInput
from tomoseg_tui.workflow.evaluate import evaluate

RESULT_BINDINGS = (
    PICTURE_BINDING,
    EXPORT_BINDING,
    Binding(
        "e",
        "evaluate",
        "Score",
        show=False,
        id="files.evaluate",
        tooltip="Score a map or labels against a ground truth",
    ),
)
_STEPS = {
    "left_square_bracket": ("z_down", -1, "One slice down"),
    "right_square_bracket": ("z_up", 1, "One slice up"),
    "left_curly_bracket": ("z_far_down", -10, "Ten slices down"),
    "right_curly_bracket": ("z_far_up", 10, "Ten slices up"),
}
HINT = (
    "The truth is a label volume on the same grid: a file, or a name in this project such as TOMOGRAM/NAME. "
    "A map counts above its threshold for each label of the truth; labels are compared number by number."
)


def slice_bindings(tab: str) -> list[Binding]:
    """Return the bindings of a tab with an action ``step``."""
    return [
        Binding(key, f"step({step})", description, show=False, id=f"{tab}.{name}", tooltip=description)
        for key, (name, step, description) in _STEPS.items()
    ]


@dataclass(frozen=True)
class EvaluationRequest:
    """What to score, and how."""

    predicted: str
    truth: str
    """A name or a file."""
    labels: dict[int, int]
    """Label in the prediction by label of the truth."""
    threshold: str | None = None
    z: str | None = None


class EvaluateDialog(Form[EvaluationRequest]):
    """Prediction, truth, labels, threshold and slices."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("Score against the truth", submit_label="Score", hint=HINT)
        self._names = names

    def rows(self) -> ComposeResult:
        """Make the rows of fields."""
        options = [(name, name) for name in self._names]
        yield self.row("Predicted", Select(options, value=self._names[0], allow_blank=False, compact=True, id="volume"))
        yield self.row("Truth", PathInput(SUPPORTED_SUFFIXES, placeholder="file or name; tab completes", id="truth"))
        yield self.row(
            "Labels", Input("1", placeholder="such as 1 2; 1=2: 1 is 2 in the prediction", compact=True, id="labels")
        )
        yield self.row("Threshold", Input(placeholder="for maps: 0 to 1; from the card", compact=True, id="threshold"))
        yield self.row("Slices", Input(placeholder="all filled slices, or A:B without B", compact=True, id="z"))

    def on_mount(self) -> None:
        self.query_one("#truth", Input).focus()

    def read(self) -> EvaluationRequest:
        """Return the request."""
        label_texts = self.field_text("labels").replace(",", " ").split()
        try:
            labels = dict(LABEL_PAIR.parse(label_text) for label_text in label_texts)
        except ValueError:
            labels = {}
        if not labels:
            raise UsageError("No label was given.", "Give numbers of the truth's labels, such as 1 2, or 1=2.")
        if not self.field_text("truth"):
            raise UsageError("No truth was given.", "Give a file or a name.")
        volume = str(self.query_one("#volume", Select).value)
        truth = str(Path(self.field_text("truth")).expanduser())
        return EvaluationRequest(
            volume, truth, labels, self.field_text("threshold") or None, self.field_text("z") or None
        )


class ResultActions(ExportActions, PictureActions):
    """A tab of maps and label volumes: `RESULT_BINDINGS`."""

    def action_evaluate(self) -> None:
        names = self.volume_names()
        if names:
            self.app.push_screen(EvaluateDialog(names), self._score)
        else:
            self.notify("There is no map or label volume to score.", severity="warning")

    def _score(self, request: EvaluationRequest | None) -> None:
        if request is not None:
            project = self.tomoseg.project
            self.notify(f"Scoring {request.predicted} ...", timeout=3)
            self.tomoseg.run_in_thread("", None, lambda: _format_scores(project, request), self._show_scores)

    def _show_scores(self, scores: tuple[str, list[str]]) -> None:
        self.app.clear_notifications()
        self.app.push_screen(ReportDialog("Scores", *scores))


def _format_scores(project: Project, request: EvaluationRequest) -> tuple[str, list[str]]:
    """Return what was compared, and a line for each label and each remark."""
    remarks: list[str] = []
    counts = evaluate(
        project,
        request.predicted,
        request.truth,
        request.labels,
        threshold=request.threshold,
        z=request.z,
        on_remark=remarks.append,
    )
    lines = [
        f"label {label}: Dice {counts_for_label.dice:.3f}, IoU {counts_for_label.iou:.3f}, precision "
        f"{counts_for_label.precision:.3f}, recall {counts_for_label.recall:.3f}"
        for label, counts_for_label in counts.items()
    ]
    return f"{request.predicted} against {request.truth}", lines + remarks
