"""The keys of the Train tab for training sets: build one under a name of its own, look at those there are."""

from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.io.trainset_file import TrainsetSummary
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.train.build_trainset_dialog import BuildTrainsetDialog, BuildTrainsetRequest
from tomoseg_tui.tui.train.requirements import snapshot_with_features
from tomoseg_tui.tui.train.trainset_text import detail_lines, summary_line
from tomoseg_tui.workflow.training.trainset import build_trainset, trainset_summaries


class TrainsetActions(Tab):
    """A tab in which training sets are built and looked at."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "build_set", "Build set", show=False, id="train.build_set", tooltip="Build a named training set"),
        Binding("T", "sets", "Training sets", show=False, id="train.sets", tooltip="Look at the training sets"),
    ]

    @dataclass
    class TrainsetBuilt(Message):
        """A training set has been built."""

        summary: TrainsetSummary

    @dataclass
    class TrainsetListLoaded(Message):
        """The training sets have been read, or there is a fault."""

        summaries: list[TrainsetSummary]
        fault: TomosegError | None = None

    def action_build_set(self) -> None:
        """Ask what a training set is to hold, and build it."""
        snapshot = snapshot_with_features(self)
        if snapshot is not None:
            self.app.push_screen(BuildTrainsetDialog(snapshot), self._build_set)

    def _build_set(self, request: BuildTrainsetRequest | None) -> None:
        if request is None:
            return
        project = self.tomoseg.project

        def build() -> None:
            self.post_message(self.TrainsetBuilt(build_trainset(project, request.name, request.request)))

        self.tomoseg.run_in_thread("", request.argv(), build)

    @on(TrainsetBuilt)
    def show_built_set(self, event: TrainsetBuilt) -> None:
        """Say what the set holds."""
        self._show_set(event.summary)

    def _show_set(self, summary: TrainsetSummary) -> None:
        self.app.push_screen(
            ReportDialog(f"The training set {summary.name}", summary_line(summary), detail_lines(summary))
        )

    def action_sets(self) -> None:
        """Look at the training sets."""
        self._read_sets(self.tomoseg.project)

    @work(thread=True, exclusive=True, group="sets")
    def _read_sets(self, project: Project) -> None:
        try:
            self.post_message(self.TrainsetListLoaded(trainset_summaries(project)))
        except TomosegError as fault:
            self.post_message(self.TrainsetListLoaded([], fault))

    @on(TrainsetListLoaded)
    def offer_sets(self, event: TrainsetListLoaded) -> None:
        """List the sets; the one taken is told in full."""
        if event.fault is not None:
            self.notify(event.fault.fix, title=event.fault.fault, severity="error")
            return
        if not event.summaries:
            self.notify("There is no training set yet; b builds one.", severity="warning")
            return
        by_name = {summary.name: summary for summary in event.summaries}
        choices = [(name, summary_line(summary)) for name, summary in by_name.items()]
        self.app.push_screen(
            Pick("Training sets", choices), lambda name: self._show_set(by_name[name]) if name in by_name else None
        )
