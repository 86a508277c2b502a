"""Apply: networks against tomograms; what is there, what runs, what does not fit and why; the map as it grows."""

from pathlib import Path
from typing import ClassVar

import msgspec
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import ContentSwitcher, DataTable, Static
from textual.worker import get_current_worker

from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.render.overlay import make_palette
from tomoseg_tui.tui.apply.apply_cells import Cell, CellState, Fit, cell_of
from tomoseg_tui.tui.apply.apply_dialog import ApplyPlan, ApplySettings, StartApply, apply_words
from tomoseg_tui.tui.apply.cell_grid import Grid
from tomoseg_tui.tui.apply.disk_state import ApplyLook, MapView, apply_jobs, look, view_of
from tomoseg_tui.tui.canvas.panel import CanvasPanel
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.images.map_overlays import MergedSlices, SliceCache
from tomoseg_tui.tui.jobs import job_actions
from tomoseg_tui.tui.run_location import Way
from tomoseg_tui.tui.shared_actions.result_actions import ResultKeys
from tomoseg_tui.tui.shared_actions.slice_bindings import slice_keys
from tomoseg_tui.tui.state.snapshot import Facts, TomogramFacts
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.empty_texts import NO_NETWORKS, NO_TOMOGRAMS
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, check_apply
from tomoseg_tui.workflow.volume_names import byte_sign_of

MARK, NO_MARK = "* ", "  "
STYLES = {
    CellState.DONE: "green",
    CellState.STALE: "yellow",
    CellState.PART: "yellow",
    CellState.RUNNING: "cyan",
    CellState.FAILED: "red",
    CellState.LOST: "red",
    CellState.REFUSED: "dim",
}
Field = tuple[str, str]
"""A tomogram and a network."""


