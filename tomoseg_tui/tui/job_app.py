"""What tabs need of the app: the project snapshot, tasks in threads, jobs, and the other tabs."""

import contextlib
import threading
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from textual import on, work
from textual.widget import Widget
from textual.worker import get_current_worker

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.launch import launch
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import append_command
from tomoseg_tui.tui.canvas.frame_pacing import FramePacerApp
from tomoseg_tui.tui.dialogs.form_fields import RunLocation
from tomoseg_tui.tui.foreign_text import show_foreign_text_literally
from tomoseg_tui.tui.messages import TaskDone, TaskFailed
from tomoseg_tui.tui.session import TuiSession
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.state.watcher import error_texts


class JobApp(FramePacerApp):
    """An app on a project, which changes it by tasks and jobs only. It imports no tab, so that tabs may import it."""

    def __init__(self, project: Project, session: TuiSession) -> None:
        show_foreign_text_literally()
        super().__init__()
        self.project = project
        self.session = session
        self.snapshot: ProjectSnapshot | None = None
        """The state of the project; None until it has been read once."""
        self._turn = threading.Lock()

    @property
    @abstractmethod
    def open_tab(self) -> Widget | None:
        """The tab that is shown."""

    @abstractmethod
    async def action_open(self, name: str) -> None:
        """Open a tab by its id."""

    @abstractmethod
    def refresh_snapshot(self) -> None:
        """Read the project now, since it may have changed."""

    def run_in_thread(
        self,
        title: str,
        argv: list[str] | None,
        task: Callable[[], Any],
        on_done: Callable[[Any], object] | None = None,
        *,
        is_long: bool = False,
    ) -> None:
        """Run a task in a thread, record it in the history, and show its result.

        Tasks that change the project run one after another: a training that is started during an import of masks has
        all of them, and the history has them in this order.

        Parameters
        ----------
        title : str
            Shown when the task is done, unless its result is a text, which is shown instead. Empty shows nothing.
        argv : list of str or None
            Arguments of the equivalent command. None if the task changes nothing in the project: then it
            is not recorded.
        task : callable
            Called in a thread. A `TomosegError` is shown.
        on_done : callable, optional
            Called with the result on the UI thread. Without it, the ``remarks`` of the result are shown, if any.
        is_long : bool
            Other tasks do not wait for it, nor it for them.
        """
        self._run_task(title, argv, task, on_done, contextlib.nullcontext() if is_long or argv is None else self._turn)

    @work(thread=True, group="tasks")
    def _run_task(
        self,
        title: str,
        argv: list[str] | None,
        task: Callable[[], Any],
        on_done: Callable[[Any], object] | None,
        turn: AbstractContextManager[Any],
    ) -> None:
        try:
            with turn:
                if argv is not None:
                    self.project.require_current_format()
                result = task()
                if argv is not None:
                    append_command(self.project.layout.history, argv)
        except (TomosegError, OSError) as fault:
            self._post_result(TaskFailed(*error_texts(fault)))
        else:
            self._post_result(TaskDone(title, result, on_done))

    def _post_result(self, message: TaskDone | TaskFailed) -> None:
        if not get_current_worker().is_cancelled:
            self.post_message(message)

    def start_job(
        self,
        argv: list[str],
        prepare: Callable[[], tuple[str, msgspec.Struct]],
        *,
        location: RunLocation | None = None,
    ) -> None:
        """Check a job in a thread and start it.

        Parameters
        ----------
        argv : list of str
            Arguments of the equivalent command.
        prepare : callable
            Called in a thread; returns the kind and the request of the job, or raises `TomosegError`.
        location : RunLocation, optional
            Where the job runs. By default as the settings of the project say.
        """

        def prepare_and_launch() -> str:
            kind, request = prepare()
            settings = Project.open(self.project.layout.root).settings  # the settings may have been edited since
            slurm = settings.default_slurm if location is None else location.slurm_settings(settings)
            at_once = location is not None and location.starts_at_once
            job_request = msgspec.to_builtins(request)
            from tomoseg_tui.jobs.estimate import require_resources_for  # noqa: PLC0415  # wakes numpy

            require_resources_for(self.project, [(kind, job_request, ())], in_slurm=slurm is not None)
            job = launch(self.project.layout, kind, job_request, at_once=at_once, slurm=slurm)
            return f"Job {job.id}: {kind} {job.record().name}"

        self.run_in_thread("started", argv, prepare_and_launch)

    @on(TaskDone)
    def show_task_result(self, event: TaskDone) -> None:
        """Show the result of a task, and read the project again."""
        text = event.result if isinstance(event.result, str) else event.title
        if text:
            self.notify(text, timeout=4)
        if event.on_done is not None:
            event.on_done(event.result)
        else:
            for remark in getattr(event.result, "remarks", ()):
                self.notify(remark, severity="warning", timeout=10)
        self.refresh_snapshot()

    @on(TaskFailed)
    def show_task_error(self, event: TaskFailed) -> None:
        """Show the fault and the fix."""
        self.notify(event.fix or " ", title=event.fault, severity="error", timeout=15)
        self.refresh_snapshot()

    def notify(self, message: str, **options: Any) -> None:
        """Show a notification as plain text: faults and file names may contain brackets."""
        super().notify(message, **{**options, "markup": False})
