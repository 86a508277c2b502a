"""Paint a tile in memory, save its strokes one by one, and undo and redo without limit.

Strokes change memory at once, so that a screen can draw them. `PaintSession.save` writes strokes to disk; it is called
from a separate thread. The first saved stroke acquires the tile's paint lock, and `close` releases it; other programs
and commands that would change the tile report its owner.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import (
    Layer,
    LayerChange,
    apply_change,
    empty_layer,
    fill_unlabelled,
    layer_difference,
    paint_change,
)
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import AlreadyRunningError, ProjectError
from tomoseg_tui.project import catalog, stroke_log
from tomoseg_tui.project.annotation_files import (
    DONE,
    NONE_HERE,
    WANTED,
    StoredTile,
    load_tile,
    remove_tile_drafts,
    write_log_entries,
)
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.changes import tile_lock
from tomoseg_tui.project.paint_locks import PaintLock, PaintLockOwner, read_paint_lock_owner, require_not_painted
from tomoseg_tui.project.project_settings import read_settings
from tomoseg_tui.project.stroke_log import LogEntry


@final
class PaintSession:
    """One tile open for painting.

    Reading and changing memory (layers, states, stroke, undo ...) is fast and may be done in the thread of the screen;
    `open`, `save` and `close` wait for the disk.
    """

    def __init__(self, project: Project, stored: StoredTile) -> None:
        """Start with the state on disk, which `open` reads."""
        self._project = project
        self._paint_lock = PaintLock(project.layout, stored.location)
        self._memory_lock, self._write_lock = threading.Lock(), threading.Lock()
        self._pending: list[LogEntry] = []
        self._reset_to(stored)

    @classmethod
    def open(cls, project: Project, location: TileLocation, *, features: Sequence[str] | None = None) -> "PaintSession":
        """Open a tile with its layers and its history; nothing is written or locked.

        Parameters
        ----------
        features : sequence of str or None
            Features to paint; None for all of the project.

        Raises
        ------
        ProjectError
            If there is no such tile or feature, a layer is damaged, or the project can only be read.
        """
        project.require_current_format()
        location = catalog.require_tile(project.layout, location).location
        for feature in features or ():
            catalog.require_feature(project, feature)
        all_features = read_settings(project.layout.settings).features
        return cls(project, load_tile(project.layout, location, all_features if features is None else features))

    def _reset_to(self, stored: StoredTile) -> None:
        """Set memory to the state on disk."""
        self._stored = stored
        self._layers = dict(stored.layers)
        for layer in self._layers.values():
            layer.flags.writeable = False
        self._own_states: dict[str, FeatureState] = dict(stored.tile.states)
        self._history = stored.undo_stack
        self._pending.clear()

    # Reading

    @property
    def place(self) -> TileLocation:
        """The tile, on the version on which it was placed."""
        return self._stored.location

    @property
    def features(self) -> tuple[str, ...]:
        """Features that can be painted."""
        return tuple(self._stored.layers)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences for the user: which earlier strokes can no longer be undone, and why."""
        return tuple(
            f"{feature} was written by another program since it was painted here: earlier strokes cannot be undone."
            for feature in sorted(self._stored.replaced)
        )

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Present layers of all features, with unsaved strokes; read-only.

        A feature without a layer has an empty one. Each change makes a new array, so arrays returned earlier do not
        change.
        """
        with self._memory_lock:
            return MappingProxyType(dict(self._layers))

    @property
    def states(self) -> Mapping[str, FeatureState | None]:
        """State of each feature on the tile, with that of ``*`` as default; None without one."""
        with self._memory_lock:
            tile = Tile(self.place, dict(self._own_states))
        return {feature: tile.state_of(feature) for feature in self.features}

    @property
    def undo_depth(self) -> int:
        """Number of strokes that can be undone, of this session or earlier ones."""
        return len(self._history.done)

    @property
    def unsaved_count(self) -> int:
        """Number of strokes, undos and redos that are not on disk yet."""
        return len(self._pending)

    # Changing memory

    def stroke(self, feature: str, mask: NDArray[np.bool_], value: int, tool: str) -> LayerChange | None:
        """Paint one value (0 to 3) where the mask (y, x) is True; return the change, None if nothing changes.

        A feature without a state on this tile becomes wanted. A tile that is done stays done.

        Raises
        ------
        ProjectError
            If the tile is marked as holding none of the feature; call `mark_wanted` first.
        """
        with self._memory_lock:
            return self._paint(paint_change(self._layer(feature), mask, value, feature=feature, tool=tool))

    def replace_layer(self, feature: str, layer: Layer, tool: str) -> LayerChange | None:
        """Replace a whole layer in one stroke; for copied, interpolated and predicted masks.

        Raises
        ------
        ProjectError
            As for `stroke`.
        """
        with self._memory_lock:
            return self._paint(layer_difference(self._layer(feature), layer, feature=feature, tool=tool))

    def mark_wanted(self, feature: str) -> LayerChange | None:
        """Mark a feature as wanted on the tile; can be undone like a stroke. None if it is wanted already."""
        with self._memory_lock:
            return self._mark(feature, self._layer(feature), FeatureState.WANTED, WANTED)

    def mark_done(self, feature: str) -> LayerChange | None:
        """Mark a feature as annotated, with unlabelled pixels as not feature; can be undone like a stroke.

        Return None if it is already annotated and fully labelled.

        Raises
        ------
        ProjectError
            If the tile is marked as holding none of the feature.
        """
        with self._memory_lock:
            self._refuse_none_here(feature)
            return self._mark(feature, fill_unlabelled(self._layer(feature)), FeatureState.ANNOTATED, DONE)

    def mark_none_here(self, feature: str) -> LayerChange | None:
        """Mark the tile as holding none of a feature, and clear its layer; can be undone like a stroke.

        Return None if it is marked so already.
        """
        with self._memory_lock:
            self._layer(feature)
            return self._mark(feature, empty_layer(self.place.size), FeatureState.NONE_HERE, NONE_HERE)

    def undo(self) -> LayerChange | None:
        """Undo the last stroke of any feature; return the change, None if there is none."""
        with self._memory_lock:
            done_changes = self._history.done
            return self._record(stroke_log.UNDO, done_changes[-1].inverse) if done_changes else None

    def redo(self) -> LayerChange | None:
        """Redo the last undone stroke; return the change, None if there is none."""
        with self._memory_lock:
            undone_changes = self._history.undone
            return self._record(stroke_log.REDO, undone_changes[-1]) if undone_changes else None

    def _layer(self, feature: str) -> Layer:
        if feature not in self._layers:
            available = ", ".join(self.features) or "none"
            raise ProjectError(
                f"There is no feature {feature!r} here (there are: {available}).", "Choose one of these."
            )
        return self._layers[feature]

    def _refuse_none_here(self, feature: str) -> None:
        if Tile(self.place, self._own_states).state_of(feature) is FeatureState.NONE_HERE:
            raise ProjectError(
                f"{self.place.id} is marked as holding no {feature}.",
                "Mark the feature as wanted first, then paint it.",
            )

    def _paint(self, change: LayerChange | None) -> LayerChange | None:
        if change is None:
            return None
        self._refuse_none_here(change.feature)
        if change.feature not in self._own_states:
            change = replace(change, states=(None, FeatureState.WANTED))
        return self._record(stroke_log.STROKE, change)

    def _mark(self, feature: str, new_layer: Layer, state: FeatureState, tool: str) -> LayerChange | None:
        """Set the state of a feature together with its layer."""
        before, own_state = self._layers[feature], self._own_states.get(feature)
        pixels = np.flatnonzero(before != new_layer)
        if own_state is state and not len(pixels):
            return None
        states = None if own_state is state else (own_state, state)
        change = LayerChange(feature, tool, pixels, before.ravel()[pixels], new_layer.ravel()[pixels], states)
        return self._record(stroke_log.STROKE, change)

    def _record(self, kind: str, change: LayerChange) -> LayerChange:
        """Apply a change to memory, and add it to the strokes to save."""
        before = self._layers[change.feature]
        after = apply_change(before, change)
        after.flags.writeable = False
        self._layers[change.feature] = after
        if change.states is not None:
            state = change.states[1]
            self._own_states.pop(change.feature, None)
            if state is not None:
                self._own_states[change.feature] = state
        self._history = self._history.after(kind, change)
        self._pending.append(stroke_log.make_entry(kind, change, before, after))
        return change

    # Writing to disk

    def save(self) -> int:
        """Write all unsaved strokes in order; return how many were written.

        The first one acquires the paint lock. Saved strokes survive a crash of the process and a power cut.

        Raises
        ------
        AlreadyRunningError
            If somebody else paints the tile; the strokes are dropped, and memory is reset to the state on disk.
        ProjectError
            If another program has changed the tile since it was opened, with the same consequence. Or if the disk is
            full: the strokes stay in memory, and the next call tries again.
        """
        with self._write_lock:
            lines = tuple(self._pending)
            if lines:
                try:
                    self._acquire()
                    self._write(lines)
                except OSError as fault:
                    raise self._write_error(lines, str(fault.strerror)) from fault
            return len(lines)

    def _write(self, lines: Sequence[LogEntry]) -> None:
        layout = self._project.layout
        try:
            with tile_lock(layout, self.place):
                if self._paint_lock.is_owned:
                    self._mark_saved(write_log_entries(layout, self._stored, lines), len(lines))
                    return
        except AlreadyRunningError as error:
            raise self._write_error(lines, error.fault) from error
        self._paint_lock.release()
        self._reload()
        require_not_painted(layout, self.place)
        raise AlreadyRunningError(
            f"This program has lost the paint lock of {self.place.id}.", "Check the tile, and paint again."
        )

    def _write_error(self, lines: Sequence[LogEntry], reason: str) -> ProjectError:
        return ProjectError(
            f"{len(lines)} strokes on {self.place.id} cannot be written: {reason}",
            "Paint on: they are saved with the next stroke.",
        )

    def _acquire(self) -> None:
        """Acquire the paint lock, and check that the tile has not changed since it was opened."""
        if self._paint_lock.is_acquired:
            return
        layout = self._project.layout
        with tile_lock(layout, self.place):
            try:
                self._paint_lock.acquire()
            except AlreadyRunningError:
                self._reload()
                raise
            remove_tile_drafts(layout, self.place, self.features)
        if not load_tile(layout, self.place, self.features).is_unchanged(self._stored):
            self._paint_lock.release()
            self._reload()
            raise ProjectError(
                f"{self.place.id} was changed by another program since it was opened; it is shown as it is now.",
                "Check the tile, and paint again.",
            )

    def _mark_saved(self, stored: StoredTile, count: int) -> None:
        with self._memory_lock:
            self._stored = stored
            del self._pending[:count]

    def _reload(self) -> None:
        stored = load_tile(self._project.layout, self.place, self.features)
        with self._memory_lock:
            self._reset_to(stored)

    def close(self) -> None:
        """Save unsaved strokes and release the lock. Closing twice is allowed."""
        try:
            self.save()
        finally:
            self._paint_lock.release()

    def __enter__(self) -> "PaintSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def paint_lock_owner(project: Project, location: TileLocation) -> PaintLockOwner | None:
    """Return the owner of a tile's paint lock, None if nobody paints it; fast enough for every tile of a list."""
    return read_paint_lock_owner(project.layout, location)
