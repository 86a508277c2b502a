"""Send no more of a line than has changed: a dab of paint is a few cells, not the line from its left end.

Textual finds what is to be drawn again as spans of lines, but begins each at the left edge of the widget that it lies
in. Here the span is cut at both ends.

`Compositor`, `ChopsUpdate` and the attribute of a screen that holds them are Textual's own and not promised to stay;
tests/tui/canvas/test_partial_updates.py pins them.
"""

from typing import Any, final

from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, Compositor
from textual.screen import Screen


@final
class SpansUpdate(ChopsUpdate):
    """An update of which nothing beside the spans is sent."""

    def render_segments(self, console: Console) -> str:
        """Return the escape sequences of the spans."""
        parts: list[str] = []
        for y, first, last in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                start, stop = max(x, first), min(end, last)
                if strip is not None and start < stop:
                    parts += (Control.move_to(start, y).segment.text, strip.crop(start - x, stop - x).render(console))
        return "".join(parts)


@final
class PartialUpdateCompositor(Compositor):
    """Textual's compositor with updates that are cut at both ends."""

    def render_partial_update(self) -> ChopsUpdate | None:
        """Return what has changed, None if nothing has."""
        update = super().render_partial_update()
        return None if update is None else SpansUpdate(update.chops, update.spans, update.chop_ends)


@final
class PartialUpdateScreen(Screen[Any]):
    """A screen that sends what has changed and nothing else."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._compositor = PartialUpdateCompositor()
