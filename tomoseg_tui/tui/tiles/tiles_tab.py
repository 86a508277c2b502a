"""Tiles: places, removes and imports tiles, and chooses their feature."""

from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, final

from textual import on
from textual.binding import Binding, BindingType

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.table import FEATURES_ADD, FEATURES_RENAME
from tomoseg_tui.commands.tiles import TILES_ADD, TILES_IMPORT, TILES_REMOVE
from tomoseg_tui.core.names import ANY_FEATURE, check_feature_name
from tomoseg_tui.core.tiles import FeatureState, TileLocation, count_states
from tomoseg_tui.project import catalog
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.ask_path import AskPath
from tomoseg_tui.tui.dialogs.ask_text import AskText
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.pick import Choice, Pick
from tomoseg_tui.tui.images.tile_marks import (
    describe_states,
    feature_style,
)
from tomoseg_tui.tui.path_completion import path_argument
from tomoseg_tui.tui.shared_actions.file_actions import PICTURE_BINDING
from tomoseg_tui.tui.tab_base import hidden_key
from tomoseg_tui.tui.tiles.slice_browser import SliceBrowser
from tomoseg_tui.workflow.tiles import placing
from tomoseg_tui.workflow.tiles.placing import PlacementResult
from tomoseg_tui.workflow.tomograms.renaming import rename_feature

if TYPE_CHECKING:
    from tomoseg_tui.tui.tiles.import_boxes_dialog import BoxImportRequest

TILE_SIZES = (32, 48, 64, 96, 128)
"""Edges of tiles in pixels, in the order of the key."""
DOUBLE_CLICK_SECONDS = 0.5
"""Two clicks on one voxel within this time place a tile, s."""


