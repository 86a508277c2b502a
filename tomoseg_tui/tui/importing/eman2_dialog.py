"""Show what an EMAN2 project contains, ask for the import options, and import it."""

from collections.abc import Callable, Collection
from dataclasses import replace

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, Select, Static

from tomoseg_tui.commands.options import parse_field
from tomoseg_tui.commands.tomograms import IMPORT
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files.disk_space import format_bytes
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import append_command
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.dialogs.form_fields import AsciiCheckbox
from tomoseg_tui.tui.importing.box_set_rows import MEANING_HINT, BoxSetRows, format_counts
from tomoseg_tui.workflow.eman2.import_plan import (
    Eman2ImportRequest,
    box_set_summaries,
    plan_import,
    unscaled_tomograms,
)
from tomoseg_tui.workflow.eman2.import_project import Eman2ImportResult, import_eman2_project
from tomoseg_tui.workflow.eman2.project import Eman2Project, scan_project

_POLARITIES = (("dark", "dark"), ("bright", "bright"))


class Eman2ImportDialog(Form[Eman2ImportRequest]):
    """Tomograms, polarity, link, voxel size, version and meanings of sets."""

    def __init__(self, source_project: Eman2Project, used_names: Collection[str]) -> None:
        super().__init__(f"The EMAN2 project {source_project.folder.name}", submit_label="Import", hint=MEANING_HINT)
        self._source_project = source_project
        self._new_tomograms = [tomogram for tomogram in source_project.tomograms if tomogram.name not in used_names]
        new_names = {tomogram.name for tomogram in self._new_tomograms}
        self._needs_voxel_size = any(tomogram.name in new_names for tomogram in unscaled_tomograms(source_project))

    def rows(self) -> ComposeResult:
        """Make the rows of fields."""
        yield Static(self._summary(), id="eman-summary", markup=False)
        yield self.row("Protein", Select(_POLARITIES, value="dark", allow_blank=False, compact=True, id="eman-protein"))
        if self._needs_voxel_size:
            hint = "Å, for headers that say 0 or 1"
            yield self.row("Voxel size", Input(placeholder=hint, compact=True, id="eman-voxel"))
        hint = "tag of the version of the boxes; detected if empty"
        yield self.row("Boxes on", Input(placeholder=hint, compact=True, id="eman-version"))
        yield AsciiCheckbox("link the tomograms where they are", compact=True, id="eman-link")
        sets = box_set_summaries(self._source_project)
        yield BoxSetRows(
            {box_set.name: format_counts(box=box_set.boxes, tile=box_set.tiles, mask=box_set.masks) for box_set in sets}
        )
        if self._source_project.skipped:
            with VerticalScroll(id="eman-left", can_focus=False):
                yield Static("\n".join(f"not imported: {line}" for line in self._source_project.skipped), markup=False)

    def _summary(self) -> str:
        size = sum(tomogram.byte_count for tomogram in self._new_tomograms)
        existing_count = len(self._source_project.tomograms) - len(self._new_tomograms)
        text = (
            f"{format_counts(tomogram=len(self._new_tomograms))}, {format_bytes(size)}"
            if self._new_tomograms
            else "no new tomogram"
        )
        return text + (f"; {existing_count} with existing names" if existing_count else "")

    def on_mount(self) -> None:
        """Focus the first field that must be filled in."""
        selector = "#eman-voxel" if self._needs_voxel_size else ".set-row Input"
        for field in self.query(selector).results(Input):
            field.focus()
            return
        self.query_one("#form-do").focus()

    def read(self) -> Eman2ImportRequest:
        """Return the request."""
        return Eman2ImportRequest(
            folder=self._source_project.folder,
            link=self.query_one("#eman-link", AsciiCheckbox).value,
            voxel_size_angstrom=self._voxel_size() if self._needs_voxel_size else None,
            polarity=str(self.query_one("#eman-protein", Select).value),
            meanings=self.query_one(BoxSetRows).read(),
            version=self.field_text("eman-version") or None,
        )

    def _voxel_size(self) -> float:
        option = replace(IMPORT.option("voxel_size_angstrom"), is_required=True)
        return float(parse_field(option, self.field_text("eman-voxel")))


def import_eman2(
    project: Project, request: Eman2ImportRequest, argv: list[str], on_progress: Callable[[float], None]
) -> Eman2ImportResult:
    """Scan the EMAN2 project again, plan and import; record in the history what was imported before an error."""
    source_project, result = scan_project(request.folder), Eman2ImportResult()
    try:
        import_eman2_project(project, plan_import(project, source_project, request), on_progress, result=result)
    except TomosegError:
        if result.has_changed:
            append_command(project.layout.history, argv)
        raise
    return result
