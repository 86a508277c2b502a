"""Ask what is written into which file."""

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
    """A thing of the project, and the file that it is written into."""

    name: str
    path: Path
    """In full."""
    force: bool
    """Replace a file that is there."""


@dataclass(frozen=True)
class FileKinds:
    """Which files may be asked for."""

    title: str
    suffixes: tuple[str, ...]
    """Endings, lower case; the first is the usual one."""
    hint: str


class SaveFile(Form[SaveFileRequest]):
    """The thing, the file, and whether one that is there is replaced.

    Parameters
    ----------
    kinds : FileKinds
        Which files may be asked for.
    names : sequence of str
        Things that may be meant, the likeliest first.
    """

    def __init__(self, kinds: FileKinds, names: Sequence[str]) -> None:
        super().__init__(kinds.title, submit_label="Write", hint=kinds.hint)
        self._kinds, self._names = kinds, names

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        options = [(name, name) for name in self._names]
        yield self.row("What", Select(options, value=self._names[0], allow_blank=False, compact=True, id="thing"))
        yield self.row("File", PathInput(self._kinds.suffixes, value=self._filename_for(self._names[0]), id="path"))
        yield AsciiCheckbox("replace a file that is there", compact=True, id="force")

    def _filename_for(self, name: str) -> str:
        return f"{name.replace('/', '_')}{self._kinds.suffixes[0]}"

    def on_mount(self) -> None:
        self.query_one("#path", Input).focus()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Name the file after the thing, unless somebody has named it otherwise."""
        field = self.query_one("#path", Input)
        if field.value in {self._filename_for(name) for name in self._names}:
            field.value = self._filename_for(str(event.value))

    def read(self) -> SaveFileRequest:
        """Return what is wished for."""
        path = Path(self.field_text("path"))
        if path.suffix.lower() not in self._kinds.suffixes:
            raise UsageError(
                f"{path.name or 'Nothing'} names no such file.", f"End it in {' or '.join(self._kinds.suffixes)}."
            )
        name = str(self.query_one("#thing", Select).value)
        return SaveFileRequest(name, path.expanduser().absolute(), self.query_one("#force", AsciiCheckbox).value)