@final
class TilesTab(SliceBrowser):
    """The slice browser with actions that place tiles."""

    BINDINGS: ClassVar[list[BindingType]] = [
        PICTURE_BINDING,
        Binding("space", "place(False)", "Place", id="tiles.place", tooltip="Place a tile with the feature"),
        Binding("B", "place(True)", "None", id="tiles.negative", tooltip="Place a tile without the feature"),
        Binding("f", "feature(1)", "Feature", id="tiles.feature", tooltip="Choose the next feature"),
        hidden_key("F", "feature(-1)", "Previous feature", "tiles.feature_back", "Choose the previous feature"),
        hidden_key("a", "pick_feature", "Add feature", "tiles.features", "Pick a feature by its name, or add one"),
        Binding("g", "go_to", "Go to", id="tiles.go_to", tooltip="Go to x,y,z"),
        Binding("n", "step(1)", "Next", id="tiles.next", tooltip="Go to the next tile of the list"),
        hidden_key("N", "step(-1)", "Previous tile", "tiles.previous", "Go to the previous tile"),
        hidden_key("x", "remove", "Remove tile", "tiles.remove", "Move the tile here to the project's trash"),
        hidden_key("t", "pick_tomogram", "Another tomogram", "tiles.tomogram", "Pick another tomogram"),
        hidden_key("s", "size", "Tile size", "tiles.size", "Choose the edge of new tiles: 32 to 128 pixels"),
        hidden_key("I", "import", "Import tiles", "tiles.import", "Import tiles from a CSV file, or boxes of EMAN2"),
        hidden_key("R", "rename", "Rename feature", "tiles.rename", "Rename the feature"),
        hidden_key("slash", "search", "Filter list", "tiles.search", "List only matching tiles"),
    ]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._last_click = ((-1, -1, -1), 0.0)

    @on(SliceCanvas.Picked, "#tiles-slice")
    def handle_click(self, event: SliceCanvas.Picked) -> None:
        """Go to the clicked tile or voxel; a double click places a tile."""
        clicked_tile = self._neighbourhood.clicked_tile(event.z, event.y, event.x)
        voxel, now = (event.z, event.y, event.x), monotonic()
        is_double_click = self._last_click[0] == voxel and now - self._last_click[1] < DOUBLE_CLICK_SECONDS
        self._last_click = (voxel, now)
        if clicked_tile is not None:
            self._go_to_tile(clicked_tile)
        elif is_double_click:
            self.action_place(negative=False)
        else:
            self._canvas.go_to(z=event.z, y=event.y, x=event.x)
            self._show_tile_at_cursor()

    # Features

    def action_feature(self, step: int) -> None:
        features = self._snapshot.features if self._snapshot is not None else ()
        if not features:
            self.action_pick_feature()
            return
        index = features.index(self.feature) if self.feature in features else -step
        self._select_feature(features[(index + step) % len(features)])

    def _select_feature(self, feature: str) -> None:
        self.feature = feature
        self._show_tile_at_cursor()

    def action_pick_feature(self) -> None:
        self._ask_feature(None)

    def _ask_feature(self, on_selected: Callable[[], None] | None) -> None:
        """Let the user pick a feature, creating it if it is new, and call `on_selected`."""
        if self._snapshot is None:
            return
        features = self._snapshot.features
        choices: list[Choice] = [
            (f, f"{feature_style(f, self._palette).letter}  {_format_signs(counts)}")
            for f, counts in count_states(self._snapshot.all_tiles, features).items()
        ]
        choices.append((ANY_FEATURE, "for negatives: tiles without any feature"))

        def on_choice(name: str | None) -> None:
            if name is None:
                return
            self._select_feature(name)
            if on_selected is not None:
                on_selected()
            elif name not in {*features, ANY_FEATURE}:
                self._add_feature(name)

        self.app.push_screen(Pick("Feature", choices, chosen=self.feature, new_kind="feature"), on_choice)

    def _add_feature(self, name: str) -> None:
        project = self.tomoseg.project
        self.tomoseg.run_in_thread(
            f"Added the feature {name}.",
            to_argv(FEATURES_ADD, name=name),
            lambda: catalog.add_feature(project, name) and None,
        )

    def action_rename(self) -> None:
        old, project = self.feature, self.tomoseg.project
        if old is None or old == ANY_FEATURE:
            return

        def rename(new: str | None) -> None:
            if new and new != old:
                self.tomoseg.run_in_thread(
                    f"{old} was renamed to {new}.",
                    to_argv(FEATURES_RENAME, old=old, new=new),
                    lambda: rename_feature(project, old, new),
                    lambda _: self._select_feature(new),
                )

        hint = "Its tiles, annotations, networks and maps stay with it."
        self.app.push_screen(AskText(f"New name of {old}", hint, value=old, check=check_feature_name), rename)

    # Tiles

    def action_size(self) -> None:
        self.tile_size = TILE_SIZES[(TILE_SIZES.index(self.tile_size) + 1) % len(TILE_SIZES)]
        self._show_tile_at_cursor()

    def _place_argv(self, location: TileLocation, feature: str, *, negative: bool) -> list[str]:
        at = (location.x, location.y, location.z)
        return to_argv(TILES_ADD, location, at=at, feature=feature, negative=negative)

    def action_place(self, negative: bool) -> None:  # noqa: FBT001  # the action's own word
        location, feature, project = self._place_at_cursor(), self.feature, self.tomoseg.project
        if location is None:
            return
        if feature is None:
            self._ask_feature(lambda: self.action_place(negative))
            return
        if feature == ANY_FEATURE and not negative:
            self.notify("* means a tile without any feature: B places it; f chooses a feature.", severity="warning")
            return

        def run() -> PlacementResult:
            return placing.place_tiles(project, [placing.tile_placement(location, feature, negative=negative)])

        # No title, hence no notification: the box and the list show it, and a notification would cover them.
        self.tomoseg.run_in_thread("", self._place_argv(location, feature, negative=negative), run)

    def action_remove(self) -> None:
        tile, project = self.tile_at_cursor, self.tomoseg.project
        if tile is None:
            self.notify("The cursor is not on the centre of a tile; n goes to one.", severity="warning", timeout=4)
            return
        name = tile.location.id

        def remove(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
            if answer:
                argv = to_argv(TILES_REMOVE, ids=[name])
                self.tomoseg.run_in_thread(f"{name} is in the trash.", argv, self._removal_task(project, tile.location))

        states = describe_states(tile, self._palette)
        text = f"It is {states}. The tile and its annotations are moved to the project's trash."
        self.app.push_screen(Confirm(f"Remove tile {name}?", text, yes="Remove"), remove)

    @staticmethod
    def _removal_task(project: catalog.Project, location: TileLocation) -> Any:
        def remove() -> None:
            placing.remove_tiles(project, [location])

        return remove

    def action_import(self) -> None:
        project = self.tomoseg.project

        def on_path(path: Path | None) -> None:
            if path is not None and path.suffix.lower() == ".json":
                self._ask_about_boxes(path)
            elif path is not None:
                argv = to_argv(TILES_IMPORT, file=path_argument(path, project.layout.root))
                self.tomoseg.run_in_thread(f"Tiles of {path.name}", argv, lambda: _import_tiles(project, path))

        hint = "CSV with the header tomogram,x,y,z,feature,kind (positive or negative); or EMAN2's NAME_info.json."
        self.app.push_screen(AskPath("Import tiles", hint, suffixes=(".csv", ".json"), folder=Path.cwd()), on_path)

    def _ask_about_boxes(self, path: Path) -> None:
        """Read an EMAN2 info file in a thread, and ask what its sets mean."""
        from tomoseg_tui.tui.tiles.import_boxes_dialog import BoxImportRequest, ImportBoxesDialog  # noqa: PLC0415  # few come from EMAN2
        from tomoseg_tui.workflow.eman2.boxes import read_boxes  # noqa: PLC0415

        project = self.tomoseg.project

        def on_answer(request: BoxImportRequest | None) -> None:
            if request is not None:
                argv = request.argv(project.layout.root)
                self.tomoseg.run_in_thread(
                    f"Boxes of {request.path.name}", argv, lambda: _import_boxes(project, request)
                )

        self.tomoseg.run_in_thread(
            "",
            None,
            lambda: read_boxes(project, path),
            lambda found: self.app.push_screen(ImportBoxesDialog(path, *found), on_answer),
        )

    # For the app

    def command_argv(self) -> list[str] | None:
        """Return the command that places the same tile as space."""
        location = self._place_at_cursor()
        if location is None or self.feature is None:
            return None
        return self._place_argv(location, self.feature, negative=self.feature == ANY_FEATURE)


def _format_signs(counts: Mapping[FeatureState, int]) -> str:
    negative = counts[FeatureState.NONE_HERE]
    return f"{sum(counts.values()) - negative} positive, {negative} negative"


def _import_boxes(project: catalog.Project, request: "BoxImportRequest") -> PlacementResult:
    from tomoseg_tui.workflow.eman2.boxes import placements_from_info  # noqa: PLC0415

    placements = placements_from_info(project, request.path, tomogram=request.tomogram, declared=request.meanings)
    result = placing.place_tiles(project, placements.placements)
    result.remarks[:0] = placements.remarks
    return result


def _import_tiles(project: catalog.Project, path: Path) -> PlacementResult:
    return placing.place_tiles(project, placing.read_tile_placements(path))
