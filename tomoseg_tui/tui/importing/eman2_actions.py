"""What the Import tab does with a project of EMAN2: brings it in, and tells what came and what was left."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on
from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import remember
from tomoseg_tui.tui.dialogs.report import Told
from tomoseg_tui.tui.path_completion import movable_word
from tomoseg_tui.tui.tab_base import Tab

if TYPE_CHECKING:
    from tomoseg_tui.workflow.eman2.import_plan import EmanRequest
    from tomoseg_tui.workflow.eman2.import_project import Brought
    from tomoseg_tui.workflow.eman2.project import EmanProject


class EmanImport(Tab):
    """A tab from which EMAN2 projects are brought in."""

    class EmanBrought(Message):
        """An EMAN2 project has come in."""

        def __init__(self, done: "Brought") -> None:
            super().__init__()
            self.done = done

    def bring_eman(
        self, request: "EmanRequest", on_progress: Callable[[float], None], on_end: Callable[[], object]
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
        words = request.words(movable_word(request.folder, project.layout.root))

        def recipe() -> str:
            try:
                done = _bring(project, request, words, on_progress)
            finally:
                on_end()
            self.post_message(self.EmanBrought(done))
            return done.words

        on_progress(0.0)
        self.tomoseg.carry_out("", words, recipe)

    @on(EmanBrought)
    def tell_brought(self, event: EmanBrought) -> None:
        """List what a user should know, if there is something."""
        lines = [*event.done.remarks, *event.done.left]
        if lines:
            self.app.push_screen(Told("The EMAN2 project", event.done.words, lines))


def _bring(
    project: Project, request: "EmanRequest", words: list[str], on_progress: Callable[[float], None]
) -> "Brought":
    """Look again, plan and carry out; what has come in before a fault is written into the history."""
    from tomoseg_tui.workflow.eman2.import_plan import plan_import  # noqa: PLC0415
    from tomoseg_tui.workflow.eman2.import_project import Brought, bring  # noqa: PLC0415  # few come from EMAN2
    from tomoseg_tui.workflow.eman2.project import look_at  # noqa: PLC0415

    found: EmanProject = look_at(request.folder)
    done = Brought()
    try:
        bring(project, plan_import(project, found, request), on_progress, done=done)
    except TomosegError:
        if done.has_changed:
            remember(project.layout.history, words)
        raise
    return done
