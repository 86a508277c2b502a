"""Annotate: one tile after the other is marked done, or as holding none; masks are imported here."""

from collections.abc import Callable, Sequence
from typing import ClassVar, final

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.tiles import FeatureState, Tile
from tomoseg_tui.tui.annotate.import_masks_dialog import ImportMasksDialog
from tomoseg_tui.tui.annotate.mask_files import MaskImportChoice
from tomoseg_tui.tui.annotate.paint_mode import PaintModePane
from tomoseg_tui.tui.annotate.tile_list import TileList, features_to_finish, state_for
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.report import ReportDialog
from tomoseg_tui.tui.images.tile_images import TileImages
from tomoseg_tui.workflow.annotations.import_annotations import AnnotationResult, set_done, set_none_here


@final
class AnnotateTab(PaintModePane):
    """The list of work whose tiles are marked."""

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

    class AnnotationsChanged(Message):
        """A recipe has changed annotations; `taken` is what an import says of it."""

        def __init__(self, result: AnnotationResult | None = None) -> None:
            super().__init__()
            self.result = result

    # Marking

    def action_done(self) -> None:
        """Mark the tile done; ask first if not one pixel of it is marked."""
        tile, pictures = self._tile, self._pictures
        if tile is None:
            return
        if pictures is None or pictures.tile.location != tile.location:
            self.notify("The tile is still being read; press again.", severity="warning")
            return
        features = features_to_finish(tile, self._chosen)
        unmarked = [feature for feature in features if not _marked_pixels(pictures, feature)]
        if not features:
            self.notify(f"{tile.location.id} is not placed for any feature: there is nothing to be done with.")
        elif unmarked:
            text = (
                f"Not one pixel of {' and '.join(unmarked)} is marked on {tile.location.id}. Done means that all of "
                "it was "
                "looked at and is something else. If it holds none of it, say so with B."
            )
            self._ask("Mark it done all the same?", text, "Mark done", lambda: self._mark_done(tile, features))
        else:
            self._mark_done(tile, features)

    def action_none_here(self) -> None:
        """Mark that the tile holds none; ask first if something is marked on it."""
        tile, pictures = self._tile, self._pictures
        if tile is None:
            return
        features = [f for f in self._chosen if tile.state_of(f) is not FeatureState.NONE_HERE]
        if self._feature is None:
            features = [f for f in features if tile.state_of(f) is not FeatureState.ANNOTATED]
        marked = [f for f in features if pictures is None or _marked_pixels(pictures, f)]
        if not features:
            self.notify(f"Nothing to change: {tile.location.id} is annotated, or holds none already.")
        elif marked:
            text = f"{' and '.join(marked)} is marked on {tile.location.id}. The annotation goes to the trash."
            self._ask("Mark that it holds none?", text, "None here", lambda: self._mark_none(tile, features))
        else:
            self._mark_none(tile, features)

    def _ask(self, question: str, text: str, yes: str, on_yes: Callable[[], None]) -> None:
        def on_answer(answer: bool | None) -> None:  # noqa: FBT001  # the dialog's answer
            if answer:
                on_yes()

        self.app.push_screen(Confirm(question, text, yes=yes), on_answer)

    def _mark_done(self, tile: Tile, features: Sequence[str]) -> None:
        project = self.tomoseg.project
        for feature in features:

            def task(feature: str = feature) -> None:
                set_done(project, tile.location, feature)
                self.post_message(self.AnnotationsChanged())

            # No title, hence no notice: list and tile say it, and a notice would cover what lies around the tile.
            self.tomoseg.run_in_thread("", _set_state_argv(tile, feature, "--done"), task)
        self._select_next_tile(tile)

    def _mark_none(self, tile: Tile, features: Sequence[str]) -> None:
        project = self.tomoseg.project
        for feature in features:

            def task(feature: str = feature) -> None:
                set_none_here(project, tile.location, feature)
                self.post_message(self.AnnotationsChanged())

            self.tomoseg.run_in_thread("", _set_state_argv(tile, feature, "--none"), task)
        self._select_next_tile(tile)

    def _select_next_tile(self, tile: Tile) -> None:
        """Leave a tile that was to do for the next one; it will sink in the list."""
        if state_for(tile, self._chosen) is FeatureState.WANTED:
            self.query_one(TileList).action_cursor_down()

    @on(AnnotationsChanged)
    def show_changes(self, event: AnnotationsChanged) -> None:
        """Read the tile again; tell what an import has left, and why."""
        self._load_tile(force=True)
        result = event.result
        if result is None:
            return
        new_feature_lines = [f"The feature {feature} was made." for feature in result.new_features]
        lines = [*new_feature_lines, *result.remarks, *result.skipped]
        if lines:
            self.app.push_screen(ReportDialog("Annotations imported", _summary(result), lines))

    # Importing

    def action_import_masks(self) -> None:
        """Ask for a file of masks or labels."""
        if self._snapshot is None:
            return
        tile = self._tile
        listed_places = [tile.location for tile in self._snapshot.all_tiles if tile.location.id in self._tiles]
        tomogram = tile.location.tomogram if tile is not None else None
        self.app.push_screen(
            ImportMasksDialog(self._snapshot, tomogram=tomogram, feature=self._feature, listed_places=listed_places),
            self._import,
        )

    def _import(self, request: MaskImportChoice | None) -> None:
        if request is None:
            return
        project = self.tomoseg.project

        def task() -> str:
            result = request.run_import(project)
            self.post_message(self.AnnotationsChanged(result))
            return _summary(result)

        self.notify(f"Importing {request.path.name} ...", timeout=3)
        self.tomoseg.run_in_thread("annotations imported", request.argv(), task)

    # For the app

    def command_argv(self) -> list[str] | None:
        """Return the command that marks the tile under the cursor done."""
        tile = self._tile
        features = features_to_finish(tile, self._chosen) if tile is not None else []
        return _set_state_argv(tile, features[0], "--done") if tile is not None and features else None


def _marked_pixels(pictures: TileImages, feature: str) -> int:
    layer = pictures.layers.get(feature)
    return 0 if layer is None else int((layer == FEATURE).sum())


def _set_state_argv(tile: Tile, feature: str, option: str) -> list[str]:
    return ["annotations", "set", tile.location.id, "--feature", feature, option]


def _summary(result: AnnotationResult) -> str:
    return (
        f"{result.annotated} annotations taken, {result.none_here} tiles hold none, {len(result.skipped)} left as "
        "they were."
    )
