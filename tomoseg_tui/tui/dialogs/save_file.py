"""Ask what to write into which file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Input, Select

from tomoseg_tui.errors import UsageError
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.dialogs.form_fields import AsciiCheckbox
from tomoseg_tui.tui.widgets.path_input import PathInput


@dataclass(frozen=True)
class SaveFileRequest:
    """Something of the project, and the file to write it into."""

    name: str
    path: Path
    """The full path."""
    force: bool
    """Replace an existing file."""


@dataclass(frozen=True)
class FileKinds:
    """The files that may be chosen."""

    title: str
    suffixes: tuple[str, ...]
    """Extensions, lower case; the first is the default."""
    hint: str


class SaveFile(Form[SaveFileRequest]):
    """What to write, the file, and whether to replace an existing one.

    Parameters
    ----------
    names : sequence of str
        What can be written, the likeliest first.
    """

    def __init__(self, kinds: FileKinds, names: Sequence[str]) -> None:
        super().__init__(kinds.title, submit_label="Write", hint=kinds.hint)
        self._kinds, self._names = kinds, names

    def rows(self) -> ComposeResult:
        """Make the rows of fields."""
        options = [(name, name) for name in self._names]
        yield self.row("What", Select(options, value=self._names[0], allow_blank=False, compact=True, id="thing"))
        yield self.row("File", PathInput(self._kinds.suffixes, value=self._filename_for(self._names[0]), id="path"))
        yield AsciiCheckbox("replace an existing file", compact=True, id="force")

    def _filename_for(self, name: str) -> str:
        return f"{name.replace('/', '_')}{self._kinds.suffixes[0]}"

    def on_mount(self) -> None:
        self.query_one("#path", Input).focus()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Name the file after the choice, unless the user has changed it."""
        field = self.query_one("#path", Input)
        if field.value in {self._filename_for(name) for name in self._names}:
            field.value = self._filename_for(str(event.value))

    def read(self) -> SaveFileRequest:
        """Return the request."""
        path = Path(self.field_text("path"))
        if path.suffix.lower() not in self._kinds.suffixes:
            raise UsageError(
                f"{path.name or 'Nothing'} is not the name of such a file.",
                f"End it in {' or '.join(self._kinds.suffixes)}.",
            )
        name = str(self.query_one("#thing", Select).value)
        return SaveFileRequest(name, path.expanduser().absolute(), self.query_one("#force", AsciiCheckbox).value)
