"""Paint a tile: an open tile in memory, its strokes saved one after the other, undo and redo without limit.

Strokes change memory at once, so that a screen can draw them; `PaintSession.save` writes what is not yet on disk, from
one thread that does nothing else. The first stroke that is saved locks the tile, `close` unlocks it: another program
that wants to paint it, or a command that would change it, reports who has locked it.
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
from tomoseg_tui.files import locks
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
from tomoseg_tui.project.paint_locks import PaintLock, PaintLockOwner, read_paint_lock_owner, require_not_painted
from tomoseg_tui.project.project_settings import read_settings
from tomoseg_tui.project.stroke_log import LogEntry


@final
class PaintSession:
    """One tile that is being painted.

    What reads or changes memory (layers, states, stroke, undo ...) is quick and may be called from the thread of the
    screen; `open`, `save` and `close` wait for the disk.
    """

    def __init__(self, project: Project, stored: StoredTile) -> None:
        """Start with what the disk holds; `open` reads it."""
        self._project = project
        self._paint_lock = PaintLock(project.layout, stored.location)
        self._memory_lock, self._write_lock = threading.Lock(), threading.Lock()
        self._pending: list[LogEntry] = []
        self._reset_to(stored)

    @classmethod
    def open(cls, project: Project, location: TileLocation, *, features: Sequence[str] | None = None) -> "PaintSession":
        """Open a tile with its layers and its history; nothing is written and nothing is locked yet.

        Parameters
        ----------
        project : Project
        location : Place
            Of a tile that there is.
        features : sequence of str or None
            Features to paint; all of the project if None.

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
        """Make memory as the disk is."""
        self._stored = stored
        self._layers = dict(stored.layers)
        for layer in self._layers.values():
            layer.flags.writeable = False
        self._own_states: dict[str, FeatureState] = dict(stored.tile.states)
        self._history = stored.undo_stack
        self._pending.clear()

    # State

    @property
    def place(self) -> TileLocation:
        """The tile; of the version that it was placed on."""
        return self._stored.location

    @property
    def features(self) -> tuple[str, ...]:
        """Features that can be painted."""
        return tuple(self._stored.layers)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the person should know, as sentences: that earlier strokes can no longer be undone, and why."""
        return tuple(
            f"{feature} was written by another program since it was painted here: "
            "what was painted before cannot be undone."
            for feature in sorted(self._stored.replaced)
        )

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Layers of all features as they are now, with unsaved strokes; not to be written into.

        A feature without a layer has an empty one. Each change makes a new array, so that one that was handed out
        stays as it was.
        """
        with self._memory_lock:
            return MappingProxyType(dict(self._layers))

    @property
    def states(self) -> Mapping[str, FeatureState | None]:
        """State of each feature on the tile; what ``*`` says counts, None where nothing is said."""
        with self._memory_lock:
            tile = Tile(self.place, dict(self._own_states))
        return {feature: tile.state_of(feature) for feature in self.features}

    @property
    def can_undo(self) -> bool:
        """Whether there is a stroke to take back, of this session or an earlier one."""
        return bool(self._history.done)

    @property
    def undo_depth(self) -> int:
        """How many strokes can be taken back one after the other."""
        return len(self._history.done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a stroke that was taken back, and none has been painted since."""
        return bool(self._history.undone)

    @property
    def unsaved_count(self) -> int:
        """How many strokes, undos and redos among them, are not on disk yet."""
        return len(self._pending)

    # What changes memory

    def stroke(self, feature: str, mask: NDArray[np.bool_], value: int, tool: str) -> LayerChange | None:
        """Paint one value (0 to 3) wherever the mask is; None if that changes nothing.

        A feature that has no state on this tile yet becomes wanted by it: it is to be finished. A tile that is done
        stays done.

        Raises
        ------
        ProjectError
            If the tile is marked as holding none of the feature: `mark_wanted` says otherwise.
        """
        with self._memory_lock:
            return self._paint(paint_change(self._layer(feature), mask, value, feature=feature, tool=tool))

    def replace_layer(self, feature: str, layer: Layer, tool: str) -> LayerChange | None:
        """Put a whole layer in the place of another, as one stroke; for copies, `interpolated` and `above`.

        Raises
        ------
        ProjectError
            As for `stroke`.
        """
        with self._memory_lock:
            return self._paint(layer_difference(self._layer(feature), layer, feature=feature, tool=tool))

    def mark_wanted(self, feature: str) -> LayerChange | None:
        """Say that a tile holds a feature, and is still to be finished; can be undone as a stroke can.

        None if it is wanted already.
        """
        with self._memory_lock:
            return self._mark(feature, self._layer(feature), FeatureState.WANTED, WANTED)

    def mark_done(self, feature: str) -> LayerChange | None:
        """Mark a feature as annotated: all that was not looked at is not the feature; can be undone as a stroke can.

        None if it is annotated already, and wholly looked at.

        Raises
        ------
        ProjectError
            If the tile is marked as holding none of the feature.
        """
        with self._memory_lock:
            self._refuse_none_here(feature)
            return self._mark(feature, fill_unlabelled(self._layer(feature)), FeatureState.ANNOTATED, DONE)

    def mark_none_here(self, feature: str) -> LayerChange | None:
        """Mark that the tile holds none of a feature, and wipe its layer; can be undone as a stroke can.

        None if that is said already.
        """
        with self._memory_lock:
            self._layer(feature)
            return self._mark(feature, empty_layer(self.place.size), FeatureState.NONE_HERE, NONE_HERE)

    def undo(self) -> LayerChange | None:
        """Take the last stroke back, of whichever feature; return what that changes, None if there is none."""
        with self._memory_lock:
            done_changes = self._history.done
            return self._record(stroke_log.UNDO, done_changes[-1].inverse) if done_changes else None

    def redo(self) -> LayerChange | None:
        """Do again what was taken back last; return what that changes, None if there is none."""
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
                "Say first that it does hold some, then paint it.",
            )

    def _paint(self, change: LayerChange | None) -> LayerChange | None:
        if change is None:
            return None
        self._refuse_none_here(change.feature)
        if change.feature not in self._own_states:
            change = replace(change, states=(None, FeatureState.WANTED))
        return self._record(stroke_log.STROKE, change)

    def _mark(self, feature: str, new_layer: Layer, state: FeatureState, tool: str) -> LayerChange | None:
        """Give a feature a state, and the layer that goes with it."""
        before, own_state = self._layers[feature], self._own_states.get(feature)
        pixels = np.flatnonzero(before != new_layer)
        if own_state is state and not len(pixels):
            return None
        states = None if own_state is state else (own_state, state)
        change = LayerChange(feature, tool, pixels, before.ravel()[pixels], new_layer.ravel()[pixels], states)
        return self._record(stroke_log.STROKE, change)

    def _record(self, kind: str, change: LayerChange) -> LayerChange:
        """Change memory, and note what is to be saved."""
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

    # The disk

    def save(self) -> int:
        """Write all strokes that are not on disk yet, in their order; return how many.

        The first one locks the tile. What is saved survives the loss of the process, and of power.

        Raises
        ------
        AlreadyRunningError
            If somebody else paints the tile; the strokes are dropped, memory is as the disk is.
        ProjectError
            If the tile was changed by another program since it was opened; likewise. Or if the disk is full: the
            strokes stay in memory, and the next call tries again.
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
            with locks.held(layout.tile_claim(self.place)):
                if self._paint_lock.is_owned:
                    self._mark_saved(write_log_entries(layout, self._stored, lines), len(lines))
                    return
        except AlreadyRunningError as error:
            raise self._write_error(lines, error.fault) from error
        self._paint_lock.release()
        self._reload()
        require_not_painted(layout, self.place)
        raise AlreadyRunningError(
            f"{self.place.id} is no longer taken by this program.", "Look at it, and paint again."
        )

    def _write_error(self, lines: Sequence[LogEntry], reason: str) -> ProjectError:
        return ProjectError(
            f"{len(lines)} strokes on {self.place.id} cannot be written: {reason}",
            "They are still here, and are written with the next one.",
        )

    def _acquire(self) -> None:
        """Lock the tile, and make sure that it is as it was when it was opened."""
        if self._paint_lock.is_acquired:
            return
        try:
            self._paint_lock.acquire()
        except AlreadyRunningError:
            self._reload()
            raise
        layout = self._project.layout
        with locks.held(layout.tile_claim(self.place)):
            remove_tile_drafts(layout, self.place, self.features)
        if not load_tile(layout, self.place, self.features).is_unchanged(self._stored):
            self._paint_lock.release()
            self._reload()
            raise ProjectError(
                f"{self.place.id} was changed by another program since it was opened; it is shown as it is now.",
                "Look at it, and paint again.",
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
        """Save what is not on disk yet, and unlock the tile. Closing twice does no harm."""
        try:
            self.save()
        finally:
            self._paint_lock.release()

    def __enter__(self) -> "PaintSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def paint_lock_owner(project: Project, location: TileLocation) -> PaintLockOwner | None:
    """Return who paints a tile now, None if nobody does; cheap enough to ask for every tile of a list.

    `PaintLockOwner.is_this_process` tells whether it is this very process, ``str(owner)`` who it is.
    """
    return read_paint_lock_owner(project.layout, location)
