"""Tiles: places tiles, removes and imports them, and chooses the feature that they are for."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, final

from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from tomoseg_tui.core.names import ANY_FEATURE, check_feature_name
from tomoseg_tui.core.tiles import DEFAULT_TILE, Place
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.project import catalog
from tomoseg_tui.tui.canvas.slice_canvas import SliceCanvas
from tomoseg_tui.tui.dialogs.ask_path import AskPath
from tomoseg_tui.tui.dialogs.ask_text import Ask
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.pick import Choice, Pick
from tomoseg_tui.tui.images.tile_marks import (
    states_in_words,
    style_of,
)
from tomoseg_tui.tui.path_completion import movable_word
from tomoseg_tui.tui.tiles.slice_browser import TileBrowser
from tomoseg_tui.workflow.tiles import placing
from tomoseg_tui.workflow.tiles.placing import Placed
from tomoseg_tui.workflow.tomograms.renaming import rename_feature

if TYPE_CHECKING:
    from tomoseg_tui.tui.tiles.import_boxes_dialog import BoxesWish

SIZES = (32, 48, 64, 96, 128)
"""Edges of tiles in pixels, as the key goes through them."""
DOUBLE_CLICK_SECONDS = 0.5
"""Two clicks on one voxel within this time place a tile."""


def _hidden(key: str, action: str, words: str, name: str, tooltip: str) -> Binding:
    """Return a key that the help shows and the footer has no room for."""
    return Binding(key, action, words, show=False, id=f"tiles.{name}", tooltip=tooltip)


@final
class TilesTab(TileBrowser):
    """The slice browser in which tiles are placed."""

    NAME = "tiles"
    TITLE = "Tiles"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "place(False)", "Place", id="tiles.place", tooltip="Place a tile that holds the feature"),
        Binding("B", "place(True)", "None", id="tiles.negative", tooltip="Place a tile that holds none of it"),
        Binding("f", "feature(1)", "Feature", id="tiles.feature", tooltip="Choose the next feature"),
        _hidden("F", "feature(-1)", "Feature before", "feature_back", "Choose the feature before"),
        _hidden("a", "pick_feature", "Add feature", "features", "Pick a feature by its name, or add one"),
        Binding("g", "go_to", "Go to", id="tiles.go_to", tooltip="Go to typed x,y,z"),
        Binding("n", "step(1)", "Next", id="tiles.next", tooltip="Go to the next tile of the list"),
        _hidden("N", "step(-1)", "Tile before", "previous", "Go to the tile before"),
        _hidden("x", "remove", "Remove tile", "remove", "Move the tile here to the project's trash"),
        _hidden("t", "pick_tomogram", "Another tomogram", "tomogram", "Pick another tomogram"),
        _hidden("s", "size", "Tile size", "size", "Choose the edge of new tiles: 32 to 128 pixels"),
        _hidden("I", "bring", "Import tiles", "import", "Import tiles from a CSV file, or boxes of EMAN2"),
        _hidden("R", "rename", "Rename feature", "rename", "Give the feature another name"),
        _hidden("slash", "search", "Filter list", "search", "List only tiles that hold some words"),
    ]

    class FeatureRenamed(Message):
        """The chosen feature has another name now."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.feature = name

    class BoxesRead(Message):
        """An info file of EMAN2 has been read, or there is a fault."""

        def __init__(
            self, path: Path, boxes: Mapping[str, int], tomograms: Sequence[str], fault: TomosegError | None = None
        ) -> None:
            super().__init__()
            self.path, self.boxes, self.tomograms, self.fault = path, boxes, tomograms, fault

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._clicked = ((-1, -1, -1), 0.0)

    @on(SliceCanvas.Picked, "#tiles-slice")
    def take_click(self, event: SliceCanvas.Picked) -> None:
        """Go to the tile or voxel that was clicked; a double click places a tile."""
        meant = self._around.meant_by_click(event.z, event.y, event.x)
        voxel, now = (event.z, event.y, event.x), monotonic()
        again = self._clicked[0] == voxel and now - self._clicked[1] < DOUBLE_CLICK_SECONDS
        self._clicked = (voxel, now)
        if meant is not None:
            self._go_to_tile(meant)
        elif again:
            self.action_place(negative=False)
        else:
            self._canvas.go_to(z=event.z, y=event.y, x=event.x)
            self._show_here()

    # Features

    def action_feature(self, step: int) -> None:
        """Choose the next feature, or the one before."""
        features = self._facts.features if self._facts is not None else ()
        if not features:
            self.action_pick_feature()
            return
        at = features.index(self.feature) if self.feature in features else -step
        self._choose(features[(at + step) % len(features)])

    def _choose(self, feature: str) -> None:
        self.feature = feature
        self._show_here()

    def action_pick_feature(self) -> None:
        """Pick a feature by its name, or add one."""
        self._ask_feature(None)

    def _ask_feature(self, then: Callable[[], None] | None) -> None:
        """Let a feature be picked, and go on with `then`, which makes it if it is new."""
        if self._facts is None:
            return
        features = self._facts.features
        choices: list[Choice] = [(f, f"{style_of(f, self._palette).letter}  {self._count(f)}") for f in features]
        choices.append((ANY_FEATURE, "for negatives: none of any feature"))

        def take(name: str | None) -> None:
            if name is None:
                return
            self._choose(name)
            if then is not None:
                then()
            elif name not in {*features, ANY_FEATURE}:
                self._add_feature(name)

        self.app.push_screen(Pick("Feature", choices, chosen=self.feature, new="feature"), take)

    def _count(self, feature: str) -> str:
        tiles = self._facts.all_tiles if self._facts is not None else ()
        states = [tile.states[feature] for tile in tiles if feature in tile.states]
        held = sum(state.is_positive for state in states)
        return f"{held} positive, {len(states) - held} negative"

    def _add_feature(self, name: str) -> None:
        project = self.tomoseg.project
        self.tomoseg.carry_out(
            f"Made the feature {name}.", ["features", "add", name], lambda: catalog.add_feature(project, name) and None
        )

    def action_rename(self) -> None:
        """Give the feature another name."""
        old, project = self.feature, self.tomoseg.project
        if old is None or old == ANY_FEATURE:
            return

        def rename(new: str | None) -> None:
            def run() -> None:
                rename_feature(project, old, str(new))
                self.post_message(self.FeatureRenamed(str(new)))

            if new and new != old:
                self.tomoseg.carry_out(f"{old} is called {new} now.", ["features", "rename", old, new], run)

        hint = "Tiles, annotations, networks and maps go along."
        self.app.push_screen(Ask(f"New name of {old}", hint, value=old, check=check_feature_name), rename)

    @on(FeatureRenamed)
    def take_name(self, event: FeatureRenamed) -> None:
        """Keep the feature chosen under its new name."""
        self._choose(event.feature)

    # Tiles

    def action_size(self) -> None:
        """Choose the next size of new tiles."""
        self.tile_size = SIZES[(SIZES.index(self.tile_size) + 1) % len(SIZES)]
        self._show_here()

    def _words_to_place(self, place: Place, feature: str, *, negative: bool) -> list[str]:
        words = ["tiles", "add", place.tomogram, "--at", f"{place.x},{place.y},{place.z}", "--feature", feature]
        words += ["--negative"] if negative else []
        return words + (["--size", str(place.size)] if place.size != DEFAULT_TILE else [])

    def action_place(self, negative: bool) -> None:  # noqa: FBT001  # the action's own word
        """Place a tile at the cursor."""
        place, feature, project = self._place(), self.feature, self.tomoseg.project
        if place is None:
            return
        if feature is None:
            self._ask_feature(lambda: self.action_place(negative))
            return
        if feature == ANY_FEATURE and not negative:
            self.notify("* stands for none of any feature: B places it; f chooses a feature.", severity="warning")
            return

        def run() -> Placed:
            return placing.place_tiles(project, [placing.wish(place, feature, negative=negative)])

        # No title, hence no notice: the box and the list say it, and a notice would cover them.
        self.tomoseg.carry_out("", self._words_to_place(place, feature, negative=negative), run)

    def action_remove(self) -> None:
        """Ask, then move the tile at the cursor to the trash."""
        tile, project = self.tile_here, self.tomoseg.project
        if tile is None:
            self.notify("The cursor is on no tile's centre; n goes to one.", severity="warning", timeout=4)
            return
        name = tile.place.id

        def remove(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
            if answer:
                words = ["tiles", "remove", name]
                self.tomoseg.carry_out(f"{name} is in the trash.", words, self._remover(project, tile.place))

        said = states_in_words(tile, self._palette)
        text = f"It is {said}. The tile and its annotations are moved into the project's trash."
        self.app.push_screen(Confirm(f"Remove tile {name}?", text, yes="Remove"), remove)

    @staticmethod
    def _remover(project: catalog.Project, place: Place) -> Any:
        def remove() -> None:
            placing.remove_tiles(project, [place])

        return remove

    def action_bring(self) -> None:
        """Ask for a CSV file, or an info file of EMAN2, and import its tiles."""
        project = self.tomoseg.project

        def bring(path: Path | None) -> None:
            if path is not None and path.suffix.lower() == ".json":
                self._read_boxes(project, path)
            elif path is not None:
                words = ["tiles", "import", movable_word(path, project.layout.root)]
                self.tomoseg.carry_out(f"Tiles of {path.name}", words, lambda: _import_tiles(project, path))

        hint = "CSV with the header tomogram,x,y,z,feature,kind (positive or negative); or EMAN2's NAME_info.json."
        self.app.push_screen(AskPath("Import tiles", hint, suffixes=(".csv", ".json"), folder=Path.cwd()), bring)

    @work(thread=True, group="boxes")
    def _read_boxes(self, project: catalog.Project, path: Path) -> None:
        from tomoseg_tui.workflow.eman2.boxes import read_boxes  # noqa: PLC0415  # few come from EMAN2

        try:
            self.post_message(self.BoxesRead(path, *read_boxes(project, path)))
        except TomosegError as fault:
            self.post_message(self.BoxesRead(path, {}, (), fault))

    @on(BoxesRead)
    def ask_about_boxes(self, event: BoxesRead) -> None:
        """Ask what the sets of an info file mean, or say what is wrong with it."""
        from tomoseg_tui.tui.tiles.import_boxes_dialog import BoxesWish, ImportBoxes  # noqa: PLC0415

        if event.fault is not None:
            self.notify(event.fault.fix, title=event.fault.fault, severity="error", timeout=15)
            return
        project = self.tomoseg.project

        def bring(wish: BoxesWish | None) -> None:
            if wish is not None:
                words = wish.words(project.layout.root)
                self.tomoseg.carry_out(f"Boxes of {wish.path.name}", words, lambda: _import_boxes(project, wish))

        self.app.push_screen(ImportBoxes(event.path, event.boxes, event.tomograms), bring)

    # The frame asks

    def command_words(self) -> list[str] | None:
        """Return the command that places the tile that space would place."""
        place = self._place()
        if place is None or self.feature is None:
            return None
        return self._words_to_place(place, self.feature, negative=self.feature == ANY_FEATURE)


def _import_boxes(project: catalog.Project, wish: "BoxesWish") -> Placed:
    from tomoseg_tui.workflow.eman2.boxes import wishes_of_info  # noqa: PLC0415

    asked = wishes_of_info(project, wish.path, tomogram=wish.tomogram, told=wish.meanings)
    placed = placing.place_tiles(project, asked.wishes)
    placed.remarks[:0] = asked.remarks
    return placed


def _import_tiles(project: catalog.Project, path: Path) -> Placed:
    return placing.place_tiles(project, placing.wishes_of_file(path))
