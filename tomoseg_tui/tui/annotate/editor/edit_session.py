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

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED
from tomoseg_tui.core.names import IGNORE
from tomoseg_tui.core.tiles import Tile, TileLocation
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.render.overlay import LabelStyle
from tomoseg_tui.tui.annotate.editor.save_thread import OpenTile, SaveFailed, SaveThread, StrokesSaved, TileOpened
from tomoseg_tui.tui.annotate.editor.status_line import StatusLine, StyledText
from tomoseg_tui.tui.annotate.editor.tool_state import VALUE_LABELS, Tool, ToolInput, ToolState
from tomoseg_tui.tui.annotate.editor.toolbox import Toolbox
from tomoseg_tui.tui.annotate.editor.view_filters import ViewSettings
from tomoseg_tui.tui.annotate.tile_list import STATE_LABELS
from tomoseg_tui.tui.annotate.tile_view import OVERLAY_MODES
from tomoseg_tui.tui.canvas.draw_style import draw_style_for
from tomoseg_tui.tui.canvas.paint_canvas import PaintCanvas
from tomoseg_tui.tui.canvas.paint_drawing import Scene
from tomoseg_tui.tui.images.tile_images import PredictionSources, layers_palette
from tomoseg_tui.tui.messages import LoadFailed, ThreadCrashed
from tomoseg_tui.workflow.annotations.paint_session import PaintSession

RETRY_SECONDS = 2.0
"""Until strokes that could not be written are tried again."""
NOT_FEATURE_RGB = (96, 96, 96)
"""Stands for what is said not to be the feature; on the tile it is dark."""
UNLABELLED_RGB = (255, 255, 255)
"""Stands for erasing."""


@dataclass(frozen=True)
class EditRequest:
    """What is to be painted."""

    project: Project
    tile: Tile
    features: tuple[str, ...]
    """All of the project: their order gives the colours."""
    chosen: tuple[str, ...]
    """Those that are to be finished; the first that the tile was placed for is painted."""
    prediction_sources: PredictionSources

    @property
    def feature(self) -> str:
        """The feature painted at first."""
        positive = [f for f in self.chosen if (state := self.tile.state_of(f)) is not None and state.is_positive]
        return (positive or list(self.chosen))[0]

    def threshold(self, feature: str) -> float | None:
        """The threshold on the card of the newest network for a feature."""
        cards = [card for card in self.prediction_sources.networks if feature in card.features]
        newest = max(cards, key=lambda card: card.created, default=None)
        return newest.features[feature].threshold if newest is not None else None


