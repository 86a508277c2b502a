"""Measures what a form's jobs will take, by a process beside; nothing to be seen. It ends with its form."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual import on, work
from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget
from textual.worker import get_current_worker

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.run_benchmark import measured_pace
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Pace
from tomoseg_tui.tui.cost import MEASURE_KEY, Ask, measuring_in_words, work_here

Asks = Callable[[], Sequence[Ask]]
"""Called in a thread; returns what would be started, or raises `TomosegError`."""


def measure_key(form: str) -> Binding:
    """Return the binding for a form that has an action ``measure``."""
    words = "Measure on this machine how long it will take"
    return Binding(MEASURE_KEY, "measure", "Measure", show=False, id=f"{form}.measure", tooltip=words, priority=True)


class Measurer(Widget):
    """One of each form.

    Attributes
    ----------
    paces : dict
        What was measured, by the key of its work.
    busy, failed : bool
        Whether a measurement is under way; whether the last one came to nothing.
    """

    DEFAULT_CSS: ClassVar[str] = "Measurer { display: none; }"

    class Turned(Message):
        """A measurement has begun or ended."""

    class Ended(Message):
        """A thread has measured, or could not."""

        def __init__(self, paces: Mapping[str, Pace], *, failed: bool) -> None:
            super().__init__()
            self.paces, self.failed = paces, failed

    def __init__(self, project: Project) -> None:
        super().__init__()
        self._project = project
        self.paces: dict[str, Pace] = {}
        self.busy = self.failed = False

    def words(self, *, measured: bool) -> str:
        """Return what there is to say of it where the figures shown are measured, or are not."""
        return measuring_in_words(measured=measured, busy=self.busy, failed=self.failed)

    def measure(self, asks: Asks) -> None:
        """Measure, unless that is under way."""
        if not self.busy:
            self.busy, self.failed = True, False
            self.post_message(self.Turned())
            self._measure(asks)

    @work(thread=True, group="measure")
    def _measure(self, asks: Asks) -> None:
        worker = get_current_worker()
        paces: dict[str, Pace] = {}
        failed = False
        try:
            for work in [work_here(self._project, ask) for ask in asks()]:
                pace = measured_pace(
                    self._project.layout,
                    work.kind,
                    work.sample,
                    work.key,
                    anew=True,
                    unwanted=lambda: worker.is_cancelled,
                )
                failed = failed or pace is None
                paces |= {work.key: pace} if pace is not None else {}
        except (TomosegError, OSError):
            failed = True
        if not worker.is_cancelled:
            self.post_message(self.Ended(paces, failed=failed))

    @on(Ended)
    def take(self, event: Ended) -> None:
        """Keep what was measured, and let the form say it."""
        event.stop()
        self.busy, self.failed = False, event.failed
        self.paces |= event.paces
        self.post_message(self.Turned())
