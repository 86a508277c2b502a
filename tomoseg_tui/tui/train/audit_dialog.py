"""The tiles of a run with suspicious labels, with reason and picture; or the offer to run an audit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import DataTable, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.training import AUDIT
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.estimate import estimate_jobs, work_of
from tomoseg_tui.jobs.job import Job
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import AuditReport, NetworkCard
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.format import format_time
from tomoseg_tui.tui.images.triple_images import triple_picture
from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.audit.audit_request import FOLDS, AuditRequest, check_audit
from tomoseg_tui.workflow.estimates.estimator import format_cost
from tomoseg_tui.workflow.views import AuditedTileView, load_audit_views


@dataclass(frozen=True)
class AuditState:
    """The last audit of the tiles, or the cost of one."""

    name: str = ""
    created: str = ""
    views: tuple[AuditedTileView, ...] = ()
    """Its tiles; empty if there was no audit yet."""
    job_text: str = ""
    """State of an unfinished audit of the same tiles, as text."""
    cost_text: str = ""
    """Cost of an audit as text; set if there was no audit yet."""


def load_audit_state(snapshot: ProjectSnapshot, request: AuditRequest) -> AuditState:
    """Return the last audit of the requested tiles; reads tiles, so only threads call it.

    Raises
    ------
    TomosegError
        If its images cannot be read; or, without an earlier audit, if `tomoseg audit` would refuse the request.
    """
    project = Project.open(snapshot.project.layout.root)
    job = _describe_unfinished(snapshot, request)
    report = _last_report(project, request)
    if report is not None:
        return AuditState(report.name, report.created, tuple(load_audit_views(project, report.name)), job)
    return AuditState(job_text=job, cost_text=_describe_cost(project, request))


def _last_report(project: Project, request: AuditRequest) -> AuditReport | None:
    reports = [catalog.load_audit_report(project.layout, name) for name in catalog.audit_names(project.layout)]
    matching = [report for report in reports if _has_same_tiles(report.trainset, report.features, request)]
    return max(matching, key=lambda report: report.created, default=None)


def _has_same_tiles(trainset: str | None, features: tuple[str, ...], request: AuditRequest) -> bool:
    if request.trainset is not None:
        return trainset == request.trainset
    return trainset is None and features == request.features


def _describe_unfinished(snapshot: ProjectSnapshot, request: AuditRequest) -> str:
    """Return the state of the newest audit of these tiles, if its job is not done."""
    for job in snapshot.jobs:  # newest first
        if job["kind"] == "audit":
            job_request = _read_job_request(snapshot, job)
            if _has_same_tiles(job_request.get("trainset"), tuple(job_request.get("features", ())), request):
                text = job["fault"] or job["message"] or ""
                return "" if job["state"] == "done" else f"job {job['id']} is {job['state']}. {text}".strip()
    return ""


def _read_job_request(snapshot: ProjectSnapshot, job: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return Job(snapshot.project.layout.job_folder(str(job["id"]))).record().asked
    except TomosegError:
        return {}


def _describe_cost(project: Project, request: AuditRequest) -> str:
    """Return the cost of an audit, and why it cannot be started if memory or disk space does not suffice."""
    costs = estimate_jobs(project, [work_of(project, "audit", msgspec.to_builtins(request))])
    text = f"{format_cost(costs.total)}."
    try:
        costs.require_resources(in_slurm=project.settings.default_slurm is not None)
    except TomosegError as fault:
        return f"{text}\n! {fault.fault} {fault.fix}"
    return text


def describe_audit(state: AuditState) -> str:
    """Return the text that is shown while no audit is done."""
    if state.job_text:
        return (
            f"An audit of these tiles is not done: {state.job_text}\n\nIts results appear here when it is. 7 shows all "
            "jobs."
        )
    return (
        "These tiles have not been audited. An audit trains "
        f"{FOLDS} small networks, each on three quarters of the tiles, which then predicts the others. It lists "
        "tiles on which annotation and network disagree, empty masks, masks that were moved, negatives that look "
        "positive, duplicate tiles, and unusual contrasts.\n\n"
        f"It takes {state.cost_text}\n\nPress a to start it; it continues when you quit."
    )


SIGN_LABELS = {1: "positive", -1: "negative", 0: "unknown"}


@dataclass(frozen=True)
class TileToAnnotate:
    """A tile that the user wants to open in the Annotate tab."""

    tile: str
    feature: str


class AuditDialog(Dialog[TileToAnnotate | AuditRequest]):
    """Answers with a tile to open, or with an audit to start."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="audit.close", tooltip="Close"),
        Binding("enter", "go", "Annotate", id="audit.go", tooltip="Go to the tile in Annotate"),
        Binding("a", "start", "Audit", id="audit.start", tooltip="Audit the tiles as they are now"),
    ]

    @dataclass
    class AuditLoaded(Message):
        """The last audit has been read."""

        outcome: AuditState | TomosegError

    def __init__(self, snapshot: ProjectSnapshot, card: NetworkCard) -> None:
        super().__init__()
        self._snapshot, self._card = snapshot, card
        self._views: dict[str, AuditedTileView] = {}
        self.request = AuditRequest(
            name="", trainset=card.trainset, features=() if card.trainset else tuple(card.features)
        )
        """The audit that `a` starts; it uses the default network, whatever the network of the run is."""

    def compose(self) -> ComposeResult:
        with Vertical(id="audit", classes="panel"):
            yield Static("Reading ...", id="audit-words", markup=False)
            yield Table("#", "tile", "feature", "suspicion", id="audit-table")
            yield Static("", id="audit-reason", markup=False)
            with Container(id="audit-picture"):
                yield StillCanvas()

    def on_mount(self) -> None:
        panel = self.query_one("#audit")
        panel.border_title = f"tiles of {self._card.name} with suspicious labels"
        panel.border_subtitle = "a audits   esc closes"
        panel.add_class("-bare")
        self._read()

    @work(thread=True, exclusive=True, group="audit")
    def _read(self) -> None:
        try:
            outcome: AuditState | TomosegError = load_audit_state(self._snapshot, self.request)
        except TomosegError as fault:
            outcome = fault
        self.post_message(self.AuditLoaded(outcome))

    @on(AuditLoaded)
    def show(self, event: AuditLoaded) -> None:
        """List the tiles, or describe what an audit does."""
        header = self.query_one("#audit-words", Static)
        if isinstance(event.outcome, TomosegError):
            header.update(Text.assemble((f"! {event.outcome.fault} ", "bold"), event.outcome.fix))
            return
        if not event.outcome.views:
            header.update(describe_audit(event.outcome))
            return
        self._views = {view.audited_tile.tile: view for view in event.outcome.views}
        flagged_count = sum(bool(view.audited_tile.reasons) for view in event.outcome.views)
        title = f"{event.outcome.name}, {format_time(event.outcome.created)}: "
        header.update(
            f"{title}{flagged_count} of {len(self._views)} tiles are suspicious.{_running_text(event.outcome)}"
        )
        panel = self.query_one("#audit")
        panel.remove_class("-bare")
        panel.border_subtitle = "image | annotation | network   enter annotates   a audits again   esc closes"
        table = self.query_one(Table)
        table.show_rows(
            [
                (
                    tile,
                    (
                        str(rank),
                        tile,
                        f"{view.audited_tile.feature} {SIGN_LABELS[view.audited_tile.sign]}",
                        f"{view.audited_tile.suspicion:.2f}",
                    ),
                )
                for rank, (tile, view) in enumerate(self._views.items(), start=1)
            ]
        )
        table.focus()
        self._show_tile()

    @property
    def chosen(self) -> AuditedTileView | None:
        """The tile under the cursor."""
        return self._views.get(self.query_one(Table).row_key or "")

    @on(DataTable.RowHighlighted, "#audit-table")
    def _show_tile(self) -> None:
        """Show the tile under the cursor and the reasons."""
        view = self.chosen
        if view is None:
            return
        reasons = "; ".join(view.audited_tile.reasons) or "annotation and network agree"
        self.query_one("#audit-reason", Static).update(f"{reasons[:1].upper()}{reasons[1:]}.")
        self.query_one(StillCanvas).show(triple_picture(view.triple))

    @on(DataTable.RowSelected, "#audit-table")
    def action_go(self) -> None:
        if self.chosen is not None:
            self.dismiss(TileToAnnotate(self.chosen.audited_tile.tile, self.chosen.audited_tile.feature))

    def action_start(self) -> None:
        self.dismiss(self.request)


