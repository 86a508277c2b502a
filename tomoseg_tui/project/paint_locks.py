"""Who paints a tile: a claim that is held as long as the tile is open, beside the short one for each write.

It names the person too, and its owner proves that it lives as that of a job does (`claims`): here by process, from
another host by the heartbeat.
"""

import contextlib
import getpass
import os
import threading
from pathlib import Path
from typing import final

import msgspec

from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.files import locks
from tomoseg_tui.files.locks import Owner
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import now


class Painter(Owner, frozen=True):
    """A person and the process that they paint with."""

    user: str = ""
    """Login name."""
    since: str = ""
    """When the first stroke was kept: ISO 8601, UTC."""

    @property
    def here(self) -> bool:
        """Whether it is this very process."""
        return Owner(self.host, self.boot_id, self.pid, self.started) == locks.this_process()

    def __str__(self) -> str:
        if self.here:
            return f"this program (since {self.since})"
        return f"{self.user} (process {self.pid} on {self.host}, since {self.since})"


def _login_name() -> str:
    with contextlib.suppress(KeyError, OSError):  # a container may know no names
        return getpass.getuser()
    return f"user {os.getuid()}"


def painter_of(layout: ProjectLayout, place: Place) -> Painter | None:
    """Return who paints a tile, None if nobody does or the one who did has died."""
    claim = layout.painting_claim(place)
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        painter = msgspec.json.decode(claim.read_bytes(), type=Painter)
        return painter if locks.lives(painter, lambda: locks.age_seconds(claim)) else None
    return None


def refuse_painted(layout: ProjectLayout, place: Place) -> None:
    """Refuse to change a tile that is being painted: what is painted would overwrite the change.

    Raises
    ------
    AlreadyRunningError
        Naming who paints it.
    """
    painter = painter_of(layout, place)
    if painter is not None:
        raise AlreadyRunningError(f"{place.id} is being painted by {painter}.", "Wait until it is left there.")


@final
class PaintingClaim:
    """The right to paint one tile: taken, shown to other hosts by a thread of its own, given back."""

    def __init__(self, layout: ProjectLayout, place: Place) -> None:
        self._layout, self._place = layout, place
        self._ended = threading.Event()
        self._heart: threading.Thread | None = None

    @property
    def is_taken(self) -> bool:
        """Whether it was taken here, and not given back."""
        return self._heart is not None

    def take(self) -> None:
        """Take the tile, also from somebody who has died.

        Raises
        ------
        AlreadyRunningError
            If somebody else paints it, in this program or another.
        """
        claim, me = self._layout.painting_claim(self._place), locks.this_process()
        painter = Painter(me.host, me.boot_id, me.pid, me.started, _login_name(), now())
        try:
            locks.take(claim, painter)
        except AlreadyRunningError:
            refuse_painted(self._layout, self._place)
            locks.take(claim, painter)  # whoever it was has just left
        self._heart = threading.Thread(target=self._beat, args=(claim,), name=f"painting {self._place.id}", daemon=True)
        self._heart.start()

    @property
    def is_ours(self) -> bool:
        """Whether the tile is still ours: another host takes it if our heart has not been heard for long."""
        return locks.is_owned_by(self._layout.painting_claim(self._place), locks.this_process())

    def give_back(self) -> None:
        """Let others paint the tile."""
        if self._heart is not None:
            self._ended.set()
            self._heart.join()
            self._heart = None
            self._ended.clear()
            locks.release(self._layout.painting_claim(self._place), locks.this_process())

    def _beat(self, claim: Path) -> None:
        while not self._ended.wait(locks.HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                if self.is_ours:
                    os.utime(claim)
