"""Jobs: the list, the newest first; log and progress of the one under the cursor; stop, resume, kill."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.widgets import DataTable, Log, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.table import JOBS_SHOW
from tomoseg_tui.files.disk_space import format_bytes
from tomoseg_tui.jobs.job import LOG_TIME, Job
from tomoseg_tui.jobs.slurm.status import format_location
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.format import JobListing, describe_state, ellipsize, format_clock, format_progress_bar, format_time
from tomoseg_tui.tui.jobs import job_actions
from tomoseg_tui.tui.jobs.job_actions import HERE, IN_SLURM, is_live
from tomoseg_tui.tui.state.file_tail import FileTailer, LinesAppended
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.train.curves import Curves
from tomoseg_tui.tui.train.runs import Epoch, Run, parse_epochs
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.filter_line import FilterLine, matches_filter
from tomoseg_tui.tui.widgets.table import Table

MAX_LINES = 5000
"""Older lines are dropped; `tomoseg jobs log` prints them all."""


class LogView(Log):
    """The end of a text file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False, id="log.down"),
        Binding("k", "scroll_up", "Up", show=False, id="log.up"),
        Binding("h", "scroll_left", "Left", show=False, id="log.left"),
        Binding("l", "scroll_right", "Right", show=False, id="log.right"),
        Binding("g", "scroll_home", "Top", show=False, id="log.top"),
        Binding("G", "scroll_end", "End", show=False, id="log.end"),
        Binding("ctrl+d", "page_down", "Page down", show=False, id="log.page_down"),
        Binding("ctrl+u", "page_up", "Page up", show=False, id="log.page_up"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, max_lines=MAX_LINES)
        self._file_tailer = FileTailer(self.post_message)

    def follow(self, path: Path | None, *, is_live: bool) -> None:
        """Show a file, and new lines while it is live; None shows nothing."""
        if self._file_tailer.follow(path, is_live=is_live):
            self.clear()

    def on_unmount(self) -> None:
        self._file_tailer.stop()

    @on(LinesAppended)
    def append_lines(self, event: LinesAppended) -> None:
        """Show new lines."""
        event.stop()
        if event.path != self._file_tailer.path:
            return
        if event.is_reset:
            self.clear()
        at_end = event.is_reset or self.is_vertical_scroll_end
        self.write(LOG_TIME.sub(_local_time, event.text.decode(errors="replace")), scroll_end=at_end)
        if event.is_reset:
            self.call_after_refresh(self.scroll_end, animate=False, x_axis=False)


def _local_time(match: re.Match[str]) -> str:
    """Return the time of a line as local time."""
    return f"{datetime.fromisoformat(match[1]).astimezone():%H:%M:%S} "


