"""Who paints a tile: a claim that is held as long as the tile is open, beside the short one for each write."""

import msgspec

from tomoseg_tui.core.tiles import Place
from tomoseg_tui.project.claims import Owner
from tomoseg_tui.project.layout import ProjectLayout


class Painter(msgspec.Struct, frozen=True):
    """A person and the process they paint with."""

    owner: Owner
    user: str
    """Login name."""
    since: str
    """When the first stroke was kept: ISO 8601, UTC."""

    @property
    def here(self) -> bool:
        """Whether it is this very process."""
        raise NotImplementedError

    def __str__(self) -> str:
        return f"{self.user} (process {self.owner.pid} on {self.owner.host}, since {self.since})"


def painter_of(layout: ProjectLayout, place: Place) -> Painter | None:
    """Return who paints a tile, None if nobody does or the one who did has died."""
    raise NotImplementedError
