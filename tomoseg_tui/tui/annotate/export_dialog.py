"""Ask which tiles are written for which other program, and where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input, Select

from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import UsageError
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.widgets.path_input import PathInput
from tomoseg_tui.tui.widgets.tick import Tick

LentForm = Literal["napari", "tif", "mrc", "hdf", "png"]
_PROGRAMS: Mapping[LentForm, tuple[str, str]] = {
    "napari": ("napari: image and labels as TIFF", ".tif"),
    "tif": ("Fiji: image and masks as TIFF", ".tif"),
    "mrc": ("3dmod: MRC", ".mrc"),
    "hdf": ("EMAN2: stack to be painted on, and _seg.hdf", ".hdf"),
    "png": ("any painter: a folder of PNGs", ""),
}
"""For each form the words that are chosen from, and the ending of the file."""
LISTED, ALL = "", "*"
"""Stand for the tiles of the list, and for all features; no name is one of these."""
HINT = (
    "Masks: 0 not the feature, 1 the feature, 2 ignore, 3 not looked at; one file a feature, beside the densities. "
    "What is painted there comes back with I."
)


@dataclass(frozen=True)
class LendAsked:
    """What is to be written."""

    path: Path
    form: LentForm
    features: tuple[str, ...]
    """Empty for all."""
    tomogram: str | None
    places: tuple[Place, ...]
    slab: int | None
    """Slices beyond the tiles; None for tiles."""
    force: bool


class LendTiles(Form[LendAsked]):
    """Tiles, program, features, slices, file.

    Parameters
    ----------
    facts : Facts
        The project.
    feature : str or None
        Feature that is offered, None for all.
    listed : sequence of Place
        Tiles that the list shows now.
    tomogram : str or None
        Whose tiles may be meant too.
    """

    def __init__(self, facts: Facts, *, feature: str | None, listed: Sequence[Place], tomogram: str | None) -> None:
        super().__init__("Export tiles for another program", do="Write", hint=HINT)
        self._facts, self._feature, self._listed, self._tomogram = facts, feature, tuple(listed), tomogram

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        tiles = [(f"the {len(self._listed)} tiles of the list as it is now", LISTED)] if self._listed else []
        tiles += [(f"{t.name}, all {len(t.tiles)} tiles", t.name) for t in self._facts.tomograms if t.tiles]
        features = [("all features", ALL), *((name, name) for name in self._facts.features)]
        programs = [(words, form) for form, (words, _) in _PROGRAMS.items()]
        yield self.row("Tiles", Select(tiles, value=tiles[0][1], allow_blank=False, compact=True, id="tiles"))
        yield self.row("Program", Select(programs, value="napari", allow_blank=False, compact=True, id="form"))
        yield self.row(
            "Feature", Select(features, value=self._feature or ALL, allow_blank=False, compact=True, id="feature")
        )
        slices = Input(placeholder="tiles only; a number: whole slices, so many beyond them", compact=True, id="slab")
        yield self.row("Slices", slices)
        yield self.row("File", PathInput(value=self._file_of("napari"), id="path"))
        yield Tick("replace files that are there", compact=True, id="force")

    def _file_of(self, form: str) -> str:
        ending = next(ending for name, (_, ending) in _PROGRAMS.items() if name == form)
        return f"{self._tomogram or 'tiles'}_tiles{ending}"

    def on_mount(self) -> None:
        """Let the program be chosen at once."""
        self.query_one("#form", Select).focus()

    @on(Select.Changed, "#form")
    def name_file(self, event: Select.Changed) -> None:
        """Give the file the ending of the program, unless somebody has named it otherwise."""
        field = self.query_one("#path", Input)
        if field.value in {self._file_of(form) for form in _PROGRAMS}:
            field.value = self._file_of(str(event.value))

    def read(self) -> LendAsked:
        """Return what is wished for."""
        typed, slab = self.typed("path"), self.typed("slab")
        if not typed:
            raise UsageError("No file is named.", "Name it.")
        if slab and not slab.isdecimal():
            raise UsageError(f"{slab!r} is no number of slices.", "Give a whole number from 0, or nothing.")
        where, feature = (str(self.query_one(f"#{name}", Select).value) for name in ("tiles", "feature"))
        chosen = str(self.query_one("#form", Select).value)
        return LendAsked(
            Path(typed).expanduser().absolute(),
            next(form for form in get_args(LentForm) if form == chosen),
            () if feature == ALL else (feature,),
            where or None,
            () if where else self._listed,
            int(slab) if slab else None,
            self.query_one("#force", Tick).value,
        )
