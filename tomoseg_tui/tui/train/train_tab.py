"""Train: the runs, the curves of one, its triples; start, continue, stop, resume and compare trainings."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec
from rich.markup import escape
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.message import Message
from textual.widgets import DataTable

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.render.overlay import make_palette
from tomoseg_tui.tui.dialogs.report import Told
from tomoseg_tui.tui.format import clock, shortened, when
from tomoseg_tui.tui.jobs import job_actions
from tomoseg_tui.tui.run_location import Way
from tomoseg_tui.tui.shared_actions.file_actions import TriplesKeys
from tomoseg_tui.tui.state.file_tail import Follower, Grown
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.train.audit_actions import AuditKeys
from tomoseg_tui.tui.train.batch_run_actions import RunKeys
from tomoseg_tui.tui.train.compare_dialog import CompareRuns
from tomoseg_tui.tui.train.curves import Curves
from tomoseg_tui.tui.train.requirements import facts_to_learn
from tomoseg_tui.tui.train.runs import Epoch, Run, card_rows, epochs_in, runs_of
from tomoseg_tui.tui.train.train_dialog import TrainForm, train_words
from tomoseg_tui.tui.train.trainset_actions import TrainsetKeys
from tomoseg_tui.tui.train.triples import Triples
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.training.train_request import (
    TrainRequest,
    check_training,
    free_run_name,
    release_run,
    reserve_run,
)
from tomoseg_tui.workflow.views import TripleView, look_at_triples

NO_RUNS = (
    "No training yet",
    (
        "A network learns from annotated tiles what a feature looks like. Here you start a training and see it learn: "
        "the losses fall, the Dice of tiles it has never seen rises.\n\n"
        "It has learned well when, in the pictures below, the third (what the network says) looks like the second "
        "(what you marked), also on held-out tiles. If not, more tiles help, above all of what it gets wrong."
    ),
    "Press [b]t[/b] to train; it goes on when you leave.",
)
NO_ANNOTATIONS = (
    "Nothing to learn from yet",
    (
        "A training needs tiles on which somebody has marked where a feature is, and some that hold none of it. "
        "Ten to twenty of each are enough to begin with."
    ),
    "Press [b]3[/b] to annotate tiles, or [b]2[/b] to place some first.",
)
NAME_COLUMNS = {"-narrow": 12, "-normal": 20, "-wide": 36}
"""Room for the names of runs."""


class RunTable(Table):
    """The runs; enter opens the card."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "select_cursor", "Card", show=False, id="train.card", tooltip="Show the card of the run's network"
        )
    ]


class TriplesRead(Message):
    """The triples of a run have been read, or there are none."""

    def __init__(self, run: str, stamp: str, views: list[TripleView], words: str) -> None:
        super().__init__()
        self.run, self.stamp, self.views, self.words = run, stamp, views, words


