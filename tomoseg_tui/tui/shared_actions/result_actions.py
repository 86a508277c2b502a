"""Keys of tabs that show maps and label volumes: into files, as pictures, and scored against the truth."""

from textual.binding import Binding

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.shared_actions.evaluate_dialog import EvaluateDialog, EvaluationRequest
from tomoseg_tui.tui.shared_actions.file_actions import EXPORT_BINDING, PICTURE_BINDING, ExportActions, PictureActions
from tomoseg_tui.workflow.evaluate import evaluate

RESULT_BINDINGS = (
    PICTURE_BINDING,
    EXPORT_BINDING,
    Binding("e", "evaluate", "Score", show=False, id="files.evaluate", tooltip="Score a map or labels by a truth"),
)


class ResultActions(ExportActions, PictureActions):
    """A tab of maps and label volumes: `RESULT_BINDINGS`."""

    def action_evaluate(self) -> None:
        """Ask for the truth and score a volume against it."""
        names = self.volume_names()
        if names:
            self.app.push_screen(EvaluateDialog(names), self._score)
        else:
            self.notify("There is no map and no label volume here to score.", severity="warning")

    def _score(self, request: EvaluationRequest | None) -> None:
        if request is not None:
            project = self.tomoseg.project
            self.notify(f"Scoring {request.predicted} ...", timeout=3)
            self.tomoseg.run_in_thread("", None, lambda: _format_scores(project, request), self._show_scores)

    def _show_scores(self, scores: tuple[str, list[str]]) -> None:
        self.app.clear_notifications()
        self.app.push_screen(ReportDialog("Scores", *scores))


def _format_scores(project: Project, request: EvaluationRequest) -> tuple[str, list[str]]:
    """Return what was compared, and a line for each label; remarks come below."""
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
