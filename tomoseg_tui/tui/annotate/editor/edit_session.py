"""A tile being painted, without widgets: the open tile, the tool, the view settings, and unsaved changes.

Painting changes memory immediately. One thread reads tiles and saves strokes, one task at a time; the screen never
waits for it. Its results come back through `call_later`. Strokes that cannot be written stay in memory until `retry`.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn, TypeVar, final

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.tiles import ANNOTATIONS_SET
from tomoseg_tui.core.annotation import FEATURE, Layer, LayerChange
from tomoseg_tui.core.paint_tools import replace_feature_pixels
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import AlreadyRunningError, ProjectError, TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import append_command
from tomoseg_tui.render.colours import LabelStyle
from tomoseg_tui.tui.annotate.editor.tool_state import ToolInput, ToolOutput, ToolState
from tomoseg_tui.tui.annotate.editor.view_filters import TileSlices, ViewSettings, read_tile_slices
from tomoseg_tui.tui.images.tile_images import PredictionSources, TilePrediction, layers_palette, tile_prediction
from tomoseg_tui.workflow.annotations.paint_session import PaintSession, paint_lock_owner
from tomoseg_tui.workflow.annotations.questions import annotation_warnings
from tomoseg_tui.workflow.tiles.neighbour_slices import interpolated_layer, neighbours_in_z

Result = TypeVar("Result")
LayerSource = Callable[[Project, TileLocation, str, Layer], tuple[Layer, str]]
"""Returns another layer, made from project, tile, feature and its layer, and a sentence on its origin."""


@dataclass(frozen=True)
class EditRequest:
    """What to paint."""

    project: Project
    tile: Tile
    features: tuple[str, ...]
    """All features of the project; their order sets the colours."""
    chosen: tuple[str, ...]
    """The features to finish; the first one that the tile was placed for is painted."""
    prediction_sources: PredictionSources

    @property
    def feature(self) -> str:
        """The feature that is painted first."""
        positive = [f for f in self.chosen if (state := self.tile.state_of(f)) is not None and state.is_positive]
        return (positive or list(self.chosen))[0]

    @cached_property
    def styles(self) -> dict[str, LabelStyle]:
        """Colour and letter of each feature, and of ignored pixels."""
        return {style.name: style for style in layers_palette(self.features)}

    def threshold(self, feature: str) -> float | None:
        """Return the threshold of a feature on the card of the newest network."""
        cards = [card for card in self.prediction_sources.networks if feature in card.features]
        newest = max(cards, key=lambda card: card.created, default=None)
        return newest.features[feature].threshold if newest is not None else None


@dataclass(frozen=True, eq=False)
class OpenTile:
    """A tile with everything needed to paint it."""

    tile: Tile
    strokes: PaintSession
    slices: TileSlices
    predictions: Mapping[str, TilePrediction]
    """Predictions by feature."""
    lock_owner: str
    """Who else is painting the tile; empty if nobody is."""


@final
class EditSession:
    """The tile being painted, and the thread that saves it.

    Parameters
    ----------
    call_later : callable
        Calls a function with arguments on the UI thread; may be called from any thread.
    on_saved : callable
        Called after each attempt to write, with the reason of a new failure, else None.
    """

    def __init__(self, call_later: Callable[..., object], on_saved: Callable[[TomosegError | None], object]) -> None:
        self.request: EditRequest | None = None
        self.open_tile: OpenTile | None = None
        """None until the thread has read the requested tile."""
        self.feature = ""
        """The feature being painted."""
        self.tool_state, self.view_settings = ToolState(1), ViewSettings()
        self.lock_owner = ""
        """Who else is painting the tile; empty if nobody is."""
        self.save_error = ""
        """Why strokes are not on disk; empty if they are."""
        self._call_later, self._on_saved = call_later, on_saved
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="save")
        self._unsaved: dict[TileLocation, PaintSession] = {}
        """Tiles with strokes that could not be written, for the thread: opening such a tile again restores them."""

    @property
    def place(self) -> TileLocation | None:
        """The tile that is open or being opened."""
        return self.request.tile.location if self.request is not None else None

    @property
    def state(self) -> FeatureState | None:
        """State of the feature being painted."""
        return self.open_tile.strokes.states[self.feature] if self.open_tile is not None else None

    @property
    def tool_input(self) -> ToolInput | None:
        """The input of tools; None while no tile is open."""
        if self.open_tile is None:
            return None
        layer, prediction = self.open_tile.strokes.layers[self.feature], self.open_tile.predictions.get(self.feature)
        return ToolInput(layer, self.open_tile.slices.here, None if prediction is None else prediction.probability)

    @property
    def unsaved_strokes(self) -> int:
        """Number of strokes that could not be written, on this and on closed tiles."""
        current = [self.open_tile.strokes] if self.open_tile is not None else []
        unsaved = {*current, *tuple(self._unsaved.values())}
        return sum(strokes.unsaved_count for strokes in unsaved) if self.save_error else 0

    # Opening and closing

    def open(self, request: EditRequest, on_opened: Callable[[TomosegError | None], object]) -> None:
        """Close the open tile and read another; `on_opened` is called when it is ready or cannot be read."""
        self.close()
        previous, self.request = self.request, request
        if previous is None or previous.tile.location.tomogram != request.tile.location.tomogram:
            self.view_settings = replace(self.view_settings, z_offset=0)
        self.feature = self.feature if self.feature in request.chosen else request.feature

        def show(result: OpenTile | TomosegError) -> None:
            if self.request is not request:
                return  # another one has been requested since
            if isinstance(result, OpenTile):
                self._start(result)
            on_opened(result if isinstance(result, TomosegError) else None)

        self._submit(lambda: self._read(request), show)

    def _read(self, request: EditRequest) -> OpenTile:
        """Read a tile; called in the thread."""
        project, tile, sources = request.project, request.tile, request.prediction_sources
        project.require_current_format()
        strokes = self._unsaved.get(tile.location) or PaintSession.open(project, tile.location)
        slices = read_tile_slices(project.layout, tile.location)
        by_feature = {f: tile_prediction(project.layout, tile.location, f, sources) for f in strokes.features}
        predictions = {feature: prediction for feature, prediction in by_feature.items() if prediction is not None}
        owner = paint_lock_owner(project, tile.location)
        lock_owner = str(owner) if owner is not None and not owner.is_this_process else ""
        return OpenTile(tile, strokes, slices, predictions, lock_owner)

    def _start(self, open_tile: OpenTile) -> None:
        self.open_tile, self.lock_owner = open_tile, open_tile.lock_owner
        size = open_tile.tile.location.size
        if self.tool_state.size != size:
            self.tool_state = ToolState(size)
        self.tool_state.cancel()
        self.tool_state.cursor_yx = size // 2, size // 2
        self._use_network_threshold()

    def _use_network_threshold(self) -> None:
        threshold = self.request.threshold(self.feature) if self.request is not None else None
        self.tool_state.threshold = self.tool_state.threshold if threshold is None else threshold

    def close(self) -> None:
        """Save unsaved changes, and let others paint the tile."""
        if self.open_tile is not None:
            pending = self.tool_state.end_stroke()
            self.tool_state.cancel()
            if pending is not None and not self.lock_owner and self.state is not FeatureState.NONE_HERE:
                self.paint(pending)
            self._write(self.open_tile.strokes, closing=True)
        self.open_tile = None

    def leave(self) -> None:
        """Close the tile and request none."""
        self.close()
        self.request = None

    def end(self) -> None:
        """Close the tile, and wait until the thread has done all tasks."""
        self.close()
        self._pool.shutdown(wait=True)

    # Painting; changes are saved

    def _change(self, change: Callable[[PaintSession], LayerChange | None]) -> LayerChange | None:
        changed = change(self.open_tile.strokes) if self.open_tile is not None else None
        if changed is not None and self.open_tile is not None:
            self.feature = changed.feature
            self._write(self.open_tile.strokes)
        return changed

    def paint(self, output: ToolOutput) -> LayerChange | None:
        """Apply the output of a tool; return the change, None if nothing changes."""
        if output.replaces_feature and self.open_tile is not None:
            layer = replace_feature_pixels(self.open_tile.strokes.layers[self.feature], output.mask)
            return self.replace_layer(layer, output.tool)
        return self._change(lambda strokes: strokes.stroke(self.feature, output.mask, output.value, output.tool))

    def replace_layer(self, layer: Layer, tool: str) -> LayerChange | None:
        """Replace the whole layer being painted; return the change."""
        return self._change(lambda strokes: strokes.replace_layer(self.feature, layer, tool))

    def undo(self) -> LayerChange | None:
        """Undo the last stroke, and paint its feature; return the change."""
        return self._change(PaintSession.undo)

    def redo(self) -> LayerChange | None:
        """Redo the stroke that was undone last; return the change."""
        return self._change(PaintSession.redo)

    def next_feature(self, step: int) -> None:
        """Paint the next feature, or the previous one."""
        if self.open_tile is not None and self.request is not None:
            features = [feature for feature in self.request.features if feature in self.open_tile.strokes.features]
            self.feature = features[(features.index(self.feature) + step) % len(features)]
            self._use_network_threshold()

    def fetch_layer(
        self, source: LayerSource, on_fetched: Callable[[tuple[Layer, str] | TomosegError], object]
    ) -> None:
        """Make a layer from other slices in the thread; `on_fetched` is called if the tile is still open then."""
        open_tile, feature, tool_input = self.open_tile, self.feature, self.tool_input
        if self.request is None or open_tile is None or tool_input is None:
            return
        project, place = self.request.project, open_tile.strokes.place

        def hand_over(result: tuple[Layer, str] | TomosegError) -> None:
            if self.open_tile is open_tile:
                self.feature = feature
                on_fetched(result)

        self._submit(lambda: source(project, place, feature, tool_input.layer), hand_over)

    # Marking

    def features_to_finish(self) -> list[str]:
        """Return the features that enter finishes: the painted one, and the chosen ones that are still to do."""
        if self.open_tile is None or self.request is None:
            return []
        states = self.open_tile.strokes.states
        unfinished = [f for f in self.request.chosen if states.get(f) is FeatureState.WANTED and f != self.feature]
        return [self.feature, *unfinished]

    def warnings(self, feature: str, state: FeatureState) -> list[str]:
        """Return the warnings about giving a feature a state, as sentences."""
        if self.open_tile is None:
            return []
        prediction = self.open_tile.predictions.get(feature)
        probability = None if prediction is None else prediction.probability
        layer = self.open_tile.strokes.layers[feature]
        return annotation_warnings(feature, layer, state, self.open_tile.slices.here, prediction=probability)

    def mark(self, features: Sequence[str], option: str, on_marked: Callable[[], object]) -> None:
        """Mark features like `annotations set` with an option; the change is saved and recorded in the history.

        Raises
        ------
        ProjectError
            If the tile is marked as having none of a feature that is to be done.
        """
        if self.open_tile is None or self.request is None:
            return
        strokes, history = self.open_tile.strokes, self.request.project.layout.history
        mark = strokes.mark_done if option == "--done" else strokes.mark_none_here
        changed = [feature for feature in features if mark(feature) is not None]

        def note() -> None:
            state = option.removeprefix("--")
            for feature in changed:
                argv = to_argv(ANNOTATIONS_SET, id=strokes.place.id, feature=feature, state=state)
                append_command(history, argv)
            self._call_later(on_marked)

        self._write(strokes, note)

    # The thread

    def retry(self) -> None:
        """Try again to write what could not be written."""
        for strokes in tuple(self._unsaved.values()):
            self._write(strokes, closing=self.open_tile is None or strokes is not self.open_tile.strokes)

    def _write(
        self, strokes: PaintSession, then: Callable[[], object] = lambda: None, *, closing: bool = False
    ) -> None:
        """Write unsaved changes in the thread; if that succeeds, close the tile or run `then`."""

        def write() -> None:
            try:
                strokes.save()
                (strokes.close if closing else then)()
            except (TomosegError, OSError) as error:
                if strokes.unsaved_count:
                    self._unsaved[strokes.place] = strokes
                if isinstance(error, TomosegError):
                    raise
                raise ProjectError(str(error), "Free disk space.") from error
            self._unsaved.pop(strokes.place, None)

        self._submit(write, lambda result: self._report_saved(strokes, result))

    def _report_saved(self, strokes: PaintSession, fault: TomosegError | None) -> None:
        is_repeated = bool(self.save_error and strokes.unsaved_count)
        if fault is None:
            self.save_error = self.save_error if self._unsaved else ""
        elif strokes.unsaved_count:
            self.save_error = fault.fault
        if isinstance(fault, AlreadyRunningError) and self.open_tile is not None and strokes is self.open_tile.strokes:
            self.lock_owner = fault.fault
        self._on_saved(None if is_repeated else fault)

    def _submit(self, task: Callable[[], Result], then: Callable[[Result | TomosegError], object]) -> None:
        """Run a task in the thread after all earlier ones; `then` gets the result or the error."""

        def run() -> None:
            try:
                result: Result | TomosegError = task()
            except TomosegError as fault:
                result = fault
            except Exception as error:  # noqa: BLE001  # our bug: it is raised where the app sees it
                self._call_later(_raise, error)
                return
            self._call_later(then, result)

        self._pool.submit(run)


def _raise(error: Exception) -> NoReturn:
    raise error


def copy_nearest_slice(project: Project, location: TileLocation, feature: str, layer: Layer) -> tuple[Layer, str]:
    """Return a layer with the paint of the nearest slice, and its origin."""
    nearest = neighbours_in_z(project, location, feature).nearest
    if nearest is None:
        raise ProjectError(
            f"{feature} is not painted in any other slice at this place.",
            "Place and paint a tile at the same x and y in another slice.",
        )
    text = f"Copied from z {nearest.location.z}; u takes it back."
    return replace_feature_pixels(layer, nearest.layer == FEATURE), text


def interpolate_slices(project: Project, location: TileLocation, feature: str, layer: Layer) -> tuple[Layer, str]:
    """Return a layer interpolated between two painted slices, and its origin."""
    neighbours = neighbours_in_z(project, location, feature)
    interpolated = interpolated_layer(layer, neighbours)
    if interpolated is None or neighbours.below is None or neighbours.above is None:
        raise ProjectError(
            f"{feature} is not painted both below and above this slice at this place.",
            "Place and paint tiles at the same x and y in two slices around it.",
        )
    below, above = neighbours.below.location.z, neighbours.above.location.z
    return interpolated, f"Interpolated between z {below} and z {above}; u takes it back."
