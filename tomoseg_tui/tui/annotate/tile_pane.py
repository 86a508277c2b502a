"""The tiles as a list of work, the one under the cursor in full with what lies around it; keys act on it elsewhere."""

from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.events import Resize
from textual.message import Message
from textual.widgets import ContentSwitcher, DataTable, Static
from textual.worker import get_current_worker

from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.export_actions import ExportTilesActions
from tomoseg_tui.tui.annotate.tile_list import TileList, searchable_text, sort_by_state, state_for
from tomoseg_tui.tui.annotate.tile_view import AnnotatedTileView, TileContext
from tomoseg_tui.tui.images.tile_images import (
    OVERLAY_MODES,
    PredictionSources,
    TileImages,
    layers_palette,
    read_tile_images,
)
from tomoseg_tui.tui.session import TuiSession
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.filter_line import FilterLine, matches_filter

WHY_ANNOTATE = (
    "Here you say, pixel by pixel, where a feature is on small tiles of your tomograms; from that a network learns. "
    "First there must be a tomogram."
)
WHY_TILES = (
    "A tile is a small square in one slice. Ten to twenty with the feature, and as many without, teach a first "
    "network. Good tiles show the feature clearly and differ from each other; those without matter as much: "
    "they show what only looks like it.\n\nDensity of which you are not sure is marked as [b]ignore[/b]. It then "
    "teaches nothing, which is better than something wrong."
)
GUIDE = "to do  placed, not marked\ndone   marked: it teaches\nnone   holds none of it"
ADVICE = (
    "[b]p[/b] paint: brush, lines, filaments, wand and more\n"
    "[b]enter[/b] done: all that is not marked is not the feature\n"
    "[b]B[/b] none here: teaches what only looks like it\n"
    "[b]I[/b] masks or a label volume made elsewhere; what is ambiguous goes to [b]ignore[/b]\n"
    "[b]o[/b] paint, outline, plain   [b]f[/b] next feature   [b]/[/b] filter"
)
ROOMY_COLUMNS, VAST_COLUMNS, BROAD_COLUMNS, HUGE_COLUMNS, ROOMY_ROWS = 110, 160, 196, 244, 30
"""Size of the tab from which more is shown; from broad on a tile that is painted has 128 columns beside pictures of
its neighbours, from huge on beside the list too."""


