"""One line of a form: what its job will take, as far as that is known, and whether this machine can hold it."""

from dataclasses import dataclass

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing
from tomoseg_tui.tui.cost import JobCost, cost_of, format_cost
from tomoseg_tui.tui.widgets.benchmark_runner import BenchmarkRunner, RequestBuilder


class CostLine(Vertical):
    """Tells memory and disk of a job at once, and its time once that was measured.

    Parameters
    ----------
    project : Project
    id : str
        Of the widget.
    """

    @dataclass
    class CostReady(Message):
        """A thread has found what a job takes; None where it cannot be yet, which others say."""

        request_number: int
        cost: JobCost | None

    def __init__(self, project: Project, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes="price-line")
        self._project = project
        self._request_number = 0
        self._build_requests: RequestBuilder | None = None
        self._has_running_jobs = False
        self._cost: JobCost | None = None

    def compose(self) -> ComposeResult:
        yield Static(markup=False)
        yield BenchmarkRunner(self._project)

    @property
    def fault(self) -> TomosegError | None:
        """Why this machine cannot hold the job; None if it can, or if that is not known."""
        return self._cost.fault if self._cost is not None else None

    def estimate(self, build_requests: RequestBuilder | None, *, has_running_jobs: bool) -> None:
        """Say what another job takes.

        Parameters
        ----------
        build_requests : callable or None
            Called in a thread; returns the one job. None where there is none.
        has_running_jobs : bool
            Whether jobs are at work.
        """
        self._build_requests, self._has_running_jobs = build_requests, has_running_jobs
        self._request_number += 1
        if build_requests is None:
            self.post_message(self.CostReady(self._request_number, None))
        else:
            self._compute_cost(
                self._request_number,
                build_requests,
                dict(self.query_one(BenchmarkRunner).timings),
                has_running_jobs=has_running_jobs,
            )

    def measure(self) -> None:
        """Measure how long it takes."""
        if self._build_requests is not None:
            self.query_one(BenchmarkRunner).measure(self._build_requests)

    @work(thread=True, exclusive=True, group="price")
    def _compute_cost(
        self, request_number: int, build_requests: RequestBuilder, timings: dict[str, Timing], *, has_running_jobs: bool
    ) -> None:
        cost: JobCost | None = None
        try:
            cost = cost_of(self._project, build_requests()[0], timings, has_running_jobs=has_running_jobs)
        except (TomosegError, OSError):
            cost = None  # what is wrong with a request is said where it is checked
        if not get_current_worker().is_cancelled:
            self.post_message(self.CostReady(request_number, cost))

    @on(CostReady)
    def show_cost(self, event: CostReady) -> None:
        """Say it, unless something else is asked for by now."""
        event.stop()
        if event.request_number == self._request_number:
            self._cost = event.cost
            self._update_text()

    @on(BenchmarkRunner.StateChanged)
    def update_measurement(self, event: BenchmarkRunner.StateChanged) -> None:
        """Say that it is measured, and then what has come of it."""
        event.stop()
        self._update_text()
        if not self.query_one(BenchmarkRunner).is_measuring:
            self.estimate(self._build_requests, has_running_jobs=self._has_running_jobs)

    def _update_text(self) -> None:
        cost, runner = self._cost, self.query_one(BenchmarkRunner)
        text = "" if cost is None else format_cost(cost, runner.status_text(is_measured=cost.estimate.is_measured))
        self.query_one(Static).update(text)
