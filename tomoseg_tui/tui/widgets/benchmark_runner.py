"""Measures what a form's jobs will take, by a process beside; nothing to be seen. It ends with its form."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget
from textual.worker import get_current_worker

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.run_benchmark import benchmark_timing
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.tui.cost import MEASURE_KEY, JobRequest, estimate_work, format_benchmark_state

RequestBuilder = Callable[[], Sequence[JobRequest]]
"""Called in a thread; returns what would be started, or raises `TomosegError`."""


def measure_binding(form: str) -> Binding:
    """Return the binding for a form that has an action ``measure``."""
    tooltip = "Measure on this machine how long it will take"
    return Binding(MEASURE_KEY, "measure", "Measure", show=False, id=f"{form}.measure", tooltip=tooltip, priority=True)


class BenchmarkRunner(Widget):
    """One of each form.

    Attributes
    ----------
    paces : dict
        What was measured, by the key of its work.
    busy, failed : bool
        Whether a measurement is under way; whether the last one came to nothing.
    """

    DEFAULT_CSS: ClassVar[str] = "BenchmarkRunner { display: none; }"

    class StateChanged(Message):
        """A measurement has begun or ended."""

    @dataclass
    class Ended(Message):
        """A thread has measured, or could not."""

        timings: Mapping[str, Timing]
        has_failed: bool

    def __init__(self, project: Project) -> None:
        super().__init__()
        self._project = project
        self.timings: dict[str, Timing] = {}
        self.is_measuring = self.has_failed = False

    def status_text(self, *, is_measured: bool) -> str:
        """Return what there is to say of it where the figures shown are measured, or are not."""
        return format_benchmark_state(is_measured=is_measured, is_running=self.is_measuring, has_failed=self.has_failed)

    def measure(self, build_requests: RequestBuilder) -> None:
        """Measure, unless that is under way."""
        if not self.is_measuring:
            self.is_measuring, self.has_failed = True, False
            self.post_message(self.StateChanged())
            self._measure(build_requests)

    @work(thread=True, group="measure")
    def _measure(self, build_requests: RequestBuilder) -> None:
        worker = get_current_worker()
        timings: dict[str, Timing] = {}
        has_failed = False
        try:
            for job_work in [estimate_work(self._project, job_request) for job_request in build_requests()]:
                timing = benchmark_timing(
                    self._project.layout,
                    job_work.kind,
                    job_work.sample,
                    job_work.workload.key,
                    force=True,
                    is_cancelled=lambda: worker.is_cancelled,
                )
                has_failed = has_failed or timing is None
                timings |= {job_work.workload.key: timing} if timing is not None else {}
        except (TomosegError, OSError):
            has_failed = True
        if not worker.is_cancelled:
            self.post_message(self.Ended(timings, has_failed=has_failed))

    @on(Ended)
    def store_timings(self, event: Ended) -> None:
        """Keep what was measured, and let the form say it."""
        event.stop()
        self.is_measuring, self.has_failed = False, event.has_failed
        self.timings |= event.timings
        self.post_message(self.StateChanged())
