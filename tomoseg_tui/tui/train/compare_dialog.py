"""Two runs side by side: what their cards say, where they differ, and their curves."""

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Static

from tomoseg_tui.jobs.job import Job
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.state.file_tail import Tail
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.train.curves import Curves
from tomoseg_tui.tui.train.runs import Epoch, Run, card_rows, epochs_in

Pair = tuple[Run, Run]


class FiguresRead(Message):
    """The figures of both runs have been read."""

    def __init__(self, figures: list[list[Epoch]]) -> None:
        super().__init__()
        self.figures = figures


class CompareRuns(Dialog[None]):
    """The screen; escape closes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d,enter", "dismiss", "Close", id="compare.close", tooltip="Close the comparison"),
    ]

    def __init__(self, facts: Facts, runs: Pair) -> None:
        super().__init__()
        self._facts, self._runs = facts, runs

    def compose(self) -> ComposeResult:
        """Make both columns."""
        with Horizontal(id="compare"):
            for run, words in zip(self._runs, _cards(self._runs), strict=True):
                panel = Vertical(Static(words, classes="card-words"), Curves(), classes="panel")
                panel.border_title = run.name
                panel.border_subtitle = "≠ differs   esc closes"
                yield panel

    def on_mount(self) -> None:
        """Read the figures."""
        self._read(self._facts.project.layout)

    @work(thread=True, exclusive=True, group="figures")
    def _read(self, layout: ProjectLayout) -> None:
        self.post_message(FiguresRead([_figures(layout, run) for run in self._runs]))

    @on(FiguresRead)
    def draw(self, event: FiguresRead) -> None:
        """Draw both with one axis of epochs."""
        total = max((run.epochs or (0, 0))[1] for run in self._runs)
        for curves, epochs in zip(self.query(Curves), event.figures, strict=True):
            curves.show(epochs, total, self._facts.features, words="No figures are kept of this run.")


def _figures(layout: ProjectLayout, run: Run) -> list[Epoch]:
    path = layout.network_metrics(run.name) if run.job is None else Job(layout.job_folder(run.job["id"])).metrics_file
    found = Tail(path).read()
    return epochs_in(found[0]) if found is not None else []


def _cards(runs: Pair) -> tuple[Text, Text]:
    """Return the cards of both, row by row; rows that differ bear a mark."""
    left, right = ({} if run.card is None else card_rows(run.card) for run in runs)
    titles = list(dict.fromkeys([*left, *right]))
    width = max((len(title) for title in titles), default=0)
    both = (Text(overflow="ellipsis", no_wrap=True), Text(overflow="ellipsis", no_wrap=True))
    for title in titles:
        differs = left.get(title) != right.get(title)
        for text, rows in zip(both, (left, right), strict=True):
            mark, style = ("≠ ", "bold") if differs else ("  ", "")
            text.append(mark, "bold").append(f"{title:<{width}}  ", "dim").append(f"{rows.get(title, '-')}\n", style)
    for text in both:
        text.rstrip()
    return both
