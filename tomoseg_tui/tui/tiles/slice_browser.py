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
from tomoseg_tui.core.tiles import DEFAULT_TILE, Place, Tile
from tomoseg_tui.errors import UsageError
from tomoseg_tui.render.overlay import Palette
from tomoseg_tui.tui.canvas.panel import CanvasPanel
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.ask_text import Ask
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.images.tile_images import layers_palette
from tomoseg_tui.tui.images.tile_marks import (
    Neighbourhood,
    boxes_of,
    counts_in_words,
    positives,
    states_in_words,
    style_of,
)
from tomoseg_tui.tui.session import Session
from tomoseg_tui.tui.shared_actions.file_actions import PictureKeys
from tomoseg_tui.tui.state.snapshot import Facts, TomogramFacts
from tomoseg_tui.tui.tiles.tile_preview import TilePreview, Wanted
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.filter_line import FilterLine, fits
from tomoseg_tui.tui.widgets.giving_table import GivingTable
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.volume_names import byte_sign_of

LOW_ROWS, TALL_ROWS = 34, 54
"""Rows of the tab below which a tile's neighbours stand beside it, and from which a tile is drawn twice as large."""
_COLUMNS = ("#", "x", "y", "z", "state", "note")
_GUIDE = (
    "No tile yet. Place 10 to 20 where the feature is plain to see, and as many where it is not.\n"
    "A good tile leaves no doubt: what you cannot decide stays out. Negatives (B) teach what only looks alike: gold, "
    "carbon, other structures.\n"
    "f or a chooses the feature, space places."
)


