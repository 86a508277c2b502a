"""Choose files to import, by path, wildcards or in a tree, and set the options of each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import DataTable, DirectoryTree, Input, Static

from tomoseg_tui.commands.options import parse_field
from tomoseg_tui.commands.tomograms import IMPORT
from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.io.formats import SUPPORTED_SUFFIXES
from tomoseg_tui.project.history import format_command
from tomoseg_tui.tui.dialogs.ask_text import AskText
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.importing.import_files import (
    BINNINGS,
    BYTE_SIGNS,
    ImportFile,
    first_problem,
    group_into_batches,
    import_argv,
    import_problem,
    read_import_file,
)
from tomoseg_tui.tui.path_completion import find_files
from tomoseg_tui.tui.widgets.file_tree import FileTree
from tomoseg_tui.tui.widgets.key_footer import KeyFooter
from tomoseg_tui.tui.widgets.path_input import PathInput
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest

if TYPE_CHECKING:
    from tomoseg_tui.workflow.eman2.import_plan import Eman2ImportRequest
    from tomoseg_tui.workflow.eman2.project import Eman2Project

_HELP = (
    "Type a path or pattern such as ~/data/*.rec, or choose files in the tree.\n"
    "Each file then gets a line here; keys change its import options.\n"
    "An EMAN2 project: type its folder, or press e on it; boxes and masks are imported too."
)


_COLUMNS = ("name", "note", "Å/voxel", "z y x", "protein", "how", "bin", "bytes")
_OPTIONS = frozenset({"voxel_size", "link", "polarity", "invert", "bin", "sign", "name", "drop", "all"})


class AddFilesDialog(Dialog["list[ImportFile] | Eman2ImportRequest"]):
    """Files and their options, or an EMAN2 project; the answer is what to import.

    Parameters
    ----------
    root : Path
        The folder of the project; paths in commands are relative to it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape", "leave", "Cancel", show=False, id="files.cancel", tooltip="Leave the field, or close the dialog"
        ),
        Binding("enter,ctrl+s", "import", "Import", id="files.import", tooltip="Import all listed files"),
        Binding("v", "voxel_size", "Å/voxel", id="files.voxel_size", tooltip="Set the voxel size of the file"),
        Binding("l", "link", "Link", id="files.link", tooltip="Copy the file, or link it where it is"),
        Binding(
            "p", "polarity", "Polarity", id="files.polarity", tooltip="Whether protein is dark or bright in the file"
        ),
        Binding("t", "invert", "Invert", id="files.invert", tooltip="Invert densities and polarity"),
        Binding("b", "bin", "Bin", id="files.bin", tooltip="Average voxels: 1 to 6, 8"),
        Binding("s", "sign", "Bytes", id="files.bytes", tooltip="Bytes: as the header says, signed, or unsigned"),
        Binding("n", "name", "Name", id="files.name", tooltip="Change its name in the project"),
        Binding("x", "drop", "Drop", show=False, id="files.drop", tooltip="Remove the file from the list"),
        Binding(
            "e",
            "import_eman2",
            "EMAN2",
            show=False,
            id="files.eman2",
            tooltip="Import the EMAN2 project in this folder",
        ),
        Binding("a", "all", "Apply to all", show=False, id="files.all", tooltip="Use its options for all files"),
        Binding("ctrl+y", "copy", "Copy", show=False, id="files.copy", tooltip="Copy the equivalent commands"),
    ]

    @dataclass
    class FilesScanned(Message):
        """Files have been inspected."""

        candidates: Sequence[ImportFile]

    @dataclass
    class ScanStatus(Message):
        """A message for the user: no such file, or the file being read."""

        message: str

    @dataclass
    class Eman2ProjectScanned(Message):
        """An EMAN2 project has been inspected."""

        project: "Eman2Project"

    def __init__(self, folder: Path, root: Path, used_names: Collection[str]) -> None:
        super().__init__()
        self._folder, self._root, self._used_names = folder, root, used_names
        self.candidates: list[ImportFile] = []

    def compose(self) -> ComposeResult:
        with Vertical(id="add-box") as box:
            box.border_title, box.border_subtitle = (
                "Add tomograms",
                "x removes a file  a applies to all  F1 keys  esc closes",
            )
            yield PathInput(SUPPORTED_SUFFIXES, placeholder="path or pattern; tab completes, enter adds", id="add-path")
            with Container(id="add-body"):
                tree = FileTree(self._folder, SUPPORTED_SUFFIXES, id="add-tree")
                tree.add_class("panel")
                tree.border_title = str(self._folder)
                yield tree
                chosen = Table(*_COLUMNS, passthrough=("select_cursor",), id="add-chosen")
                chosen.add_class("panel")
                chosen.border_title = "to import"
                yield chosen
            yield Static(_HELP, id="add-said", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        self.query_one(PathInput).focus()

    # Adding files

    @on(PathInput.Submitted, "#add-path")
    def add_typed(self, event: Input.Submitted) -> None:
        """Add the files that a path stands for."""
        self._scan_path(event.value or ".")

    @on(DirectoryTree.FileSelected)
    def add_chosen(self, event: DirectoryTree.FileSelected) -> None:
        """Add a file of the tree."""
        self._scan_path(str(event.path))

    @work(thread=True, group="files")
    def _scan_path(self, text: str) -> None:
        listed_paths = {candidate.path for candidate in self.candidates}
        try:
            folder = _eman2_folder(text)
            if folder is not None:
                self._scan_eman2_project(folder)
                return
            files = [file for file in find_files(text, SUPPORTED_SUFFIXES) if file not in listed_paths]
        except TomosegError as fault:
            self.post_message(self.ScanStatus(f"{fault.fault} {fault.fix}"))
            return
        self.post_message(self.FilesScanned([read_import_file(file, ImportRequest()) for file in files]))

    def _scan_eman2_project(self, folder: Path) -> None:
        """Inspect an EMAN2 project, reporting the current file; threads call it."""
        from tomoseg_tui.workflow.eman2.project import scan_project  # noqa: PLC0415

        project = scan_project(folder, lambda name: self.post_message(self.ScanStatus(f"Reading {name} ...")))
        self.post_message(self.Eman2ProjectScanned(project))

    @on(Eman2ProjectScanned)
    def ask_about_project(self, event: Eman2ProjectScanned) -> None:
        """Show what an EMAN2 project contains, and ask what its sets mean."""
        from tomoseg_tui.tui.importing.eman2_dialog import Eman2ImportDialog  # noqa: PLC0415

        def on_answer(request: "Eman2ImportRequest | None") -> None:
            if request is not None:
                self.dismiss(request)

        self.app.push_screen(Eman2ImportDialog(event.project, self._used_names), on_answer)

    def action_import_eman2(self) -> None:
        from tomoseg_tui.workflow.eman2.project import find_eman2_project  # noqa: PLC0415

        node = self.query_one(FileTree).cursor_node
        path = node.data.path if node is not None and node.data is not None else self._folder
        folder = find_eman2_project(path)
        if folder is None:
            self._show_message(
                f"{path} is not in an EMAN2 project. Such a project has a folder tomograms, and info or particles."
            )
        else:
            self._scan_path(str(folder))

    @on(ScanStatus)
    def show_scan_status(self, event: ScanStatus) -> None:
        """Show an error, or the file being read."""
        self._show_message(event.message)

    @on(FilesScanned)
    def add_candidates(self, event: FilesScanned) -> None:
        """List the found files; ask for the voxel size if a header has none."""
        listed_paths = {candidate.path for candidate in self.candidates}
        added = [candidate for candidate in event.candidates if candidate.path not in listed_paths]
        self.candidates += added
        self._show_rows()
        self._show_message("" if added else "These files are listed already.")
        self.refresh_bindings()
        if added:
            self._table.select(str(added[0].path))
            self._table.focus()
        without_voxel_size = [c.path for c in added if c.header is not None and c.voxel_size_angstrom is None]
        if without_voxel_size:
            self.ask_voxel_size(without_voxel_size)

    @property
    def _table(self) -> Table:
        return self.query_one("#add-chosen", Table)

    def _show_rows(self) -> None:
        used_names, rows = set(self._used_names), []
        for candidate in self.candidates:
            rows.append((str(candidate.path), _cells(candidate, import_problem(candidate, used_names)[0])))
            used_names.add(candidate.name)
        self._table.show_rows(rows)
        self.set_class(bool(self.candidates), "-chosen")
        self._table.border_title = f"{len(self.candidates)} to import"
        self._describe()

    def _show_message(self, text: str) -> None:
        if text:
            self.query_one("#add-said", Static).update(text)

    @on(DataTable.RowHighlighted)
    def _describe(self) -> None:
        """Describe the file under the cursor."""
        candidate = self.chosen
        if candidate is None:
            return
        used_names = {*self._used_names, *(c.name for c in self.candidates if c is not candidate)}
        kind = candidate.header.kind if candidate.header is not None else "not readable"
        warnings = candidate.header.warnings if candidate.header is not None else ()
        self._show_message(
            "\n".join([f"{candidate.path}  {kind}", import_problem(candidate, used_names)[1], *warnings]).strip()
        )

    # Options

    @property
    def chosen(self) -> ImportFile | None:
        """The file under the cursor."""
        key = self._table.row_key
        return next((candidate for candidate in self.candidates if str(candidate.path) == key), None)

    def change(self, paths: Collection[Path], **changes: Any) -> None:
        """Set options of some files."""
        self.candidates = [c.with_options(**changes) if c.path in paths else c for c in self.candidates]
        self._show_rows()

    def ask_voxel_size(self, paths: Sequence[Path]) -> None:
        """Ask for the voxel size of files."""
        files_text = paths[0].name if len(paths) == 1 else f"{len(paths)} files"

        def on_answer(answer: str | None) -> None:
            if answer:
                self.change(paths, voxel_size_angstrom=float(answer))

        hint = "Å per voxel of the file, before binning, such as 13.48"
        self.app.push_screen(AskText(f"Voxel size of {files_text}", hint, check=_check_voxel_size), on_answer)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enable the options of a file only if one is listed."""
        return bool(self.candidates) if action in _OPTIONS else super().check_action(action, parameters)

    def _change(self, **changes: Any) -> None:
        if self.chosen is not None:
            self.change([self.chosen.path], **changes)

    @property
    def _request(self) -> ImportRequest:
        return self.chosen.request if self.chosen is not None else ImportRequest()

    def action_voxel_size(self) -> None:
        if self.chosen is not None:
            self.ask_voxel_size([self.chosen.path])

    def action_link(self) -> None:
        self._change(link=not self._request.link)

    def action_polarity(self) -> None:
        self._change(polarity="bright" if self._request.polarity == "dark" else "dark")

    def action_invert(self) -> None:
        self._change(invert=not self._request.invert)

    def action_bin(self) -> None:
        self._change(factor=_next_value(BINNINGS, self._request.factor))

    def action_sign(self) -> None:
        self._change(byte_sign=_next_value(BYTE_SIGNS, self._request.byte_sign))

    def action_name(self) -> None:
        candidate = self.chosen
        if candidate is None:
            return
        path = candidate.path

        def on_answer(answer: str | None) -> None:
            if answer:
                self.change([path], name=answer)

        hint = "letters, digits, dots, dashes and underscores"
        self.app.push_screen(AskText(f"Name of {path.name}", hint, value=candidate.name, check=_check_name), on_answer)

    def action_drop(self) -> None:
        if self.chosen is not None:
            self.candidates.remove(self.chosen)
            self._show_rows()
            self.refresh_bindings()

    def action_all(self) -> None:
        """Set the options of all files to those of one, except the name."""
        request = self._request
        options = {name: getattr(request, name) for name in ("link", "polarity", "factor", "invert", "byte_sign")}
        if request.voxel_size_angstrom is not None:
            options["voxel_size_angstrom"] = request.voxel_size_angstrom
        self.change({candidate.path for candidate in self.candidates}, **options)

    # Closing

    def action_import(self) -> None:
        """Import the listed files, or go to the first file that is not ready."""
        if not self.candidates:
            self._show_message("No file is listed yet.")
            return
        problem_row = first_problem(self.candidates, self._used_names)
        if problem_row is None:
            self.dismiss(self.candidates)
            return
        self._table.focus()
        self._table.select(str(self.candidates[problem_row].path))
        self._describe()

    def action_leave(self) -> None:
        """Leave the text field if files are listed, else close the dialog."""
        if isinstance(self.focused, Input) and self.candidates:
            self._table.focus()
        else:
            self.dismiss(None)

    def action_copy(self) -> None:
        lines = [format_command(import_argv(*batch, self._root)) for batch in group_into_batches(self.candidates)]
        self.app.copy_to_clipboard("\n".join(lines))
        self.notify("\n".join(lines) or "No file is listed yet.", title="Copied")


def _eman2_folder(text: str) -> Path | None:
    """Return the typed folder if it is an EMAN2 project."""
    from tomoseg_tui.workflow.eman2.project import is_eman2_project  # noqa: PLC0415  # few come from EMAN2

    try:
        folder = Path(text).expanduser()
    except RuntimeError:  # no such user
        return None
    return folder if is_eman2_project(folder) else None


def _check_name(text: str) -> None:
    check_name(text, "tomogram")


def _check_voxel_size(text: str) -> None:
    parse_field(replace(IMPORT.option("voxel_size_angstrom"), is_required=True), text)


def _cells(candidate: ImportFile, note: str) -> tuple[str | Text, ...]:
    request, header = candidate.request, candidate.header
    shape = " ".join(str(n) for n in header.grid.shape_zyx) if header is not None else ""
    voxel_size = candidate.voxel_size_angstrom
    inverted = {"dark": "dark→bright", "bright": "bright→dark"}
    return (
        candidate.name,
        Text(note or "ready", style="bold" if note else "dim"),
        f"{voxel_size:g}" if voxel_size is not None else "?",
        shape,
        inverted[request.polarity] if request.invert else request.polarity,
        "link" if request.link else "copy",
        str(request.factor),
        request.byte_sign or "header",
    )


def _next_value(values: Sequence[Any], value: object) -> Any:
    """Return the next value; after the last comes the first."""
    return values[(values.index(value) + 1) % len(values)]
