"""A line of a form: the cost of its jobs, and whether this machine can run them; measured on request."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on, work
from textual.binding import Binding
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static
from textual.worker import get_current_worker

from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.jobs.estimate import JobCosts, estimate_jobs
from tomoseg_tui.jobs.run_benchmark import benchmark_timing
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Timing, stored_timing
from tomoseg_tui.workflow.estimates.estimator import format_cost

if TYPE_CHECKING:
    from tomoseg_tui.workflow.estimates.estimator import Work

MEASURE_KEY = "ctrl+t"
"""The same key in every form; no field uses it."""
SETTLE_SECONDS = 0.3
"""Delay after the last change of a form, s."""
WorkBuilder = Callable[[], "Sequence[Work]"]
"""Called in a thread; returns the work of each job, or raises `TomosegError`."""


def measure_binding(form: str) -> Binding:
    """Return the binding for a form that has an action ``measure``."""
    tooltip = "Measure the duration on this machine"
    return Binding(MEASURE_KEY, "measure", "Measure", show=False, id=f"{form}.measure", tooltip=tooltip, priority=True)


class CostLine(Static):
    """Shows time, memory and disk space of jobs; measures them in a process that ends with the form."""

    @dataclass
    class CostReady(Message):
        """A thread has computed the cost of the jobs, or why they cannot be started."""

        number: int
        costs: JobCosts | None
        fault: TomosegError | None

    @dataclass
    class Measured(Message):
        """A thread has measured, or has failed."""

        timings: Mapping[str, Timing]
        has_failed: bool

    def __init__(self, project: Project, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes="cost-line", markup=False)
        self.fault: TomosegError | None = None
        """Why the jobs cannot be started, as far as it is known."""
        self.is_measuring = False
        self._project = project
        self._number = 0
        self._timer: Timer | None = None
        self._build_works: WorkBuilder = list
        self.costs: JobCosts | None = None
        """The shown cost; None if none is shown."""
        self._in_slurm = self._has_failed = False
        self._timings: dict[str, Timing] = {}

    def estimate(self, build_works: WorkBuilder, *, in_slurm: bool = False) -> None:
        """Show the cost of other jobs, after a short pause without changes.

        Parameters
        ----------
        build_works : callable
            Called in a thread; its error is shown. Nothing is shown if it returns no work.
        in_slurm : bool
            Whether Slurm runs the jobs, on a node with enough memory.
        """
        self._build_works, self._in_slurm = build_works, in_slurm
        self._forget_last()
        self._timer = self.set_timer(SETTLE_SECONDS, self._start_estimate)

    def show_fault(self, fault: TomosegError) -> None:
        """Show the error of a form instead of the cost."""
        self._forget_last()
        self.costs, self.fault = None, fault
        self._update_text()

    def _forget_last(self) -> None:
        self._number, self.fault = self._number + 1, None
        if self._timer is not None:
            self._timer.stop()

    def _start_estimate(self) -> None:
        self._estimate_in_thread(self._number, self._build_works, dict(self._timings), in_slurm=self._in_slurm)

    @work(thread=True, exclusive=True, group="cost")
    def _estimate_in_thread(
        self, number: int, build_works: WorkBuilder, timings: Mapping[str, Timing], *, in_slurm: bool
    ) -> None:
        costs: JobCosts | None = None
        fault: TomosegError | None = None
        try:
            works = build_works()
            if works:
                costs = estimate_jobs(
                    self._project,
                    works,
                    lambda work: timings.get(work.workload.key) or stored_timing(work.workload.key),
                )
                costs.require_resources(in_slurm=in_slurm)
        except TomosegError as error:
            fault = error
        except OSError as error:
            fault = UsageError(f"{error.strerror or error}: {error.filename}.", "Check the tomograms.")
        if not get_current_worker().is_cancelled:
            self.post_message(self.CostReady(number, costs, fault))

    @on(CostReady)
    def show_cost(self, event: CostReady) -> None:
        """Show the cost, unless the form has changed."""
        event.stop()
        if event.number == self._number:
            self.costs, self.fault = event.costs, event.fault
            self._update_text()

    def _update_text(self) -> None:
        lines = []
        if self.costs is not None:
            total = self.costs.total
            text = format_cost(total)
            lines.append(f"{text[0].upper()}{text[1:]}. {self._measurement_text(is_measured=total.is_measured)}")
        if self.fault is not None:
            lines.append(f"! {self.fault.fault} {self.fault.fix}")
        self.update("\n".join(line.rstrip() for line in lines))

    def _measurement_text(self, *, is_measured: bool) -> str:
        if self.is_measuring:
            return "Measuring ..."
        if is_measured:
            return ""
        return "It cannot be measured." if self._has_failed else f"{MEASURE_KEY} measures it."

    def measure(self) -> None:
        """Measure the shown jobs, unless a measurement runs."""
        works = [] if self.costs is None else [work for work in self.costs.works if work.sample]
        if not works:
            self.app.bell()
        elif not self.is_measuring:
            self.is_measuring, self._has_failed = True, False
            self._update_text()
            self._measure_in_thread(works)

    @work(thread=True, group="measure")
    def _measure_in_thread(self, works: Sequence["Work"]) -> None:
        worker = get_current_worker()
        timings: dict[str, Timing] = {}
        try:
            for job_work in works:
                key = job_work.workload.key
                timing = benchmark_timing(
                    self._project.layout,
                    job_work.kind,
                    job_work.sample,
                    key,
                    force=True,
                    is_cancelled=lambda: worker.is_cancelled,
                )
                timings |= {key: timing} if timing is not None else {}
        except (TomosegError, OSError):
            timings = {}
        if not worker.is_cancelled:
            self.post_message(self.Measured(timings, len(timings) < len({one.workload.key for one in works})))

    @on(Measured)
    def use_timings(self, event: Measured) -> None:
        """Show the costs with the new timings."""
        event.stop()
        self.is_measuring, self._has_failed = False, event.has_failed
        self._timings |= event.timings
        self._update_text()
        self.estimate(self._build_works, in_slurm=self._in_slurm)
