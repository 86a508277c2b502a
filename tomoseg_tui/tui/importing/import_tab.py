"""Import: the tomograms of the project, their properties and warnings."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import DataTable, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.tomograms import (
    IMPORT,
    PREPROCESS,
    SHOW,
    TOMOGRAMS_REFRESH,
    TOMOGRAMS_REMOVE,
    TOMOGRAMS_RENAME,
)
from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import format_filter_chain
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.ask_text import AskText
from tomoseg_tui.tui.dialogs.confirm import Confirm, ask_first
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.format import format_time
from tomoseg_tui.tui.importing.add_files_dialog import AddFilesDialog
from tomoseg_tui.tui.importing.histogram import DensityHistogram, Histogram, compute_histogram
from tomoseg_tui.tui.importing.import_files import ImportFile, group_into_batches, import_all, import_argv
from tomoseg_tui.tui.importing.preprocess_dialog import PreprocessDialog
from tomoseg_tui.tui.path_completion import path_argument
from tomoseg_tui.tui.session import TuiSession
from tomoseg_tui.tui.shared_actions.file_actions import EXPORT_BINDING, PICTURE_BINDING, ExportActions, PictureActions
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot, TomogramSnapshot
from tomoseg_tui.tui.tab_base import hidden_key
from tomoseg_tui.tui.tiles.tiles_tab import TilesTab
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.filter_line import FilterLine, matches_filter
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest, check_preprocess
from tomoseg_tui.workflow.tomograms.preview import load_middle_slice
from tomoseg_tui.workflow.tomograms.refreshing import RefreshPlan, plan_refresh, refresh_tomogram
from tomoseg_tui.workflow.tomograms.renaming import remove_tomogram, rename_tomogram
from tomoseg_tui.workflow.tomograms.sanity_checks import Oddity, tomogram_oddities

if TYPE_CHECKING:
    from tomoseg_tui.workflow.eman2.import_plan import Eman2ImportRequest

_COLUMNS = (" ", "tomogram", "z y x", "Å/voxel", "protein", "differs in", "tiles", "maps", "type")
_MARK = "*"


class ImportTab(ExportActions, PictureActions):
    """Tomograms on the left; central slice, histogram, header and warnings on the right."""

    BINDINGS: ClassVar[list[BindingType]] = [
        PICTURE_BINDING,
        EXPORT_BINDING,
        Binding("i", "add", "Add files", id="import.add", tooltip="Add tomograms: files by path, pattern or tree"),
        Binding("p", "filter", "Filter", id="import.filter", tooltip="Filter or bin the marked tomograms, as a job"),
        Binding("space", "mark", "Mark", id="import.mark", tooltip="Mark the tomogram, to filter several together"),
        Binding("enter", "tiles", "Tiles", id="import.tiles", tooltip="Place tiles on this tomogram"),
        hidden_key("R", "rename", "Rename", "import.rename", "Rename the tomogram"),
        hidden_key("x", "remove", "Remove", "import.remove", "Move the tomogram to the project's trash"),
        hidden_key("u", "refresh_tomogram", "Refresh", "import.refresh", "Take a changed file as it is now"),
        hidden_key("slash", "search", "Filter list", "import.search", "List only matching tomograms"),
    ]

    @dataclass
    class HistogramReady(Message):
        """The middle of a tomogram has been read."""

        name: str
        histogram: DensityHistogram | None
        message: str

    @dataclass
    class ImportProgress(Message):
        """Progress of an import; None when it has ended."""

        fraction: float | None

        def can_replace(self, message: Message) -> bool:
            """Replace an older value that was not handled yet."""
            return isinstance(message, ImportTab.ImportProgress)

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._snapshot: ProjectSnapshot | None = None
        self._oddities: dict[str, tuple[Oddity, ...]] = {}
        self._marked: set[str] = set()
        self._filter_text = ""
        self._shown_tomogram: TomogramSnapshot | None = None
        self._fault = ""

    def compose(self) -> ComposeResult:
        with Container(id="import-body"):
            with Vertical(id="import-list", classes="panel") as panel:
                panel.border_title = "tomograms"
                yield Table(*_COLUMNS, passthrough=("select_cursor",), id="import-table")
                yield FilterLine(id="import-filter")
            with Container(id="import-view", classes="panel"):
                yield SliceCanvas(id="import-slice")
                with Vertical(id="import-said"):
                    yield Static(id="import-facts", markup=False)
                    yield Static(id="import-odd", markup=False)
                    yield Histogram(id="import-histogram")
        yield Empty(
            "No tomogram yet",
            "A project begins with reconstructed tomograms: MRC (.mrc .rec .map .st .ali, also .gz and .bz2), EMAN2 "
            "HDF or TIFF. They are copied, or linked where they are. Voxels of 10 to 20 Å suit most features: the "
            "import can bin. One tomogram is enough to place tiles and train; others that were recorded and "
            "reconstructed in the same way can then be segmented with the same network.",
            "Press [b]i[/b] to add files.",
        )
        yield Static(id="import-progress")

    # Snapshots

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """List the tomograms and mark those that differ from the others."""
        self._snapshot = snapshot
        self._oddities = tomogram_oddities({tomogram.name: tomogram.record for tomogram in snapshot.tomograms})
        for tomogram in snapshot.tomograms:
            if tomogram.change:
                hint = " Press u to take it as it is." if "has changed" in tomogram.change else ""
                change = Oddity("file", f"{tomogram.change}{hint}")
                self._oddities[tomogram.name] = (change, *self._oddities[tomogram.name])
        self._marked &= {tomogram.name for tomogram in snapshot.tomograms}
        self.set_class(not snapshot.tomograms, "-empty")
        self._show_rows()

    def _show_rows(self) -> None:
        if self._snapshot is None:
            return
        rows = [(t.name, self._cells(t)) for t in self._snapshot.tomograms]
        shown = [
            (name, cells)
            for name, cells in rows
            if matches_filter(" ".join(str(cell) for cell in cells), self._filter_text)
        ]
        self.query_one("#import-table", Table).show_rows(shown)
        listed = f"{len(shown)} of {len(rows)}" if self._filter_text else str(len(rows))
        marked = f", {len(self._marked)} marked" if self._marked else ""
        self.query_one("#import-list").border_title = f"tomograms ({listed}{marked})"
        self._show_chosen()

    def _cells(self, tomogram: TomogramSnapshot) -> tuple[str | Text, ...]:
        record = tomogram.record
        return (
            _MARK if tomogram.name in self._marked else " ",
            tomogram.name,
            " ".join(str(n) for n in record.shape_zyx),
            f"{record.voxel_size_angstrom:g}",
            record.polarity,
            Text(", ".join(oddity.label for oddity in self._oddities[tomogram.name]), style="bold"),
            str(len(tomogram.tiles)),
            str(len(tomogram.maps)),
            record.type.replace("mode ", ""),
        )

    @property
    def chosen(self) -> TomogramSnapshot | None:
        """The tomogram under the cursor."""
        return self._snapshot.tomogram(self.query_one("#import-table", Table).row_key) if self._snapshot else None

    @on(DataTable.RowHighlighted, "#import-table")
    def _show_chosen(self) -> None:
        """Show the tomogram under the cursor, if it is another one or has changed."""
        tomogram = self.chosen
        if tomogram == self._shown_tomogram:
            return
        previous, self._shown_tomogram = self._shown_tomogram, tomogram
        panel = self.query_one("#import-view")
        panel.border_title = tomogram.name if tomogram is not None else ""
        self.query_one("#import-facts", Static).update(_describe_tomogram(tomogram) if tomogram is not None else "")
        if previous is None or tomogram is None or (previous.name, previous.record) != (tomogram.name, tomogram.record):
            self._open(tomogram)
        self._show_warnings()

    def _open(self, tomogram: TomogramSnapshot | None) -> None:
        canvas, self._fault = self.query_one(SliceCanvas), ""
        self.query_one(Histogram).show(None)
        if tomogram is None:
            canvas.open_volume(None)
            return
        path = self.tomoseg.project.layout.tomogram_folder(tomogram.name) / tomogram.record.file  # a link is absolute
        canvas.open_volume(path, name=tomogram.name, byte_sign=tomogram.record.byte_sign)
        self._load_histogram(self.tomoseg.project, tomogram.name)

    @work(thread=True, exclusive=True, group="histogram")
    def _load_histogram(self, project: Project, name: str) -> None:
        try:
            self.post_message(self.HistogramReady(name, compute_histogram(load_middle_slice(project, name)), ""))
        except TomosegError as fault:
            self.post_message(self.HistogramReady(name, None, f"{fault.fault} {fault.fix}"))

    @on(HistogramReady)
    def show_histogram(self, event: HistogramReady) -> None:
        """Show the histogram, or why there is none."""
        if self._shown_tomogram is not None and event.name == self._shown_tomogram.name:
            self.query_one(Histogram).show(event.histogram)
            self._fault = event.message
            self._show_warnings()

    def _show_warnings(self) -> None:
        oddities = self._oddities.get(self._shown_tomogram.name, ()) if self._shown_tomogram is not None else ()
        lines = [f"! {oddity.label}: {oddity.text}" for oddity in oddities]
        if self._fault and self._shown_tomogram is not None and not self._shown_tomogram.change:
            lines.append(f"! {self._fault}")
        label = self.query_one("#import-odd", Static)
        label.update("\n".join(lines))
        label.display = bool(lines)

    # Filter line and marks

    def action_search(self) -> None:
        self.query_one(FilterLine).open(self.query_one("#import-table"))

    @on(FilterLine.Filtered)
    def filter_list(self, event: FilterLine.Filtered) -> None:
        """List the matching tomograms."""
        self._filter_text = event.text
        self._show_rows()

    def action_mark(self) -> None:
        if self.chosen is not None:
            self._marked ^= {self.chosen.name}
            self._show_rows()
            self.query_one("#import-table", Table).action_cursor_down()

    # Actions

    def action_add(self) -> None:
        if self._snapshot is not None:
            used_names = {tomogram.name for tomogram in self._snapshot.tomograms}
            root = self.tomoseg.project.layout.root
            self.app.push_screen(AddFilesDialog(Path.cwd(), root, used_names), self._import)

    def _import(self, answer: "list[ImportFile] | Eman2ImportRequest | None") -> None:
        if not answer:
            return
        if not isinstance(answer, list):
            self._import_eman2(answer)
            return
        project, batches = self.tomoseg.project, group_into_batches(answer)
        names = ", ".join(candidate.name for candidate in answer)
        argv = import_argv(*batches[-1], project.layout.root)
        self._run_import(f"Imported {names}.", argv, lambda: import_all(project, batches, self._post_progress))

    def _import_eman2(self, request: "Eman2ImportRequest") -> None:
        from tomoseg_tui.tui.importing.eman2_dialog import import_eman2  # noqa: PLC0415  # few come from EMAN2
        from tomoseg_tui.workflow.eman2.box_sets import format_set_map  # noqa: PLC0415

        def show_result(result: Any) -> None:
            self.notify(result.summary, timeout=4)
            lines = [*result.remarks, *result.skipped]
            if lines:
                self.app.push_screen(ReportDialog("The EMAN2 project", result.summary, lines))

        project = self.tomoseg.project
        folder = path_argument(request.folder, project.layout.root)
        argv = to_argv(IMPORT, request, folder=folder, map=format_set_map(request.meanings))
        self._run_import("", argv, lambda: import_eman2(project, request, argv, self._post_progress), show_result)

    def _run_import(
        self,
        title: str,
        argv: list[str],
        task: Callable[[], Any],
        on_done: Callable[[Any], None] | None = None,
    ) -> None:
        """Run an import in a thread, and show its progress until it ends."""

        def run() -> Any:
            try:
                return task()
            finally:
                self.post_message(self.ImportProgress(None))

        self.post_message(self.ImportProgress(0.0))
        self.tomoseg.run_in_thread(title, argv, run, on_done, is_long=True)

    def _post_progress(self, fraction: float) -> None:
        self.post_message(self.ImportProgress(fraction))

    @on(ImportProgress)
    def show_progress(self, event: ImportProgress) -> None:
        """Show the progress of the import."""
        line = self.query_one("#import-progress", Static)
        line.display = event.fraction is not None
        line.update(f" importing: {event.fraction or 0:.0%}")

    def action_filter(self) -> None:
        if self._snapshot is None or self.chosen is None:
            return
        marked = [tomogram for tomogram in self._snapshot.tomograms if tomogram.name in self._marked]
        self.app.push_screen(PreprocessDialog(self.tomoseg.project, marked or [self.chosen]), self._start_filter)

    def _start_filter(self, request: PreprocessRequest | None) -> None:
        if request is None:
            return
        project = self.tomoseg.project

        def prepare() -> tuple[str, PreprocessRequest]:
            check_preprocess(project, request)
            return "preprocess", request

        self._marked.clear()
        self.tomoseg.start_job(to_argv(PREPROCESS, request), prepare)

    async def action_tiles(self) -> None:
        chosen = self.chosen
        if chosen is None:
            return
        await self.tomoseg.action_open("tiles")
        tab = self.tomoseg.open_tab
        if isinstance(tab, TilesTab):
            tab.show_tomogram(chosen.name)

    def action_rename(self) -> None:
        chosen = self.chosen
        if chosen is None:
            return
        project, old = self.tomoseg.project, chosen.name

        def rename(new: str | None) -> None:
            if new and new != old:
                argv = to_argv(TOMOGRAMS_RENAME, old=old, new=new)
                self.tomoseg.run_in_thread(
                    f"{old} was renamed to {new}.", argv, lambda: rename_tomogram(project, old, new)
                )

        hint = "Its tiles, annotations, maps and labels stay with it."
        self.app.push_screen(AskText(f"New name of {old}", hint, value=old, check=_check_name), rename)

    def action_remove(self) -> None:
        chosen = self.chosen
        if chosen is None:
            return
        project, name = self.tomoseg.project, chosen.name

        def remove(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
            if answer:
                argv = to_argv(TOMOGRAMS_REMOVE, name=name)
                self.tomoseg.run_in_thread(f"{name} is in the trash.", argv, lambda: remove_tomogram(project, name))

        self.app.push_screen(Confirm(f"Remove {name}?", _describe_removal(chosen), yes="Remove"), remove)

    def action_refresh_tomogram(self) -> None:
        chosen = self.chosen
        if chosen is None:
            return
        project, name = self.tomoseg.project, chosen.name

        def ask(plan: RefreshPlan) -> None:
            if not plan.changes:
                self.notify(f"{name} has not changed since its import.", timeout=4)
                return
            text = "\n".join([*plan.changes, *plan.consequences])
            argv = to_argv(TOMOGRAMS_REFRESH, name=name, yes=True)
            ask_first(
                self.app, f"Take {name} as it is now?", text, "Take it",
                lambda: self.tomoseg.run_in_thread(
                    f"{name} is recorded as it is now.", argv, lambda: refresh_tomogram(project, plan)
                ),
            )  # fmt: skip

        self.tomoseg.run_in_thread("", None, lambda: plan_refresh(project, name), ask)

    def volume_names(self) -> list[str]:
        """Return the tomogram under the cursor."""
        return [self.chosen.name] if self.chosen is not None else []

    # For the app

    def command_argv(self) -> list[str] | None:
        """Return the command that filters the marked tomograms, else the one that shows the tomogram."""
        if self._marked:
            return to_argv(PREPROCESS, tomograms=sorted(self._marked))
        return to_argv(SHOW, name=self.chosen.name) if self.chosen is not None else None

    def updated_session(self, session: TuiSession) -> TuiSession:
        """Return the session with the tomogram under the cursor, unless another tab has set one."""
        chosen = self.chosen
        return replace(session, tomogram=chosen.name) if chosen is not None and session.tomogram is None else session


def _check_name(text: str) -> None:
    check_name(text, "tomogram")


def _describe_removal(tomogram: TomogramSnapshot) -> str:
    tile_count = sum(tile.location.tomogram == tomogram.name for tile in tomogram.tiles)
    moved = (
        f"Tiles with their annotations ({tile_count}), maps ({len(tomogram.maps)}), label volumes "
        f"({len(tomogram.labels)})"
    )
    link_note = " The linked file itself stays in its folder." if tomogram.record.linked else ""
    return (
        f"{moved} are removed too. All of it is moved to the project's trash and can be restored from there.{link_note}"
    )


def _describe_tomogram(tomogram: TomogramSnapshot) -> str:
    """Describe a tomogram in lines of up to 38 columns where possible."""
    record = tomogram.record
    nz, ny, nx = record.shape_zyx
    nm = record.voxel_size_angstrom / 10
    x, y, z = record.origin_xyz_angstrom
    lines = [
        f"{nx} x {ny} x {nz} voxels (x y z)",
        f"{nx * nm:.0f} x {ny * nm:.0f} x {nz * nm:.0f} nm, protein {record.polarity}",
        f"origin {x:g}, {y:g}, {z:g} Å",
        record.type,
        f"mean {record.mean:.4g}, sigma {record.sigma:.4g}",
        f"{'linked' if record.linked else 'made'} from {record.made_from or '?'}, {format_time(record.imported)}",
    ]
    binned = [f"binned by {record.binned}"] if record.binned > 1 else []
    processing = [*binned, *([format_filter_chain(record.chain)] if record.chain else [])]
    return "\n".join([*lines, *([", ".join(processing)] if processing else [])])
