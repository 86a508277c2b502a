"""Who paints a tile: a lock from the first stroke until the tile is left, beside the short one for each write.

It names the person too. Whether its owner is alive is found out as for a job (`files.locks`): by the process, or from
another host by the heartbeat.
"""

import contextlib
import getpass
import os
from typing import final

import msgspec

from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import AlreadyRunningError
from tomoseg_tui.files import locks
from tomoseg_tui.files.locks import Owner
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import now


class PaintLockOwner(Owner, frozen=True):
    """A person and the process that they paint with."""

    user: str = ""
    """Login name."""
    since: str = ""
    """When the first stroke was kept: ISO 8601, UTC."""

    @property
    def is_this_process(self) -> bool:
        """Whether it is this very process."""
        return Owner(self.host, self.boot_id, self.pid, self.started) == locks.this_process()

    def __str__(self) -> str:
        if self.is_this_process:
            return f"this program (since {self.since})"
        return f"{self.user} (process {self.pid} on {self.host}, since {self.since})"


def _login_name() -> str:
    with contextlib.suppress(KeyError, OSError):  # a container may know no names
        return getpass.getuser()
    return f"user {os.getuid()}"


def read_paint_lock_owner(layout: ProjectLayout, location: TileLocation) -> PaintLockOwner | None:
    """Return who paints a tile, None if nobody does or the one who did has died."""
    claim = layout.painting_claim(location)
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        owner = msgspec.json.decode(claim.read_bytes(), type=PaintLockOwner)
        return owner if locks.is_alive(owner, lambda: locks.age_seconds(claim)) else None
    return None


def require_not_painted(layout: ProjectLayout, location: TileLocation) -> None:
    """Refuse to change a tile that is being painted: what is painted would overwrite the change.

    Raises
    ------
    AlreadyRunningError
        Naming who paints it.
    """
    owner = read_paint_lock_owner(layout, location)
    if owner is not None:
        raise AlreadyRunningError(f"{location.id} is being painted by {owner}.", "Wait until it is left there.")


@final
class PaintLock:
    """The right to paint one tile: acquired, shown to other hosts by a heartbeat, released."""

    def __init__(self, layout: ProjectLayout, location: TileLocation) -> None:
        self._layout, self._location = layout, location
        self._claim = layout.painting_claim(location)
        self._heartbeat: contextlib.ExitStack | None = None

    @property
    def is_acquired(self) -> bool:
        """Whether it was acquired here, and not released."""
        return self._heartbeat is not None

    def acquire(self) -> None:
        """Acquire the tile, also from somebody who has died.

        Raises
        ------
        AlreadyRunningError
            If somebody else paints it, in this program or another.
        """
        process = locks.this_process()
        owner = PaintLockOwner(process.host, process.boot_id, process.pid, process.started, _login_name(), now())
        try:
            locks.acquire(self._claim, owner)
        except AlreadyRunningError:
            require_not_painted(self._layout, self._location)
            locks.acquire(self._claim, owner)  # whoever it was has just left
        self._heartbeat = contextlib.ExitStack()
        self._heartbeat.enter_context(locks.heartbeat(lambda: [self._claim] if self.is_owned else []))

    @property
    def is_owned(self) -> bool:
        """Whether the tile is still ours: another host takes it if it has seen no heartbeat for long."""
        return locks.is_owned_by(self._claim, locks.this_process())

    def release(self) -> None:
        """Let others paint the tile."""
        if self._heartbeat is not None:
            self._heartbeat.close()
            self._heartbeat = None
            locks.release(self._claim, locks.this_process())