class ApplyTab(ResultKeys):
    """The grid, one field in full, and the slices of what it made."""

    NAME = "apply"
    TITLE = "Apply"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Start", id="apply.start", tooltip="Apply: one job for each network, after asking"),
        Binding(
            "space", "mark", "Mark", id="apply.mark", tooltip="Mark a tomogram for a network, or take the mark off"
        ),
        Binding(
            "a",
            "mark_all",
            "All",
            id="apply.mark_all",
            tooltip="Mark every tomogram that fits the network and lacks maps",
        ),
        Binding("s", "stop", "Stop", id="apply.stop", tooltip="Stop the job of this field; finished slices are kept"),
        Binding("r", "resume", "Resume", show=False, id="apply.resume", tooltip="Go on with a job that was stopped"),
        Binding(
            "f", "follow", "Follow", show=False, id="apply.follow", tooltip="Follow the slices as a job finishes them"
        ),
        *slice_keys("apply"),
    ]

    class Looked(Message):
        """A thread has asked the disk what the facts do not hold."""

        def __init__(self, found: ApplyLook) -> None:
            super().__init__()
            self.found = found

    class Viewed(Message):
        """A thread has found what there is to see of the field under the cursor."""

        def __init__(self, view: MapView | None) -> None:
            super().__init__()
            self.view = view

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._facts: Facts | None = None
        self._look = ApplyLook({}, {}, ())
        self._has_looked = False
        """Whether the disk has answered once; until then nothing is drawn, since it tells where to begin."""
        self._looked_at: tuple[object, ...] = ()
        self._cells: dict[Field, Cell] = {}
        self._marks: set[Field] = set()
        self._view: MapView | None = None
        self._slices = SliceCache()
        self._follow = True

    def compose(self) -> ComposeResult:
        """Make the panels, and what stands there while there is nothing."""
        with ContentSwitcher(initial="apply-no-tomograms"):
            yield Container(Empty(*NO_TOMOGRAMS), id="apply-no-tomograms")
            yield Container(Empty(*NO_NETWORKS), id="apply-no-networks")
            with Horizontal(id="apply-work"):
                with Vertical(id="apply-left"):
                    with Vertical(id="apply-grid-panel", classes="panel") as panel:
                        panel.border_title = "networks and tomograms"
                        yield Grid("tomogram", id="apply-grid")
                    with VerticalScroll(id="apply-said", classes="panel", can_focus=False):
                        yield Static("Looking at what fits ...", id="apply-said-words", markup=False)
                with CanvasPanel(id="apply-view", classes="panel"):
                    yield SliceCanvas(id="apply-canvas")

    # What is known

    def show_facts(self, facts: Facts) -> None:
        """Draw the grid; ask the disk only if jobs, networks or tomograms have changed."""
        self._facts = facts
        there = "apply-work" if facts.tomograms and facts.networks else None
        waiting = "apply-no-networks" if facts.tomograms else "apply-no-tomograms"
        self.query_one(ContentSwitcher).current = there or waiting
        if there is None:
            return
        if self.screen.focused is None:
            self.query_one(Grid).focus()
        jobs = tuple((job["id"], job["state"]) for job in facts.jobs if job["kind"] == "apply")
        seen = (jobs, facts.networks, tuple((t.name, t.record) for t in facts.tomograms))
        if seen != self._looked_at:
            self._looked_at = seen
            self._ask_the_disk(facts, self._look)
        self._draw()

    def take_focus(self) -> None:
        """Let the grid have the keys."""
        (self.query_one(Grid) if self._facts and self._facts.networks else self).focus()

    @work(thread=True, exclusive=True, group="apply-look")
    def _ask_the_disk(self, facts: Facts, before: ApplyLook) -> None:
        found = look(facts, before.asked)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Looked(found))

    @on(Looked)
    def take_look(self, event: Looked) -> None:
        """Draw what a thread has found."""
        self._look, self._has_looked = event.found, True
        self._draw()

    def _draw(self) -> None:
        facts = self._facts
        if facts is None or not self._has_looked:
            return
        jobs = apply_jobs(facts, self._look.asked)
        self._cells = {
            (tomogram.name, card.name): cell_of(
                facts, jobs, self._look.fits.get((card.name, tomogram.name), Fit()), card, tomogram
            )
            for tomogram in facts.tomograms
            for card in facts.networks
        }
        self._marks = {field for field in self._marks if field in self._cells and self._cells[field].can_mark}
        self._draw_grid(facts)
        self._draw_field()
        self._find_view()

    def _draw_grid(self, facts: Facts) -> None:
        grid = self.query_one(Grid)
        fresh = grid.field is None
        columns = [card.name for card in facts.networks]
        rows = [
            (tomogram.name, [self._words((tomogram.name, name)) for name in columns]) for tomogram in facts.tomograms
        ]
        grid.show_fields(columns, rows)
        if fresh:
            grid.point_at(self._first_field(facts))
        panel = self.query_one("#apply-grid-panel")
        panel.border_subtitle = f"{len(self._marks)} marked" if self._marks else ""

    def _first_field(self, facts: Facts) -> Field | None:
        """Return the field that is looked at first: the newest job's, else that of the last tomogram."""
        for job in apply_jobs(facts, self._look.asked)[:1]:
            return job.asked.tomograms[0], job.asked.run
        name = self.tomoseg.session.tomogram
        return (name, facts.networks[-1].name) if facts.tomogram(name) and name else None

    def _words(self, field: Field) -> Text:
        cell = self._cells[field]
        return Text((MARK if field in self._marks else NO_MARK) + cell.words, STYLES.get(cell.state, ""), no_wrap=True)

    def _draw_field(self) -> None:
        field, panel = self.query_one(Grid).field, self.query_one("#apply-said")
        if field is None or field not in self._cells:
            return
        name, run = field
        cell = self._cells[field]
        panel.border_title = f"{cell.state}: {name} by {run}"
        self.query_one("#apply-said-words", Static).update(cell.reason)

    @on(DataTable.CellHighlighted)
    def take_field(self) -> None:
        """Show the field that the cursor has come to."""
        self._draw_field()
        self._find_view()

    # What is seen

    def _find_view(self) -> None:
        field = self.query_one(Grid).field
        if self._facts is not None and field is not None:
            self._find_view_in_thread(self._facts, self._look, field)

    @work(thread=True, exclusive=True, group="apply-view")
    def _find_view_in_thread(self, facts: Facts, known: ApplyLook, field: Field) -> None:
        name, run = field
        view = view_of(facts, apply_jobs(facts, known.asked), run, name)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Viewed(view))

    @on(Viewed)
    def take_view(self, event: Viewed) -> None:
        """Show a tomogram and the map over it, if they are not shown already."""
        view, before = event.view, self._view
        field = self.query_one(Grid).field
        if view is None or self._facts is None or view == before or field != (view.tomogram, view.run):
            return
        self._view = view
        tomogram, canvas = self._facts.tomogram(view.tomogram), self.query_one(SliceCanvas)
        if tomogram is None:
            return
        if before is None or (before.tomogram, before.path) != (view.tomogram, view.path):
            sign = byte_sign_of(tomogram.record)
            canvas.open_volume(view.path, name=view.tomogram, byte_sign=sign, words=view.fault)
        if before is None or before.made != view.made:
            self._slices.clear()
        self._lay_over(view, tomogram, canvas)
        if self._follow and view.newest is not None and (before is None or before.newest != view.newest):
            canvas.go_to(z=view.newest)
        self._title_view()

    def _lay_over(self, view: MapView, tomogram: TomogramFacts, canvas: SliceCanvas) -> None:
        palette = make_palette({number: source.feature for number, source in enumerate(view.sources, start=1)})
        merged = MergedSlices(view.sources, tomogram.record.shape_zyx[1:], self._slices)
        canvas.set_overlay(merged if view.sources else None, palette)
        self.query_one("#apply-view").border_subtitle = "  ".join(f"{one.letter} {one.name}" for one in palette)

    @on(SliceCanvas.Moved)
    def _title_view(self) -> None:
        view, canvas = self._view, self.query_one(SliceCanvas)
        tomogram = self._facts.tomogram(view.tomogram) if self._facts is not None and view is not None else None
        if view is None or tomogram is None:
            return
        if view.path is None:
            self.query_one("#apply-view").border_title = f"{view.tomogram}  its file is gone"
            return
        depth = tomogram.record.shape_zyx[0]
        done = sum(stop - start for start, stop in view.sources[0].filled) if view.sources else 0
        if not view.sources:
            said = "no map"
        elif done == depth:
            said = "mapped"
        else:
            said = f"{done} of {depth} mapped" + ("" if view.sources[0].covers(canvas.z) else ", not this slice")
        self.query_one("#apply-view").border_title = f"{view.tomogram}  z {canvas.z}/{depth}  {said}"

    def action_step(self, slices: int) -> None:
        """Go through the slices; that ends following."""
        canvas = self.query_one(SliceCanvas)
        self._follow = False
        canvas.go_to(z=max(0, canvas.z + slices))

    def action_follow(self) -> None:
        """Follow the newest slices, or stay."""
        self._follow = not self._follow
        if self._follow and self._view is not None and self._view.newest is not None:
            self.query_one(SliceCanvas).go_to(z=self._view.newest)
        self.notify(
            "Following the slices as they are finished." if self._follow else "Staying on this slice.", timeout=2
        )

    # Marks and starts

    def action_mark(self) -> None:
        """Mark the field, or say why it cannot be marked."""
        field = self.query_one(Grid).field
        if field is None or field not in self._cells:
            return
        cell, fit = self._cells[field], self._look.fits.get((field[1], field[0]), Fit())
        if field in self._marks:
            self._marks.remove(field)
        elif cell.can_mark:
            self._marks.add(field)
            if fit.fault:
                self.notify("It is applied anyway if you start.", title=fit.fault, severity="warning")
        else:
            self.notify(cell.reason, severity="warning")
        self._draw()

    def action_mark_all(self) -> None:
        """Mark what fits the network under the cursor and lacks maps; take the marks off if all that is marked."""
        field = self.query_one(Grid).field
        if field is None:
            return
        fitting = {other for other in self._cells if other[1] == field[1] and self._lacks_maps(other)}
        if not fitting:
            self.notify(f"No tomogram is left that fits {field[1]} and lacks its maps.", severity="warning")
        self._marks = self._marks - fitting if fitting <= self._marks else self._marks | fitting
        self._draw()

    def _lacks_maps(self, field: Field) -> bool:
        cell, fit = self._cells[field], self._look.fits.get((field[1], field[0]), Fit())
        return cell.can_mark and not fit.fault and cell.state is not CellState.DONE

    def _plans(self) -> list[ApplyPlan]:
        """Return what is marked, else the field under the cursor, by network."""
        here = self.query_one(Grid).field
        fields = self._marks or ({here} if here in self._cells and self._cells[here].can_mark else set())
        cards = self._facts.networks if self._facts is not None else ()
        return [plan for plan in (self._plan(card, fields) for card in cards) if plan.tomograms]

    def _plan(self, card: NetworkCard, fields: set[Field]) -> ApplyPlan:
        tomograms = self._facts.tomograms if self._facts is not None else ()
        mine = {tomogram.name: tomogram for tomogram in tomograms if (tomogram.name, card.name) in fields}
        return ApplyPlan(
            card,
            {name: tomogram.record for name, tomogram in mine.items()},
            anyway=tuple(name for name in mine if self._look.fits.get((card.name, name), Fit()).fault),
            replaced=tuple(name for name, tomogram in mine.items() if any(m.run == card.name for m in tomogram.maps)),
        )

    def action_start(self) -> None:
        """Ask how, and start."""
        plans = self._plans()
        field = self.query_one(Grid).field
        if plans and self._facts is not None:
            self.app.push_screen(StartApply(self._facts, plans, self._look), self._start)
        elif field in self._cells:
            self.notify(self._cells[field].reason, severity="warning")

    def _start(self, answer: tuple[list[ApplyRequest], Way] | None) -> None:
        if answer is not None:
            requests, way = answer
            for request in requests:
                self._start_one(request, way)
            self._marks.clear()
            self._follow = True
            self._draw()

    def _start_one(self, request: ApplyRequest, way: Way) -> None:
        project = self.tomoseg.project
        if request.output is not None:
            kept = project.layout.kept(Path(request.output).expanduser())
            request = msgspec.structs.replace(request, output=kept)

        def prepare() -> tuple[str, str, dict[str, object]]:
            check_apply(project, request)
            return "apply", f"{request.run} on {' '.join(request.tomograms)}", msgspec.to_builtins(request)

        self.tomoseg.start_job([*apply_words(request), *way.words], prepare, way=way)

    def _job(self) -> job_actions.Listing | None:
        """Return the job of the field under the cursor, None if there is none."""
        field = self.query_one(Grid).field
        cell = self._cells.get(field) if field is not None else None
        job = self._facts.job(cell.job) if self._facts is not None and cell is not None else None
        if job is None:
            self.notify("No job is at this field.", severity="warning")
        return job

    def action_stop(self) -> None:
        """Stop the job of the field under the cursor."""
        job = self._job()
        if job is not None:
            job_actions.stop_job(self.tomoseg, job)

    def action_resume(self) -> None:
        """Go on with the job of the field under the cursor."""
        job = self._job()
        if job is not None:
            job_actions.resume_job(self.tomoseg, job)

    def volume_names(self) -> list[str]:
        """Return the maps of the field under the cursor."""
        name, run = self.query_one(Grid).field or ("", "")
        tomogram = self._facts.tomogram(name) if self._facts is not None else None
        return [f"{name}/{made.run}.{made.feature}" for made in tomogram.maps if made.run == run] if tomogram else []

    def command_words(self) -> list[str] | None:
        """Return the command that starts what is marked for the first network."""
        requests = [plan.request(ApplySettings()) for plan in self._plans()]
        return apply_words(requests[0]) if requests and requests[0] is not None else None
