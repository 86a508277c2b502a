"""Annotate: one tile after the other is marked done, or as holding none; masks are imported here."""

from collections.abc import Callable, Sequence
from typing import ClassVar, final

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.tiles import FeatureState, Tile
from tomoseg_tui.tui.annotate.import_masks_dialog import ImportMasks
from tomoseg_tui.tui.annotate.mask_files import MasksWish
from tomoseg_tui.tui.annotate.paint_mode import TilePainting
from tomoseg_tui.tui.annotate.tile_list import TileList, state_for, to_finish
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.report import Told
from tomoseg_tui.tui.images.tile_images import TilePictures
from tomoseg_tui.workflow.annotations.import_annotations import Annotated, set_done, set_none_here


@final
class AnnotateTab(TilePainting):
    """The list of work whose tiles are marked."""

    NAME = "annotate"
    TITLE = "Annotate"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "done",
            "Done",
            id="annotate.done",
            tooltip="Mark the tile done for the feature chosen: what is not marked is not the feature",
        ),
        Binding("B", "none_here", "None", id="annotate.none", tooltip="Mark that the tile holds none of it"),
        Binding("I", "import_masks", "Masks", id="annotate.import", tooltip="Import masks or a label volume"),
    ]

    class Changed(Message):
        """A recipe has changed annotations; `taken` is what an import says of it."""

        def __init__(self, taken: Annotated | None = None) -> None:
            super().__init__()
            self.taken = taken

    # Marking

    def action_done(self) -> None:
        """Mark the tile done; ask first if not one pixel of it is marked."""
        tile, shown = self._tile, self._pictures
        if tile is None:
            return
        if shown is None or shown.tile.place != tile.place:
            self.notify("The tile is still being read; press again.", severity="warning")
            return
        features = to_finish(tile, self._chosen)
        bare = [feature for feature in features if not _marked_pixels(shown, feature)]
        if not features:
            self.notify(f"{tile.place.id} is not placed for any feature: there is nothing to be done with.")
        elif bare:
            text = (
                f"Not one pixel of {' and '.join(bare)} is marked on {tile.place.id}. Done means that all of it was "
                "looked at and is something else. If it holds none of it, say so with B."
            )
            self._ask("Mark it done all the same?", text, "Mark done", lambda: self._mark_done(tile, features))
        else:
            self._mark_done(tile, features)

    def action_none_here(self) -> None:
        """Mark that the tile holds none; ask first if something is marked on it."""
        tile, shown = self._tile, self._pictures
        if tile is None:
            return
        features = [f for f in self._chosen if tile.state_of(f) is not FeatureState.NONE_HERE]
        if self._feature is None:
            features = [f for f in features if tile.state_of(f) is not FeatureState.ANNOTATED]
        marked = [f for f in features if shown is None or _marked_pixels(shown, f)]
        if not features:
            self.notify(f"Nothing to change: {tile.place.id} is annotated, or holds none already.")
        elif marked:
            text = f"{' and '.join(marked)} is marked on {tile.place.id}. The annotation goes to the trash."
            self._ask("Mark that it holds none?", text, "None here", lambda: self._mark_none(tile, features))
        else:
            self._mark_none(tile, features)

    def _ask(self, question: str, text: str, yes: str, then: Callable[[], None]) -> None:
        def answered(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
            if answer:
                then()

        self.app.push_screen(Confirm(question, text, yes=yes), answered)

    def _mark_done(self, tile: Tile, features: Sequence[str]) -> None:
        project = self.tomoseg.project
        for feature in features:

            def recipe(feature: str = feature) -> None:
                set_done(project, tile.place, feature)
                self.post_message(self.Changed())

            # No title, hence no notice: list and tile say it, and a notice would cover what lies around the tile.
            self.tomoseg.carry_out("", _set_words(tile, feature, "--done"), recipe)
        self._go_on(tile)

    def _mark_none(self, tile: Tile, features: Sequence[str]) -> None:
        project = self.tomoseg.project
        for feature in features:

            def recipe(feature: str = feature) -> None:
                set_none_here(project, tile.place, feature)
                self.post_message(self.Changed())

            self.tomoseg.carry_out("", _set_words(tile, feature, "--none"), recipe)
        self._go_on(tile)

    def _go_on(self, tile: Tile) -> None:
        """Leave a tile that was to do for the next one; it will sink in the list."""
        if state_for(tile, self._chosen) is FeatureState.WANTED:
            self.query_one(TileList).action_cursor_down()

    @on(Changed)
    def take_change(self, event: Changed) -> None:
        """Read the tile again; tell what an import has left, and why."""
        self._look(again=True)
        taken = event.taken
        if taken is None:
            return
        made = [f"The feature {feature} was made." for feature in taken.new_features]
        lines = [*made, *taken.remarks, *taken.left]
        if lines:
            self.app.push_screen(Told("Annotations imported", _summary(taken), lines))

    # Importing

    def action_import_masks(self) -> None:
        """Ask for a file of masks or labels."""
        if self._facts is None:
            return
        tile = self._tile
        listed = [tile.place for tile in self._facts.all_tiles if tile.place.id in self._tiles]
        at = tile.place.tomogram if tile is not None else None
        self.app.push_screen(ImportMasks(self._facts, tomogram=at, feature=self._feature, listed=listed), self._import)

    def _import(self, wish: MasksWish | None) -> None:
        if wish is None:
            return
        project = self.tomoseg.project

        def recipe() -> str:
            taken = wish.carry_out(project)
            self.post_message(self.Changed(taken))
            return _summary(taken)

        self.notify(f"Importing {wish.path.name} ...", timeout=3)
        self.tomoseg.carry_out("annotations imported", wish.words(), recipe)

    # For the app

    def command_words(self) -> list[str] | None:
        """Return the command that marks the tile under the cursor done."""
        tile = self._tile
        features = to_finish(tile, self._chosen) if tile is not None else []
        return _set_words(tile, features[0], "--done") if tile is not None and features else None


def _marked_pixels(shown: TilePictures, feature: str) -> int:
    layer = shown.layers.get(feature)
    return 0 if layer is None else int((layer == FEATURE).sum())


def _set_words(tile: Tile, feature: str, word: str) -> list[str]:
    return ["annotations", "set", tile.place.id, "--feature", feature, word]


def _summary(taken: Annotated) -> str:
    return (
        f"{taken.annotated} annotations taken, {taken.none_here} tiles hold none, {len(taken.left)} left as they were."
    )
