"""Ask for one file: a path field with completion, and a tree of folders."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import DirectoryTree, Static

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.path_completion import find_files
from tomoseg_tui.tui.widgets.file_tree import FileTree
from tomoseg_tui.tui.widgets.path_input import PathInput


class AskPath(Dialog[Path]):
    """A question whose answer is an existing file.

    Parameters
    ----------
    hint : str
        What the file should contain.
    suffixes : collection of str
        Extensions of the files to show, lower case.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel", id="path.cancel")]

    @dataclass
    class SearchFinished(Message):
        """The typed path was looked up."""

        path: Path | None
        problem: str

    def __init__(self, question: str, hint: str, *, suffixes: Collection[str], folder: Path) -> None:
        super().__init__()
        self._question, self._hint, self._suffixes, self._folder = question, hint, suffixes, folder

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog wide"):
            yield Static(self._question, classes="dialog-title")
            yield PathInput(self._suffixes, placeholder="path; tab completes", id="path")
            yield FileTree(self._folder, self._suffixes, id="tree")
            yield Static(
                f"{self._hint}\nenter chooses the file   esc cancels",
                id="path-hint",
                classes="dialog-hint",
                markup=False,
            )

    def on_mount(self) -> None:
        self.query_one(PathInput).focus()

    @on(DirectoryTree.FileSelected)
    def accept_file(self, event: DirectoryTree.FileSelected) -> None:
        """Answer with the file chosen in the tree."""
        self.dismiss(event.path.absolute())

    @on(PathInput.Submitted)
    def find_typed_file(self, event: PathInput.Submitted) -> None:
        """Answer with the typed file."""
        self._find_file(event.value)

    @work(thread=True, exclusive=True, group="path")
    def _find_file(self, text: str) -> None:
        try:
            paths = find_files(text or ".", self._suffixes)
        except TomosegError as fault:
            self.post_message(self.SearchFinished(None, f"{fault.fault} {fault.fix}"))
            return
        problem = f"{text} stands for {len(paths)} files. Enter one." if len(paths) > 1 else ""
        self.post_message(self.SearchFinished(paths[0], problem))

    @on(SearchFinished)
    def show_result(self, event: SearchFinished) -> None:
        """Answer, or show why the path cannot be used."""
        if event.path is not None and not event.problem:
            self.dismiss(event.path)
        else:
            self.query_one("#path-hint", Static).update(event.problem)
