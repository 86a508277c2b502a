"""Jobs: all of them, the newest first; what the one under the cursor says, live; stop, resume, kill."""

from datetime import UTC, date, datetime
from typing import ClassVar

from rich.markup import escape
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import DataTable, Static

from tomoseg_tui.jobs.job import Job
from tomoseg_tui.jobs.slurm.status import place_in_words
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.format import bar, clock, gigabytes, shortened, when
from tomoseg_tui.tui.jobs import job_actions
from tomoseg_tui.tui.jobs.job_actions import HERE, IN_SLURM, Listing, is_live, state_in_words
from tomoseg_tui.tui.jobs.log_view import LogView
from tomoseg_tui.tui.state.file_tail import Follower, Grown
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.train.curves import Curves
from tomoseg_tui.tui.train.runs import Epoch, Run, epochs_in
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.filter_line import FilterLine, fits
from tomoseg_tui.tui.widgets.table import Table

NO_JOBS = (
    "No job yet",
    (
        "Whatever takes longer than a moment is a job: filtering, training, applying a network, merging. Jobs go on "
        "when you leave the program or the connection breaks; here you see how far they are, and stop or resume them."
    ),
    "Press [b]4[/b] to train a network; it will be the first.",
)
ELSEWHERE = "Go on with a stopped, failed or lost job in another place: one of Slurm on this machine, or the reverse"
PLACES = ((HERE, "on this machine"), (IN_SLURM, "handed to sbatch with what project.toml says"))
OTHER_COLUMNS = 65
"""What all columns but the name take, their gaps among them."""
BAR_CELLS = 6


