"""Ask for one file: a path field with completion above a tree of folders."""

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
    """A question whose answer is a file that exists.

    Parameters
    ----------
    question : str
        What is asked, the dialog's title.
    hint : str
        What belongs into the file.
    suffixes : collection of str
        Endings of files that are shown, lower case.
    folder : Path
        Where the tree begins.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Cancel", id="path.cancel")]

    @dataclass
    class SearchFinished(Message):
        """What was typed has been looked up."""

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
                f"{self._hint}\nenter takes the file   esc leaves", id="path-hint", classes="dialog-hint", markup=False
            )

    def on_mount(self) -> None:
        self.query_one(PathInput).focus()

    @on(DirectoryTree.FileSelected)
    def accept_file(self, event: DirectoryTree.FileSelected) -> None:
        """Take the file that was chosen in the tree."""
        self.dismiss(event.path.absolute())

    @on(PathInput.Submitted)
    def find_typed_file(self, event: PathInput.Submitted) -> None:
        """Take the file that was typed."""
        self._find_file(event.value)

    @work(thread=True, exclusive=True, group="path")
    def _find_file(self, text: str) -> None:
        try:
            paths = find_files(text or ".", self._suffixes)
        except TomosegError as fault:
            self.post_message(self.SearchFinished(None, f"{fault.fault} {fault.fix}"))
            return
        problem = f"{text} stands for {len(paths)} files. Name one." if len(paths) > 1 else ""
        self.post_message(self.SearchFinished(paths[0], problem))

    @on(SearchFinished)
    def show_result(self, event: SearchFinished) -> None:
        """Answer, or say why there is no answer."""
        if event.path is not None and not event.problem:
            self.dismiss(event.path)
        else:
            self.query_one("#path-hint", Static).update(event.problem)
