"""Paint a tile: an open tile in memory, its strokes kept on disk one after the other, undo and redo without limit.

Strokes change memory at once, so that a screen can draw them; `Painting.keep` writes what is not yet on disk, from
one thread that does nothing else. A tile is taken by the first stroke that is kept, and given back by `close`: another
program that wants to paint it, or a command that would change it, is told by whom it is taken.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import Change, Layer, applied, changed, difference, empty_layer, marked_done
from tomoseg_tui.core.tiles import FeatureState, Place, Tile
from tomoseg_tui.errors import AlreadyRunningError, ProjectError
from tomoseg_tui.files import locks
from tomoseg_tui.project import catalog, stroke_log
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.paint_locks import Painter, PaintingClaim, painter_of, refuse_painted
from tomoseg_tui.project.painted_tile import DONE, NONE_HERE, WANTED, KeptTile, read_tile, sweep_tile, write_lines
from tomoseg_tui.project.project_settings import read_settings
from tomoseg_tui.project.stroke_log import Line


@final
class Painting:
    """One tile that is being painted.

    What is asked and what changes memory (layers, states, stroke, undo ...) is quick and may be called from the
    thread of the screen; `open`, `keep` and `close` wait for the disk.
    """

    def __init__(self, project: Project, kept: KeptTile) -> None:
        """Begin with what the disk holds; `open` reads it."""
        self._project = project
        self._claim = PaintingClaim(project.layout, kept.place)
        self._memory, self._writing = threading.Lock(), threading.Lock()
        self._pending: list[Line] = []
        self._take_over(kept)

    @classmethod
    def open(cls, project: Project, place: Place, *, features: Sequence[str] | None = None) -> "Painting":
        """Open a tile with its layers and its history; nothing is written and nothing is taken yet.

        Parameters
        ----------
        project : Project
        place : Place
            Of a tile that there is.
        features : sequence of str or None
            Features to paint; all of the project if None.

        Raises
        ------
        ProjectError
            If there is no such tile or feature, a layer is damaged, or the project can only be read.
        """
        project.refuse_newer()
        place = catalog.require_tile(project.layout, place).place
        for feature in features or ():
            catalog.require_feature(project, feature)
        known = read_settings(project.layout.settings).features
        return cls(project, read_tile(project.layout, place, known if features is None else features))

    def _take_over(self, kept: KeptTile) -> None:
        """Let memory be as the disk is."""
        self._kept = kept
        self._layers = dict(kept.layers)
        for layer in self._layers.values():
            layer.flags.writeable = False
        self._own_states: dict[str, FeatureState] = dict(kept.tile.states)
        self._history = kept.history
        self._pending.clear()

    # What there is

    @property
    def place(self) -> Place:
        """The tile; of the version that it was placed on."""
        return self._kept.place

    @property
    def features(self) -> tuple[str, ...]:
        """Those that can be painted."""
        return tuple(self._kept.layers)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the person should know, as sentences: that earlier strokes can no longer be undone, and why."""
        return tuple(
            f"{feature} was written by another program since it was painted here: "
            "what was painted before cannot be undone."
            for feature in sorted(self._kept.replaced)
        )

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Layers of all features as they are now, unkept strokes among them; not to be written into.

        A feature without a layer has an empty one. Each change makes a new array, so that one that was handed out
        stays as it was.
        """
        with self._memory:
            return MappingProxyType(dict(self._layers))

    @property
    def states(self) -> Mapping[str, FeatureState | None]:
        """State of each feature on the tile; what ``*`` says counts, None where nothing is said."""
        with self._memory:
            tile = Tile(self.place, dict(self._own_states))
        return {feature: tile.state_of(feature) for feature in self.features}

    @property
    def can_undo(self) -> bool:
        """Whether there is a stroke to take back, from this session or an earlier one."""
        return bool(self._history.done)

    @property
    def depth(self) -> int:
        """How many strokes can be taken back one after the other."""
        return len(self._history.done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a stroke that was taken back, and none has been painted since."""
        return bool(self._history.undone)

    @property
    def unkept(self) -> int:
        """How many strokes, undos and redos among them, are not on disk yet."""
        return len(self._pending)

    # What changes memory

    def stroke(self, feature: str, mask: NDArray[np.bool_], value: int, tool: str) -> Change | None:
        """Paint one value (0 to 3) wherever the mask is; None if that changes nothing.

        A feature that has no state on this tile yet becomes wanted by it: it is to be finished. A tile that is done
        stays done.

        Raises
        ------
        ProjectError
            If the tile is marked as holding none of the feature: `make_wanted` says otherwise.
        """
        with self._memory:
            return self._painted(changed(self._layer(feature), mask, value, feature=feature, tool=tool))

    def put(self, feature: str, layer: Layer, tool: str) -> Change | None:
        """Put a whole layer in the place of another, as one stroke; for copies, `interpolated` and `above`.

        Raises
        ------
        ProjectError
            As for `stroke`.
        """
        with self._memory:
            return self._painted(difference(self._layer(feature), layer, feature=feature, tool=tool))

    def make_wanted(self, feature: str) -> Change | None:
        """Say that a tile holds a feature, and is still to be finished; can be undone as a stroke can.

        None if it is wanted already.
        """
        with self._memory:
            return self._marked(feature, self._layer(feature), FeatureState.WANTED, WANTED)

    def done(self, feature: str) -> Change | None:
        """Mark a feature as annotated: all that was not looked at is not the feature; can be undone as a stroke can.

        None if it is annotated already, and wholly looked at.

        Raises
        ------
        ProjectError
            If the tile is marked as holding none of the feature.
        """
        with self._memory:
            self._refuse_none_here(feature)
            return self._marked(feature, marked_done(self._layer(feature)), FeatureState.ANNOTATED, DONE)

    def none_here(self, feature: str) -> Change | None:
        """Mark that the tile holds none of a feature, and wipe its layer; can be undone as a stroke can.

        None if that is said already.
        """
        with self._memory:
            self._layer(feature)
            return self._marked(feature, empty_layer(self.place.size), FeatureState.NONE_HERE, NONE_HERE)

    def undo(self) -> Change | None:
        """Take the last stroke back, of whichever feature; return what that changes, None if there is none."""
        with self._memory:
            done = self._history.done
            return self._noted(stroke_log.UNDO, done[-1].reverse) if done else None

    def redo(self) -> Change | None:
        """Do again what was taken back last; return what that changes, None if there is none."""
        with self._memory:
            undone = self._history.undone
            return self._noted(stroke_log.REDO, undone[-1]) if undone else None

    def _layer(self, feature: str) -> Layer:
        if feature not in self._layers:
            there = ", ".join(self.features) or "none"
            raise ProjectError(f"There is no feature {feature!r} here (there are: {there}).", "Choose one of these.")
        return self._layers[feature]

    def _refuse_none_here(self, feature: str) -> None:
        if Tile(self.place, self._own_states).state_of(feature) is FeatureState.NONE_HERE:
            raise ProjectError(
                f"{self.place.id} is marked as holding no {feature}.",
                "Say first that it does hold some, then paint it.",
            )

    def _painted(self, change: Change | None) -> Change | None:
        if change is None:
            return None
        self._refuse_none_here(change.feature)
        if change.feature not in self._own_states:
            change = replace(change, states=(None, FeatureState.WANTED))
        return self._noted(stroke_log.STROKE, change)

    def _marked(self, feature: str, wanted: Layer, state: FeatureState, tool: str) -> Change | None:
        """Give a feature a state, and the layer that goes with it."""
        before, own = self._layers[feature], self._own_states.get(feature)
        pixels = np.flatnonzero(before != wanted)
        if own is state and not len(pixels):
            return None
        states = None if own is state else (own, state)
        change = Change(feature, tool, pixels, before.ravel()[pixels], wanted.ravel()[pixels], states)
        return self._noted(stroke_log.STROKE, change)

    def _noted(self, kind: str, change: Change) -> Change:
        """Let memory follow a change, and note what is to be kept."""
        before = self._layers[change.feature]
        after = applied(before, change)
        after.flags.writeable = False
        self._layers[change.feature] = after
        if change.states is not None:
            state = change.states[1]
            self._own_states.pop(change.feature, None)
            if state is not None:
                self._own_states[change.feature] = state
        self._history = self._history.after(kind, change)
        self._pending.append(stroke_log.line_of(kind, change, before, after))
        return change

    # The disk

    def keep(self) -> int:
        """Write all strokes that are not on disk yet, in their order; return how many this call has kept.

        The first one takes the tile. What is kept survives the loss of the process, and of power.

        Raises
        ------
        AlreadyRunningError
            If somebody else paints the tile; the strokes are dropped, memory is as the disk is.
        ProjectError
            If the tile was changed by another program since it was opened; likewise. Or if the disk is full: the
            strokes stay in memory, and the next call tries again.
        """
        with self._writing:
            lines = tuple(self._pending)
            if lines:
                try:
                    self._take()
                    self._write(lines)
                except OSError as fault:
                    raise self._unwritten(lines, str(fault.strerror)) from fault
            return len(lines)

    def _write(self, lines: Sequence[Line]) -> None:
        layout = self._project.layout
        try:
            with locks.holding(layout.tile_claim(self.place)):
                if self._claim.is_ours:
                    self._kept_now(write_lines(layout, self._kept, lines), len(lines))
                    return
        except AlreadyRunningError as busy:
            raise self._unwritten(lines, busy.fault) from busy
        self._claim.give_back()
        self._look_again()
        refuse_painted(layout, self.place)
        raise AlreadyRunningError(
            f"{self.place.id} is no longer taken by this program.", "Look at it, and paint again."
        )

    def _unwritten(self, lines: Sequence[Line], reason: str) -> ProjectError:
        return ProjectError(
            f"{len(lines)} strokes on {self.place.id} cannot be written: {reason}",
            "They are still here, and are written with the next one.",
        )

    def _take(self) -> None:
        """Take the tile, and make sure that it is as it was when it was opened."""
        if self._claim.is_taken:
            return
        try:
            self._claim.take()
        except AlreadyRunningError:
            self._look_again()
            raise
        layout = self._project.layout
        with locks.holding(layout.tile_claim(self.place)):
            sweep_tile(layout, self.place, self.features)
        if not read_tile(layout, self.place, self.features).is_as(self._kept):
            self._claim.give_back()
            self._look_again()
            raise ProjectError(
                f"{self.place.id} was changed by another program since it was opened; it is shown as it is now.",
                "Look at it, and paint again.",
            )

    def _kept_now(self, kept: KeptTile, count: int) -> None:
        with self._memory:
            self._kept = kept
            del self._pending[:count]

    def _look_again(self) -> None:
        kept = read_tile(self._project.layout, self.place, self.features)
        with self._memory:
            self._take_over(kept)

    def close(self) -> None:
        """Keep what is not on disk yet, and give the tile back. Closing twice does no harm."""
        try:
            self.keep()
        finally:
            self._claim.give_back()

    def __enter__(self) -> "Painting":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def who_paints(project: Project, place: Place) -> Painter | None:
    """Return who paints a tile now, None if nobody does; cheap enough to ask for every tile of a list.

    `Painter.here` tells whether it is this very process, ``str(painter)`` says who in words.
    """
    return painter_of(project.layout, place)
