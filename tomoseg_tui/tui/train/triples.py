"""The row of triples of one run: as many as there is room for, or one of them large, annotation and network in turn."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.markup import escape
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.widgets import Static

from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.images.triple_images import flipped, in_order, origin, side_by_side, verdict
from tomoseg_tui.workflow.views import TripleView

COLUMNS = "tile | annotation | network"
MOST_CELLS = 3
"""Triples side by side on the widest screens."""
NEARLY = 0.75
"""Another triple is shown where all are still at least so large, measured by one alone."""


class TripleCell(Container):
    """One picture with its words on the frame."""

    def __init__(self) -> None:
        super().__init__(classes="panel triple-cell")
        self.canvas = StillCanvas()

    def compose(self) -> ComposeResult:
        """Make the picture."""
        yield self.canvas

    def show(self, above: str, below: str, picture: Picture) -> None:
        """Show a picture and say what it is."""
        self.border_title, self.border_subtitle = escape(above), escape(below)
        self.canvas.show(picture)


class Triples(Horizontal, can_focus=True):
    """Triples of one run, those first on which annotation and network differ most."""

    LARGE: ClassVar[tuple[str, ...]] = ("annotation", "network")
    """What a large picture shows over the image."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._cells = tuple(TripleCell() for _ in range(MOST_CELLS))
        self._views: list[TripleView] = []
        self._features: Sequence[str] = ()
        self._thresholds: Mapping[str, float] = {}
        self._words = ""
        self.at = 0
        self.best_first = False
        self.large: str | None = None
        """`annotation`, `network`, or None for the row."""

    def compose(self) -> ComposeResult:
        """Make the cells and the words for when there is nothing."""
        yield Static("", classes="hint triples-none panel", markup=False)
        yield from self._cells

    def on_mount(self) -> None:
        """Begin with the words."""
        self._draw()

    def on_resize(self) -> None:
        """Show as many as there is room for."""
        self._draw()

    @property
    def views(self) -> Sequence[TripleView]:
        """All triples in the order shown."""
        return self._views

    def show(
        self, views: Sequence[TripleView], features: Sequence[str], thresholds: Mapping[str, float], words: str
    ) -> None:
        """Show these triples from the first; `words` are said where there are none."""
        self._views = in_order(views, best_first=self.best_first)
        self._features, self._thresholds, self._words = features, thresholds, words
        self.at = 0
        self._draw()

    def step(self, by: int) -> None:
        """Go on by so many triples, around the end."""
        if self._views:
            self.at = (self.at + by) % len(self._views)
            self._draw()

    def turn_order(self) -> None:
        """Show the best first instead of the worst, and back."""
        self.best_first = not self.best_first
        self._views = in_order(self._views, best_first=self.best_first)
        self.at = 0
        self._draw()

    def enlarge(self, over: str | None) -> None:
        """Show one triple large, with `over` over its image; None goes back to the row."""
        self.large = over
        self._draw()

    @property
    def room(self) -> int:
        """How many triples stand side by side: as many as leave each nearly as large as one would be alone."""
        alone = self._pixels(1)
        fitting = [count for count in range(1, MOST_CELLS + 1) if self._pixels(count) >= NEARLY * alone]
        return 1 if self.large is not None else max(fitting, default=1)

    def _pixels(self, count: int) -> float:
        """Return the edge of a tile, in half-blocks, with so many triples side by side."""
        frame = 2
        return min(2.0 * (self.size.height - frame), (self.size.width / count - frame) / 3)

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        shown = min(self.room, len(self._views))
        nothing = self.query_one(".triples-none", Static)
        nothing.display = not shown
        nothing.update(self._words)
        nothing.border_title = COLUMNS
        for place, cell in enumerate(self._cells):
            cell.display = place < shown
            if place < shown:
                number = (self.at + place) % len(self._views)
                view = self._views[number]
                cell.show(self._place(number), f"{verdict(view)}   {origin(view)}", self._picture(view))

    def _place(self, number: int) -> str:
        order = "best" if self.best_first else "worst"
        shown = COLUMNS if self.large is None else f"tile | {self.large} over it"
        return f"{shown}   {order} {number + 1}/{len(self._views)}"

    def _picture(self, view: TripleView) -> Picture:
        if self.large is None:
            return side_by_side(view)
        return flipped(view, self._features, self._thresholds, network=self.large == "network")