class TilePane(ExportTilesActions):
    """The list, the tile under its cursor, and the feature that both are seen for."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "feature(1)", "Feature", id="annotate.feature", tooltip="Choose the next feature, or all"),
        Binding(
            "F", "feature(-1)", "", show=False, id="annotate.feature_back", tooltip="Choose the feature before, or all"
        ),
        Binding(
            "o", "overlay", "See", show=False, id="annotate.overlay", tooltip="Annotation as overlay, outline, or off"
        ),
        Binding("slash", "filter", "Filter", id="annotate.filter", tooltip="Show only tiles that match some words"),
        Binding("escape", "clear_filter", "", show=False, id="annotate.clear", tooltip="Show all tiles again"),
    ]

    class TileLoaded(Message):
        """A thread has read the pictures of a tile, or met a fault."""

        def __init__(self, request_number: int, pictures: TileImages | None, fault: TomosegError | None) -> None:
            super().__init__()
            self.request_number, self.pictures, self.fault = request_number, pictures, fault

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._snapshot: ProjectSnapshot | None = None
        self._feature: str | None = None
        self._tiles: dict[str, Tile] = {}
        self._pictures: TileImages | None = None
        self._shown_key: object = None
        self._request_number = 0

    # Layout

    def compose(self) -> ComposeResult:
        """Make the list, the tile and what lies around it, and the two empty states."""
        with ContentSwitcher(initial="annotate-no-tomograms", id="annotate-pages"):
            yield Container(
                Empty("Nothing to annotate yet", WHY_ANNOTATE, "Press [b]1[/b] to import a tomogram."),
                id="annotate-no-tomograms",
            )
            yield Container(
                Empty("No tile to annotate yet", WHY_TILES, "Press [b]2[/b] to place tiles."), id="annotate-no-tiles"
            )
            with Horizontal(id="annotate-desk"):
                with Vertical(id="annotate-left", classes="panel"):
                    yield TileList(id="annotate-list")
                    yield FilterLine(id="annotate-filter")
                    yield Static(GUIDE, id="annotate-guide", classes="hint")
                    yield Static(ADVICE, id="annotate-advice", classes="hint")
                yield AnnotatedTileView(id="annotate-tile")
                yield from self.compose_editor()
                yield TileContext(id="annotate-around")

    def compose_editor(self) -> ComposeResult:
        """Make what else stands between the tile and its surroundings."""
        yield from ()

    def on_resize(self, event: Resize) -> None:
        """Show more where there is room."""
        width, roomy = event.size.width, event.size.height >= ROOMY_ROWS
        self.set_class(roomy and ROOMY_COLUMNS <= width < VAST_COLUMNS, "-roomy")
        self.set_class(roomy and width >= VAST_COLUMNS, "-vast")
        self.set_class(roomy and width >= BROAD_COLUMNS, "-broad")
        self.set_class(roomy and width >= HUGE_COLUMNS, "-huge")

    def focus_default(self) -> None:
        """Let the list have the keys, where there is one."""
        if self._page == "annotate-desk":
            self.query_one(TileList).focus()

    @property
    def _page(self) -> str | None:
        return self.query_one("#annotate-pages", ContentSwitcher).current

    # What is known

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """Show the tiles; read the one under the cursor again if something about it is new."""
        if self._snapshot is None and self.tomoseg.session.feature in snapshot.features:
            self._feature = self.tomoseg.session.feature
        elif self._snapshot is None or self._feature not in (*snapshot.features, None):
            self._feature = snapshot.features[0] if snapshot.features else None
        self._snapshot = snapshot
        tiles = snapshot.all_tiles
        page = "annotate-desk" if tiles else "annotate-no-tiles" if snapshot.tomograms else "annotate-no-tomograms"
        has_appeared = page == "annotate-desk" != self._page
        self.query_one("#annotate-pages", ContentSwitcher).current = page
        self._show_list()
        if has_appeared and self.tomoseg.open_tab is self and self.screen.focused is None:
            self.focus_default()

    @property
    def _features(self) -> tuple[str, ...]:
        return self._snapshot.features if self._snapshot is not None else ()

    @property
    def _chosen(self) -> tuple[str, ...]:
        """The feature chosen, or all of them."""
        return self._features if self._feature is None else (self._feature,)

    @property
    def _tile(self) -> Tile | None:
        """The tile under the cursor."""
        return self._tiles.get(self.query_one(TileList).row_key or "")

    def show_tile(self, tile_id: str, feature: str) -> bool:
        """Choose a feature and go to a tile; tell whether it is listed."""
        self._feature = feature if feature in self._features else self._feature
        self._show_list()
        return self.query_one(TileList).select_tile(tile_id)

    def _show_list(self) -> None:
        all_tiles = self._snapshot.all_tiles if self._snapshot is not None else ()
        chosen, query = self._chosen, self.query_one(FilterLine).value
        listed = [
            tile for tile in sort_by_state(all_tiles, chosen) if matches_filter(searchable_text(tile, chosen), query)
        ]
        self._tiles = {tile.location.id: tile for tile in listed}
        self.query_one(TileList).show_tiles(listed, chosen)
        panel = self.query_one("#annotate-left")
        letters = {style.name: style.letter for style in layers_palette(self._features)}
        panel.border_title = f"{letters[self._feature]} {self._feature}" if self._feature else "* all features"
        to_do = sum(state_for(tile, chosen) is FeatureState.WANTED for tile in all_tiles)
        shown = f"{len(listed)} of {len(all_tiles)}" if query else f"{len(all_tiles)} tiles"
        panel.border_subtitle = f"{to_do} to do, {shown}"
        self._load_tile()

    @on(FilterLine.Filtered, "#annotate-filter")
    def filter_list(self) -> None:
        """Show the tiles that fit what is typed."""
        self._show_list()

    # The tile under the cursor

    @on(DataTable.RowHighlighted, "#annotate-list")
    def load_selected_tile(self) -> None:
        """Look at the tile that the cursor has come to."""
        self._load_tile()

    @property
    def _prediction_sources(self) -> PredictionSources:
        """Who may have an opinion on the tile under the cursor."""
        tile, snapshot = self._tile, self._snapshot
        tomogram = snapshot.tomogram(tile.location.tomogram) if tile is not None and snapshot is not None else None
        return PredictionSources(
            snapshot.networks if snapshot is not None else (), tomogram.maps if tomogram is not None else ()
        )

    def _load_tile(self, *, force: bool = False) -> None:
        """Have the tile under the cursor read, unless all that is shown of it is known already."""
        tile, snapshot = self._tile, self._snapshot
        if tile is None or snapshot is None:
            self._shown_key, self._pictures = None, None
            self._draw()
            return
        key = (tile, self._chosen, self._prediction_sources)
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
        try:
            self.post_message(
                self.TileLoaded(request_number, read_tile_images(project.layout, tile, features, sources), None)
            )
        except TomosegError as fault:
            self.post_message(self.TileLoaded(request_number, None, fault))

    @on(TileLoaded)
    def show_loaded_tile(self, event: TileLoaded) -> None:
        """Draw what was read, unless the cursor has gone on."""
        if event.request_number != self._request_number:
            return
        if event.fault is not None:
            self.notify(event.fault.fix, title=event.fault.fault, severity="error", timeout=10)
        self._pictures = event.pictures
        self._draw()

    def _draw(self) -> None:
        self.query_one(AnnotatedTileView).show(self._pictures, self._features, self._chosen)
        self.query_one(TileContext).show(self._pictures, self._features)

    def action_overlay(self) -> None:
        """Show the annotation as an overlay, as an outline, or not."""
        view = self.query_one(AnnotatedTileView)
        view.overlay = OVERLAY_MODES[(OVERLAY_MODES.index(view.overlay) + 1) % len(OVERLAY_MODES)]
        self._draw()

    def action_feature(self, step: int) -> None:
        """Go to the next feature; after the last come all of them."""
        choices = (*self._features, None)
        self._feature = choices[(choices.index(self._feature) + step) % len(choices)]
        self._show_list()

    def action_filter(self) -> None:
        """Type words that a tile must fit."""
        self.query_one(FilterLine).open(self.query_one(TileList))

    def action_clear_filter(self) -> None:
        """Show all tiles again."""
        self.query_one(FilterLine).action_clear()

    def exportable(self) -> tuple[ProjectSnapshot | None, str | None, list[TileLocation]]:
        """Return what E may write: the feature chosen, and the tiles of the list."""
        return self._snapshot, self._feature, [tile.location for tile in self._tiles.values()]

    def updated_session(self, session: TuiSession) -> TuiSession:
        """Remember the feature."""
        return replace(session, feature=self._feature) if self._feature else session
