"""Where a tile lies while it is painted: opened, shown, its strokes kept, given back. What paints it is the easel's."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.message import Message
from textual.timer import Timer

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, NOT_LOOKED_AT
from tomoseg_tui.core.names import IGNORE
from tomoseg_tui.core.tiles import Place, Tile
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.render.overlay import LabelStyle
from tomoseg_tui.tui.annotate.editor.save_thread import Keeper, Kept, NotKept, Opened, OpenTile
from tomoseg_tui.tui.annotate.editor.status_line import Bar, Words
from tomoseg_tui.tui.annotate.editor.tool_state import VALUES, Ground, Hand, Tool
from tomoseg_tui.tui.annotate.editor.toolbox import Toolbox
from tomoseg_tui.tui.annotate.editor.view_filters import Sight
from tomoseg_tui.tui.annotate.tile_list import WORDS
from tomoseg_tui.tui.annotate.tile_view import OVERLAYS
from tomoseg_tui.tui.canvas.draw_style import style_of
from tomoseg_tui.tui.canvas.paint_canvas import PaintCanvas
from tomoseg_tui.tui.canvas.paint_drawing import Scene
from tomoseg_tui.tui.images.tile_images import Advisers, layers_palette
from tomoseg_tui.tui.messages import Broken, Refused
from tomoseg_tui.workflow.annotations.paint_session import Painting

RETRY_SECONDS = 2.0
"""Until strokes that could not be written are tried again."""
NOT_RGB = (96, 96, 96)
"""Stands for what is said not to be the feature; on the tile it is dark."""
UNSEEN_RGB = (255, 255, 255)
"""Stands for erasing."""


@dataclass(frozen=True)
class Subject:
    """What is to be painted."""

    project: Project
    tile: Tile
    features: tuple[str, ...]
    """All of the project: their order gives the colours."""
    chosen: tuple[str, ...]
    """Those that are to be finished; the first that the tile was placed for is painted."""
    advisers: Advisers

    @property
    def feature(self) -> str:
        """The feature painted at first."""
        positive = [f for f in self.chosen if (state := self.tile.state_of(f)) is not None and state.is_positive]
        return (positive or list(self.chosen))[0]

    def threshold(self, feature: str) -> float | None:
        """The threshold on the card of the newest network for a feature."""
        cards = [card for card in self.advisers.networks if feature in card.features]
        newest = max(cards, key=lambda card: card.created, default=None)
        return newest.features[feature].threshold if newest is not None else None


class Desk(Container):
    """A tile on a canvas between two lines that say where one is."""

    BINDINGS: ClassVar[list[BindingType]] = []

    class Changed(Message):
        """What is on disk has changed for the list of tiles too: a tile was begun, or marked."""

    class Looked(Message):
        """The tile is seen otherwise: greys of its neighbours in z, as they are seen now."""

        def __init__(self, below: NDArray[np.uint8] | None, above: NDArray[np.uint8] | None) -> None:
            super().__init__()
            self.below, self.above = below, above

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self.toolbox: Toolbox | None = None
        """Where what is in hand is shown too; whoever has one hands it in."""
        self.hand = Hand(1)
        self.feature = ""
        """The feature that is painted."""
        self._subject: Subject | None = None
        self._open: OpenTile | None = None
        self._sight, self._overlay = Sight(), OVERLAYS[0]
        self._grey: NDArray[np.uint8] | None = None
        self._keeper: Keeper | None = None
        self._fault = ""
        """Why strokes are not on disk; empty if they are."""
        self._taken_by = ""
        """Who else paints the tile; empty if nobody does."""
        self._waiting: list[Painting] = []
        self._retrying: Timer | None = None

    def compose(self) -> ComposeResult:
        """Make the canvas and the two lines."""
        yield Bar(id="paint-above")
        yield PaintCanvas(id="paint-canvas")
        yield Bar(id="paint-below")

    @property
    def canvas(self) -> PaintCanvas:
        """Where the tile is seen."""
        return self.query_one(PaintCanvas)

    @property
    def place(self) -> Place | None:
        """The tile that lies here, open or on its way."""
        return self._subject.tile.place if self._subject is not None else None

    # Opening and giving back

    def open(self, subject: Subject) -> None:
        """Give back the tile that lies here and open another."""
        self.give_back()
        same = self._subject is not None and self._subject.tile.place.tomogram == subject.tile.place.tomogram
        self._subject, self._sight = subject, self._sight if same else Sight(self._sight.filter, self._sight.contrast)
        self.feature = self.feature if self.feature in subject.chosen else subject.feature
        self.canvas.show(None, words=f"reading {subject.tile.place.id}")
        self._keeper = self._keeper or Keeper(self.post_message)
        self._keeper.open(subject.project, subject.tile, subject.advisers)
        self.say()

    @on(Opened)
    def take_opened(self, event: Opened) -> None:
        """Show the tile, unless another is wanted by now."""
        if self._subject is None or event.place != self._subject.tile.place:
            return
        if event.opened is None:
            words = event.fault.fault if event.fault is not None else ""
            self.canvas.show(None, words=f"{words}\n{event.fault.fix if event.fault is not None else ''}")
            return
        opened = event.opened
        self._open = opened
        self._taken_by = str(opened.taken_by) if opened.taken_by is not None else ""
        size = event.place.size
        if self.hand.size != size:
            self.hand = Hand(size)
        self.hand.cancel()
        self.hand.cursor_yx, self.canvas.follows = (size // 2, size // 2), True
        self._take_threshold()
        for remark in opened.painting.remarks:
            self.notify(remark, severity="warning")
        self._look()

    def _take_threshold(self) -> None:
        threshold = self._subject.threshold(self.feature) if self._subject is not None else None
        self.hand.threshold = threshold if threshold is not None else self.hand.threshold

    def give_back(self) -> None:
        """Keep what is not on disk yet, and let others paint the tile."""
        if self._open is not None and self._keeper is not None:
            self._settle_hand()
            self._keeper.close(self._open.painting)
        self._open = None

    def leave(self) -> None:
        """Give the tile back and show nothing."""
        self.give_back()
        self._subject = None
        self.canvas.show(None)

    def unwritten(self) -> str:
        """Say what would be lost if the program ended now, and why; empty if nothing would."""
        strokes = self._unwritten_strokes
        return f"{strokes} strokes cannot be written: {self._fault}" if strokes else ""

    @property
    def _unwritten_strokes(self) -> int:
        """How many strokes could not be written, here and on tiles that were left."""
        here = [self._open.painting] if self._open is not None else []
        return sum(painting.unkept for painting in {*here, *self._waiting}) if self._fault else 0

    def on_descendant_focus(self) -> None:
        """Show that keys work here."""
        self._draw()

    def on_descendant_blur(self) -> None:
        """Show that keys work elsewhere."""
        self._draw()

    def on_unmount(self) -> None:
        """Write what is in memory before the program ends."""
        self.give_back()
        if self._keeper is not None:
            self._keeper.finish()

    def _settle_hand(self) -> None:
        """Let the stroke in hand be painted before the tile goes."""

    # Keeping

    def _keep(self, then: Callable[[], object] = lambda: None) -> None:
        """Have what was painted written."""
        if self._open is not None and self._keeper is not None:
            self._keeper.keep(self._open.painting, then)

    @on(Kept)
    def take_kept(self, event: Kept) -> None:
        """Say that all is on disk."""
        self._waiting = [painting for painting in self._waiting if painting is not event.painting]
        if not self._waiting:
            self._fault = ""
        self.say()

    @on(NotKept)
    def take_fault(self, event: NotKept) -> None:
        """Say why strokes are not on disk; try again, or show the tile as it is there."""
        is_here = self._open is not None and event.painting is self._open.painting
        if event.is_taken and is_here:
            self._taken_by = event.fault.fault
        if event.painting.unkept:
            is_new = not self._fault
            self._fault = event.fault.fault
            self._waiting += [event.painting] if event.painting not in self._waiting else []
            if self._retrying is None:
                self._retrying = self.set_timer(RETRY_SECONDS, self._retry)
            if not is_new:
                self.say()
                return
        self.notify(event.fault.fix, title=event.fault.fault, severity="error", timeout=10)
        if is_here:
            self._look()

    def _retry(self) -> None:
        self._retrying = None
        for painting in self._waiting:
            if self._keeper is not None:
                is_here = self._open is not None and painting is self._open.painting
                (self._keeper.keep if is_here else self._keeper.close)(painting)

    @on(Refused)
    def tell_refused(self, event: Refused) -> None:
        """Say why there is nothing to fetch."""
        self.notify(event.fault.fix, title=event.fault.fault, severity="warning")

    @on(Broken)
    def raise_bug(self, event: Broken) -> None:
        """Let our own bug come up where it is seen."""
        raise event.error

    # What is seen

    @property
    def _ground(self) -> Ground | None:
        if self._open is None:
            return None
        opinion = self._open.opinions.get(self.feature)
        probability = None if opinion is None else opinion.probability
        return Ground(self._open.painting.layers[self.feature], self._open.sheet.here, probability)

    def _look(self) -> None:
        """Show the tile as the eye wants it now."""
        if self._open is not None:
            self._grey = self._sight.greys(self._open.sheet)
            self.post_message(self.Looked(*self._sight.beside_greys(self._open.sheet)))
        self._draw()

    def _draw(self) -> None:
        """Show what has changed."""
        scene = self._scene()
        if scene is not None:
            self.canvas.show(scene)
        self.say()

    def _scene(self) -> Scene | None:
        ground = self._ground
        if ground is None or self._grey is None or self._open is None or self._subject is None:
            return None
        styles = {style.name: style for style in layers_palette(self._subject.features)}
        tentative = self.hand.tentative(ground)
        return Scene(
            self._grey,
            tuple(self._sheets(styles)),
            styles[IGNORE],
            mode=self._overlay,
            tentative=None if tentative is None else tentative.mask,
            tentative_rgb=self._colours(styles)[self.hand.paints],
            cursor_yx=self.hand.cursor_yx,
            footprint=self.hand.footprint,
            points=tuple(self.hand.points),
            focused=self.canvas.has_focus,
        )

    def _sheets(self, styles: Mapping[str, LabelStyle]) -> list[tuple[LabelStyle, NDArray[np.uint8]]]:
        """Return the layers that are seen, that of the feature painted first, with the stroke in hand on it."""
        layers = self._open.painting.layers if self._open is not None else {}
        held, own = self.hand.held, layers[self.feature]
        if held is not None:
            own = np.where(held.mask, np.uint8(held.value), own)
        others = [(styles[name], layer) for name, layer in layers.items() if name != self.feature and name in styles]
        return [(styles[self.feature], own), *others]

    def _colours(self, styles: Mapping[str, LabelStyle]) -> dict[int, tuple[int, int, int]]:
        """Return the colour of each value."""
        return {
            FEATURE: styles[self.feature].rgb,
            NOT_FEATURE: NOT_RGB,
            IGNORED: styles[IGNORE].rgb,
            NOT_LOOKED_AT: UNSEEN_RGB,
        }

    # What is said

    def say(self) -> None:
        """Say above which tile and how it is seen, below what is in hand, where, and whether all is on disk."""
        if self._subject is None or not self.is_mounted:
            return
        styles = {style.name: style for style in layers_palette(self._subject.features)}
        self.query_one("#paint-above", Bar).say(*self._words_above(styles))
        self.query_one("#paint-below", Bar).say(*self._words_below(styles))
        colours = {value: f"rgb({red},{green},{blue})" for value, (red, green, blue) in self._colours(styles).items()}
        network = self._open is not None and self.feature in self._open.opinions
        if self.toolbox is not None:
            plain = style_of(self.app).renderer == "ascii"
            self.toolbox.show(self.hand, self._key_of, colours, plain=plain, can={Tool.NETWORK: network})

    def _words_above(self, styles: Mapping[str, LabelStyle]) -> tuple[tuple[Words, ...], tuple[Words, ...]]:
        subject = self._subject
        if subject is None:
            return (), ()
        style, place = styles[self.feature], subject.tile.place
        red, green, blue = style.rgb
        left: list[Words] = [(f" {style.letter} {self.feature} ", f"bold rgb(0,0,0) on rgb({red},{green},{blue})")]
        if self._open is not None:
            pixels = int((self._open.painting.layers[self.feature] == FEATURE).sum())
            left.append((f" {WORDS[self._open.painting.states[self.feature]]}, {pixels} px", ""))
        seen = " ".join(
            part for part in (self._sight.words(), self._overlay if self._overlay != OVERLAYS[0] else "") if part
        )
        right: list[Words] = [(f" {seen}  ", "bold")] if seen else []
        return tuple(left), (*right, (f" {place.tomogram} {place.x},{place.y},{place.z}  x{self.canvas.zoom} ", ""))

    def _words_below(self, styles: Mapping[str, LabelStyle]) -> tuple[tuple[Words, ...], tuple[Words, ...]]:
        hand, place = self.hand, self.place
        value = "erase" if hand.paints == NOT_LOOKED_AT else f"{styles[self.feature].letter} {VALUES[hand.paints]}"
        left: list[Words] = [(f" {hand.tool} {hand.setting()}", "bold"), (f"  {value}", "")]
        if hand.pen_down:
            left.append(("  PEN DOWN", "bold reverse"))
        elif hand.points:
            points = len(hand.points)
            left.append((f"  {points} point{'s' if points > 1 else ''}", "bold"))
        if place is None or self._open is None:
            return tuple(left), ()
        _, top, first = place.corner_zyx
        at = f"{first + hand.cursor_yx[1]},{top + hand.cursor_yx[0]},{place.z}"
        return tuple(left), ((f"{at}  undo {self._open.painting.depth}  ", ""), self._said_of_disk())

    def _said_of_disk(self) -> Words:
        if self._taken_by:
            return "READ ONLY ", "bold reverse"
        if self._unwritten_strokes:
            return f"NOT ON DISK: {self._unwritten_strokes} ", "bold reverse"
        unkept = self._open.painting.unkept if self._open is not None else 0
        return (f"saving {unkept} ", "") if unkept else ("on disk ", "")

    def _key_of(self, name: str) -> str:
        """Return the key of an action of the editor as it is bound now."""
        for active in self.screen.active_bindings.values():
            if active.binding.id == f"paint.{name}":
                return self.app.get_key_display(active.binding)
        return next((self.app.get_key_display(b) for _, b in self._bindings if b.id == f"paint.{name}"), "")
