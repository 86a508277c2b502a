"""Apply: networks against tomograms; existing maps, running jobs, mismatches and their reasons; the map as it grows."""

from dataclasses import dataclass
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

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.results import APPLY
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.render.colours import make_palette
from tomoseg_tui.tui.apply.apply_cells import Cell, CellState, Compatibility, cell_for
from tomoseg_tui.tui.apply.apply_dialog import ApplyDialog, ApplyPlan
from tomoseg_tui.tui.apply.cell_grid import CellGrid
from tomoseg_tui.tui.apply.disk_state import ApplyDiskState, MapView, apply_jobs, map_view, read_apply_state
from tomoseg_tui.tui.canvas.panel import CanvasPanel
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.form_fields import RunLocation
from tomoseg_tui.tui.format import JobListing
from tomoseg_tui.tui.images.map_overlays import MapSliceCache, MergedSlices
from tomoseg_tui.tui.jobs import job_actions
from tomoseg_tui.tui.shared_actions.result_actions import RESULT_BINDINGS, ResultActions, slice_bindings
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot, TomogramSnapshot
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest, check_apply

NO_TOMOGRAMS = (
    "No tomogram yet",
    (
        "Here you apply your trained networks to your tomograms: "
        "each network makes a map, the probability of its feature in every voxel.\n"
        "Import a tomogram first."
    ),
    "Press [b]1[/b] to import one.",
)
NO_NETWORKS = (
    "No network yet",
    (
        "Here a network is applied to as many tomograms as you like, overnight if necessary: "
        "what it learned on a few tiles applies to all tomograms recorded and reconstructed in the same way.\n"
        "Train a network first."
    ),
    "Press [b]4[/b] to train one.",
)
MARK, NO_MARK = "* ", "  "
STATE_STYLES = {
    CellState.DONE: "green",
    CellState.STALE: "yellow",
    CellState.PART: "yellow",
    CellState.RUNNING: "cyan",
    CellState.FAILED: "red",
    CellState.LOST: "red",
    CellState.REFUSED: "dim",
}
CellKey = tuple[str, str]
"""A tomogram and a network."""


