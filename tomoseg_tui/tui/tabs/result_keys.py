"""Keys of tabs that show volumes: write one into a file; score a map or label volume against the truth."""

from abc import abstractmethod
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.screens.evaluate import Evaluate, EvaluateWish
from tomoseg_tui.tui.screens.export_volume import ExportVolume, ExportWish
from tomoseg_tui.tui.screens.told import Told
from tomoseg_tui.tui.tabs.base import Tab
from tomoseg_tui.tui.watching import words_of
from tomoseg_tui.workflow.evaluating import evaluate
from tomoseg_tui.workflow.exporting import export_volume


class ExportKeys(Tab):
    """A tab whose volumes can be written into files."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "E", "export", "Export", show=False, id="volumes.export", tooltip="Write a volume into .mrc, .hdf or .tif"
        ),
    ]

    class Answered(Message):
        """A thread that changes nothing in the project has ended: what it has to say, and whether it went well."""

        def __init__(self, title: str, lines: list[str], fault: tuple[str, str] | None = None) -> None:
            super().__init__()
            self.title, self.lines, self.fault = title, lines, fault

    @abstractmethod
    def volume_names(self) -> list[str]:
        """Return the names of the volumes that are looked at, the likeliest first."""

    def action_export(self) -> None:
        """Ask for a file and write a volume into it."""
        names = self.volume_names()
        if names:
            self.app.push_screen(ExportVolume(names), self._export)
        else:
            self.notify("Nothing here can be exported yet.", severity="warning")

    def _export(self, wish: ExportWish | None) -> None:
        if wish is not None:
            self.notify(f"Writing {wish.path.name} ...", timeout=3)
            self._export_in_thread(self.tomoseg.project, wish)

    @work(thread=True, group="export")
    def _export_in_thread(self, project: Project, wish: ExportWish) -> None:
        path = wish.path.expanduser().absolute()
        try:
            export_volume(project, wish.name, path, force=wish.force)
        except (TomosegError, OSError) as fault:
            self.post_message(self.Answered("", [], words_of(fault)))
        else:
            self.post_message(self.Answered(f"{wish.name} is in {path}.", []))

    @on(Answered)
    def tell_answer(self, event: Answered) -> None:
        """Say how it went: at length where there is more than a line."""
        if event.fault is not None:
            self.notify(event.fault[1], title=event.fault[0], severity="error", timeout=15)
        elif event.lines:
            self.app.push_screen(Told("Scores", event.title, event.lines))
        else:
            self.notify(event.title)


class ResultKeys(ExportKeys):
    """A tab of maps and label volumes, which can be scored too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "e", "evaluate", "Score", show=False, id="volumes.evaluate", tooltip="Score a map or labels by the truth"
        ),
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
            self.notify(f"Scoring {wish.predicted} ...", timeout=3)
            self._evaluate_in_thread(self.tomoseg.project, wish)

    @work(thread=True, group="evaluate")
    def _evaluate_in_thread(self, project: Project, wish: EvaluateWish) -> None:
        remarks: list[str] = []
        try:
            counts = evaluate(
                project,
                wish.predicted,
                wish.truth,
                wish.labels,
                threshold=wish.threshold,
                z=wish.z,
                remark=remarks.append,
            )
        except (TomosegError, OSError) as fault:
            self.post_message(self.Answered("", [], words_of(fault)))
            return
        lines = [
            f"label {label}: Dice {c.dice:.3f}, IoU {c.iou:.3f}, precision {c.precision:.3f}, recall {c.recall:.3f}"
            for label, c in counts.items()
        ]
        self.post_message(self.Answered(f"{wish.predicted} against {wish.truth}", lines + remarks))
