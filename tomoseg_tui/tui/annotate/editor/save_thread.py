"""The one thread that opens tiles, keeps their strokes in order, and gives the tiles back. The screen never waits.

What it has done comes back as messages. Strokes that cannot be written stay in memory and are tried again by whoever
is told of the fault.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

from textual.message import Message

from tomoseg_tui.core.tiles import Place, Tile
from tomoseg_tui.errors import AlreadyRunningError, ProjectError, TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.paint_locks import Painter
from tomoseg_tui.tui.annotate.editor.view_filters import Sheet, read_sheet
from tomoseg_tui.tui.images.tile_images import Advisers, Opinion, opinion_on
from tomoseg_tui.tui.messages import Broken, Refused
from tomoseg_tui.workflow.annotations.paint_session import Painting, who_paints


@dataclass(frozen=True, eq=False)
class OpenTile:
    """A tile with all that painting it takes."""

    tile: Tile
    painting: Painting
    sheet: Sheet
    opinions: Mapping[str, Opinion]
    """What a network says, by feature."""
    taken_by: Painter | None
    """Who else paints it."""


class Opened(Message, bubble=False):
    """A tile is open, or cannot be opened."""

    def __init__(self, place: Place, opened: OpenTile | None, fault: TomosegError | None) -> None:
        super().__init__()
        self.place, self.opened, self.fault = place, opened, fault


class Kept(Message, bubble=False):
    """Strokes are on disk."""

    def __init__(self, painting: Painting) -> None:
        super().__init__()
        self.painting = painting


class NotKept(Message, bubble=False):
    """Strokes could not be written."""

    def __init__(self, painting: Painting, fault: TomosegError, *, closing: bool, is_taken: bool) -> None:
        super().__init__()
        self.painting, self.fault, self.closing = painting, fault, closing
        self.is_taken = is_taken
        """Whether another program holds the tile: then trying again is of no use."""


@final
class Keeper:
    """A thread for the disk.

    Parameters
    ----------
    post : callable
        Takes a message from any thread.
    """

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._unclosed: dict[Place, Painting] = {}
        """Tiles left with strokes that could not be written; who comes back to one finds them."""

    def open(self, project: Project, tile: Tile, advisers: Advisers) -> None:
        """Open a tile, after all that was asked before; `Opened` brings it."""
        self._do(lambda: self._open(project, tile, advisers))

    def keep(self, painting: Painting, then: Callable[[], object] = lambda: None) -> None:
        """Write what is not on disk yet, and then call something in the thread."""
        self._do(lambda: self._keep(painting, then, closing=False))

    def close(self, painting: Painting) -> None:
        """Write what is not on disk yet and give the tile back."""
        self._do(lambda: self._keep(painting, painting.close, closing=True))

    def fetch(self, task: Callable[[], Message]) -> None:
        """Do something that reads the disk, after all that was asked before, and bring its message."""

        def fetched() -> None:
            try:
                self._post(task())
            except TomosegError as fault:
                self._post(Refused(fault))

        self._do(fetched)

    def finish(self) -> None:
        """Do all that was asked and end the thread."""
        self._pool.shutdown(wait=True)

    def _do(self, task: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                task()
            except Exception as error:  # noqa: BLE001  # the easel raises it again
                self._post(Broken(error))

        self._pool.submit(guarded)

    def _open(self, project: Project, tile: Tile, advisers: Advisers) -> None:
        try:
            project.refuse_newer()
            painting = self._unclosed.get(tile.place) or Painting.open(project, tile.place)
            sheet = read_sheet(project.layout, tile.place)
            said = {f: opinion_on(project.layout, tile.place, f, advisers) for f in painting.features}
            opinions = {feature: opinion for feature, opinion in said.items() if opinion is not None}
            painter = who_paints(project, tile.place)
            taken_by = painter if painter is not None and not painter.here else None
        except TomosegError as fault:
            self._post(Opened(tile.place, None, fault))
        else:
            self._post(Opened(tile.place, OpenTile(tile, painting, sheet, opinions, taken_by), None))

    def _keep(self, painting: Painting, then: Callable[[], object], *, closing: bool) -> None:
        try:
            painting.keep()
            then()
        except (TomosegError, OSError) as error:
            fault = error if isinstance(error, TomosegError) else ProjectError(str(error), "Make room on the disk.")
            is_taken = isinstance(error, AlreadyRunningError)
            if closing and painting.unkept:
                self._unclosed[painting.place] = painting
            self._post(NotKept(painting, fault, closing=closing, is_taken=is_taken))
        else:
            self._unclosed.pop(painting.place, None)
            self._post(Kept(painting))
