"""The tiles of a run whose label looks wrong, with the reason and the picture; or the offer to find them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from rich.markup import escape
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import DataTable, Static

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.format import when
from tomoseg_tui.tui.images.triple_images import side_by_side
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.train.audit_state import AuditKnown, audit_in_words, look_for_audit
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.audit.audit_request import AuditRequest, check_audit, free_audit_name, reserve_audit
from tomoseg_tui.workflow.views import SuspectView

KINDS = {1: "positive", -1: "negative", 0: "unknown"}


@dataclass(frozen=True)
class TileWanted:
    """A tile that the user wants to see in Annotate."""

    tile: str
    feature: str


class AuditScreen(Dialog[TileWanted | AuditRequest]):
    """The screen; it answers with a tile to go to, or with an audit to start."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Close", id="audit.close", tooltip="Close"),
        Binding("enter", "go", "Annotate", id="audit.go", tooltip="Go to the tile in Annotate"),
        Binding("a", "start", "Audit", id="audit.start", tooltip="Audit the tiles as they are now"),
    ]

    class Read(Message):
        """What there is has been read."""

        def __init__(self, known: AuditKnown | TomosegError) -> None:
            super().__init__()
            self.known = known

    def __init__(self, facts: Facts, card: NetworkCard) -> None:
        super().__init__()
        self._facts, self._card = facts, card
        self._views: dict[str, SuspectView] = {}
        self.request = AuditRequest(
            name="", trainset=card.trainset, features=() if card.trainset else tuple(card.features)
        )
        """The audit that `a` starts; its network is the usual one, whatever the run's is."""

    def compose(self) -> ComposeResult:
        """Make the list, the reason and the picture."""
        with Vertical(id="audit", classes="panel"):
            yield Static("Reading ...", id="audit-words", markup=False)
            yield Table("#", "tile", "feature", "suspicion", id="audit-table")
            yield Static("", id="audit-reason", markup=False)
            with Container(id="audit-picture"):
                yield StillCanvas()

    def on_mount(self) -> None:
        """Look what there is."""
        panel = self.query_one("#audit")
        panel.border_title = escape(f"tiles of {self._card.name} whose label looks wrong")
        panel.border_subtitle = "a audits   esc closes"
        panel.add_class("-bare")
        self._read()

    @work(thread=True, exclusive=True, group="audit")
    def _read(self) -> None:
        try:
            known: AuditKnown | TomosegError = look_for_audit(self._facts, self.request)
        except TomosegError as fault:
            known = fault
        self.post_message(self.Read(known))

    @on(Read)
    def show(self, event: Read) -> None:
        """List the tiles, or say what an audit would be."""
        words = self.query_one("#audit-words", Static)
        if isinstance(event.known, TomosegError):
            words.update(Text.assemble((f"! {event.known.fault} ", "bold"), event.known.fix))
            return
        if not event.known.views:
            words.update(audit_in_words(event.known))
            return
        self._views = {view.found.tile: view for view in event.known.views}
        suspected = sum(bool(view.found.reasons) for view in event.known.views)
        made = f"{event.known.name}, {when(event.known.created)}: "
        words.update(f"{made}{suspected} of {len(self._views)} tiles are worth a look.{_live(event.known)}")
        panel = self.query_one("#audit")
        panel.remove_class("-bare")
        panel.border_subtitle = "image | annotation | network   enter annotates   a anew   esc closes"
        table = self.query_one(Table)
        table.show_rows(
            [
                (
                    tile,
                    (str(rank), tile, f"{view.found.feature} {KINDS[view.found.sign]}", f"{view.found.suspicion:.2f}"),
                )
                for rank, (tile, view) in enumerate(self._views.items(), start=1)
            ]
        )
        table.focus()
        self._look()

    @property
    def chosen(self) -> SuspectView | None:
        """The tile under the cursor."""
        return self._views.get(self.query_one(Table).row_key or "")

    @on(DataTable.RowHighlighted, "#audit-table")
    def _look(self) -> None:
        """Show the tile under the cursor and what is said of it."""
        view = self.chosen
        if view is None:
            return
        said = "; ".join(view.found.reasons) or "annotation and network agree"
        self.query_one("#audit-reason", Static).update(f"{said[:1].upper()}{said[1:]}.")
        self.query_one(StillCanvas).show(side_by_side(view.picture))

    @on(DataTable.RowSelected, "#audit-table")
    def action_go(self) -> None:
        """Answer with the tile under the cursor."""
        if self.chosen is not None:
            self.dismiss(TileWanted(self.chosen.found.tile, self.chosen.found.feature))

    def action_start(self) -> None:
        """Answer that the tiles are to be audited."""
        self.dismiss(self.request)


def _live(known: AuditKnown) -> str:
    return f" Another audit: {known.job}." if known.job else ""


def audit_words(request: AuditRequest) -> list[str]:
    """Return the arguments of the command that starts this audit."""
    words = ["audit"]
    for feature in request.features:
        words += ["--feature", feature]
    return words + (["--trainset", request.trainset] if request.trainset is not None else [])


def preparation(project: Project, request: AuditRequest) -> Callable[[], tuple[str, str, dict[str, Any]]]:
    """Return what checks an audit and takes its name, as the command does."""

    def prepare() -> tuple[str, str, dict[str, Any]]:
        name = request.name or free_audit_name(project, request.features, request.trainset)
        named = msgspec.structs.replace(request, name=name)
        check_audit(project, named)
        reserve_audit(project, name)
        return "audit", name, msgspec.to_builtins(named)

    return prepare
