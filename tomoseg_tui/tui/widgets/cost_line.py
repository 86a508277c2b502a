"""One line of a form: what its job will take, as far as that is known, and whether this machine can hold it."""

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.timings import Pace
from tomoseg_tui.tui.cost import Price, price_in_words, price_of
from tomoseg_tui.tui.widgets.benchmark_runner import Asks, Measurer


class PriceLine(Vertical):
    """Tells memory and disk of a job at once, and its time once that was measured.

    Parameters
    ----------
    project : Project
    id : str
        Of the widget.
    """

    class Priced(Message):
        """A thread has found what a job takes; None where it cannot be yet, which others say."""

        def __init__(self, number: int, price: Price | None) -> None:
            super().__init__()
            self.number, self.price = number, price

    def __init__(self, project: Project, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes="price-line")
        self._project = project
        self._number = 0
        self._asks: Asks | None = None
        self._others = False
        self._price: Price | None = None

    def compose(self) -> ComposeResult:
        """Make the line."""
        yield Static(markup=False)
        yield Measurer(self._project)

    @property
    def fault(self) -> TomosegError | None:
        """Why this machine cannot hold the job; None if it can, or if that is not known."""
        return self._price.fault if self._price is not None else None

    def ask(self, asks: Asks | None, *, others: bool) -> None:
        """Say what another job takes.

        Parameters
        ----------
        asks : callable or None
            Called in a thread; returns the one job. None where there is none.
        others : bool
            Whether jobs are at work.
        """
        self._asks, self._others = asks, others
        self._number += 1
        if asks is None:
            self.post_message(self.Priced(self._number, None))
        else:
            self._find(self._number, asks, dict(self.query_one(Measurer).paces), others=others)

    def measure(self) -> None:
        """Measure how long it takes."""
        if self._asks is not None:
            self.query_one(Measurer).measure(self._asks)

    @work(thread=True, exclusive=True, group="price")
    def _find(self, number: int, asks: Asks, paces: dict[str, Pace], *, others: bool) -> None:
        price: Price | None = None
        try:
            price = price_of(self._project, asks()[0], paces, others=others)
        except (TomosegError, OSError):
            price = None  # what is wrong with a request is said where it is checked
        if not get_current_worker().is_cancelled:
            self.post_message(self.Priced(number, price))

    @on(Priced)
    def take_price(self, event: Priced) -> None:
        """Say it, unless something else is asked for by now."""
        event.stop()
        if event.number == self._number:
            self._price = event.price
            self._say()

    @on(Measurer.Turned)
    def take_measurement(self, event: Measurer.Turned) -> None:
        """Say that it is measured, and then what has come of it."""
        event.stop()
        self._say()
        if not self.query_one(Measurer).busy:
            self.ask(self._asks, others=self._others)

    def _say(self) -> None:
        price, measurer = self._price, self.query_one(Measurer)
        words = "" if price is None else price_in_words(price, measurer.words(measured=price.found.measured))
        self.query_one(Static).update(words)
