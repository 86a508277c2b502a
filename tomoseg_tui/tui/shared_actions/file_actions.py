"""Keys that write what a tab shows into files: the slice as a picture, a volume, the triples of a run.

What writes wakes when a file is asked for, in the thread that writes it: HDF5, TIFF and PNG would hold up the start.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.report import Told
from tomoseg_tui.tui.dialogs.save_file import FileKinds, FileWish, SaveFile
from tomoseg_tui.tui.state.watcher import words_of
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


class Asking(Tab):
    """A tab that has threads do what changes nothing in the project, and tells what they say."""

    class Answered(Message):
        """A thread has ended: a line, more lines, or a fault and what to do."""

        def __init__(self, title: str, lines: list[str], fault: tuple[str, str] | None = None) -> None:
            super().__init__()
            self.title, self.lines, self.fault = title, lines, fault

    def ask(self, question: Callable[[], tuple[str, list[str]]]) -> None:
        """Have a thread answer with a title and lines; a fault is told too. The history holds none of it."""
        self._ask_in_thread(question)

    @work(thread=True, group="asked")
    def _ask_in_thread(self, question: Callable[[], tuple[str, list[str]]]) -> None:
        try:
            self.post_message(self.Answered(*question()))
        except (TomosegError, OSError) as fault:
            self.post_message(self.Answered("", [], words_of(fault)))

    @on(Answered)
    def tell_answer(self, event: Answered) -> None:
        """Say how it went: at length where there is more than a line."""
        if event.fault is not None:
            self.notify(event.fault[1], title=event.fault[0], severity="error", timeout=15)
        elif event.lines:
            self.app.clear_notifications()
            self.app.push_screen(Told("Scores", event.title, event.lines))
        else:
            self.notify(event.title)

    def ask_for_file(
        self, kinds: FileKinds, names: list[str], write: Callable[[Project, FileWish], None], *, nothing: str
    ) -> None:
        """Ask for a file, and have a thread write it; say so where there is nothing to write."""
        if not names:
            self.notify(nothing, severity="warning")
            return
        project = self.tomoseg.project

        def written(wish: FileWish) -> tuple[str, list[str]]:
            write(project, wish)
            return f"{wish.name} is in {wish.path}.", []

        def begin(wish: FileWish | None) -> None:
            if wish is not None:
                self.notify(f"Writing {wish.path.name} ...", timeout=3)
                self.ask(lambda: written(wish))

        self.app.push_screen(SaveFile(kinds, names), begin)


class PictureKeys(Asking):
    """A tab with a slice canvas, whose slice can be kept as a picture."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("P", "picture", "Picture", show=False, id="slice.picture", tooltip="Save the slice as a PNG picture"),
    ]

    def action_picture(self) -> None:
        """Ask for a file and save what the canvas shows, all of the slice."""
        canvas = self.query_one(SliceCanvas)
        name, z, overlay = canvas.volume_name, canvas.z, canvas.shown_overlay

        def write(project: Project, wish: FileWish) -> None:
            from tomoseg_tui.render.figures import picture_of_slice, rgb_for_file  # noqa: PLC0415
            from tomoseg_tui.workflow.export import export_png  # noqa: PLC0415
            from tomoseg_tui.workflow.views import look_at_slice  # noqa: PLC0415

            values = look_at_slice(project, name, z=z).values
            labels = overlay.compute(z) if overlay is not None else None
            picture = picture_of_slice(values, labels, overlay.palette if overlay is not None else ())
            export_png(rgb_for_file(picture), wish.path, force=wish.force)

        names = [f"{name}_z{z}"] if canvas.shape_zyx is not None else []
        self.ask_for_file(PICTURE, names, write, nothing="No slice is shown yet.")


class ExportKeys(Asking):
    """A tab whose things can be written into files."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("E", "export", "Export", show=False, id="files.export", tooltip="Write what is chosen into a file"),
    ]

    @abstractmethod
    def volume_names(self) -> list[str]:
        """Return the names of the volumes that are looked at, the likeliest first."""

    def action_export(self) -> None:
        """Ask for a file and write a volume into it."""

        def write(project: Project, wish: FileWish) -> None:
            from tomoseg_tui.workflow.export import export_volume  # noqa: PLC0415

            export_volume(project, wish.name, wish.path, force=wish.force)

        self.ask_for_file(VOLUME, self.volume_names(), write, nothing="Nothing here can be exported yet.")


class TriplesKeys(Asking):
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

        def write(project: Project, wish: FileWish) -> None:
            from tomoseg_tui.tui.images.triple_images import write_triples_file  # noqa: PLC0415

            write_triples_file(project, wish.name, wish.path, force=wish.force)

        names = [self.run.name] if self.run is not None and self.run.card is not None else []
        self.ask_for_file(TRIPLES, names, write, nothing="Choose a run with a finished epoch.")
