"""Ask which volume is written into which file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Input, Select

from tomoseg_tui.errors import UsageError
from tomoseg_tui.tui.screens.form import Form
from tomoseg_tui.tui.widgets.path_input import PathInput
from tomoseg_tui.tui.widgets.tick import Tick

SUFFIXES = (".mrc", ".hdf", ".tif")
HINT = "The ending decides: .mrc, .hdf (EMAN2) or .tif. Grid, voxel size and origin come along."


@dataclass(frozen=True)
class ExportWish:
    """A volume of the project, and the file that it is written into."""

    name: str
    path: Path
    force: bool
    """Replace a file that is there."""


class ExportVolume(Form[ExportWish]):
    """The volume, the file, and whether one that is there is replaced.

    Parameters
    ----------
    names : sequence of str
        Volumes that may be meant, the likeliest first.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__("Export a volume", do="Export", hint=HINT)
        self._names = names

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        options = [(name, name) for name in self._names]
        yield self.row("Volume", Select(options, value=self._names[0], allow_blank=False, compact=True, id="volume"))
        value = f"{self._names[0].replace('/', '_')}.mrc"
        yield self.row("File", PathInput(SUFFIXES, value=value, id="path"))
        yield Tick("replace a file that is there", compact=True, id="force")

    def on_mount(self) -> None:
        """Let the file be typed at once."""
        self.query_one("#path", Input).focus()

    def on_select_changed(self, event: Select.Changed) -> None:
        """Name the file after the volume, unless somebody has named it otherwise."""
        field = self.query_one("#path", Input)
        if field.value in {f"{name.replace('/', '_')}.mrc" for name in self._names}:
            field.value = f"{str(event.value).replace('/', '_')}.mrc"

    def read(self) -> ExportWish:
        """Return what is wished for."""
        typed = Path(self.typed("path"))
        if typed.suffix.lower() not in {*SUFFIXES, ".tiff"}:
            raise UsageError(f"{typed.name or 'Nothing'} names no such file.", "End it in .mrc, .hdf or .tif.")
        volume = str(self.query_one("#volume", Select).value)
        return ExportWish(volume, typed, self.query_one("#force", Tick).value)
