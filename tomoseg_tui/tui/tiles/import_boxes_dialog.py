"""Ask which tomogram the boxes of an EMAN2 info file belong to, and what its sets mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Input, Select

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.tiles import TILES_IMPORT
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.importing.box_set_rows import MEANING_HINT, BoxSetRows, format_counts
from tomoseg_tui.tui.path_completion import path_argument
from tomoseg_tui.workflow.eman2.box_sets import Meaning, format_set_map


@dataclass(frozen=True)
class BoxImportRequest:
    """What to import."""

    path: Path
    tomogram: str
    meanings: Mapping[str, Meaning]

    def argv(self, root: Path) -> list[str]:
        """Return the arguments of the equivalent command."""
        file = path_argument(self.path, root)
        return to_argv(TILES_IMPORT, self, file=file, map=format_set_map(self.meanings))


class ImportBoxesDialog(Form[BoxImportRequest]):
    """The tomogram and the meanings of the sets.

    Parameters
    ----------
    tomograms : sequence of str
        Tomograms of the project, likely ones first; at least one.
    """

    def __init__(self, path: Path, boxes: Mapping[str, int], tomograms: Sequence[str]) -> None:
        super().__init__(f"Boxes of {path.name}", submit_label="Import", hint=MEANING_HINT)
        self._path, self._boxes, self._tomograms = path, boxes, tomograms

    def rows(self) -> ComposeResult:
        """Make the rows of fields."""
        options = [(name, name) for name in self._tomograms]
        yield self.row("Tomogram", Select(options, allow_blank=False, compact=True, id="boxes-tomogram"))
        yield BoxSetRows({name: format_counts(box=count) for name, count in self._boxes.items()})

    def on_mount(self) -> None:
        self.query(".set-row Input").first(Input).focus()

    def read(self) -> BoxImportRequest:
        """Return the request."""
        tomogram = str(self.query_one("#boxes-tomogram", Select).value)
        return BoxImportRequest(self._path, tomogram, self.query_one(BoxSetRows).read())