class ApplyTab(ResultActions):
    """The grid, the details of one cell, and the slices of its maps."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *RESULT_BINDINGS,
        Binding("enter", "start", "Start", id="apply.start", tooltip="Apply: one job for each network, after asking"),
        Binding("space", "mark", "Mark", id="apply.mark", tooltip="Mark a tomogram for a network, or remove the mark"),
        Binding(
            "a",
            "mark_all",
            "All",
            id="apply.mark_all",
            tooltip="Mark every tomogram that fits the network and has no maps",
        ),
        Binding("s", "stop", "Stop", id="apply.stop", tooltip="Stop the job of this cell; finished slices are kept"),
        Binding("r", "resume", "Resume", show=False, id="apply.resume", tooltip="Resume a stopped job"),
        Binding(
            "f", "follow", "Follow", show=False, id="apply.follow", tooltip="Follow the slices that a job finishes"
        ),
        *slice_bindings("apply"),
    ]

    @dataclass
    class DiskStateRead(Message):
        """A thread has read what the snapshot does not contain."""

        disk_state: ApplyDiskState

    @dataclass
    class MapViewFound(Message):
        """A thread has found the maps of the cell under the cursor."""

        view: MapView | None

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._snapshot: ProjectSnapshot | None = None
        self._disk_state = ApplyDiskState({}, {})
        self._has_disk_state = False
        """Whether the disk was read once; nothing is drawn before, because the start position depends on it."""
        self._read_key: tuple[object, ...] = ()
        self._cells: dict[CellKey, Cell] = {}
        self._marks: set[CellKey] = set()
        self._view: MapView | None = None
        self._slice_cache = MapSliceCache()
        self._is_following = True

    def compose(self) -> ComposeResult:
        with ContentSwitcher(initial="apply-no-tomograms"):
            yield Container(Empty(*NO_TOMOGRAMS), id="apply-no-tomograms")
            yield Container(Empty(*NO_NETWORKS), id="apply-no-networks")
            with Horizontal(id="apply-work"):
                with Vertical(id="apply-left"):
                    with Vertical(id="apply-grid-panel", classes="panel") as panel:
                        panel.border_title = "networks and tomograms"
                        yield CellGrid("tomogram", id="apply-grid")
                    with VerticalScroll(id="apply-said", classes="panel", can_focus=False):
                        yield Static("Checking which networks fit ...", id="apply-said-words", markup=False)
                with CanvasPanel(id="apply-view", classes="panel"):
                    yield SliceCanvas(id="apply-canvas")

    # Snapshots

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """Draw the grid; read the disk only if jobs, networks or tomograms have changed."""
        self._snapshot = snapshot
        page = "apply-work" if snapshot.tomograms and snapshot.networks else None
        empty_page = "apply-no-networks" if snapshot.tomograms else "apply-no-tomograms"
        self.query_one(ContentSwitcher).current = page or empty_page
        if page is None:
            return
        if self.screen.focused is None:
            self.query_one(CellGrid).focus()
        jobs = tuple((job["id"], job["state"]) for job in snapshot.jobs if job["kind"] == "apply")
        key = (jobs, snapshot.networks, tuple((t.name, t.record) for t in snapshot.tomograms))
        if key != self._read_key:
            self._read_key = key
            self._read_disk_state(snapshot, self._disk_state)
        self._draw()

    def focus_default(self) -> None:
        """Focus the grid."""
        (self.query_one(CellGrid) if self._snapshot and self._snapshot.networks else self).focus()

    @work(thread=True, exclusive=True, group="apply-look")
    def _read_disk_state(self, snapshot: ProjectSnapshot, previous: ApplyDiskState) -> None:
        disk_state = read_apply_state(snapshot, previous.requests)
        if not get_current_worker().is_cancelled:
            self.post_message(self.DiskStateRead(disk_state))

    @on(DiskStateRead)
    def show_disk_state(self, event: DiskStateRead) -> None:
        """Draw what a thread has read."""
        self._disk_state, self._has_disk_state = event.disk_state, True
        self._draw()

    def _draw(self) -> None:
        snapshot = self._snapshot
        if snapshot is None or not self._has_disk_state:
            return
        jobs = apply_jobs(snapshot, self._disk_state.requests)
        self._cells = {
            (tomogram.name, card.name): cell_for(
                snapshot,
                jobs,
                self._disk_state.compatibility.get((card.name, tomogram.name), Compatibility()),
                card,
                tomogram,
            )
            for tomogram in snapshot.tomograms
            for card in snapshot.networks
        }
        self._marks = {field for field in self._marks if field in self._cells and self._cells[field].can_mark}
        self._draw_grid(snapshot)
        self._draw_field()
        self._find_view()

    def _draw_grid(self, snapshot: ProjectSnapshot) -> None:
        grid = self.query_one(CellGrid)
        is_first = grid.field is None
        columns = [card.name for card in snapshot.networks]
        rows = [
            (tomogram.name, [self._cell_text((tomogram.name, name)) for name in columns])
            for tomogram in snapshot.tomograms
        ]
        grid.show_fields(columns, rows)
        if is_first:
            grid.select_cell(self._first_field(snapshot))
        panel = self.query_one("#apply-grid-panel")
        panel.border_subtitle = f"{len(self._marks)} marked" if self._marks else ""

    def _first_field(self, snapshot: ProjectSnapshot) -> CellKey | None:
        """Return the cell to start at: that of the newest job, else of the last tomogram."""
        for job in apply_jobs(snapshot, self._disk_state.requests)[:1]:
            return job.request.tomograms[0], job.request.run
        name = self.tomoseg.session.tomogram
        return (name, snapshot.networks[-1].name) if snapshot.tomogram(name) and name else None

    def _cell_text(self, field: CellKey) -> Text:
        cell = self._cells[field]
        return Text(
            (MARK if field in self._marks else NO_MARK) + cell.text, STATE_STYLES.get(cell.state, ""), no_wrap=True
        )

    def _draw_field(self) -> None:
        field, panel = self.query_one(CellGrid).field, self.query_one("#apply-said")
        if field is None or field not in self._cells:
            return
        name, run = field
        cell = self._cells[field]
        panel.border_title = f"{cell.state}: {name} by {run}"
        self.query_one("#apply-said-words", Static).update(cell.reason)

    @on(DataTable.CellHighlighted)
    def show_field(self) -> None:
        """Show the cell under the cursor."""
        self._draw_field()
        self._find_view()

    # View

    def _find_view(self) -> None:
        field = self.query_one(CellGrid).field
        if self._snapshot is not None and field is not None:
            self._find_view_in_thread(self._snapshot, self._disk_state, field)

    @work(thread=True, exclusive=True, group="apply-view")
    def _find_view_in_thread(self, snapshot: ProjectSnapshot, disk_state: ApplyDiskState, field: CellKey) -> None:
        name, run = field
        view = map_view(snapshot, apply_jobs(snapshot, disk_state.requests), run, name)
        if not get_current_worker().is_cancelled:
            self.post_message(self.MapViewFound(view))

    @on(MapViewFound)
    def show_view(self, event: MapViewFound) -> None:
        """Show a tomogram and the map over it, unless they are shown already."""
        view, previous = event.view, self._view
        field = self.query_one(CellGrid).field
        if view is None or self._snapshot is None or view == previous or field != (view.tomogram, view.run):
            return
        self._view = view
        tomogram, canvas = self._snapshot.tomogram(view.tomogram), self.query_one(SliceCanvas)
        if tomogram is None:
            return
        if previous is None or (previous.tomogram, previous.path) != (view.tomogram, view.path):
            sign = tomogram.record.byte_sign
            canvas.open_volume(view.path, name=view.tomogram, byte_sign=sign, text=view.fault)
        if previous is None or previous.created != view.created:
            self._slice_cache.clear()
        self._set_overlay(view, tomogram, canvas)
        if (
            self._is_following
            and view.newest_z is not None
            and (previous is None or previous.newest_z != view.newest_z)
        ):
            canvas.go_to(z=view.newest_z)
        self._title_view()

    def _set_overlay(self, view: MapView, tomogram: TomogramSnapshot, canvas: SliceCanvas) -> None:
        palette = make_palette({number: source.feature for number, source in enumerate(view.sources, start=1)})
        merged = MergedSlices(view.sources, tomogram.record.shape_zyx[1:], self._slice_cache)
        canvas.set_overlay(merged if view.sources else None, palette)
        self.query_one("#apply-view").border_subtitle = "  ".join(f"{style.letter} {style.name}" for style in palette)

    @on(SliceCanvas.Moved)
    def _title_view(self) -> None:
        view, canvas = self._view, self.query_one(SliceCanvas)
        tomogram = self._snapshot.tomogram(view.tomogram) if self._snapshot is not None and view is not None else None
        if view is None or tomogram is None:
            return
        if view.path is None:
            self.query_one("#apply-view").border_title = f"{view.tomogram}  its file is missing"
            return
        depth = tomogram.record.shape_zyx[0]
        done = sum(stop - start for start, stop in view.sources[0].filled_ranges) if view.sources else 0
        if not view.sources:
            map_status = "no map"
        elif done == depth:
            map_status = "mapped"
        else:
            map_status = f"{done} of {depth} mapped" + ("" if view.sources[0].covers(canvas.z) else ", not this slice")
        self.query_one("#apply-view").border_title = f"{view.tomogram}  z {canvas.z}/{depth}  {map_status}"

    def action_step(self, slices: int) -> None:
        """Step through the slices; this ends following."""
        canvas = self.query_one(SliceCanvas)
        self._is_following = False
        canvas.go_to(z=max(0, canvas.z + slices))

    def action_follow(self) -> None:
        self._is_following = not self._is_following
        if self._is_following and self._view is not None and self._view.newest_z is not None:
            self.query_one(SliceCanvas).go_to(z=self._view.newest_z)
        self.notify("Following the finished slices." if self._is_following else "Staying on this slice.", timeout=2)

    # Marks and starts

    def action_mark(self) -> None:
        field = self.query_one(CellGrid).field
        if field is None or field not in self._cells:
            return
        cell, compatibility = (
            self._cells[field],
            self._disk_state.compatibility.get((field[1], field[0]), Compatibility()),
        )
        if field in self._marks:
            self._marks.remove(field)
        elif cell.can_mark:
            self._marks.add(field)
            if compatibility.fault:
                self.notify("It is applied anyway if you start it.", title=compatibility.fault, severity="warning")
        else:
            self.notify(cell.reason, severity="warning")
        self._draw()

    def action_mark_all(self) -> None:
        """Mark what fits the network under the cursor and has no maps; if all of it is marked, remove the marks."""
        field = self.query_one(CellGrid).field
        if field is None:
            return
        applicable = {key for key in self._cells if key[1] == field[1] and self._lacks_maps(key)}
        if not applicable:
            self.notify(f"No other tomogram fits {field[1]} and has no maps of it.", severity="warning")
        self._marks = self._marks - applicable if applicable <= self._marks else self._marks | applicable
        self._draw()

    def _lacks_maps(self, field: CellKey) -> bool:
        cell, compatibility = (
            self._cells[field],
            self._disk_state.compatibility.get((field[1], field[0]), Compatibility()),
        )
        return cell.can_mark and not compatibility.fault and cell.state is not CellState.DONE

    def _plans(self) -> list[ApplyPlan]:
        """Return the marked cells, else the cell under the cursor, by network."""
        current = self.query_one(CellGrid).field
        fields = self._marks or ({current} if current in self._cells and self._cells[current].can_mark else set())
        cards = self._snapshot.networks if self._snapshot is not None else ()
        return [plan for plan in (self._plan(card, fields) for card in cards) if plan.tomograms]

    def _plan(self, card: NetworkCard, fields: set[CellKey]) -> ApplyPlan:
        tomograms = self._snapshot.tomograms if self._snapshot is not None else ()
        selected = {tomogram.name: tomogram for tomogram in tomograms if (tomogram.name, card.name) in fields}
        return ApplyPlan(
            card,
            {name: tomogram.record for name, tomogram in selected.items()},
            mismatched=tuple(
                name
                for name in selected
                if self._disk_state.compatibility.get((card.name, name), Compatibility()).fault
            ),
            replaced=tuple(
                name
                for name, tomogram in selected.items()
                if any(sidecar.run == card.name for sidecar in tomogram.maps)
            ),
        )

    def action_start(self) -> None:
        plans = self._plans()
        field = self.query_one(CellGrid).field
        if plans and self._snapshot is not None:
            self.app.push_screen(ApplyDialog(self._snapshot, plans), self._start)
        elif field in self._cells:
            self.notify(self._cells[field].reason, severity="warning")

    def _start(self, answer: tuple[list[ApplyRequest], RunLocation] | None) -> None:
        if answer is not None:
            requests, location = answer
            for request in requests:
                self._start_one(request, location)
            self._marks.clear()
            self._is_following = True
            self._draw()

    def _start_one(self, request: ApplyRequest, location: RunLocation) -> None:
        project = self.tomoseg.project
        if request.output is not None:
            output = project.layout.stored_path(Path(request.output).expanduser())
            request = msgspec.structs.replace(request, output=output)

        def prepare() -> tuple[str, ApplyRequest]:
            check_apply(project, request)
            return "apply", request

        self.tomoseg.start_job(to_argv(APPLY, request, **location.options), prepare, location=location)

    def _job(self) -> JobListing | None:
        """Return the job of the cell under the cursor; None if there is none."""
        field = self.query_one(CellGrid).field
        cell = self._cells.get(field) if field is not None else None
        job = self._snapshot.job(cell.job) if self._snapshot is not None and cell is not None else None
        if job is None:
            self.notify("This cell has no job.", severity="warning")
        return job

    def action_stop(self) -> None:
        job = self._job()
        if job is not None:
            job_actions.stop_job(self.tomoseg, job)

    def action_resume(self) -> None:
        job = self._job()
        if job is not None:
            job_actions.resume_job(self.tomoseg, job)

    def volume_names(self) -> list[str]:
        """Return the maps of the cell under the cursor."""
        name, run = self.query_one(CellGrid).field or ("", "")
        tomogram = self._snapshot.tomogram(name) if self._snapshot is not None else None
        return (
            [f"{name}/{sidecar.run}.{sidecar.feature}" for sidecar in tomogram.maps if sidecar.run == run]
            if tomogram
            else []
        )

    def command_argv(self) -> list[str] | None:
        """Return the command that starts the marked tomograms of the first network."""
        request = next((plan.request({}) for plan in self._plans()), None)
        return None if request is None else to_argv(APPLY, request)