class TileBrowser(PictureKeys):
    """Left a slice with its tiles, right the tile under the cursor and the list; changes nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._facts: Facts | None = None
        self._tomogram: TomogramFacts | None = None
        self._around = Neighbourhood((0, 0, 0), {})
        self._palette: Palette = ()
        self._listed: list[Tile] = []
        self.feature: str | None = None
        self.tile_size = DEFAULT_TILE
        self._words = ""

    def compose(self) -> ComposeResult:
        """Make the slice, the tile and the list."""
        with Horizontal(id="tiles-body"):
            with CanvasPanel(id="tiles-view", classes="panel"):
                yield SliceCanvas(id="tiles-slice")
            with Vertical(id="tiles-side"):
                yield TilePreview(id="tiles-tile", classes="panel")
                with Vertical(id="tiles-list", classes="panel"):
                    yield GivingTable(*_COLUMNS, gives=("select_cursor", "scroll_top"), id="tiles-table")
                    yield Static(_GUIDE, id="tiles-guide")
                    yield FilterLine(id="tiles-filter")
        yield Empty(
            "No tomogram to place tiles on",
            "Tiles are small squares of a slice, 64 x 64 pixels, from which a network learns: some that hold the "
            "feature, some that hold none of it. They are placed on a tomogram of this project.",
            "Press [b]1[/b] to import a tomogram.",
        )

    def on_resize(self, event: Resize) -> None:
        """Lay the tile out by the rows there are."""
        self.set_class(event.size.height < LOW_ROWS, "-low")
        self.set_class(event.size.height >= TALL_ROWS, "-tall")

    # Facts

    def show_facts(self, facts: Facts) -> None:
        """Take over tomograms, features and tiles; stay where the user is."""
        first, self._facts = self._facts is None, facts
        session = self.tomoseg.session
        self.set_class(not facts.tomograms, "-empty")
        if not facts.tomograms:
            self._take(None)
            return
        self._palette = layers_palette(facts.features)[: len(facts.features)]
        if first:
            self.feature = session.feature
        if self.feature not in {*facts.features, ANY_FEATURE}:
            self.feature = next(iter(facts.features), None)
        wanted = self._tomogram.name if self._tomogram is not None else session.tomogram
        self._take(facts.tomogram(wanted) or facts.tomograms[0])
        if first:
            self._restore(session)

    def _restore(self, session: Session) -> None:
        """Return to where the project was left."""
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
        """Open another tomogram."""
        if self._facts is not None and self._facts.tomogram(name) is not None:
            self._take(self._facts.tomogram(name))

    def _take(self, tomogram: TomogramFacts | None) -> None:
        before, self._tomogram = self._tomogram, tomogram
        if tomogram is None:
            self._canvas.open_volume(None)
            return
        self._around = Neighbourhood.of(tomogram.tiles, tomogram.record.shape_zyx)
        if before is None or (before.name, before.record) != (tomogram.name, tomogram.record):
            layout = self.tomoseg.project.layout
            path = layout.tomogram_folder(tomogram.name) / tomogram.record.file  # that of a link is absolute
            self._canvas.open_volume(path, name=tomogram.name, byte_sign=byte_sign_of(tomogram.record))
        self._show_list()
        self._show_here()
        self.query_one(TilePreview).look_again()

    # The list

    def _show_list(self) -> None:
        tomogram = self._tomogram
        if tomogram is None:
            return
        rows = [(tile, self._cells(number, tile)) for number, tile in enumerate(tomogram.tiles, start=1)]
        shown = [(tile, cells) for tile, cells in rows if fits(f"{' '.join(cells)} {_names(tile)}", self._words)]
        self._listed = [tile for tile, _ in shown]
        self.query_one("#tiles-table", Table).show_rows([(tile.place.id, cells) for tile, cells in shown])
        only = f" ({len(shown)} listed)" if self._words else ""
        self.query_one("#tiles-list").border_title = counts_in_words(tomogram.tiles, self._palette) + only
        self.set_class(not tomogram.tiles, "-no-tiles")

    def _cells(self, number: int, tile: Tile) -> tuple[str, ...]:
        place = tile.place
        note = ", ".join(dict.fromkeys(oddity.word for oddity in self._oddities(tile)))
        size = f" {place.size} px" if place.size != DEFAULT_TILE else ""
        states = states_in_words(tile, self._palette) + size
        return str(number), str(place.x), str(place.y), str(place.z), states, note

    def _oddities(self, tile: Tile) -> tuple[Any, ...]:
        return self._around.odd(tile.place, next(iter(positives(tile)), None))

    @on(FilterLine.Filtered)
    def take_words(self, event: FilterLine.Filtered) -> None:
        """List what fits."""
        self._words = event.words
        self._show_list()

    def action_search(self) -> None:
        """Filter the list by words."""
        self.query_one(FilterLine).open(self.query_one("#tiles-table"))

    @on(DataTable.RowHighlighted, "#tiles-table")
    def follow_list(self, event: DataTable.RowHighlighted) -> None:
        """Go where the list's cursor goes, if it is the user who moves it."""
        table = self.query_one("#tiles-table", Table)
        if table.has_focus and 0 <= event.cursor_row < len(self._listed):
            self._go_to_tile(self._listed[event.cursor_row])

    def _go_to_tile(self, tile: Tile) -> None:
        place = tile.place
        self._canvas.go_to(z=place.z, y=place.y, x=place.x)
        self._show_here()

    def action_step(self, step: int) -> None:
        """Go to the next tile of the list, or the one before."""
        if not self._listed:
            self.notify("No tile is listed here.", severity="warning", timeout=3)
            return
        canvas = self._canvas
        places = [(tile.place.z, tile.place.y, tile.place.x) for tile in self._listed]
        here = (canvas.z, *canvas.cursor_yx)
        index = bisect_right(places, here) if step > 0 else bisect_left(places, here) - 1
        self._go_to_tile(self._listed[index % len(places)])

    # Where the cursor is

    @on(SliceCanvas.Moved, "#tiles-slice")
    def follow_cursor(self) -> None:
        """Show the tile that is or would be under the cursor."""
        self._show_here()

    def _place(self) -> Place | None:
        """Return the place of a tile at the cursor; None outside of the volume."""
        if self._tomogram is None:
            return None
        place = Place(self._tomogram.name, self._canvas.z, *self._canvas.cursor_yx, self.tile_size)
        return place if place.lies_in(self._tomogram.record.shape_zyx) else None

    @property
    def tile_here(self) -> Tile | None:
        """The tile whose centre the cursor is on."""
        return self._around.at(self._canvas.z, *self._canvas.cursor_yx)

    def _show_here(self) -> None:
        tomogram, tile, place = self._tomogram, self.tile_here, self._place()
        if tomogram is None or self._facts is None:
            return
        self._canvas.set_boxes(boxes_of(tomogram.tiles, self._palette, tile.place if tile is not None else None))
        self._title()
        if tile is not None:
            self._point_list_at(tile)
        shown = tile or (Tile(place, {}) if place is not None else None)
        if shown is None:
            self.query_one(TilePreview).look_at(None)
            return
        self.query_one(TilePreview).look_at(
            Wanted(self.tomoseg.project, shown, self._facts.features, self._said(tile), self._odd_lines(shown))
        )

    def _said(self, tile: Tile | None) -> str:
        if tile is not None:
            return ", ".join(f"{feature}: {state}" for feature, state in tile.states.items())
        return f"no tile: space places {self.feature}" if self.feature else "no tile: space places one"

    def _odd_lines(self, tile: Tile) -> tuple[str, ...]:
        odd = self._oddities(tile) if tile.states else self._around.odd(tile.place, self.feature)
        return tuple(dict.fromkeys(f"! {oddity.word}: {oddity.text}" for oddity in odd))

    def _point_list_at(self, tile: Tile) -> None:
        ids = [listed.place.id for listed in self._listed]
        table = self.query_one("#tiles-table", Table)
        if tile.place.id in ids and table.row_key != tile.place.id:
            table.move_cursor(row=ids.index(tile.place.id), animate=False)

    def _title(self) -> None:
        canvas, tomogram = self._canvas, self._tomogram
        if tomogram is None:
            return
        y, x = canvas.cursor_yx
        zoom = f"{canvas.zoom:.3g}:1" if canvas.zoom >= 1 else f"1:{1 / max(canvas.zoom, 1e-3):.3g}"
        view = self.query_one("#tiles-view")
        view.border_title = f"{tomogram.name}  z {canvas.z}/{tomogram.record.shape_zyx[0]}  y {y}  x {x}  {zoom}"
        style = style_of(self.feature or "", self._palette)
        named = f"{style.letter} {self.feature}" if self.feature else "no feature yet: a names one"
        view.border_subtitle = f"{named}  {self.tile_size} px"

    def action_go_to(self) -> None:
        """Ask for a voxel and go there."""
        tomogram = self._tomogram
        if tomogram is None:
            return
        nz, ny, nx = tomogram.record.shape_zyx

        def check(text: str) -> None:
            _voxel(text, tomogram.record.shape_zyx)

        def go(text: str | None) -> None:
            if text:
                z, y, x = _voxel(text, tomogram.record.shape_zyx)
                self._canvas.go_to(z=z, y=y, x=x)
                self._show_here()

        hint = f"x,y,z such as 388,512,143; x to {nx - 1}, y to {ny - 1}, z to {nz - 1}. z may be left out."
        self.app.push_screen(Ask("Go to", hint, check=check), go)

    def action_pick_tomogram(self) -> None:
        """Pick another tomogram by its name."""
        if self._facts is None or not self._facts.tomograms:
            return
        choices = [(t.name, f"{len(t.tiles)} tiles") for t in self._facts.tomograms]
        chosen = self._tomogram.name if self._tomogram is not None else None

        def take(name: str | None) -> None:
            if name is not None:
                self.show_tomogram(name)

        self.app.push_screen(Pick("Tomogram", choices, chosen=chosen), take)

    # The frame asks

    def session(self, session: Session) -> Session:
        """Return the session with tomogram, slice, zoom and feature."""
        if self._tomogram is None:
            return session
        canvas = self._canvas
        return replace(session, tomogram=self._tomogram.name, z=canvas.z, zoom=canvas.zoom, feature=self.feature)


def _names(tile: Tile) -> str:
    return " ".join(f"{feature} {state}" for feature, state in tile.states.items())


def _voxel(text: str, shape_zyx: tuple[int, int, int]) -> tuple[int | None, int, int]:
    """Read ``x,y,z`` or ``x,y``; return z, y, x.

    Raises
    ------
    UsageError
        If it is something else, or lies outside of the volume.
    """
    parts = text.replace(",", " ").split()
    if len(parts) not in {2, 3} or not all(part.isdecimal() for part in parts):
        raise UsageError(f"{text!r} is no voxel.", "Type x,y,z, such as 388,512,143.")
    x, y, *rest = (int(part) for part in parts)
    nz, ny, nx = shape_zyx
    if x >= nx or y >= ny or (rest and rest[0] >= nz):
        raise UsageError(f"{text} lies outside.", f"x goes to {nx - 1}, y to {ny - 1}, z to {nz - 1}.")
    return (rest[0] if rest else None), y, x