NO_JOBS = (
    "No job yet",
    (
        "Everything that takes longer than a moment is a job: filtering, training, applying, merging. Jobs continue "
        "when you quit the program or the connection breaks. This tab shows their progress, stops and resumes them."
    ),
    "Press [b]4[/b] to train a network; it will be the first.",
)
ELSEWHERE = "Resume a stopped, failed or lost job in another place: a Slurm job on this machine, or the reverse"
RESUME_LOCATIONS = ((HERE, "on this machine"), (IN_SLURM, "submitted to Slurm with the settings of project.toml"))
OTHER_COLUMNS = 65
"""Columns of all fields except the name, including gaps."""
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

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "Stop", id="jobs.stop", tooltip="Stop the job; finished work is kept"),
        Binding("r", "resume", "Resume", id="jobs.resume", tooltip="Resume a stopped, failed or lost job"),
        Binding("R", "resume_elsewhere", "Elsewhere", show=False, id="jobs.elsewhere", tooltip=ELSEWHERE),
        Binding("K", "kill", "Kill", id="jobs.kill", tooltip="Kill the job immediately, after asking"),
        Binding("slash", "filter", "Filter", key_display="/", id="jobs.filter", tooltip="Show only matching jobs"),
        Binding("escape", "close", "Back", show=False, id="jobs.back", tooltip="Back to the list"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._metrics_tailer = FileTailer(self.post_message)
        self._snapshot: ProjectSnapshot | None = None
        self._epochs: list[Epoch] = []
        self._filter_text = ""
        self._row_cache: dict[str, tuple[JobListing, tuple[int, date], tuple[str, ...]]] = {}

    def compose(self) -> ComposeResult:
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
        self.query_one("#jobs-list").border_title = "jobs"

    def on_unmount(self) -> None:
        self._metrics_tailer.stop()

    # Snapshots

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """List the jobs, and show the one under the cursor."""
        self._snapshot = snapshot
        self.set_class(not snapshot.jobs, "-empty")
        if snapshot.jobs and self.screen.focused is None:
            self.focus_default()
        self._list_jobs()
        self._show_job()

    def on_resize(self) -> None:
        self._list_jobs()

    def _list_jobs(self) -> None:
        jobs = self._snapshot.jobs if self._snapshot is not None else ()
        name_width = max(12, self.size.width - OTHER_COLUMNS)
        now = datetime.now(UTC).astimezone()
        shown = [
            job for job in jobs if not self._filter_text or matches_filter(_searchable_text(job), self._filter_text)
        ]
        self.query_one(JobTable).show_rows([(str(job["id"]), self._cells(job, name_width, now)) for job in shown])
        panel = self.query_one("#jobs-list")
        panel.border_subtitle = f"{len(shown)} of {len(jobs)}" if self._filter_text else ""

    def _cells(self, job: JobListing, name_width: int, now: datetime) -> tuple[str, ...]:
        """Return the cells of a job; for finished jobs, they are cached for a day."""
        cached = self._row_cache.get(str(job["id"]))
        if cached is None or cached[0] is not job or cached[1] != (name_width, now.date()):
            cached = job, (name_width, now.date()), _cells(job, name_width, now)
            self._row_cache[str(job["id"])] = cached
        return cached[2]

    def focus_default(self) -> None:
        """Focus the list, or the log if it fills the tab."""
        (self.query_one(LogView) if self.has_class("-open") else self.query_one(JobTable)).focus()

    # The job under the cursor

    @property
    def job(self) -> JobListing | None:
        """The job under the cursor."""
        return self._snapshot.job(self.query_one(JobTable).row_key) if self._snapshot is not None else None

    @on(DataTable.RowHighlighted, "#jobs-table")
    def show_selected_job(self) -> None:
        """Show another job."""
        self._show_job()

    def _show_job(self) -> None:
        job = self.job
        log = self.query_one(LogView)
        if job is None or self._snapshot is None:
            log.follow(None, is_live=False)
            self._metrics_tailer.follow(None, is_live=False)
            self._show_status(None)
            return
        files = Job(self._snapshot.project.layout.job_folder(str(job["id"])))
        log.follow(files.log_file, is_live=is_live(job))
        metrics_file = files.metrics_file if job["kind"] == "train" else None
        if self._metrics_tailer.follow(metrics_file, is_live=is_live(job)):
            self._epochs = []
        self.query_one("#jobs-curves").display = metrics_file is not None
        self._show_status(job)
        self._show_curves(job)

    def _show_status(self, job: JobListing | None) -> None:
        detail, label = self.query_one("#jobs-detail"), self.query_one("#jobs-words", Static)
        if job is None:
            detail.border_title = "no job matches the filter" if self._filter_text else "no job"
            detail.border_subtitle = ""
            label.update("")
            return
        detail.border_title = f"job {job['id']}   {job['kind']} {job['name']}   {job['state']}"
        detail.border_subtitle = _times_text(job)
        label.update(describe_state(job))

    def _show_curves(self, job: JobListing) -> None:
        if job["kind"] != "train" or self._snapshot is None:
            return
        epochs = self._snapshot.epochs.get(job["id"])
        run = Run(job["name"], self._snapshot.network(job["name"]), job, job_epochs=epochs)
        total = run.epochs[1] if run.epochs else None
        self.query_one(Curves).show(
            self._epochs, total, self._snapshot.features, empty_text="No epoch is finished yet."
        )

    @on(LinesAppended)
    def add_epochs(self, event: LinesAppended) -> None:
        """Draw the new epochs of a training."""
        if event.path != self._metrics_tailer.path:
            return
        self._epochs = parse_epochs(event.text) if event.is_reset else [*self._epochs, *parse_epochs(event.text)]
        if self.job is not None:
            self._show_curves(self.job)

    @on(DataTable.RowSelected, "#jobs-table")
    def open_job(self) -> None:
        """Show the job in the whole tab, with its log focused."""
        if self.job is not None:
            self.add_class("-open")
            self.query_one(LogView).focus()

    def action_close(self) -> None:
        self.remove_class("-open")
        self.query_one(JobTable).focus()

    # Actions

    def action_stop(self) -> None:
        job = self._selected_job()
        if job is not None:
            job_actions.stop_job(self.tomoseg, job)

    def action_resume(self) -> None:
        job = self._selected_job()
        if job is not None:
            job_actions.resume_job(self.tomoseg, job)

    def action_resume_elsewhere(self) -> None:
        """Ask where to resume the job; the other place is preselected."""
        job = self._selected_job()
        if job is None or not job_actions.can_resume(self.tomoseg, job):
            return

        def resume_there(location: str | None) -> None:
            if location is not None:
                job_actions.resume_elsewhere(self.tomoseg, job, location)

        title = f"Where should job {job['id']}, {job['kind']} {job['name']}, be resumed? Finished work is kept."
        self.app.push_screen(Pick(title, RESUME_LOCATIONS, chosen=HERE if job["slurm"] else IN_SLURM), resume_there)

    def action_kill(self) -> None:
        job = self._selected_job()
        if job is None:
            return
        if not is_live(job) and job["state"] != "lost":
            self.notify(f"Job {job['id']} is {job['state']} already.", severity="warning")
            return

        def on_answer(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
            if answer:
                job_actions.kill_job(self.tomoseg, job)

        text = "It ends immediately. Finished work is kept, and r resumes it. With s, it would save its work first."
        self.app.push_screen(
            Confirm(f"Kill job {job['id']}, {job['kind']} {job['name']}?", text, yes="Kill"), on_answer
        )

    def _selected_job(self) -> JobListing | None:
        if self.job is None:
            self.notify("There is no job under the cursor.", severity="warning")
        return self.job

    def action_filter(self) -> None:
        self.action_close()
        self.query_one(FilterLine).open(self.query_one(JobTable))

    @on(FilterLine.Filtered)
    def filter_jobs(self, event: FilterLine.Filtered) -> None:
        """List the matching jobs."""
        self._filter_text = event.text
        self._list_jobs()
        self._show_job()

    def command_argv(self) -> list[str] | None:
        """Return the command that shows the job."""
        return None if self.job is None else to_argv(JOBS_SHOW, id=self.job["id"])


def _searchable_text(job: JobListing) -> str:
    return f"{job['id']} {job['kind']} {job['name']} {job['state']} {_format_location(job)}"


def _format_location(job: JobListing) -> str:
    return format_location(job["host"], job["slurm"], job["partition"])


def _cells(job: JobListing, name_width: int, now: datetime) -> tuple[str, ...]:
    return (
        str(job["id"]),
        job["kind"],
        ellipsize(job["name"], name_width),
        job["state"],
        _progress_text(job),
        format_clock(job["eta_seconds"]),
        format_bytes(job["peak_memory_bytes"]) if job["peak_memory_bytes"] else "",
        format_time(job["started"] or job["created"], now=now),
    )


def _progress_text(job: JobListing) -> str:
    """Return the progress; for a waiting job its place in the queue, or the jobs that it waits for."""
    if job["place"] is not None:
        return f"place {job['place']}"
    if job["waits_for"] and not job["after"]:
        return "in Slurm"
    if job["waits_for"]:
        return ellipsize(f"after {', '.join(job['after'])}", BAR_CELLS + 5)
    return f"{format_progress_bar(job['progress'], BAR_CELLS)} {100 * job['progress']:3.0f}%"


def _times_text(job: JobListing) -> str:
    """Return when it ran, and where."""
    parts = [
        f"started {format_time(job['started'])}" if job["started"] else "not started",
        f"ended {format_time(job['ended'])}" if job["ended"] else "",
        f"on {_format_location(job)}" if (is_live(job) and job["host"]) or job["slurm"] else "",
        f"process {job['pid']}" if is_live(job) and job["host"] else "",
    ]
    return "   ".join(part for part in parts if part)
