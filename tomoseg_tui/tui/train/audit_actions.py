"""The key of the Train tab that finds tiles whose label looks wrong."""

from abc import abstractmethod
from typing import ClassVar

from textual.binding import Binding, BindingType

from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.train.audit_dialog import AuditDialog, TileToAnnotate, audit_argv, audit_preparation
from tomoseg_tui.tui.train.runs import Run
from tomoseg_tui.workflow.audit.audit_request import AuditRequest, release_audit


class AuditActions(Tab):
    """A tab with runs, the tiles of which are audited."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "a",
            "audit",
            "Audit",
            show=False,
            id="train.audit",
            tooltip="List the tiles of this run whose label looks wrong",
        ),
    ]

    @property
    @abstractmethod
    def run(self) -> Run | None:
        """The run under the cursor."""

    def action_audit(self) -> None:
        """Show what is suspected among the tiles of the run under the cursor."""
        run, snapshot = self.run, self.tomoseg.snapshot
        if run is None or run.card is None or snapshot is None:
            self.notify("Choose a run with a finished epoch: its tiles are audited.", severity="warning")
            return
        self.app.push_screen(AuditDialog(snapshot, run.card), self._handle_answer)

    async def _handle_answer(self, answer: TileToAnnotate | AuditRequest | None) -> None:
        if isinstance(answer, AuditRequest):
            project = self.tomoseg.project
            argv, prepare = audit_argv(answer), audit_preparation(project, answer)
            self.tomoseg.start_job(argv, prepare, lambda name: release_audit(project, name))
        elif answer is not None:
            await self._annotate(answer)

    async def _annotate(self, target: TileToAnnotate) -> None:
        """Go to a tile in Annotate."""
        from tomoseg_tui.tui.annotate.annotate_tab import AnnotateTab  # noqa: PLC0415  # a tab wakes when it is opened

        await self.tomoseg.action_open("annotate")
        tab = self.tomoseg.open_tab
        if isinstance(tab, AnnotateTab) and not tab.show_tile(target.tile, target.feature):
            self.notify(
                f"{target.tile} is not in the list: it was removed, or the filter hides it.", severity="warning"
            )
