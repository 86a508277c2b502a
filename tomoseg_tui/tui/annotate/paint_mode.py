"""The list of tiles while one of them is painted: who goes in, which tile comes next, who comes out."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tomoseg_tui.core.tiles import FeatureState
from tomoseg_tui.tui.annotate.editor.edit_session import EditRequest
from tomoseg_tui.tui.annotate.editor.editor_bindings import QUICK_START
from tomoseg_tui.tui.annotate.editor.paint_editor import PaintEditor
from tomoseg_tui.tui.annotate.tile_list import TileList, state_for
from tomoseg_tui.tui.annotate.tile_pane import TilePane
from tomoseg_tui.tui.annotate.tile_view import AnnotatedTileView

LIST_ACTIONS = ("filter", "import_masks", "export_tiles", "paint", "clear_filter")
"""What waits until nobody paints any more."""


class PaintModePane(TilePane):
    """A list of work whose tiles can be painted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "paint", "Paint", id="annotate.paint", tooltip="Paint the tile; escape comes back to the list"),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._tile_order: list[str] = []
        """Tiles as they stood in the list when painting began: what is done sinks there, but not here."""

    def compose_editor(self) -> ComposeResult:
        """Make the editor."""
        yield PaintEditor()

    @property
    def editor(self) -> PaintEditor:
        """Where a tile is painted."""
        return self.query_one(PaintEditor)

    @property
    def is_painting(self) -> bool:
        """Whether a tile is on the easel."""
        return self.has_class("-painting")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave keys of the list alone while a tile is painted."""
        if self.is_painting and action in LIST_ACTIONS:
            return False
        return super().check_action(action, parameters)

    def focus_default(self) -> None:
        """Let the tile that is painted have the keys, else the list."""
        if self.is_painting:
            self.editor.canvas.focus()
        else:
            super().focus_default()

    # In and out

    def action_paint(self) -> None:
        """Put the tile under the cursor on the easel."""
        tile = self._tile
        if tile is None or not self._chosen:
            self.notify("There is no tile to paint; 2 places some.", severity="warning")
            return
        self._tile_order = list(self._tiles)
        self.add_class("-painting")
        self._open_tile_at_cursor()
        self.editor.canvas.focus()
        self.refresh_bindings()

    @on(AnnotatedTileView.Clicked)
    def paint_clicked(self) -> None:
        """Paint the tile that was clicked."""
        self.action_paint()

    @on(PaintEditor.EditorLeft)
    def close_editor(self) -> None:
        """Go back to the list."""
        self.editor.leave()
        self.remove_class("-painting")
        self.refresh_bindings()
        self.query_one(TileList).focus()
        self._load_tile(force=True)

    def _open_tile_at_cursor(self) -> None:
        tile = self._tile
        if tile is not None and self.editor.session.place != tile.location:
            project = self.tomoseg.project
            self.editor.open(EditRequest(project, tile, self._features, self._chosen, self._prediction_sources))

    # From tile to tile

    @on(PaintEditor.TileStepped)
    def step(self, event: PaintEditor.TileStepped) -> None:
        """Go to the next tile, or to the one before."""
        location = self.editor.session.place
        index = self._tile_order.index(location.id) if location is not None and location.id in self._tile_order else -1
        self._go_to(self._tile_order[index + event.step :: event.step] if index + event.step >= 0 else [])

    @on(PaintEditor.TileFinished)
    def go_to_next_unfinished(self, event: PaintEditor.TileFinished) -> None:
        """Go to the next tile that is to do, from the end of the list to its beginning."""
        index = self._tile_order.index(event.place.id) if event.place.id in self._tile_order else -1
        following = (*self._tile_order[index + 1 :], *self._tile_order[: max(0, index)])
        unfinished = [
            tile_id
            for tile_id in following
            if tile_id in self._tiles and state_for(self._tiles[tile_id], self._chosen) is FeatureState.WANTED
        ]
        if not self._go_to(unfinished, message="No tile is left to do; escape goes back to the list."):
            self.tomoseg.refresh_snapshot()

    def _go_to(self, tile_ids: Iterable[str], *, message: str = "There is no further tile.") -> bool:
        """Put the first tile that is still listed on the easel; tell whether there is one."""
        for tile_id in tile_ids:
            if self.query_one(TileList).select_tile(tile_id):
                self._open_tile_at_cursor()
                return True
        self.notify(message, timeout=4)
        return False

    @on(PaintEditor.MarksSaved)
    def reload_snapshot(self) -> None:
        """Look what painting has changed."""
        self.tomoseg.refresh_snapshot()

    def help_text(self) -> str:
        """Say how a microtubule is painted with the fewest keys."""
        return QUICK_START if self.is_painting else ""

    def unsaved_warning(self) -> str:
        """Say which strokes are not on disk, and why."""
        session = self.editor.session
        strokes = session.unsaved_strokes
        return f"{strokes} strokes cannot be written: {session.save_error}" if strokes else ""
