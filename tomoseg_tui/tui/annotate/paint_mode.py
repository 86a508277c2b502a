"""The list of tiles while one of them is painted: who goes in, which tile comes next, who comes out."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tomoseg_tui.core.tiles import FeatureState
from tomoseg_tui.tui.annotate.editor.edit_session import Desk, Subject
from tomoseg_tui.tui.annotate.editor.editor_bindings import QUICK_WAY
from tomoseg_tui.tui.annotate.editor.paint_editor import Easel
from tomoseg_tui.tui.annotate.editor.toolbox import Toolbox
from tomoseg_tui.tui.annotate.tile_list import TileList, state_for
from tomoseg_tui.tui.annotate.tile_pane import TileWork
from tomoseg_tui.tui.annotate.tile_view import TileAround, TileView

LIST_ACTIONS = ("filter", "import_masks", "lend", "paint", "clear_filter")
"""What waits until nobody paints any more."""


class TilePainting(TileWork):
    """A list of work whose tiles can be painted."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "paint", "Paint", id="annotate.paint", tooltip="Paint the tile; escape comes back to the list"),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._beside: Desk.Looked | None = None
        self._order: list[str] = []
        """Tiles as they stood in the list when painting began: what is done sinks there, but not here."""

    def compose_desk(self) -> ComposeResult:
        """Make the easel and the tools."""
        yield Easel(id="annotate-easel")
        yield Toolbox(id="annotate-tools")

    def on_mount(self) -> None:
        """Let the easel show in the toolbox what is in hand."""
        self.easel.toolbox = self.query_one(Toolbox)

    @property
    def easel(self) -> Easel:
        """Where a tile is painted."""
        return self.query_one(Easel)

    @property
    def is_painting(self) -> bool:
        """Whether a tile is on the easel."""
        return self.has_class("-painting")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave keys of the list alone while a tile is painted."""
        if self.is_painting and action in LIST_ACTIONS:
            return False
        return super().check_action(action, parameters)

    def take_focus(self) -> None:
        """Let the tile that is painted have the keys, else the list."""
        if self.is_painting:
            self.easel.canvas.focus()
        else:
            super().take_focus()

    # In and out

    def action_paint(self) -> None:
        """Put the tile under the cursor on the easel."""
        tile = self._tile
        if tile is None or not self._chosen:
            self.notify("There is no tile to paint; 2 places some.", severity="warning")
            return
        self._order = list(self._tiles)
        self.add_class("-painting")
        self._open_here()
        self.easel.canvas.focus()
        self.refresh_bindings()

    @on(TileView.Clicked)
    def paint_clicked(self) -> None:
        """Paint the tile that was clicked."""
        self.action_paint()

    @on(Easel.Left)
    def leave_easel(self) -> None:
        """Go back to the list."""
        self.easel.leave()
        self.remove_class("-painting")
        self.refresh_bindings()
        self.query_one(TileList).focus()
        self._look(again=True)

    def _open_here(self) -> None:
        tile = self._tile
        if tile is not None and self.easel.place != tile.place:
            project = self.tomoseg.project
            self.easel.open(Subject(project, tile, self._features, self._chosen, self._advisers))

    @on(Desk.Looked)
    def show_beside(self, event: Desk.Looked) -> None:
        """Show the slices beside the tile through the same filter."""
        self._beside = event
        self._draw()

    def _draw(self) -> None:
        """Draw what was read, and over it what is seen through a filter."""
        super()._draw()
        if self.is_painting and self._beside is not None and self.easel.place is not None:
            self.query_one(TileAround).show_beside(self._beside.below, self._beside.above, self.easel.place.z)

    # From tile to tile

    @on(Easel.Stepped)
    def step(self, event: Easel.Stepped) -> None:
        """Go to the next tile, or to the one before."""
        place = self.easel.place
        here = self._order.index(place.id) if place is not None and place.id in self._order else -1
        self._go_to(self._order[here + event.step :: event.step] if here + event.step >= 0 else [])

    @on(Easel.Finished)
    def go_on(self, event: Easel.Finished) -> None:
        """Go to the next tile that is to do, from the end of the list to its beginning."""
        here = self._order.index(event.place.id) if event.place.id in self._order else -1
        ahead = (*self._order[here + 1 :], *self._order[: max(0, here)])
        to_do = [
            tile_id
            for tile_id in ahead
            if tile_id in self._tiles and state_for(self._tiles[tile_id], self._chosen) is FeatureState.WANTED
        ]
        if not self._go_to(to_do, words="No tile is left to do; escape goes back to the list."):
            self.tomoseg.look_now()

    def _go_to(self, wanted: Iterable[str], *, words: str = "There is no further tile.") -> bool:
        """Put the first tile that is still listed on the easel; tell whether there is one."""
        for tile_id in wanted:
            if self.query_one(TileList).point_at(tile_id):
                self._open_here()
                return True
        self.notify(words, timeout=4)
        return False

    @on(Desk.Changed)
    def take_painted(self) -> None:
        """Look what painting has changed."""
        self.tomoseg.look_now()

    @on(Toolbox.Resized)
    def fill_tools(self) -> None:
        """Show the tools in their new room."""
        self.easel.say()

    @on(Toolbox.ToolChosen)
    def take_tool(self, event: Toolbox.ToolChosen) -> None:
        """Hand on what was clicked."""
        self.easel.choose_tool(event)

    @on(Toolbox.ValueChosen)
    def take_value(self, event: Toolbox.ValueChosen) -> None:
        """Hand on what was clicked."""
        self.easel.choose_value(event)

    def help_words(self) -> str:
        """Say how a microtubule is painted with the fewest keys."""
        return QUICK_WAY if self.is_painting else ""

    def unwritten(self) -> str:
        """Say which strokes are not on disk, and why."""
        return self.easel.unwritten()
