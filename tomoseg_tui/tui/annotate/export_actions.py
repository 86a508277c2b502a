"""The key that writes tiles for other programs; what they paint comes back by the tab's own key for masks."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.export_dialog import ExportSelection, ExportTilesDialog
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.tab_base import Tab


class ExportTilesActions(Tab):
    """A tab with a list of tiles that can be written into files."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "E",
            "export_tiles",
            "Export",
            show=False,
            id="annotate.export",
            tooltip="Write tiles or slices for napari, Fiji, 3dmod or EMAN2; I takes back what is painted there",
        ),
    ]

    @abstractmethod
    def exportable(self) -> tuple[ProjectSnapshot | None, str | None, Sequence[TileLocation]]:
        """Return what is known, the feature chosen (None for all), and the tiles of the list, the chosen one first."""

    def action_export_tiles(self) -> None:
        """Ask what is written where, and have a thread write it."""
        snapshot, feature, locations = self.exportable()
        if snapshot is None or not locations:
            self.notify("There is no tile to export yet.", severity="warning")
            return
        project = self.tomoseg.project

        def on_answer(selection: ExportSelection | None) -> None:
            if selection is not None:
                self.notify(f"Writing {selection.path.name} ...", timeout=3)
                self.tomoseg.run_in_thread("", None, lambda: _export(project, selection))

        dialog = ExportTilesDialog(snapshot, feature=feature, listed_places=locations, tomogram=locations[0].tomogram)
        self.app.push_screen(dialog, on_answer)


def _export(project: Project, selection: ExportSelection) -> str:
    """Write what is asked for; return what is to be told."""
    from tomoseg_tui.workflow.exchange.export_tiles import TileExportRequest, export_tiles  # noqa: PLC0415  # wakes every format

    result = export_tiles(
        project,
        TileExportRequest(
            selection.path,
            selection.file_format,
            selection.features,
            selection.places,
            selection.tomogram,
            selection.slab,
            selection.force,
        ),
    )
    message = f"{result.tiles} tiles are in {result.image}, the masks beside it. I takes back what is painted there."
    return " ".join([message, *result.remarks])
