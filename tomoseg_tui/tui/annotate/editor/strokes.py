"""What changes the tile on the desk, and is kept: strokes, layers from other slices, marks."""

from collections.abc import Callable, Sequence

from textual import on
from textual.message import Message

from tomoseg_tui.core.annotation import FEATURE, Layer
from tomoseg_tui.core.paint_tools import taken_over
from tomoseg_tui.core.tiles import FeatureState, Place
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import remember
from tomoseg_tui.tui.annotate.editor.edit_session import Desk
from tomoseg_tui.tui.annotate.editor.tool_state import Paint
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.workflow.annotations.questions import doubts
from tomoseg_tui.workflow.tiles.neighbour_slices import layer_between, neighbours_in_z

Find = Callable[[Project, Place, str, Layer], tuple[Layer, str]]
"""From project, tile, feature and its layer to another layer, and words that say where it comes from."""


class Strokes(Desk):
    """A desk on which tiles are changed."""

    class Finished(Message):
        """The tile is marked; the next one to do is wanted."""

        def __init__(self, place: Place) -> None:
            super().__init__()
            self.place = place

    class Fetched(Message, bubble=False):
        """A layer has come from other slices."""

        def __init__(self, place: Place, feature: str, layer: Layer, tool: str, words: str) -> None:
            super().__init__()
            self.place, self.feature, self.layer, self.tool, self.words = place, feature, layer, tool, words

    # Painting

    def _apply(self, paint: Paint | None) -> None:
        """Let a stroke be part of the tile and have it kept."""
        if paint is not None and paint.mask.any() | paint.whole:
            if paint.whole and self._open is not None:
                layer = taken_over(self._open.painting.layers[self.feature], paint.mask)
                self._change(lambda: self._put(layer, paint.tool))
            else:
                self._change(lambda: self._stroke(paint))
        self._draw()

    def _stroke(self, paint: Paint) -> object:
        return self._open and self._open.painting.stroke(self.feature, paint.mask, paint.value, paint.tool)

    def _put(self, layer: Layer, tool: str) -> object:
        return self._open and self._open.painting.put(self.feature, layer, tool)

    def _change(self, change: Callable[[], object]) -> None:
        """Change the tile in memory, ask first if it is said to hold none, and have the change kept."""
        if self._open is None or self._is_refused():
            return
        painting, feature = self._open.painting, self.feature
        if painting.states[feature] is FeatureState.NONE_HERE:
            text = f"{painting.place.id} is marked as holding no {feature}. u takes back what you paint."

            def answered(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
                if answer and self._open is not None and self._open.painting is painting:
                    painting.make_wanted(feature)
                    self._changed(change())

            self.app.push_screen(Confirm(f"Does it hold {feature} after all?", text, yes="It does"), answered)
        else:
            self._changed(change())

    def _changed(self, change: object) -> None:
        if change is not None:
            is_first = getattr(change, "states", None) is not None
            self._keep((lambda: self.post_message(self.Changed())) if is_first else (lambda: None))
        self._draw()

    def _is_refused(self) -> bool:
        """Say who paints the tile, if somebody else does."""
        if self._taken_by and self.place is not None:
            text = f"{self.place.id} is being painted by {self._taken_by}"
            self.notify(
                "It is shown as it was when you opened it; escape and p open it anew.",
                title=text,
                severity="warning",
                timeout=8,
            )
        return bool(self._taken_by)

    def _settle_hand(self) -> None:
        held = self.hand.lift()
        self.hand.cancel()
        states = self._open.painting.states if self._open is not None else {}
        if held is not None and not self._taken_by and states.get(self.feature) is not FeatureState.NONE_HERE:
            self._stroke(held)

    # Other slices

    def _fetch(self, tool: str, find: Find) -> None:
        if self._open is None or self._subject is None or self._keeper is None or self._is_refused():
            return
        project, place, feature = self._subject.project, self._open.painting.place, self.feature
        layer = self._open.painting.layers[feature]
        self._keeper.fetch(lambda: self.Fetched(place, feature, *_with(tool, find(project, place, feature, layer))))

    @on(Fetched)
    def take_fetched(self, event: Fetched) -> None:
        """Put what has come onto the tile."""
        if self._open is not None and event.place == self._open.painting.place:
            self.feature = event.feature
            self._change(lambda: self._put(event.layer, event.tool))
            self.notify(event.words, timeout=4)

    # Marking

    def _to_finish(self) -> list[str]:
        """Return the features that enter finishes: that painted, and of those chosen the ones still to do."""
        if self._open is None or self._subject is None:
            return []
        states = self._open.painting.states
        wanted = [f for f in self._subject.chosen if states.get(f) is FeatureState.WANTED and f != self.feature]
        return [self.feature, *wanted]

    def _doubts(self, feature: str, state: FeatureState) -> list[str]:
        if self._open is None:
            return []
        opinion = self._open.opinions.get(feature)
        probability = None if opinion is None else opinion.probability
        layer = self._open.painting.layers[feature]
        return doubts(feature, layer, state, self._open.sheet.here, opinion=probability)

    def _sure(self, question: str, asked: Sequence[str], yes: str, then: Callable[[], None]) -> None:
        def answered(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
            if answer:
                then()

        if asked:
            self.app.push_screen(Confirm(question, "\n".join(asked), yes=yes), answered)
        else:
            then()

    def _mark(self, features: Sequence[str], word: str) -> None:
        """Mark the tile for some features, have that kept and written into the history, and ask for the next tile."""
        if self._open is None or self._subject is None:
            return
        painting, history = self._open.painting, self._subject.project.layout.history
        try:
            changes = [painting.done(f) if word == "--done" else painting.none_here(f) for f in features]
        except ProjectError as fault:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        words = [["annotations", "set", painting.place.id, "--feature", feature, word] for feature in features]

        def noted() -> None:
            for line, change in zip(words, changes, strict=True):
                if change is not None:
                    remember(history, line)
            self.post_message(self.Changed())

        self._keep(noted)
        self._draw()
        self.post_message(self.Finished(painting.place))


def _with(tool: str, found: tuple[Layer, str]) -> tuple[Layer, str, str]:
    return found[0], tool, found[1]


def copied(project: Project, place: Place, feature: str, layer: Layer) -> tuple[Layer, str]:
    """Return a layer with the paint of the nearest slice, and words that say which."""
    found = neighbours_in_z(project, place, feature).nearest
    if found is None:
        raise ProjectError(
            f"No other slice of this place has {feature} painted.",
            "Place and paint a tile at the same x and y in another slice.",
        )
    return taken_over(layer, found.layer == FEATURE), f"Copied from z {found.place.z}; u takes it back."


def between(project: Project, place: Place, feature: str, layer: Layer) -> tuple[Layer, str]:
    """Return a layer with what lies between two slices, and words that say which."""
    found = neighbours_in_z(project, place, feature)
    layer_here = layer_between(layer, found)
    if layer_here is None or found.below is None or found.above is None:
        raise ProjectError(
            f"Not both below and above this slice is {feature} painted at this place.",
            "Place and paint tiles at the same x and y in two slices around it.",
        )
    return layer_here, f"Painted between z {found.below.place.z} and z {found.above.place.z}; u takes it back."
