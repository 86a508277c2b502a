"""A tile with its annotation, large, and beside it the slices above and below and what a network says."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Static

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_LOOKED_AT
from tomoseg_tui.core.tiles import DEFAULT_TILE
from tomoseg_tui.render.overlay import LabelStyle
from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.tui.annotate.tile_list import WORDS
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.images.tile_images import TilePictures, annotated_picture, layers_palette, opinion_picture

OVERLAYS = ("overlay", "outline", "off")
"""How the annotation is seen, in the order of the key."""


class TileView(Container):
    """The tile, with its name above and what is marked on it below."""

    class Clicked(Message):
        """The picture was clicked."""

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes="panel")
        self.overlay = OVERLAYS[0]

    def on_click(self) -> None:
        """Tell that the tile is wanted."""
        self.post_message(self.Clicked())

    def compose(self) -> ComposeResult:
        """Make the canvas."""
        yield StillCanvas(id="annotate-here")

    def show(self, shown: TilePictures | None, features: Sequence[str], chosen: Sequence[str]) -> None:
        """Show a tile with the annotation of the features chosen, or nothing."""
        canvas = self.query_one(StillCanvas)
        if shown is None:
            canvas.show(None)
            self.border_title = self.border_subtitle = ""
            return
        place = shown.tile.place
        canvas.show(annotated_picture(shown, features, chosen, overlay=self.overlay))
        size = "" if place.size == DEFAULT_TILE else f"  {place.size} px"
        self.border_title = f"{place.tomogram} {place.x},{place.y},{place.z}{size}  {self.overlay}"
        styles = {style.name: style for style in layers_palette(features)}
        self.border_subtitle = "  ".join(_said(shown, styles[feature]) for feature in chosen if feature in styles)


def _said(shown: TilePictures, style: LabelStyle) -> str:
    """Return what is known of one feature on a tile: its letter, its state, its pixels."""
    state = WORDS[shown.tile.state_of(style.name)]
    layer = shown.layers.get(style.name)
    if layer is None:
        return f"{style.letter} {state}"
    counts = ((FEATURE, "px"), (IGNORED, "ignored"), (NOT_LOOKED_AT, "unseen"))
    found = [(int((layer == value).sum()), word) for value, word in counts]
    parts = [f"{number} {word}" for number, word in found if number or word == "px"]
    return f"{style.letter} {state} {', '.join(parts)}"


class Around(Vertical):
    """One small picture with a line above it."""

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes="around")

    def compose(self) -> ComposeResult:
        """Make the line and the canvas."""
        yield Static(classes="around-title")
        yield StillCanvas()

    def show(self, title: str, picture: Picture | None) -> None:
        """Show a picture, or that there is none."""
        self.query_one(".around-title", Static).update(Text(title, no_wrap=True, overflow="ellipsis"))
        self.query_one(StillCanvas).show(picture)


class TileAround(Container):
    """The slice above, the tile itself without paint, the slice below, and the network's opinion."""

    def compose(self) -> ComposeResult:
        """Make the four pictures."""
        for name in ("above", "plain", "below", "opinion"):
            yield Around(id=f"around-{name}")

    def show(self, shown: TilePictures | None, features: Sequence[str]) -> None:
        """Show what lies around a tile, or nothing."""
        if shown is None:
            for around in self.query(Around):
                around.show("", None)
            return
        z = shown.tile.place.z
        self._show("above", f"z+1 {z + 1}", None if shown.above is None else Picture(shown.above))
        self._show("plain", f"z   {z}", Picture(shown.here))
        self._show("below", f"z-1 {z - 1}", None if shown.below is None else Picture(shown.below))
        self._show_opinion(shown, features)

    def show_beside(self, below: NDArray[np.uint8] | None, above: NDArray[np.uint8] | None, z: int) -> None:
        """Show the slices beside a tile otherwise, as through a filter."""
        for name, step, grey in (("above", 1, above), ("below", -1, below)):
            self._show(name, f"z{step:+} {z + step}", None if grey is None else Picture(grey))

    def _show(self, name: str, title: str, picture: Picture | None) -> None:
        outside = "" if picture is not None else " outside"
        self.query_one(f"#around-{name}", Around).show(f"{title}{outside}", picture)

    def _show_opinion(self, shown: TilePictures, features: Sequence[str]) -> None:
        around = self.query_one("#around-opinion", Around)
        opinion = shown.opinion
        self.set_class(opinion is None, "-no-opinion")
        if opinion is None:
            around.show("no network", None)
            return
        letters = {style.name: style.letter for style in layers_palette(features)}
        title = f"{opinion.run} {letters.get(opinion.feature, '?')}  {opinion.source}"
        around.show(title, opinion_picture(opinion))
