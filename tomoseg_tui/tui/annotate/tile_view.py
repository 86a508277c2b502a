"""A tile with its annotation, large, and beside it the slices above and below and a prediction of a network."""

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Static

from tomoseg_tui.core.annotation import FEATURE, IGNORED, UNLABELLED
from tomoseg_tui.core.tiles import DEFAULT_TILE_SIZE
from tomoseg_tui.render.colours import LabelStyle
from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.tui.annotate.tile_list import STATE_LABELS
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.images.tile_images import (
    OVERLAY_MODES,
    TileImages,
    annotated_picture,
    layers_palette,
    prediction_picture,
)


class AnnotatedTileView(Container):
    """The tile, with its name above and its marks below."""

    class Clicked(Message):
        """The picture was clicked."""

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes="panel")
        self.overlay = OVERLAY_MODES[0]

    def on_click(self) -> None:
        """Report the click."""
        self.post_message(self.Clicked())

    def compose(self) -> ComposeResult:
        yield StillCanvas(id="annotate-here")

    def show(self, pictures: TileImages | None, features: Sequence[str], chosen: Sequence[str]) -> None:
        """Show a tile with the annotation of the chosen features, or nothing."""
        canvas = self.query_one(StillCanvas)
        if pictures is None:
            canvas.show(None)
            self.border_title = self.border_subtitle = ""
            return
        location = pictures.tile.location
        canvas.show(annotated_picture(pictures, features, chosen, overlay=self.overlay))
        size = "" if location.size == DEFAULT_TILE_SIZE else f"  {location.size} px"
        self.border_title = f"{location.tomogram} {location.x},{location.y},{location.z}{size}  {self.overlay}"
        styles = {style.name: style for style in layers_palette(features)}
        self.border_subtitle = "  ".join(
            _describe_feature(pictures, styles[feature]) for feature in chosen if feature in styles
        )


def _describe_feature(pictures: TileImages, style: LabelStyle) -> str:
    """Return the letter, the state and the numbers of pixels of a feature on a tile."""
    state = STATE_LABELS[pictures.tile.state_of(style.name)]
    layer = pictures.layers.get(style.name)
    if layer is None:
        return f"{style.letter} {state}"
    labels = ((FEATURE, "px"), (IGNORED, "ignored"), (UNLABELLED, "unseen"))
    pixel_counts = [(int((layer == value).sum()), label) for value, label in labels]
    parts = [f"{number} {label}" for number, label in pixel_counts if number or label == "px"]
    return f"{style.letter} {state} {', '.join(parts)}"


class CaptionedImage(Vertical):
    """One small image with a line above it."""

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id, classes="around")

    def compose(self) -> ComposeResult:
        yield Static(classes="around-title")
        yield StillCanvas()

    def show(self, title: str, picture: Picture | None) -> None:
        """Show an image, or that there is none."""
        self.query_one(".around-title", Static).update(Text(title, no_wrap=True, overflow="ellipsis"))
        self.query_one(StillCanvas).show(picture)


class TileContext(Container):
    """The slice above, the tile itself without paint, the slice below, and the prediction of a network."""

    def compose(self) -> ComposeResult:
        for name in ("above", "plain", "below", "opinion"):
            yield CaptionedImage(id=f"around-{name}")

    def show(self, pictures: TileImages | None, features: Sequence[str]) -> None:
        """Show the surroundings of a tile, or nothing."""
        if pictures is None:
            for image in self.query(CaptionedImage):
                image.show("", None)
            return
        z = pictures.tile.location.z
        self._show("above", f"z+1 {z + 1}", None if pictures.above is None else Picture(pictures.above))
        self._show("plain", f"z   {z}", Picture(pictures.image))
        self._show("below", f"z-1 {z - 1}", None if pictures.below is None else Picture(pictures.below))
        self._show_prediction(pictures, features)

    def _show(self, name: str, title: str, picture: Picture | None) -> None:
        outside_note = "" if picture is not None else " outside"
        self.query_one(f"#around-{name}", CaptionedImage).show(f"{title}{outside_note}", picture)

    def _show_prediction(self, pictures: TileImages, features: Sequence[str]) -> None:
        image = self.query_one("#around-opinion", CaptionedImage)
        prediction = pictures.prediction
        self.set_class(prediction is None, "-no-opinion")
        if prediction is None:
            image.show("no network", None)
            return
        letters = {style.name: style.letter for style in layers_palette(features)}
        title = f"{prediction.run} {letters.get(prediction.feature, '?')}  {prediction.source}"
        image.show(title, prediction_picture(prediction))
