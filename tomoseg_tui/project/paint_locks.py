"""Paint locks: held while a tile is open for painting, in addition to the short lock of each write.

A paint lock also names the person. Whether its owner is alive is decided as for all locks (`files.locks`).
"""

import contextlib
import getpass
import os
from typing import final

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.files import locks
from tomoseg_tui.files.locks import Owner
from tomoseg_tui.files.structured import MalformedError, read_json
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import now


class PaintLockOwner(Owner, frozen=True):
    """A person and the process in which they paint."""

    user: str = ""
    """Login name."""
    since: str = ""
    """Time of the first saved stroke: ISO 8601, UTC."""

    @property
    def is_this_process(self) -> bool:
        """True for the running process."""
        return Owner(self.host, self.boot_id, self.pid, self.started) == locks.this_process()

    def __str__(self) -> str:
        if self.is_this_process:
            return f"this program (since {self.since})"
        return f"{self.user} (process {self.pid} on {self.host}, since {self.since})"


def _login_name() -> str:
    with contextlib.suppress(KeyError, OSError):  # a container may have no user names
        return getpass.getuser()
    return f"user {os.getuid()}"


def read_paint_lock_owner(layout: ProjectLayout, location: TileLocation) -> PaintLockOwner | None:
    """Return the owner of a tile's paint lock; None if nobody holds it or the owner is dead."""
    claim = layout.painting_claim(location)
    with contextlib.suppress(OSError, MalformedError):
        owner = read_json(claim, PaintLockOwner)
        return owner if locks.is_alive(owner, lambda: locks.age_seconds(claim)) else None
    return None


def require_not_painted(layout: ProjectLayout, location: TileLocation) -> None:
    """Raise an error if a tile is being painted, because the strokes would overwrite the change.

    Raises
    ------
    AlreadyRunningError
        If somebody paints it; the message names the person.
    """
    owner = read_paint_lock_owner(layout, location)
    if owner is not None:
        raise AlreadyRunningError(f"{location.id} is being painted by {owner}.", "Wait until the tile is closed there.")


@final
class PaintLock:
    """The paint lock of one tile, with a thread for its heartbeat."""

    def __init__(self, layout: ProjectLayout, location: TileLocation) -> None:
        self._layout, self._location = layout, location
        self._claim = layout.painting_claim(location)
        self._heartbeat: contextlib.ExitStack | None = None

    @property
    def is_acquired(self) -> bool:
        """True if this object acquired the lock and has not released it."""
        return self._heartbeat is not None

    def acquire(self) -> None:
        """Acquire the lock, also one of a dead owner.

        Raises
        ------
        AlreadyRunningError
            If the tile is being painted, in this program or another.
        """
        process = locks.this_process()
        owner = PaintLockOwner(process.host, process.boot_id, process.pid, process.started, _login_name(), now())
        try:
            locks.acquire(self._claim, owner)
        except AlreadyRunningError:
            require_not_painted(self._layout, self._location)
            locks.acquire(self._claim, owner)  # the other owner has just released it
        self._heartbeat = contextlib.ExitStack()
        self._heartbeat.enter_context(locks.heartbeat(lambda: [self._claim] if self.is_owned else []))

    @property
    def is_owned(self) -> bool:
        """True if the lock is still ours; another host takes it over after a long time without heartbeat."""
        return locks.is_owned_by(self._claim, locks.this_process())

    def release(self) -> None:
        """Release the lock if it was acquired."""
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None
            locks.release(self._claim, locks.this_process())