class EditSession(Container):
    """A tile on a canvas between two lines that say where one is."""

    BINDINGS: ClassVar[list[BindingType]] = []

    class TileStateChanged(Message):
        """What is on disk has changed for the list of tiles too: a tile was begun, or marked."""

    class NeighbourGreysChanged(Message):
        """The tile is seen otherwise: greys of its neighbours in z, as they are seen now."""

        def __init__(self, below: NDArray[np.uint8] | None, above: NDArray[np.uint8] | None) -> None:
            super().__init__()
            self.below, self.above = below, above

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self.toolbox: Toolbox | None = None
        """Where what is in hand is shown too; whoever has one hands it in."""
        self.tool_state = ToolState(1)
        self.feature = ""
        """The feature that is painted."""
        self._request: EditRequest | None = None
        self._open_tile: OpenTile | None = None
        self._view_settings, self._overlay = ViewSettings(), OVERLAY_MODES[0]
        self._grey: NDArray[np.uint8] | None = None
        self._save_thread: SaveThread | None = None
        self._save_error = ""
        """Why strokes are not on disk; empty if they are."""
        self._lock_owner = ""
        """Who else paints the tile; empty if nobody does."""
        self._unsaved_sessions: list[PaintSession] = []
        self._retry_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Make the canvas and the two lines."""
        yield StatusLine(id="paint-above")
        yield PaintCanvas(id="paint-canvas")
        yield StatusLine(id="paint-below")

    @property
    def canvas(self) -> PaintCanvas:
        """Where the tile is seen."""
        return self.query_one(PaintCanvas)

    @property
    def place(self) -> TileLocation | None:
        """The tile that lies here, open or on its way."""
        return self._request.tile.location if self._request is not None else None

    # Opening and giving back

    def open(self, request: EditRequest) -> None:
        """Give back the tile that lies here and open another."""
        self.close_tile()
        is_same_tomogram = (
            self._request is not None and self._request.tile.location.tomogram == request.tile.location.tomogram
        )
        self._request, self._view_settings = (
            request,
            self._view_settings
            if is_same_tomogram
            else ViewSettings(self._view_settings.filter, self._view_settings.contrast),
        )
        self.feature = self.feature if self.feature in request.chosen else request.feature
        self.canvas.show(None, text=f"reading {request.tile.location.id}")
        self._save_thread = self._save_thread or SaveThread(self.post_message)
        self._save_thread.open(request.project, request.tile, request.prediction_sources)
        self.update_status()

    @on(TileOpened)
    def show_opened(self, event: TileOpened) -> None:
        """Show the tile, unless another is wanted by now."""
        if self._request is None or event.place != self._request.tile.location:
            return
        if event.open_tile is None:
            text = event.fault.fault if event.fault is not None else ""
            self.canvas.show(None, text=f"{text}\n{event.fault.fix if event.fault is not None else ''}")
            return
        open_tile = event.open_tile
        self._open_tile = open_tile
        self._lock_owner = str(open_tile.lock_owner) if open_tile.lock_owner is not None else ""
        size = event.place.size
        if self.tool_state.size != size:
            self.tool_state = ToolState(size)
        self.tool_state.cancel()
        self.tool_state.cursor_yx, self.canvas.follows_cursor = (size // 2, size // 2), True
        self._reset_threshold()
        for remark in open_tile.session.remarks:
            self.notify(remark, severity="warning")
        self._update_view()

    def _reset_threshold(self) -> None:
        threshold = self._request.threshold(self.feature) if self._request is not None else None
        self.tool_state.threshold = threshold if threshold is not None else self.tool_state.threshold

    def close_tile(self) -> None:
        """Keep what is not on disk yet, and let others paint the tile."""
        if self._open_tile is not None and self._save_thread is not None:
            self._finish_stroke()
            self._save_thread.close(self._open_tile.session)
        self._open_tile = None

    def leave(self) -> None:
        """Give the tile back and show nothing."""
        self.close_tile()
        self._request = None
        self.canvas.show(None)

    def unsaved_text(self) -> str:
        """Say what would be lost if the program ended now, and why; empty if nothing would."""
        strokes = self._unsaved_strokes
        return f"{strokes} strokes cannot be written: {self._save_error}" if strokes else ""

    @property
    def _unsaved_strokes(self) -> int:
        """How many strokes could not be written, here and on tiles that were left."""
        open_sessions = [self._open_tile.session] if self._open_tile is not None else []
        return (
            sum(session.unsaved_count for session in {*open_sessions, *self._unsaved_sessions})
            if self._save_error
            else 0
        )

    def on_descendant_focus(self) -> None:
        """Show that keys work here."""
        self._draw()

    def on_descendant_blur(self) -> None:
        """Show that keys work elsewhere."""
        self._draw()

    def on_unmount(self) -> None:
        """Write what is in memory before the program ends."""
        self.close_tile()
        if self._save_thread is not None:
            self._save_thread.finish()

    def _finish_stroke(self) -> None:
        """Let the stroke in hand be painted before the tile goes."""

    # Keeping

    def _save(self, on_saved: Callable[[], object] = lambda: None) -> None:
        """Have what was painted written."""
        if self._open_tile is not None and self._save_thread is not None:
            self._save_thread.save(self._open_tile.session, on_saved)

    @on(StrokesSaved)
    def show_saved(self, event: StrokesSaved) -> None:
        """Say that all is on disk."""
        self._unsaved_sessions = [session for session in self._unsaved_sessions if session is not event.session]
        if not self._unsaved_sessions:
            self._save_error = ""
        self.update_status()

    @on(SaveFailed)
    def show_save_error(self, event: SaveFailed) -> None:
        """Say why strokes are not on disk; try again, or show the tile as it is there."""
        is_open = self._open_tile is not None and event.session is self._open_tile.session
        if event.is_locked and is_open:
            self._lock_owner = event.fault.fault
        if event.session.unsaved_count:
            is_new = not self._save_error
            self._save_error = event.fault.fault
            self._unsaved_sessions += [event.session] if event.session not in self._unsaved_sessions else []
            if self._retry_timer is None:
                self._retry_timer = self.set_timer(RETRY_SECONDS, self._retry)
            if not is_new:
                self.update_status()
                return
        self.notify(event.fault.fix, title=event.fault.fault, severity="error", timeout=10)
        if is_open:
            self._update_view()

    def _retry(self) -> None:
        self._retry_timer = None
        for session in self._unsaved_sessions:
            if self._save_thread is not None:
                is_open = self._open_tile is not None and session is self._open_tile.session
                (self._save_thread.save if is_open else self._save_thread.close)(session)

    @on(LoadFailed)
    def show_load_error(self, event: LoadFailed) -> None:
        """Say why there is nothing to fetch."""
        self.notify(event.fault.fix, title=event.fault.fault, severity="warning")

    @on(ThreadCrashed)
    def raise_bug(self, event: ThreadCrashed) -> None:
        """Let our own bug come up where it is seen."""
        raise event.error

    # What is seen

    @property
    def _tool_input(self) -> ToolInput | None:
        if self._open_tile is None:
            return None
        prediction = self._open_tile.predictions.get(self.feature)
        probability = None if prediction is None else prediction.probability
        return ToolInput(self._open_tile.session.layers[self.feature], self._open_tile.slices.here, probability)

    def _update_view(self) -> None:
        """Show the tile as the eye wants it now."""
        if self._open_tile is not None:
            self._grey = self._view_settings.greys(self._open_tile.slices)
            self.post_message(self.NeighbourGreysChanged(*self._view_settings.neighbour_greys(self._open_tile.slices)))
        self._draw()

    def _draw(self) -> None:
        """Show what has changed."""
        scene = self._scene()
        if scene is not None:
            self.canvas.show(scene)
        self.update_status()

    def _scene(self) -> Scene | None:
        tool_input = self._tool_input
        if tool_input is None or self._grey is None or self._open_tile is None or self._request is None:
            return None
        styles = {style.name: style for style in layers_palette(self._request.features)}
        preview = self.tool_state.preview(tool_input)
        return Scene(
            self._grey,
            tuple(self._layers(styles)),
            styles[IGNORE],
            mode=self._overlay,
            preview=None if preview is None else preview.mask,
            preview_rgb=self._colours(styles)[self.tool_state.paint_value],
            cursor_yx=self.tool_state.cursor_yx,
            footprint=self.tool_state.footprint,
            vertices=tuple(self.tool_state.points),
            focused=self.canvas.has_focus,
        )

    def _layers(self, styles: Mapping[str, LabelStyle]) -> list[tuple[LabelStyle, NDArray[np.uint8]]]:
        """Return the layers that are seen, that of the feature painted first, with the stroke in hand on it."""
        layers = self._open_tile.session.layers if self._open_tile is not None else {}
        pending, active_layer = self.tool_state.pending_output, layers[self.feature]
        if pending is not None:
            active_layer = np.where(pending.mask, np.uint8(pending.value), active_layer)
        other_layers = [
            (styles[name], layer) for name, layer in layers.items() if name != self.feature and name in styles
        ]
        return [(styles[self.feature], active_layer), *other_layers]

    def _colours(self, styles: Mapping[str, LabelStyle]) -> dict[int, tuple[int, int, int]]:
        """Return the colour of each value."""
        return {
            FEATURE: styles[self.feature].rgb,
            NOT_FEATURE: NOT_FEATURE_RGB,
            IGNORED: styles[IGNORE].rgb,
            UNLABELLED: UNLABELLED_RGB,
        }

    # What is said

    def update_status(self) -> None:
        """Say above which tile and how it is seen, below what is in hand, where, and whether all is on disk."""
        if self._request is None or not self.is_mounted:
            return
        styles = {style.name: style for style in layers_palette(self._request.features)}
        self.query_one("#paint-above", StatusLine).set_text(*self._upper_status(styles))
        self.query_one("#paint-below", StatusLine).set_text(*self._lower_status(styles))
        colours = {value: f"rgb({red},{green},{blue})" for value, (red, green, blue) in self._colours(styles).items()}
        has_network = self._open_tile is not None and self.feature in self._open_tile.predictions
        if self.toolbox is not None:
            ascii_only = draw_style_for(self.app).renderer == "ascii"
            self.toolbox.show(
                self.tool_state, self._key_for, colours, ascii_only=ascii_only, available={Tool.NETWORK: has_network}
            )

    def _upper_status(self, styles: Mapping[str, LabelStyle]) -> tuple[tuple[StyledText, ...], tuple[StyledText, ...]]:
        request = self._request
        if request is None:
            return (), ()
        style, location = styles[self.feature], request.tile.location
        red, green, blue = style.rgb
        left: list[StyledText] = [(f" {style.letter} {self.feature} ", f"bold rgb(0,0,0) on rgb({red},{green},{blue})")]
        if self._open_tile is not None:
            pixels = int((self._open_tile.session.layers[self.feature] == FEATURE).sum())
            left.append((f" {STATE_LABELS[self._open_tile.session.states[self.feature]]}, {pixels} px", ""))
        view_text = " ".join(
            part
            for part in (self._view_settings.describe(), self._overlay if self._overlay != OVERLAY_MODES[0] else "")
            if part
        )
        right: list[StyledText] = [(f" {view_text}  ", "bold")] if view_text else []
        return tuple(left), (
            *right,
            (f" {location.tomogram} {location.x},{location.y},{location.z}  x{self.canvas.zoom} ", ""),
        )

    def _lower_status(self, styles: Mapping[str, LabelStyle]) -> tuple[tuple[StyledText, ...], tuple[StyledText, ...]]:
        tool_state, location = self.tool_state, self.place
        value = (
            "erase"
            if tool_state.paint_value == UNLABELLED
            else f"{styles[self.feature].letter} {VALUE_LABELS[tool_state.paint_value]}"
        )
        left: list[StyledText] = [(f" {tool_state.tool} {tool_state.setting()}", "bold"), (f"  {value}", "")]
        if tool_state.pen_down:
            left.append(("  PEN DOWN", "bold reverse"))
        elif tool_state.points:
            points = len(tool_state.points)
            left.append((f"  {points} point{'s' if points > 1 else ''}", "bold"))
        if location is None or self._open_tile is None:
            return tuple(left), ()
        _, top_edge, left_edge = location.corner_zyx
        position = f"{left_edge + tool_state.cursor_yx[1]},{top_edge + tool_state.cursor_yx[0]},{location.z}"
        return tuple(left), ((f"{position}  undo {self._open_tile.session.undo_depth}  ", ""), self._save_status())

    def _save_status(self) -> StyledText:
        if self._lock_owner:
            return "READ ONLY ", "bold reverse"
        if self._unsaved_strokes:
            return f"NOT ON DISK: {self._unsaved_strokes} ", "bold reverse"
        unsaved = self._open_tile.session.unsaved_count if self._open_tile is not None else 0
        return (f"saving {unsaved} ", "") if unsaved else ("on disk ", "")

    def _key_for(self, name: str) -> str:
        """Return the key of an action of the editor as it is bound now."""
        for active in self.screen.active_bindings.values():
            if active.binding.id == f"paint.{name}":
                return self.app.get_key_display(active.binding)
        return next((self.app.get_key_display(b) for _, b in self._bindings if b.id == f"paint.{name}"), "")