def show_audit(app: JobApp, snapshot: ProjectSnapshot, card: NetworkCard) -> None:
    """Show the suspicious tiles of a network; then start an audit, or open a tile in the Annotate tab."""
    project = app.project

    async def on_answer(answer: TileToAnnotate | AuditRequest | None) -> None:
        if isinstance(answer, AuditRequest):
            request = answer

            def prepare() -> tuple[str, AuditRequest]:
                name = request.name or catalog.free_name(project.layout.audits, request.features, request.trainset)
                named = msgspec.structs.replace(request, name=name)
                check_audit(project, named)
                return "audit", named

            app.start_job(to_argv(AUDIT, request), prepare)
        elif answer is not None:
            await _annotate(app, answer)

    app.push_screen(AuditDialog(snapshot, card), on_answer)


async def _annotate(app: JobApp, target: TileToAnnotate) -> None:
    """Open a tile in the Annotate tab."""
    from tomoseg_tui.tui.annotate.annotate_tab import AnnotateTab  # noqa: PLC0415  # a tab wakes when it is opened

    await app.action_open("annotate")
    tab = app.open_tab
    if isinstance(tab, AnnotateTab) and not tab.show_tile(target.tile, target.feature):
        app.notify(f"{target.tile} is not listed: it was removed, or the filter hides it.", severity="warning")


def _running_text(state: AuditState) -> str:
    return f" Another audit: {state.job_text}." if state.job_text else ""
