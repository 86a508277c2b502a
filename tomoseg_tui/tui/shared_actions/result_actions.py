"""Keys of tabs that show maps and label volumes: into files, as pictures, and scored against the truth."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.shared_actions.evaluate_dialog import Evaluate, EvaluateWish
from tomoseg_tui.tui.shared_actions.file_actions import ExportKeys, PictureKeys
from tomoseg_tui.workflow.evaluate import evaluate


class ResultKeys(ExportKeys, PictureKeys):
    """A tab of maps and label volumes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "evaluate", "Score", show=False, id="files.evaluate", tooltip="Score a map or labels by a truth"),
    ]

    def action_evaluate(self) -> None:
        """Ask for the truth and score a volume against it."""
        names = self.volume_names()
        if names:
            self.app.push_screen(Evaluate(names), self._evaluate)
        else:
            self.notify("There is no map and no label volume here to score.", severity="warning")

    def _evaluate(self, wish: EvaluateWish | None) -> None:
        if wish is not None:
            project = self.tomoseg.project
            self.notify(f"Scoring {wish.predicted} ...", timeout=3)
            self.ask(lambda: _scores(project, wish))


def _scores(project: Project, wish: EvaluateWish) -> tuple[str, list[str]]:
    """Return what was compared, and a line a label; what should be known stands below."""
    remarks: list[str] = []
    counts = evaluate(
        project, wish.predicted, wish.truth, wish.labels, threshold=wish.threshold, z=wish.z, remark=remarks.append
    )
    lines = [
        f"label {label}: Dice {c.dice:.3f}, IoU {c.iou:.3f}, precision {c.precision:.3f}, recall {c.recall:.3f}"
        for label, c in counts.items()
    ]
    return f"{wish.predicted} against {wish.truth}", lines + remarks
