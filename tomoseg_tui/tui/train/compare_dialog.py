"""Two runs side by side: their cards, the differences, and their curves."""

from dataclasses import dataclass
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
from tomoseg_tui.project.records import describe_network
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.state.file_tail import TailReader
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.train.curves import Curves
from tomoseg_tui.tui.train.runs import Epoch, Run, parse_epochs

RunPair = tuple[Run, Run]


@dataclass
class MetricsLoaded(Message):
    """The metrics of both runs have been read."""

    metrics: list[list[Epoch]]


class CompareRunsDialog(Dialog[None]):
    """Escape closes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,d,enter", "dismiss", "Close", id="compare.close", tooltip="Close the comparison"),
    ]

    def __init__(self, snapshot: ProjectSnapshot, runs: RunPair) -> None:
        super().__init__()
        self._snapshot, self._runs = snapshot, runs

    def compose(self) -> ComposeResult:
        with Horizontal(id="compare"):
            for run, text in zip(self._runs, _cards(self._runs), strict=True):
                panel = Vertical(Static(text, classes="card-words"), Curves(), classes="panel")
                panel.border_title = run.name
                panel.border_subtitle = "≠ differs   esc closes"
                yield panel

    def on_mount(self) -> None:
        self._read_metrics(self._snapshot.project.layout)

    @work(thread=True, exclusive=True, group="figures")
    def _read_metrics(self, layout: ProjectLayout) -> None:
        self.post_message(MetricsLoaded([_run_metrics(layout, run) for run in self._runs]))

    @on(MetricsLoaded)
    def draw(self, event: MetricsLoaded) -> None:
        """Draw both with the same axis of epochs."""
        total = max((run.epochs or (0, 0))[1] for run in self._runs)
        for curves, epochs in zip(self.query(Curves), event.metrics, strict=True):
            curves.show(epochs, total, self._snapshot.features, empty_text="This run has no metrics.")


def _run_metrics(layout: ProjectLayout, run: Run) -> list[Epoch]:
    path = layout.network_metrics(run.name) if run.job is None else Job(layout.job_folder(run.job["id"])).metrics_file
    appended = TailReader(path).read()
    return parse_epochs(appended[0]) if appended is not None else []


def _cards(runs: RunPair) -> tuple[Text, Text]:
    """Return the cards of both, row by row; rows that differ are marked."""
    left, right = ({} if run.card is None else describe_network(run.card) for run in runs)
    titles = list(dict.fromkeys([*left, *right]))
    width = max((len(title) for title in titles), default=0)
    columns = (Text(overflow="ellipsis", no_wrap=True), Text(overflow="ellipsis", no_wrap=True))
    for title in titles:
        differs = left.get(title) != right.get(title)
        for text, rows in zip(columns, (left, right), strict=True):
            mark, style = ("≠ ", "bold") if differs else ("  ", "")
            text.append(mark, "bold").append(f"{title:<{width}}  ", "dim").append(f"{rows.get(title, '-')}\n", style)
    for text in columns:
        text.rstrip()
    return columns
