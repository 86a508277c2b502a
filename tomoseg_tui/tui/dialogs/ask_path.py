"""Ask for one file: a path field with completion above a tree of folders."""

from collections.abc import Collection
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

    class LookedUp(Message):
        """What was typed has been looked up."""

        def __init__(self, path: Path | None, words: str) -> None:
            super().__init__()
            self.path, self.words = path, words

    def __init__(self, question: str, hint: str, *, suffixes: Collection[str], folder: Path) -> None:
        super().__init__()
        self._question, self._hint, self._suffixes, self._folder = question, hint, suffixes, folder

    def compose(self) -> ComposeResult:
        """Make the box."""
        with Vertical(classes="dialog wide"):
            yield Static(self._question, classes="dialog-title")
            yield PathInput(self._suffixes, placeholder="path; tab completes", id="path")
            yield FileTree(self._folder, self._suffixes, id="tree")
            yield Static(
                f"{self._hint}\nenter takes the file   esc leaves", id="path-hint", classes="dialog-hint", markup=False
            )

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one(PathInput).focus()

    @on(DirectoryTree.FileSelected)
    def take_file(self, event: DirectoryTree.FileSelected) -> None:
        """Take the file that was chosen in the tree."""
        self.dismiss(event.path.absolute())

    @on(PathInput.Submitted)
    def take_typed(self, event: PathInput.Submitted) -> None:
        """Take the file that was typed."""
        self._look_up(event.value)

    @work(thread=True, exclusive=True, group="path")
    def _look_up(self, text: str) -> None:
        try:
            found = find_files(text or ".", self._suffixes)
        except TomosegError as fault:
            self.post_message(self.LookedUp(None, f"{fault.fault} {fault.fix}"))
            return
        several = f"{text} stands for {len(found)} files. Name one." if len(found) > 1 else ""
        self.post_message(self.LookedUp(found[0], several))

    @on(LookedUp)
    def take_found(self, event: LookedUp) -> None:
        """Answer, or say why there is no answer."""
        if event.path is not None and not event.words:
            self.dismiss(event.path)
        else:
            self.query_one("#path-hint", Static).update(event.words)
