"""Keys that write files from a tab: the slice as a picture, or a volume.

HDF5, TIFF and PNG modules are imported in the thread that writes, because they would delay the start.
"""

from abc import abstractmethod
from collections.abc import Callable

from textual.binding import Binding

from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.save_file import FileKinds, SaveFile, SaveFileRequest
from tomoseg_tui.tui.job_app import JobApp
from tomoseg_tui.tui.tab_base import Tab

PICTURE = FileKinds("Save the slice as a picture", (".png",), "The whole slice with its current overlay.")
VOLUME = FileKinds(
    "Export a volume",
    (".mrc", ".hdf", ".tif", ".tiff"),
    "The extension sets the format: .mrc, .hdf (EMAN2) or .tif. Grid, voxel size and origin are kept.",
)
PICTURE_BINDING = Binding(
    "P", "picture", "Picture", show=False, id="slice.picture", tooltip="Save the slice as a PNG picture"
)
EXPORT_BINDING = Binding(
    "E", "export", "Export", show=False, id="files.export", tooltip="Write the selected volume into a file"
)


def ask_for_file(
    app: JobApp,
    kinds: FileKinds,
    names: list[str],
    write: Callable[[Project, SaveFileRequest], str | None],
    *,
    empty_message: str,
) -> None:
    """Ask for a file, and write it in a thread; show `empty_message` if there is nothing to write."""
    if not names:
        app.notify(empty_message, severity="warning")
        return
    project = app.project

    def start_writing(request: SaveFileRequest | None) -> None:
        if request is None:
            return

        def write_file() -> str:
            remark = write(project, request) or ""
            return f"{request.name} was written to {request.path}. {remark}".strip()

        app.notify(f"Writing {request.path.name} ...", timeout=3)
        app.run_in_thread("", None, write_file)

    app.push_screen(SaveFile(kinds, names), start_writing)


class PictureActions(Tab):
    """A tab with a slice canvas whose slice can be saved as a picture: `PICTURE_BINDING`."""

    def action_picture(self) -> None:
        """Ask for a file and save the whole slice as the canvas shows it."""
        canvas = self.query_one(SliceCanvas)
        name, z, overlay = canvas.volume_name, canvas.z, canvas.visible_overlay

        def write(project: Project, request: SaveFileRequest) -> None:
            from tomoseg_tui.render.figures import enlarge_for_file, render_slice  # noqa: PLC0415
            from tomoseg_tui.workflow.export import export_png  # noqa: PLC0415
            from tomoseg_tui.workflow.views import load_slice_view  # noqa: PLC0415

            values = load_slice_view(project, name, z=z).values
            labels = overlay.compute(z) if overlay is not None else None
            picture = render_slice(values, labels, overlay.palette if overlay is not None else ())
            export_png(enlarge_for_file(picture), request.path, force=request.force)

        names = [f"{name}_z{z}"] if canvas.shape_zyx is not None else []
        ask_for_file(self.tomoseg, PICTURE, names, write, empty_message="No slice is shown yet.")


class ExportActions(Tab):
    """A tab of volumes that can be written into files: `EXPORT_BINDING`."""

    @abstractmethod
    def volume_names(self) -> list[str]:
        """Return the names of the shown volumes, the likeliest first."""

    def action_export(self) -> None:
        def write(project: Project, request: SaveFileRequest) -> str:
            from tomoseg_tui.workflow.export import export_volume  # noqa: PLC0415

            return export_volume(project, request.name, request.path, force=request.force)

        ask_for_file(
            self.tomoseg, VOLUME, self.volume_names(), write, empty_message="Nothing here can be exported yet."
        )
