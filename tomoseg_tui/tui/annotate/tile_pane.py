"""The list of tiles with a preview of the selected one."""

from dataclasses import dataclass

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import DataTable, Static
from textual.worker import get_current_worker

from tomoseg_tui.core.tiles import FeatureState, Tile
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.tile_list import TileList, searchable_text, sort_by_state, state_for
from tomoseg_tui.tui.annotate.tile_view import AnnotatedTileView, TileContext
from tomoseg_tui.tui.images.tile_images import (
    OVERLAY_MODES,
    PredictionSources,
    TileImages,
    layers_palette,
    read_tile_images,
)
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.filter_line import FilterLine, matches_filter

GUIDE = "to do  placed, not marked\ndone   used for training\nnone   has none of it"
ADVICE = (
    "[b]p[/b] paint: brush, lines, filaments, wand and more\n"
    "[b]enter[/b] done: unmarked pixels are not the feature\n"
    "[b]B[/b] none here: shows what only looks similar\n"
    "[b]I[/b] import masks or labels; mark unclear density as [b]ignore[/b]\n"
    "[b]o[/b] paint, outline, plain   [b]f[/b] next feature   [b]/[/b] filter"
)


class TilePane(Horizontal):
    """The tiles of the project, the one under the cursor, and the feature of both."""

    @dataclass
    class TileLoaded(Message, bubble=False):
        """A thread has read the images of a tile, or failed."""

        request_number: int
        pictures: TileImages | None
        fault: TomosegError | None

    def __init__(self) -> None:
        super().__init__()
        self.snapshot: ProjectSnapshot | None = None
        self.feature: str | None = None
        """The feature whose states are shown; None for all."""
        self.tiles: dict[str, Tile] = {}
        """The listed tiles by id, in the order of the list."""
        self.pictures: TileImages | None = None
        """Images of the shown tile."""
        self._listed: object = None
        self._shown_key: object = None
        self._request_number = 0

    def compose(self) -> ComposeResult:
        with Vertical(id="annotate-left", classes="panel"):
            yield TileList(id="annotate-list")
            yield FilterLine(id="annotate-filter")
            yield Static(GUIDE, id="annotate-guide", classes="hint")
            yield Static(ADVICE, id="annotate-advice", classes="hint")
        yield AnnotatedTileView(id="annotate-tile")
        yield TileContext()

    @property
    def features(self) -> tuple[str, ...]:
        """All features of the project."""
        return self.snapshot.features if self.snapshot is not None else ()

    @property
    def chosen(self) -> tuple[str, ...]:
        """The chosen feature, or all of them."""
        return self.features if self.feature is None else (self.feature,)

    @property
    def tile(self) -> Tile | None:
        """The tile under the cursor."""
        return self.tiles.get(self.query_one(TileList).row_key or "")

    @property
    def prediction_sources(self) -> PredictionSources:
        """Networks and maps that may have a prediction of the tile under the cursor."""
        tile, snapshot = self.tile, self.snapshot
        tomogram = snapshot.tomogram(tile.location.tomogram) if tile is not None and snapshot is not None else None
        return PredictionSources(
            snapshot.networks if snapshot is not None else (), tomogram.maps if tomogram is not None else ()
        )

    # The list

    def show_snapshot(self, snapshot: ProjectSnapshot, first_feature: str | None) -> None:
        """Show the tiles, initially for `first_feature`; read the one under the cursor again if it has changed."""
        if self.snapshot is None and first_feature in snapshot.features:
            self.feature = first_feature
        elif self.snapshot is None or self.feature not in (*snapshot.features, None):
            self.feature = snapshot.features[0] if snapshot.features else None
        self.snapshot = snapshot
        self.show_list()

    @on(FilterLine.Filtered, "#annotate-filter")
    def show_list(self) -> None:
        """Show the tiles that match the filter."""
        all_tiles = self.snapshot.all_tiles if self.snapshot is not None else ()
        chosen, query = self.chosen, self.query_one(FilterLine).value
        previous, self._listed = self._listed, (all_tiles, chosen, query)
        if self._listed == previous:  # while a job runs, there is a new snapshot twice a second
            self.load_tile()
            return
        listed = sort_by_state(all_tiles, chosen)
        if query:
            listed = [tile for tile in listed if matches_filter(searchable_text(tile, chosen), query)]
        self.tiles = {tile.location.id: tile for tile in listed}
        self.query_one(TileList).show_tiles(listed, chosen)
        panel = self.query_one("#annotate-left")
        letters = {style.name: style.letter for style in layers_palette(self.features)}
        panel.border_title = f"{letters[self.feature]} {self.feature}" if self.feature else "* all features"
        to_do = sum(state_for(tile, chosen) is FeatureState.WANTED for tile in all_tiles)
        shown = f"{len(listed)} of {len(all_tiles)}" if query else f"{len(all_tiles)} tiles"
        panel.border_subtitle = f"{to_do} to do, {shown}"
        self.load_tile()

    def select_tile(self, tile_id: str, feature: str) -> bool:
        """Choose a feature and go to a tile; return whether it is listed."""
        self.feature = feature if feature in self.features else self.feature
        self.show_list()
        return self.query_one(TileList).select(tile_id)

    def next_feature(self, step: int) -> None:
        """Choose the next feature, and go to its first tile to do; after the last one, choose all of them."""
        choices = (*self.features, None)
        self.feature = choices[(choices.index(self.feature) + step) % len(choices)]
        self.show_list()
        first = next(iter(self.tiles.values()), None)  # tiles to do are listed first
        if self.feature is not None and first is not None:
            is_to_do = first.state_of(self.feature) is FeatureState.WANTED
            if is_to_do or self.tile is None or self.tile.state_of(self.feature) is None:
                self.query_one(TileList).select(first.location.id)

    # The tile under the cursor

    @on(DataTable.RowHighlighted, "#annotate-list")
    def load_selected_tile(self) -> None:
        """Read the tile under the cursor."""
        self.load_tile()

    def load_tile(self, *, force: bool = False) -> None:
        """Read the tile under the cursor, unless everything that is shown of it is up to date."""
        tile, snapshot = self.tile, self.snapshot
        if tile is None or snapshot is None:
            self._shown_key, self.pictures = None, None
            self._draw()
            return
        key = (tile, self.chosen, self.prediction_sources)
        if key != self._shown_key or force:
            self._shown_key = key
            self._request_number += 1
            self._read(self._request_number, snapshot.project, *key)

    @work(thread=True, exclusive=True, group="annotate-tile")
    def _read(
        self, request_number: int, project: Project, tile: Tile, features: tuple[str, ...], sources: PredictionSources
    ) -> None:
        if get_current_worker().is_cancelled:
            return
        pictures, fault = None, None
        try:
            pictures = read_tile_images(project.layout, tile, features, sources)
        except TomosegError as error:
            fault = error
        self.post_message(self.TileLoaded(request_number, pictures, fault))

    @on(TileLoaded)
    def show_loaded_tile(self, event: TileLoaded) -> None:
        """Show the tile that was read, unless the cursor has moved on."""
        if event.request_number != self._request_number:
            return
        if event.fault is not None:
            self.notify(event.fault.fix, title=event.fault.fault, severity="error", timeout=10)
        self.pictures = event.pictures
        self._draw()

    def _draw(self) -> None:
        self.query_one(AnnotatedTileView).show(self.pictures, self.features, self.chosen)
        self.query_one(TileContext).show(self.pictures, self.features)

    def next_overlay(self) -> None:
        """Show the annotation as an overlay, as an outline, or not at all."""
        view = self.query_one(AnnotatedTileView)
        view.overlay = OVERLAY_MODES[(OVERLAY_MODES.index(view.overlay) + 1) % len(OVERLAY_MODES)]
        self._draw()
