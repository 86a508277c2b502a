"""Paint a tile: an open tile in memory, its strokes kept on disk one after the other, undo and redo without limit.

Strokes change memory at once, so that a screen can draw them; `Painting.keep` writes what is not yet on disk, from
one thread that does nothing else. A tile is taken by the first stroke that is kept, and given back by `close`: another
program that wants to paint it, or a command that would change it, is told by whom it is taken.
"""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import Change, Layer
from tomoseg_tui.core.tiles import FeatureState, Place
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.painters import Painter, painter_of


@final
class Painting:
    """One tile that is being painted.

    What is asked and what changes memory (layers, states, stroke, undo ...) is quick and may be called from the
    thread of the screen; `open`, `keep` and `close` wait for the disk.
    """

    place: Place
    """The tile; of the version that it was placed on."""
    features: tuple[str, ...]
    """Those that can be painted."""
    remarks: tuple[str, ...]
    """What the person should know, as sentences: that earlier strokes can no longer be undone, and why."""

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
            If there is no such tile, feature, or a layer is damaged.
        """
        raise NotImplementedError

    @property
    def layers(self) -> Mapping[str, Layer]:
        """Layers of all features as they are now, unkept strokes among them; not to be written into.

        A feature without a layer has an empty one. Each change makes a new array, so that one that was handed out
        stays as it was.
        """
        raise NotImplementedError

    @property
    def states(self) -> Mapping[str, FeatureState | None]:
        """State of each feature on the tile; what ``*`` says counts, None where nothing is said."""
        raise NotImplementedError

    @property
    def can_undo(self) -> bool:
        """Whether there is a stroke to take back, from this session or an earlier one."""
        raise NotImplementedError

    @property
    def can_redo(self) -> bool:
        """Whether there is a stroke that was taken back, and none has been painted since."""
        raise NotImplementedError

    @property
    def unkept(self) -> int:
        """How many strokes, undos and redos among them, are not on disk yet."""
        raise NotImplementedError

    def stroke(self, feature: str, mask: NDArray[np.bool_], value: int, tool: str) -> Change | None:
        """Paint one value (0 to 3) wherever the mask is; None if that changes nothing.

        A feature that has no state on this tile yet becomes wanted by it: it is to be finished. A tile that is done
        stays done.

        Raises
        ------
        ProjectError
            If the tile is marked as holding none of the feature: `make_wanted` says otherwise.
        """
        raise NotImplementedError

    def put(self, feature: str, layer: Layer, tool: str) -> Change | None:
        """Put a whole layer in the place of another, as one stroke; for copies, `interpolated` and `above`.

        Raises
        ------
        ProjectError
            As for `stroke`.
        """
        raise NotImplementedError

    def make_wanted(self, feature: str) -> Change | None:
        """Say that a tile holds a feature after all, and is still to be finished; can be undone as a stroke can.

        None if it is wanted already.
        """
        raise NotImplementedError

    def done(self, feature: str) -> Change | None:
        """Mark a feature as annotated: all that was not looked at is not the feature; can be undone as a stroke can.

        Raises
        ------
        ProjectError
            If the tile is marked as holding none of the feature.
        """
        raise NotImplementedError

    def none_here(self, feature: str) -> Change | None:
        """Mark that the tile holds none of a feature, and wipe its layer; can be undone as a stroke can."""
        raise NotImplementedError

    def undo(self) -> Change | None:
        """Take the last stroke back, of whichever feature; return what that changes, None if there is none."""
        raise NotImplementedError

    def redo(self) -> Change | None:
        """Do again what was taken back last; return what that changes, None if there is none."""
        raise NotImplementedError

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
        raise NotImplementedError

    def close(self) -> None:
        """Keep what is not on disk yet, and give the tile back. Closing twice does no harm."""
        raise NotImplementedError


def who_paints(project: Project, place: Place) -> Painter | None:
    """Return who paints a tile now, None if nobody does; cheap enough to ask for every tile of a list.

    `Painter.here` tells whether it is this very process, ``str(painter)`` says who in words.
    """
    return painter_of(project.layout, place)
