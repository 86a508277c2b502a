"""The one thread that opens tiles, keeps their strokes in order, and gives the tiles back. The screen never waits.

What it has done comes back as messages. Strokes that cannot be written stay in memory and are tried again by whoever
is told of the fault.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import final

from textual.message import Message

from tomoseg_tui.core.tiles import Tile, TileLocation
from tomoseg_tui.errors import AlreadyRunningError, ProjectError, TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.paint_locks import PaintLockOwner
from tomoseg_tui.tui.annotate.editor.view_filters import TileSlices, read_tile_slices
from tomoseg_tui.tui.images.tile_images import PredictionSources, TilePrediction, tile_prediction
from tomoseg_tui.tui.messages import LoadFailed, ThreadCrashed
from tomoseg_tui.workflow.annotations.paint_session import PaintSession, paint_lock_owner


@dataclass(frozen=True, eq=False)
class OpenTile:
    """A tile with all that painting it takes."""

    tile: Tile
    session: PaintSession
    slices: TileSlices
    predictions: Mapping[str, TilePrediction]
    """What a network says, by feature."""
    lock_owner: PaintLockOwner | None
    """Who else paints it."""


class TileOpened(Message, bubble=False):
    """A tile is open, or cannot be opened."""

    def __init__(self, location: TileLocation, open_tile: OpenTile | None, fault: TomosegError | None) -> None:
        super().__init__()
        self.place, self.open_tile, self.fault = location, open_tile, fault


class StrokesSaved(Message, bubble=False):
    """Strokes are on disk."""

    def __init__(self, session: PaintSession) -> None:
        super().__init__()
        self.session = session


class SaveFailed(Message, bubble=False):
    """Strokes could not be written."""

    def __init__(self, session: PaintSession, fault: TomosegError, *, closing: bool, is_locked: bool) -> None:
        super().__init__()
        self.session, self.fault, self.closing = session, fault, closing
        self.is_locked = is_locked
        """Whether another program holds the tile: then trying again is of no use."""


@final
class SaveThread:
    """A thread for the disk.

    Parameters
    ----------
    post : callable
        Takes a message from any thread.
    """

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._unsaved_sessions: dict[TileLocation, PaintSession] = {}
        """Tiles left with strokes that could not be written; who comes back to one finds them."""

    def open(self, project: Project, tile: Tile, sources: PredictionSources) -> None:
        """Open a tile, after all that was asked before; `TileOpened` brings it."""
        self._submit(lambda: self._open_tile(project, tile, sources))

    def save(self, session: PaintSession, on_saved: Callable[[], object] = lambda: None) -> None:
        """Write what is not on disk yet, and then call something in the thread."""
        self._submit(lambda: self._save(session, on_saved, closing=False))

    def close(self, session: PaintSession) -> None:
        """Write what is not on disk yet and give the tile back."""
        self._submit(lambda: self._save(session, session.close, closing=True))

    def fetch(self, task: Callable[[], Message]) -> None:
        """Do something that reads the disk, after all that was asked before, and bring its message."""

        def post_result() -> None:
            try:
                self._post(task())
            except TomosegError as fault:
                self._post(LoadFailed(fault))

        self._submit(post_result)

    def finish(self) -> None:
        """Do all that was asked and end the thread."""
        self._pool.shutdown(wait=True)

    def _submit(self, task: Callable[[], None]) -> None:
        def run_guarded() -> None:
            try:
                task()
            except Exception as error:  # noqa: BLE001  # the easel raises it again
                self._post(ThreadCrashed(error))

        self._pool.submit(run_guarded)

    def _open_tile(self, project: Project, tile: Tile, sources: PredictionSources) -> None:
        try:
            project.require_current_format()
            session = self._unsaved_sessions.get(tile.location) or PaintSession.open(project, tile.location)
            slices = read_tile_slices(project.layout, tile.location)
            by_feature = {f: tile_prediction(project.layout, tile.location, f, sources) for f in session.features}
            predictions = {feature: prediction for feature, prediction in by_feature.items() if prediction is not None}
            owner = paint_lock_owner(project, tile.location)
            lock_owner = owner if owner is not None and not owner.is_this_process else None
        except TomosegError as fault:
            self._post(TileOpened(tile.location, None, fault))
        else:
            self._post(TileOpened(tile.location, OpenTile(tile, session, slices, predictions, lock_owner), None))

    def _save(self, session: PaintSession, on_saved: Callable[[], object], *, closing: bool) -> None:
        try:
            session.save()
            on_saved()
        except (TomosegError, OSError) as error:
            fault = error if isinstance(error, TomosegError) else ProjectError(str(error), "Make room on the disk.")
            is_locked = isinstance(error, AlreadyRunningError)
            if closing and session.unsaved_count:
                self._unsaved_sessions[session.place] = session
            self._post(SaveFailed(session, fault, closing=closing, is_locked=is_locked))
        else:
            self._unsaved_sessions.pop(session.place, None)
            self._post(StrokesSaved(session))
