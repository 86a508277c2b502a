"""Train: the runs, the curves and triples of one; start, continue, stop, resume and compare trainings."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.message import Message
from textual.widgets import DataTable

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.table import JOBS_SHOW
from tomoseg_tui.commands.training import NETWORKS_SHOW
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import describe_network
from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.dialogs.save_file import FileKinds, SaveFileRequest
from tomoseg_tui.tui.format import JobListing, describe_state, ellipsize, format_clock, format_time
from tomoseg_tui.tui.images.triple_images import write_triples_file
from tomoseg_tui.tui.jobs import job_actions
from tomoseg_tui.tui.shared_actions.file_actions import ask_for_file
from tomoseg_tui.tui.state.file_tail import FileTailer, LinesAppended
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.tab_base import Tab, hidden_key
from tomoseg_tui.tui.train.audit_dialog import show_audit
from tomoseg_tui.tui.train.batch_run_dialog import ask_for_batch_run
from tomoseg_tui.tui.train.compare_dialog import CompareRunsDialog
from tomoseg_tui.tui.train.curves import Curves
from tomoseg_tui.tui.train.runs import Epoch, Run, list_runs, parse_epochs
from tomoseg_tui.tui.train.train_dialog import ask_for_training
from tomoseg_tui.tui.train.trainset_dialogs import ask_for_trainset, list_trainsets
from tomoseg_tui.tui.train.triples import TripleRow
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.training.train_request import (
    TrainRequest,
)
from tomoseg_tui.workflow.views import TripleView, load_triples

NO_RUNS = (
    "No training yet",
    (
        "A network learns from annotated tiles what a feature looks like. Start a training here and follow it: "
        "the losses fall, the Dice of held-out tiles rises.\n\n"
        "Training was successful if, in the pictures below, the third (the prediction) looks like the second "
        "(your annotation), also on held-out tiles. If not, add tiles, especially of what it gets wrong."
    ),
    "Press [b]t[/b] to train; it continues when you quit.",
)
NO_ANNOTATIONS = (
    "No annotated tile yet",
    ("A training needs tiles with a marked feature, and tiles without it.  Ten to twenty of each are enough to start."),
    "Press [b]3[/b] to annotate tiles, or [b]2[/b] to place some first.",
)
TRIPLES = FileKinds(
    "Export image, annotation and output of the tiles",
    (".png", ".hdf", ".mrc"),
    "A picture of the worst tiles, or a stack of all: image, annotation, output, as in EMAN2's trainout.",
)
NAME_COLUMNS = {"-narrow": 12, "-normal": 20, "-wide": 36}
"""Columns for the names of runs."""


class RunTable(Table):
    """The runs; enter opens the card."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "select_cursor", "Card", show=False, id="train.card", tooltip="Show the card of the run's network"
        )
    ]


@dataclass
class TriplesLoaded(Message):
    """The triples of a run have been read, or there are none."""

    run: str
    stamp: str
    views: list[TripleView]
    message: str


