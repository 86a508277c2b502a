"""Preview of a tile, placed or not: large, with the slices above and below it, its states and warnings."""

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
from tomoseg_tui.tui.images.tile_images import PredictionSources, TileImages, annotated_picture, read_tile_images
from tomoseg_tui.workflow.tomograms.preview import is_flat

READ_DELAY_SECONDS = 0.06
"""Pause of the cursor before its tile is read, so that a held key reads none, s."""
_NO_SOURCES = PredictionSources((), ())


@dataclass(frozen=True)
class PreviewRequest:
    """A tile to show."""

    project: Project
    tile: Tile
    """Without states if no tile is placed."""
    features: tuple[str, ...]
    """Features of the project, in their order."""
    text: str
    """Its states, as one line."""
    warnings: tuple[str, ...]
    """Warnings, one per line."""


class TilePreview(CanvasPanel):
    """Shows the tile under the cursor; reads it in a thread."""

    @dataclass
    class PreviewLoaded(Message):
        """A tile has been read, or cannot be read."""

        request: PreviewRequest
        pictures: TileImages | None
        warnings: tuple[str, ...]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._request: PreviewRequest | None = None
        self._read_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        with Container(id="tile-pictures"):
            yield StillCanvas(id="tile-here")
            with Container(id="tile-beside"):
                for name, caption in (("below", "z-1"), ("same", "z"), ("above", "z+1")):
                    with Vertical(id=f"tile-{name}-box", classes="tile-small"):
                        yield Static(caption, classes="tile-caption")
                        yield StillCanvas(id=f"tile-{name}")
        yield Static(id="tile-words", markup=False)

    def show_tile(self, request: PreviewRequest | None) -> None:
        """Show a tile, or nothing; a tile that is shown already is not read again."""
        if request == self._request:
            return
        self._request = request
        if self._read_timer is not None:
            self._read_timer.stop()
        if request is None:
            self._draw(None, "")
            return
        location = request.tile.location
        self.border_title = f"{'tile' if request.tile.states else 'here'} ({location.x}, {location.y}, {location.z})"
        self._set_text(request.text, request.warnings)
        self._read_timer = self.set_timer(READ_DELAY_SECONDS, lambda: self._read(request))

    def reload(self) -> None:
        """Read the tile again, because its annotation may have changed."""
        if self._request is not None:
            self._read(self._request)

    @work(thread=True, exclusive=True, group="tile")
    def _read(self, request: PreviewRequest) -> None:
        layout, location = request.project.layout, request.tile.location
        try:
            pictures = read_tile_images(layout, request.tile, request.features, _NO_SOURCES)
            is_tile_flat = is_flat(request.project, location)
        except TomosegError as fault:
            self.post_message(self.PreviewLoaded(request, None, (f"! {fault.fault} {fault.fix}",)))
            return
        warnings = ("! flat: it has almost no contrast.",) if is_tile_flat else ()
        self.post_message(self.PreviewLoaded(request, pictures, warnings))

    @on(PreviewLoaded)
    def show_loaded(self, event: PreviewLoaded) -> None:
        """Show the tile, unless another one has been requested."""
        if event.request == self._request:
            self._draw(event.pictures, event.request.text, (*event.request.warnings, *event.warnings))

    def _draw(self, pictures: TileImages | None, text: str, warnings: Sequence[str] = ()) -> None:
        centre = None
        if pictures is not None and self._request is not None:
            features = self._request.features
            centre = annotated_picture(pictures, features, features, overlay="outline")
        self.query_one("#tile-here", StillCanvas).show(centre)
        greys = (pictures.below, pictures.image, pictures.above) if pictures is not None else (None, None, None)
        for name, grey in zip(("below", "same", "above"), greys, strict=True):
            self.query_one(f"#tile-{name}", StillCanvas).show(Picture(grey) if grey is not None else None)
        self._set_text(text, warnings)

    def _set_text(self, text: str, warnings: Sequence[str]) -> None:
        label, text = self.query_one("#tile-words", Static), "\n".join([text, *warnings])
        if label.content != text:
            label.update(text)
