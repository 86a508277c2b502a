"""What an app does with recipes and jobs: run them in threads, write the history, tell how they went."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from textual import on, work
from textual.worker import get_current_worker

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.launch import launch
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import remember
from tomoseg_tui.tui.canvas.frame_pacing import PacedApp
from tomoseg_tui.tui.messages import RecipeDone, RecipeFailed
from tomoseg_tui.tui.run_location import Way
from tomoseg_tui.tui.state.watcher import words_of


class RecipeApp(PacedApp):
    """An app on a project, which changes it by recipes only.

    Parameters
    ----------
    project : Project
        What is changed.
    """

    def __init__(self, project: Project) -> None:
        super().__init__()
        self.project = project

    @abstractmethod
    def look_now(self) -> None:
        """Look at the project at once, since it may have changed."""

    def carry_out(self, title: str, words: list[str], recipe: Callable[[], Any]) -> None:
        """Run a recipe in a thread, write it into the history, and tell how it went.

        Parameters
        ----------
        title : str
            What is being done, for people.
        words : list of str
            Arguments of the command that does the same.
        recipe : callable
            Called in a thread; its result travels in `RecipeDone`, a `TomosegError` in `RecipeFailed`.
        """
        self._carry_out(title, words, recipe)

    @work(thread=True, group="recipes")
    def _carry_out(self, title: str, words: list[str], recipe: Callable[[], Any]) -> None:
        try:
            self.project.refuse_newer()
            result = recipe()
            remember(self.project.layout.history, words)
        except (TomosegError, OSError) as fault:
            self._tell(RecipeFailed(*words_of(fault)))
        else:
            self._tell(RecipeDone(title, result, tuple(getattr(result, "remarks", ()))))

    def _tell(self, message: RecipeDone | RecipeFailed) -> None:
        if not get_current_worker().is_cancelled:
            self.post_message(message)

    def start_job(
        self,
        words: list[str],
        prepare: Callable[[], tuple[str, str, dict[str, Any]]],
        give_up: Callable[[str], object] = lambda _name: None,
        *,
        way: Way | None = None,
    ) -> None:
        """Check a job in a thread and start it.

        Parameters
        ----------
        words : list of str
            Arguments of the command that does the same.
        prepare : callable
            Called in a thread; returns kind, name and what is asked, or raises `TomosegError`.
        give_up : callable
            Told the name if the job does not come up: takes back what `prepare` has done.
        way : Way or None
            Where it computes; as the project does it if None.
        """

        def begin() -> str:
            kind, name, asked = prepare()
            try:
                settings = Project.open(self.project.layout.root).settings  # they may have been edited since
                slurm = settings.usual_slurm if way is None else way.slurm(settings)
                at_once = way is not None and way.at_once
                job = launch(self.project.layout, kind, name, asked, at_once=at_once, slurm=slurm)
            except (TomosegError, OSError):
                give_up(name)
                raise
            return f"Job {job.id}: {kind} {name}"

        self.carry_out("started", words, begin)

    @on(RecipeDone)
    def tell_done(self, event: RecipeDone) -> None:
        """Say that a recipe has ended, and look what it has changed."""
        words = event.result if isinstance(event.result, str) else event.title
        if words:
            self.notify(f"{words}", timeout=4)
        for remark in event.remarks:
            self.notify(remark, severity="warning", timeout=10)
        self.look_now()

    @on(RecipeFailed)
    def tell_fault(self, event: RecipeFailed) -> None:
        """Show what is wrong and what to do."""
        self.notify(event.fix or " ", title=event.fault, severity="error", timeout=15)
        self.look_now()

    def notify(self, message: str, **how: Any) -> None:
        """Show a notice as plain text: faults and file names may hold brackets."""
        super().notify(message, **{**how, "markup": False})