class TrainTab(Tab):
    """Trainings, including running ones."""

    BINDINGS: ClassVar[list[BindingType]] = [
        hidden_key("E", "export", "Export", "train.export", "Write the run's triples into a file"),
        hidden_key(
            "R",
            "run",
            "Run",
            "train.run",
            "Train, then apply and merge on a list of tomograms, as a sequence of jobs",
        ),
        hidden_key("a", "audit", "Audit", "train.audit", "List the tiles of this run with suspicious labels"),
        hidden_key("b", "build_set", "Build set", "train.build_set", "Build a named training set"),
        hidden_key("T", "sets", "Training sets", "train.sets", "Show the training sets"),
        Binding("t", "train", "Train", id="train.train", tooltip="Train a network on the annotated tiles"),
        Binding(
            "c", "continue", "Continue", id="train.continue", tooltip="Continue from this run, at a tenth of its rate"
        ),
        Binding("s", "stop", "Stop", id="train.stop", tooltip="Stop the training; its last epoch is kept"),
        hidden_key("r", "resume", "Resume", "train.resume", "Resume a stopped, failed or lost training"),
        Binding("d", "compare", "Compare", id="train.compare", tooltip="Mark a run, then compare another with it"),
        Binding(
            "m", "enlarge", "Large", id="train.large", tooltip="Enlarge one tile, with annotation, then prediction"
        ),
        hidden_key("w", "reverse_order", "Worst/best", "train.order", "Show the worst tiles first, or the best"),
        hidden_key("n", "step(1)", "Next tile", "train.next", "Next tile"),
        hidden_key("N", "step(-1)", "Previous tile", "train.previous", "Previous tile"),
        hidden_key("escape", "leave_large", "Back", "train.back", "Back from the enlarged tile"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._file_tailer = FileTailer(self.post_message)
        self._runs: dict[str, Run] = {}
        self._snapshot: ProjectSnapshot | None = None
        self._epochs: list[Epoch] = []
        self._shown_run: str | None = None
        self._marked_run: str | None = None
        self._triples_key = ("", "")
        """The run and the state of its network whose triples are shown or being read."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="train-top"):
            with Container(id="train-runs", classes="panel"):
                yield RunTable("run", "F", "dice", "when", id="train-table")
            with Container(id="train-curves", classes="panel"):
                yield Curves()
            yield Empty(*NO_RUNS)
        yield TripleRow(id="train-triples")

    def on_mount(self) -> None:
        panel = self.query_one("#train-runs")
        panel.border_title, panel.border_subtitle = "runs", "T sets  b build  E export"

    def on_unmount(self) -> None:
        self._file_tailer.stop()

    # Snapshots

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """List the runs, and show the one under the cursor."""
        self._snapshot = snapshot
        self._runs = {run.name: run for run in list_runs(snapshot)}
        self.set_class(not self._runs, "-empty")
        self._show_empty(snapshot)
        self._list_runs(snapshot)
        self._show_run()

    def _show_empty(self, snapshot: ProjectSnapshot) -> None:
        annotated = any(state == "annotated" for tile in snapshot.all_tiles for state in tile.states.values())
        title, text, key = NO_RUNS if annotated else NO_ANNOTATIONS
        self.query_one(Empty).update(f"[b]{title}[/b]\n\n{text}\n\n{key}")

    def _list_runs(self, snapshot: ProjectSnapshot) -> None:
        name_width = next((width for name, width in NAME_COLUMNS.items() if self.screen.has_class(name)), 12)
        letters = {style.name: style.letter for style in make_palette(dict(enumerate(snapshot.features, start=1)))}
        now = datetime.now(UTC).astimezone()
        rows = []
        for name, run in self._runs.items():
            dice = "" if run.dice is None else f"{run.dice:.2f}"
            mark = "* " if name == self._marked_run else ""
            label = ellipsize(f"{mark}{name}", name_width)
            learned = "".join(letters.get(feature, "?") for feature in run.features)
            rows.append((name, (label, learned, dice, _state_or_time(run, now))))
        self.query_one(RunTable).show_rows(rows)

    def focus_default(self) -> None:
        """Focus the table, or the enlarged tile over it."""
        (self.query_one(TripleRow) if self.has_class("-large") else self.query_one(RunTable)).focus()

    # The run under the cursor

    @property
    def run(self) -> Run | None:
        """The run under the cursor."""
        return self._runs.get(self.query_one(RunTable).row_key or "")

    @on(DataTable.RowHighlighted, "#train-table")
    def show_selected_run(self) -> None:
        """Show another run."""
        self._show_run()

    @on(DataTable.RowSelected, "#train-table")
    def open_card(self) -> None:
        """Show the card of a run."""
        run = self.run
        if run is None:
            return
        if run.card is None:
            self.notify(self._state_text(run), title=f"{run.name} has no finished epoch yet", severity="warning")
            return
        lines = [f"{title}: {text}" for title, text in describe_network(run.card).items()]
        self.app.push_screen(
            ReportDialog(
                f"The network of {run.name}",
                f"{run.state}, started {format_time(run.started)}",
                [*lines, *run.card.notes],
            )
        )

    def _show_run(self) -> None:
        run = self.run
        if run is None or self._snapshot is None:
            self._file_tailer.follow(None, is_live=False)
            return
        if run.name != self._shown_run:
            self._shown_run, self._epochs = run.name, []
        layout = self._snapshot.project.layout
        metrics = Job(layout.job_folder(str(run.job["id"]))).metrics_file if run.job is not None else None
        if self._file_tailer.follow(metrics or layout.network_metrics(run.name), is_live=run.is_live):
            self._epochs = []
        self._show_curves(run)
        self._request_triples(run, self._snapshot)

    @on(LinesAppended)
    def add_epochs(self, event: LinesAppended) -> None:
        """Draw the new epochs of a training."""
        if event.path != self._file_tailer.path:
            return
        self._epochs = parse_epochs(event.text) if event.is_reset else [*self._epochs, *parse_epochs(event.text)]
        if self.run is not None:
            self._show_curves(self.run)

    def _show_curves(self, run: Run) -> None:
        panel = self.query_one("#train-curves")
        panel.border_title = f"{run.name}   {run.state}"
        panel.border_subtitle = _progress_text(run) if self._epochs else ""
        features = self._snapshot.features if self._snapshot is not None else ()
        text = self._state_text(run) or "No epoch is finished yet."
        epochs = run.epochs
        self.query_one(Curves).show(self._epochs, epochs[1] if epochs else None, features, empty_text=text)

    def _state_text(self, run: Run) -> str:
        return describe_state(run.job) if run.job is not None else ""

    # Triples

    def _request_triples(self, run: Run, snapshot: ProjectSnapshot) -> None:
        """Read the triples of a run unless they are shown already; they exist after its training."""
        digest = run.card.weights_digest if run.card is not None and not run.is_live else ""
        stamp = f"{run.state} {digest}"
        if (run.name, stamp) == self._triples_key:
            return
        self._triples_key = (run.name, stamp)
        if digest:
            self._read_triples(snapshot.project, run.name, stamp, self._state_text(run))
            return
        ended_text = f"{self._state_text(run)}\nThis run has no finished epoch.".strip()
        message = "The pictures come when the training is over." if run.is_live else ended_text
        self.post_message(TriplesLoaded(run.name, stamp, [], message))

    @work(thread=True, exclusive=True, group="triples")
    def _read_triples(self, project: Project, run: str, stamp: str, state: str) -> None:
        try:
            views, message = load_triples(project, run), "No tile of this run was predicted."
        except (TomosegError, OSError) as fault:
            views, message = [], f"{state}\nThere are no pictures: {fault}".strip()
        self.post_message(TriplesLoaded(run, stamp, views, message))

    @on(TriplesLoaded)
    def show_triples(self, event: TriplesLoaded) -> None:
        """Show triples, unless another run is shown by now."""
        run = self._runs.get(event.run)
        if (event.run, event.stamp) != self._triples_key or run is None or self._snapshot is None:
            return
        thresholds = {name: score.threshold for name, score in run.card.features.items()} if run.card else {}
        self.set_class(not event.views, "-bare")
        self.query_one(TripleRow).show(event.views, self._snapshot.features, thresholds, event.message)

    def action_step(self, by: int) -> None:
        self.query_one(TripleRow).step(by)

    def action_reverse_order(self) -> None:
        self.query_one(TripleRow).reverse_order()

    def action_enlarge(self) -> None:
        """Enlarge one triple, then switch between annotation and prediction."""
        triples = self.query_one(TripleRow)
        if not triples.views:
            self.notify("This run has no pictures.", severity="warning")
            return
        next_overlay = {"annotation": "network", "network": "annotation"}
        triples.enlarge(next_overlay.get(triples.large or "", "annotation"))
        self.add_class("-large")
        triples.focus()

    def action_leave_large(self) -> None:
        self.query_one(TripleRow).enlarge(None)
        self.remove_class("-large")
        self.query_one(RunTable).focus()

    def action_export(self) -> None:
        def write(project: Project, request: SaveFileRequest) -> None:
            write_triples_file(project, request.name, request.path, force=request.force)

        names = [self.run.name] if self.run is not None and self.run.card is not None else []
        ask_for_file(self.tomoseg, TRIPLES, names, write, empty_message="Choose a run with a finished epoch.")

    # Trainings, training sets, audits

    def action_train(self) -> None:
        self._open_dialog(TrainRequest(name=""))

    def action_continue(self) -> None:
        run = self.run
        if run is None or run.card is None:
            self.notify("Choose a run with a finished epoch to continue from.", severity="warning")
            return
        self._open_dialog(TrainRequest(name="", features=run.features, made_from=run.name))

    def _open_dialog(self, request: TrainRequest) -> None:
        snapshot = self._snapshot_with_features()
        if snapshot is not None:
            ask_for_training(self.tomoseg, snapshot, request)

    def _snapshot_with_features(self) -> ProjectSnapshot | None:
        """Return the snapshot if the project has a feature to learn; else notify what is missing."""
        if self._snapshot is None or self._snapshot.features:
            return self._snapshot
        self.notify("There is no feature to learn yet; press 2 and place tiles.", severity="warning")
        return None

    def action_run(self) -> None:
        snapshot = self._snapshot_with_features()
        if snapshot is not None:
            ask_for_batch_run(self.tomoseg, snapshot)

    def action_build_set(self) -> None:
        snapshot = self._snapshot_with_features()
        if snapshot is not None:
            ask_for_trainset(self.tomoseg, snapshot)

    def action_sets(self) -> None:
        list_trainsets(self.tomoseg)

    def action_audit(self) -> None:
        run = self.run
        if run is None or run.card is None or self._snapshot is None:
            self.notify("Choose a run with a finished epoch: its tiles are audited.", severity="warning")
            return
        show_audit(self.tomoseg, self._snapshot, run.card)

    def action_stop(self) -> None:
        self._run_on_job(job_actions.stop_job)

    def action_resume(self) -> None:
        self._run_on_job(job_actions.resume_job)

    def _run_on_job(self, action: Callable[[Any, JobListing], None]) -> None:
        run = self.run
        if run is None or run.job is None:
            self.notify("This run has no job.", severity="warning")
            return
        action(self.tomoseg, run.job)

    def action_compare(self) -> None:
        """Mark the run under the cursor; if another is marked, show both side by side."""
        run, marked = self.run, self._runs.get(self._marked_run or "")
        if run is None or self._snapshot is None:
            return
        if marked is None or marked.name == run.name:
            self._marked_run = run.name if marked is None else None
            if self._marked_run:
                self.notify(f"{run.name} is marked: go to another run and press d again.", timeout=4)
        else:
            self._marked_run = None
            self.app.clear_notifications()  # the notification of the mark would cover the dialog
            self.app.push_screen(CompareRunsDialog(self._snapshot, (marked, run)))
        self._list_runs(self._snapshot)

    def command_argv(self) -> list[str] | None:
        """Return the command that shows the run under the cursor."""
        run = self.run
        if run is None:
            return None
        if run.card is None and run.job is not None:
            return to_argv(JOBS_SHOW, id=run.job["id"])
        return to_argv(NETWORKS_SHOW, name=run.name)


def _state_or_time(run: Run, now: datetime) -> str:
    """Return the time of a successful run, else its state."""
    if run.is_live:
        return "now" if run.state == "running" else run.state
    return format_time(run.started, now=now) if run.state == "done" else run.state


def _progress_text(run: Run) -> str:
    """Return the progress of a run, and the key that resumes it."""
    epochs = run.epochs
    eta_seconds = run.job["eta_seconds"] if run.job is not None and run.is_live else None
    parts = [
        f"epoch {epochs[0]}/{epochs[1]}" if epochs else "",
        f"about {format_clock(eta_seconds)} left" if eta_seconds is not None else "",
        "r resumes it" if run.state in {"stopped", "failed", "lost"} else "",
    ]
    return "   ".join(part for part in parts if part)
