"""The slice browser of the Tiles tab: slices, the tile under the cursor, the list. Changes nothing in the project."""

from bisect import bisect_left, bisect_right
from dataclasses import replace
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widgets import DataTable, Static

from tomoseg_tui.core.names import ANY_FEATURE
from tomoseg_tui.core.tiles import DEFAULT_TILE_SIZE, Tile, TileLocation
from tomoseg_tui.errors import UsageError
from tomoseg_tui.render.colours import Palette
from tomoseg_tui.tui.canvas.panel import CanvasPanel
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.ask_text import AskText
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.images.tile_images import layers_palette
from tomoseg_tui.tui.images.tile_marks import (
    TileIndex,
    boxes_for_tiles,
    describe_counts,
    describe_states,
    feature_style,
    positive_features,
)
from tomoseg_tui.tui.session import TuiSession
from tomoseg_tui.tui.shared_actions.file_actions import PictureActions
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot, TomogramSnapshot
from tomoseg_tui.tui.tiles.tile_preview import PreviewRequest, TilePreview
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.filter_line import FilterLine, matches_filter
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.tomograms.sanity_checks import Oddity

LOW_ROWS, TALL_ROWS = 34, 54
"""Rows of the tab below which a tile's neighbours are beside it, and from which a tile is drawn twice as large."""
_COLUMNS = ("#", "x", "y", "z", "state", "note")
_GUIDE = (
    "No tile yet. Place 10 to 20 where the feature is clearly visible, and as many where it is absent.\n"
    "Avoid places where you are not sure. Negatives (B) show the network what only looks similar: gold, carbon, "
    "other structures.\n"
    "f or a chooses the feature, space places a tile."
)


