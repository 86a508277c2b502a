"""What changes the tile on the desk, and is kept: strokes, layers from other slices, marks."""

from collections.abc import Callable, Sequence

from textual import on
from textual.message import Message

from tomoseg_tui.core.annotation import FEATURE, Layer
from tomoseg_tui.core.paint_tools import replace_feature_pixels
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import append_command
from tomoseg_tui.tui.annotate.editor.edit_session import EditSession
from tomoseg_tui.tui.annotate.editor.tool_state import ToolOutput
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.workflow.annotations.questions import annotation_warnings
from tomoseg_tui.workflow.tiles.neighbour_slices import interpolated_layer, neighbours_in_z

LayerSource = Callable[[Project, TileLocation, str, Layer], tuple[Layer, str]]
"""From project, tile, feature and its layer to another layer, and words that say where it comes from."""


class StrokeEditor(EditSession):
    """A desk on which tiles are changed."""

    class TileFinished(Message):
        """The tile is marked; the next one to do is wanted."""

        def __init__(self, location: TileLocation) -> None:
            super().__init__()
            self.place = location

    class LayerFetched(Message, bubble=False):
        """A layer has come from other slices."""

        def __init__(self, location: TileLocation, feature: str, layer: Layer, tool: str, message: str) -> None:
            super().__init__()
            self.place, self.feature, self.layer, self.tool, self.message = location, feature, layer, tool, message

    # Painting

    def _apply(self, output: ToolOutput | None) -> None:
        """Let a stroke be part of the tile and have it kept."""
        if output is not None and output.mask.any() | output.replaces_feature:
            if output.replaces_feature and self._open_tile is not None:
                layer = replace_feature_pixels(self._open_tile.session.layers[self.feature], output.mask)
                self._change(lambda: self._replace_layer(layer, output.tool))
            else:
                self._change(lambda: self._add_stroke(output))
        self._draw()

    def _add_stroke(self, output: ToolOutput) -> object:
        return self._open_tile and self._open_tile.session.stroke(self.feature, output.mask, output.value, output.tool)

    def _replace_layer(self, layer: Layer, tool: str) -> object:
        return self._open_tile and self._open_tile.session.replace_layer(self.feature, layer, tool)

    def _change(self, change: Callable[[], object]) -> None:
        """Change the tile in memory, ask first if it is said to hold none, and have the change kept."""
        if self._open_tile is None or self._refuse_if_locked():
            return
        session, feature = self._open_tile.session, self.feature
        if session.states[feature] is FeatureState.NONE_HERE:
            text = f"{session.place.id} is marked as holding no {feature}. u takes back what you paint."

            def on_answer(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
                if answer and self._open_tile is not None and self._open_tile.session is session:
                    session.mark_wanted(feature)
                    self._after_change(change())

            self.app.push_screen(Confirm(f"Does it hold {feature} after all?", text, yes="It does"), on_answer)
        else:
            self._after_change(change())

    def _after_change(self, change: object) -> None:
        if change is not None:
            is_first = getattr(change, "states", None) is not None
            self._save((lambda: self.post_message(self.TileStateChanged())) if is_first else (lambda: None))
        self._draw()

    def _refuse_if_locked(self) -> bool:
        """Say who paints the tile, if somebody else does."""
        if self._lock_owner and self.place is not None:
            text = f"{self.place.id} is being painted by {self._lock_owner}"
            self.notify(
                "It is shown as it was when you opened it; escape and p open it anew.",
                title=text,
                severity="warning",
                timeout=8,
            )
        return bool(self._lock_owner)

    def _finish_stroke(self) -> None:
        pending = self.tool_state.end_stroke()
        self.tool_state.cancel()
        states = self._open_tile.session.states if self._open_tile is not None else {}
        if pending is not None and not self._lock_owner and states.get(self.feature) is not FeatureState.NONE_HERE:
            self._add_stroke(pending)

    # Other slices

    def _fetch(self, tool: str, find_layer: LayerSource) -> None:
        if self._open_tile is None or self._request is None or self._save_thread is None or self._refuse_if_locked():
            return
        project, location, feature = self._request.project, self._open_tile.session.place, self.feature
        layer = self._open_tile.session.layers[feature]
        self._save_thread.fetch(
            lambda: self.LayerFetched(
                location, feature, *_with_tool(tool, find_layer(project, location, feature, layer))
            )
        )

    @on(LayerFetched)
    def apply_fetched(self, event: LayerFetched) -> None:
        """Put what has come onto the tile."""
        if self._open_tile is not None and event.place == self._open_tile.session.place:
            self.feature = event.feature
            self._change(lambda: self._replace_layer(event.layer, event.tool))
            self.notify(event.message, timeout=4)

    # Marking

    def _features_to_finish(self) -> list[str]:
        """Return the features that enter finishes: that painted, and of those chosen the ones still to do."""
        if self._open_tile is None or self._request is None:
            return []
        states = self._open_tile.session.states
        unfinished = [f for f in self._request.chosen if states.get(f) is FeatureState.WANTED and f != self.feature]
        return [self.feature, *unfinished]

    def _warnings(self, feature: str, state: FeatureState) -> list[str]:
        if self._open_tile is None:
            return []
        prediction = self._open_tile.predictions.get(feature)
        probability = None if prediction is None else prediction.probability
        layer = self._open_tile.session.layers[feature]
        return annotation_warnings(feature, layer, state, self._open_tile.slices.here, prediction=probability)

    def _confirm(self, question: str, warnings: Sequence[str], yes: str, on_yes: Callable[[], None]) -> None:
        def on_answer(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
            if answer:
                on_yes()

        if warnings:
            self.app.push_screen(Confirm(question, "\n".join(warnings), yes=yes), on_answer)
        else:
            on_yes()

    def _mark(self, features: Sequence[str], option: str) -> None:
        """Mark the tile for some features, have that kept and written into the history, and ask for the next tile."""
        if self._open_tile is None or self._request is None:
            return
        session, history = self._open_tile.session, self._request.project.layout.history
        try:
            changes = [session.mark_done(f) if option == "--done" else session.mark_none_here(f) for f in features]
        except ProjectError as fault:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        commands = [["annotations", "set", session.place.id, "--feature", feature, option] for feature in features]

        def on_saved() -> None:
            for argv, change in zip(commands, changes, strict=True):
                if change is not None:
                    append_command(history, argv)
            self.post_message(self.TileStateChanged())

        self._save(on_saved)
        self._draw()
        self.post_message(self.TileFinished(session.place))


def _with_tool(tool: str, layer_and_text: tuple[Layer, str]) -> tuple[Layer, str, str]:
    return layer_and_text[0], tool, layer_and_text[1]


def copy_nearest_slice(project: Project, location: TileLocation, feature: str, layer: Layer) -> tuple[Layer, str]:
    """Return a layer with the paint of the nearest slice, and words that say which."""
    nearest = neighbours_in_z(project, location, feature).nearest
    if nearest is None:
        raise ProjectError(
            f"No other slice of this place has {feature} painted.",
            "Place and paint a tile at the same x and y in another slice.",
        )
    return replace_feature_pixels(
        layer, nearest.layer == FEATURE
    ), f"Copied from z {nearest.location.z}; u takes it back."


def interpolate_slices(project: Project, location: TileLocation, feature: str, layer: Layer) -> tuple[Layer, str]:
    """Return a layer with what lies between two slices, and words that say which."""
    neighbours = neighbours_in_z(project, location, feature)
    interpolated = interpolated_layer(layer, neighbours)
    if interpolated is None or neighbours.below is None or neighbours.above is None:
        raise ProjectError(
            f"Not both below and above this slice is {feature} painted at this place.",
            "Place and paint tiles at the same x and y in two slices around it.",
        )
    return (
        interpolated,
        f"Painted between z {neighbours.below.location.z} and z {neighbours.above.location.z}; u takes it back.",
    )
