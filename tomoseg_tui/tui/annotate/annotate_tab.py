"""The Annotate tab: mark, paint, export and import tiles."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal
from textual.events import Resize
from textual.widgets import ContentSwitcher

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.tiles import ANNOTATIONS_SET
from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.editor.edit_session import EditRequest
from tomoseg_tui.tui.annotate.editor.editor_bindings import QUICK_START
from tomoseg_tui.tui.annotate.editor.paint_editor import PaintEditor
from tomoseg_tui.tui.annotate.export_dialog import ExportSelection, ExportTilesDialog
from tomoseg_tui.tui.annotate.import_masks_dialog import ImportMasksDialog
from tomoseg_tui.tui.annotate.mask_files import MaskImportChoice
from tomoseg_tui.tui.annotate.tile_list import TileList, features_to_finish, state_for
from tomoseg_tui.tui.annotate.tile_pane import TilePane
from tomoseg_tui.tui.annotate.tile_view import AnnotatedTileView
from tomoseg_tui.tui.dialogs.confirm import ask_first
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.images.tile_images import TileImages
from tomoseg_tui.tui.session import TuiSession
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.tab_base import Tab, hidden_key
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.filter_line import FilterLine
from tomoseg_tui.workflow.annotations.import_annotations import AnnotationResult, set_done, set_none_here

WHY_ANNOTATE = (
    "Here you mark, pixel by pixel, where a feature is on small tiles of your tomograms; a network learns from them. "
    "Import a tomogram first."
)
WHY_TILES = (
    "A tile is a small square in one slice. Ten to twenty with the feature and as many without suffice for a first "
    "network. Good tiles show the feature clearly and differ from each other; those without matter just as much: "
    "they show what only looks similar.\n\nMark density that you are not sure about as [b]ignore[/b]. It is "
    "not used for training, which is better than a wrong label."
)
ROOMY_COLUMNS, VAST_COLUMNS, BROAD_COLUMNS, HUGE_COLUMNS, ROOMY_ROWS = 110, 160, 196, 244, 30
"""Sizes of the tab from which more is shown: from broad, the painted tile has 128 columns beside the slices above
and below it; from huge, the list is shown as well."""
LIST_ACTIONS = ("filter", "import_masks", "export_tiles", "paint", "clear_filter")
"""Actions that are disabled while a tile is painted."""


@final
class AnnotateTab(Tab):
    """The list of tiles, and the editor that paints them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        hidden_key(
            "E",
            "export_tiles",
            "Export",
            "annotate.export",
            "Write tiles or slices for napari, Fiji, 3dmod or EMAN2; I imports the painted masks",
        ),
        Binding("f", "feature(1)", "Feature", id="annotate.feature", tooltip="Choose the next feature, or all"),
        hidden_key("F", "feature(-1)", "", "annotate.feature_back", "Choose the previous feature, or all"),
        hidden_key("o", "overlay", "View", "annotate.overlay", "Annotation as overlay, outline, or off"),
        Binding("slash", "filter", "Filter", id="annotate.filter", tooltip="Show only matching tiles"),
        hidden_key("escape", "clear_filter", "", "annotate.clear", "Show all tiles again"),
        Binding("p", "paint", "Paint", id="annotate.paint", tooltip="Paint the tile; escape returns to the list"),
        Binding(
            "enter",
            "done",
            "Done",
            id="annotate.done",
            tooltip="Mark the tile done for the chosen feature: unmarked pixels are not the feature",
        ),
        Binding("B", "none_here", "None", id="annotate.none", tooltip="Mark that the tile has none of it"),
        Binding("I", "import_masks", "Masks", id="annotate.import", tooltip="Import masks or a label volume"),
    ]

    def __init__(self, *, id: str) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._paint_order: list[str] = []
        """The tiles in the order of the list when painting started: the list itself moves done ones to the end."""

    def compose(self) -> ComposeResult:
        with ContentSwitcher(initial="annotate-no-tomograms", id="annotate-pages"):
            yield Container(
                Empty("Nothing to annotate yet", WHY_ANNOTATE, "Press [b]1[/b] to import a tomogram."),
                id="annotate-no-tomograms",
            )
            yield Container(
                Empty("No tile to annotate yet", WHY_TILES, "Press [b]2[/b] to place tiles."), id="annotate-no-tiles"
            )
            with Horizontal(id="annotate-desk"):
                yield TilePane()
                yield PaintEditor()

    def on_resize(self, event: Resize) -> None:
        """Show more in a larger terminal."""
        width, roomy = event.size.width, event.size.height >= ROOMY_ROWS
        self.set_class(roomy and ROOMY_COLUMNS <= width < VAST_COLUMNS, "-roomy")
        self.set_class(roomy and width >= VAST_COLUMNS, "-vast")
        self.set_class(roomy and width >= BROAD_COLUMNS, "-broad")
        self.set_class(roomy and width >= HUGE_COLUMNS, "-huge")

    @property
    def pane(self) -> TilePane:
        """The list and the preview."""
        return self.query_one(TilePane)

    @property
    def editor(self) -> PaintEditor:
        """The editor that paints a tile."""
        return self.query_one(PaintEditor)

    @property
    def is_painting(self) -> bool:
        """Whether the editor is shown."""
        return self.has_class("-painting")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the keys of the list while a tile is painted."""
        if self.is_painting and action in LIST_ACTIONS:
            return False
        return super().check_action(action, parameters)

    # For the app

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """Show the tiles, or why there are none."""
        pages = self.query_one("#annotate-pages", ContentSwitcher)
        has_tiles, had_tiles = bool(snapshot.all_tiles), pages.current == "annotate-desk"
        no_tiles = "annotate-no-tiles" if snapshot.tomograms else "annotate-no-tomograms"
        pages.current = "annotate-desk" if has_tiles else no_tiles
        self.pane.show_snapshot(snapshot, self.tomoseg.session.feature)
        if has_tiles and not had_tiles and self.tomoseg.open_tab is self and self.screen.focused is None:
            self.focus_default()

    def focus_default(self) -> None:
        """Focus the editor while it is shown, else the list, if it is visible."""
        if self.is_painting:
            self.editor.canvas.focus()
        elif self.query_one("#annotate-pages", ContentSwitcher).current == "annotate-desk":
            self.query_one(TileList).focus()

    def command_argv(self) -> list[str] | None:
        """Return the command that marks the tile under the cursor done."""
        tile = self.pane.tile
        features = features_to_finish(tile, self.pane.chosen) if tile is not None else []
        return _set_state_argv(tile, features[0], "done") if tile is not None and features else None

    def help_text(self) -> str:
        """Return how to paint a microtubule with the fewest keys."""
        return QUICK_START if self.is_painting else ""

    def unsaved_warning(self) -> str:
        """Return which strokes are not on disk, and why."""
        strokes, reason = self.editor.session.unsaved_strokes, self.editor.session.save_error
        return f"{strokes} strokes cannot be written: {reason}" if strokes else ""

    def updated_session(self, session: TuiSession) -> TuiSession:
        """Add the feature to the session."""
        return replace(session, feature=self.pane.feature) if self.pane.feature else session

    def show_tile(self, tile_id: str, feature: str) -> bool:
        """Choose a feature and go to a tile; return whether it is listed."""
        return self.pane.select_tile(tile_id, feature)

    # The list

    def action_feature(self, step: int) -> None:
        self.pane.next_feature(step)

    def action_overlay(self) -> None:
        self.pane.next_overlay()

    def action_filter(self) -> None:
        self.query_one(FilterLine).open(self.query_one(TileList))

    def action_clear_filter(self) -> None:
        self.query_one(FilterLine).action_clear()

    # Marking

    def action_done(self) -> None:
        """Mark the tile done; ask first if no pixel of it is marked."""
        tile, pictures = self.pane.tile, self.pane.pictures
        if tile is None:
            return
        if pictures is None or pictures.tile.location != tile.location:
            self.notify("The tile is still being read; press again.", severity="warning")
            return
        features = features_to_finish(tile, self.pane.chosen)
        unmarked = [feature for feature in features if not _marked_pixels(pictures, feature)]
        if not features:
            self.notify(f"{tile.location.id} is not placed for any feature, so it cannot be marked done.")
            return
        text = (
            f"No pixel of {' and '.join(unmarked)} is marked on {tile.location.id}. Done means that you checked the "
            "whole tile. If the feature is absent, mark it with B instead."
        )
        mark = partial(self._mark, tile, features, "done", set_done)
        ask_first(self.app, "Mark it done anyway?", text if unmarked else "", "Mark done", mark)

    def action_none_here(self) -> None:
        """Mark that the tile has none; ask first if something is marked on it."""
        tile, pictures = self.pane.tile, self.pane.pictures
        if tile is None:
            return
        features = [f for f in self.pane.chosen if tile.state_of(f) is not FeatureState.NONE_HERE]
        if self.pane.feature is None:
            features = [f for f in features if tile.state_of(f) is not FeatureState.ANNOTATED]
        marked = [f for f in features if pictures is None or _marked_pixels(pictures, f)]
        if not features:
            self.notify(f"Nothing to change: {tile.location.id} is annotated, or already marked as none.")
            return
        text = f"{' and '.join(marked)} is marked on {tile.location.id}. The annotation is moved to the trash."
        mark = partial(self._mark, tile, features, "none", set_none_here)
        ask_first(self.app, "Mark that it has none?", text if marked else "", "None here", mark)

    def _mark(
        self,
        tile: Tile,
        features: Sequence[str],
        state: str,
        set_state: Callable[[Project, TileLocation, str], object],
    ) -> None:
        project = self.tomoseg.project
        for feature in features:
            task = partial(set_state, project, tile.location, feature)
            argv = _set_state_argv(tile, feature, state)
            # No title, hence no notification: list and tile show it, and it would cover the slices beside the tile.
            self.tomoseg.run_in_thread("", argv, task, lambda _result: self.pane.load_tile(force=True))
        if state_for(tile, self.pane.chosen) is FeatureState.WANTED:
            self.query_one(TileList).action_cursor_down()  # the tile will move down in the list

    # Files

    def action_import_masks(self) -> None:
        pane = self.pane
        if pane.snapshot is None:
            return
        project = self.tomoseg.project

        def import_masks(choice: MaskImportChoice | None) -> None:
            if choice is not None:
                self.notify(f"Importing {choice.path.name} ...", timeout=3)
                self.tomoseg.run_in_thread("", choice.argv(), partial(choice.run_import, project), self._show_import)

        listed = [tile.location for tile in pane.snapshot.all_tiles if tile.location.id in pane.tiles]
        tomogram = pane.tile.location.tomogram if pane.tile is not None else None
        dialog = ImportMasksDialog(pane.snapshot, tomogram=tomogram, feature=pane.feature, listed_places=listed)
        self.app.push_screen(dialog, import_masks)

    def _show_import(self, result: AnnotationResult) -> None:
        """Read the tile again; report what the import has done and left, and why."""
        self.pane.load_tile(force=True)
        self.notify(" ".join([_summary(result), *result.interpretations]), timeout=4)
        new_feature_lines = [f"The feature {feature} was added." for feature in result.new_features]
        lines = [*new_feature_lines, *result.remarks, *result.skipped]
        if lines:
            self.app.push_screen(ReportDialog("Annotations imported", _summary(result), lines))

    def action_export_tiles(self) -> None:
        pane, project = self.pane, self.tomoseg.project
        listed = [tile.location for tile in pane.tiles.values()]
        if pane.snapshot is None or not listed:
            self.notify("There is no tile to export yet.", severity="warning")
            return

        def export(selection: ExportSelection | None) -> None:
            if selection is not None:
                self.notify(f"Writing {selection.path.name} ...", timeout=3)
                self.tomoseg.run_in_thread("", None, partial(selection.run_export, project))

        dialog = ExportTilesDialog(
            pane.snapshot, feature=pane.feature, listed_places=listed, tomogram=listed[0].tomogram
        )
        self.app.push_screen(dialog, export)

    # Painting

    def action_paint(self) -> None:
        if self.pane.tile is None or not self.pane.chosen:
            self.notify("There is no tile to paint; 2 places one.", severity="warning")
            return
        self._paint_order = list(self.pane.tiles)
        self.add_class("-painting")
        self._open_tile()
        self.editor.canvas.focus()
        self.refresh_bindings()

    @on(AnnotatedTileView.Clicked)
    def paint_clicked(self) -> None:
        """Paint the clicked tile."""
        self.action_paint()

    @on(PaintEditor.EditorLeft)
    def close_editor(self) -> None:
        """Return to the list."""
        self.editor.leave()
        self.remove_class("-painting")
        self.refresh_bindings()
        self.query_one(TileList).focus()
        self.pane.load_tile(force=True)

    def _open_tile(self) -> None:
        pane, tile = self.pane, self.pane.tile
        if tile is not None and self.editor.session.place != tile.location:
            project, sources = self.tomoseg.project, pane.prediction_sources
            self.editor.open(EditRequest(project, tile, pane.features, pane.chosen, sources))

    @on(PaintEditor.TileStepped)
    def step(self, event: PaintEditor.TileStepped) -> None:
        """Paint the next or the previous tile."""
        place = self.editor.session.place
        index = self._paint_order.index(place.id) if place is not None and place.id in self._paint_order else -1
        self._paint_first(self._paint_order[index + event.step :: event.step] if index + event.step >= 0 else [])

    @on(PaintEditor.TileFinished)
    def paint_next_unfinished(self, event: PaintEditor.TileFinished) -> None:
        """Paint the next unfinished tile, searching from here and then from the start of the list."""
        index = self._paint_order.index(event.place.id) if event.place.id in self._paint_order else -1
        following = (*self._paint_order[index + 1 :], *self._paint_order[: max(0, index)])
        tiles, chosen = self.pane.tiles, self.pane.chosen
        to_do = {name for name, tile in tiles.items() if state_for(tile, chosen) is FeatureState.WANTED}
        unfinished = [name for name in following if name in to_do]
        if not self._paint_first(unfinished, "All tiles are done; escape returns to the list."):
            self.tomoseg.refresh_snapshot()

    def _paint_first(self, tile_ids: Iterable[str], empty_text: str = "There is no other tile.") -> bool:
        """Open the first tile that is still listed; return whether there is one."""
        for tile_id in tile_ids:
            if self.query_one(TileList).select(tile_id):
                self._open_tile()
                return True
        self.notify(empty_text, timeout=4)
        return False

    @on(PaintEditor.MarksSaved)
    def reload_snapshot(self) -> None:
        """Show the marks in the list."""
        self.tomoseg.refresh_snapshot()


def _marked_pixels(pictures: TileImages, feature: str) -> int:
    layer = pictures.layers.get(feature)
    return 0 if layer is None else int((layer == FEATURE).sum())


def _set_state_argv(tile: Tile, feature: str, state: str) -> list[str]:
    return to_argv(ANNOTATIONS_SET, id=tile.location.id, feature=feature, state=state)


def _summary(result: AnnotationResult) -> str:
    return (
        f"{result.annotated} annotations imported, {result.none_here} tiles without the feature, {len(result.skipped)} "
        "left unchanged."
    )