class SliceBrowser(PictureActions):
    """A slice with its tiles on the left, the tile under the cursor and the list on the right; changes nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._snapshot: ProjectSnapshot | None = None
        self._tomogram: TomogramSnapshot | None = None
        self._neighbourhood = TileIndex((0, 0, 0), {})
        self._palette: Palette = ()
        self._listed_tiles: list[Tile] = []
        self.feature: str | None = None
        self.tile_size = DEFAULT_TILE_SIZE
        self._filter_text = ""

    def compose(self) -> ComposeResult:
        with Horizontal(id="tiles-body"):
            with CanvasPanel(id="tiles-view", classes="panel"):
                yield SliceCanvas(id="tiles-slice")
            with Vertical(id="tiles-side"):
                yield TilePreview(id="tiles-tile", classes="panel")
                with Vertical(id="tiles-list", classes="panel"):
                    yield Table(*_COLUMNS, passthrough=("select_cursor", "scroll_top"), id="tiles-table")
                    yield Static(_GUIDE, id="tiles-guide")
                    yield FilterLine(id="tiles-filter")
        yield Empty(
            "No tomogram to place tiles on",
            "Tiles are small squares of a slice, 64 x 64 pixels, from which a network learns: some with the "
            "feature, some without it. They are placed on a tomogram of this project.",
            "Press [b]1[/b] to import a tomogram.",
        )

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.height < LOW_ROWS, "-low")
        self.set_class(event.size.height >= TALL_ROWS, "-tall")

    # Snapshots

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """Show tomograms, features and tiles; keep the position of the user."""
        is_first, self._snapshot = self._snapshot is None, snapshot
        session = self.tomoseg.session
        self.set_class(not snapshot.tomograms, "-empty")
        if not snapshot.tomograms:
            self._set_tomogram(None)
            return
        self._palette = layers_palette(snapshot.features)[: len(snapshot.features)]
        if is_first:
            self.feature = session.feature
        if self.feature not in {*snapshot.features, ANY_FEATURE}:
            self.feature = next(iter(snapshot.features), None)
        tomogram_name = self._tomogram.name if self._tomogram is not None else session.tomogram
        self._set_tomogram(snapshot.tomogram(tomogram_name) or snapshot.tomograms[0])
        if is_first:
            self._restore(session)

    def _restore(self, session: TuiSession) -> None:
        """Restore the position of the last session."""
        canvas, tomogram = self._canvas, self._tomogram
        if tomogram is not None and session.tomogram == tomogram.name:
            if session.z is not None and 0 <= session.z < tomogram.record.shape_zyx[0]:
                canvas.go_to(z=session.z)
            if session.zoom is not None:
                canvas.set_zoom(session.zoom)

    @property
    def _canvas(self) -> SliceCanvas:
        return self.query_one("#tiles-slice", SliceCanvas)

    def show_tomogram(self, name: str) -> None:
        """Show another tomogram."""
        if self._snapshot is not None and self._snapshot.tomogram(name) is not None:
            self._set_tomogram(self._snapshot.tomogram(name))

    def _set_tomogram(self, tomogram: TomogramSnapshot | None) -> None:
        previous, self._tomogram = self._tomogram, tomogram
        if tomogram is None:
            self._canvas.open_volume(None)
            return
        self._neighbourhood = TileIndex.from_tiles(tomogram.tiles, tomogram.record.shape_zyx)
        if previous is None or (previous.name, previous.record) != (tomogram.name, tomogram.record):
            layout = self.tomoseg.project.layout
            path = layout.tomogram_folder(tomogram.name) / tomogram.record.file  # the path of a link is absolute
            self._canvas.open_volume(path, name=tomogram.name, byte_sign=tomogram.record.byte_sign)
        self._show_list()
        self._show_tile_at_cursor()
        self.query_one(TilePreview).reload()

    # The list

    def _show_list(self) -> None:
        tomogram = self._tomogram
        if tomogram is None:
            return
        rows = [(tile, self._cells(number, tile)) for number, tile in enumerate(tomogram.tiles, start=1)]
        shown = [
            (tile, cells)
            for tile, cells in rows
            if matches_filter(f"{' '.join(cells)} {_state_text(tile)}", self._filter_text)
        ]
        self._listed_tiles = [tile for tile, _ in shown]
        self.query_one("#tiles-table", Table).show_rows([(tile.location.id, cells) for tile, cells in shown])
        count_note = f" ({len(shown)} listed)" if self._filter_text else ""
        self.query_one("#tiles-list").border_title = describe_counts(tomogram.tiles, self._palette) + count_note
        self.set_class(not tomogram.tiles, "-no-tiles")

    def _cells(self, number: int, tile: Tile) -> tuple[str, ...]:
        location = tile.location
        note = ", ".join(dict.fromkeys(oddity.label for oddity in self._oddities(tile)))
        size = f" {location.size} px" if location.size != DEFAULT_TILE_SIZE else ""
        states = describe_states(tile, self._palette) + size
        return str(number), str(location.x), str(location.y), str(location.z), states, note

    def _oddities(self, tile: Tile) -> tuple[Oddity, ...]:
        return self._neighbourhood.oddities(tile.location, next(iter(positive_features(tile)), None))

    @on(FilterLine.Filtered)
    def filter_list(self, event: FilterLine.Filtered) -> None:
        """List the matching tiles."""
        self._filter_text = event.text
        self._show_list()

    def action_search(self) -> None:
        self.query_one(FilterLine).open(self.query_one("#tiles-table"))

    @on(DataTable.RowHighlighted, "#tiles-table")
    def follow_list(self) -> None:
        """Follow the cursor of the list if the user moves it."""
        table = self.query_one("#tiles-table", Table)
        if table.has_focus and table.index < len(self._listed_tiles):
            self._go_to_tile(self._listed_tiles[table.index])

    def _go_to_tile(self, tile: Tile) -> None:
        location = tile.location
        self._canvas.go_to(z=location.z, y=location.y, x=location.x)
        self._show_tile_at_cursor()

    def action_step(self, step: int) -> None:
        if not self._listed_tiles:
            self.notify("No tile is listed.", severity="warning", timeout=3)
            return
        canvas = self._canvas
        centres_zyx = [(tile.location.z, tile.location.y, tile.location.x) for tile in self._listed_tiles]
        cursor_zyx = (canvas.z, *canvas.cursor_yx)
        index = bisect_right(centres_zyx, cursor_zyx) if step > 0 else bisect_left(centres_zyx, cursor_zyx) - 1
        self._go_to_tile(self._listed_tiles[index % len(centres_zyx)])

    # The cursor

    @on(SliceCanvas.Moved, "#tiles-slice")
    def follow_cursor(self) -> None:
        """Show the tile at the cursor, placed or not."""
        self._show_tile_at_cursor()

    def _place_at_cursor(self) -> TileLocation | None:
        """Return the location of a tile at the cursor; None outside the volume."""
        if self._tomogram is None:
            return None
        location = TileLocation(self._tomogram.name, self._canvas.z, *self._canvas.cursor_yx, self.tile_size)
        return location if location.is_centred_in(self._tomogram.record.shape_zyx) else None

    @property
    def tile_at_cursor(self) -> Tile | None:
        """The tile that is centred on the cursor."""
        return self._neighbourhood.tile_at(self._canvas.z, *self._canvas.cursor_yx)

    def _show_tile_at_cursor(self) -> None:
        tomogram, tile, location = self._tomogram, self.tile_at_cursor, self._place_at_cursor()
        if tomogram is None or self._snapshot is None:
            return
        self._canvas.set_boxes(
            boxes_for_tiles(tomogram.tiles, self._palette, tile.location if tile is not None else None)
        )
        self._update_title()
        if tile is not None:
            self.query_one("#tiles-table", Table).select(tile.location.id)
        preview_tile = tile or (Tile(location, {}) if location is not None else None)
        if preview_tile is None:
            self.query_one(TilePreview).show_tile(None)
            return
        self.query_one(TilePreview).show_tile(
            PreviewRequest(
                self.tomoseg.project,
                preview_tile,
                self._snapshot.features,
                self._describe_states(tile),
                self._warning_lines(preview_tile),
            )
        )

    def _describe_states(self, tile: Tile | None) -> str:
        if tile is not None:
            return ", ".join(f"{feature}: {state}" for feature, state in tile.states.items())
        return f"no tile: space places {self.feature}" if self.feature else "no tile: space places one"

    def _warning_lines(self, tile: Tile) -> tuple[str, ...]:
        oddities = self._oddities(tile) if tile.states else self._neighbourhood.oddities(tile.location, self.feature)
        return tuple(dict.fromkeys(f"! {oddity.label}: {oddity.text}" for oddity in oddities))

    def _update_title(self) -> None:
        canvas, tomogram = self._canvas, self._tomogram
        if tomogram is None:
            return
        y, x = canvas.cursor_yx
        zoom = f"{canvas.zoom:.3g}:1" if canvas.zoom >= 1 else f"1:{1 / max(canvas.zoom, 1e-3):.3g}"
        view = self.query_one("#tiles-view")
        view.border_title = f"{tomogram.name}  z {canvas.z}/{tomogram.record.shape_zyx[0]}  y {y}  x {x}  {zoom}"
        style = feature_style(self.feature or "", self._palette)
        feature_text = f"{style.letter} {self.feature}" if self.feature else "no feature yet: a adds one"
        view.border_subtitle = f"{feature_text}  {self.tile_size} px"

    def action_go_to(self) -> None:
        tomogram = self._tomogram
        if tomogram is None:
            return
        nz, ny, nx = tomogram.record.shape_zyx

        def check(text: str) -> None:
            _parse_voxel(text, tomogram.record.shape_zyx)

        def go_to_voxel(text: str | None) -> None:
            if text:
                z, y, x = _parse_voxel(text, tomogram.record.shape_zyx)
                self._canvas.go_to(z=z, y=y, x=x)
                self._show_tile_at_cursor()

        hint = f"x,y,z such as 388,512,143; x up to {nx - 1}, y up to {ny - 1}, z up to {nz - 1}. z is optional."
        self.app.push_screen(AskText("Go to", hint, check=check), go_to_voxel)

    def action_pick_tomogram(self) -> None:
        if self._snapshot is None or not self._snapshot.tomograms:
            return
        choices = [(t.name, f"{len(t.tiles)} tiles") for t in self._snapshot.tomograms]
        chosen = self._tomogram.name if self._tomogram is not None else None

        def on_choice(name: str | None) -> None:
            if name is not None:
                self.show_tomogram(name)

        self.app.push_screen(Pick("Tomogram", choices, chosen=chosen), on_choice)

    # For the app

    def updated_session(self, session: TuiSession) -> TuiSession:
        """Return the session with tomogram, slice, zoom and feature."""
        if self._tomogram is None:
            return session
        canvas = self._canvas
        return replace(session, tomogram=self._tomogram.name, z=canvas.z, zoom=canvas.zoom, feature=self.feature)


def _state_text(tile: Tile) -> str:
    return " ".join(f"{feature} {state}" for feature, state in tile.states.items())


def _parse_voxel(text: str, shape_zyx: tuple[int, int, int]) -> tuple[int | None, int, int]:
    """Parse ``x,y,z`` or ``x,y``; return z, y, x.

    Raises
    ------
    UsageError
        If it is not valid, or lies outside the volume.
    """
    parts = text.replace(",", " ").split()
    if len(parts) not in {2, 3} or not all(part.isdecimal() for part in parts):
        raise UsageError(f"{text!r} is not a voxel.", "Type x,y,z, such as 388,512,143.")
    x, y, *z_parts = (int(part) for part in parts)
    nz, ny, nx = shape_zyx
    if x >= nx or y >= ny or (z_parts and z_parts[0] >= nz):
        raise UsageError(f"{text} lies outside the volume.", f"x ranges up to {nx - 1}, y to {ny - 1}, z to {nz - 1}.")
    return (z_parts[0] if z_parts else None), y, x
