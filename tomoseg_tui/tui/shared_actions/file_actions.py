"""Keys that write what a tab shows into files: the slice as a picture, a volume, the triples of a run.

What writes wakes when a file is asked for, in the thread that writes it: HDF5, TIFF and PNG would hold up the start.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.dialogs.save_file import FileKinds, SaveFile, SaveFileRequest
from tomoseg_tui.tui.state.watcher import error_texts
from tomoseg_tui.tui.tab_base import Tab
from tomoseg_tui.tui.train.runs import Run

PICTURE = FileKinds("Save the slice as a picture", (".png",), "The whole slice, with what lies over it now.")
VOLUME = FileKinds(
    "Export a volume",
    (".mrc", ".hdf", ".tif", ".tiff"),
    "The ending decides: .mrc, .hdf (EMAN2) or .tif. Grid, voxel size and origin come along.",
)
TRIPLES = FileKinds(
    "Export image, annotation and output of the tiles",
    (".png", ".hdf", ".mrc"),
    "A picture of the worst tiles, or a stack of all: image, annotation, output in turn, as EMAN2's trainout.",
)


class BackgroundActions(Tab):
    """A tab that has threads do what changes nothing in the project, and tells what they say."""

    @dataclass
    class TaskFinished(Message):
        """A thread has ended: a line, more lines, or a fault and what to do."""

        title: str
        lines: list[str]
        fault: tuple[str, str] | None = None

    def run_in_background(self, task: Callable[[], tuple[str, list[str]]]) -> None:
        """Have a thread answer with a title and lines; a fault is told too. The history holds none of it."""
        self._run_task(task)

    @work(thread=True, group="asked")
    def _run_task(self, task: Callable[[], tuple[str, list[str]]]) -> None:
        try:
            self.post_message(self.TaskFinished(*task()))
        except (TomosegError, OSError) as fault:
            self.post_message(self.TaskFinished("", [], error_texts(fault)))

    @on(TaskFinished)
    def show_result(self, event: TaskFinished) -> None:
        """Say how it went: at length where there is more than a line."""
        if event.fault is not None:
            self.notify(event.fault[1], title=event.fault[0], severity="error", timeout=15)
        elif event.lines:
            self.app.clear_notifications()
            self.app.push_screen(ReportDialog("Scores", event.title, event.lines))
        else:
            self.notify(event.title)

    def ask_for_file(
        self,
        kinds: FileKinds,
        names: list[str],
        write: Callable[[Project, SaveFileRequest], None],
        *,
        empty_message: str,
    ) -> None:
        """Ask for a file, and have a thread write it; say so where there is nothing to write."""
        if not names:
            self.notify(empty_message, severity="warning")
            return
        project = self.tomoseg.project

        def write_file(request: SaveFileRequest) -> tuple[str, list[str]]:
            write(project, request)
            return f"{request.name} is in {request.path}.", []

        def start_writing(request: SaveFileRequest | None) -> None:
            if request is not None:
                self.notify(f"Writing {request.path.name} ...", timeout=3)
                self.run_in_background(lambda: write_file(request))

        self.app.push_screen(SaveFile(kinds, names), start_writing)


class PictureActions(BackgroundActions):
    """A tab with a slice canvas, whose slice can be kept as a picture."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("P", "picture", "Picture", show=False, id="slice.picture", tooltip="Save the slice as a PNG picture"),
    ]

    def action_picture(self) -> None:
        """Ask for a file and save what the canvas shows, all of the slice."""
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
        self.ask_for_file(PICTURE, names, write, empty_message="No slice is shown yet.")


class ExportActions(BackgroundActions):
    """A tab whose things can be written into files."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("E", "export", "Export", show=False, id="files.export", tooltip="Write what is chosen into a file"),
    ]

    @abstractmethod
    def volume_names(self) -> list[str]:
        """Return the names of the volumes that are looked at, the likeliest first."""

    def action_export(self) -> None:
        """Ask for a file and write a volume into it."""

        def write(project: Project, request: SaveFileRequest) -> None:
            from tomoseg_tui.workflow.export import export_volume  # noqa: PLC0415

            export_volume(project, request.name, request.path, force=request.force)

        self.ask_for_file(VOLUME, self.volume_names(), write, empty_message="Nothing here can be exported yet.")


class TriplesActions(BackgroundActions):
    """A tab of runs whose triples can be written into files."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("E", "export", "Export", show=False, id="train.export", tooltip="Write the run's triples into a file"),
    ]

    @property
    @abstractmethod
    def run(self) -> Run | None:
        """The run under the cursor."""

    def action_export(self) -> None:
        """Ask for a file and write the triples of a run into it."""

        def write(project: Project, request: SaveFileRequest) -> None:
            from tomoseg_tui.tui.images.triple_images import write_triples_file  # noqa: PLC0415

            write_triples_file(project, request.name, request.path, force=request.force)

        names = [self.run.name] if self.run is not None and self.run.card is not None else []
        self.ask_for_file(TRIPLES, names, write, empty_message="Choose a run with a finished epoch.")
