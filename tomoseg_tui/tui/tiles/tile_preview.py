"""One tile, placed or not yet: large, with the slices above and below it, its states, and what is odd about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static

from tomoseg_tui.core.tiles import Tile
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.tui.canvas.panel import CanvasPanel
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.images.tile_images import Advisers, TilePictures, annotated_picture, read_tile
from tomoseg_tui.workflow.tomograms.preview import is_flat

REST_SECONDS = 0.06
"""The cursor rests this long before its tile is read, so that a held key reads none."""
_NOBODY = Advisers((), ())


@dataclass(frozen=True)
class Wanted:
    """A tile that is to be shown."""

    project: Project
    tile: Tile
    """Without states where none is placed."""
    features: tuple[str, ...]
    """Of the project, in its order."""
    words: str
    """What is known of it, in a line."""
    odd: tuple[str, ...]
    """What is odd about it, a line each."""


class TilePreview(CanvasPanel):
    """Shows the tile under the cursor; reads it in a thread."""

    class Read(Message):
        """A tile has been read, or cannot be."""

        def __init__(self, wanted: Wanted, pictures: TilePictures | None, odd: tuple[str, ...]) -> None:
            super().__init__()
            self.wanted, self.pictures, self.odd = wanted, pictures, odd

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._wanted: Wanted | None = None
        self._waiting: Timer | None = None

    def compose(self) -> ComposeResult:
        """Make the places of the pictures."""
        with Container(id="tile-pictures"):
            yield StillCanvas(id="tile-here")
            with Container(id="tile-beside"):
                for name, words in (("below", "z-1"), ("same", "z"), ("above", "z+1")):
                    with Vertical(id=f"tile-{name}-box", classes="tile-small"):
                        yield Static(words, classes="tile-caption")
                        yield StillCanvas(id=f"tile-{name}")
        yield Static(id="tile-words", markup=False)

    def look_at(self, wanted: Wanted | None) -> None:
        """Show a tile, or nothing; what is shown already is not read again."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if self._waiting is not None:
            self._waiting.stop()
        if wanted is None:
            self._draw(None, "")
            return
        place = wanted.tile.place
        self.border_title = f"{'tile' if wanted.tile.states else 'here'} ({place.x}, {place.y}, {place.z})"
        self._say(wanted.words, wanted.odd)
        self._waiting = self.set_timer(REST_SECONDS, lambda: self._read(wanted))

    def look_again(self) -> None:
        """Read the tile again, since its annotation may have changed."""
        if self._wanted is not None:
            self._read(self._wanted)

    @work(thread=True, exclusive=True, group="tile")
    def _read(self, wanted: Wanted) -> None:
        layout, place = wanted.project.layout, wanted.tile.place
        try:
            pictures = read_tile(layout, wanted.tile, wanted.features, _NOBODY)
            flat = is_flat(wanted.project, place)
        except TomosegError as fault:
            self.post_message(self.Read(wanted, None, (f"! {fault.fault} {fault.fix}",)))
            return
        odd = ("! flat: it shows next to nothing.",) if flat else ()
        self.post_message(self.Read(wanted, pictures, odd))

    @on(Read)
    def take(self, event: Read) -> None:
        """Show the tile, unless another is wanted by now."""
        if event.wanted == self._wanted:
            self._draw(event.pictures, event.wanted.words, (*event.wanted.odd, *event.odd))

    def _draw(self, pictures: TilePictures | None, words: str, odd: Sequence[str] = ()) -> None:
        here = None
        if pictures is not None and self._wanted is not None:
            features = self._wanted.features
            here = annotated_picture(pictures, features, features, overlay="outline")
        self.query_one("#tile-here", StillCanvas).show(here)
        beside = (pictures.below, pictures.here, pictures.above) if pictures is not None else (None, None, None)
        for name, grey in zip(("below", "same", "above"), beside, strict=True):
            self.query_one(f"#tile-{name}", StillCanvas).show(Picture(grey) if grey is not None else None)
        self._say(words, odd)

    def _say(self, words: str, odd: Sequence[str]) -> None:
        said, words = self.query_one("#tile-words", Static), "\n".join([words, *odd])
        if said.content != words:
            said.update(words)
