"""Ask on which tomogram the boxes of an EMAN2 info file lie, and what its sets mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.widgets import Input, Select

from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.importing.box_set_rows import MEANING_HINT, SetRows, counted
from tomoseg_tui.tui.path_completion import movable_word
from tomoseg_tui.workflow.eman2.box_sets import Meaning, map_words


@dataclass(frozen=True)
class BoxesWish:
    """What is imported."""

    path: Path
    tomogram: str
    meanings: Mapping[str, Meaning]

    def words(self, root: Path) -> list[str]:
        """Return the arguments of the command that does the same."""
        words = ["tiles", "import", movable_word(self.path, root), "--tomogram", self.tomogram]
        return words + map_words(self.meanings)


class ImportBoxes(Form[BoxesWish]):
    """Tomogram and meanings.

    Parameters
    ----------
    path : Path
        The info file.
    boxes : mapping
        How many boxes each of its sets has.
    tomograms : sequence of str
        The project's, those first that it may belong to; at least one.
    """

    def __init__(self, path: Path, boxes: Mapping[str, int], tomograms: Sequence[str]) -> None:
        super().__init__(f"Boxes of {path.name}", do="Import", hint=MEANING_HINT)
        self._path, self._boxes, self._tomograms = path, boxes, tomograms

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        options = [(name, name) for name in self._tomograms]
        yield self.row("Tomogram", Select(options, allow_blank=False, compact=True, id="boxes-tomogram"))
        yield SetRows({name: counted(box=count) for name, count in self._boxes.items()})

    def on_mount(self) -> None:
        """Let the first meaning be typed at once."""
        self.query(".set-row Input").first(Input).focus()

    def read(self) -> BoxesWish:
        """Return what is wished for."""
        tomogram = str(self.query_one("#boxes-tomogram", Select).value)
        return BoxesWish(self._path, tomogram, self.query_one(SetRows).read())
