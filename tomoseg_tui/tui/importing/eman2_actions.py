"""What the Import tab does with a project of EMAN2: brings it in, and tells what came and what was left."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on
from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import append_command
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.path_completion import path_argument
from tomoseg_tui.tui.tab_base import Tab

if TYPE_CHECKING:
    from tomoseg_tui.workflow.eman2.import_plan import Eman2ImportRequest
    from tomoseg_tui.workflow.eman2.import_project import Eman2ImportResult
    from tomoseg_tui.workflow.eman2.project import Eman2Project


class Eman2ImportActions(Tab):
    """A tab from which EMAN2 projects are brought in."""

    @dataclass
    class Eman2Imported(Message):
        """An EMAN2 project has come in."""

        result: "Eman2ImportResult"

    def import_eman2(
        self, request: "Eman2ImportRequest", on_progress: Callable[[float], None], on_end: Callable[[], object]
    ) -> None:
        """Bring a project in, in a thread.

        Parameters
        ----------
        request : EmanRequest
            What is wished for.
        on_progress : callable
            Told how much is done, from the thread.
        on_end : callable
            Told that it has ended, well or not.
        """
        project = self.tomoseg.project
        argv = request.argv(path_argument(request.folder, project.layout.root))

        def task() -> str:
            try:
                result = _run_import(project, request, argv, on_progress)
            finally:
                on_end()
            self.post_message(self.Eman2Imported(result))
            return result.summary

        on_progress(0.0)
        self.tomoseg.run_in_thread("", argv, task)

    @on(Eman2Imported)
    def show_import_result(self, event: Eman2Imported) -> None:
        """List what a user should know, if there is something."""
        lines = [*event.result.remarks, *event.result.skipped]
        if lines:
            self.app.push_screen(ReportDialog("The EMAN2 project", event.result.summary, lines))


def _run_import(
    project: Project, request: "Eman2ImportRequest", argv: list[str], on_progress: Callable[[float], None]
) -> "Eman2ImportResult":
    """Look again, plan and carry out; what has come in before a fault is written into the history."""
    from tomoseg_tui.workflow.eman2.import_plan import plan_import  # noqa: PLC0415
    from tomoseg_tui.workflow.eman2.import_project import Eman2ImportResult, import_eman2_project  # noqa: PLC0415  # few come from EMAN2
    from tomoseg_tui.workflow.eman2.project import scan_project  # noqa: PLC0415

    source_project: Eman2Project = scan_project(request.folder)
    result = Eman2ImportResult()
    try:
        import_eman2_project(project, plan_import(project, source_project, request), on_progress, result=result)
    except TomosegError:
        if result.has_changed:
            append_command(project.layout.history, argv)
        raise
    return result
