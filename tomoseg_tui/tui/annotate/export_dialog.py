"""Ask which tiles to write, for which program, and where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input, Select

from tomoseg_tui.commands.tiles import ANNOTATIONS_EXPORT
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import UsageError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.dialogs.form_fields import AsciiCheckbox, read_options
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.path_input import PathInput

ExportFormat = Literal["napari", "tif", "mrc", "hdf", "png"]
_PROGRAMS: Mapping[ExportFormat, tuple[str, str]] = {
    "napari": ("napari: image and labels as TIFF", ".tif"),
    "tif": ("Fiji: image and masks as TIFF", ".tif"),
    "mrc": ("3dmod: MRC", ".mrc"),
    "hdf": ("EMAN2: stack to paint on, and _seg.hdf", ".hdf"),
    "png": ("any paint program: a folder of PNGs", ""),
}
"""For each format, its description and the extension of the file."""
LISTED_TILES, ALL_FEATURES = "", "*"
"""The tiles of the list, and all features; no name equals one of these."""
HINT = (
    "Masks: 0 not the feature, 1 the feature, 2 ignore, 3 unlabelled; one file per feature, beside the densities. "
    "I imports the painted masks."
)


@dataclass(frozen=True)
class ExportSelection:
    """What to write."""

    path: Path
    file_format: ExportFormat
    features: tuple[str, ...]
    """Empty for all."""
    tomogram: str | None
    places: tuple[TileLocation, ...]
    slab: int | None
    """Slices above and below the tiles; None for tiles alone."""
    force: bool

    def run_export(self, project: Project) -> str:
        """Write the tiles; return the message to show."""
        from tomoseg_tui.workflow.exchange.export_tiles import TileExportRequest, export_tiles  # noqa: PLC0415  # wakes every format

        result = export_tiles(
            project,
            TileExportRequest(
                self.path, self.file_format, self.features, self.places, self.tomogram, self.slab, self.force
            ),
        )
        text = f"{result.tiles} tiles are in {result.image}, the masks beside it. I imports the painted masks."
        return " ".join([text, *result.remarks])


class ExportTilesDialog(Form[ExportSelection]):
    """Tiles, program, features, slices, file.

    Parameters
    ----------
    feature : str or None
        Preselected feature; None for all.
    tomogram : str or None
        A tomogram whose tiles can be chosen too.
    """

    def __init__(
        self,
        snapshot: ProjectSnapshot,
        *,
        feature: str | None,
        listed_places: Sequence[TileLocation],
        tomogram: str | None,
    ) -> None:
        super().__init__("Export tiles for another program", submit_label="Write", hint=HINT)
        self._snapshot, self._feature, self._listed_places, self._tomogram = (
            snapshot,
            feature,
            tuple(listed_places),
            tomogram,
        )

    def rows(self) -> ComposeResult:
        """Make the rows of fields."""
        tiles = [(f"the {len(self._listed_places)} tiles of the list", LISTED_TILES)] if self._listed_places else []
        tiles += [(f"{t.name}, all {len(t.tiles)} tiles", t.name) for t in self._snapshot.tomograms if t.tiles]
        features = [("all features", ALL_FEATURES), *((name, name) for name in self._snapshot.features)]
        programs = [(label, file_format) for file_format, (label, _) in _PROGRAMS.items()]
        yield self.row("Tiles", Select(tiles, value=tiles[0][1], allow_blank=False, compact=True, id="tiles"))
        yield self.row("Program", Select(programs, value="napari", allow_blank=False, compact=True, id="form"))
        yield self.row(
            "Feature",
            Select(features, value=self._feature or ALL_FEATURES, allow_blank=False, compact=True, id="feature"),
        )
        yield self.option_row(ANNOTATIONS_EXPORT, "slice_margin")
        yield self.row("File", PathInput(value=self._default_filename("napari"), id="path"))
        yield AsciiCheckbox("replace existing files", compact=True, id="force")

    def _default_filename(self, file_format: str) -> str:
        suffix = next(suffix for name, (_, suffix) in _PROGRAMS.items() if name == file_format)
        return f"{self._tomogram or 'tiles'}_tiles{suffix}"

    def on_mount(self) -> None:
        """Focus the choice of the program."""
        self.query_one("#form", Select).focus()

    @on(Select.Changed, "#form")
    def name_file(self, event: Select.Changed) -> None:
        """Give the file the extension of the program, unless the user has changed the name."""
        field = self.query_one("#path", Input)
        if field.value in {self._default_filename(file_format) for file_format in _PROGRAMS}:
            field.value = self._default_filename(str(event.value))

    def read(self) -> ExportSelection:
        """Return the request."""
        typed = self.field_text("path")
        if not typed:
            raise UsageError("No file was given.", "Enter a file name.")
        tomogram, feature = (str(self.query_one(f"#{name}", Select).value) for name in ("tiles", "feature"))
        chosen = str(self.query_one("#form", Select).value)
        return ExportSelection(
            Path(typed).expanduser().absolute(),
            next(file_format for file_format in get_args(ExportFormat) if file_format == chosen),
            () if feature == ALL_FEATURES else (feature,),
            tomogram or None,
            () if tomogram else self._listed_places,
            read_options(self, ANNOTATIONS_EXPORT)["slice_margin"],
            self.query_one("#force", AsciiCheckbox).value,
        )