class JobTable(Table):
    """The jobs; enter shows one in full."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter", "select_cursor", "Open", id="jobs.open", tooltip="Log, curves and progress on the whole screen"
        )
    ]


class JobsTab(Tab):
    """The list above, the job under the cursor below."""

    NAME = "jobs"
    TITLE = "Jobs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "Stop", id="jobs.stop", tooltip="Stop the job; what is finished is kept"),
        Binding("r", "resume", "Resume", id="jobs.resume", tooltip="Go on with a stopped, failed or lost job"),
        Binding("R", "resume_elsewhere", "Elsewhere", show=False, id="jobs.elsewhere", tooltip=ELSEWHERE),
        Binding("K", "kill", "Kill", id="jobs.kill", tooltip="End the job at once, after asking"),
        Binding("slash", "filter", "Filter", key_display="/", id="jobs.filter", tooltip="Show only some jobs"),
        Binding("escape", "close", "Back", show=False, id="jobs.back", tooltip="Back to the list"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._figures = Follower(self.post_message)
        self._facts: Facts | None = None
        self._epochs: list[Epoch] = []
        self._words = ""
        self._made: dict[str, tuple[Listing, tuple[int, date], tuple[str, ...]]] = {}

    def compose(self) -> ComposeResult:
        """Make the list and what stands below it."""
        yield Empty(*NO_JOBS)
        with Vertical(id="jobs-list", classes="panel"):
            yield JobTable("id", "kind", "name", "state", "done", "left", "memory", "begun", id="jobs-table")
            yield FilterLine(id="jobs-filter")
        with Vertical(id="jobs-detail", classes="panel"):
            yield Static("", id="jobs-words", markup=False)
            with Horizontal():
                yield LogView(id="jobs-log")
                with Container(id="jobs-curves"):
                    yield Curves()

    def on_mount(self) -> None:
        """Begin with the list."""
        self.query_one("#jobs-list").border_title = "jobs"

    def on_unmount(self) -> None:
        """Let the reading thread end."""
        self._figures.stop()

    # Facts

    def show_facts(self, facts: Facts) -> None:
        """List the jobs, and look at the one under the cursor."""
        self._facts = facts
        self.set_class(not facts.jobs, "-empty")
        if facts.jobs and self.screen.focused is None:
            self.take_focus()
        self._list_jobs()
        self._look_at_job()

    def on_resize(self) -> None:
        """Give the names the room there is."""
        self._list_jobs()

    def _list_jobs(self) -> None:
        jobs = self._facts.jobs if self._facts is not None else ()
        room = max(12, self.size.width - OTHER_COLUMNS)
        present = datetime.now(UTC).astimezone()
        shown = [job for job in jobs if not self._words or fits(_words_to_filter(job), self._words)]
        self.query_one(JobTable).show_rows([(str(job["id"]), self._cells(job, room, present)) for job in shown])
        panel = self.query_one("#jobs-list")
        panel.border_subtitle = f"{len(shown)} of {len(jobs)}" if self._words else ""

    def _cells(self, job: Listing, room: int, present: datetime) -> tuple[str, ...]:
        """Return a job's cells; those of a job that is over, whose listing stays the same, are made once a day."""
        known = self._made.get(str(job["id"]))
        if known is None or known[0] is not job or known[1] != (room, present.date()):
            known = job, (room, present.date()), _cells(job, room, present)
            self._made[str(job["id"])] = known
        return known[2]

    def take_focus(self) -> None:
        """Let the list have the focus, or the log where that has the whole tab."""
        (self.query_one(LogView) if self.has_class("-open") else self.query_one(JobTable)).focus()

    # The job under the cursor

    @property
    def job(self) -> Listing | None:
        """The job under the cursor."""
        return self._facts.job(self.query_one(JobTable).row_key) if self._facts is not None else None

    @on(DataTable.RowHighlighted, "#jobs-table")
    def job_chosen(self) -> None:
        """Look at another job."""
        self._look_at_job()

    def _look_at_job(self) -> None:
        job = self.job
        log = self.query_one(LogView)
        if job is None or self._facts is None:
            log.follow(None, live=False)
            self._figures.follow(None, live=False)
            self._show_words(None)
            return
        files = Job(self._facts.project.layout.job_folder(str(job["id"])))
        log.follow(files.log_file, live=is_live(job))
        figures = files.metrics_file if job["kind"] == "train" else None
        if self._figures.follow(figures, live=is_live(job)):
            self._epochs = []
        self.query_one("#jobs-curves").display = figures is not None
        self._show_words(job)
        self._show_curves(job)

    def _show_words(self, job: Listing | None) -> None:
        detail, words = self.query_one("#jobs-detail"), self.query_one("#jobs-words", Static)
        if job is None:
            detail.border_title = "no job fits the filter" if self._words else "no job"
            detail.border_subtitle = ""
            words.update("")
            return
        detail.border_title = escape(f"job {job['id']}   {job['kind']} {job['name']}   {job['state']}")
        detail.border_subtitle = escape(_times_of(job))
        words.update(state_in_words(job))

    def _show_curves(self, job: Listing) -> None:
        if job["kind"] != "train" or self._facts is None:
            return
        run = Run(job["name"], self._facts.network(job["name"]), job)
        total = run.epochs[1] if run.epochs else None
        self.query_one(Curves).show(self._epochs, total, self._facts.features, words="No epoch is finished yet.")

    @on(Grown)
    def add_epochs(self, event: Grown) -> None:
        """Draw what a training has reported."""
        if event.path != self._figures.path:
            return
        self._epochs = epochs_in(event.text) if event.afresh else [*self._epochs, *epochs_in(event.text)]
        if self.job is not None:
            self._show_curves(self.job)

    @on(DataTable.RowSelected, "#jobs-table")
    def open_job(self) -> None:
        """Give the whole tab to the job; its log has the focus then."""
        if self.job is not None:
            self.add_class("-open")
            self.query_one(LogView).focus()

    def action_close(self) -> None:
        """Go back to the list."""
        self.remove_class("-open")
        self.query_one(JobTable).focus()

    # Actions

    def action_stop(self) -> None:
        """Stop the job."""
        job = self._chosen()
        if job is not None:
            job_actions.stop_job(self.tomoseg, job)

    def action_resume(self) -> None:
        """Go on with the job."""
        job = self._chosen()
        if job is not None:
            job_actions.resume_job(self.tomoseg, job)

    def action_resume_elsewhere(self) -> None:
        """Ask where the job is to go on; the place where it was not is marked."""
        job = self._chosen()
        if job is None or not job_actions.can_resume(self.tomoseg, job):
            return

        def resume_there(place: str | None) -> None:
            if place is not None:
                job_actions.resume_elsewhere(self.tomoseg, job, place)

        title = f"Where does job {job['id']}, {job['kind']} {job['name']}, go on? What it has finished is kept."
        self.app.push_screen(Pick(title, PLACES, chosen=HERE if job["slurm"] else IN_SLURM), resume_there)

    def action_kill(self) -> None:
        """Kill the job, if that is meant."""
        job = self._chosen()
        if job is None:
            return
        if not is_live(job) and job["state"] != "lost":
            self.notify(f"Job {job['id']} is {job['state']} already.", severity="warning")
            return

        def kill_if(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
            if answer:
                job_actions.kill_job(self.tomoseg, job)

        text = "It ends at once. What it had finished stays, and r resumes it; s would let it keep its work first."
        self.app.push_screen(Confirm(f"Kill job {job['id']}, {job['kind']} {job['name']}?", text, yes="Kill"), kill_if)

    def _chosen(self) -> Listing | None:
        if self.job is None:
            self.notify("There is no job under the cursor.", severity="warning")
        return self.job

    def action_filter(self) -> None:
        """Type what the jobs shown must have in common."""
        self.action_close()
        self.query_one(FilterLine).open(self.query_one(JobTable))

    @on(FilterLine.Filtered)
    def filter_jobs(self, event: FilterLine.Filtered) -> None:
        """Show what fits."""
        self._words = event.words
        self._list_jobs()
        self._look_at_job()

    def command_words(self) -> list[str] | None:
        """Return the command that shows the job."""
        return None if self.job is None else ["jobs", "show", str(self.job["id"])]


def _words_to_filter(job: Listing) -> str:
    return f"{job['id']} {job['kind']} {job['name']} {job['state']} {_place_of(job)}"


def _place_of(job: Listing) -> str:
    return place_in_words(job["host"], job["slurm"], job["partition"])


def _cells(job: Listing, room: int, present: datetime) -> tuple[str, ...]:
    return (
        str(job["id"]),
        job["kind"],
        shortened(job["name"], room),
        job["state"],
        _done_or_place(job),
        clock(job["eta_seconds"]),
        gigabytes(job["peak_memory_bytes"]),
        when(job["started"] or job["created"], now=present),
    )


def _done_or_place(job: Listing) -> str:
    """Return how much is done; of a job that waits its place in line, or the jobs that it comes after."""
    if job["place"] is not None:
        return f"place {job['place']}"
    if job["waits_for"] and not job["after"]:
        return "in Slurm"
    if job["waits_for"]:
        return shortened(f"after {', '.join(job['after'])}", BAR_CELLS + 5)
    return f"{bar(job['progress'], BAR_CELLS)} {100 * job['progress']:3.0f}%"


def _times_of(job: Listing) -> str:
    """Return when it ran, and where it does."""
    parts = [
        f"begun {when(job['started'])}" if job["started"] else "not begun",
        f"ended {when(job['ended'])}" if job["ended"] else "",
        f"on {_place_of(job)}" if (is_live(job) and job["host"]) or job["slurm"] else "",
        f"process {job['pid']}" if is_live(job) and job["host"] else "",
    ]
    return "   ".join(part for part in parts if part)
