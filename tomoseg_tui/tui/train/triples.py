"""The triples of one run: as many as fit in a row, or one enlarged, with annotation and prediction in turn."""

from collections.abc import Mapping, Sequence

from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.widgets import Static

from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.images.triple_images import (
    comparison_picture,
    format_triple_origin,
    format_triple_score,
    sort_triples,
    triple_picture,
)
from tomoseg_tui.workflow.views import TripleView

COLUMNS = "tile | annotation | network"
MAX_CELLS = 3
"""Most triples side by side."""
MIN_RELATIVE_SIZE = 0.75
"""Another triple is added while each keeps at least this fraction of the size of a single one."""


class TripleCell(Container):
    """One picture with a caption on its frame."""

    def __init__(self) -> None:
        super().__init__(classes="panel triple-cell")
        self.canvas = StillCanvas()

    def compose(self) -> ComposeResult:
        yield self.canvas

    def show(self, title: str, subtitle: str, picture: Picture) -> None:
        """Show a picture with its caption."""
        self.border_title, self.border_subtitle = title, subtitle
        self.canvas.show(picture)


class TripleRow(Horizontal, can_focus=True):
    """Triples of one run, those with the largest differences first."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._cells = tuple(TripleCell() for _ in range(MAX_CELLS))
        self._views: list[TripleView] = []
        self._features: Sequence[str] = ()
        self._thresholds: Mapping[str, float] = {}
        self._empty_text = ""
        self.first_index = 0
        self.best_first = False
        self.large: str | None = None
        """`annotation`, `network`, or None for the row."""

    def compose(self) -> ComposeResult:
        yield Static("", classes="hint triples-none panel", markup=False)
        yield from self._cells

    def on_mount(self) -> None:
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    @property
    def views(self) -> Sequence[TripleView]:
        """All triples in the shown order."""
        return self._views

    def show(
        self, views: Sequence[TripleView], features: Sequence[str], thresholds: Mapping[str, float], empty_text: str
    ) -> None:
        """Show these triples from the first; `empty_text` is shown if there are none."""
        self._views = sort_triples(views, is_best_first=self.best_first)
        self._features, self._thresholds, self._empty_text = features, thresholds, empty_text
        self.first_index = 0
        self._draw()

    def step(self, by: int) -> None:
        """Move by some triples, wrapping at the end."""
        if self._views:
            self.first_index = (self.first_index + by) % len(self._views)
            self._draw()

    def reverse_order(self) -> None:
        """Switch between worst first and best first."""
        self.best_first = not self.best_first
        self._views = sort_triples(self._views, is_best_first=self.best_first)
        self.first_index = 0
        self._draw()

    def enlarge(self, overlay: str | None) -> None:
        """Enlarge one triple, with `overlay` over its image; None returns to the row."""
        self.large = overlay
        self._draw()

    @property
    def visible_count(self) -> int:
        """Number of triples side by side: as many as keep each nearly as large as a single one."""
        single_size = self._pixels(1)
        counts = [count for count in range(1, MAX_CELLS + 1) if self._pixels(count) >= MIN_RELATIVE_SIZE * single_size]
        return 1 if self.large is not None else max(counts, default=1)

    def _pixels(self, count: int) -> float:
        """Return the edge of a tile, in half-blocks, for a number of triples side by side."""
        frame = 2
        return min(2.0 * (self.size.height - frame), (self.size.width / count - frame) / 3)

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        visible_count = min(self.visible_count, len(self._views))
        hint = self.query_one(".triples-none", Static)
        hint.display = not visible_count
        hint.update(self._empty_text)
        hint.border_title = COLUMNS
        for position, cell in enumerate(self._cells):
            cell.display = position < visible_count
            if position < visible_count:
                number = (self.first_index + position) % len(self._views)
                view = self._views[number]
                cell.show(
                    self._position_text(number),
                    f"{format_triple_score(view)}   {format_triple_origin(view)}",
                    self._picture(view),
                )

    def _position_text(self, number: int) -> str:
        order = "best" if self.best_first else "worst"
        columns = COLUMNS if self.large is None else f"tile | {self.large} over it"
        return f"{columns}   {order} {number + 1}/{len(self._views)}"

    def _picture(self, view: TripleView) -> Picture:
        if self.large is None:
            return triple_picture(view)
        return comparison_picture(view, self._features, self._thresholds, show_network=self.large == "network")