class TrainTab(TrainsetKeys, AuditKeys, RunKeys, TriplesKeys):
    """Trainings, those that run among them."""

    NAME = "train"
    TITLE = "Train"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "train", "Train", id="train.train", tooltip="Train a network on the annotated tiles"),
        Binding(
            "c", "go_on", "Continue", id="train.continue", tooltip="Train on from this run, at a tenth of its rate"
        ),
        Binding("s", "stop", "Stop", id="train.stop", tooltip="Stop the training; its last epoch is kept"),
        Binding(
            "r",
            "resume",
            "Resume",
            show=False,
            id="train.resume",
            tooltip="Go on with a stopped, failed or lost training",
        ),
        Binding("d", "compare", "Compare", id="train.compare", tooltip="Mark a run, then compare another with it"),
        Binding(
            "m", "enlarge", "Large", id="train.large", tooltip="One tile large: annotation over it, then the network"
        ),
        Binding(
            "w",
            "turn_order",
            "Worst/best",
            show=False,
            id="train.order",
            tooltip="Show the worst tiles first, or the best",
        ),
        Binding("n", "step(1)", "Next tile", show=False, id="train.next", tooltip="Next tile"),
        Binding("N", "step(-1)", "Tile before", show=False, id="train.previous", tooltip="Tile before"),
        Binding("escape", "leave_large", "Back", show=False, id="train.back", tooltip="Back from the large picture"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._follower = Follower(self.post_message)
        self._runs: dict[str, Run] = {}
        self._facts: Facts | None = None
        self._epochs: list[Epoch] = []
        self._run: str | None = None
        self._marked: str | None = None
        self._triples_of = ("", "")
        """Run and the state of its network whose triples are shown or being read."""

    def compose(self) -> ComposeResult:
        """Make the panels."""
        with Horizontal(id="train-top"):
            with Container(id="train-runs", classes="panel"):
                yield RunTable("run", "F", "dice", "when", id="train-table")
            with Container(id="train-curves", classes="panel"):
                yield Curves()
            yield Empty(*NO_RUNS)
        yield Triples(id="train-triples")

    def on_mount(self) -> None:
        """Begin empty."""
        panel = self.query_one("#train-runs")
        panel.border_title, panel.border_subtitle = "runs", "T sets  b build  E export"

    def on_unmount(self) -> None:
        """Let the reading thread end."""
        self._follower.stop()

    # Facts

    def show_facts(self, facts: Facts) -> None:
        """List the runs, and look at the one under the cursor."""
        self._facts = facts
        self._runs = {run.name: run for run in runs_of(facts)}
        self.set_class(not self._runs, "-empty")
        self._show_empty(facts)
        self._list_runs(facts)
        self._look_at_run()

    def _show_empty(self, facts: Facts) -> None:
        annotated = any(state == "annotated" for tile in facts.all_tiles for state in tile.states.values())
        title, text, key = NO_RUNS if annotated else NO_ANNOTATIONS
        self.query_one(Empty).update(f"[b]{title}[/b]\n\n{text}\n\n{key}")

    def _list_runs(self, facts: Facts) -> None:
        room = next((width for name, width in NAME_COLUMNS.items() if self.screen.has_class(name)), 12)
        letters = {style.name: style.letter for style in make_palette(dict(enumerate(facts.features, start=1)))}
        present = datetime.now(UTC).astimezone()
        rows = []
        for name, run in self._runs.items():
            dice = "" if run.dice is None else f"{run.dice:.2f}"
            mark = "* " if name == self._marked else ""
            shown = shortened(f"{mark}{name}", room)
            learnt = "".join(letters.get(feature, "?") for feature in run.features)
            rows.append((name, (shown, learnt, dice, _state_or_time(run, present))))
        self.query_one(RunTable).show_rows(rows)

    def take_focus(self) -> None:
        """Let the table have the focus, or the large picture that stands over it."""
        (self.query_one(Triples) if self.has_class("-large") else self.query_one(RunTable)).focus()

    # The run under the cursor

    @property
    def run(self) -> Run | None:
        """The run under the cursor."""
        return self._runs.get(self.query_one(RunTable).row_key or "")

    @on(DataTable.RowHighlighted, "#train-table")
    def run_chosen(self) -> None:
        """Look at another run."""
        self._look_at_run()

    @on(DataTable.RowSelected, "#train-table")
    def open_card(self) -> None:
        """Show the card of a run."""
        run = self.run
        if run is None:
            return
        if run.card is None:
            self.notify(self._state_of(run), title=f"{run.name} has no finished epoch yet", severity="warning")
            return
        lines = [f"{title}: {words}" for title, words in card_rows(run.card).items()]
        self.app.push_screen(
            Told(f"The network of {run.name}", f"{run.state}, begun {when(run.since)}", [*lines, *run.card.notes])
        )

    def _look_at_run(self) -> None:
        run = self.run
        if run is None or self._facts is None:
            self._follower.follow(None, live=False)
            return
        if run.name != self._run:
            self._run, self._epochs = run.name, []
        layout = self._facts.project.layout
        metrics = Job(layout.job_folder(str(run.job["id"]))).metrics_file if run.job is not None else None
        if self._follower.follow(metrics or layout.network_metrics(run.name), live=run.is_live):
            self._epochs = []
        self._show_curves(run)
        self._want_triples(run, self._facts)

    @on(Grown)
    def add_epochs(self, event: Grown) -> None:
        """Draw what a training has reported."""
        if event.path != self._follower.path:
            return
        self._epochs = epochs_in(event.text) if event.afresh else [*self._epochs, *epochs_in(event.text)]
        if self.run is not None:
            self._show_curves(self.run)

    def _show_curves(self, run: Run) -> None:
        panel = self.query_one("#train-curves")
        panel.border_title = escape(f"{run.name}   {run.state}")
        panel.border_subtitle = escape(_how_it_goes(run) if self._epochs else "")
        features = self._facts.features if self._facts is not None else ()
        words = self._state_of(run) or "No epoch is finished yet."
        said = run.epochs
        self.query_one(Curves).show(self._epochs, said[1] if said else None, features, words=words)

    def _state_of(self, run: Run) -> str:
        return job_actions.state_in_words(run.job) if run.job is not None else ""

    # Triples

    def _want_triples(self, run: Run, facts: Facts) -> None:
        """Read the triples of a run where they are not shown already; they come when its training is over."""
        digest = run.card.weights_digest if run.card is not None and not run.is_live else ""
        stamp = f"{run.state} {digest}"
        if (run.name, stamp) == self._triples_of:
            return
        self._triples_of = (run.name, stamp)
        if digest:
            self._read_triples(facts.project, run.name, stamp, self._state_of(run))
            return
        over = f"{self._state_of(run)}\nThis run has no finished epoch.".strip()
        words = "The pictures come when the training is over." if run.is_live else over
        self.post_message(TriplesRead(run.name, stamp, [], words))

    @work(thread=True, exclusive=True, group="triples")
    def _read_triples(self, project: Project, run: str, stamp: str, state: str) -> None:
        try:
            views, words = look_at_triples(project, run), "No tile of this run was looked at."
        except (TomosegError, OSError) as fault:
            views, words = [], f"{state}\nThere are no pictures: {fault}".strip()
        self.post_message(TriplesRead(run, stamp, views, words))

    @on(TriplesRead)
    def show_triples(self, event: TriplesRead) -> None:
        """Show triples unless another run is looked at by now."""
        run = self._runs.get(event.run)
        if (event.run, event.stamp) != self._triples_of or run is None or self._facts is None:
            return
        thresholds = {name: score.threshold for name, score in run.card.features.items()} if run.card else {}
        self.set_class(not event.views, "-bare")
        self.query_one(Triples).show(event.views, self._facts.features, thresholds, event.words)

    def action_step(self, by: int) -> None:
        """Show the next triple or the one before."""
        self.query_one(Triples).step(by)

    def action_turn_order(self) -> None:
        """Turn between worst and best first."""
        self.query_one(Triples).turn_order()

    def action_enlarge(self) -> None:
        """Show one triple large, then turn between annotation and network."""
        triples = self.query_one(Triples)
        if not triples.views:
            self.notify("There is no picture of this run to look at.", severity="warning")
            return
        following = {"annotation": "network", "network": "annotation"}
        triples.enlarge(following.get(triples.large or "", "annotation"))
        self.add_class("-large")
        triples.focus()

    def action_leave_large(self) -> None:
        """Go back from the large picture to the row."""
        self.query_one(Triples).enlarge(None)
        self.remove_class("-large")
        self.query_one(RunTable).focus()

    # Trainings

    def action_train(self) -> None:
        """Ask what to train."""
        self._open_form(TrainRequest(name=""))

    def action_go_on(self) -> None:
        """Ask how to go on from the run under the cursor."""
        run = self.run
        if run is None or run.card is None:
            self.notify("Choose a run with a finished epoch to go on from.", severity="warning")
            return
        self._open_form(TrainRequest(name="", features=run.features, made_from=run.name))

    def _open_form(self, request: TrainRequest) -> None:
        facts = facts_to_learn(self)
        if facts is not None:
            self.app.push_screen(TrainForm(facts, request), self._start)

    def _start(self, answer: tuple[TrainRequest, Way] | None) -> None:
        if answer is not None:
            (request, way), project = answer, self.tomoseg.project
            words, prepare = [*train_words(request), *way.words], _preparation(project, request)
            self.tomoseg.start_job(words, prepare, lambda name: release_run(project, name), way=way)

    def action_stop(self) -> None:
        """Stop the training under the cursor."""
        self._act(job_actions.stop_job)

    def action_resume(self) -> None:
        """Go on with the training under the cursor."""
        self._act(job_actions.resume_job)

    def _act(self, act: Callable[[Any, job_actions.Listing], None]) -> None:
        run = self.run
        if run is None or run.job is None:
            self.notify("There is no job behind this line.", severity="warning")
            return
        act(self.tomoseg, run.job)

    def action_compare(self) -> None:
        """Mark the run under the cursor; with another marked, show both side by side."""
        run, marked = self.run, self._runs.get(self._marked or "")
        if run is None or self._facts is None:
            return
        if marked is None or marked.name == run.name:
            self._marked = run.name if marked is None else None
            if self._marked:
                self.notify(f"{run.name} is marked: go to another run and press d again.", timeout=4)
        else:
            self._marked = None
            self.app.clear_notifications()  # what said that one is marked would cover the other
            self.app.push_screen(CompareRuns(self._facts, (marked, run)))
        self._list_runs(self._facts)

    def command_words(self) -> list[str] | None:
        """Return the command that shows what is under the cursor."""
        run = self.run
        if run is None:
            return None
        if run.card is None and run.job is not None:
            return ["jobs", "show", str(run.job["id"])]
        return ["networks", "show", run.name]


def _preparation(project: Project, request: TrainRequest) -> Callable[[], tuple[str, str, dict[str, Any]]]:
    """Return what checks a training and takes its name, as the command does."""

    def prepare() -> tuple[str, str, dict[str, Any]]:
        name = request.name or free_run_name(project, request.features, request.trainset)
        named = msgspec.structs.replace(request, name=name)
        check_training(project, named)
        reserve_run(project, name)
        return "train", name, msgspec.to_builtins(named)

    return prepare


def _state_or_time(run: Run, present: datetime) -> str:
    """Return when a run that went well was made, else its state."""
    if run.is_live:
        return "now" if run.state == "running" else run.state
    return when(run.since, now=present) if run.state == "done" else run.state


def _how_it_goes(run: Run) -> str:
    """Return how far a run is, and the key that lets it go on."""
    said = run.epochs
    left = run.job["eta_seconds"] if run.job is not None and run.is_live else None
    parts = [
        f"epoch {said[0]}/{said[1]}" if said else "",
        f"about {clock(left)} left" if left is not None else "",
        "r resumes it" if run.state in {"stopped", "failed", "lost"} else "",
    ]
    return "   ".join(part for part in parts if part)
